//! Changes to many requests over HTTP: a dry run, a job, who may order it, how far it has come; and the same in the console.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    browser::Browser,
    fixture::{Api, ack, api, start},
};

/// Requests that wait for an approval.
async fn waiting(n: usize) -> (Api, Vec<Uuid>) {
    let api = start("[policy]\napproval = \"always\"\n", true).await;
    let mut ids = Vec::new();
    for _ in 0..n {
        ids.push(api.submit(json!({})).await);
    }
    (api, ids)
}

/// What workers do.
async fn work(api: &Api) {
    let bulk = api.engine.bulk();
    let owner = Uuid::from_u128(1);
    loop {
        let now = api.engine.trusted_now().await.unwrap();
        let claimed = bulk
            .claim(owner, now, now.plus(Duration::from_secs(30)))
            .await
            .unwrap();
        let Some(mut claimed) = claimed else { return };
        while bulk.step(&mut claimed).await.unwrap().more {}
        bulk.conclude(claimed).await.unwrap();
    }
}

async fn status(api: &Api, id: Uuid) -> Value {
    api.get("dpo", &format!("/v1/requests/{id}")).await.ok(200)["status"].clone()
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_done_and_why_not() {
    let (api, ids) = waiting(3).await;
    api.post("dpo", &format!("/v1/requests/{}/approve", ids[0]), &json!({}))
        .await
        .ok(200);
    let named = json!({ "action": "approve", "ids": [ids[0], ids[1], Uuid::nil()], "dry_run": true });
    let said = api.post("dpo", "/v1/bulk", &named).await.ok(200);
    assert_eq!(
        (&said["matched"], &said["will"], &said["will_not"]),
        (&json!(3), &json!(1), &json!(2))
    );
    let reasons = said["reasons"].as_array().unwrap();
    assert_eq!(reasons.len(), 2, "{said}");
    assert!(
        said["reasons"].to_string().contains("there is no such request"),
        "{said}"
    );
    let filter = json!({ "action": "approve", "filter": { "status": "awaiting_approval" }, "dry_run": true });
    let said = api.post("dpo", "/v1/bulk", &filter).await.ok(200);
    assert_eq!((&said["matched"], &said["will"]), (&json!(2), &json!(2)));
    assert_eq!(
        status(&api, ids[1]).await,
        "awaiting_approval",
        "nothing was done"
    );
    assert_eq!(api.get("dpo", "/v1/bulk").await.ok(200)["items"], json!([]));
}

#[tokio::test]
async fn a_job_is_ordered_worked_off_and_looked_at() {
    let (api, ids) = waiting(4).await;
    let mut body =
        json!({ "action": "approve", "filter": { "status": "awaiting_approval" }, "expected_count": 3 });
    api.post("dpo", "/v1/bulk", &body).await.is(409, "count_differs");
    body["expected_count"] = json!(4);
    body["reason"] = json!("case 4711");
    let reply = api.post("dpo", "/v1/bulk", &body).await;
    let location = reply.headers["location"].to_str().unwrap().to_owned();
    let job = reply.ok(202);
    assert_eq!(location, format!("/v1/bulk/{}", job["bulk_id"].as_str().unwrap()));
    assert_eq!((&job["state"], &job["waiting"]), (&json!("running"), &json!(4)));
    work(&api).await;
    let job = api.get("audit", &location).await.ok(200);
    assert_eq!(
        (&job["state"], &job["done"], &job["refused"], &job["reasons"]),
        (&json!("finished"), &json!(4), &json!(0), &json!([]))
    );
    assert_eq!(
        (&job["actor"], &job["filter"]),
        (&json!("dpo"), &json!("status=awaiting_approval"))
    );
    for id in &ids {
        assert_eq!(status(&api, *id).await, "in_progress");
        let events = api
            .get("audit", &format!("/v1/requests/{id}/events"))
            .await
            .ok(200);
        assert!(events.to_string().contains("\"actor\":\"dpo\""), "{events}");
    }
    let items = api
        .get("dpo", &format!("{location}/items?outcome=done&limit=3"))
        .await
        .ok(200);
    assert_eq!(items["items"].as_array().unwrap().len(), 3);
    let cursor = items["next_cursor"].as_str().unwrap();
    let rest = api
        .get(
            "dpo",
            &format!("{location}/items?outcome=done&limit=3&cursor={cursor}"),
        )
        .await
        .ok(200);
    assert_eq!(
        (rest["items"].as_array().unwrap().len(), &rest["next_cursor"]),
        (1, &Value::Null)
    );
    api.post("dpo", &format!("{location}/cancel"), &json!({}))
        .await
        .is(409, "wrong_state");
}

#[tokio::test]
async fn a_job_takes_the_role_of_its_single_change() {
    let (api, ids) = waiting(1).await;
    let order = |action: &str| json!({ "action": action, "ids": [ids[0]], "dry_run": true, "reason": "x", "basis": "dispute" });
    for action in ["approve", "cancel", "hold"] {
        api.post("dpo", "/v1/bulk", &order(action)).await.ok(200);
        api.post("ops", "/v1/bulk", &order(action))
            .await
            .is(403, "forbidden");
    }
    for action in ["retry", "waive"] {
        api.post("ops", "/v1/bulk", &order(action)).await.ok(200);
        api.post("dpo", "/v1/bulk", &order(action))
            .await
            .is(403, "forbidden");
    }
    for bearer in ["audit", "shop", "crm"] {
        api.post(bearer, "/v1/bulk", &order("approve"))
            .await
            .is(403, "forbidden");
    }
    // One that is limited to a tenant means nobody else's, and does not see the jobs of others.
    let all = json!({ "action": "approve", "filter": { "status": "awaiting_approval" }, "dry_run": true });
    assert_eq!(api.post("acme-dpo", "/v1/bulk", &all).await.ok(200)["matched"], 0);
    let job = api
        .post(
            "dpo",
            "/v1/bulk",
            &json!({ "action": "approve", "ids": [ids[0]] }),
        )
        .await
        .ok(202);
    let path = format!("/v1/bulk/{}", job["bulk_id"].as_str().unwrap());
    api.get("acme-dpo", &path).await.is(404, "not_found");
    api.post("ops", &format!("{path}/pause"), &json!({}))
        .await
        .is(403, "forbidden");
    assert_eq!(
        api.post("dpo", &format!("{path}/pause"), &json!({}))
            .await
            .ok(200)["state"],
        "paused"
    );
    assert_eq!(
        api.post("dpo", &format!("{path}/resume"), &json!({}))
            .await
            .ok(200)["state"],
        "running"
    );
    assert_eq!(
        api.post("dpo", &format!("{path}/cancel"), &json!({}))
            .await
            .ok(200)["state"],
        "cancelled"
    );
    work(&api).await;
    assert_eq!(status(&api, ids[0]).await, "awaiting_approval");
}

#[tokio::test]
async fn a_bad_order_says_what_is_wrong_with_it() {
    let (api, ids) = waiting(1).await;
    for (body, field) in [
        (json!({ "ids": [ids[0]] }), "action"),
        (json!({ "action": "erase", "ids": [ids[0]] }), "action"),
        (
            json!({ "action": "approve", "filter": { "colour": "red" }, "expected_count": 1 }),
            "colour",
        ),
        (
            json!({ "action": "approve", "filter": { "overdue": "yes" }, "expected_count": 1 }),
            "overdue",
        ),
        (json!({ "action": "approve", "filter": {} }), "expected_count"),
        (json!({ "action": "hold", "ids": [ids[0]] }), "basis"),
    ] {
        let reply = api.post("dpo", "/v1/bulk", &body).await;
        reply.is(400, "schema");
        assert_eq!(reply.fields(), [field], "{}", reply.text);
    }
    let both = json!({ "action": "approve", "ids": [ids[0]], "filter": {} });
    api.post("dpo", "/v1/bulk", &both).await.is(400, "schema");
    let waive = json!({ "action": "waive", "ids": [ids[0]] });
    assert_eq!(api.post("ops", "/v1/bulk", &waive).await.fields(), ["reason"]);
}

#[tokio::test]
async fn the_same_order_under_a_key_is_one_job() {
    let (api, _) = waiting(2).await;
    let body = json!({
        "command_id": Uuid::from_u128(5), "action": "approve", "filter": { "status": "awaiting_approval" },
        "expected_count": 2,
    });
    let first = api.post("dpo", "/v1/bulk", &body).await.ok(202);
    work(&api).await;
    // Nothing waits any more, and yet it is no other count: it was ordered before.
    let again = api.post("dpo", "/v1/bulk", &body).await.ok(202);
    assert_eq!(again["bulk_id"], first["bulk_id"]);
    let mut other = body.clone();
    other["expected_count"] = json!(0);
    api.post("dpo", "/v1/bulk", &other)
        .await
        .is(409, "conflicting_duplicate");
}

#[tokio::test]
async fn ticked_rows_are_approved_in_the_console() {
    let (api, ids) = waiting(3).await;
    let browser = Browser::new(&api.base);
    browser.sign_in("dpo").await;
    let list = browser.get("/approvals").await.says(200, &ids[0].to_string());
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let fields = [
        ("query", "status=awaiting_approval"),
        ("scope", "ticked"),
        ("action", "approve"),
        ("ids", ids[0].as_str()),
        ("ids", ids[1].as_str()),
    ];
    let preview = browser.send(&list, "/bulk/preview", &fields).await;
    let preview = preview.says(200, "2 of 2 requests will be changed");
    assert!(
        preview.text.contains("data-action=\"approve\""),
        "{}",
        preview.text
    );
    let key = preview.hidden("command_id");
    let mut fields = fields.to_vec();
    fields.extend([
        ("expected_count", "2"),
        ("command_id", key.as_str()),
        ("reason", ""),
    ]);
    let started = browser.send(&preview, "/bulk", &fields).await;
    let path = started.leads_to().to_owned();
    // Two clicks are one job.
    assert_eq!(browser.send(&preview, "/bulk", &fields).await.leads_to(), path);
    let shown = browser.get(&path).await.says(200, "0 of 2 looked at");
    assert!(shown.text.contains("data-action=\"pause\""), "{}", shown.text);
    browser
        .send(&shown, &format!("{path}/pause"), &[])
        .await
        .leads_to();
    let shown = browser.get(&path).await.says(200, "data-action=\"resume\"");
    browser
        .send(&shown, &format!("{path}/resume"), &[])
        .await
        .leads_to();
    work(&api).await;
    browser.get(&path).await.says(200, "All of it is done.");
    browser.get("/bulk").await.says(200, "finished");
    browser.get("/approvals").await.says(200, &ids[2]);
    assert!(!browser.get("/approvals").await.text.contains(&ids[0]));
    // Without the token of a form nothing is done.
    browser.post("/bulk", &fields).await.says(403, "");
}

#[tokio::test]
async fn all_that_match_are_withdrawn_in_the_console() {
    let (api, ids) = waiting(3).await;
    let browser = Browser::new(&api.base);
    browser.sign_in("dpo").await;
    let list = browser.get("/requests?status=awaiting_approval").await;
    let mut fields = vec![
        ("query", "status=awaiting_approval"),
        ("scope", "all"),
        ("action", "cancel"),
    ];
    let preview = browser.send(&list, "/bulk/preview", &fields).await;
    let preview = preview.says(200, "3 of 3 requests will be changed");
    fields.push(("expected_count", "2"));
    browser
        .send(&preview, "/bulk", &fields)
        .await
        .says(409, "3 requests are meant");
    fields.pop();
    fields.push(("expected_count", "3"));
    browser.send(&preview, "/bulk", &fields).await.leads_to();
    work(&api).await;
    for id in ids {
        assert_eq!(status(&api, id).await, "cancelled");
    }
    // An auditor has nothing to tick.
    let auditor = Browser::new(&api.base);
    auditor.sign_in("audit").await;
    let list = auditor.get("/requests").await;
    assert!(!list.text.contains("type=\"checkbox\" name=\"ids\"") || !list.text.contains("/bulk/preview"));
}

#[tokio::test]
async fn failing_tasks_are_asked_again_through_a_job() {
    let api = api().await;
    let id = api.submit(json!({})).await;
    let task = api.task_message(id, "crm").await;
    let rejected = ack(&task, json!({ "outcome": "rejected" }));
    api.post("crm", "/v1/acks", &rejected).await.ok(200);
    let body =
        json!({ "action": "retry", "filter": { "failing": true, "processor": "stats" }, "dry_run": true });
    let said = api.post("ops", "/v1/bulk", &body).await.ok(200);
    assert_eq!(
        (&said["matched"], &said["will"]),
        (&json!(1), &json!(0)),
        "{said}"
    );
    let body =
        json!({ "action": "retry", "filter": { "failing": true, "processor": "crm" }, "expected_count": 1 });
    api.post("ops", "/v1/bulk", &body).await.ok(202);
    work(&api).await;
    let shown = api.get("ops", &format!("/v1/requests/{id}")).await.ok(200);
    assert_eq!(
        (
            &shown["task_list"][0]["state"],
            &shown["task_list"][0]["generation"]
        ),
        (&json!("dispatched"), &json!(2))
    );
}
