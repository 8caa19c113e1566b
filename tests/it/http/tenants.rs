//! Bearers who are limited to one tenant see and do nothing of any other.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::fixture::{Api, api, command};

/// A request of this tenant, submitted by somebody who may do so for all of them.
async fn request_of(api: &Api, tenant: &str) -> Uuid {
    let later = json!({ "tenant": tenant, "not_before": "2026-12-01T00:00:00Z" });
    api.submit(later).await
}

fn ids(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["request_id"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_request_of_another_tenant_is_unknown() {
    let api = api().await;
    let (own, other) = (request_of(&api, "acme").await, request_of(&api, "other").await);
    let calls: [(&str, Method, &str, Value); 7] = [
        ("acme-dpo", Method::GET, "", Value::Null),
        ("acme-audit", Method::GET, "/events", Value::Null),
        (
            "acme-dpo",
            Method::POST,
            "/extend",
            json!({ "reason": "complexity" }),
        ),
        (
            "acme-dpo",
            Method::POST,
            "/refuse",
            json!({ "basis": "trade_secret", "processor": "stats" }),
        ),
        (
            "acme-dpo",
            Method::POST,
            "/verify-identity",
            json!({ "method": "passport", "result": "passed" }),
        ),
        ("acme-dpo", Method::POST, "/approve", json!({})),
        ("acme-dpo", Method::POST, "/cancel", json!({})),
    ];
    for (bearer, method, path, body) in calls {
        let body = body.to_string();
        let body = (method == Method::POST).then_some(body.as_str());

        // What the contract's own words say of this one is up to its state; that it exists is not.
        let path = format!("/v1/requests/{own}{path}");
        let of_own = api.call(method.clone(), Some(bearer), &path, body).await;
        assert_ne!(of_own.status, 404, "{method} {path}: {}", of_own.text);
        let path = path.replace(&own.to_string(), &other.to_string());
        api.call(method, Some(bearer), &path, body)
            .await
            .is(404, "not_found");
    }
}

#[tokio::test]
async fn lists_and_searches_stay_within_the_tenant() {
    let api = api().await;
    let (own, other) = (request_of(&api, "acme").await, request_of(&api, "other").await);
    let all = api.get("dpo", "/v1/requests").await.ok(200);
    assert_eq!(ids(&all).len(), 2);
    let seen = api.get("acme-dpo", "/v1/requests").await.ok(200);
    assert_eq!(ids(&seen), [own.to_string()]);
    api.get("acme-dpo", "/v1/requests?tenant=other")
        .await
        .is(403, "forbidden");
    let search = |tenant: Option<&str>| {
        let mut search = json!({ "identity": { "type": "email", "value": "ann@example.org" } });
        if let Some(tenant) = tenant {
            search["tenant"] = json!(tenant);
        }
        search
    };
    let found = api
        .post("acme-dpo", "/v1/requests/search", &search(None))
        .await
        .ok(200);
    assert_eq!(ids(&found), [own.to_string()]);
    api.post("acme-dpo", "/v1/requests/search", &search(Some("other")))
        .await
        .is(403, "forbidden");
    let found = api
        .post("dpo", "/v1/requests/search", &search(Some("other")))
        .await
        .ok(200);
    assert_eq!(ids(&found), [other.to_string()]);
}

#[tokio::test]
async fn commands_and_holds_are_of_the_own_tenant() {
    let api = api().await;
    let taken = api
        .post("acme-shop", "/v1/requests", &command(json!({})))
        .await
        .ok(202);
    assert_eq!(taken["tenant"], "acme", "the bearer's is the default");
    api.post(
        "acme-shop",
        "/v1/requests",
        &command(json!({ "tenant": "other" })),
    )
    .await
    .is(403, "forbidden");
    let hold = |with: Value| {
        let mut hold = json!({ "command_id": Uuid::now_v7(), "hold_id": Uuid::now_v7(), "basis": "dispute", "processor": "crm" });
        for (name, value) in with.as_object().unwrap() {
            hold[name] = value.clone();
        }
        hold
    };
    let placed = api.post("acme-dpo", "/v1/holds", &hold(json!({}))).await.ok(201);
    assert_eq!(placed["tenant"], "acme");
    api.post("acme-dpo", "/v1/holds", &hold(json!({ "tenant": "other" })))
        .await
        .is(403, "forbidden");
    let others = api
        .post("dpo", "/v1/holds", &hold(json!({ "tenant": "other" })))
        .await
        .ok(201);
    let listed = api.get("acme-dpo", "/v1/holds").await.ok(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    let path = format!("/v1/holds/{}", others["hold_id"].as_str().unwrap());
    api.get("acme-dpo", &path).await.is(404, "not_found");
    api.call(Method::DELETE, Some("acme-dpo"), &path, None)
        .await
        .is(404, "not_found");
    let deferred = api.get("acme-dpo", "/v1/deferred").await.ok(200);
    assert_eq!(deferred["items"], json!([]));
}

#[tokio::test]
async fn suppression_is_answered_for_the_own_tenant() {
    let api = api().await;
    api.submit(json!({ "tenant": "acme", "scope": {} })).await;
    let ask = |tenant: Option<&str>| {
        let mut asked = json!({ "identities": [{ "type": "email", "value": "ann@example.org" }] });
        if let Some(tenant) = tenant {
            asked["tenant"] = json!(tenant);
        }
        asked
    };
    let path = "/v1/suppression/check";
    let answered = api.post("acme-shop", path, &ask(None)).await.ok(200);
    assert_eq!(answered["items"][0]["suppressed"], true);
    let answered = api.post("shop", path, &ask(Some("default"))).await.ok(200);
    assert_eq!(answered["items"][0]["suppressed"], false, "of the default tenant");
    api.post("shop", path, &ask(None)).await.is(400, "schema");
    api.post("acme-shop", path, &ask(Some("default")))
        .await
        .is(403, "forbidden");
}
