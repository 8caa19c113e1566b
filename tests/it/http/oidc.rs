//! OpenID Connect against a real identity provider: people sign in to the console, and programs bring its tokens.

use std::time::Duration;

use lacuna::{clock::Clock, transport::oidc::KEYS_AGAIN};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    browser::Browser,
    fixture::{Api, start},
    identity_provider::{API, CONSOLE, IdentityProvider},
};

/// A deployment whose people and programs an identity provider knows. `more`: more of `[auth.oidc]`.
async fn with_provider(more: &str) -> (IdentityProvider, Api) {
    let provider = IdentityProvider::start().await;
    let text = format!(
        "public_url = '{CONSOLE}'\n[auth]\ntokens = [{{ name = 'desk', role = 'compliance', token = 'a-token-of-the-desk' }}]\n\
         [auth.oidc]\nissuer = '{}'\naudience = '{API}'\nrole_claim = 'role'\nclient_id = 'console'\n\
         client_secret = 'the-secret-of-the-console'\nscopes = ['lacuna']\nrights_claim = 'rights'\ntenant_claim = 'tenant'\n{more}\n",
        provider.issuer
    );
    let api = start(&text, false).await;
    // Its tokens say the time of this machine.
    let now = Clock::System.now();
    api.clock.advance(now.since(api.clock.now()));
    (provider, api)
}

impl Api {
    /// What a bearer of this token is answered.
    async fn with_token(&self, token: &str) -> (u16, String) {
        let reply = self.call(Method::GET, Some(token), "/v1/requests", None).await;
        (reply.status.as_u16(), reply.text)
    }

    fn unix_seconds(&self) -> i64 {
        self.clock.now().millis() / 1000
    }
}

/// Claims that are good, and what is wrong with them.
fn claims(provider: &IdentityProvider, api: &Api, with: &Value) -> Value {
    let mut claims = json!({ "iss": provider.issuer, "aud": API, "sub": "robot-7", "exp": api.unix_seconds() + 300,
                             "iat": api.unix_seconds(), "role": "auditor", "tenant": "*" });
    for (name, value) in with.as_object().unwrap() {
        claims[name] = value.clone();
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        }
    }
    claims
}

#[tokio::test]
async fn a_person_signs_in_at_the_identity_provider() {
    let (provider, api) = with_provider("").await;
    let browser = Browser::new(&api.base);
    let asked = browser.get("/?x=1").await;
    let login = browser
        .get(asked.leads_to())
        .await
        .says(200, "Sign in with 127.0.0.1");
    // Both ways are there.
    login.says(200, "name=\"token\"");
    let back = provider
        .sign_in(&browser, "compliance-all-ann", "/%3Fx%3D1")
        .await;
    let before = browser.cookie("lacuna").unwrap();
    assert_eq!(browser.get(&back).await.leads_to(), "/?x=1");
    assert_ne!(
        browser.cookie("lacuna").unwrap(),
        before,
        "the session has an id that nobody knew"
    );
    let page = browser.get("/").await.says(200, "compliance-all-ann");
    // A code is good once.
    browser.send(&page, "/logout", &[]).await;
    assert_eq!(browser.get(&back).await.status, 401);
}

#[tokio::test]
async fn only_the_browser_that_has_begun_is_signed_in() {
    let (provider, api) = with_provider("").await;
    let victim = Browser::new(&api.base);
    let attacker = Browser::new(&api.base);
    let back = provider.sign_in(&attacker, "compliance-eve", "/").await;
    // Whoever is led to another one's answer does not work in that one's name.
    victim.get("/login").await;
    victim.get(&back).await.says(401, "was not begun in this browser");
    assert_eq!(victim.get("/").await.status, 303);
    // An answer in the name of another provider, and one that has no state.
    let (path, query) = back.split_once('?').unwrap();
    let altered = |name: &str, value: &str| {
        let pairs = query.split('&').map(|pair| match pair.split_once('=') {
            Some((key, _)) if key == name => format!("{name}={value}"),
            _ => pair.to_owned(),
        });
        format!("{path}?{}", pairs.collect::<Vec<_>>().join("&"))
    };
    attacker
        .get(&altered("iss", "https%3A%2F%2Fevil.example"))
        .await
        .says(401, "another identity provider");
    attacker.get(&altered("state", "")).await.says(401, "begin again");
    assert_eq!(attacker.get(&back).await.leads_to(), "/");
}

