//! Tasks that people do, over HTTP.

use serde_json::{Value, json};

use super::fixture::{Api, registered};

const REGISTRY: &str = r#"
[[processor]]
id = "crm"
kind = "crm"
transport = { type = "manual", assignee = "back-office", instructions = "Delete the ticket.", due = "3d" }
actions = ["erase"]
identities = ["email"]
[[processor]]
id = "stats"
kind = "other"
transport = { type = "manual", assignee = "lawyers", confirm_by_two = true }
actions = ["erase"]
identities = ["customer_id"]
"#;

async fn task_of(api: &Api, processor: &str) -> String {
    let listed = api.get("ops", "/v1/manual").await.ok(200);
    let items = listed["items"].as_array().unwrap();
    let of_it = items.iter().find(|item| item["processor"] == processor).unwrap();
    of_it["task_id"].as_str().unwrap().to_owned()
}

async fn post(api: &Api, who: &str, task: &str, what: &str, body: Value) -> super::fixture::Reply {
    api.post(who, &format!("/v1/manual/{task}/{what}"), &body).await
}

#[tokio::test]
async fn late_in_its_term_a_task_reminds_of_itself() {
    let api = registered(REGISTRY).await;
    api.submit(json!({})).await;
    let task = task_of(&api, "crm").await;
    let hour = std::time::Duration::from_secs(3600);
    let mut notices = Vec::new();
    // Its term is three days: the last fifth of it begins 14.4 hours before its end.
    for hours in [57, 1, 13, 2] {
        api.clock.advance(hour * hours);
        let shown = api.get("audit", &format!("/v1/manual/{task}")).await.ok(200);
        notices.push(shown["notice"].clone());
    }
    assert_eq!(
        notices,
        [
            json!(null),
            json!("due_soon"),
            json!("due_soon"),
            json!("overdue")
        ]
    );
}

#[tokio::test]
async fn a_person_claims_a_task_and_confirms_it() {
    let api = registered(REGISTRY).await;
    let id = api.submit(json!({})).await;
    let task = task_of(&api, "crm").await;
    let open = json!({
        "task_id": task, "request_id": id, "tenant": "default", "processor": "crm", "action": "erase", "part": [],
        "instructions": "Delete the ticket.", "assignee": "back-office", "claimed_by": null, "claimed_at": null,
        "confirmed_by": null, "due": "2026-11-24T12:00:00Z", "overdue": false, "notice": null, "state": "open",
    });
    let path = format!("/v1/manual/{task}");
    assert_eq!(api.get("audit", &path).await.ok(200), open);
    let status = api.get("dpo", &format!("/v1/requests/{id}")).await.ok(200);
    assert_eq!(
        status["waiting_for"][0],
        json!({ "processor": "crm", "state": "ready", "why": "manual", "until": "2026-11-24T12:00:00Z" })
    );
    assert_eq!(status["task_list"][0]["why"], "manual");

    let claimed = post(&api, "ops", &task, "claim", json!({})).await.ok(200);
    assert_eq!(
        (&claimed["state"], &claimed["claimed_by"], &claimed["identities"]),
        (
            &json!("claimed"),
            &json!("ops"),
            &json!([{ "type": "email", "value": "ann@example.org" }])
        )
    );
    // Whom it is about is for the one who does it, and each look leaves its entry.
    for other in ["dpo", "audit"] {
        let seen = api.get(other, &path).await;
        assert!(!seen.text.contains("ann@"), "{}", seen.text);
        assert_eq!(seen.ok(200)["claimed_by"], "ops");
    }
    let before = api.engine.store().ledger_size().await.unwrap();
    api.get("ops", "/v1/manual?state=claimed").await.ok(200);
    assert_eq!(api.engine.store().ledger_size().await.unwrap(), before + 1);
    post(&api, "dpo", &task, "claim", json!({}))
        .await
        .is(409, "wrong_state");
    post(&api, "dpo", &task, "confirm", json!({ "outcome": "erased" }))
        .await
        .is(409, "wrong_state");

    let evidence = json!({ "method": "delete", "records": 1, "reference": "T-815" });
    let confirmed = json!({ "outcome": "erased", "evidence": evidence });
    let done = post(&api, "ops", &task, "confirm", confirmed).await.ok(200);
    assert_eq!(
        (
            &done["state"],
            &done["outcome"],
            &done["request"]["outcomes"]["erased"]
        ),
        (&json!("confirmed"), &json!("erased"), &json!(1))
    );
    let detail = api.get("dpo", &format!("/v1/requests/{id}")).await.ok(200);
    assert_eq!(detail["task_list"][0]["evidence"]["reference"], "T-815");
    api.get("ops", &path).await.is(404, "not_found");
    post(&api, "ops", &task, "claim", json!({}))
        .await
        .is(409, "wrong_state");
}

