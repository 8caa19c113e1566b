//! Commands: taken once, refused with a reason, withdrawn while that is possible.

use lacuna::delivery::republish::republish;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::fixture::{Api, Reply, api, command};

#[tokio::test]
async fn a_command_is_taken_once_and_answered_the_same_again() {
    let api = api().await;
    let command = command(json!({ "request_id": Uuid::now_v7() }));
    let first = api.post("shop", "/v1/requests", &command).await;
    let again = api.post("shop", "/v1/requests", &command).await;
    let id = command["request_id"].as_str().unwrap();
    for reply in [&first, &again] {
        assert_eq!(reply.status, 202, "{}", reply.text);
        assert_eq!(reply.headers["location"], format!("/v1/requests/{id}"));
        assert_eq!(reply.headers["content-type"], "application/json");
    }
    assert_eq!(first.json, again.json);
    assert_eq!(first.json["status"], "in_progress");
    assert_eq!(
        first.json["tasks"],
        json!({ "total": 2, "done": 0, "parked": 0, "abandoned": 0 })
    );
    assert_eq!(first.json["waiting_for"][0]["processor"], "crm");
}

#[tokio::test]
async fn an_id_of_another_command_is_a_conflict() {
    let api = api().await;
    let first = command(json!({}));
    api.post("shop", "/v1/requests", &first).await.ok(202);
    let mut other = first.clone();
    other["reason"] = json!("objection");
    api.post("shop", "/v1/requests", &other)
        .await
        .is(409, "conflicting_duplicate");
    let same_request = command(json!({ "request_id": first["command_id"] }));
    api.post("shop", "/v1/requests", &same_request)
        .await
        .is(409, "conflicting_duplicate");
}

#[tokio::test]
async fn unknown_regime_is_answered_with_known_ones() {
    let api = api().await;
    let reply = api
        .post("shop", "/v1/requests", &command(json!({ "regime": "hippa" })))
        .await;
    reply.is(400, "schema");
    let detail = reply.json["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("regime: expected one of: ccpa, drop, gdpr, indiana, kentucky, lgpd, rhode_island, uk_gdpr, or days:N"),
        "{detail}"
    );
    assert!(
        !reply.text.contains("hippa"),
        "what a message holds is never repeated"
    );
}

async fn with_key(api: &Api, token: &str, key: &str, tenant: &str) -> Reply {
    let mut command = command(json!({ "tenant": tenant }));
    command.as_object_mut().unwrap().remove("command_id");
    let call = api
        .client
        .post(format!("{}/v1/requests", api.base))
        .bearer_auth(token);
    api.send(call.header("idempotency-key", key).body(command.to_string()))
        .await
}

#[tokio::test]
async fn an_idempotency_key_belongs_to_its_bearer_and_tenant() {
    let api = api().await;
    let id = |reply: Reply| reply.ok(202)["request_id"].as_str().unwrap().to_owned();
    let first = id(with_key(&api, "shop", "\"1\"", "acme").await);
    assert_eq!(
        first,
        id(with_key(&api, "shop", "1", "acme").await),
        "a bare key is the same key"
    );
    let others = [
        id(with_key(&api, "app", "1", "acme").await),
        id(with_key(&api, "shop", "1", "other").await),
    ];
    assert!(!others.contains(&first) && others[0] != others[1]);
    let key = Uuid::now_v7().to_string();
    assert_eq!(
        id(with_key(&api, "shop", &key.to_uppercase(), "acme").await),
        key,
        "a UUID is taken as it is"
    );
    for bad in ["\"\"", "", &"k".repeat(256)] {
        let reply = with_key(&api, "shop", bad, "acme").await;
        reply.is(400, "schema");
        assert_eq!(reply.fields(), ["Idempotency-Key"]);
    }
}

