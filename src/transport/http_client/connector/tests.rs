//! What is connected to, and what is not.

use super::*;
use crate::{
    domain::registry::HttpOptions,
    transport::{
        http_client::{CallError, TlsFault, tls},
        local::Reader,
    },
};

const INSIDE: [&str; 2] = ["169.254.169.254", "10.0.0.1"];
const OUTSIDE: &str = "8.8.8.8";

fn lookup(found: &[&[&str]]) -> Lookup {
    let found = found
        .iter()
        .rev()
        .map(|found| found.iter().map(|a| a.parse().unwrap()).collect());
    Lookup::Scripted(Arc::new(std::sync::Mutex::new(found.collect())))
}

fn connector(allow_private: bool, lookup: Lookup) -> Connector {
    let tls = tls::client_config(&HttpOptions::default(), &mut Reader::new("".as_ref())).unwrap();
    Connector::with_lookup(Guard { allow_private }, tls, None, lookup)
}

async fn refused(connector: &Connector, url: &str) -> CallError {
    let error = connector.clone().call(url.parse().unwrap()).await.unwrap_err();
    CallError::of_connection(error.as_ref())
}

#[tokio::test]
async fn a_name_that_leads_inside_is_not_connected_to() {
    for inside in INSIDE {
        // One such address among others is enough.
        for found in [&[inside][..], &[OUTSIDE, inside][..]] {
            let error = refused(&connector(false, lookup(&[found])), "http://crm.example.org:9/").await;
            assert!(
                matches!(&error, CallError::Inside { host, .. } if host == "crm.example.org"),
                "{found:?}: {error}"
            );
        }
    }
}

#[tokio::test]
async fn a_name_without_an_address_is_named() {
    let error = refused(&connector(true, lookup(&[&[]])), "http://crm.example.org:9/").await;
    assert_eq!(error, CallError::Unresolved("crm.example.org".to_owned()));
}

#[tokio::test]
async fn an_address_that_changes_is_judged_each_time() {
    let mut resolver = Resolver {
        guard: Guard { allow_private: false },
        lookup: lookup(&[&[OUTSIDE], &[INSIDE[0]]]),
    };
    let name = || "crm.example.org".parse::<Name>().unwrap();
    let first: Vec<SocketAddr> = resolver.call(name()).await.unwrap().collect();
    assert_eq!(first, [format!("{OUTSIDE}:0").parse().unwrap()]);
    assert!(matches!(
        resolver.call(name()).await,
        Err(NoConnection::Inside { .. })
    ));
}

#[tokio::test]
async fn a_connection_goes_to_the_address_that_was_judged() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // A second look-up would find nothing in the script, and fail.
    let connector = connector(true, lookup(&[&["127.0.0.1"]]));
    let url = format!("http://crm.example.org:{}/", address.port());
    let stream = connector.clone().call(url.parse().unwrap()).await.unwrap();
    assert_eq!(stream.peer(), Some(address));
}

#[tokio::test]
async fn an_address_in_any_form_is_not_connected_to() {
    let connector = connector(false, Lookup::System);
    for host in [
        "127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[fd00:ec2::254]",
        "169.254.169.254",
        "0.0.0.0",
        "localhost",
        "127.1",
        "0x7f.1",
        "0177.0.0.1",
        "2130706433",
    ] {
        let error = refused(&connector, &format!("http://{host}:9/")).await;
        assert!(matches!(error, CallError::Inside { .. }), "{host}: {error}");
        let error = refused(&connector, &format!("https://{host}:9/")).await;
        // What is no usual notation of an address fails before it is looked up.
        let is_refused = matches!(error, CallError::Inside { .. } | CallError::Tls(TlsFault::NoName));
        assert!(is_refused, "{host} with TLS: {error}");
    }
}
