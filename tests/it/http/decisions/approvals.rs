//! Approvals of many requests at once, and who may give them.

use lacuna::{
    domain::{command::Command, ids::Tenant},
    engine::prepare::Arrival,
    wire::{Channel, Envelope},
};
use serde_json::{Value, json};

use super::{strict, submitted};
use crate::http::fixture::{Api, command, start};

#[tokio::test]
async fn many_are_approved_when_they_are_as_many_as_expected() {
    let api = strict().await;
    for n in 0..5 {
        let tenant = if n < 3 { "acme" } else { "other" };
        submitted(&api, json!({ "identity_verified": true, "tenant": tenant })).await;
    }
    let body = |count: u64| json!({ "filter": { "tenant": "acme" }, "expected_count": count });
    api.post("dpo", "/v1/approvals", &body(2))
        .await
        .is(409, "count_differs");
    api.post("dpo", "/v1/approvals", &body(4))
        .await
        .is(409, "count_differs");
    let waiting = "/v1/requests?status=awaiting_approval";
    assert_eq!(
        api.get("dpo", waiting).await.ok(200)["items"]
            .as_array()
            .unwrap()
            .len(),
        5
    );
    let done = api.post("dpo", "/v1/approvals", &body(3)).await.ok(200);
    assert_eq!(done, json!({ "approved": 3 }));
    assert_eq!(
        api.get("dpo", waiting).await.ok(200)["items"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    for bad in [
        json!({ "filter": { "colour": "red" }, "expected_count": 1 }),
        json!({ "filter": { "tenant": 7 }, "expected_count": 1 }),
        json!({ "filter": {} }),
    ] {
        let reply = api.post("dpo", "/v1/approvals", &bad).await;
        assert!(reply.status.is_client_error(), "{}", reply.text);
        assert_eq!(reply.json["code"], "schema");
    }
}

#[tokio::test]
async fn approvals_repeated_under_a_key_answer_as_the_first_time() {
    let api = strict().await;
    for _ in 0..2 {
        submitted(&api, json!({ "identity_verified": true })).await;
    }
    let approve = |body: Value| {
        let call = api
            .client
            .post(format!("{}/v1/approvals", api.base))
            .bearer_auth("dpo")
            .header("idempotency-key", "batch-7")
            .body(body.to_string());
        api.send(call)
    };
    let body = json!({ "filter": {}, "expected_count": 2 });
    let done = json!({ "approved": 2 });
    assert_eq!(approve(body.clone()).await.ok(200), done);
    assert_eq!(approve(body.clone()).await.ok(200), done);
    // Without the key it is another call, and under it another body is another call as well.
    api.post("dpo", "/v1/approvals", &body)
        .await
        .is(409, "count_differs");
    approve(json!({ "filter": {}, "expected_count": 1 }))
        .await
        .is(409, "conflicting_duplicate");
}

#[tokio::test]
async fn approvals_go_on_after_a_cursor() {
    let api = strict().await;
    for _ in 0..3 {
        submitted(&api, json!({ "identity_verified": true })).await;
    }
    let listed = api
        .get("dpo", "/v1/requests?status=awaiting_approval&limit=1")
        .await
        .ok(200);
    let rest = json!({ "filter": {}, "expected_count": 2, "cursor": listed["next_cursor"] });
    assert_eq!(
        api.post("dpo", "/v1/approvals", &rest).await.ok(200),
        json!({ "approved": 2 })
    );
    let first = json!({ "filter": {}, "expected_count": 1 });
    assert_eq!(
        api.post("dpo", "/v1/approvals", &first).await.ok(200),
        json!({ "approved": 1 })
    );
}

#[tokio::test]
async fn more_than_the_policy_allows_an_hour_wait_for_a_second_person() {
    let api = start("[policy]\napproval = { above_per_hour = 3 }\n", true).await;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        let path = submitted(&api, json!({})).await;
        statuses.push(
            api.get("dpo", &path).await.ok(200)["status"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    assert_eq!(statuses[..3], ["in_progress"; 3]);
    assert_eq!(statuses[3..], ["awaiting_approval"; 2]);
    api.clock.advance(std::time::Duration::from_secs(3601));
    let path = submitted(&api, json!({})).await;
    assert_eq!(api.get("dpo", &path).await.ok(200)["status"], "in_progress");
}

/// Requests of several bearers, all taken in at once: their ids are in this order.
async fn submitted_by(api: &Api, names: impl Iterator<Item = &str>) {
    let tenant = Tenant::new("default").unwrap();
    let arrival = |name: &str| {
        let text = command(json!({ "identity_verified": true })).to_string();
        let envelope = Envelope::bare(&tenant);
        let mut prepared = api
            .engine
            .intake()
            .prepare_command(text.as_bytes(), &envelope, Channel::Http)
            .unwrap();
        if let Command::Open(opening) = &mut prepared.command {
            opening.submitter = Some(name.to_owned());
        }
        Arrival {
            origin: None,
            content: Ok(prepared),
            raw: zeroize::Zeroizing::default(),
            headers: lacuna::wire::KeptHeaders::default(),
            reading: None,
        }
    };
    let arrivals: Vec<_> = names.map(arrival).collect();
    api.engine.intake().take_in(&arrivals).await.unwrap();
}

#[tokio::test]
async fn same_name_in_capitals_approves_nothing() {
    let api = strict().await;
    submitted_by(&api, std::iter::repeat_n("app", 501).chain(["shop"])).await;
    let all = json!({ "filter": {}, "expected_count": 502 });
    api.post("SHOP", "/v1/approvals", &all)
        .await
        .is(403, "not_allowed");
    let still = json!({ "filter": {}, "expected_count": 502 });
    let done = api.post("dpo", "/v1/approvals", &still).await.ok(200);
    assert_eq!(done, json!({ "approved": 502 }));
}

#[tokio::test]
async fn too_many_approvals_are_refused_before_any_is_made() {
    let api = strict().await;
    submitted_by(&api, ["app"].into_iter()).await;
    let too_many = json!({ "filter": {}, "expected_count": 10_001 });
    let reply = api.post("dpo", "/v1/approvals", &too_many).await;
    reply.is(400, "schema");
    assert_eq!(reply.fields(), ["expected_count"]);
    let one = json!({ "filter": {}, "expected_count": 1 });
    assert_eq!(
        api.post("dpo", "/v1/approvals", &one).await.ok(200),
        json!({ "approved": 1 })
    );
}
