//! Backup events over HTTP, and what is known of a set.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::fixture::{Api, ack, keepers, registered};

fn event(with: Value) -> Value {
    let mut event = json!({
        "event_id": Uuid::now_v7(), "type": "backup.taken", "processor": "nightly", "set": "main",
        "taken_at": "2026-11-20T02:00:00Z",
    });
    for (name, value) in with.as_object().unwrap() {
        event[name] = value.clone();
    }
    event
}

fn rotated(oldest: &str) -> Value {
    event(json!({ "type": "backup.rotated", "oldest_retained_at": oldest }))
}

async fn tell(api: &Api, event: &Value) -> Value {
    api.post("nightly", "/v1/backups", event).await.ok(200)
}

const CATALOGUE: &str = "/v1/backups/nightly/main";

#[tokio::test]
async fn a_rotation_proves_copies_gone_and_a_restore_brings_work_back() {
    let api = keepers().await;
    let id = api.submit(json!({ "scope": { "processors": ["crm"] } })).await;
    let task = api.task_message(id, "crm").await;
    api.post("crm", "/v1/acks", &ack(&task, json!({}))).await.ok(200);
    let path = format!("/v1/requests/{id}");
    let detail = api.get("dpo", &path).await.ok(200);
    assert_eq!(
        (&detail["status"], &detail["identifiers"]),
        (&json!("deferred"), &json!("capsule"))
    );
    assert_eq!(detail["capsule_until"], "2026-12-31T00:10:00Z");
    let [waits] = detail["waiting_for"].as_array().unwrap().as_slice() else {
        panic!("{detail}")
    };
    let horizon = "2026-12-26T12:05:00Z";
    assert_eq!(
        *waits,
        json!({ "processor": "nightly", "state": "parked", "why": "backup_rotation", "until": horizon })
    );
    let said = detail["why_not_done"][0].as_str().unwrap();
    assert!(
        said.contains(horizon) && said.contains("2026-11-21T12:05:00Z"),
        "{said}"
    );

    // Past the horizon it is still not done: only a rotation proves it.
    api.clock.advance(std::time::Duration::from_secs(36 * 86_400));
    api.wake().await;
    let detail = api.get("dpo", &path).await.ok(200);
    let said = detail["why_not_done"][0].as_str().unwrap();
    assert!(said.contains("has not come"), "{said}");
    let taken = json!({ "result": "taken", "contradiction": null });
    assert_eq!(tell(&api, &rotated("2026-11-21T12:05:00Z")).await, taken);
    api.sweep().await;
    assert_eq!(api.get("dpo", &path).await.ok(200)["status"], "completed");

    let restored = event(
        json!({ "type": "backup.restored", "taken_at": "2026-11-21T02:00:00Z", "restored_into": ["crm"] }),
    );
    let restored_gone = json!({ "result": "taken", "contradiction": "gone" });
    assert_eq!(
        tell(&api, &restored).await,
        restored_gone,
        "it is replayed all the same"
    );
    api.sweep().await;
    let detail = api.get("dpo", &path).await.ok(200);
    assert_eq!(
        (&detail["status"], &detail["notice"]),
        (&json!("in_progress"), &json!("restored"))
    );
    let again = api
        .task_message_where(id, "crm", |task| task["generation"] == 2)
        .await;
    assert_eq!(
        again["identities"][0]["value"], "ann@example.org",
        "from its capsule"
    );
}

