//! The transport `webhook`: what it takes, and what it refuses in which words.

use super::bad_registry::{GOOD, read};
use crate::{
    config::registry_file,
    domain::registry::{HttpOptions, SecretRef, Transport, Webhook},
};

fn with(transport: &str) -> String {
    GOOD.replace("{ type = 'kafka' }", transport)
}

fn webhook(keys: &str) -> Webhook {
    let text = with(&format!("{{ type = 'webhook', {keys} }}"));
    let registry = registry_file::read_text("processors.toml", &text).unwrap();
    match &registry.processors[0].transport {
        Transport::Webhook(webhook) => webhook.clone(),
        other => panic!("{other:?}"),
    }
}

fn secret(text: &str) -> SecretRef {
    SecretRef(text.to_owned())
}

#[test]
fn a_webhook_is_read_with_its_defaults() {
    let read = webhook("url = 'https://crm.example.org/erase', secret = 'env:CRM_SECRET'");
    let expected = Webhook {
        url: "https://crm.example.org/erase".to_owned(),
        secrets: vec![secret("env:CRM_SECRET")],
        timeout: std::time::Duration::from_secs(15),
        http: HttpOptions::default(),
    };
    assert_eq!(read, expected);
}

#[test]
fn every_key_of_a_webhook_arrives() {
    let read = webhook(
        "url = 'http://localhost:9000/a?b=c', secret = ['env:NEW', 'file:old secret'], timeout = '30s', headers = { \
         Authorization = 'env:CRM_TOKEN', X-Team = 'privacy' }, ca = 'ca.pem', client_cert = 'c.pem', client_key = 'k.pem', \
         proxy = 'http://proxy:3128'",
    );
    assert_eq!(read.secrets, [secret("env:NEW"), secret("file:old secret")]);
    assert_eq!(read.timeout.as_secs(), 30);
    let expected = HttpOptions {
        headers: vec![
            ("Authorization".to_owned(), secret("env:CRM_TOKEN")),
            ("X-Team".to_owned(), secret("privacy")),
        ],
        ca: Some("ca.pem".to_owned()),
        client_cert: Some("c.pem".to_owned()),
        client_key: Some("k.pem".to_owned()),
        proxy: Some("http://proxy:3128".to_owned()),
    };
    assert_eq!(read.http, expected);
}

const URL: &str = "url = 'https://a'";
const SECRET: &str = "secret = 'env:S'";

#[test]
fn what_a_webhook_cannot_be_is_named() {
    let no_url = "expected http:// or https:// with a host, and without a password";
    let cases = [
        (String::new(), "secret: missing\nurl: missing".to_owned()),
        (format!("{SECRET}, url = 'ftp://a'"), format!("url: {no_url}")),
        (format!("{SECRET}, url = 'https://u:hunter2@a'"), format!("url: {no_url}")),
        (format!("{SECRET}, url = 'https://'"), format!("url: {no_url}")),
        (format!("{SECRET}, url = \"https://a/\\r\\nX-Evil: 1\""), format!("url: {no_url}")),
        (
            format!("{SECRET}, url = 'https://a/#b'"),
            "url: expected a URL without #: what follows it is never sent".into(),
        ),
        (
            format!("{SECRET}, url = 'https://bücher.example'"),
            "url: expected a URL of ASCII characters, with % for others and xn-- for names in another script".into(),
        ),
        (
            format!("{URL}, secret = 'hunter2'"),
            "secret: expected 24 to 64 bytes: whsec_ and so many in base64 (`echo whsec_$(openssl rand -base64 32)` makes \
             one), or a text of so many"
                .into(),
        ),
        (
            format!("{URL}, secret = ''"),
            "secret: expected env:NAME, file:PATH, sha256:HEX or the secret itself, found an empty text".into(),
        ),
        (format!("{URL}, secret = []"), "secret: expected at least one element".into()),
        (format!("{URL}, secret = ['env:A', 'env:A']"), "secret[1]: listed twice".into()),
        (
            format!("{URL}, secret = 'sha256:{}'", "0".repeat(64)),
            "secret: sha256: cannot be used here: the secret itself is needed".into(),
        ),
        (
            format!("{URL}, {SECRET}, timeout = '0s'"),
            "timeout: expected a duration longer than zero".into(),
        ),
        (
            format!("{URL}, {SECRET}, timeout = '1h'"),
            "timeout: expected at most 10m: answer 202 and send the ack later".into(),
        ),
        (
            format!("{URL}, {SECRET}, tiemout = '1s'"),
            "tiemout: unknown key; did you mean \"timeout\"?".into(),
        ),
        (
            format!("{URL}, {SECRET}, client_cert = 'c.pem'"),
            "client_key: missing: client_cert has to have its key".into(),
        ),
        (
            format!("{URL}, {SECRET}, ca = 'file:ca.pem'"),
            "ca: expected a path, without file: before it".into(),
        ),
    ];
    check(&cases);
}

