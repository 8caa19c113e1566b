//! Tokens and roles: the contract's table.

use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use super::fixture::{BEARERS, api, start};

const SUBMITTER: &[&str] = &["submitter"];
const PROCESSOR: &[&str] = &["processor"];
const COMPLIANCE: &[&str] = &["compliance"];
const OPERATOR: &[&str] = &["operator"];
/// Who may look at everything: compliance and operator each include the auditor.
const LOOKING: &[&str] = &["auditor", "compliance", "operator"];

/// Every call and the roles that it takes.
fn table() -> Vec<(Method, String, &'static [&'static str])> {
    let id = Uuid::now_v7();
    let calls: [(Method, &str, &'static [&'static str]); 27] = [
        (Method::POST, "/v1/requests", SUBMITTER),
        (Method::GET, "/v1/requests", LOOKING),
        (Method::GET, "/v1/requests?overdue=true", LOOKING),
        (Method::POST, "/v1/requests/search", COMPLIANCE),
        (
            Method::GET,
            "/v1/requests/{id}",
            &["auditor", "compliance", "operator", "submitter"],
        ),
        (Method::GET, "/v1/requests/{id}/events", LOOKING),
        (Method::POST, "/v1/requests/{id}/cancel", COMPLIANCE),
        (Method::POST, "/v1/requests/{id}/approve", COMPLIANCE),
        (Method::POST, "/v1/requests/{id}/refuse", COMPLIANCE),
        (Method::POST, "/v1/requests/{id}/verify-identity", COMPLIANCE),
        (Method::POST, "/v1/requests/{id}/extend", COMPLIANCE),
        (Method::POST, "/v1/approvals", COMPLIANCE),
        (Method::POST, "/v1/suppression/check", SUBMITTER),
        (Method::POST, "/v1/acks", PROCESSOR),
        (Method::GET, "/v1/tasks", LOOKING),
        (Method::POST, "/v1/tasks/{id}/retry", OPERATOR),
        (Method::POST, "/v1/tasks/{id}/waive", OPERATOR),
        (Method::GET, "/v1/processors", LOOKING),
        (Method::POST, "/v1/holds", COMPLIANCE),
        (Method::GET, "/v1/holds", LOOKING),
        (Method::GET, "/v1/holds/{id}", LOOKING),
        (Method::DELETE, "/v1/holds/{id}", COMPLIANCE),
        (Method::POST, "/v1/backups", &["operator", "processor"]),
        (Method::GET, "/v1/deferred", LOOKING),
        (Method::GET, "/v1/sweeps", LOOKING),
        (Method::GET, "/v1/dead-letters", LOOKING),
        (Method::POST, "/v1/dead-letters/{id}/close", OPERATOR),
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
                let detail = reply.json["detail"].as_str().unwrap();
                assert!(
                    roles.iter().all(|needed| detail.contains(needed)) && detail.ends_with(role),
                    "{role} {method} {path}: {detail}"
                );
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

#[tokio::test]
async fn an_auditor_reads_a_request_without_what_others_wrote_into_it() {
    let api = api().await;
    let id = api.submit(json!({})).await;
    let task = api.task_message(id, "crm").await;
    let said = json!({ "message": "ann@example.org is gone", "evidence": { "method": "delete" } });
    api.post("crm", "/v1/acks", &super::fixture::ack(&task, said))
        .await
        .ok(200);
    let path = format!("/v1/requests/{id}");
    let evidence = async |token| {
        let detail = api.get(token, &path).await.ok(200);
        let tasks = detail["task_list"].as_array().unwrap().clone();
        let crm = tasks.into_iter().find(|task| task["processor"] == "crm");
        crm.unwrap()["evidence"].clone()
    };
    assert_eq!(evidence("dpo").await["message"], "[email] is gone");
    let seen = evidence("audit").await;
    assert_eq!(
        (&seen["method"], &seen["message"]),
        (&json!("delete"), &json!(null))
    );
}

#[tokio::test]
async fn foreign_host_is_not_answered_without_auth() {
    let open = start("", false).await;
    let command = || super::fixture::command(json!({})).to_string();
    let port = open.address.port();
    let call = |api: &super::fixture::Api, host: &str| {
        let url = format!("{}/v1/requests", api.base);
        api.client.post(url).header("host", host).body(command())
    };
    for rebound in [
        format!("rebound.example:{port}"),
        "localhost.rebound.example".to_owned(),
    ] {
        open.send(call(&open, &rebound)).await.is(421, "misdirected");
        let url = format!("{}/v1/requests", open.base);
        let read = open.client.get(url).header("host", &rebound);
        open.send(read).await.is(421, "misdirected");
    }
    for own in [
        format!("localhost:{port}"),
        format!("127.0.0.1:{port}"),
        format!("[::1]:{port}"),
    ] {
        assert_eq!(open.send(call(&open, &own)).await.status, 202, "{own}");
    }
    // Whoever has a token is no page of somebody else's.
    let closed = api().await;
    let named = call(&closed, "lacuna.internal").bearer_auth("shop");
    assert_eq!(closed.send(named).await.status, 202);
}
