//! Signing in to the console with a token, sessions, and the tokens of forms.

use std::time::Duration;

use reqwest::Method;

use super::{
    browser::Browser,
    fixture::{Api, api, start},
};

/// Signed in as the bearer of this token.
async fn signed_in(api: &Api, token: &str) -> Browser {
    let browser = Browser::new(&api.base);
    assert_eq!(browser.sign_in(token).await.leads_to(), "/");
    browser
}

#[tokio::test]
async fn a_page_leads_to_the_sign_in_and_back() {
    let api = api().await;
    let browser = Browser::new(&api.base);
    let first = browser.get("/?a=b&c=d").await;
    assert_eq!(first.leads_to(), "/login?next=%2F%3Fa%3Db%26c%3Dd");
    let login = browser.get(first.leads_to()).await.says(200, "name=\"token\"");
    assert_eq!(login.hidden("next"), "/?a=b&amp;c=d");
    let next = ("next", "/?a=b&c=d");
    let done = browser.send(&login, "/login", &[("token", "dpo"), next]).await;
    assert_eq!(done.leads_to(), "/?a=b&c=d");
    browser.get("/").await.says(200, "dpo");
    // Whoever is signed in has no need of it.
    assert_eq!(browser.get("/login?next=/x").await.leads_to(), "/x");
}

#[tokio::test]
async fn the_sign_in_leads_to_no_other_site() {
    let api = api().await;
    for next in ["https://evil.example/", "//evil.example", "/\\evil.example"] {
        let browser = Browser::new(&api.base);
        let login = browser.get("/login").await;
        let done = browser
            .send(&login, "/login", &[("token", "dpo"), ("next", next)])
            .await;
        assert_eq!(done.leads_to(), "/", "{next}");
    }
}

#[tokio::test]
async fn an_unknown_token_signs_nobody_in() {
    let api = api().await;
    let browser = Browser::new(&api.base);
    let page = browser.sign_in("nobody").await;
    page.says(401, "not known here");
    assert_eq!(browser.get("/").await.leads_to(), "/login?ended=true");
    let metrics = api.call(Method::GET, None, "/metrics", None).await.text;
    assert!(metrics.contains("lacuna_auth_failures_total{kind=\"sign_in\"} 1"));
}

#[tokio::test]
async fn the_session_gets_an_id_that_nobody_knew() {
    let api = api().await;
    let browser = Browser::new(&api.base);
    let planted = "ab".repeat(32);
    browser.set_cookie("lacuna", &planted);
    browser.sign_in("dpo").await;
    let id = browser.cookie("lacuna").unwrap();
    assert_ne!(id, planted);
    // What the store has is of no use to whoever reads it.
    let row = lacuna::engine::sessions::SessionId::parse(&id).unwrap();
    assert!(!format!("{row:?}").contains(&id));
    let other = Browser::new(&api.base);
    other.set_cookie("lacuna", &planted);
    assert_eq!(other.get("/").await.status, 303);
}

#[tokio::test]
async fn signing_out_ends_the_session_everywhere() {
    let api = api().await;
    let browser = signed_in(&api, "dpo").await;
    let id = browser.cookie("lacuna").unwrap();
    let page = browser.get("/").await.says(200, "action=\"/logout\"");
    assert_eq!(browser.send(&page, "/logout", &[]).await.leads_to(), "/login");
    assert_eq!(browser.get("/").await.status, 303);
    // A copy of the cookie is worth nothing either.
    let thief = Browser::new(&api.base);
    thief.set_cookie("lacuna", &id);
    assert_eq!(thief.get("/").await.leads_to(), "/login?ended=true");
}

#[tokio::test]
async fn a_session_that_is_not_used_ends() {
    let api = api().await;
    let browser = signed_in(&api, "dpo").await;
    for _ in 0..3 {
        api.clock.advance(Duration::from_secs(29 * 60));
        browser.get("/").await.says(200, "dpo");
    }
    api.clock.advance(Duration::from_secs(31 * 60));
    let page = browser.get("/").await;
    assert_eq!(page.leads_to(), "/login?ended=true");
    browser
        .get(page.leads_to())
        .await
        .says(200, "Your session has ended");
}

#[tokio::test]
async fn a_session_ends_after_its_time_also_when_used() {
    let api = api().await;
    let browser = signed_in(&api, "dpo").await;
    for _ in 0..11 * 4 + 3 {
        api.clock.advance(Duration::from_secs(15 * 60));
        browser.get("/").await.says(200, "dpo");
    }
    api.clock.advance(Duration::from_secs(15 * 60));
    assert_eq!(browser.get("/").await.leads_to(), "/login?ended=true");
}

/// One bearer with an old and a new token.
const ROTATED: &str = "[auth]\nsession = { idle = '20d', absolute = '30d' }\ntokens = [
    { name = 'dpo', role = 'compliance', token = 'the-old-token-of-dpo', not_after = '2026-11-30T00:00:00Z' },
    { name = 'dpo', role = 'compliance', token = 'the-new-token-of-dpo' },
]\n";

