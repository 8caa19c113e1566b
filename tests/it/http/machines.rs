//! What machines ask: metrics, liveness, readiness; and what they see while the store is away.

use reqwest::Method;
use serde_json::json;

use super::fixture::{Api, ack, api, command};

async fn metrics(api: &Api) -> String {
    let reply = api.call(Method::GET, None, "/metrics", None).await;
    assert_eq!(
        reply.headers["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    assert_eq!(reply.status, 200);
    reply.text
}

#[track_caller]
fn assert_has(metrics: &str, lines: &[&str]) {
    for line in lines {
        assert!(metrics.lines().any(|found| found == *line), "{line}\n{metrics}");
    }
}

#[tokio::test]
async fn gauges_are_read_from_the_store() {
    let api = api().await;
    let first = metrics(&api).await;
    assert_has(
        &first,
        &[
            "lacuna_requests{status=\"in_progress\"} 0",
            "lacuna_auth_failures_total{kind=\"role\"} 0",
            "lacuna_abandoned_tasks{processor=\"crm\"} 0",
            "lacuna_abandoned_tasks{processor=\"stats\"} 0",
        ],
    );
    let id = api.submit(json!({})).await;
    let task = api.task_message(id, "crm").await;
    api.post("crm", "/v1/acks", &ack(&task, json!({}))).await.ok(200);
    let text = metrics(&api).await;
    assert_has(
        &text,
        &[
            "lacuna_requests{status=\"in_progress\"} 1",
            "lacuna_requests{status=\"completed\"} 0",
            "lacuna_tasks{processor=\"crm\",state=\"done\"} 1",
            "lacuna_tasks{processor=\"stats\",state=\"dispatched\"} 1",
            "lacuna_commands_total{result=\"accepted\",type=\"erase\"} 1",
            "lacuna_acks_total{outcome=\"erased\",processor=\"crm\"} 1",
            "lacuna_dispatches_total{outcome=\"sent\",processor=\"crm\"} 1",
            "lacuna_vault_sealed_requests 1",
            "lacuna_ledger_entries 3",
            "lacuna_requests_overdue 0",
            &format!(
                "lacuna_build_info{{commit=\"unknown\",version=\"{}\"}} 1",
                env!("CARGO_PKG_VERSION")
            ),
        ],
    );
}

#[tokio::test]
async fn readiness_names_what_is_wrong() {
    let api = api().await;
    assert_eq!(
        api.call(Method::GET, None, "/healthz", None).await.ok(200),
        json!({ "status": "ok" })
    );
    assert_eq!(
        api.call(Method::GET, None, "/readyz", None).await.ok(200),
        json!({ "status": "ready" })
    );
    api.readiness.not_ready("agenda", "the clock has jumped");
    let reply = api.call(Method::GET, None, "/readyz", None).await;
    reply.is(503, "not_ready");
    assert_eq!(
        reply.json["errors"],
        json!([{ "field": "agenda", "detail": "the clock has jumped" }])
    );
    api.readiness.ready("agenda");
    api.call(Method::GET, None, "/readyz", None).await.ok(200);
}

#[tokio::test]
async fn an_outage_of_the_store_is_said_and_outlived() {
    let api = api().await;
    let id = api.submit(json!({})).await;
    let task = api.task_message(id, "crm").await;
    api.store.close().await;
    for reply in [
        api.post("shop", "/v1/requests", &command(json!({}))).await,
        api.post("crm", "/v1/acks", &ack(&task, json!({}))).await,
        api.get("dpo", "/v1/requests").await,
        api.get("dpo", &format!("/v1/requests/{id}")).await,
        api.get("audit", &format!("/v1/requests/{id}/events")).await,
        api.get("ops", "/v1/tasks").await,
        api.get("ops", "/v1/processors").await,
        api.get("ops", "/v1/dead-letters").await,
        api.post("dpo", &format!("/v1/requests/{id}/cancel"), &json!({}))
            .await,
    ] {
        reply.is(503, "unavailable");
        assert_eq!(reply.headers["retry-after"], "5");
    }
    let reply = api.call(Method::GET, None, "/readyz", None).await;
    reply.is(503, "not_ready");
    assert!(reply.fields().contains(&"store"), "{}", reply.text);
    api.call(Method::GET, None, "/healthz", None).await.ok(200);
    assert_has(
        &metrics(&api).await,
        &["lacuna_commands_total{result=\"accepted\",type=\"erase\"} 1"],
    );
}

#[tokio::test]
async fn a_shutdown_ends_it() {
    let api = api().await;
    api.submit(json!({})).await;
    api.end().await;
}
