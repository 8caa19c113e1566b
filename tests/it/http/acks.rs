//! Acks: a processor's own tasks, each answer counted once.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::fixture::{ack, api};

#[tokio::test]
async fn acks_lead_to_completion() {
    let api = api().await;
    let id = api.submit(json!({})).await;
    for (processor, outcome) in [("crm", "erased"), ("stats", "not_found")] {
        let task = api.task_message(id, processor).await;
        let answer = ack(&task, json!({ "outcome": outcome }));
        assert_eq!(
            api.post(processor, "/v1/acks", &answer).await.ok(200),
            json!({ "result": "counted" })
        );
        assert_eq!(
            api.post(processor, "/v1/acks", &answer).await.ok(200),
            json!({ "result": "repeated" })
        );
    }
    let status = api.get("shop", &format!("/v1/requests/{id}")).await.ok(200);
    assert_eq!(status["status"], "completed");
    assert_eq!(
        status["outcomes"],
        json!({ "erased": 1, "anonymized": 0, "not_found": 1, "attested": 0, "exempt": 0 })
    );
    assert_eq!(
        (&status["why_not_done"], &status["waiting_for"]),
        (&json!([]), &json!([]))
    );
}

#[tokio::test]
async fn what_is_forged_stale_or_foreign_changes_nothing() {
    let api = api().await;
    let id = api.submit(json!({})).await;
    let task = api.task_message(id, "crm").await;
    let before = api.get("dpo", &format!("/v1/requests/{id}")).await.ok(200);
    let cases: [(&str, Value, u16, &str); 8] = [
        ("crm", json!({ "token": "x" }), 403, "forged_ack"),
        ("crm", json!({ "token": "" }), 403, "forged_ack"),
        ("crm", json!({ "attempt": 2 }), 403, "forged_ack"),
        ("stats", json!({}), 403, "forged_ack"),
        ("stats", json!({ "processor": "stats" }), 403, "forged_ack"),
        ("crm", json!({ "task_id": Uuid::now_v7() }), 404, "unknown_task"),
        (
            "crm",
            json!({ "request_id": Uuid::now_v7() }),
            404,
            "unknown_task",
        ),
        ("crm", json!({ "attempt": 0 }), 400, "schema"),
    ];
    for (bearer, with, status, code) in cases {
        api.post(bearer, "/v1/acks", &ack(&task, with))
            .await
            .is(status, code);
    }
    api.call(Method::POST, Some("crm"), "/v1/acks", Some("{"))
        .await
        .is(400, "not_json");
    assert_eq!(
        api.get("dpo", &format!("/v1/requests/{id}")).await.ok(200),
        before
    );

    api.post("crm", "/v1/acks", &ack(&task, json!({}))).await.ok(200);
    let contradiction = ack(&task, json!({ "outcome": "anonymized" }));
    api.post("crm", "/v1/acks", &contradiction)
        .await
        .is(409, "stale_ack");
}

#[tokio::test]
async fn a_failure_is_asked_again_and_then_given_up() {
    let api = api().await;
    let id = api.submit(json!({ "scope": { "processors": ["crm"] } })).await;
    for attempt in 1..=2 {
        let task = api
            .task_message_where(id, "crm", |task| task["attempt"] == attempt)
            .await;
        api.post("crm", "/v1/acks", &ack(&task, json!({ "outcome": "failed" })))
            .await
            .ok(200);
        let late = ack(&task, json!({ "outcome": "rejected" }));
        api.post("crm", "/v1/acks", &late).await.is(409, "stale_ack");
        api.clock.advance(std::time::Duration::from_secs(60));
        api.wake().await;
    }
    let detail = api.get("ops", &format!("/v1/requests/{id}")).await.ok(200);
    assert_eq!(
        (&detail["needs_attention"], &detail["tasks"]["abandoned"]),
        (&json!(true), &json!(1))
    );
    let task = &detail["task_list"][0];
    assert_eq!(
        (&task["state"], &task["why"]),
        (&json!("abandoned"), &json!("attempts_used"))
    );
    assert_eq!(
        (&task["outcome"], &task["attempt"]),
        (&json!("failed"), &json!(2))
    );
}
