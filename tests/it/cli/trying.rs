//! `processors test` and what `check` says of webhooks.

use super::workspace::Workspace;
use crate::{
    support::free_port,
    transport::peer::{Peer, json, with_headers},
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn with(keys: &str) -> Workspace {
    let workspace = Workspace::with("kafka.bootstrap_servers = \"embedded\"\n");
    workspace.write(
        "processors.toml",
        &format!(
            "[[processor]]\nid = \"crm\"\nname = \"CRM vendor\"\nkind = \"crm\"\nactions = [\"erase\"]\nidentities = [\"email\", \
             \"customer_id\"]\ntransport = {{ type = \"webhook\", {keys} }}\n[[processor]]\nid = \"billing\"\nkind = \
             \"payments\"\nactions = [\"erase\"]\nidentities = [\"email\"]\ntransport = {{ type = \"kafka\" }}\n"
        ),
    );
    workspace
}

#[tokio::test]
async fn a_webhook_is_tried_and_no_secret_is_shown() {
    let peer = Peer::start(|call| {
        assert_eq!(call.json()["action"], "verify", "it must erase nobody");
        json(200, r#"{"outcome":"absent"}"#)
    })
    .await;
    let workspace = with(&format!(
        "url = \"{}\", secret = \"file:secret\", headers = {{ Authorization = \"file:token\", X-Team = \"privacy\" }}",
        peer.url()
    ));
    workspace.write("secret", SECRET);
    workspace.write("token", "Bearer hunter2");
    let done = workspace.run(&["processors", "test", "crm"]).await.expect(0);
    for shown in [
        "crm (CRM vendor)",
        "signing with v1",
        &format!("connected  {}, without TLS", peer.address),
        "webhook-id: ",
        "webhook-signature: v1,",
        "authorization: (set)",
        "lacuna-test-nobody@example.invalid",
        "\"action\": \"verify\"",
        "\"token\": \"(the token)\"",
        "Nothing was sent.",
    ] {
        assert!(done.stdout.contains(shown), "{shown}\n{}", done.stdout);
    }
    assert!(peer.calls().is_empty());
    let sent = workspace
        .run(&["processors", "test", "crm", "--send"])
        .await
        .expect(0);
    assert!(sent.stdout.contains("answered 200 OK"), "{}", sent.stdout);
    assert!(
        sent.stdout.contains("It is an ack with the outcome absent."),
        "{}",
        sent.stdout
    );
    assert_eq!(peer.calls().len(), 1);
    for text in [done.stdout, done.stderr, sent.stdout, sent.stderr] {
        assert!(
            !text.contains("hunter2") && !text.contains(&SECRET[6..]),
            "{text}"
        );
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_webhook_has_its_exit_code() {
    let page =
        Peer::start(|_| with_headers(200, "content-type: text/html\r\n", b"<h1>\x1b[31mWelcome</h1>")).await;
    let good = format!("secret = \"{SECRET}\"");
    let cases = [
        (
            format!("url = \"{}\", {good}", page.url()),
            "crm",
            1,
            "answered 200 with a body that is no ack",
        ),
        (
            format!("url = \"http://127.0.0.1:{}/\", {good}", free_port()),
            "crm",
            3,
            "the connection was refused",
        ),
        (
            format!("url = \"{}\", secret = \"env:NO_SUCH_SECRET\"", page.url()),
            "crm",
            2,
            "transport.secret: the environment variable NO_SUCH_SECRET is not set",
        ),
        (
            format!("url = \"{}\", {good}, ca = \"ca.pem\"", page.url()),
            "crm",
            2,
            "ca.pem: there is no such file",
        ),
        (
            format!("url = \"{}\", {good}", page.url()),
            "billing",
            2,
            "reached by kafka",
        ),
        (
            format!("url = \"{}\", {good}", page.url()),
            "ads",
            1,
            "no processor \"ads\" is registered",
        ),
    ];
    for (keys, id, code, says) in cases {
        let done = with(&keys)
            .run(&["processors", "test", id, "--send"])
            .await
            .expect(code);
        assert!(done.stderr.contains(says), "{says}\n{}", done.stderr);
        assert!(!done.stdout.contains('\u{1b}'), "{}", done.stdout);
    }
}

#[tokio::test]
async fn the_inside_is_not_tried_where_it_is_closed() {
    let peer = Peer::start(|_| json(200, r#"{"outcome":"absent"}"#)).await;
    let workspace = with(&format!("url = \"{}\", secret = \"{SECRET}\"", peer.url()));
    workspace.write(
        "lacuna.toml",
        "kafka.bootstrap_servers = \"embedded\"\nwebhook.allow_private = false\n",
    );
    let done = workspace
        .run(&["processors", "test", "crm", "--send"])
        .await
        .expect(2);
    assert!(
        done.stderr.contains("127.0.0.1 is a loopback address"),
        "{}",
        done.stderr
    );
    assert_eq!(peer.connections(), 0);
}

#[tokio::test]
async fn check_names_secrets_and_certificates_that_are_missing() {
    let workspace = with("url = \"https://crm.example.org\", secret = [\"env:NO_SUCH_SECRET\"]");
    let done = workspace.run(&["check"]).await.expect(2);
    assert!(
        done.stderr.contains("processors.toml: processor \"crm\": transport.secret: the environment variable NO_SUCH_SECRET is not set"),
        "{}",
        done.stderr
    );
    let workspace = with(
        "url = \"https://crm.example.org\", secret = \"file:secret\", client_cert = \"ours.pem\", client_key = \"ours.key\"",
    );
    workspace.write("secret", SECRET);
    let done = workspace.run(&["check"]).await.expect(2);
    assert!(
        done.stderr.contains("transport.client_cert: ") && done.stderr.contains("no such file"),
        "{}",
        done.stderr
    );
    let workspace = with(&format!(
        "url = \"http://crm.example.org\", secret = \"{SECRET}\""
    ));
    let done = workspace.run(&["check"]).await.expect(0);
    assert!(
        done.stdout
            .contains("crm: transport.secret is a secret that stands in the registry"),
        "{}",
        done.stdout
    );
    assert!(
        done.stdout.contains("crm: transport.url is http://"),
        "{}",
        done.stdout
    );
    assert!(!done.stdout.contains(&SECRET[6..]));
    let shown = workspace.run(&["registry", "diff"]).await;
    assert!(
        !shown.stdout.contains(&SECRET[6..]) && !shown.stderr.contains(&SECRET[6..]),
        "{shown:?}"
    );
}

#[tokio::test]
async fn a_processor_of_opendsr_is_connected_to_and_sent_nothing() {
    let peer = Peer::start(|_| json(200, "{}")).await;
    let workspace = with("url = \"http://unused\", secret = \"env:UNUSED\"");
    workspace.write(
        "processors.toml",
        &format!(
            "[[processor]]\nid = \"ads\"\nkind = \"advertising\"\nactions = [\"erase\"]\nidentities = \
             [\"email\"]\ntransport = {{ type = \"opendsr\", url = \"{}\" }}\n",
            peer.url()
        ),
    );
    let done = workspace.run(&["processors", "test", "ads"]).await.expect(0);
    assert!(
        done.stdout.contains(&format!("connected  {}", peer.address)),
        "{}",
        done.stdout
    );
    workspace
        .run(&["processors", "test", "ads", "--send"])
        .await
        .expect(2);
    assert!(peer.calls().is_empty());
}
