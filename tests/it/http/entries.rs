//! The ledger's entries of a request: what was decided about it, by whom, and why.

use serde_json::{Value, json};
use uuid::Uuid;

use super::fixture::{ack, api};

#[tokio::test]
async fn the_ledgers_entries_are_readable() {
    let api = api().await;
    let id = api.submit(json!({})).await;
    let task = api.task_message(id, "crm").await;
    let answer = ack(
        &task,
        json!({ "evidence": { "records": 3 }, "message": "a free text" }),
    );
    api.post("crm", "/v1/acks", &answer).await.ok(200);
    let waive = format!(
        "/v1/tasks/{}/waive",
        api.task_message(id, "stats").await["task_id"].as_str().unwrap()
    );
    api.post("ops", &waive, &json!({ "reason": "gone for good" }))
        .await
        .ok(200);
    let path = format!("/v1/requests/{id}/events");
    let page = api.get("audit", &path).await.ok(200);
    assert_eq!(page["next_cursor"], Value::Null);
    let leaves = page["items"].as_array().unwrap();
    let kinds = |leaf: &Value| -> Vec<String> {
        leaf["entries"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["type"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        leaves
            .iter()
            .map(|leaf| leaf["n"].as_u64().unwrap())
            .collect::<Vec<_>>(),
        [0, 1, 2]
    );
    assert_eq!(kinds(&leaves[0]), ["opened", "task", "task"]);
    assert_eq!(leaves[0]["entries"][0]["processors"], json!(["crm", "stats"]));
    assert_eq!(leaves[0]["entries"][0]["commitment"].as_str().unwrap().len(), 64);
    assert_eq!(kinds(&leaves[1]), ["task", "evidence"]);
    let settled = json!({ "type": "settled", "attempt": 1, "proof": "erased", "at": "2026-11-21T12:00:00Z" });
    assert_eq!(leaves[1]["entries"][0]["event"], settled);
    assert_eq!(leaves[1]["entries"][0]["task_id"], task["task_id"]);
    assert_eq!(kinds(&leaves[2]), ["acted_by", "task", "status", "shredded"]);
    assert_eq!(leaves[2]["entries"][0]["actor"], "ops");
    // A processor's words stay sealed; why a person decided is read back.
    assert!(
        !page.to_string().contains("free text") && !leaves[2]["entries"].to_string().contains("for good")
    );
    assert_eq!(
        leaves[2]["notes"],
        json!([{ "by": "ops", "decision": "waive", "task": 1, "reason": "gone for good" }])
    );

    let first = api.get("audit", &format!("{path}?limit=2")).await.ok(200);
    let rest = api
        .get(
            "audit",
            &format!("{path}?cursor={}", first["next_cursor"].as_str().unwrap()),
        )
        .await
        .ok(200);
    assert_eq!(
        (first["items"].as_array().unwrap().len(), &rest["items"]),
        (2, &json!([leaves[2]]))
    );
    api.get("audit", &format!("/v1/requests/{}/events", Uuid::now_v7()))
        .await
        .is(404, "not_found");
}

#[tokio::test]
async fn every_decision_is_read_back_with_who_when_and_why() {
    let api = super::fixture::start("[policy]\napproval = \"always\"\n", true).await;
    let id = api.submit(json!({})).await;
    let path = format!("/v1/requests/{id}");
    let hold = json!({ "hold_id": Uuid::from_u128(77), "basis": "dispute", "request_id": id, "note": "a claim",
                       "command_id": Uuid::from_u128(78) });
    api.post("dpo", "/v1/holds", &hold).await.ok(201);
    let approval = json!({ "reason": "seen with legal" });
    api.post("dpo", &format!("{path}/approve"), &approval)
        .await
        .ok(200);
    let extension = json!({ "reason": "complexity" });
    api.post("dpo", &format!("{path}/extend"), &extension)
        .await
        .ok(200);
    let released = format!("/v1/holds/{}", Uuid::from_u128(77));
    api.call(reqwest::Method::DELETE, Some("dpo"), &released, None)
        .await
        .ok(200);
    api.sweep().await;
    let task = api.task_message(id, "crm").await;
    api.post("crm", "/v1/acks", &ack(&task, json!({ "outcome": "rejected" })))
        .await
        .ok(200);
    let of_task = |what: &str| format!("/v1/tasks/{}/{what}", task["task_id"].as_str().unwrap());
    api.post(
        "ops",
        &of_task("retry"),
        &json!({ "reason": "the vendor was asked" }),
    )
    .await
    .ok(200);
    api.post("ops", &of_task("waive"), &json!({ "reason": "contract ended" }))
        .await
        .ok(200);
    let detail = api.get("dpo", &path).await.ok(200);
    let told: Vec<Value> = detail["decisions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|decision| {
            json!([
                decision["by"],
                decision["decision"],
                decision["processor"],
                decision["reason"]
            ])
        })
        .collect();
    let none = Value::Null;
    for expected in [
        json!(["dpo", "hold", none, "a claim"]),
        json!(["dpo", "approve", none, "seen with legal"]),
        json!(["dpo", "extend", none, "complexity"]),
        json!(["dpo", "release", none, none]),
        json!(["ops", "retry", "crm", "the vendor was asked"]),
        json!(["ops", "waive", "crm", "contract ended"]),
    ] {
        assert!(told.contains(&expected), "{expected} is not in {told:?}");
    }
    assert_eq!(told.len(), 6);
    assert_eq!(detail["decisions"][0]["at"], "2026-11-21T12:00:00Z");
    let events = api.get("audit", &format!("{path}/events")).await.ok(200);
    let notes: Vec<&Value> = events["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|leaf| leaf["notes"].as_array())
        .flatten()
        .collect();
    for reason in ["seen with legal", "the vendor was asked", "contract ended"] {
        assert!(
            notes.iter().any(|note| note["reason"] == reason),
            "{reason}: {notes:?}"
        );
    }
}
