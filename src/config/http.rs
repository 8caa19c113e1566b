//! `[http]`: where the API listens.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use super::reader::{Entry, Section};

/// The listener of the API, the console and the metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// The address; port 0 takes any free one.
    pub listen: SocketAddr,
    /// The certificate; plain HTTP where it is absent.
    pub tls: Option<Tls>,
    /// The address that others reach it by, without a slash at its end; the listener's where it is absent.
    pub public_url: Option<String>,
}

/// The files of a certificate, which exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate and its chain, in PEM.
    pub cert: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
}

impl Http {
    /// The address of a path of the API, for those who are told to call it.
    pub fn url(&self, path: &str) -> String {
        match &self.public_url {
            Some(url) => format!("{url}{path}"),
            None if self.tls.is_some() => format!("https://{}{path}", self.listen),
            None => format!("http://{}{path}", self.listen),
        }
    }

    /// Whether only this machine can reach it.
    pub fn is_loopback(&self) -> bool {
        self.listen.ip().to_canonical().is_loopback()
    }
}

const DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

pub(super) fn read(section: &Section<'_>, has_auth: bool) -> Http {
    let http = Http {
        listen: section.get("listen").and_then(|e| address(&e)).unwrap_or(DEFAULT),
        tls: section.get("tls").and_then(|e| e.table(tls)).flatten(),
        public_url: section.get("public_url").and_then(|e| public_url(&e)),
    };
    if !has_auth && !http.is_loopback() {
        section.problem("listen", OPEN_TO_ALL);
    }
    http
}

const OPEN_TO_ALL: &str = "expected a loopback address, such as 127.0.0.1:8080: there is no [auth], \
                           so everyone who reaches it would have every role";

fn address(entry: &Entry<'_>) -> Option<SocketAddr> {
    let text = entry.text()?;
    // The one name that means the same everywhere. Others would have to be looked up, and could change.
    let local = text
        .strip_prefix("localhost:")
        .map(|port| format!("127.0.0.1:{port}"));
    match local.as_deref().unwrap_or(text).parse() {
        Ok(address) => Some(address),
        Err(_) => entry.refused("expected an address and a port, such as 127.0.0.1:8080 or [::]:8080"),
    }
}

fn public_url(entry: &Entry<'_>) -> Option<String> {
    let text = entry.text()?;
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    match host {
        Some(host) if !host.is_empty() && !host.contains(['?', '#', ' ']) => {
            Some(text.trim_end_matches('/').to_owned())
        }
        _ => entry
            .refused("expected the address that others reach the API by, such as https://lacuna.example.org"),
    }
}

fn tls(section: &Section<'_>) -> Option<Tls> {
    let file = |key| {
        let entry = section.need(key)?;
        let path = entry.path()?;
        if path.is_file() {
            return Some(path);
        }
        entry.refused(&format!("there is no file {}", path.display()))
    };
    let (cert, key) = (file("cert"), file("key"));
    Some(Tls {
        cert: cert?,
        key: key?,
    })
}
