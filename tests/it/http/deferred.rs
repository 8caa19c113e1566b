//! What is deferred, and how far sweeps have come.

use serde_json::{Value, json};

use super::fixture::{Api, ack, keepers, registered};

async fn walk(api: &Api, query: &str) -> Vec<Value> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = api
            .get("dpo", &format!("/v1/deferred?limit=2&{query}{cursor}"))
            .await
            .ok(200);
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 2, "{page}");
        found.extend(items.iter().cloned());
        let Some(next) = page["next_cursor"].as_str() else {
            return found;
        };
        cursor = format!("&cursor={next}");
    }
}

fn reasons(items: &[Value]) -> Vec<&str> {
    items
        .iter()
        .map(|item| item["reason"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn every_reason_is_listed_by_date_and_paged_to_its_end() {
    let api = keepers().await;
    let anchors = json!({ "account_closed_at": "2026-11-20T00:00:00Z" });
    let id = api.submit(json!({ "anchors": anchors })).await;
    for processor in ["crm", "stats"] {
        let task = api.task_message(id, processor).await;
        api.post(processor, "/v1/acks", &ack(&task, json!({})))
            .await
            .ok(200);
    }
    let hold = json!({ "command_id": uuid::Uuid::now_v7(), "basis": "dispute", "processor": "crm" });
    api.post("dpo", "/v1/holds", &hold).await.ok(201);
    api.submit(json!({ "scope": { "processors": ["crm"] }, "tenant": "default" }))
        .await;
    let all = walk(&api, "").await;
    assert_eq!(
        reasons(&all),
        ["verification", "backup_rotation", "retention", "hold"],
        "{all:?}"
    );
    let dates: Vec<&Value> = all.iter().map(|item| &item["until"]).collect();
    assert_eq!(
        dates,
        [
            &json!("2026-11-28T12:00:00Z"),
            &json!("2026-12-26T12:05:00Z"),
            &json!("2031-11-20T00:00:00Z"),
            &Value::Null
        ]
    );
    assert_eq!(
        all[2],
        json!({
            "request_id": id, "task_id": all[2]["task_id"], "tenant": "default", "processor": "stats",
            "part": ["invoices"], "sources": [], "action": "erase", "reason": "retention", "until": "2031-11-20T00:00:00Z",
            "overdue": false, "since": null,
        })
    );
    assert_eq!(
        (&all[0]["action"], &all[1]["since"]),
        (&json!("verify"), &json!("2026-11-21T12:00:00Z"))
    );
    assert_eq!(all[1]["sources"], json!([{ "processor": "crm", "part": [] }]));
    for (query, expected) in [
        ("reason=hold", vec!["hold"]),
        ("processor=stats", vec!["verification", "retention"]),
        ("processor=ads", vec![]),
        ("due_before=2026-12-26T12:05:00Z", vec!["verification"]),
        (
            "due_before=2027-01-01T00:00:00Z&reason=backup_rotation",
            vec!["backup_rotation"],
        ),
    ] {
        assert_eq!(reasons(&walk(&api, query).await), expected, "{query}");
    }
    // A proof of rotation that does not come is overdue after the set's patience.
    api.clock.advance(std::time::Duration::from_secs(38 * 86_400));
    let late = walk(&api, "processor=nightly").await;
    assert_eq!(late[0]["overdue"], true);
    for query in [
        "reason=ack",
        "reason=",
        "due_before=soon",
        "limit=501",
        "cursor=aA",
        "tenant=x",
    ] {
        api.get("dpo", &format!("/v1/deferred?{query}"))
            .await
            .is(400, "schema");
    }
}

#[tokio::test]
async fn two_waves_of_a_set_are_told_apart() {
    let api = registered(
        r#"
        [[processor]]
        id = "crm"
        kind = "crm"
        transport = { type = "kafka" }
        actions = ["erase"]
        identities = ["email"]
        categories = ["messages", "invoices"]
        [[processor.retention]]
        categories = ["invoices"]
        basis = "tax_law"
        keep = "1d"
        then = "erase"
        [[processor]]
        id = "nightly"
        kind = "backup"
        transport = { type = "kafka" }
        actions = ["erase"]
        identities = ["email"]
        backup = { sources = ["crm"], set = "main", keep = "35d", confirm_by = "event" }
        "#,
    )
    .await;
    let id = api.submit(json!({})).await;
    for _ in 0..2 {
        let task = api
            .task_message_where(id, "crm", |task| task["scope"]["categories"] != json!([]))
            .await;
        api.post("crm", "/v1/acks", &ack(&task, json!({}))).await.ok(200);
        api.clock.advance(std::time::Duration::from_secs(86_400));
        api.wake().await;
    }
    let parts = |items: &[Value]| {
        let of = |item: &Value| json!([item["processor"], item["sources"]]);
        items.iter().map(of).collect::<Vec<_>>()
    };
    let wave = |part: &str| json!(["nightly", [{ "processor": "crm", "part": [part] }]]);
    let listed = walk(&api, "reason=backup_rotation").await;
    assert_eq!(parts(&listed), [wave("messages"), wave("invoices")]);
    let page = api.get("ops", "/v1/tasks?state=parked").await.ok(200);
    assert_eq!(
        parts(page["items"].as_array().unwrap()),
        [wave("messages"), wave("invoices")]
    );
}

#[tokio::test]
async fn sweeps_are_listed() {
    let api = keepers().await;
    api.submit(json!({})).await;
    let hold = json!({ "command_id": uuid::Uuid::now_v7(), "basis": "dispute", "processor": "crm" });
    api.post("dpo", "/v1/holds", &hold).await.ok(201);
    let page = api.get("ops", "/v1/sweeps?unfinished=true").await.ok(200);
    let open = &page["items"][0];
    assert_eq!(
        (&open["fact"], &open["total"], &open["finished_at"]),
        (&json!("hold"), &Value::Null, &Value::Null)
    );
    api.sweep().await;
    let page = api.get("ops", "/v1/sweeps").await.ok(200);
    let swept = &page["items"][0];
    assert_eq!(
        *swept,
        json!({
            "version": swept["version"], "fact": "hold", "started_at": "2026-11-21T12:00:00Z",
            "updated_at": "2026-11-21T12:00:00Z", "finished_at": "2026-11-21T12:00:00Z", "done": 1, "total": 1,
            "waits_for": null,
        })
    );
    let none = api.get("ops", "/v1/sweeps?unfinished=true").await.ok(200);
    assert_eq!(none["items"], json!([]));
    for query in ["unfinished=yes", "limit=0", "cursor=x"] {
        api.get("ops", &format!("/v1/sweeps?{query}"))
            .await
            .is(400, "schema");
    }
}
