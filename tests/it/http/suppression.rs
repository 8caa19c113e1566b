//! The suppression list, as whoever imports data asks it.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::fixture::{Api, ack, api};

const CHECK: &str = "/v1/suppression/check";

async fn check(api: &Api, body: Value) -> Vec<Value> {
    let answer = api.post("shop", CHECK, &body).await.ok(200);
    answer["items"].as_array().unwrap().clone()
}

fn email(value: &str) -> Value {
    json!({ "type": "email", "value": value })
}

#[tokio::test]
async fn answers_come_in_the_order_of_the_questions() {
    let api = api().await;
    api.submit(json!({ "tenant": "acme", "scope": {} })).await;
    let identities = json!([
        email("bob@example.org"),
        email(" ANN@Example.org"),
        { "type": "customer_id", "value": "4711" },
        email("ann@example.org"),
        { "type": "user_id", "value": "4711" },
    ]);
    let since = "2026-11-21T12:00:00Z";
    let found = check(&api, json!({ "tenant": "acme", "identities": identities })).await;
    let expected = json!([
        { "index": 0, "suppressed": false },
        { "index": 1, "suppressed": true, "since": since },
        { "index": 2, "suppressed": true, "since": since },
        { "index": 3, "suppressed": true, "since": since },
        { "index": 4, "suppressed": false },
    ]);
    assert_eq!(json!(found), expected);
    // Another tenant, one that nobody knows, and the default one.
    for other in [json!({ "tenant": "globex" }), json!({ "tenant": "default" })] {
        let mut body = json!({ "identities": identities });
        for (name, value) in other.as_object().unwrap() {
            body[name] = value.clone();
        }
        let found = check(&api, body).await;
        assert!(found.iter().all(|item| item["suppressed"] == false), "{other}");
    }
    assert!(
        check(&api, json!({ "tenant": "acme", "identities": [] }))
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn a_check_names_its_tenant_where_several_are_served() {
    let ask = async |api: &Api, bearer: &str| {
        let body = json!({ "identities": [email("ann@example.org")] });
        api.post(bearer, CHECK, &body).await
    };
    let found = api().await;
    assert_eq!(
        ask(&found, "shop").await.ok(200)["items"][0]["suppressed"],
        false,
        "nobody else has sent anything"
    );
    found.submit(json!({ "tenant": "acme", "scope": {} })).await;
    let reply = ask(&found, "shop").await;
    reply.is(400, "schema");
    assert_eq!(reply.fields(), ["tenant"]);
    // A bearer of one tenant means its own.
    assert_eq!(
        ask(&found, "acme-shop").await.ok(200)["items"][0]["suppressed"],
        true
    );
}

#[tokio::test]
async fn what_is_nobodys_is_not_suppressed_and_stops_no_import() {
    let api = api().await;
    api.submit(json!({ "tenant": "acme", "scope": {} })).await;
    let identities = json!([
        email("n/a"),
        { "type": "phone", "value": "unknown" },
        { "type": "phone", "value": "not given" },
        { "type": "device_id", "value": "00000000-0000-0000-0000-000000000000" },
        email("\u{feff}ann@example.org."),
    ]);
    let found = check(&api, json!({ "tenant": "acme", "identities": identities })).await;
    let suppressed: Vec<bool> = found.iter().map(|item| item["suppressed"] == true).collect();
    assert_eq!(suppressed, [false, false, false, false, true]);
    // The same values open no request.
    for (place, identity) in identities.as_array().unwrap()[..4].iter().enumerate() {
        let subject = json!({ "identities": [identity] });
        let command = super::fixture::command(json!({ "subject": subject }));
        let reply = api.post("shop", "/v1/requests", &command).await;
        reply.is(400, "schema");
        assert_eq!(
            reply.fields(),
            ["subject.identities[0].value"],
            "{place}: {}",
            reply.text
        );
    }
}

#[tokio::test]
async fn only_unlimited_request_past_its_gates_suppresses() {
    let api = api().await;
    let person = |name: &str| json!({ "identities": [email(&format!("{name}@example.org")), { "type": "customer_id", "value": name }] });
    let all = json!({});
    api.submit(json!({ "subject": person("limited"), "scope": { "processors": ["crm"] } }))
        .await;
    api.submit(json!({ "subject": person("later"), "scope": all, "not_before": "2026-11-24T00:00:00Z" }))
        .await;
    let cancelled = api
        .submit(json!({ "subject": person("cancelled"), "scope": all, "not_before": "2026-11-24T00:00:00Z" }))
        .await;
    api.post("dpo", &format!("/v1/requests/{cancelled}/cancel"), &json!({}))
        .await
        .ok(200);
    let done = api
        .submit(
            json!({ "subject": person("done"), "scope": all, "requested_at": "2026-11-20T08:00:00Z",
                        "exclude": [{ "processor": "stats", "basis": "independent_authorization" }] }),
        )
        .await;
    let task = api.task_message(done, "crm").await;
    api.post("crm", "/v1/acks", &ack(&task, json!({}))).await.ok(200);
    let names = ["limited", "later", "cancelled", "done"];
    let ask = async || {
        let identities: Vec<Value> = names.map(|name| email(&format!("{name}@example.org"))).to_vec();
        let found = check(&api, json!({ "identities": identities })).await;
        found.iter().map(|item| item["since"].clone()).collect::<Vec<_>>()
    };
    let asked = json!("2026-11-20T08:00:00Z");
    assert_eq!(
        ask().await,
        [Value::Null, Value::Null, Value::Null, asked.clone()]
    );
    api.clock.advance(Duration::from_secs(3 * 24 * 3600));
    api.wake().await;
    assert_eq!(
        ask().await,
        [Value::Null, json!("2026-11-21T12:00:00Z"), Value::Null, asked]
    );
    let back = json!({ "command_id": Uuid::now_v7(), "type": "reactivated", "at": "2026-11-24T12:00:00Z",
                       "subject": person("done") });
    api.post("shop", "/v1/requests", &back).await.ok(202);
    assert_eq!(ask().await[3], Value::Null, "the person is back");
}

#[tokio::test]
async fn a_thousand_are_answered_and_one_more_is_too_many() {
    let api = api().await;
    api.submit(json!({ "scope": {} })).await;
    let mut identities: Vec<Value> = (0..999).map(|n| email(&format!("{n}@example.org"))).collect();
    identities.push(email("ann@example.org"));
    let found = check(&api, json!({ "identities": identities })).await;
    assert_eq!(found.len(), 1_000);
    for (n, item) in found.iter().enumerate() {
        assert_eq!(
            (&item["index"], &item["suppressed"]),
            (&json!(n), &json!(n == 999))
        );
    }
    identities.push(email("zoe@example.org"));
    let reply = api
        .post("shop", CHECK, &json!({ "identities": identities }))
        .await;
    reply.is(413, "too_large");
    assert_eq!(reply.fields(), ["identities"]);
    let metrics = api.call(Method::GET, None, "/metrics", None).await.text;
    assert!(metrics.contains("lacuna_suppression_checks_total{result=\"suppressed\"} 1\n"));
    assert!(metrics.contains("lacuna_suppression_checks_total{result=\"clear\"} 999\n"));
}

#[tokio::test]
async fn bad_questions_have_typed_answers() {
    let api = api().await;
    for (body, field) in [
        (json!({}), "identities"),
        (json!({ "identities": {} }), "identities"),
        (
            json!({ "identities": [{ "type": "email" }] }),
            "identities[0].value",
        ),
        (
            json!({ "identities": [{ "type": "E-Mail", "value": "x" }] }),
            "identities[0].type",
        ),
        (json!({ "identities": [email("")] }), "identities[0].value"),
        (json!({ "identities": [], "tenant": "no tenant" }), "tenant"),
    ] {
        let reply = api.post("shop", CHECK, &body).await;
        reply.is(400, "schema");
        assert_eq!(reply.fields(), [field], "{body}");
    }
    api.call(Method::POST, Some("shop"), CHECK, Some("{"))
        .await
        .is(400, "not_json");
    let large = format!("{{\"identities\":[{}]}}", " ".repeat(1 << 20));
    api.call(Method::POST, Some("shop"), CHECK, Some(&large))
        .await
        .is(413, "too_large");
    api.get("shop", CHECK).await.is(405, "method_not_allowed");
}
