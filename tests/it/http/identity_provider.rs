//! A real identity provider: oidc-provider of npm in a process of its own, and people who sign in there.

use std::{process::Stdio, time::Duration};

use reqwest::Client;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use super::browser::{Browser, Page};
use crate::support::{repository, service};

/// How long it may take to start: it makes keys.
const LIMIT: Duration = Duration::from_secs(60);

/// What it is asked for over HTTP.
pub const API: &str = "https://lacuna.test/api";

/// Where the console is for people. Their browsers find it at the listener of the test.
pub const CONSOLE: &str = "http://console.test";

/// A provider that ends with the test.
pub struct IdentityProvider {
    pub issuer: String,
    client: Client,
    _process: Child,
}

impl IdentityProvider {
    /// Starts one that sends people back to [`CONSOLE`].
    pub async fn start() -> Self {
        let mut process = Command::new("node")
            .arg(repository("tests/support/oidc/provider.mjs"))
            .arg(service("LACUNA_TEST_OIDC_PROVIDER"))
            .arg(format!("{CONSOLE}/login/callback"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("node");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let issuer = tokio::time::timeout(LIMIT, lines.next_line())
            .await
            .expect("it says where it listens")
            .unwrap()
            .expect("it says where it listens");
        Self {
            issuer,
            client: Client::new(),
            _process: process,
        }
    }

    async fn control(&self, name: &str, body: &Value) -> String {
        let call = self.client.post(format!("{}/test/{name}", self.issuer));
        let answer = call.json(body).timeout(LIMIT).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{name}");
        answer.text().await.unwrap()
    }

    /// Has a token signed as it would sign one itself. `with`: `header`, and `by`: who signs.
    pub async fn sign(&self, claims: &Value, with: Value) -> String {
        let mut body = json!({ "claims": claims });
        for (name, value) in with.as_object().unwrap() {
            body[name] = value.clone();
        }
        self.control("sign", &body).await
    }

    /// Signs with another key from now on. `keep`: the old one is published still.
    pub async fn rotate(&self, keep: bool) {
        self.control("rotate", &json!({ "keep": keep })).await;
    }

    /// Answers nothing from now on, or answers again.
    pub async fn set_down(&self, down: bool) {
        self.control("down", &json!({ "down": down })).await;
    }

    /// How often its keys were read.
    pub async fn key_reads(&self) -> u32 {
        self.control("jwks-reads", &json!({})).await.parse().unwrap()
    }

    /// An access token for a program, by its own credentials.
    pub async fn access_token(&self) -> String {
        let call = self
            .client
            .post(format!("{}/token", self.issuer))
            .basic_auth("robot", Some("the-secret-of-the-robot"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body("grant_type=client_credentials");
        let answer: Value = call.timeout(LIMIT).send().await.unwrap().json().await.unwrap();
        answer["access_token"].as_str().unwrap().to_owned()
    }

    /// Signs in as this person, from the page of the console's sign-in on: the path that one is sent back to, not asked for yet.
    pub async fn sign_in(&self, browser: &Browser, name: &str, next: &str) -> String {
        let start = browser.get(&format!("/login/oidc?next={next}")).await;
        self.sign_in_at(&start, name).await
    }

    /// The same from where the console has sent the browser to.
    pub async fn sign_in_at(&self, sent: &Page, name: &str) -> String {
        // Its own site, with its own cookies.
        let there = Browser::new(&self.issuer);
        let mut at = sent.leads_to().to_owned();
        assert!(at.starts_with(&self.issuer), "{at}");
        // Login, consent, and a redirect after each.
        for _ in 0..10 {
            let page = there.get(&at).await;
            if page.status.is_redirection() {
                at = page.headers["location"].to_str().unwrap().to_owned();
                if let Some(back) = at.strip_prefix(CONSOLE) {
                    return back.to_owned();
                }
                continue;
            }
            assert_eq!(page.status, 200, "{}", page.text);
            let (_, action) = page.text.split_once("action=\"").expect("a form");
            let action = action.split('"').next().unwrap().to_owned();
            let prompt = if page.text.contains("name=\"login\"") {
                "login"
            } else {
                "consent"
            };
            let fields = [("prompt", prompt), ("login", name), ("password", "any")];
            let answer = there.post(&action, &fields).await;
            at = answer.headers["location"].to_str().unwrap().to_owned();
        }
        panic!("it does not come back: {at}");
    }
}
