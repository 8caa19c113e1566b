//! Under which names the API answers where there is no `[auth]`.
//!
//! A page whose own name leads to this machine (DNS rebinding) is no other site to a browser. The name that it calls is
//! all that tells it from the people here, and so it is looked at in every call.

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, Uri, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::problem::Problem;
use crate::config::Http;

/// The names that are answered to besides those of this machine.
#[derive(Debug, Clone)]
pub(super) struct Hosts {
    listen: IpAddr,
    public: Option<String>,
}

impl Hosts {
    pub(super) fn of(config: &Http, address: SocketAddr) -> Self {
        let public = config
            .public_url
            .as_deref()
            .and_then(|url| url.parse::<Uri>().ok());
        Self {
            listen: address.ip().to_canonical(),
            public: public.and_then(|url| url.host().map(str::to_ascii_lowercase)),
        }
    }

    fn include(&self, authority: &str) -> bool {
        let Ok(authority) = authority.parse::<Authority>() else {
            return false;
        };
        let host = authority.host().to_ascii_lowercase();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse::<IpAddr>() {
            let address = address.to_canonical();
            return address.is_loopback() || address == self.listen;
        }
        let name = host.trim_end_matches('.');
        name == "localhost" || name.ends_with(".localhost") || Some(name) == self.public.as_deref()
    }

    /// Whether everything that names the host names this one. `uri`: where HTTP/2 has it, and who calls through a proxy.
    fn take(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let named = headers.get_all(header::HOST).iter();
        let named = named.map(|host| host.to_str().unwrap_or_default());
        uri.authority()
            .map(Authority::as_str)
            .into_iter()
            .chain(named)
            .all(|authority| self.include(authority))
    }
}

/// Answers only those who call this machine by its name.
pub(super) async fn check(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    if hosts.take(request.uri(), request.headers()) {
        return next.run(request).await;
    }
    Problem::new(
        StatusCode::MISDIRECTED_REQUEST,
        "misdirected",
        "Host: without [auth] only localhost, loopback addresses, the listener's own and http.public_url are answered to, so that \
         no page of another site that calls itself something else can make this call",
    )
    .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_answered_to() {
        let hosts = Hosts {
            listen: IpAddr::from([192, 0, 2, 7]),
            public: Some("lacuna.example.org".to_owned()),
        };
        for own in [
            "localhost",
            "LOCALHOST:8080",
            "localhost.",
            "lacuna.localhost:1",
            "127.0.0.1:8080",
            "127.9.9.9",
            "[::1]:8080",
            "[::ffff:127.0.0.1]",
            "192.0.2.7:8080",
            "lacuna.example.org",
        ] {
            assert!(hosts.include(own), "{own}");
        }
        for other in [
            "",
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "192.0.2.8",
            "0.0.0.0:8080",
            "[::]:8080",
            "user@evil.example",
            "a b",
        ] {
            assert!(!hosts.include(other), "{other}");
        }
    }

    #[test]
    fn every_name_counts() {
        let hosts = Hosts {
            listen: IpAddr::from([127, 0, 0, 1]),
            public: None,
        };
        let headers = |host: &str| HeaderMap::from_iter([(header::HOST, host.parse().unwrap())]);
        let take = |uri: &str, headers: &HeaderMap| hosts.take(&uri.parse().unwrap(), headers);
        assert!(take("/v1/requests", &headers("localhost:8080")));
        assert!(take("/v1/requests", &HeaderMap::new()));
        assert!(!take("/v1/requests", &headers("evil.example")));
        assert!(!take("http://evil.example/v1/requests", &HeaderMap::new()));
        assert!(!take("http://localhost/v1/requests", &headers("evil.example")));
        assert!(!take("http://evil.example/v1/requests", &headers("localhost")));
    }
}