#[tokio::test]
async fn events_are_taken_once_and_contradictions_are_said() {
    let api = keepers().await;
    let locked = event(json!({ "lock_until": "2026-12-24T00:00:00Z" }));
    let taken = |contradiction: Value| json!({ "result": "taken", "contradiction": contradiction });
    assert_eq!(tell(&api, &locked).await, taken(Value::Null));
    let repeated = json!({ "result": "repeated", "contradiction": null });
    assert_eq!(tell(&api, &locked).await, repeated);
    let mut other = locked.clone();
    other["taken_at"] = json!("2026-11-19T02:00:00Z");
    api.post("nightly", "/v1/backups", &other)
        .await
        .is(409, "conflicting_duplicate");
    let newer = event(json!({ "taken_at": "2026-11-21T02:00:00Z" }));
    let older = event(json!({ "taken_at": "2026-11-19T02:00:00Z" }));
    tell(&api, &newer).await;
    tell(&api, &older).await;
    assert_eq!(
        tell(&api, &rotated("2026-11-20T12:00:00Z")).await,
        taken(json!("locked"))
    );
    assert_eq!(
        tell(&api, &rotated("2026-11-18T12:00:00Z")).await,
        taken(json!("backwards"))
    );
    let metrics = api.call(reqwest::Method::GET, None, "/metrics", None).await.text;
    let counted = "lacuna_backup_contradictions_total{processor=\"nightly\"} 2";
    assert!(metrics.contains(counted), "{metrics}");
    let late = event(json!({ "taken_at": "2026-11-18T02:00:00Z" }));
    assert_eq!(tell(&api, &late).await, taken(json!("gone")));
    let copy = |taken_at: &str, rotated_at: Value, lock_until: Value| json!({ "taken_at": taken_at, "rotated_at": rotated_at, "lock_until": lock_until });
    let told = json!("2026-11-21T12:00:00Z");
    let copies = [
        copy("2026-11-21T02:00:00Z", Value::Null, Value::Null),
        // It is locked, so nobody believes that it is gone.
        copy("2026-11-20T02:00:00Z", Value::Null, json!("2026-12-24T00:00:00Z")),
        copy("2026-11-19T02:00:00Z", told.clone(), Value::Null),
        copy("2026-11-18T02:00:00Z", told, Value::Null),
    ];
    let catalogue = api.get("ops", CATALOGUE).await.ok(200);
    assert_eq!(catalogue["items"], json!(copies));
    assert_eq!(
        (&catalogue["oldest_retained_at"], &catalogue["proved_gone_before"]),
        (&json!("2026-11-20T12:00:00Z"), &json!("2026-11-20T02:00:00Z"))
    );
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = api
            .get("nightly", &format!("{CATALOGUE}?limit=1{cursor}"))
            .await
            .ok(200);
        paged.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(paged, copies);
}

#[tokio::test]
async fn only_a_sets_own_system_and_operators_speak_of_it() {
    let api = keepers().await;
    api.post("ops", "/v1/backups", &event(json!({}))).await.ok(200);
    for (name, event) in [
        ("crm", event(json!({}))),
        ("nightly", event(json!({ "processor": "crm" }))),
    ] {
        api.post(name, "/v1/backups", &event).await.is(403, "not_allowed");
    }
    api.get("nightly", CATALOGUE).await.ok(200);
    api.get("crm", CATALOGUE).await.is(403, "not_allowed");
    for looking in ["dpo", "audit"] {
        api.get(looking, CATALOGUE).await.ok(200);
    }
    api.get("shop", CATALOGUE).await.is(403, "forbidden");
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let api = keepers().await;
    let cases = [
        (json!({ "set": "other" }), 404, "unknown_backup", vec![]),
        (json!({ "processor": "crm" }), 404, "unknown_backup", vec![]),
        (
            json!({ "type": "backup.lost" }),
            422,
            "unknown_type",
            vec!["type"],
        ),
        (json!({ "event_id": "x" }), 400, "schema", vec!["event_id"]),
        (json!({ "taken_at": null }), 400, "schema", vec!["taken_at"]),
        (
            json!({ "taken_at": "2026-11-22T12:00:00Z" }),
            400,
            "schema",
            vec!["taken_at"],
        ),
        (
            json!({ "lock_until": "2026-11-19T00:00:00Z" }),
            400,
            "schema",
            vec!["lock_until"],
        ),
        (
            json!({ "type": "backup.rotated" }),
            400,
            "schema",
            vec!["oldest_retained_at"],
        ),
        (
            json!({ "type": "backup.restored" }),
            400,
            "schema",
            vec!["restored_into"],
        ),
    ];
    for (with, status, code, fields) in cases {
        let reply = api.post("ops", "/v1/backups", &event(with)).await;
        reply.is(status, code);
        if status != 404 {
            assert_eq!(reply.fields(), fields, "{}", reply.text);
        }
    }
    for body in ["", "{", "[]"] {
        let reply = api
            .call(Method::POST, Some("ops"), "/v1/backups", Some(body))
            .await;
        assert_eq!(reply.status.as_u16(), 400, "{}", reply.text);
    }
    for path in ["nightly/other", "crm/main", "NIGHTLY/main", "nightly/%00"] {
        api.get("ops", &format!("/v1/backups/{path}"))
            .await
            .is(404, "not_found");
    }
    for query in ["limit=0", "cursor=aGFsbG8", "x=1"] {
        api.get("ops", &format!("{CATALOGUE}?{query}"))
            .await
            .is(400, "schema");
    }
}

