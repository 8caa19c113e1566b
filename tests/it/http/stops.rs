//! Pause, resume and brake over HTTP.

use reqwest::Method;
use serde_json::{Value, json};

use super::fixture::{Api, Reply, ack, api};

async fn lane(api: &Api, processor: &str) -> Value {
    let listed = api.get("ops", "/v1/processors").await.ok(200);
    let items = listed["items"].as_array().unwrap();
    items.iter().find(|item| item["id"] == processor).unwrap().clone()
}

async fn unbrake(api: &Api, body: Option<&Value>) -> Reply {
    let body = body.map(Value::to_string);
    api.call(Method::DELETE, Some("ops"), "/v1/brake", body.as_deref())
        .await
}

#[tokio::test]
async fn a_pause_answers_with_what_was_out_and_a_resume_sends_the_rest() {
    let api = api().await;
    let first = api.submit(json!({})).await;
    let task = api.task_message(first, "crm").await;
    let reason = json!({ "reason": "maintenance until noon" });
    let paused = api.post("ops", "/v1/processors/crm/pause", &reason).await.ok(200);
    assert_eq!(
        paused,
        json!({
            "processor": "crm", "lane": "paused", "active": true, "since": "2026-11-21T12:00:00Z", "by": "ops",
            "reason": "maintenance until noon",
            "already_dispatched": { "count": 1, "truncated": false, "items": [
                { "request_id": first, "task_id": task["task_id"], "processor": "crm", "state": "dispatched" } ] },
        })
    );
    let again = api
        .post("ops", "/v1/processors/crm/pause", &json!({ "reason": "me too" }))
        .await;
    assert_eq!(again.ok(200), paused, "the first answer");

    let second = api.submit(json!({})).await;
    let detail = api.get("ops", &format!("/v1/requests/{second}")).await.ok(200);
    let crm = &detail["task_list"][0];
    assert_eq!(
        (&crm["processor"], &crm["state"], &crm["why"]),
        (&json!("crm"), &json!("ready"), &json!("paused"))
    );
    assert!(
        detail["why_not_done"].to_string().contains("crm is paused since"),
        "{detail}"
    );
    let shown = lane(&api, "crm").await;
    assert_eq!(
        (&shown["lane"], &shown["lane_reason"]),
        (
            &json!("paused"),
            &json!({ "since": "2026-11-21T12:00:00Z", "by": "ops", "why": "maintenance until noon" })
        )
    );
    // What people wrote may hold anything.
    let audited = api.get("audit", "/v1/processors").await.ok(200);
    assert!(!audited.to_string().contains("until noon"), "{audited}");

    // What was out is answered all the same.
    api.post("crm", "/v1/acks", &ack(&task, json!({}))).await.ok(200);
    let resumed = api
        .post("ops", "/v1/processors/crm/resume", &json!({}))
        .await
        .ok(200);
    assert_eq!(
        resumed,
        json!({ "processor": "crm", "lane": "open", "active": false, "since": "2026-11-21T12:00:00Z", "by": "ops",
                "reason": null })
    );
    api.sweep().await;
    api.task_message(second, "crm").await;
    assert_eq!(lane(&api, "crm").await["lane"], "open");
}

#[tokio::test]
async fn the_brake_stops_every_lane_until_it_is_taken_off() {
    let api = api().await;
    let off = json!({ "lane": "open", "active": false, "since": null, "by": null, "reason": null });
    assert_eq!(api.get("audit", "/v1/brake").await.ok(200), off);
    let on = api
        .post("ops", "/v1/brake", &json!({ "reason": "wrong list" }))
        .await
        .ok(200);
    assert_eq!(
        on,
        json!({ "lane": "braked", "active": true, "since": "2026-11-21T12:00:00Z", "by": "ops", "reason": "wrong list",
                "already_dispatched": { "count": 0, "items": [], "truncated": false } })
    );
    assert_eq!(api.get("ops", "/v1/brake").await.ok(200), on);
    let id = api.submit(json!({})).await;
    let status = api.get("dpo", &format!("/v1/requests/{id}")).await.ok(200);
    let whys: Vec<&Value> = status["waiting_for"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["why"])
        .collect();
    assert_eq!(whys, ["brake", "brake"]);
    assert_eq!(lane(&api, "ads").await["lane"], "braked");
    // Not even a lane that is resumed goes on.
    let resumed = api
        .post("ops", "/v1/processors/crm/resume", &json!({}))
        .await
        .ok(200);
    assert_eq!(resumed["lane"], "braked");
    assert_eq!(unbrake(&api, None).await.ok(200)["lane"], "open");
    assert_eq!(
        unbrake(&api, Some(&json!({ "reason": "again" }))).await.ok(200)["lane"],
        "open"
    );
    api.sweep().await;
    api.task_message(id, "crm").await;
    api.task_message(id, "stats").await;
}

#[tokio::test]
async fn whoever_stops_is_an_operator_says_why_and_names_a_lane() {
    let api = api().await;
    let reason = json!({ "reason": "x" });
    for (path, bearer) in [
        ("/v1/processors/crm/pause", "dpo"),
        ("/v1/processors/crm/resume", "audit"),
        ("/v1/brake", "shop"),
    ] {
        api.post(bearer, path, &reason).await.is(403, "forbidden");
    }
    for body in [json!({}), json!({ "reason": " " }), json!({ "reason": 7 })] {
        for path in ["/v1/processors/crm/pause", "/v1/brake"] {
            let reply = api.post("ops", path, &body).await;
            reply.is(400, "schema");
            assert_eq!(reply.fields(), ["reason"]);
        }
    }
    for path in [
        "/v1/processors/nobody/pause",
        "/v1/processors/nobody/resume",
        "/v1/processors/N%20/pause",
    ] {
        api.post("ops", path, &reason).await.is(404, "not_found");
    }
    assert_eq!(api.get("ops", "/v1/brake").await.ok(200)["active"], false);
    assert_eq!(lane(&api, "crm").await["lane"], "open");
}
