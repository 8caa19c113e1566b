//! Gauges of the store that say who and what open requests wait for.

use std::time::Duration;

use serde_json::json;
use uuid::Uuid;

use super::fixture::{Api, registered};

const REGISTRY: &str = r#"
[[processor]]
id = "crm"
kind = "crm"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
[[processor]]
id = "paper"
kind = "other"
transport = { type = "manual", assignee = "archive" }
actions = ["erase"]
identities = ["email"]
[[processor]]
id = "vendor"
kind = "messaging"
transport = { type = "webhook", url = "http://127.0.0.1:9/", secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=" }
actions = ["erase"]
identities = ["email"]
[[processor]]
id = "nightly"
kind = "backup"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
backup = { sources = ["crm"], set = "main", keep = "35d", confirm_by = "event" }
"#;

const DAY: Duration = Duration::from_secs(86_400);

/// The value of a series.
async fn gauge(api: &Api, series: &str) -> Option<f64> {
    let text = api.get("ops", "/metrics").await.text;
    text.lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

/// The series that begin so, with their values.
async fn series(api: &Api, name: &str) -> Vec<String> {
    let text = api.get("ops", "/metrics").await.text;
    let lines = text.lines().filter(|line| line.starts_with(name));
    lines.map(str::to_owned).collect()
}

/// The answer of a plain processor.
async fn answer(api: &Api, request: Uuid, processor: &str) {
    let task = api.task_message(request, processor).await;
    let ack = json!({
        "request_id": request, "task_id": task["task_id"], "generation": task["generation"], "attempt": task["attempt"],
        "processor": processor, "token": task["ack"]["token"], "outcome": "erased",
    });
    api.post(processor, "/v1/acks", &ack).await.ok(200);
}

#[tokio::test]
async fn open_requests_are_counted_by_regime_and_cost() {
    const CRM: &str = "[[processor]]\nid = \"crm\"\nkind = \"crm\"\ntransport = { type = \"kafka\" }\n\
                       actions = [\"erase\"]\nidentities = [\"email\"]\n";
    let api = registered(CRM).await;
    api.submit(json!({ "regime": "drop" })).await;
    let gdpr = api.submit(json!({ "regime": "gdpr" })).await;
    api.submit(json!({ "regime": "days:30" })).await;
    let open = [
        "lacuna_open_requests{regime=\"counted\"} 1",
        "lacuna_open_requests{regime=\"drop\"} 1",
        "lacuna_open_requests{regime=\"gdpr\"} 1",
        "lacuna_open_requests{regime=\"unknown\"} 0",
    ];
    assert_eq!(series(&api, "lacuna_open_requests{").await, open);
    let exposure = "lacuna_exposure{currency=\"USD\",regime=\"drop\"}";
    assert_eq!(gauge(&api, exposure).await, Some(200.0));
    answer(&api, gdpr, "crm").await;
    assert_eq!(
        gauge(&api, "lacuna_open_requests{regime=\"gdpr\"}").await,
        Some(0.0)
    );
    assert_eq!(gauge(&api, exposure).await, Some(200.0));
}

#[tokio::test]
async fn overdue_work_is_counted_where_it_is_left() {
    let api = registered(REGISTRY).await;
    let id = api.submit(json!({ "tenant": "acme", "scope": {} })).await;
    assert_eq!(series(&api, "lacuna_overdue_tasks").await, Vec::<String>::new());
    api.clock.advance(40 * DAY);
    api.wake().await;
    let left = ["crm", "nightly", "paper", "vendor"];
    let expected = left.map(|id| format!("lacuna_overdue_tasks{{processor=\"{id}\",tenant=\"acme\"}} 1"));
    assert_eq!(series(&api, "lacuna_overdue_tasks").await, expected);
    assert_eq!(gauge(&api, "lacuna_requests_overdue").await, Some(1.0));
    // One of them answers: it is no longer what is late.
    answer(&api, id, "crm").await;
    assert_eq!(
        gauge(&api, "lacuna_overdue_tasks{processor=\"crm\",tenant=\"acme\"}")
            .await
            .unwrap_or(0.0),
        0.0
    );
    let paper = "lacuna_overdue_tasks{processor=\"paper\",tenant=\"acme\"}";
    assert_eq!(gauge(&api, paper).await, Some(1.0));
}

#[tokio::test]
async fn age_of_what_waits_for_people_is_told() {
    let api = registered(REGISTRY).await;
    for gate in ["approval", "verification"] {
        assert_eq!(
            gauge(&api, &format!("lacuna_gate_oldest_seconds{{gate=\"{gate}\"}}")).await,
            Some(0.0)
        );
    }
    api.submit(json!({ "scope": {} })).await;
    api.clock.advance(2 * DAY);
    assert_eq!(
        gauge(&api, "lacuna_manual_open{processor=\"paper\"}").await,
        Some(1.0)
    );
    let oldest = gauge(&api, "lacuna_manual_oldest_seconds{processor=\"paper\"}")
        .await
        .unwrap();
    assert!((oldest - 2.0 * 86_400.0).abs() < 120.0, "{oldest}");
    assert_eq!(gauge(&api, "lacuna_manual_open{processor=\"crm\"}").await, None);
}

#[tokio::test]
async fn what_is_due_is_what_an_autoscaler_goes_by() {
    let api = registered(REGISTRY).await;
    let due = "lacuna_due_tasks{processor=\"vendor\"}";
    assert_eq!(gauge(&api, due).await, Some(0.0));
    api.submit(json!({ "scope": {} })).await;
    assert_eq!(gauge(&api, due).await, Some(1.0));
    // People are no lane that more workers would empty, and neither is a lane that somebody has stopped.
    assert_eq!(gauge(&api, "lacuna_due_tasks{processor=\"paper\"}").await, None);
    assert_eq!(gauge(&api, "lacuna_due_requests").await, Some(0.0));
    api.clock.advance(40 * DAY);
    assert_eq!(gauge(&api, "lacuna_due_requests").await, Some(1.0));
    api.post(
        "ops",
        "/v1/processors/vendor/pause",
        &json!({ "reason": "moves" }),
    )
    .await
    .ok(200);
    assert_eq!(gauge(&api, due).await, None);
}

#[tokio::test]
async fn last_word_of_a_backup_system_is_told() {
    let api = registered(REGISTRY).await;
    let last = "lacuna_backup_last_event_timestamp_seconds{processor=\"nightly\"}";
    assert_eq!(gauge(&api, last).await, None, "it has never told anything");
    let event = json!({
        "event_id": "0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4d", "type": "backup.taken", "processor": "nightly", "set": "main",
        "taken_at": "2026-11-21T03:00:00Z",
    });
    api.post("nightly", "/v1/backups", &event).await.ok(200);
    let noon = 1_795_262_400.0;
    assert_eq!(gauge(&api, last).await, Some(noon));
}

#[tokio::test]
async fn gauges_of_the_store_say_that_they_are_not_added_up() {
    let api = registered(REGISTRY).await;
    let text = api.get("ops", "/metrics").await.text;
    let help = |name: &str| {
        text.lines()
            .find(|line| line.starts_with(&format!("# HELP {name} ")))
            .unwrap()
    };
    assert!(help("lacuna_requests").ends_with("The same at every worker: take max, never sum."));
    assert!(!help("lacuna_registry_mismatch").contains("take max"));
}