#[tokio::test]
async fn whoever_cancels_is_told_so() {
    let (_provider, api) = with_provider("").await;
    let browser = Browser::new(&api.base);
    let begun = browser.get("/login/oidc").await;
    let state = begun.leads_to().split_once("state=").unwrap().1;
    let state = state.split('&').next().unwrap();
    browser
        .get(&format!("/login/callback?error=access_denied&state={state}"))
        .await
        .says(401, "has not signed you in (access_denied)");
    browser
        .get(&format!("/login/callback?error=%3Cscript%3E&state={state}"))
        .await
        .says(401, "(no reason given)");
}

#[tokio::test]
async fn a_person_without_a_role_here_is_told_so() {
    let (provider, api) = with_provider("").await;
    for (name, said) in [
        ("visitor-ann", "gives you no role here"),
        ("operator-bob+acme", "cannot be limited to a tenant"),
        ("compliance-c+A B", "no tenant for you"),
    ] {
        let browser = Browser::new(&api.base);
        let back = provider.sign_in(&browser, name, "/").await;
        browser.get(&back).await.says(403, said);
        assert_eq!(browser.get("/").await.status, 303, "{name}");
    }
}

#[tokio::test]
async fn roles_are_what_the_list_makes_of_groups() {
    let more = "roles = { 'lacuna-compliance' = 'auditor', 'everybody' = 'submitter' }";
    let (provider, api) = with_provider(more).await;
    // The claim `role` has no value of the list.
    let browser = Browser::new(&api.base);
    let back = provider.sign_in(&browser, "compliance-ann", "/").await;
    browser.get(&back).await.says(403, "gives you no role here");
    let token = provider
        .sign(
            &claims(
                &provider,
                &api,
                &json!({ "role": ["everybody", "lacuna-compliance"] }),
            ),
            json!({}),
        )
        .await;
    // The first of the list, whatever the order of the groups.
    assert_eq!(api.with_token(&token).await.0, 200);
    let only = json!({ "role": ["everybody"] });
    let token = provider.sign(&claims(&provider, &api, &only), json!({})).await;
    assert_eq!(api.with_token(&token).await.0, 403, "a submitter lists nothing");
}

#[tokio::test]
async fn a_program_brings_the_providers_token() {
    let (provider, api) = with_provider("").await;
    let token = provider.access_token().await;
    assert_eq!(api.with_token(&token).await.0, 200);
    // Beside it, tokens of the configuration are as good as ever.
    assert_eq!(api.with_token("a-token-of-the-desk").await.0, 200);
    let limited = claims(
        &provider,
        &api,
        &json!({ "role": "compliance", "tenant": "acme" }),
    );
    let limited = provider.sign(&limited, json!({})).await;
    let reply = api
        .call(Method::GET, Some(&limited), "/v1/requests?tenant=other", None)
        .await;
    reply.is(403, "forbidden");
}

#[tokio::test]
async fn tokens_count_within_the_skew_of_clocks() {
    let (provider, api) = with_provider("").await;
    let now = api.unix_seconds();
    for good in [
        json!({}),
        json!({ "exp": now - 50 }),
        json!({ "nbf": now + 50 }),
        json!({ "iat": now + 50 }),
        json!({ "aud": ["another", API] }),
    ] {
        let token = provider.sign(&claims(&provider, &api, &good), json!({})).await;
        let (status, text) = api.with_token(&token).await;
        assert_eq!(status, 200, "{good}: {text}");
    }
}

#[tokio::test]
async fn tokens_that_are_not_good_are_refused_and_say_why() {
    let (provider, api) = with_provider("").await;
    let now = api.unix_seconds();
    let cases: &[(Value, Value, &str)] = &[
        (json!({ "aud": "console" }), json!({}), "(aud)"),
        (json!({ "iss": "https://evil.example" }), json!({}), "(iss)"),
        (json!({ "exp": now - 70 }), json!({}), "has expired"),
        (json!({ "exp": null }), json!({}), "(exp)"),
        (json!({ "nbf": now + 70 }), json!({}), "(nbf)"),
        (json!({ "iat": now + 70 }), json!({}), "(iat)"),
        (json!({ "sub": null }), json!({}), "(sub)"),
        (json!({}), json!({ "by": "stranger" }), "signature is wrong"),
        (
            json!({}),
            json!({ "by": "stranger", "header": { "kid": "mine" } }),
            "does not have",
        ),
        (json!({}), json!({ "by": "public key" }), "not allowed"),
        (json!({}), json!({ "header": { "typ": "logout+jwt" } }), "(typ)"),
    ];
    for (with, by, said) in cases {
        let token = provider.sign(&claims(&provider, &api, with), by.clone()).await;
        let (status, text) = api.with_token(&token).await;
        assert!(
            status == 401 && text.contains(said),
            "{with} {by}: {status} {text}"
        );
    }
    // No signature at all, and one that was cut off or altered.
    let good = provider
        .sign(&claims(&provider, &api, &json!({})), json!({}))
        .await;
    let mut parts: Vec<&str> = good.split('.').collect();
    let unsigned = format!("{}.{}.", base64_of("{\"alg\":\"none\"}"), parts[1]);
    let cut = format!("{}.{}.", parts[0], parts[1]);
    let others = base64_of(&claims(&provider, &api, &json!({ "role": "operator" })).to_string());
    parts[1] = &others;
    for token in [unsigned, cut, parts.join("."), "a.b.c".to_owned()] {
        assert_eq!(api.with_token(&token).await.0, 401, "{token}");
    }
}

