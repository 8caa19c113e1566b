//! People's decisions: identity, approvals, refusals, extensions, each by who may take it, when it may be taken.

mod approvals;

use lacuna::domain::words::RefusalBasis;
use serde_json::{Value, json};

use super::fixture::{Api, api, command, start};

async fn strict() -> Api {
    start(
        "[policy]\nrequire_identity_verification = true\napproval = \"always\"\n",
        true,
    )
    .await
}

async fn submitted(api: &Api, with: Value) -> String {
    let reply = api.post("shop", "/v1/requests", &command(with)).await.ok(202);
    format!("/v1/requests/{}", reply["request_id"].as_str().unwrap())
}

#[tokio::test]
async fn a_request_passes_its_gates_one_after_the_other() {
    let api = strict().await;
    let path = submitted(&api, json!({ "identity_verified": false })).await;
    let detail = api.get("dpo", &path).await.ok(200);
    assert_eq!(detail["status"], "awaiting_verification");
    assert_eq!(
        detail["gates"],
        json!([{ "gate": "verification", "open": false, "until": null },
               { "gate": "approval", "open": false, "until": null }])
    );
    assert_eq!(
        detail["waiting_for"][0],
        json!({ "state": "blocked", "why": "verification", "until": null })
    );
    let verified = json!({ "method": "passport", "result": "passed" });
    let status = api
        .post("dpo", &format!("{path}/verify-identity"), &verified)
        .await
        .ok(200);
    assert_eq!(status["status"], "awaiting_approval");
    api.post("dpo", &format!("{path}/verify-identity"), &verified)
        .await
        .is(409, "wrong_state");
    let status = api
        .post("dpo", &format!("{path}/approve"), &json!({}))
        .await
        .ok(200);
    assert_eq!(status["status"], "in_progress");
    api.post("dpo", &format!("{path}/approve"), &json!({}))
        .await
        .is(409, "wrong_state");
}

#[tokio::test]
async fn decisions_have_their_roles_and_shapes() {
    let api = strict().await;
    let path = submitted(&api, json!({ "identity_verified": true })).await;
    for bearer in ["shop", "crm", "ops", "audit"] {
        for decision in ["approve", "refuse", "verify-identity", "extend"] {
            api.post(bearer, &format!("{path}/{decision}"), &json!({}))
                .await
                .is(403, "forbidden");
        }
        api.post(bearer, "/v1/approvals", &json!({}))
            .await
            .is(403, "forbidden");
    }
    for (decision, body, field) in [
        ("refuse", json!({}), "basis"),
        ("refuse", json!({ "basis": "regulator" }), "basis"),
        ("extend", json!({}), "reason"),
        ("extend", json!({ "reason": "weather" }), "reason"),
        ("verify-identity", json!({ "method": "passport" }), "result"),
    ] {
        let reply = api.post("dpo", &format!("{path}/{decision}"), &body).await;
        assert_eq!(reply.json["code"], "schema", "{}", reply.text);
        assert_eq!(reply.fields(), [field], "{}", reply.text);
    }
    api.post(
        "dpo",
        &format!("/v1/requests/{}/approve", uuid::Uuid::now_v7()),
        &json!({}),
    )
    .await
    .is(404, "not_found");
}

#[tokio::test]
async fn a_refusal_names_its_ground_and_ends_it() {
    let api = strict().await;
    let path = submitted(&api, json!({ "identity_verified": true })).await;
    let body = json!({ "basis": "manifestly_unfounded", "reason": "the tenth one this week" });
    let status = api.post("dpo", &format!("{path}/refuse"), &body).await.ok(200);
    assert_eq!(
        (&status["status"], &status["refused_on"]),
        (&json!("refused"), &json!("manifestly_unfounded"))
    );
    api.post("dpo", &format!("{path}/refuse"), &body)
        .await
        .is(409, "wrong_state");
    api.post("dpo", &format!("{path}/approve"), &json!({}))
        .await
        .is(409, "wrong_state");
}

#[tokio::test]
async fn a_processors_share_is_refused_before_it_was_asked() {
    let api = strict().await;
    let path = submitted(&api, json!({ "identity_verified": true })).await;
    let body = json!({ "basis": "independent_authorization", "processor": "stats" });
    api.post("dpo", &format!("{path}/refuse"), &body).await.ok(200);
    api.post("dpo", &format!("{path}/approve"), &json!({}))
        .await
        .ok(200);
    let detail = api.get("dpo", &path).await.ok(200);
    let stats = detail["task_list"]
        .as_array()
        .unwrap()
        .iter()
        .find(|task| task["processor"] == "stats")
        .unwrap();
    assert_eq!(
        (&stats["state"], &stats["why"]),
        (&json!("exempt"), &json!("independent_authorization"))
    );
    let sent = json!({ "basis": "independent_authorization", "processor": "crm" });
    api.post("dpo", &format!("{path}/refuse"), &sent)
        .await
        .is(409, "wrong_state");
}

