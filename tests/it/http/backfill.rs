//! `POST /v1/processors/{id}/backfill` over HTTP.

use serde_json::json;

use super::fixture::api;

#[tokio::test]
async fn a_backfill_says_what_was_offered_and_changes_nothing_twice() {
    let api = api().await;
    let request = api.submit(json!({})).await;
    let asked = api
        .post("ops", "/v1/processors/crm/backfill", &json!({ "dry_run": true }))
        .await
        .ok(200);
    assert_eq!(
        asked,
        json!({
            "processor": "crm", "since": null, "dry_run": true, "looked_at": 1, "offered": 0, "reopened": 0,
            "already": 1, "not_concerned": 0, "unreadable_count": 0, "unreadable": [], "full": []
        }),
        "{request}"
    );
    let since = json!({ "since": "2026-11-01T00:00:00Z" });
    let again = api
        .post("ops", "/v1/processors/crm/backfill", &since)
        .await
        .ok(200);
    assert_eq!((&again["already"], &again["since"]), (&json!(1), &since["since"]));
}

#[tokio::test]
async fn only_operators_ask_for_one_and_mistakes_are_named() {
    let api = api().await;
    let path = "/v1/processors/crm/backfill";
    api.post("dpo", path, &json!({})).await.ok(403);
    api.post("ops", "/v1/processors/nobody/backfill", &json!({}))
        .await
        .ok(404);
    let bad = api
        .post("ops", path, &json!({ "since": "yesterday" }))
        .await
        .ok(400);
    assert!(bad["detail"].to_string().contains("since"), "{bad}");
}
