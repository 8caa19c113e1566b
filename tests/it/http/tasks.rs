//! Tasks: listed, done again, done without. And the processors that have them.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::fixture::{Api, ack, api};

async fn walk(api: &Api, query: &str) -> (Vec<Value>, usize) {
    let (mut tasks, mut pages, mut cursor) = (Vec::new(), 0, String::new());
    loop {
        let page = api
            .get("ops", &format!("/v1/tasks?limit=3&{query}{cursor}"))
            .await
            .ok(200);
        tasks.extend(page["items"].as_array().unwrap().clone());
        pages += 1;
        let Some(next) = page["next_cursor"].as_str() else {
            return (tasks, pages);
        };
        cursor = format!("&cursor={next}");
    }
}

#[tokio::test]
async fn tasks_are_listed_by_processor_and_state() {
    let api = api().await;
    for n in 0..5 {
        let id = api.submit(json!({})).await;
        if n < 2 {
            let task = api.task_message(id, "crm").await;
            api.post("crm", "/v1/acks", &ack(&task, json!({}))).await.ok(200);
        }
    }
    for (query, expected) in [
        ("", 10_usize),
        ("processor=crm", 5),
        ("state=dispatched", 8),
        ("state=done", 2),
        ("processor=stats&state=dispatched", 5),
        ("processor=stats&state=done", 0),
        ("processor=nobody", 0),
    ] {
        let (tasks, pages) = walk(&api, query).await;
        let ids: BTreeSet<&str> = tasks
            .iter()
            .map(|task| task["task_id"].as_str().unwrap())
            .collect();
        assert_eq!(
            (tasks.len(), ids.len(), pages),
            (expected, expected, expected.div_ceil(3).max(1)),
            "{query}"
        );
    }
    let (tasks, _) = walk(&api, "state=done").await;
    assert_eq!(
        (&tasks[0]["tenant"], &tasks[0]["outcome"]),
        (&json!("default"), &json!("erased"))
    );

    let processors = api.get("ops", "/v1/processors").await.ok(200);
    assert_eq!(processors["revision"], 1);
    assert_eq!(
        processors["items"][0],
        json!({
            "id": "crm", "name": "CRM vendor", "kind": "crm", "actions": ["erase", "anonymize"],
            "transport": { "type": "kafka", "topic": "lacuna.tasks.crm" }, "identities": ["email", "customer_id"],
            "tasks": { "dispatched": 3, "done": 2 }, "lane": "open", "undeliverable": 0, "ready": 0, "in_flight": 3,
            "oldest_ready_seconds": null, "oldest_unanswered_seconds": 0,
            "ack_seconds": { "p50": 0.001, "p99": 0.001 }, "outcomes_hour": { "erased": 2 },
            "outcomes_day": { "erased": 2 }, "not_found_share": 0.0, "not_found_share_usual": null,
        })
    );
    assert_eq!(processors["items"][1]["transport"]["topic"], "stats-tasks");
    assert_eq!(processors["items"][2]["tasks"], json!({}));
}

#[tokio::test]
async fn a_rejected_task_is_retried_and_then_waived() {
    let api = api().await;
    let id = api.submit(json!({})).await;
    let stats = api.task_message(id, "stats").await;
    api.post("stats", "/v1/acks", &ack(&stats, json!({})))
        .await
        .ok(200);
    let task = api.task_message(id, "crm").await;
    let task_id = task["task_id"].as_str().unwrap();
    let refusal =
        json!({ "outcome": "rejected", "message": "first try", "evidence": { "reference": "r-1" } });
    api.post("crm", "/v1/acks", &ack(&task, refusal)).await.ok(200);
    let detail = api.get("ops", &format!("/v1/requests/{id}")).await.ok(200);
    assert_eq!(detail["task_list"][0]["why"], "rejected");
    assert_eq!(
        detail["task_list"][0]["evidence"],
        json!({ "reference": "r-1", "message": "first try" })
    );

    let retried = api
        .call(
            Method::POST,
            Some("ops"),
            &format!("/v1/tasks/{task_id}/retry"),
            None,
        )
        .await
        .ok(200);
    assert_eq!(
        (&retried["task_id"], &retried["generation"]),
        (&json!(task_id), &json!(2))
    );
    assert_eq!(
        (&retried["attempt"], &retried["state"]),
        (&json!(1), &json!("dispatched"))
    );
    assert_eq!(retried["request"]["status"], "in_progress");
    // What an earlier generation brought proves nothing about this one.
    let detail = api.get("ops", &format!("/v1/requests/{id}")).await.ok(200);
    assert_eq!(detail["task_list"][0]["evidence"], Value::Null);
    api.post("crm", "/v1/acks", &ack(&task, json!({})))
        .await
        .is(409, "stale_ack");
    let again = api
        .task_message_where(id, "crm", |task| task["generation"] == 2)
        .await;
    assert_eq!(again["task_id"], task_id);

    let waive = format!("/v1/tasks/{task_id}/waive");
    for body in [json!({}), json!({ "reason": "" }), json!({ "reason": 1 })] {
        let reply = api.post("ops", &waive, &body).await;
        reply.is(400, "schema");
        assert_eq!(reply.fields(), ["reason"]);
    }
    let waived = api
        .post("ops", &waive, &json!({ "reason": "the contract has ended" }))
        .await
        .ok(200);
    assert_eq!(
        (&waived["state"], &waived["request"]["status"]),
        (&json!("waived"), &json!("closed_with_exceptions"))
    );
    api.post("ops", &waive, &json!({ "reason": "again" }))
        .await
        .is(409, "wrong_state");
    api.post("ops", &format!("/v1/tasks/{task_id}/retry"), &json!({}))
        .await
        .is(409, "wrong_state");
}

#[tokio::test]
async fn what_cannot_be_decided_says_why() {
    let api = api().await;
    let id = api.submit(json!({ "not_before": "2026-12-01T00:00:00Z" })).await;
    let detail = api.get("ops", &format!("/v1/requests/{id}")).await.ok(200);
    let task_id = detail["task_list"][0]["task_id"].as_str().unwrap();
    api.post("ops", &format!("/v1/tasks/{task_id}/retry"), &json!({}))
        .await
        .is(409, "wrong_state");
    for call in ["retry", "waive"] {
        for nothing in [Uuid::now_v7().to_string(), "x".to_owned()] {
            let reply = api
                .post(
                    "ops",
                    &format!("/v1/tasks/{nothing}/{call}"),
                    &json!({ "reason": "x" }),
                )
                .await;
            reply.is(404, "not_found");
        }
    }
}
