//! SIGHUP: tokens are read anew, what needs a restart is named, and a file that is not valid changes nothing.

use std::time::Duration;

use lacuna::clock::Stopwatch;
use reqwest::Client;

use super::{
    worker::{first_answer, signal},
    workspace::{PATIENCE, Workspace},
};
use crate::{http::browser::Browser, support::free_port};

const FIRST: &str = "the-first-token-of-dpo";
const SECOND: &str = "the-second-token-of-dpo";
const SHOP: &str = "the-token-of-the-shop";
const AUDIT: &str = "the-token-of-the-audit";

/// A deployment in one process, with these tokens.
fn config(port: u16, tokens: &[(&str, &str, &str)], more: &str) -> String {
    let tokens: Vec<String> = tokens
        .iter()
        .map(|(name, role, token)| format!("{{ name = \"{name}\", role = \"{role}\", token = \"{token}\" }}"))
        .collect();
    format!(
        "{more}\nkafka.bootstrap_servers = \"embedded\"\nhttp.listen = \"127.0.0.1:{port}\"\nauth.tokens = [{}]\n",
        tokens.join(", ")
    )
}

/// What a bearer of this token is answered; 0: nobody listens yet.
async fn status(base: &str, token: &str) -> u16 {
    let call = Client::new()
        .get(format!("{base}/v1/requests"))
        .bearer_auth(token);
    // Whoever answers health checks during the start makes room for the worker.
    call.send().await.map_or(0, |answer| answer.status().as_u16())
}

/// The status of a request that was just submitted.
async fn submitted(base: &str) -> String {
    let command = serde_json::json!({ "command_id": uuid::Uuid::now_v7(), "type": "erase", "reason": "account_closed",
                                      "subject": { "identities": [{ "type": "customer_id", "value": "42" }] } });
    let call = Client::new()
        .post(format!("{base}/v1/requests"))
        .bearer_auth(SHOP);
    let answer = call.json(&command).send().await.unwrap();
    let answer: serde_json::Value = answer.json().await.unwrap();
    answer["status"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"))
        .to_owned()
}

/// Waits until the last SIGHUP has come to this.
async fn until_reloaded(base: &str, successful: bool) {
    let line = format!("lacuna_config_reload_successful {}\n", i32::from(successful));
    let watch = Stopwatch::start();
    loop {
        let text = reqwest::get(format!("{base}/metrics"))
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        if text.contains(&line) {
            return;
        }
        assert!(watch.elapsed() < PATIENCE, "{line}{text}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until a token is answered this.
async fn until_answered(base: &str, token: &str, expected: u16) {
    let watch = Stopwatch::start();
    while status(base, token).await != expected {
        assert!(watch.elapsed() < PATIENCE, "{expected} never came");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn tokens_are_replaced_while_it_serves() {
    let port = free_port();
    let base = format!("http://127.0.0.1:{port}");
    let shop = ("shop", "submitter", SHOP);
    let workspace = Workspace::with(&config(port, &[("dpo", "compliance", FIRST), shop], ""));
    let worker = workspace
        .command(&["serve", "--log-format", "json"])
        .spawn()
        .unwrap();
    first_answer(port).await;
    until_answered(&base, FIRST, 200).await;
    let browser = Browser::new(&base);
    assert_eq!(browser.sign_in(FIRST).await.leads_to(), "/");
    browser.get("/").await.says(200, "dpo");

    let tokens = [("dpo", "compliance", SECOND), ("audit", "auditor", AUDIT), shop];
    workspace.write("lacuna.toml", &config(port, &tokens, "region = \"eu\""));
    signal(&worker, "-HUP").await;
    until_answered(&base, SECOND, 200).await;
    assert_eq!(status(&base, AUDIT).await, 200);
    assert_eq!(status(&base, FIRST).await, 401);
    // A session ends with its token.
    assert_eq!(browser.get("/").await.leads_to(), "/login?ended=true");
    assert_eq!(browser.sign_in(SECOND).await.leads_to(), "/");

    let without = config(port, &[("audit", "auditor", AUDIT)], "colour = 3");
    workspace.write("lacuna.toml", &without);
    signal(&worker, "-HUP").await;
    until_reloaded(&base, false).await;
    assert_eq!(status(&base, SECOND).await, 200, "nothing was changed");
    browser.get("/").await.says(200, "dpo");

    assert_ne!(submitted(&base).await, "awaiting_verification");
    let strict = config(
        port,
        &tokens,
        "policy.require_identity_verification = true\npolicy.duplicates = { merge_open = false }",
    );
    workspace.write("lacuna.toml", &strict);
    signal(&worker, "-HUP").await;
    until_reloaded(&base, true).await;
    assert_eq!(submitted(&base).await, "awaiting_verification");
    signal(&worker, "-TERM").await;
    let output = worker.wait_with_output().await.unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    for said in [
        "\"added\":\"dpo, audit\"",
        "\"removed\":\"dpo\"",
        "need a restart",
        "\"keys\":\"region\"",
        "colour",
        "nothing was changed",
        "[policy] is replaced",
    ] {
        assert!(log.contains(said), "{said}: {log}");
    }
    assert!(
        [FIRST, SECOND, AUDIT, SHOP]
            .iter()
            .all(|token| !log.contains(token)),
        "{log}"
    );
}