#[tokio::test]
async fn a_deadline_is_extended_once() {
    let api = api().await;
    let path = submitted(&api, json!({ "requested_at": "2026-11-21T10:00:00Z" })).await;
    let body = json!({ "reason": "complexity" });
    let status = api.post("dpo", &format!("{path}/extend"), &body).await.ok(200);
    assert_eq!(status["deadline"], "2027-02-21T22:59:59Z");
    api.post("dpo", &format!("{path}/extend"), &body)
        .await
        .is(409, "wrong_state");
    let events = api
        .get("dpo", &format!("{path}/events"))
        .await
        .ok(200)
        .to_string();
    assert!(
        events.contains("deadline_moved") && events.contains("2026-12-21T22:59:59Z"),
        "{events}"
    );
}

#[tokio::test]
async fn a_grace_window_can_be_used_to_withdraw() {
    let api = start("[policy]\ngrace = \"2d\"\n", true).await;
    let path = submitted(&api, json!({})).await;
    let detail = api.get("dpo", &path).await.ok(200);
    assert_eq!(detail["status"], "scheduled");
    assert_eq!(
        (
            &detail["waiting_for"][0]["why"],
            &detail["waiting_for"][0]["until"]
        ),
        (&json!("grace"), &json!("2026-11-23T12:00:00Z"))
    );
    let cancelled = api
        .post("dpo", &format!("{path}/cancel"), &json!({}))
        .await
        .ok(200);
    assert_eq!(cancelled["status"], "cancelled");
}

#[tokio::test]
async fn the_news_of_a_return_is_taken_and_names_no_request() {
    let api = api().await;
    let id = uuid::Uuid::now_v7();
    let back = json!({ "command_id": id, "type": "reactivated", "tenant": "acme", "at": "2026-11-21T11:00:00Z",
        "subject": { "identities": [{ "type": "email", "value": "nobody@example.org" }] } });
    for _ in 0..2 {
        let taken = api.post("shop", "/v1/requests", &back).await.ok(202);
        assert_eq!(taken, json!({ "command_id": id }));
    }
}

#[tokio::test]
async fn every_refusal_ground_is_told_in_the_status() {
    let api = start(
        "[policy]\nrequire_identity_verification = true\ncomplaint_body = \"Authority of the Land\"\n\
         complaint_bodies = { ccpa = \"Attorney General\" }\n",
        true,
    )
    .await;
    for (n, basis) in RefusalBasis::ALL.iter().enumerate() {
        let (regime, authority) = [("gdpr", "Authority of the Land"), ("ccpa", "Attorney General")][n % 2];
        let waiting = json!({ "identity_verified": false, "regime": regime });
        let path = submitted(&api, waiting.clone()).await;
        let refused = api
            .post("dpo", &format!("{path}/refuse"), &json!({ "basis": basis }))
            .await
            .ok(200);
        assert_eq!(refused["status"], "refused");
        let at = refused["completed_at"].clone();
        let told = json!({ "basis": basis, "at": at, "complaint_body": authority });
        assert_eq!(refused["refusal"], told);
        assert_eq!(api.get("dpo", &path).await.ok(200)["refusal"], told);

        let path = submitted(&api, waiting).await;
        let share = json!({ "basis": basis, "processor": "stats" });
        let status = api.post("dpo", &format!("{path}/refuse"), &share).await.ok(200);
        assert_eq!(status["refused_on"], Value::Null);
        assert_eq!(
            status["refusal"],
            json!({ "processors": [{ "processor": "stats", "basis": basis }] })
        );
        api.post("dpo", &format!("{path}/refuse"), &share)
            .await
            .is(409, "wrong_state");
        let nobody = json!({ "basis": basis, "processor": "nobody" });
        api.post("dpo", &format!("{path}/refuse"), &nobody)
            .await
            .is(409, "wrong_state");
        let whole = json!({ "basis": basis });
        api.post("dpo", &format!("{path}/refuse"), &whole).await.ok(200);
        api.post("dpo", &format!("{path}/refuse"), &whole)
            .await
            .is(409, "wrong_state");
    }
}