#[test]
fn headers_and_proxies_that_would_harm_are_refused() {
    let ours = "this header is set by the call itself";
    let of = |headers: &str| format!("{URL}, {SECRET}, headers = {{ {headers} }}");
    let proxy = "proxy: expected http://, a host and a port, without a password, such as http://proxy.example.org:3128";
    let cases = [
        (of("Host = 'a'"), format!("headers.Host: {ours}")),
        (
            of("Webhook-Signature = 'v1,a'"),
            format!("headers.Webhook-Signature: {ours}"),
        ),
        (
            of("X-OpenDSR-Signature = 'a'"),
            format!("headers.X-OpenDSR-Signature: {ours}"),
        ),
        (
            of("transfer-encoding = 'chunked'"),
            format!("headers.transfer-encoding: {ours}"),
        ),
        (
            of("Content-Length = '0'"),
            format!("headers.Content-Length: {ours}"),
        ),
        (
            of("X-A = \"a\\r\\nX-Evil: hunter2\""),
            "headers.X-A: expected a line of ASCII text without control characters".into(),
        ),
        (
            of("\"X-A\\r\\nX-Evil\" = 'a'"),
            "headers.\"X-A\\r\\nX-Evil\": expected the name of a header: letters, digits and -".into(),
        ),
        (
            of("X-A = 'a', x-a = 'b'"),
            "headers.x-a: another header has the same name".into(),
        ),
        (
            of("X-A = 1"),
            "headers.X-A: expected text, found an integer".into(),
        ),
        (
            format!("{URL}, {SECRET}, proxy = 'http://u:hunter2@proxy:1'"),
            proxy.into(),
        ),
        (
            format!("{URL}, {SECRET}, proxy = 'socks5://proxy:1'"),
            proxy.into(),
        ),
    ];
    check(&cases);
}

fn check(cases: &[(String, String)]) {
    for (keys, expected) in cases {
        let text = with(&format!("{{ type = 'webhook', {keys} }}"));
        let expected: Vec<String> = expected
            .lines()
            .map(|line| format!("processors.toml:4: processor \"crm\": transport.{line}"))
            .collect();
        let found = read(&text);
        assert_eq!(found, expected.join("\n"), "{keys}");
        assert!(!found.contains("hunter2"), "{found}");
    }
}

#[test]
fn secrets_that_stand_in_the_registry_are_warned_of() {
    let warnings = |keys: &str| {
        let text = with(&format!("{{ type = 'webhook', {keys} }}"));
        registry_file::warnings(&registry_file::read_text("processors.toml", &text).unwrap())
    };
    assert_eq!(warnings(&format!("{URL}, {SECRET}")), [""; 0]);
    let found = warnings(
        "url = 'http://crm.example.org', secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', headers = { Authorization = \
         'Bearer hunter2', X-Team = 'privacy' }",
    );
    let expected = [
        "crm: transport.secret is a secret that stands in the registry, which is stored as it is written: name it with env: or \
         file:",
        "crm: transport.headers.Authorization is a secret that stands in the registry, which is stored as it is written: name \
         it with env: or file:",
        "crm: transport.url is http://: tasks have personal data, and everyone on the way can read them",
    ];
    assert_eq!(found, expected);
    assert_eq!(
        warnings(&format!("{SECRET}, url = 'http://127.0.0.1:9000'")),
        [""; 0]
    );
}
