//! Tokens and roles: the contract's table.

use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use super::fixture::{BEARERS, api, start};

/// Every call and the roles that it takes.
fn table() -> Vec<(Method, String, &'static [&'static str])> {
    let id = Uuid::now_v7();
    let calls: [(Method, &str, &'static [&'static str]); 22] = [
        (Method::POST, "/v1/requests", &["submitter"]),
        (Method::GET, "/v1/requests", &["compliance", "operator"]),
        (Method::POST, "/v1/requests/search", &["compliance"]),
        (
            Method::GET,
            "/v1/requests/{id}",
            &["compliance", "operator", "submitter"],
        ),
        (
            Method::GET,
            "/v1/requests/{id}/events",
            &["auditor", "compliance", "operator"],
        ),
        (Method::POST, "/v1/requests/{id}/cancel", &["compliance"]),
        (Method::POST, "/v1/suppression/check", &["submitter"]),
        (Method::POST, "/v1/acks", &["processor"]),
        (Method::GET, "/v1/tasks", &["operator"]),
        (Method::POST, "/v1/tasks/{id}/retry", &["operator"]),
        (Method::POST, "/v1/tasks/{id}/waive", &["operator"]),
        (Method::GET, "/v1/processors", &["operator"]),
        (Method::POST, "/v1/holds", &["compliance"]),
        (Method::GET, "/v1/holds", &["compliance"]),
        (Method::GET, "/v1/holds/{id}", &["compliance"]),
        (Method::DELETE, "/v1/holds/{id}", &["compliance"]),
        (Method::POST, "/v1/backups", &["operator", "processor"]),
        (Method::GET, "/v1/deferred", &["compliance"]),
        (Method::GET, "/v1/sweeps", &["operator"]),
        (Method::GET, "/v1/dead-letters", &["operator"]),
        (Method::POST, "/v1/dead-letters/{id}/close", &["operator"]),
        (
            Method::GET,
            "/v1/requests?overdue=true",
            &["compliance", "operator"],
        ),
    ];
    calls
        .map(|(method, path, roles)| (method, path.replace("{id}", &id.to_string()), roles))
        .to_vec()
}

#[tokio::test]
async fn every_call_takes_its_roles_and_no_others() {
    let api = api().await;
    let (mut without_token, mut with_wrong_role) = (0, 0);
    for (method, path, roles) in table() {
        for token in [None, Some("nobody"), Some("")] {
            let reply = api.call(method.clone(), token, &path, None).await;
            reply.is(401, "unauthorized");
            assert_eq!(reply.headers["www-authenticate"], "Bearer", "{method} {path}");
            without_token += 1;
        }
        for (name, role) in BEARERS {
            let reply = api.call(method.clone(), Some(name), &path, None).await;
            if roles.contains(&role) {
                assert!(
                    ![401, 403].contains(&reply.status.as_u16()),
                    "{role} {method} {path}: {}",
                    reply.text
                );
            } else {
                reply.is(403, "forbidden");
                with_wrong_role += 1;
            }
        }
    }
    let metrics = api.call(Method::GET, None, "/metrics", None).await.text;
    for (kind, count) in [("token", without_token), ("role", with_wrong_role)] {
        let line = format!("lacuna_auth_failures_total{{kind=\"{kind}\"}} {count}");
        assert!(metrics.contains(&line), "{line}\n{metrics}");
    }
}

#[tokio::test]
async fn machines_need_no_token() {
    let api = api().await;
    for path in ["/metrics", "/healthz", "/readyz"] {
        assert_eq!(
            api.call(Method::GET, None, path, None).await.status,
            200,
            "{path}"
        );
    }
}

#[tokio::test]
async fn without_auth_everybody_has_every_role() {
    let api = start("", false).await;
    for (method, path, _) in table() {
        let reply = api.call(method.clone(), None, &path, None).await;
        assert!(
            ![401, 403].contains(&reply.status.as_u16()),
            "{method} {path}: {}",
            reply.text
        );
    }
    let id = api.submit(json!({})).await;
    let seen = api
        .call(Method::GET, None, &format!("/v1/requests/{id}"), None)
        .await
        .ok(200);
    assert_eq!(seen["request_id"], json!(id));
}

#[tokio::test]
async fn the_scheme_is_read_in_any_case_and_nothing_else_is_a_token() {
    let api = api().await;
    let url = format!("{}/v1/tasks", api.base);
    for (value, status) in [
        ("Bearer ops", 200),
        ("bearer ops", 200),
        ("BEARER  ops", 200),
        ("Basic ops", 401),
        ("ops", 401),
        ("Bearer ops, Bearer ops", 401),
    ] {
        let reply = api
            .send(api.client.get(&url).header("authorization", value))
            .await;
        assert_eq!(reply.status, status, "{value}");
    }
    let twice = api
        .client
        .get(&url)
        .header("authorization", "Bearer ops")
        .header("authorization", "Bearer ops");
    assert_eq!(api.send(twice).await.status, 401);
}

#[tokio::test]
async fn another_sites_page_cannot_order_an_erasure() {
    let api = start("", false).await;
    let url = format!("{}/v1/requests", api.base);
    let command = super::fixture::command(json!({})).to_string();
    for (header, value) in [
        ("sec-fetch-site", "cross-site"),
        ("origin", "https://elsewhere.example"),
    ] {
        let call = api.client.post(&url).header(header, value).body(command.clone());
        api.send(call).await.is(403, "cross_origin");
    }
    let own = api
        .client
        .post(&url)
        .header("sec-fetch-site", "same-origin")
        .body(command);
    assert_eq!(api.send(own).await.status, 202);
}