#[tokio::test]
async fn nothing_refused_is_nothing_told() {
    let api = api().await;
    let path = submitted(&api, json!({})).await;
    assert_eq!(api.get("dpo", &path).await.ok(200)["refusal"], Value::Null);
    api.post("dpo", &format!("{path}/refuse"), &json!({ "basis": "excessive" }))
        .await
        .is(409, "wrong_state");
}

#[tokio::test]
async fn decisions_over_http_are_counted_as_the_topics_are() {
    let api = strict().await;
    let path = submitted(&api, json!({ "identity_verified": false })).await;
    let decide = async |bearer: &str, what: &str, body: Value| {
        api.post(bearer, &format!("{path}/{what}"), &body).await;
    };
    decide("dpo", "approve", json!({})).await;
    decide("dpo", "verify-identity", json!({ "method": "passport" })).await;
    let passed = json!({ "method": "passport", "result": "passed" });
    decide("dpo", "verify-identity", passed).await;
    decide("SHOP", "approve", json!({})).await;
    decide("acme-dpo", "refuse", json!({ "basis": "excessive" })).await;
    decide("dpo", "extend", json!({ "reason": "complexity" })).await;
    decide("dpo", "approve", json!({})).await;
    decide("dpo", "cancel", json!({})).await;
    let other = submitted(&api, json!({ "identity_verified": true })).await;
    api.post("dpo", &format!("{other}/cancel"), &json!({}))
        .await
        .ok(200);
    submitted(&api, json!({ "identity_verified": true })).await;
    let one = json!({ "filter": {}, "expected_count": 1 });
    api.post("SHOP", "/v1/approvals", &one)
        .await
        .is(403, "not_allowed");
    api.post("dpo", "/v1/approvals", &one).await.ok(200);
    let metrics = api.call(reqwest::Method::GET, None, "/metrics", None).await.text;
    let counted: Vec<&str> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("lacuna_commands_total"))
        .collect();
    assert_eq!(
        counted,
        [
            "{result=\"accepted\",type=\"approve\"} 2",
            "{result=\"accepted\",type=\"cancel\"} 1",
            "{result=\"accepted\",type=\"erase\"} 3",
            "{result=\"accepted\",type=\"extend\"} 1",
            "{result=\"accepted\",type=\"verify_identity\"} 1",
            "{result=\"not_allowed\",type=\"approve\"} 2",
            "{result=\"schema\",type=\"unreadable\"} 1",
            "{result=\"too_late\",type=\"cancel\"} 1",
            "{result=\"unknown_request\",type=\"refuse\"} 1",
            "{result=\"wrong_state\",type=\"approve\"} 1",
        ]
    );
}

#[tokio::test]
async fn closed_request_is_forgotten_on_demand() {
    let api = strict().await;
    let path = submitted(&api, json!({ "identity_verified": false })).await;
    let id = path.rsplit('/').next().unwrap();
    let forget = format!("{path}/forget");
    // It is open, and only compliance may.
    api.post("dpo", &forget, &json!({})).await.is(409, "wrong_state");
    api.post("ops", &forget, &json!({})).await.is(403, "forbidden");
    api.post(
        "dpo",
        &format!("{path}/refuse"),
        &json!({ "basis": "legal_claims" }),
    )
    .await
    .ok(200);
    let hold =
        json!({ "hold_id": "0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4d", "basis": "dispute", "request_id": id });
    api.post("dpo", "/v1/holds", &hold).await.ok(201);
    api.post("dpo", &forget, &json!({})).await.is(409, "wrong_state");
    api.call(
        reqwest::Method::DELETE,
        Some("dpo"),
        "/v1/holds/0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4d",
        None,
    )
    .await
    .ok(200);
    let before = api.engine.store().ledger_size().await.unwrap();
    let gone = api.post("dpo", &forget, &json!({})).await.ok(200);
    assert_eq!(gone, json!({ "request_id": id, "forgotten": true }));
    api.get("dpo", &path).await.is(404, "not_found");
    assert_eq!(api.engine.store().ledger_size().await.unwrap(), before + 1);
    let events = api.get("audit", &format!("{path}/events")).await.ok(200);
    let last = events["items"].as_array().unwrap().last().unwrap()["entries"].clone();
    assert_eq!(
        last,
        json!([{ "type": "acted_by", "actor": "dpo" }, { "type": "purged", "status": "refused" }])
    );
    // Nobody finds the person by it any more, and it cannot be forgotten twice.
    let found = api
        .post(
            "dpo",
            "/v1/requests/search",
            &json!({ "identity": { "type": "email", "value": "ann@example.org" } }),
        )
        .await
        .ok(200);
    assert_eq!(found["items"], json!([]));
    api.post("dpo", &forget, &json!({})).await.is(404, "not_found");
}