#[tokio::test]
async fn a_session_ends_with_its_token() {
    let api = start(ROTATED, false).await;
    let (old, new) = ("the-old-token-of-dpo", "the-new-token-of-dpo");
    let (with_old, with_new) = (signed_in(&api, old).await, signed_in(&api, new).await);
    with_old.get("/").await.says(200, "dpo");
    api.get(old, "/v1/requests").await.ok(200);
    api.clock.advance(Duration::from_secs(10 * 24 * 3600));
    assert_eq!(with_old.get("/").await.leads_to(), "/login?ended=true");
    with_new.get("/").await.says(200, "dpo");
    let refused = api.get(old, "/v1/requests").await;
    refused.is(401, "unauthorized");
    assert!(refused.text.contains("has expired"), "{}", refused.text);
    Browser::new(&api.base)
        .sign_in(old)
        .await
        .says(401, "has expired");
    api.get(new, "/v1/requests").await.ok(200);
    let metrics = api.call(Method::GET, None, "/metrics", None).await.text;
    assert!(metrics.contains("lacuna_auth_failures_total{kind=\"expired\"} 1"));
}

#[tokio::test]
async fn whoever_guesses_has_to_wait() {
    let api = api().await;
    let browser = Browser::new(&api.base);
    for _ in 0..10 {
        browser.sign_in("guess").await.says(401, "not known");
    }
    let page = browser.sign_in("dpo").await.says(429, "Too many sign-ins");
    assert_eq!(page.headers["retry-after"], "60");
    api.clock.advance(Duration::from_secs(60));
    assert_eq!(browser.sign_in("dpo").await.leads_to(), "/");
}

#[tokio::test]
async fn a_form_without_its_token_does_nothing() {
    let api = api().await;
    let browser = signed_in(&api, "dpo").await;
    let of_another = signed_in(&api, "dpo").await.get("/").await.hidden("csrf");
    for fields in [&[] as &[(&str, &str)], &[("csrf", "")], &[("csrf", &of_another)]] {
        browser
            .post("/logout", fields)
            .await
            .says(403, "not from a page of this session");
    }
    browser.get("/").await.says(200, "dpo");
    let metrics = api.call(Method::GET, None, "/metrics", None).await.text;
    assert!(metrics.contains("lacuna_auth_failures_total{kind=\"form\"} 3"));
}

#[tokio::test]
async fn another_sites_form_does_nothing() {
    let api = api().await;
    let browser = signed_in(&api, "dpo").await;
    let token = browser.get("/").await.hidden("csrf");
    for header in [
        ("origin", "https://evil.example"),
        ("sec-fetch-site", "cross-site"),
    ] {
        let page = browser
            .ask(Method::POST, "/logout", &[("csrf", &token)], &[header])
            .await;
        assert_eq!(page.status, 403, "{header:?}");
    }
    browser.get("/").await.says(200, "dpo");
}

#[tokio::test]
async fn the_api_does_not_take_the_cookie() {
    let api = api().await;
    let browser = signed_in(&api, "dpo").await;
    assert_eq!(browser.get("/v1/requests").await.status, 401);
}

#[tokio::test]
async fn a_program_gets_pages_with_its_bearer_token() {
    let api = api().await;
    let browser = Browser::new(&api.base);
    let with = |token, path| {
        let browser = &browser;
        async move {
            let header = [("authorization", token)];
            browser.ask(Method::GET, path, &[], &header).await
        }
    };
    with("Bearer dpo", "/").await.says(200, "dpo");
    assert_eq!(with("Bearer nobody", "/").await.status, 401);
    with("Bearer shop", "/").await.says(200, "shop");
    assert_eq!(with("Bearer shop", "/processors").await.status, 403);
}

#[tokio::test]
async fn a_role_that_may_not_see_a_page_is_told_so() {
    let api = api().await;
    let browser = signed_in(&api, "shop").await;
    browser.get("/processors").await.says(403, "submitter");
    // The search field stays in reach.
    browser.get("/processors").await.says(403, "name=\"q\"");
    browser.get("/").await.says(200, "shop");
}

#[tokio::test]
async fn without_auth_nobody_signs_in_and_forms_are_bound() {
    let api = start("", false).await;
    let browser = Browser::new(&api.base);
    browser.get("/").await.says(200, "anonymous");
    assert_eq!(browser.get("/login").await.leads_to(), "/");
    browser
        .post("/logout", &[])
        .await
        .says(403, "not from a page of this session");
}

#[tokio::test]
async fn a_page_is_kept_by_nobody() {
    let api = api().await;
    let page = Browser::new(&api.base).get("/login").await;
    assert_eq!(page.headers["cache-control"], "no-store");
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    let cookie = page.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("HttpOnly; SameSite=Lax"), "{cookie}");
}
