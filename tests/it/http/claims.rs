//! Tasks that an agent asks for over HTTP.

use std::time::Duration;

use lacuna::clock::Stopwatch;
use serde_json::{Value, json};

use super::fixture::{Api, ack, registered};

const REGISTRY: &str = r#"
[[processor]]
id = "crm"
kind = "hosting"
transport = { type = "agent" }
actions = ["erase", "anonymize"]
identities = ["email", "customer_id"]
[[processor]]
id = "stats"
kind = "analytics"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["customer_id"]
"#;

async fn claim(api: &Api, limit: u32) -> Vec<Value> {
    let body = json!({ "processor": "crm", "limit": limit });
    let answer = api.post("crm", "/v1/tasks/claim", &body).await.ok(200);
    answer["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn claimed_task_is_a_message_and_its_ack_settles() {
    let api = registered(REGISTRY).await;
    let id = api.submit(json!({})).await;
    let claimed = claim(&api, 10).await;
    assert_eq!(claimed.len(), 1);
    let task = &claimed[0];
    assert_eq!(
        (&task["request_id"], &task["processor"], &task["attempt"]),
        (&json!(id), &json!("crm"), &json!(1))
    );
    assert_eq!(task["ack"]["url"], json!(format!("{}/v1/acks", api.base)));
    assert!(!task["identities"].as_array().unwrap().is_empty());
    assert!(claim(&api, 10).await.is_empty(), "it is claimed once");

    let evidence =
        json!({ "method": "delete", "records": 14, "by_table": { "orders": 12, "shop.people": 2 } });
    let answer = ack(task, json!({ "outcome": "erased", "evidence": evidence }));
    api.post("crm", "/v1/acks", &answer).await.ok(200);
    let shown = api.get("dpo", &format!("/v1/requests/{id}")).await.ok(200);
    let of_crm = shown["task_list"].as_array().unwrap().iter();
    let of_crm: Vec<&Value> = of_crm.filter(|task| task["processor"] == "crm").collect();
    assert_eq!(
        (&of_crm[0]["state"], &of_crm[0]["evidence"]["by_table"]),
        (&json!("done"), &json!({ "orders": 12, "shop.people": 2 }))
    );
    api.end().await;
}

#[tokio::test]
async fn claim_of_others_and_bad_bodies_are_refused() {
    let api = registered(REGISTRY).await;
    let cases = [
        ("shop", json!({ "processor": "crm" }), 403, "forbidden"),
        ("ops", json!({ "processor": "crm" }), 403, "forbidden"),
        ("stats", json!({ "processor": "crm" }), 403, "forbidden"),
        ("ads", json!({ "processor": "ads" }), 404, "not_found"),
        ("stats", json!({ "processor": "stats" }), 409, "wrong_state"),
        ("crm", json!({}), 400, "schema"),
        ("crm", json!({ "processor": "crm", "limit": 0 }), 400, "schema"),
        ("crm", json!({ "processor": "crm", "limit": 501 }), 400, "schema"),
        (
            "crm",
            json!({ "processor": "crm", "wait_seconds": 31 }),
            400,
            "schema",
        ),
    ];
    for (bearer, body, status, code) in cases {
        api.post(bearer, "/v1/tasks/claim", &body).await.is(status, code);
    }
    api.end().await;
}

#[tokio::test]
async fn claim_that_waits_gets_what_comes_meanwhile() {
    let api = registered(REGISTRY).await;
    let body = json!({ "processor": "crm", "limit": 5, "wait_seconds": 15 });
    let waiting = async {
        let asked = Stopwatch::start();
        let answer = api.post("crm", "/v1/tasks/claim", &body).await.ok(200);
        (answer["items"].as_array().unwrap().len(), asked.elapsed())
    };
    let ((claimed, took), id) = tokio::join!(waiting, api.submit(json!({})));
    assert_eq!(claimed, 1, "of {id}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    api.end().await;
}

#[tokio::test]
async fn claim_that_finds_nothing_is_answered_empty() {
    let api = registered(REGISTRY).await;
    let asked = Stopwatch::start();
    let body = json!({ "processor": "crm", "wait_seconds": 1 });
    let answer = api.post("crm", "/v1/tasks/claim", &body).await.ok(200);
    assert_eq!(answer, json!({ "items": [] }));
    assert!(asked.elapsed() >= Duration::from_secs(1));
    api.end().await;
}
