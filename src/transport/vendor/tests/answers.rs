//! Answers that say nothing: pages, lists that are not there, answers of another length or size. None of them is an outcome.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    imitation::{Imitation, page, said},
    site::{Site, shipped, task, why, word},
};
use crate::{
    config::connectors,
    connector::{
        Step,
        batch::Answered,
        rules::{Answer, Judged, Means},
    },
};

fn judged(step: &Step, status: u16, body: &Value, text: Option<&str>) -> Judged {
    let answer = Answer {
        status,
        body,
        text,
        canonical: None,
    };
    match step.judge_batch(answer, &["7"]) {
        Answered::Each(mut judged) if step.batch.is_some() => judged.remove(0),
        _ => step.judge(answer, "7"),
    }
}

fn every_step(see: impl Fn(&str, &Step)) {
    for id in connectors::shipped() {
        for step in &shipped(id).steps {
            see(&format!("{id}: {}", step.id), step);
        }
    }
}

#[test]
fn a_page_is_no_answer_of_any_connector() {
    every_step(|name, step| {
        for status in [200, 201, 202, 400, 404, 409, 410, 422] {
            let means = judged(step, status, &Value::Null, Some("<html>Sign in</html>")).means;
            let is_trouble = matches!(
                means,
                Means::Failed
                    | Means::Retry
                    | Means::RateLimited
                    | Means::Unauthorised
                    | Means::AccountNotFound
            );
            assert!(
                is_trouble,
                "{name}: {status} with a page means {}",
                means.as_str()
            );
        }
        let text = judged(step, 200, &Value::Null, Some("OK")).means;
        assert!(
            matches!(text, Means::Failed | Means::Retry),
            "{name}: {}",
            text.as_str()
        );
    });
}

#[test]
fn an_answer_without_its_list_says_nobody_is_gone_of_no_connector() {
    let bodies = [
        Value::Null,
        json!({}),
        json!([]),
        json!({"error": "no"}),
        json!({"users": null, "data": null, "results": null, "records": null, "matches": null}),
    ];
    every_step(|name, step| {
        for body in &bodies {
            // Iterable answers {} for somebody who is not there, and Customer.io {} for somebody who was suppressed.
            let is_documented =
                name.starts_with("iterable: probe") && *body == json!({}) || name == "customer-io: suppress";
            // An empty list is what Amplitude lists its jobs in.
            let is_list = name == "amplitude: job-of-day" && *body == json!([]);
            let means = judged(step, 200, body, None).means;
            let is_gone = matches!(
                means,
                Means::Absent | Means::NotFound | Means::Gone | Means::Erased
            );
            assert!(
                !is_gone || is_documented || is_list,
                "{name}: 200 with {body} means {}",
                means.as_str()
            );
        }
    });
}

#[tokio::test]
async fn a_login_page_with_200_erases_nobody() {
    for (connector, kind, id) in [
        ("zendesk", "zendesk_user_id", "7"),
        ("mailchimp", "email", "ann@example.org"),
        ("customer-io", "email", "ann@example.org"),
        ("sendgrid", "email", "ann@example.org"),
        ("hubspot", "email", "ann@example.org"),
    ] {
        let site = Site::of(&shipped(connector), Imitation::by(|_| page(200)).await);
        let reply = site.send(&task(&[(kind, id)])).await;
        assert_eq!(word(&reply), "failed", "{connector}");
        let why = why(reply);
        assert!(
            why.contains("no JSON") && !why.contains("sign in"),
            "{connector}: {why}"
        );
    }
    let site = Site::of(&shipped("hubspot"), Imitation::by(|_| page(404)).await);
    let reply = site.send(&task(&[("email", "ann@example.org")])).await;
    assert_eq!(word(&reply), "failed", "a proxy's 404 knows nobody");
    let site = Site::of(&shipped("hubspot"), Imitation::by(|_| page(502)).await);
    assert_eq!(
        word(&site.send(&task(&[("email", "ann@example.org")])).await),
        "failed"
    );
}

