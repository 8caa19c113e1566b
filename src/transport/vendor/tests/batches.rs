//! Many people in one call.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    imitation::{Imitation, Seen, said},
    site::{Site, shipped, task, word},
};
use crate::config::connectors;

async fn all(site: Site, kind: &'static str, ids: Vec<String>) -> Vec<(String, &'static str)> {
    let site = Arc::new(site);
    let mut sends = JoinSet::new();
    for id in ids {
        let site = Arc::clone(&site);
        sends.spawn(async move {
            let reply = site.send(&task(&[(kind, &id)])).await;
            (id, word(&reply))
        });
    }
    sends.join_all().await
}

fn addresses(seen: &Seen) -> Vec<String> {
    let body = seen.json();
    let list = body["email_addresses"].as_array().cloned().unwrap_or_default();
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bad_address_does_not_sink_the_others() {
    let vendor = Imitation::by(|seen| {
        if addresses(seen).iter().any(|address| address == "bad@") {
            said(400, json!({"errors": [{"message": "invalid email"}]}))
        } else {
            said(202, json!({"job_id": "j-1"}))
        }
    })
    .await;
    let site = Site::of(&shipped("sendgrid"), Arc::clone(&vendor));
    let mut ids: Vec<String> = (0..60).map(|n| format!("p{n}@example.org")).collect();
    ids.push("bad@".to_owned());
    let words = all(site, "email", ids).await;
    for (id, word) in words {
        assert_eq!(word, if id == "bad@" { "rejected" } else { "accepted" }, "{id}");
    }
    let calls = vendor.seen();
    assert!(
        calls.len() <= 14,
        "{} calls for one bad address of 61",
        calls.len()
    );
    let together = calls.iter().map(|seen| addresses(seen).len()).max();
    assert!(together > Some(30), "{together:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_has_one_type_and_no_more_than_its_count() {
    let vendor = Imitation::by(|_| said(201, json!({"deleted": 1}))).await;
    let site = Arc::new(Site::of(&shipped("braze"), Arc::clone(&vendor)));
    let mut sends = JoinSet::new();
    for n in 0..130 {
        let site = Arc::clone(&site);
        let kind = if n % 2 == 0 { "user_id" } else { "braze_id" };
        sends.spawn(async move { word(&site.send(&task(&[(kind, &format!("u{n}"))])).await) });
    }
    assert!(sends.join_all().await.iter().all(|word| *word == "accepted"));
    let mut people = 0;
    for call in vendor.seen() {
        let body = call.json();
        let fields: Vec<&String> = body.as_object().unwrap().keys().collect();
        assert_eq!(fields.len(), 1, "one type a call: {fields:?}");
        let ids = body[fields[0]].as_array().unwrap().len();
        assert!(ids <= 50, "{ids} in one call");
        people += ids;
    }
    assert_eq!(people, 130);
    assert!(vendor.seen().len() < 20, "{} calls", vendor.seen().len());
}

/// Marketo answers 200 also where it fails, with an outcome for each person.
const OF_EACH: &str = r#"
id = "leads"
name = "Leads"
kind = "crm"
shape = "A"
documentation = ["https://example.org/"]
base = "https://leads.example.org"
[identities]
lead_id = { as = "id" }
[[step]]
id = "delete"
does = "delete"
takes = ["lead_id"]
last = true
method = "POST"
path = "/leads/delete.json"
json = { input = "{ids}" }
batch = { count = 10, linger = "100ms" }
each = { in = "/result", id = "/id" }
[[step.rule]]
status = 200
when = { "/success" = true }
means = "each"
[[step.rule]]
status = 200
means = "failed"
[[step.rule]]
each = true
when = { "/status" = "deleted" }
means = "erased"
[[step.rule]]
each = true
when = { "/status" = "skipped" }
means = "not_found"
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_person_of_a_batch_has_an_outcome_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("leads.toml"), OF_EACH).unwrap();
    let connector = connectors::read(&folder.path().join("leads.toml")).unwrap();
    let step = &connector.steps[0];
    let body = json!({"success": true, "result": [{"id": 1, "status": "deleted"}, {"id": "2", "status": "skipped"}]});
    let answer = crate::connector::rules::Answer {
        status: 200,
        body: &body,
        text: None,
        canonical: None,
    };
    let crate::connector::batch::Answered::Each(judged) = step.judge_batch(answer, &["2", "1", "3"]) else {
        panic!("it is not halved");
    };
    let words: Vec<&str> = judged.iter().map(|judged| judged.means.as_str()).collect();
    assert_eq!(
        words,
        ["not_found", "erased", "failed"],
        "who is not named is not erased"
    );
    let inside = json!({"success": false, "errors": [{"code": "601"}]});
    let answer = crate::connector::rules::Answer {
        body: &inside,
        ..answer
    };
    let crate::connector::batch::Answered::Each(judged) = step.judge_batch(answer, &["1"]) else {
        panic!("it is not halved");
    };
    assert_eq!(judged[0].means.as_str(), "failed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_expires_mid_batch_fails_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let auth = "[auth]\ntype = \"oauth2_client_credentials\"\ntoken_url = \"https://leads.example.org/token\"\nclient_id = \"me\"\n\
                client_secret = \"{settings.secret}\"\n[settings.secret]\nabout = \"a secret\"\nsecret = true\n[identities]";
    let text = OF_EACH.replacen("[identities]", auth, 1);
    std::fs::write(folder.path().join("leads.toml"), text).unwrap();
    let connector = connectors::read(&folder.path().join("leads.toml")).unwrap();
    let mut calls = 0;
    let vendor = Imitation::by(move |seen| {
        calls += 1;
        if calls == 1 {
            return said(401, json!({}));
        }
        let body = seen.json();
        let ids = body["input"].as_array().unwrap();
        let result: Vec<Value> = ids
            .iter()
            .map(|id| json!({"id": id, "status": "deleted"}))
            .collect();
        said(200, json!({"success": true, "result": result}))
    })
    .await;
    let site = Site::within(Some(folder.path()), &connector, Arc::clone(&vendor));
    let words = all(site, "lead_id", (0..7).map(|n| format!("l{n}")).collect()).await;
    assert!(words.iter().all(|(_, word)| *word == "erased"), "{words:?}");
    assert_eq!(vendor.grants().len(), 2, "it was renewed once");
}