#[tokio::test]
async fn two_people_confirm_and_never_one_twice() {
    let api = registered(REGISTRY).await;
    let id = api.submit(json!({})).await;
    let task = task_of(&api, "stats").await;
    post(&api, "ops", &task, "confirm", json!({ "outcome": "erased" }))
        .await
        .is(409, "wrong_state");
    post(&api, "ops", &task, "claim", json!({})).await.ok(200);
    let erased = json!({ "outcome": "erased", "evidence": { "reference": "letter of the 21st" } });
    let first = post(&api, "ops", &task, "confirm", erased.clone()).await.ok(200);
    assert_eq!(first["state"], "awaiting_second");
    post(&api, "ops", &task, "confirm", erased.clone())
        .await
        .is(403, "not_allowed");
    let listed = api.get("dpo", "/v1/manual?state=awaiting_second").await.ok(200);
    assert_eq!(
        (
            &listed["items"][0]["confirmed_by"],
            listed["items"].as_array().unwrap().len()
        ),
        (&json!("ops"), 1)
    );
    post(&api, "dpo", &task, "confirm", json!({ "outcome": "not_found" }))
        .await
        .is(409, "wrong_state");
    let second = post(&api, "dpo", &task, "confirm", json!({ "outcome": "erased" }))
        .await
        .ok(200);
    assert_eq!(second["state"], "confirmed");
    let detail = api.get("dpo", &format!("/v1/requests/{id}")).await.ok(200);
    assert_eq!(
        detail["task_list"][1]["evidence"]["reference"],
        "letter of the 21st"
    );
}

#[tokio::test]
async fn a_task_is_refused_or_handed_over() {
    let api = registered(REGISTRY).await;
    let id = api.submit(json!({})).await;
    let (crm, stats) = (task_of(&api, "crm").await, task_of(&api, "stats").await);
    let handed = post(
        &api,
        "dpo",
        &crm,
        "hand-over",
        json!({ "assignee": "night shift" }),
    )
    .await
    .ok(200);
    assert_eq!(
        (&handed["assignee"], &handed["state"]),
        (&json!("night shift"), &json!("open"))
    );
    for (query, found) in [
        ("assignee=night%20shift", 1),
        ("assignee=back-office", 0),
        ("state=open", 2),
        ("state=claimed", 0),
        ("limit=1", 1),
    ] {
        let listed = api.get("audit", &format!("/v1/manual?{query}")).await.ok(200);
        assert_eq!(listed["items"].as_array().unwrap().len(), found, "{query}");
    }
    post(&api, "ops", &stats, "refuse", json!({}))
        .await
        .is(400, "schema");
    let refused = post(&api, "ops", &stats, "refuse", json!({ "reason": "not ours" }))
        .await
        .ok(200);
    assert_eq!(
        (&refused["state"], &refused["request"]["tasks"]["abandoned"]),
        (&json!("refused"), &json!(1))
    );
    let detail = api.get("dpo", &format!("/v1/requests/{id}")).await.ok(200);
    assert_eq!(detail["task_list"][1]["why"], "rejected");
    assert!(
        detail["decisions"].to_string().contains("not ours"),
        "{}",
        detail["decisions"]
    );
}

#[tokio::test]
async fn whoever_acts_is_a_person_and_names_a_task() {
    let api = registered(REGISTRY).await;
    api.submit(json!({})).await;
    let task = task_of(&api, "crm").await;
    for what in ["claim", "confirm", "refuse", "hand-over"] {
        for who in ["audit", "shop", "crm"] {
            let body = json!({ "outcome": "erased", "reason": "x", "assignee": "x" });
            post(&api, who, &task, what, body).await.is(403, "forbidden");
        }
    }
    api.get("shop", "/v1/manual").await.is(403, "forbidden");
    api.get("ops", "/v1/manual?state=done").await.is(400, "schema");
    let nobody = uuid::Uuid::now_v7().to_string();
    post(&api, "ops", &nobody, "claim", json!({}))
        .await
        .is(404, "not_found");
    post(&api, "ops", &task, "hand-over", json!({ "assignee": "" }))
        .await
        .is(400, "schema");
    post(&api, "ops", &task, "claim", json!({})).await.ok(200);
    let reply = post(&api, "ops", &task, "confirm", json!({ "outcome": "e-mailed" })).await;
    reply.is(400, "schema");
    assert_eq!(reply.fields(), ["outcome"]);
    post(&api, "ops", &task, "confirm", json!({ "outcome": "accepted" }))
        .await
        .is(400, "schema");
}
