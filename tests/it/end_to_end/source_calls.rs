//! Upstreams that call over HTTP, through the real binary: what is signed is taken, once; what is not changes nothing.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use lacuna::clock::Clock;
use serde_json::{Value, json};
use sha2::Sha256;

use super::sources::REGISTRY;
use crate::support::{Deployment, StoreKind, Worker, service};

const SECRET: &str = "the-apps-client-secret";
const STANDARD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

const SOURCES: &str = r#"
[[source]]
name = "shopify"
http = { path = "/webhooks/shopify", signature = { scheme = "hmac-sha256-base64", header = "X-Shopify-Hmac-Sha256", secret = ["the-next-client-secret", "the-apps-client-secret"] } }
format = "json"
when = { "/shop_id" = { present = true }, "/customer" = { present = true }, "/data_request" = { present = false } }
command = { type = "erase", reason = "subject_request" }
map = { "identity.customer_id" = "/customer/id", "identity.email" = "/customer/email" }

[[source]]
name = "accounts"
http = { path = "/v1/sources/accounts", signature = { scheme = "standard-webhooks", secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" } }
format = "cloudevents"
when = { "/ce/type" = "account.deleted" }
command = { type = "erase", reason = "account_closed" }
map = { "identity.customer_id" = "/customerId" }
"#;

/// A deployment that is called, and its worker.
struct Called {
    deployment: Deployment,
    worker: Worker,
}

impl Called {
    fn start() -> Self {
        let deployment = Deployment::new(StoreKind::Sqlite, REGISTRY);
        let config = std::fs::read_to_string(deployment.path("lacuna.toml")).unwrap();
        deployment.write("lacuna.toml", &format!("{config}{SOURCES}"));
        let worker = deployment.serve();
        Self { deployment, worker }
    }

    fn call(&self, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, Value) {
        let url = format!("http://127.0.0.1:{}{path}", self.deployment.http);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(async {
            let mut call = reqwest::Client::new().post(url).body(body.to_owned());
            for (name, value) in headers {
                call = call.header(*name, *value);
            }
            let answer = call.send().await.unwrap();
            (answer.status().as_u16(), answer.json().await.unwrap())
        })
    }

    fn requests(&self) -> i64 {
        self.deployment.number("select count(*) from request")
    }

    fn counted(&self, source: &str, result: &str) -> f64 {
        let series = format!("lacuna_source_events_total{{result=\"{result}\",source=\"{source}\"}}");
        self.deployment.metric(&series).unwrap_or_default()
    }
}

fn hmac(secret: &str, body: &str) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    BASE64_STANDARD.encode(mac.chain_update(body.as_bytes()).finalize().into_bytes())
}

fn redact(customer: &Value) -> String {
    json!({ "shop_id": 954889, "shop_domain": "snowdevil.myshopify.com", "customer": customer, "orders_to_redact": [1] })
        .to_string()
}

#[test]
fn shopify_call_is_taken_once_and_a_forged_one_never() {
    let called = Called::start();
    let body = redact(&json!({ "id": 191_167, "email": "john@example.org" }));
    let (topic, id) = ("X-Shopify-Topic", "X-Shopify-Webhook-Id");
    // Whoever has seen the call could send it again with headers of their own: they change nothing.
    let signed_as = |secret: &str, body: &str, of: &str, named: &str| {
        let mac = hmac(secret, body);
        called.call(
            "/webhooks/shopify",
            &[("X-Shopify-Hmac-Sha256", mac.as_str()), (topic, of), (id, named)],
            body,
        )
    };
    let signed = |secret: &str, body: &str, of: &str| {
        signed_as(secret, body, of, "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043")
    };
    for forged in [
        called.call(
            "/webhooks/shopify",
            &[(topic, "customers/redact"), (id, "x")],
            &body,
        ),
        signed("some-other-secret", &body, "customers/redact"),
        called.call(
            "/webhooks/shopify",
            &[
                ("X-Shopify-Hmac-Sha256", hmac(SECRET, "{}").as_str()),
                (topic, "customers/redact"),
            ],
            &body,
        ),
    ] {
        assert_eq!(
            (forged.0, &forged.1["code"]),
            (401, &json!("forged_signature")),
            "{}",
            forged.1
        );
    }
    assert_eq!(called.requests(), 0);
    // Both secrets count while one replaces the other, and a repeat changes nothing.
    let (status, first) = signed(SECRET, &body, "customers/redact");
    assert_eq!((status, first["request_id"].is_string()), (202, true), "{first}");
    for (secret, named) in [("the-next-client-secret", "another-id"), (SECRET, "a-third-id")] {
        let (status, said) = signed_as(secret, &body, "customers/redact", named);
        assert_eq!((status, &said), (202, &first), "{said}");
    }
    assert_eq!(called.requests(), 1);
    // Another event of the same app, signed with the same secret, stays what it is under any topic and at any path.
    let asked = json!({ "shop_id": 954889, "customer": { "id": 7 }, "orders_requested": [1], "data_request": { "id": 9 } });
    let order = json!({ "id": 1, "customer": { "id": 7, "email": "john@example.org" } });
    for other in [asked.to_string(), order.to_string()] {
        let (status, said) = signed(SECRET, &other, "customers/redact");
        assert_eq!((status, &said["skipped"]), (200, &json!(true)), "{said}");
    }
    assert_eq!(called.requests(), 1);
    assert_eq!(
        (
            called.counted("shopify", "taken"),
            called.counted("shopify", "forged")
        ),
        (3.0, 3.0)
    );
    assert_eq!(
        called
            .deployment
            .metric("lacuna_auth_failures_total{kind=\"signature\"}"),
        Some(3.0)
    );
    called.worker.stop();
}

#[test]
fn call_that_cannot_be_mapped_is_told_so_without_a_value() {
    let called = Called::start();
    let signed = |body: &str, id: &str| {
        let mac = hmac(SECRET, body);
        let headers = [
            ("X-Shopify-Hmac-Sha256", mac.as_str()),
            ("X-Shopify-Topic", "customers/redact"),
            ("X-Shopify-Webhook-Id", id),
        ];
        called.call("/webhooks/shopify", &headers, body)
    };
    // Each identifier may be missing, and the whole customer too.
    let (status, _) = signed(&redact(&json!({ "email": "john@example.org" })), "1");
    assert_eq!(status, 202);
    for (body, code, status) in [
        (redact(&json!({})), "unmapped", 422),
        (redact(&json!({ "id": { "n": 4711 } })), "unmapped", 422),
        (redact(&json!({ "email": "canary" })), "unmapped", 422),
        ("{".to_owned(), "not_json", 400),
    ] {
        let (answered, said) = signed(&body, "2");
        assert_eq!((answered, &said["code"]), (status, &json!(code)), "{said}");
        assert!(
            !said.to_string().contains("canary") && !said.to_string().contains("4711"),
            "{said}"
        );
    }
    let large = format!("\"{}\"", "x".repeat(1 << 20));
    assert_eq!(signed(&large, "3").0, 413);
    assert_eq!(called.requests(), 1);
    called.worker.stop();
}

#[test]
fn attributes_that_no_signature_covers_are_not_believed() {
    let called = Called::start();
    let now = (Clock::System.now().millis() / 1000).to_string();
    let body = r#"{"customerId":7}"#;
    let key = BASE64_STANDARD
        .decode(STANDARD.trim_start_matches("whsec_"))
        .unwrap();
    let mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    let signed = mac
        .chain_update(format!("msg_1.{now}.{body}"))
        .finalize()
        .into_bytes();
    let signature = format!("v1,{}", BASE64_STANDARD.encode(signed));
    // Rightly signed, and in binary mode: what kind of event it is stands in a header.
    let headers = [
        ("webhook-id", "msg_1"),
        ("webhook-timestamp", now.as_str()),
        ("webhook-signature", signature.as_str()),
        ("ce-specversion", "1.0"),
        ("ce-type", "account.deleted"),
        ("ce-id", "1"),
        ("ce-source", "/shop"),
        ("content-type", "application/json"),
    ];
    let (status, said) = called.call("/v1/sources/accounts", &headers, body);
    assert_eq!((status, &said["code"]), (422, &json!("unmapped")), "{said}");
    assert_eq!(called.requests(), 0);
    called.worker.stop();
}

#[test]
fn calls_of_sources_stand_in_the_served_description() {
    let called = Called::start();
    let (status, text) = called.deployment.get("/openapi.json").unwrap();
    assert_eq!(status, 200);
    let served: Value = serde_json::from_str(&text).unwrap();
    let shopify = &served["paths"]["/webhooks/shopify"]["post"];
    assert_eq!(shopify["parameters"][0]["name"], "x-shopify-hmac-sha256");
    assert_eq!(shopify["security"], json!([]));
    let accounts = &served["paths"]["/v1/sources/accounts"]["post"];
    assert!(
        accounts["requestBody"]["content"]["application/cloudevents+json"].is_object(),
        "{accounts}"
    );
    for status in ["200", "202", "401", "413", "422", "503"] {
        assert!(accounts["responses"][status].is_object(), "{status}: {accounts}");
    }
    // It is valid, as a tool of others judges.
    let python = std::path::PathBuf::from(service("LACUNA_TEST_CONTRACTS_PYTHON"));
    std::fs::write(called.deployment.path("openapi.json"), &text).unwrap();
    let judged = std::process::Command::new(python.with_file_name("openapi-spec-validator"))
        .arg(called.deployment.path("openapi.json"))
        .output()
        .unwrap();
    assert!(
        judged.status.success(),
        "{}",
        String::from_utf8_lossy(&judged.stdout)
    );
    called.worker.stop();
}

/// Signed by the library of the standard that PyPI has, which is not ours.
#[test]
fn standard_webhook_of_another_library_is_taken_within_its_time() {
    let called = Called::start();
    let event = json!({ "specversion": "1.0", "type": "account.deleted", "source": "/shop", "id": "1",
                        "data": { "customerId": 7 } })
    .to_string();
    let sign = |age: i64| {
        let program = "import sys, datetime; from standardwebhooks import Webhook\n\
                       at = datetime.datetime.now(tz=datetime.timezone.utc) - datetime.timedelta(seconds=int(sys.argv[2]))\n\
                       print(int(at.timestamp()), Webhook(sys.argv[1]).sign('msg_1', at, sys.argv[3]))";
        let output = std::process::Command::new(service("LACUNA_TEST_PYTHON"))
            .args(["-c", program, STANDARD, &age.to_string(), &event])
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let (time, signature) = said.trim().split_once(' ').unwrap_or_else(|| {
            panic!("{}", String::from_utf8_lossy(&output.stderr));
        });
        (time.to_owned(), signature.to_owned())
    };
    let call = |(time, signature): &(String, String), body: &str| {
        let headers = [
            ("webhook-id", "msg_1"),
            ("webhook-timestamp", time.as_str()),
            ("webhook-signature", signature.as_str()),
            ("content-type", "application/cloudevents+json"),
        ];
        called.call("/v1/sources/accounts", &headers, body)
    };
    let now = sign(0);
    assert_eq!(call(&now, &event).0, 202);
    // Sent again by somebody who has overheard it: nothing changes.
    assert_eq!(call(&now, &event).0, 202);
    assert_eq!(call(&now, &event.replace('7', "8")).0, 401);
    assert_eq!(call(&sign(600), &event).0, 401, "an old call");
    assert_eq!(call(&sign(-600), &event).0, 401, "a call from the future");
    assert_eq!(called.requests(), 1);
    called.worker.stop();
}