#[tokio::test]
async fn a_restore_into_somebody_unknown_is_taken_and_warned_of() {
    let api = keepers().await;
    let gone = event(json!({ "type": "backup.restored", "restored_into": ["warehouse", "crm"] }));
    // A backup system speaks of its own sources, and of others an operator.
    api.post("nightly", "/v1/backups", &gone)
        .await
        .is(403, "not_allowed");
    let taken = api.post("ops", "/v1/backups", &gone).await.ok(200);
    let [warning] = taken["warnings"].as_array().unwrap().as_slice() else {
        panic!("{taken}")
    };
    assert!(
        warning.as_str().unwrap().contains("no processor warehouse"),
        "{taken}"
    );
}

#[tokio::test]
async fn a_restore_into_a_misspelt_processor_is_refused() {
    let api = keepers().await;
    let misspelt = event(json!({ "type": "backup.restored", "restored_into": ["crm", "crn"] }));
    let reply = api.post("ops", "/v1/backups", &misspelt).await;
    reply.is(400, "schema");
    assert_eq!(reply.json["errors"][0]["field"], "restored_into[1]");
    assert!(
        reply.text.contains("did you mean crm?") && !reply.text.contains("crn"),
        "{}",
        reply.text
    );
    // Nothing was taken: the same event, mended, is no conflict.
    let mut mended = misspelt;
    mended["restored_into"] = json!(["crm"]);
    api.post("ops", "/v1/backups", &mended).await.ok(200);
}

#[tokio::test]
async fn asked_wave_is_not_deferred_and_ends_by_rotation() {
    let api = registered(
        r#"
        [[processor]]
        id = "crm"
        kind = "crm"
        transport = { type = "kafka" }
        actions = ["erase"]
        identities = ["email"]
        [[processor]]
        id = "nightly"
        kind = "backup"
        transport = { type = "kafka" }
        actions = ["erase"]
        identities = ["email"]
        ack_timeout = "60d"
        backup = { sources = ["crm"], set = "main", keep = "35d", confirm_by = "event", erase_by = "key" }
        "#,
    )
    .await;
    let id = api.submit(json!({})).await;
    let task = api.task_message(id, "crm").await;
    api.post("crm", "/v1/acks", &ack(&task, json!({}))).await.ok(200);
    let path = format!("/v1/requests/{id}");
    let detail = api.get("dpo", &path).await.ok(200);
    assert_eq!(detail["status"], "in_progress");
    assert_eq!(
        (
            &detail["waiting_for"][0]["state"],
            &detail["waiting_for"][0]["why"]
        ),
        (&json!("dispatched"), &json!("ack"))
    );
    let said = detail["why_not_done"][0].as_str().unwrap();
    assert!(
        said.starts_with("nightly was asked at ")
            && said.contains("of 2026-11-21T12:05:00Z or later proves it"),
        "{said}"
    );
    let listed = api.get("dpo", "/v1/deferred").await.ok(200);
    assert_eq!(listed["items"], json!([]), "it is asked, and so it is not parked");

    api.clock.advance(std::time::Duration::from_secs(36 * 86_400));
    let asked = api.task_message(id, "nightly").await;
    tell(&api, &rotated("2026-11-21T12:05:00Z")).await;
    api.sweep().await;
    let detail = api.get("dpo", &path).await.ok(200);
    assert_eq!(
        (&detail["status"], &detail["task_list"][1]["outcome"]),
        (&json!("completed"), &json!("expired"))
    );
    let late = ack(&asked, json!({ "evidence": { "method": "crypto_erase" } }));
    api.post("nightly", "/v1/acks", &late).await.ok(200);
    let after = api.get("dpo", &path).await.ok(200);
    assert_eq!(
        after["revision"], detail["revision"],
        "it says again what is known"
    );
}
