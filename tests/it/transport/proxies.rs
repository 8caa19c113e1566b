//! Calls through a proxy: `http` is passed on, `https` is tunnelled, and the proxy's word counts.

use std::path::Path;

use lacuna::{
    domain::words::Outcome,
    transport::sender::{Reply, Sender as _},
};

use super::{
    PATIENCE, SECRET, failure, guarded, outcome,
    peer::{Peer, json, with_headers},
    processor, sender, task,
};

fn through(proxy: &Peer, url: &str) -> lacuna::domain::registry::Processor {
    processor(&format!(
        "url = '{url}', secret = '{SECRET}', proxy = 'http://{}'",
        proxy.address
    ))
}

#[tokio::test]
async fn a_call_without_tls_is_passed_on_with_its_whole_url() {
    // It stands for the target too: a name that only the proxy can resolve.
    let proxy = Peer::start(|_| json(200, r#"{"outcome":"absent"}"#)).await;
    let processor = through(&proxy, "http://crm.internal.invalid/erase?a=b");
    // The proxy may be anywhere, and what it resolves is its affair.
    let reply = guarded(Path::new(""), false)
        .send(&processor, &task(&processor), PATIENCE)
        .await;
    assert_eq!(outcome(&reply), Some(Outcome::Absent));
    let call = proxy.calls().pop().unwrap();
    assert_eq!(call.line, "POST http://crm.internal.invalid/erase?a=b HTTP/1.1");
    assert_eq!(call.headers["host"], "crm.internal.invalid");
}

#[tokio::test]
async fn an_address_in_the_url_is_judged_before_the_proxy_is_asked() {
    let proxy = Peer::start(|_| json(200, r#"{"outcome":"erased"}"#)).await;
    for url in ["http://169.254.169.254/latest", "https://[fd00:ec2::254]/"] {
        let processor = through(&proxy, url);
        let reply = guarded(Path::new(""), false)
            .send(&processor, &task(&processor), PATIENCE)
            .await;
        // The lane stops: it is the configuration's fault.
        assert!(
            matches!(&reply, Reply::Unauthorised(why) if why.contains("metadata")),
            "{reply:?}"
        );
    }
    assert_eq!(proxy.connections(), 0);
}

#[tokio::test]
async fn a_call_with_tls_is_tunnelled_and_a_refusal_is_said() {
    for (status, expected) in [
        (403, "have the URL's host and port allowed there"),
        (502, "does not let the call through"),
    ] {
        let proxy = Peer::start(move |_| with_headers(status, "", b"")).await;
        let processor = through(&proxy, "https://crm.internal.invalid/erase");
        let failed = failure(
            sender(Path::new(""))
                .send(&processor, &task(&processor), PATIENCE)
                .await,
        );
        assert!(
            failed.why.contains(expected) && !failed.may_have_arrived,
            "{}",
            failed.why
        );
        assert_eq!(
            proxy.calls().pop().unwrap().line,
            "CONNECT crm.internal.invalid:443 HTTP/1.1"
        );
    }
    let proxy = Peer::start(|_| with_headers(407, "proxy-authenticate: Basic\r\n", b"")).await;
    for url in ["https://crm.internal.invalid/", "http://crm.internal.invalid/"] {
        let processor = through(&proxy, url);
        let reply = sender(Path::new(""))
            .send(&processor, &task(&processor), PATIENCE)
            .await;
        let Reply::Unauthorised(why) = reply else {
            panic!("{reply:?}")
        };
        assert!(why.contains("407"), "{why}");
    }
}