#[tokio::test]
async fn what_cannot_be_taken_says_why() {
    let api = api().await;
    let with = |value| command(value).to_string();
    let deep = "[".repeat(33) + &"]".repeat(33);
    let cases = [
        ("{".to_owned(), 400, "not_json", vec![]),
        (String::new(), 400, "schema", vec![]),
        ("[]".to_owned(), 400, "schema", vec![]),
        (
            with(json!({ "reason": "because" })),
            400,
            "schema",
            vec!["reason"],
        ),
        (
            with(json!({ "subject": {} })),
            400,
            "schema",
            vec!["subject.identities"],
        ),
        (with(json!({ "tenant": "a b" })), 400, "schema", vec!["tenant"]),
        (
            with(json!({ "command_id": "4711" })),
            400,
            "schema",
            vec!["command_id"],
        ),
        (format!("{{\"metadata\":{deep}}}"), 413, "too_large", vec![]),
        (
            with(json!({ "type": "vanish" })),
            422,
            "unknown_type",
            vec!["type"],
        ),
        // Who may submit may not hold: that is another call, and another role.
        (
            with(json!({
                "type": "hold", "hold_id": "018f6f2e-7c1a-7b3e-9a44-00000000000c", "basis": "dispute",
            })),
            403,
            "not_allowed",
            vec!["type"],
        ),
        (
            with(json!({ "region": "us" })),
            422,
            "wrong_region",
            vec!["region"],
        ),
        (
            with(json!({ "scope": { "processors": ["nobody"] } })),
            422,
            "no_processor",
            vec![],
        ),
        (
            with(json!({ "type": "cancel", "request_id": Uuid::now_v7() })),
            404,
            "not_found",
            vec![],
        ),
    ];
    for (body, status, code, fields) in cases {
        let reply = api
            .call(Method::POST, Some("shop"), "/v1/requests", Some(&body))
            .await;
        reply.is(status, code);
        assert_eq!(reply.fields(), fields, "{}", reply.text);
    }
}

