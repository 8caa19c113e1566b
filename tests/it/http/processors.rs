//! What operators see of processors: how each answers, what waits, and what is unusual about it.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::fixture::{Api, ack, api, registered};

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn shown(api: &Api, processor: &str) -> Value {
    api.get("audit", &format!("/v1/processors/{processor}"))
        .await
        .ok(200)
}

async fn metrics(api: &Api) -> String {
    api.call(Method::GET, None, "/metrics", None).await.text
}

/// Somebody asks, and the CRM answers after so long.
async fn answered(api: &Api, outcome: &str, after: Duration) {
    let mail = format!("{}@example.org", uuid::Uuid::now_v7());
    let subject = json!({ "identities": [{ "type": "email", "value": mail }] });
    let id = api
        .submit(json!({ "scope": { "processors": ["crm"] }, "subject": subject }))
        .await;
    let task = api.task_message(id, "crm").await;
    api.clock.advance(after);
    api.post("crm", "/v1/acks", &ack(&task, json!({ "outcome": outcome })))
        .await
        .ok(200);
}

#[tokio::test]
async fn the_share_of_not_found_is_shown_beside_its_usual_one() {
    let api = api().await;
    for outcome in ["erased", "erased", "erased", "not_found"] {
        answered(&api, outcome, Duration::from_secs(2)).await;
    }
    let first = shown(&api, "crm").await;
    assert_eq!(
        (&first["not_found_share"], &first["not_found_share_usual"]),
        (&json!(0.25), &Value::Null),
        "there is nothing before today"
    );
    assert_eq!(first["outcomes_day"], json!({ "erased": 3, "not_found": 1 }));
    let p50 = first["ack_seconds"]["p50"].as_f64().unwrap();
    assert!((1.8..2.2).contains(&p50), "{p50}");

    // Days later everything is not found: the identifiers that are sent have another form now.
    api.clock.advance(3 * DAY);
    answered(&api, "not_found", Duration::from_secs(100)).await;
    let later = shown(&api, "crm").await;
    assert_eq!(
        (&later["not_found_share"], &later["not_found_share_usual"]),
        (&json!(1.0), &json!(0.25))
    );
    assert_eq!(later["outcomes_day"], json!({ "not_found": 1 }));
    let text = metrics(&api).await;
    for line in [
        "lacuna_not_found_share{processor=\"crm\"} 1\n",
        "lacuna_not_found_share_usual{processor=\"crm\"} 0.25\n",
    ] {
        assert!(text.contains(line), "{line} is missing");
    }
    // The last hour ends, the last day does not.
    api.clock.advance(Duration::from_secs(2 * 3600));
    let quiet = shown(&api, "crm").await;
    assert_eq!(
        (&quiet["outcomes_hour"], &quiet["outcomes_day"]),
        (&json!({}), &json!({ "not_found": 1 }))
    );
    // What nobody compares any more is forgotten.
    api.clock.advance(30 * DAY);
    api.engine.forget_tallies().await.unwrap();
    let forgotten = shown(&api, "crm").await;
    assert_eq!(
        (&forgotten["not_found_share"], &forgotten["not_found_share_usual"]),
        (&Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn a_processor_that_says_nothing_shows_within_minutes() {
    let api = api().await;
    let id = api.submit(json!({})).await;
    api.task_message(id, "crm").await;
    let stats = api.task_message(id, "stats").await;
    api.clock.advance(Duration::from_secs(600));
    api.post("stats", "/v1/acks", &ack(&stats, json!({})))
        .await
        .ok(200);
    let unanswered = async |processor: &str| {
        let shown = shown(&api, processor).await;
        shown["oldest_unanswered_seconds"].clone()
    };
    assert_eq!(
        (unanswered("crm").await, unanswered("stats").await),
        (json!(600), Value::Null)
    );
    let text = metrics(&api).await;
    assert!(
        text.contains("lacuna_oldest_unanswered_seconds{processor=\"crm\"} 600\n"),
        "{text}"
    );
    // The minutes of which nothing is out any more leave no trace; those of others stay.
    api.clock.advance(DAY / 2);
    api.engine.forget_minutes().await.unwrap();
    assert_eq!(unanswered("crm").await, json!(600 + 12 * 3600));
}

#[tokio::test]
async fn what_waits_in_a_paused_lane_has_an_age_and_a_rate() {
    let api = registered(
        r#"
[[processor]]
id = "crm"
kind = "crm"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
rate = "2/m"
"#,
    )
    .await;
    let reason = json!({ "reason": "it moves" });
    api.post("ops", "/v1/processors/crm/pause", &reason).await.ok(200);
    api.submit(json!({ "scope": { "processors": ["crm"] } })).await;
    api.clock.advance(Duration::from_secs(90));
    let crm = shown(&api, "crm").await;
    assert_eq!(
        (
            &crm["lane"],
            &crm["ready"],
            &crm["oldest_ready_seconds"],
            &crm["rate"]
        ),
        (
            &json!("paused"),
            &json!(1),
            &json!(90),
            &json!({ "tasks": 2, "per_seconds": 60.0, "used": 0.0 })
        )
    );
    api.get("ops", "/v1/processors/nobody").await.is(404, "not_found");
    api.get("crm", "/v1/processors/crm").await.is(403, "forbidden");
}
