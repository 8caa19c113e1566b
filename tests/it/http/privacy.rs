//! Subject data goes in and does not come out again: not in answers, not in logs, not in metrics.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use reqwest::Method;
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use super::fixture::{Api, ack, api, command};

/// Everything that is logged by this process.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_is_never_seen_again() {
    let captured = Captured::default();
    // The only subscriber of this binary: other tests may log into it too, which makes it the stricter.
    tracing_subscriber::fmt()
        .with_env_filter("lacuna=trace,axum=trace,axum_server=trace,tower_http=trace,sqlx=trace,hyper=debug")
        .with_writer(captured.clone())
        .try_init()
        .unwrap();
    let api = api().await;
    let canary = format!("canary-{}", uuid::Uuid::now_v7().simple());
    let mail = format!("{canary}@example.org");
    let identities = json!([{ "type": "email", "value": mail }, { "type": "customer_id", "value": canary }]);
    let with = json!({ "subject": { "identities": identities }, "metadata": { "note": canary } });
    let id = api.submit(with.clone()).await;

    // In every place where somebody may put it by mistake.
    let identity = json!({ "type": "email", "value": mail });
    api.post("dpo", "/v1/requests/search", &json!({ "identity": identity }))
        .await
        .ok(200);
    api.post(
        "shop",
        "/v1/suppression/check",
        &json!({ "identities": identities }),
    )
    .await
    .ok(200);
    api.post(
        "shop",
        "/v1/suppression/check",
        &json!({ "identities": [canary], "tenant": mail }),
    )
    .await
    .is(400, "schema");
    api.get("dpo", &format!("/v1/requests/{mail}"))
        .await
        .is(404, "not_found");
    api.get("dpo", &format!("/{mail}")).await.is(404, "not_found");
    api.get(
        "dpo",
        &format!("/v1/requests?tenant={mail}&email={mail}&{canary}=1"),
    )
    .await
    .is(400, "schema");
    api.get("ops", &format!("/v1/tasks?state={canary}"))
        .await
        .is(400, "schema");
    api.call(Method::GET, Some(&canary), "/v1/tasks", None)
        .await
        .is(401, "unauthorized");
    for wrong in [
        json!({ "reason": canary }),
        json!({ "type": canary }),
        json!({ "tenant": mail }),
        json!({ "scope": { "processors": [canary] } }),
        json!({ "anchors": { canary.clone(): canary } }),
        json!({ "subject": { "identities": [{ "type": mail, "value": canary }] } }),
    ] {
        let reply = api.post("shop", "/v1/requests", &command(wrong)).await;
        assert!(reply.status.is_client_error(), "{}", reply.text);
    }
    api.post("dpo", "/v1/requests/search", &json!({ "identity": mail }))
        .await
        .is(400, "schema");
    api.post(
        "dpo",
        "/v1/requests/search",
        &json!({ "identity": { "type": mail, "value": "x" } }),
    )
    .await
    .is(400, "schema");
    let task = api.task_message(id, "crm").await;
    assert_eq!(
        task["identities"][0]["value"],
        mail.as_str(),
        "the processor is told"
    );
    api.post("crm", "/v1/acks", &ack(&task, json!({ "outcome": canary })))
        .await
        .is(400, "schema");
    api.post("crm", "/v1/acks", &ack(&task, json!({ "token": canary })))
        .await
        .is(403, "forged_ack");
    api.post("crm", "/v1/acks", &ack(&task, json!({}))).await.ok(200);
    hold_and_release(&api, &canary, &mail).await;
    let task_id = task["task_id"].as_str().unwrap();
    api.post(
        "ops",
        &format!("/v1/tasks/{task_id}/waive"),
        &json!({ "reason": canary }),
    )
    .await
    .is(409, "wrong_state");
    for path in [
        format!("/v1/requests/{id}"),
        "/v1/requests".to_owned(),
        format!("/v1/requests/{id}/events"),
    ] {
        api.get("dpo", &path).await.ok(200);
    }
    api.get("ops", "/v1/tasks").await.ok(200);
    api.call(Method::GET, None, "/metrics", None).await;
    api.store.close().await;
    api.post("shop", "/v1/requests", &command(with))
        .await
        .is(503, "unavailable");

    let answers = api.answers.lock().unwrap().clone();
    let logged = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("/v1/requests/{id}"), "the route is logged");
    for (place, text) in [("answers", &answers), ("logs", &logged)] {
        let line = text.lines().find(|line| line.contains(&canary));
        assert_eq!(line, None, "{place}");
    }
}

/// A hold on the canary, and everything about it that somebody may get wrong.
async fn hold_and_release(api: &Api, canary: &str, mail: &str) {
    let identities = json!([{ "type": "email", "value": mail }, { "type": "customer_id", "value": canary }]);
    let hold = |with: serde_json::Value| {
        let mut hold = json!({ "command_id": uuid::Uuid::now_v7(), "basis": "dispute", "note": canary,
                               "subject": { "identities": identities.clone() } });
        for (name, value) in with.as_object().unwrap() {
            hold[name] = value.clone();
        }
        hold
    };
    let placed = api.post("dpo", "/v1/holds", &hold(json!({}))).await.ok(201);
    for wrong in [
        json!({ "basis": canary }),
        json!({ "categories": [mail] }),
        json!({ "processor": mail }),
        json!({ "tenant": mail }),
        json!({ "subject": mail }),
        json!({ "hold_id": canary }),
        json!({ "type": canary }),
    ] {
        api.post("dpo", "/v1/holds", &hold(wrong)).await.is(400, "schema");
    }
    for path in [
        "/v1/holds",
        "/v1/deferred",
        &format!("/v1/holds/{}", placed["hold_id"].as_str().unwrap()),
    ] {
        api.get("dpo", path).await.ok(200);
    }
    for path in [
        format!("/v1/holds/{mail}"),
        format!("/v1/backups/{canary}/{mail}"),
    ] {
        api.get(if path.contains("holds") { "dpo" } else { "ops" }, &path)
            .await
            .is(404, "not_found");
    }
    for path in [
        "/v1/deferred?processor=",
        "/v1/deferred?",
        "/v1/holds?tenant=",
        "/v1/holds?cursor=",
    ] {
        api.get("dpo", &format!("{path}{mail}")).await.is(400, "schema");
    }
    for wrong in [
        json!({ "processor": canary }),
        json!({ "set": mail }),
        json!({ canary: 1 }),
    ] {
        let reply = api.post("ops", "/v1/backups", &wrong).await;
        assert!(reply.status.is_client_error(), "{}", reply.text);
    }
    let released = format!("/v1/holds/{}", placed["hold_id"].as_str().unwrap());
    let note = json!({ "note": canary }).to_string();
    api.call(Method::DELETE, Some("dpo"), &released, Some(&note))
        .await
        .ok(200);
    api.call(Method::DELETE, Some("dpo"), &released, Some(&note))
        .await
        .is(409, "wrong_state");
}