#[tokio::test]
async fn a_request_is_withdrawn_before_its_first_dispatch_only() {
    let api = api().await;
    let later = json!({ "not_before": "2026-12-01T00:00:00Z" });
    let scheduled = api.submit(later.clone()).await;
    let path = format!("/v1/requests/{scheduled}/cancel");
    let status = api
        .post("dpo", &path, &json!({ "reason": "asked by mistake" }))
        .await
        .ok(200);
    assert_eq!(
        (&status["status"], &status["waiting_for"]),
        (&json!("cancelled"), &json!([]))
    );
    api.post("dpo", &path, &json!({})).await.is(409, "wrong_state");

    let sent = api.submit(json!({})).await;
    let reply = api
        .call(
            Method::POST,
            Some("dpo"),
            &format!("/v1/requests/{sent}/cancel"),
            None,
        )
        .await;
    reply.is(409, "irreversible");
    let unknown = format!("/v1/requests/{}/cancel", Uuid::now_v7());
    api.call(Method::POST, Some("dpo"), &unknown, None)
        .await
        .is(404, "not_found");

    let cancel = |id: Uuid| json!({ "command_id": Uuid::now_v7(), "type": "cancel", "request_id": id });
    api.post("shop", "/v1/requests", &cancel(sent))
        .await
        .is(409, "irreversible");
    let other = api.submit(later).await;
    api.post("app", "/v1/requests", &cancel(other))
        .await
        .is(404, "not_found");
    let command = cancel(other);
    for _ in 0..2 {
        let reply = api.post("shop", "/v1/requests", &command).await;
        assert_eq!(reply.headers["location"], format!("/v1/requests/{other}"));
        assert_eq!(reply.ok(202)["status"], "cancelled");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_that_come_together_share_transactions() {
    const CALLS: usize = 200;
    let api = std::sync::Arc::new(api().await);
    let calls: Vec<_> = (0..CALLS)
        .map(|_| {
            let api = std::sync::Arc::clone(&api);
            tokio::spawn(async move { api.submit(json!({})).await })
        })
        .collect();
    let mut ids = std::collections::HashSet::new();
    for call in calls {
        ids.insert(call.await.unwrap());
    }
    assert_eq!(ids.len(), CALLS);
    let metrics = api.call(Method::GET, None, "/metrics", None).await.text;
    let count = metrics
        .lines()
        .find_map(|line| line.strip_prefix("lacuna_store_transaction_seconds_count{name=\"intake\"} "));
    let transactions: usize = count.unwrap().parse().unwrap();
    assert!(
        transactions < CALLS / 2,
        "{transactions} transactions for {CALLS} calls"
    );
    assert!(
        metrics.contains(&format!(
            "lacuna_commands_total{{result=\"accepted\",type=\"erase\"}} {CALLS}"
        )),
        "{metrics}"
    );
}

#[tokio::test]
async fn what_a_slow_producer_does_not_take_stays_in_the_outbox() {
    let api = api().await;
    let (sender, never_read) = tokio::sync::mpsc::channel(1);
    let state = lacuna::http::State::new(
        api.engine.clone(),
        sender,
        api.readiness.clone(),
        None,
        "lacuna.tasks.",
    );
    let config = lacuna::config::Http {
        listen: "127.0.0.1:0".parse().unwrap(),
        tls: None,
        public_url: None,
    };
    let serving = lacuna::http::serve(&config, state, api.shutdown.clone())
        .await
        .unwrap();
    let url = format!("http://{}/v1/requests", serving.address);
    let finished = tokio::spawn(serving.finished);
    let mut ids = Vec::new();
    for _ in 0..3 {
        let reply = api
            .send(api.client.post(&url).body(command(json!({})).to_string()))
            .await;
        ids.push(reply.ok(202)["request_id"].as_str().unwrap().to_owned());
    }
    api.clock.advance(std::time::Duration::from_secs(60));
    let remembered = api.engine.agenda().unproduced(api.clock.now()).await.unwrap();
    let again = republish(&api.engine, &remembered, &[]).await.unwrap();
    let mut said: Vec<String> = again.revisions.iter().map(|(id, _)| id.to_string()).collect();
    said.sort_unstable();
    ids.sort_unstable();
    assert_eq!(said, ids);
    drop(never_read);
    api.shutdown.cancel();
    finished.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_command_without_any_id_gets_one_made_for_it() {
    let api = api().await;
    let mut unnamed = command(json!({}));
    unnamed.as_object_mut().unwrap().remove("command_id");
    let first = api.post("shop", "/v1/requests", &unnamed).await;
    let location = first.headers["location"].to_str().unwrap().to_owned();
    let first = first.ok(202)["request_id"].clone();
    assert_eq!(location, format!("/v1/requests/{}", first.as_str().unwrap()));
    let again = api.post("shop", "/v1/requests", &unnamed).await.ok(202);
    assert_ne!(again["request_id"], first, "a repeat is another command");
}

#[tokio::test]
async fn a_decision_repeated_under_its_key_answers_as_the_first_time() {
    let api = api().await;
    let later = json!({ "not_before": "2026-12-01T00:00:00Z" });
    let call = async |path: &str, key: Option<&str>, body: &Value| {
        let mut call = api
            .client
            .post(format!("{}{path}", api.base))
            .bearer_auth("dpo")
            .body(body.to_string());
        if let Some(key) = key {
            call = call.header("idempotency-key", key);
        }
        api.send(call).await
    };
    for (what, body) in [
        ("cancel", json!({ "reason": "asked by mistake" })),
        ("extend", json!({ "reason": "complexity" })),
        ("refuse", json!({ "basis": "excessive" })),
    ] {
        let id = api.submit(later.clone()).await;
        let path = format!("/v1/requests/{id}/{what}");
        let key = format!("{what}-7");
        let first = call(&path, Some(&key), &body).await.ok(200);
        let again = call(&path, Some(&format!("\"{key}\"")), &body).await.ok(200);
        assert_eq!(again, first, "{what}: the same call changes nothing");
        // Something else under the same key is no repeat.
        let mut other = body.clone();
        other["metadata"] = json!("another");
        call(&path, Some(&key), &other)
            .await
            .is(409, "conflicting_duplicate");
        // Without a key it is another decision.
        let now = call(&path, None, &body).await;
        now.is(409, "wrong_state");
        let status = first["status"].as_str().unwrap();
        assert!(
            now.json["detail"]
                .as_str()
                .unwrap()
                .ends_with(&format!("the request is {status}")),
            "{what}: {}",
            now.text
        );
    }
    // The id of the body does the same, of another request it is a conflict.
    let (one, other) = (api.submit(later.clone()).await, api.submit(later).await);
    let body = json!({ "command_id": Uuid::now_v7(), "reason": "asked by mistake" });
    for _ in 0..2 {
        call(&format!("/v1/requests/{one}/cancel"), None, &body)
            .await
            .ok(200);
    }
    call(&format!("/v1/requests/{other}/cancel"), None, &body)
        .await
        .is(409, "conflicting_duplicate");
    let unclosed = call(
        &format!("/v1/requests/{other}/cancel"),
        Some("\"unclosed"),
        &json!({}),
    )
    .await;
    unclosed.is(400, "schema");
    assert_eq!(unclosed.fields(), ["Idempotency-Key"]);
}

#[tokio::test]
async fn a_search_leaves_an_entry_of_who_looked_and_not_for_whom() {
    let api = api().await;
    let id = api.submit(json!({})).await;
    let search = json!({ "identity": { "type": "email", "value": "ann@example.org" } });
    let found = api.post("dpo", "/v1/requests/search", &search).await.ok(200);
    let entry = found["ledger_entry"].as_str().unwrap();
    let events = api
        .get("audit", &format!("/v1/requests/{entry}/events"))
        .await
        .ok(200);
    assert_eq!(
        events["items"][0]["entries"],
        json!([{ "type": "searched", "actor": "dpo", "identity_type": "email", "requests": [id], "truncated": false }])
    );
    assert!(!events.to_string().contains("ann"), "{events}");
    let nobody = json!({ "identity": { "type": "email", "value": "nobody@example.org" } });
    let nothing = api.post("dpo", "/v1/requests/search", &nobody).await.ok(200);
    assert_ne!(
        nothing["ledger_entry"], found["ledger_entry"],
        "a search in vain is one too"
    );
}

#[tokio::test]
async fn an_event_of_cloudevents_names_its_command_as_on_kafka() {
    let api = api().await;
    let mut command = command(json!({}));
    command.as_object_mut().unwrap().remove("command_id");
    let path = format!("{}/v1/requests", api.base);
    let binary = |id: &'static str, command: &Value| {
        let call = api.client.post(&path).bearer_auth("shop");
        let call = call.header("ce-id", id).header("ce-source", "/shop");
        let call = call.header("ce-specversion", "1.0").header("ce-type", "x");
        api.send(call.body(command.to_string()))
    };
    let first = binary("order-1", &command).await.ok(202);
    assert_eq!(
        binary("order-1", &command).await.ok(202)["request_id"],
        first["request_id"]
    );
    let other = binary("order-2", &command).await.ok(202);
    assert_ne!(other["request_id"], first["request_id"]);
    let structured =
        json!({ "specversion": "1.0", "id": "order-1", "source": "/shop", "type": "x", "data": command });
    let call = api.client.post(&path).bearer_auth("shop");
    let call = call.header("content-type", "application/cloudevents+json; charset=utf-8");
    let again = api.send(call.body(structured.to_string())).await.ok(202);
    assert_eq!(again["request_id"], first["request_id"]);
    let call = api.client.post(&path).bearer_auth("shop");
    let call = call
        .header("ce-id", "1")
        .header("ce-source", "/shop")
        .header("ce-specversion", "0.3");
    api.send(call.body(command.to_string())).await.is(400, "schema");
}
