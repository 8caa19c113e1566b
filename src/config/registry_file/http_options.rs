//! What every transport over HTTP takes: its URL, secrets, headers of one's own, TLS, a proxy.

use hyper::{Uri, header::HeaderName};

use crate::{
    config::{
        reader::{Entry, Section},
        secret::{BadSecret, SecretSource},
    },
    domain::registry::{HttpOptions, SecretRef},
};

/// Headers that belong to a connection, or that a call sets itself: nobody else may.
const OURS: &[&str] = &[
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Beginnings of the names of headers that sign a call.
const SIGNING: &[&str] = &["webhook-", "x-opendsr-", "x-opengdpr-"];

/// Reads what every call over HTTP has.
pub(in crate::config) fn http_options(section: &Section<'_>) -> HttpOptions {
    let options = HttpOptions {
        headers: section
            .get("headers")
            .and_then(|e| e.table(headers))
            .unwrap_or_default(),
        ca: section.get("ca").and_then(|e| path(&e)),
        client_cert: section.get("client_cert").and_then(|e| path(&e)),
        client_key: section.get("client_key").and_then(|e| path(&e)),
        proxy: section.get("proxy").and_then(|e| proxy(&e)),
    };
    let (cert, key) = (section.get("client_cert"), section.get("client_key"));
    match (cert, key) {
        (Some(_), None) => section.problem("client_key", "missing: client_cert has to have its key"),
        (None, Some(_)) => section.problem("client_cert", "missing: client_key has to have its certificate"),
        _ => {}
    }
    options
}

/// Reads where a system listens.
pub(in crate::config) fn url(entry: &Entry<'_>) -> Option<String> {
    let text = entry.text()?;
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let host = rest
        .and_then(|rest| rest.split(['/', '?', '#']).next())
        .unwrap_or_default();
    if host.is_empty() || host.contains('@') || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return entry.refused("expected http:// or https:// with a host, and without a password");
    }
    if text.contains('#') {
        return entry.refused("expected a URL without #: what follows it is never sent");
    }
    // A name in another script has a form in ASCII, which is what certificates and name servers know.
    match text.parse::<Uri>() {
        Ok(uri) if uri.host().is_some_and(|host| !host.is_empty()) => Some(text.to_owned()),
        _ => entry.refused(
            "expected a URL of ASCII characters, with % for others and xn-- for names in another script",
        ),
    }
}

/// Reads a secret that is resolved on the machine that uses it.
pub(super) fn secret(entry: &Entry<'_>) -> Option<SecretRef> {
    let source = entry.secret_source()?;
    if matches!(source, SecretSource::Digest(_)) {
        return entry.refused(&BadSecret::OnlyDigest.to_string());
    }
    Some(SecretRef(entry.text()?.to_owned()))
}

/// Reads a path, which is resolved on the machine that uses it.
fn path(entry: &Entry<'_>) -> Option<String> {
    let path = entry.line_of_text()?;
    if path.starts_with("file:") {
        return entry.refused("expected a path, without file: before it");
    }
    Some(path.to_owned())
}

fn proxy(entry: &Entry<'_>) -> Option<String> {
    const EXPECTED: &str =
        "expected http://, a host and a port, without a password, such as http://proxy.example.org:3128";
    let text = entry.line_of_text()?;
    let uri: Option<Uri> = text.parse().ok();
    let is_proxy = uri.is_some_and(|uri| {
        uri.scheme_str() == Some("http")
            && uri.host().is_some_and(|host| !host.is_empty())
            && !text.contains('@')
            && uri.path() == "/"
            && uri.query().is_none()
    });
    if is_proxy {
        Some(text.to_owned())
    } else {
        entry.refused(EXPECTED)
    }
}

fn headers(section: &Section<'_>) -> Vec<(String, SecretRef)> {
    section.take_any();
    let mut found: Vec<(String, SecretRef)> = Vec::new();
    for (name, entry) in section.entries() {
        let Ok(parsed) = name.parse::<HeaderName>() else {
            entry.problem("expected the name of a header: letters, digits and -");
            continue;
        };
        let lowercase = parsed.as_str();
        if OURS.contains(&lowercase) || SIGNING.iter().any(|prefix| lowercase.starts_with(prefix)) {
            entry.problem("this header is set by the call itself");
            continue;
        }
        if found.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
            entry.problem("another header has the same name");
            continue;
        }
        let Some(value) = secret(&entry) else { continue };
        // What env: and file: name is judged where it is read.
        if value.0.chars().any(|c| !matches!(c, ' '..='~')) {
            entry.problem("expected a line of ASCII text without control characters");
            continue;
        }
        found.push((name.to_owned(), value));
    }
    found
}

/// Names of headers that hold a secret as a rule.
pub(super) fn is_confidential(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["auth", "key", "token", "secret", "cookie", "password"]
        .iter()
        .any(|part| name.contains(part))
}