fn base64_of(text: &str) -> String {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    BASE64_URL_SAFE_NO_PAD.encode(text)
}

#[tokio::test]
async fn only_algorithms_of_the_list_count() {
    let (provider, api) = with_provider("algorithms = ['ES256']").await;
    let token = provider
        .sign(&claims(&provider, &api, &json!({})), json!({}))
        .await;
    let (status, text) = api.with_token(&token).await;
    assert!(status == 401 && text.contains("auth.oidc.algorithms"), "{text}");
}

#[tokio::test]
async fn keys_are_read_again_when_the_provider_signs_with_another() {
    let (provider, api) = with_provider("").await;
    let old = provider
        .sign(&claims(&provider, &api, &json!({})), json!({}))
        .await;
    assert_eq!(api.with_token(&old).await.0, 200);
    provider.rotate(true).await;
    let new = provider
        .sign(&claims(&provider, &api, &json!({})), json!({}))
        .await;
    // Not at once for each token that names a key: whoever sends such has the provider asked as often.
    for _ in 0..5 {
        assert_eq!(api.with_token(&new).await.0, 401);
    }
    assert_eq!(provider.key_reads().await, 1);
    api.clock.advance(KEYS_AGAIN);
    assert_eq!(api.with_token(&new).await.0, 200);
    assert_eq!(api.with_token(&old).await.0, 200, "it is published still");
    assert_eq!(provider.key_reads().await, 2);
    // A key that is taken back stops counting within the hour.
    provider.rotate(false).await;
    api.clock.advance(Duration::from_secs(3600));
    let late = claims(&provider, &api, &json!({}));
    let last = provider.sign(&late, json!({})).await;
    assert_eq!(api.with_token(&last).await.0, 200);
    let (status, text) = api.with_token(&old).await;
    assert_eq!(status, 401, "{text}");
}

#[tokio::test]
async fn a_provider_that_is_away_stops_nobody_else() {
    let (provider, api) = with_provider("").await;
    provider.set_down(true).await;
    let token = provider
        .sign(&claims(&provider, &api, &json!({})), json!({}))
        .await;
    let reply = api.call(Method::GET, Some(&token), "/v1/requests", None).await;
    reply.is(503, "unavailable");
    assert!(reply.text.contains("auth.tokens"), "{}", reply.text);
    assert_eq!(api.with_token("a-token-of-the-desk").await.0, 200);
    let browser = Browser::new(&api.base);
    browser
        .get("/login/oidc")
        .await
        .says(503, "cannot be reached just now")
        .says(503, "name=\"token\"");
    assert_eq!(browser.sign_in("a-token-of-the-desk").await.leads_to(), "/");
    provider.set_down(false).await;
    // It is not asked by every call that finds it away.
    assert_eq!(api.with_token(&token).await.0, 503);
    api.clock.advance(Duration::from_secs(30));
    assert_eq!(api.with_token(&token).await.0, 200);
    // Keys that were read serve while it is away.
    provider.set_down(true).await;
    api.clock.advance(Duration::from_secs(3600));
    let later = provider
        .sign(&claims(&provider, &api, &json!({})), json!({}))
        .await;
    assert_eq!(api.with_token(&later).await.0, 200);
    let metrics = api.call(Method::GET, None, "/metrics", None).await.text;
    assert!(
        metrics.contains("lacuna_auth_failures_total{kind=\"provider\"} 3"),
        "{metrics}"
    );
}

#[tokio::test]
async fn nobody_gets_the_name_of_a_token() {
    let (provider, api) = with_provider("").await;
    for name in ["desk", " DESK", "anonymous"] {
        let token = provider
            .sign(&claims(&provider, &api, &json!({ "sub": name })), json!({}))
            .await;
        let (status, text) = api.with_token(&token).await;
        assert!(
            status == 403 && text.contains("tell the two apart"),
            "{name}: {text}"
        );
    }
}