#[tokio::test]
async fn an_answer_of_100_mb_is_not_read_and_fails() {
    let vendor = Imitation::by(|_| super::imitation::Said {
        text: Some(format!("{{\"users\": [], \"x\": \"{}\"}}", "x".repeat(100 << 20))),
        ..said(200, Value::Null)
    })
    .await;
    let site = Site::of(&shipped("zendesk"), vendor);
    let reply = site.send(&task(&[("email", "ann@example.org")])).await;
    assert_eq!(word(&reply), "failed");
    let why = why(reply);
    assert!(why.contains("larger than 8192 KiB"), "{why}");
}

/// A vendor that answers a batch in the order of the call.
const IN_ORDER: &str = r#"
id = "in-order"
name = "In order"
kind = "crm"
shape = "A"
documentation = ["https://example.org/"]
base = "https://example.org"
[identities]
user_id = { as = "id" }
[[step]]
id = "delete"
does = "delete"
takes = ["user_id"]
last = true
method = "POST"
path = "/delete"
json = { ids = "{ids}" }
batch = { count = 10, linger = "100ms" }
each = { in = "/people", missing = "not_found" }
[[step.rule]]
status = 200
means = "each"
[[step.rule]]
each = true
when = { "/outcome" = "erased" }
means = "erased"
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outcomes_of_another_number_than_people_are_nobodys() {
    let erased = json!({"outcome": "erased"});
    for (people, expected) in [
        (Some(3), "erased"),
        (Some(2), "failed"),
        (Some(4), "failed"),
        (Some(0), "failed"),
        (None, "failed"),
    ] {
        let body = people.map_or(json!({}), |n| json!({"people": vec![erased.clone(); n]}));
        let site = Arc::new(Site::own(
            IN_ORDER,
            Imitation::by(move |_| said(200, body.clone())).await,
        ));
        let mut sends = JoinSet::new();
        for n in 0..3 {
            let site = Arc::clone(&site);
            sends.spawn(async move { word(&site.send(&task(&[("user_id", &format!("u{n}"))])).await) });
        }
        let words = sends.join_all().await;
        assert_eq!(words, [expected; 3], "{people:?} outcomes for 3 people");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_goes_out_when_its_first_person_left() {
    let vendor = Imitation::by(|seen| {
        let people = seen.json()["ids"].as_array().unwrap().len();
        said(200, json!({"people": vec![json!({"outcome": "erased"}); people]}))
    })
    .await;
    let site = Arc::new(Site::own(IN_ORDER, vendor));
    let first = {
        let site = Arc::clone(&site);
        tokio::spawn(async move { site.send(&task(&[("user_id", "first")])).await })
    };
    let second = {
        let site = Arc::clone(&site);
        tokio::spawn(async move { word(&site.send(&task(&[("user_id", "second")])).await) })
    };
    tokio::task::yield_now().await;
    first.abort();
    assert_eq!(second.await.unwrap(), "erased");
}

#[test]
fn of_two_elements_about_one_person_the_worse_one_counts() {
    let connector = connectors::read_text(
        "own.toml",
        &IN_ORDER.replace("in = \"/people\",", "in = \"/people\", id = \"/id\","),
    )
    .unwrap();
    let body = json!({"people": [{"id": "7", "outcome": "erased"}, {"id": "7", "outcome": "locked"}]});
    assert_eq!(judged(&connector.steps[0], 200, &body, None).means, Means::Failed);
}

#[tokio::test]
async fn of_two_users_the_one_that_vanished_is_asked_for_again() {
    let user = |id: u32| json!({"id": id, "email": "ann@example.org"});
    let answers = vec![
        said(200, json!({"users": [user(7), user(8)]})),
        said(200, json!({})),
        said(200, json!({})),
        said(200, json!({"deleted_user": {"id": 7}})),
        said(404, json!({})),
    ];
    let site = Site::new("zendesk", answers).await;
    let reply = site.send(&task(&[("email", "ann@example.org")])).await;
    assert_eq!(word(&reply), "failed", "8 was there a moment ago");
    assert!(why(reply).contains("does not find what an earlier one has just found"));
}

#[tokio::test]
async fn what_two_names_say_is_called_once() {
    // The id that was given is the one that the address leads to.
    let answers = vec![
        said(200, json!({"users": [{"id": 7, "email": "ann@example.org"}]})),
        said(200, json!({})),
        said(200, json!({"deleted_user": {"id": 7}})),
    ];
    let site = Site::new("zendesk", answers).await;
    let both = task(&[("email", "ann@example.org"), ("zendesk_user_id", "7")]);
    assert_eq!(word(&site.send(&both).await), "erased");
    assert_eq!(site.vendor.seen().len(), 3);
}

#[tokio::test]
async fn a_probe_that_leaves_an_identifier_out_proves_nothing() {
    // Amplitude is searched by the ids of one's own only.
    let site = Site::new("amplitude", vec![said(200, json!({"matches": []}))]).await;
    let processor = site.processor.clone();
    let asks = |processor: &crate::domain::registry::Processor| {
        let tenant = crate::domain::ids::Tenant::new("acme").unwrap();
        let regime = crate::domain::calendar::Regime::parse("gdpr").unwrap();
        let now = crate::clock::Clock::System.now();
        crate::engine::effects::TaskDispatch::of_nobody(processor, &tenant, &regime, now)
    };
    let reply = {
        use crate::transport::sender::Sender as _;
        let within = super::site::WITHIN;
        site.sender.send(&processor, &asks(&processor), within).await
    };
    assert_eq!(word(&reply), "failed");
    let why = why(reply);
    assert!(why.contains("no probe asks by amplitude_id"), "{why}");
}

#[tokio::test]
async fn a_call_that_logs_in_by_itself_has_one_authorization() {
    let answers = vec![said(200, json!({"results": []}))];
    let site = Site::new("customer-io", answers).await;
    assert_eq!(
        word(&site.send(&task(&[("email", "ann@example.org")])).await),
        "not_found"
    );
    let seen = &site.vendor.seen()[0];
    let logins: Vec<_> = seen.headers.get_all("authorization").iter().collect();
    assert_eq!(logins, ["Bearer APP_KEY"]);
}

#[test]
fn a_header_with_a_secret_is_marked() {
    use crate::connector::{Kept, play::made_up, request::Filling};
    let connector = shipped("customer-io");
    let (values, kept) = (made_up(&connector), Kept::default());
    let filling = Filling {
        values: &values,
        kind: "email",
        ids: &["ann@example.org"],
        kept: &kept,
        today: "",
        key: "",
    };
    let call = connector.steps[0].render(&connector, filling).unwrap();
    assert!(
        call.headers.iter().all(|header| header.is_secret),
        "{:?}",
        call.headers
    );
    let connector = shipped("intercom");
    let values = made_up(&connector);
    let filling = Filling {
        values: &values,
        ..filling
    };
    let call = connector.steps[1].render(&connector, filling).unwrap();
    assert!(!call.headers[0].is_secret, "a version is none");
    assert!(!format!("{call:?}{:?}", call.headers).contains("2.11"));
}

#[test]
fn text_of_a_parameter_is_encoded_too() {
    use crate::connector::{Kept, play::made_up, request::Filling};
    let text = connectors::shipped_text("salesforce").unwrap();
    let like = text.replace("WHERE Email = '{id|soql}'", "WHERE Email LIKE '100%25{id|soql}'");
    let connector = connectors::read_text("salesforce.toml", &like).unwrap();
    let (values, kept) = (made_up(&connector), Kept::default());
    let filling = Filling {
        values: &values,
        kind: "Email",
        ids: &["a&b"],
        kept: &kept,
        today: "",
        key: "",
    };
    let call = connector.steps[0].render(&connector, filling).unwrap();
    assert!(call.path.contains("LIKE%20%27100%2525a%26b%27"), "{}", call.path);
}
