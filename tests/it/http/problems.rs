//! Every answer that is no success is a problem of RFC 9457; the fixture checks the form of each.

use reqwest::Method;

use super::fixture::api;

#[tokio::test]
async fn paths_and_methods_that_are_not_there() {
    let api = api().await;
    for path in ["/v1", "/v1/reports", "/v1/processors/crm/halt", "/v1/requests/"] {
        api.get("ops", path).await.is(404, "not_found");
    }
    for (method, path, allowed) in [
        (Method::DELETE, "/v1/requests", "POST,GET,HEAD"),
        (Method::GET, "/v1/acks", "POST"),
        (Method::PUT, "/metrics", "GET,HEAD"),
    ] {
        let reply = api.call(method.clone(), Some("ops"), path, None).await;
        reply.is(405, "method_not_allowed");
        let mut offered: Vec<_> = reply.headers["allow"].to_str().unwrap().split(',').collect();
        let mut allowed: Vec<_> = allowed.split(',').collect();
        offered.sort_unstable();
        allowed.sort_unstable();
        assert_eq!(offered, allowed, "{method} {path}");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large() {
    const LIMIT: usize = 1 << 20;
    let api = api().await;
    let body = |size: usize| format!("\"{}\"", "a".repeat(size - 2));
    for (bearer, path) in [
        ("shop", "/v1/requests"),
        ("crm", "/v1/acks"),
        ("dpo", "/v1/requests/search"),
    ] {
        for size in [LIMIT + 1, 5 * LIMIT] {
            let reply = api
                .call(Method::POST, Some(bearer), path, Some(&body(size)))
                .await;
            reply.is(413, "too_large");
        }
        // Exactly as large as it may be: it is read, and is no object.
        api.call(Method::POST, Some(bearer), path, Some(&body(LIMIT)))
            .await
            .is(400, "schema");
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_read() {
    let api = api().await;
    for (bearer, path) in [
        ("shop", "/v1/requests"),
        ("crm", "/v1/acks"),
        ("dpo", "/v1/requests/search"),
    ] {
        for (body, code) in [
            ("", "schema"),
            ("nil", "not_json"),
            ("{\"a\":1,\"a\":1}", "schema"),
            ("1", "schema"),
        ] {
            api.call(Method::POST, Some(bearer), path, Some(body))
                .await
                .is(400, code);
        }
        let broken = api
            .client
            .post(format!("{}{path}", api.base))
            .bearer_auth(bearer)
            .body(vec![b'"', 0xff, b'"']);
        api.send(broken).await.is(400, "not_utf8");
    }
}
