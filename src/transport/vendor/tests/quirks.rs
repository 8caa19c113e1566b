//! What vendors do that would pass for an erasure and is none: each of the 17 quirks has a test of its name.

use serde_json::{Value, json};

use super::{
    super::notes::Notes as _,
    imitation::{Imitation, said},
    site::{Site, shipped, task, why, word},
};
use crate::{
    config::connectors, connector::Kept, domain::ack::Answer, engine::accepted::AskedAbout,
    transport::sender::Reply,
};

const ANN: (&str, &str) = ("email", "ann@example.org");

fn users(ids: &[u32]) -> Value {
    let user = |id: &u32| json!({ "id": id, "email": "ann@example.org" });
    json!({ "users": ids.iter().map(user).collect::<Vec<_>>() })
}

#[tokio::test]
async fn quirk_01_a_soft_delete_never_completes() {
    let answers = vec![said(200, users(&[7])), said(200, json!({})), said(500, json!({}))];
    let site = Site::new("zendesk", answers).await;
    assert_eq!(word(&site.send(&task(&[ANN])).await), "failed");
    // A connector that claims it cannot even be read.
    let text = connectors::shipped_text("zendesk").unwrap();
    let claims = text.replacen(
        "status = 200\nmeans = \"next\"\n[[step.rule]]\nstatus = 404\nmeans = \"gone\"",
        "status = 200\nmeans = \"erased\"",
        1,
    );
    assert_ne!(claims, text);
    let problems = connectors::read_text("zendesk.toml", &claims)
        .unwrap_err()
        .to_string();
    assert!(problems.contains("a soft delete is no erasure"), "{problems}");
    // Salesforce keeps a recycle bin.
    let found = json!({"done": true, "records": [{"Id": "003"}]});
    let site = Site::new("salesforce", vec![said(200, found), said(204, Value::Null)]).await;
    assert_eq!(word(&site.send(&task(&[ANN])).await), "accepted");
}

#[tokio::test]
async fn quirk_02_ids_are_kept_before_anything_is_deleted() {
    let answers = vec![
        said(200, json!({"data": [{"id": "c-1"}]})),
        said(200, json!({})),
        said(500, json!({})),
        // The second attempt: archived by then, and not found by e-mail any more.
        said(200, json!({"data": []})),
        said(200, json!({})),
        said(200, json!({"id": 12})),
    ];
    let site = Site::new("intercom", answers).await;
    let mut first = task(&[ANN]);
    assert_eq!(word(&site.send(&first).await), "failed");
    let kept = site.kept(&first).await.expect("it is remembered");
    assert_eq!(kept.get("contact_id")[0].expose(), "c-1");
    first.attempt = 2;
    assert_eq!(word(&site.send(&first).await), "accepted");
    assert_eq!(site.vendor.seen()[5].json(), json!({"intercom_user_id": "c-1"}));
    // Open tickets stop the erasure, and somebody is told.
    let site = Site::new("zendesk", vec![said(200, users(&[7])), said(422, json!({}))]).await;
    let reply = site.send(&task(&[ANN])).await;
    assert_eq!(word(&reply), "failed");
    assert!(why(reply).contains("open tickets"));
}

#[tokio::test]
async fn quirk_03_nothing_matched_is_not_erased() {
    let none = json!({"persons_found": 0, "persons_deleted": 0, "events_queued_for_deletion": true});
    let site = Site::new("posthog", vec![said(202, none)]).await;
    assert_eq!(word(&site.send(&task(&[("user_id", "7")])).await), "not_found");
    let site = Site::new("hubspot", vec![said(404, json!({}))]).await;
    assert_eq!(word(&site.send(&task(&[ANN])).await), "not_found");
    assert_eq!(site.vendor.seen().len(), 1, "nobody is put on a block list");
    let site = Site::new("amplitude", vec![said(200, json!({"matches": []}))]).await;
    assert_eq!(word(&site.send(&task(&[("user_id", "7")])).await), "not_found");
    // What was there a moment ago is not unknown.
    let answers = vec![said(200, users(&[7])), said(200, json!({})), said(404, json!({}))];
    let site = Site::new("zendesk", answers).await;
    assert_eq!(word(&site.send(&task(&[ANN])).await), "failed");
}

#[tokio::test]
async fn quirk_04_collection_is_stopped_where_that_can_be() {
    let site = Site::new("segment", vec![said(200, json!({"data": {"regulateId": "r"}}))]).await;
    assert_eq!(word(&site.send(&task(&[("user_id", "7")])).await), "accepted");
    assert_eq!(
        site.vendor.seen()[0].json()["regulationType"],
        "SUPPRESS_WITH_DELETE"
    );
    let found = json!({"results": [{"cio_id": "a1"}]});
    let site = Site::new("customer-io", vec![said(200, found), said(200, json!({}))]).await;
    assert_eq!(word(&site.send(&task(&[ANN])).await), "erased");
    assert_eq!(site.vendor.seen()[1].path, "/api/v1/customers/cio_a1/suppress");
    for id in ["amplitude", "mixpanel", "google-analytics"] {
        let notes = shipped(id).notes.join(" ");
        assert!(
            notes.contains("at their source")
                || notes.contains("create the person again")
                || notes.contains("at its source"),
            "{id}"
        );
    }
}

#[tokio::test]
async fn quirk_05_a_cut_off_is_kept_as_evidence() {
    let at = "2026-11-30T12:00:00Z";
    let site = Site::new(
        "google-analytics",
        vec![said(200, json!({"deletionRequestTime": at}))],
    )
    .await;
    let Reply::Ack(ack) = site.send(&task(&[("user_id", "7")])).await else {
        panic!("an ack");
    };
    assert!(matches!(ack.answer, Answer::Accepted { .. }));
    assert_eq!(ack.evidence.unwrap().reference.as_deref(), Some(at));
}

#[tokio::test]
async fn quirk_06_every_identifier_of_a_person_has_to_pass() {
    let taken = || said(200, json!({"deletionRequestTime": "2026-11-30T12:00:00Z"}));
    let both = task(&[("user_id", "7"), ("ga_client_id", "1.2")]);
    let site = Site::new("google-analytics", vec![taken(), taken()]).await;
    assert_eq!(word(&site.send(&both).await), "accepted");
    assert_eq!(site.vendor.seen()[1].json(), json!({"clientId": "1.2"}));
    let site = Site::new("google-analytics", vec![taken(), said(400, json!({}))]).await;
    assert_eq!(word(&site.send(&both).await), "rejected");
}

#[tokio::test]
async fn quirk_07_an_unknown_account_is_no_unknown_person() {
    let site = Site::new("mailchimp", vec![said(404, json!({}))]).await;
    let reply = site.send(&task(&[ANN])).await;
    assert_eq!(
        word(&reply),
        "unauthorised",
        "the lane stops, and nobody is `not_found`"
    );
    assert!(why(reply).contains("there is no such audience"));
    let site = Site::new("posthog", vec![said(404, json!({}))]).await;
    assert_eq!(word(&site.send(&task(&[("user_id", "7")])).await), "unauthorised");
}

#[test]
fn quirk_08_exports_are_processors_of_their_own() {
    for id in ["mixpanel", "google-analytics", "segment", "algolia"] {
        let notes = shipped(id).notes.join(" ");
        assert!(
            notes.contains("of its own") || notes.contains("of their own"),
            "{id}: {notes}"
        );
    }
}

#[tokio::test]
async fn quirk_09_a_merged_person_is_followed() {
    let link = "<https://api.intercom.io/contacts/c-2>; rel=\"canonical\"";
    let answers = vec![
        said(200, json!({"data": [{"id": "c-1"}]})),
        said(410, json!({})).with("link", link),
        said(200, json!({})),
        said(200, json!({"id": 12})),
    ];
    let site = Site::new("intercom", answers).await;
    let task = task(&[ANN]);
    assert_eq!(word(&site.send(&task).await), "accepted");
    assert_eq!(site.vendor.seen()[2].path, "/contacts/c-2");
    assert_eq!(site.vendor.seen()[3].json(), json!({"intercom_user_id": "c-2"}));
    let kept = site.kept(&task).await.unwrap();
    assert_eq!(kept.get("contact_id")[0].expose(), "c-2");
    // Two that lead to each other end it.
    let circle = Imitation::by(|seen| match seen.method.as_str() {
        "POST" => said(200, json!({"data": [{"id": "c-1"}]})),
        _ => said(410, json!({})).with("link", "<https://x/contacts/c-1>; rel=\"canonical\""),
    })
    .await;
    let site = Site::of(&shipped("intercom"), circle);
    assert_eq!(word(&site.send(&task).await), "failed");
}

async fn polled(
    connector: &str,
    names: &[(&str, &str)],
    answers: Vec<super::imitation::Said>,
) -> (Site, Result<Option<Answer>, String>) {
    let site = Site::new(connector, answers).await;
    let about = AskedAbout::for_tests("vendor");
    let mut kept = Kept::default().of_generation(1);
    for (name, value) in names {
        kept.add(name, vec![(*value).to_owned()], true);
    }
    kept.sent = Some(crate::domain::time::At::default());
    site.notes
        .write(&[((about.request, about.task), kept)])
        .await
        .unwrap();
    let (_, heard) = site.sender.ask(&site.processor, vec![about]).await.remove(0);
    (site, heard.map(|ack| ack.map(|ack| ack.answer)))
}

#[tokio::test]
async fn quirk_10_an_overall_status_that_is_not_finished_fails() {
    for status in ["FAILED", "PARTIAL_SUCCESS", "NOT_SUPPORTED", "INVALID"] {
        let body = json!({"data": {"regulation": {"overallStatus": status}}});
        let (site, heard) = polled("segment", &[("job", "r-1")], vec![said(200, body)]).await;
        assert!(
            matches!(heard, Ok(Some(Answer::Failed { .. }))),
            "{status}: {heard:?}"
        );
        let about = AskedAbout::for_tests("vendor");
        let of = (about.request, about.task);
        let kept = site.notes.read(&[of]).await.unwrap().remove(&of).unwrap();
        assert!(kept.sent.is_none(), "the next attempt submits another job");
    }
    let running = json!({"data": {"regulation": {"overallStatus": "RUNNING"}}});
    assert_eq!(
        polled("segment", &[("job", "r-1")], vec![said(200, running)])
            .await
            .1,
        Ok(None)
    );
    // That it cannot be asked says nothing of the job.
    assert!(
        polled("segment", &[("job", "r-1")], vec![said(503, json!({}))])
            .await
            .1
            .is_err()
    );
}

#[tokio::test]
async fn a_job_of_an_id_that_was_given_is_asked_about() {
    let kept = |id: &str| json!({"records": [{"Id": id}]});
    let answers = vec![
        said(204, Value::Null),
        said(200, kept("003")),
        said(200, json!({"records": []})),
    ];
    let site = Site::new("salesforce", answers).await;
    let task = task(&[("salesforce_id", "003")]);
    assert_eq!(word(&site.send(&task).await), "accepted");
    let about = AskedAbout::for_tests("vendor");
    let noted = site.kept(&task).await.unwrap();
    site.notes
        .write(&[((about.request, about.task), noted)])
        .await
        .unwrap();
    for expected in ["pending", "erased"] {
        let heard = site.sender.ask(&site.processor, vec![about.clone()]).await;
        let ack = heard.into_iter().next().unwrap().1.unwrap();
        let word = ack.map_or("pending", |ack| ack.answer.outcome().as_str());
        assert_eq!(word, expected);
    }
}

#[tokio::test]
async fn quirk_11_a_200_with_a_failure_inside_fails() {
    let site = Site::new("braze", vec![said(201, json!({"deleted": 0, "errors": ["no"]}))]).await;
    assert_eq!(word(&site.send(&task(&[("user_id", "7")])).await), "failed");
    let site = Site::new(
        "iterable",
        vec![said(200, json!({"code": "BadParams", "msg": "ann@example.org"}))],
    )
    .await;
    let reply = site.send(&task(&[ANN])).await;
    assert_eq!(word(&reply), "failed");
    assert!(!why(reply).contains("ann"), "nothing of an answer is repeated");
    // What no rule knows has failed.
    let site = Site::new("iterable", vec![said(200, json!("<html>"))]).await;
    assert_eq!(word(&site.send(&task(&[ANN])).await), "failed");
}

#[test]
fn quirk_12_that_a_person_is_refused_later_is_said() {
    for (id, says) in [
        ("mailchimp", "Forgotten Email Not Subscribed"),
        ("customer-io", "until somebody unsuppresses them"),
        ("adjust", "stays blocked there for good"),
        ("segment", "UNSUPPRESS"),
    ] {
        assert!(shipped(id).notes.join(" ").contains(says), "{id}");
    }
}

#[tokio::test]
async fn quirk_13_a_dead_token_stops_the_lane_and_fails_nobody() {
    let site = Site::new("mixpanel", vec![said(401, json!({}))]).await;
    assert_eq!(word(&site.send(&task(&[("user_id", "7")])).await), "unauthorised");
    let site = Site::new(
        "google-analytics",
        vec![said(403, json!({})), said(403, json!({}))],
    )
    .await;
    assert_eq!(word(&site.send(&task(&[("user_id", "7")])).await), "unauthorised");
}

#[tokio::test]
async fn quirk_14_what_the_law_keeps_is_retained() {
    let body = json!({"status": "failed", "validation_errors": {"data": [{"code": "invalid_state"}]}});
    let (_, heard) = polled("stripe", &[("job", "prj_1")], vec![said(200, body)]).await;
    let Ok(Some(Answer::Retained(retained))) = heard else {
        panic!("{heard:?}");
    };
    assert_eq!(
        (retained.basis.as_str(), retained.until),
        ("legal_obligation", None)
    );
}

#[tokio::test]
async fn quirk_15_every_try_of_a_generation_has_the_same_key() {
    let answers = || {
        vec![
            said(200, json!({"data": [{"id": "cus_1"}], "has_more": false})),
            said(200, json!({"deleted": true})),
            said(500, json!({})),
        ]
    };
    let site = Site::new("stripe", [answers(), answers(), answers()].concat()).await;
    let mut task = task(&[ANN]);
    for (attempt, generation) in [(1, 1), (2, 1), (1, 2)] {
        (task.attempt, task.generation) = (attempt, generation);
        assert_eq!(word(&site.send(&task).await), "failed");
    }
    let keys: Vec<String> = site
        .vendor
        .seen()
        .iter()
        .map(|seen| seen.header("idempotency-key").to_owned())
        .filter(|key| !key.is_empty())
        .collect();
    assert_eq!(keys.len(), 3);
    assert_eq!(keys[0], keys[1]);
    assert_ne!(keys[0], keys[2]);
}

#[test]
fn quirk_16_side_effects_are_said() {
    assert!(
        shipped("amplitude")
            .notes
            .join(" ")
            .contains("mails all administrators")
    );
    assert!(
        shipped("segment")
            .notes
            .join(" ")
            .contains("forwards the request")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quirk_17_a_bad_id_is_found_by_halving() {
    let vendor = Imitation::by(|seen| {
        if seen.body.contains("\"bad\"") {
            said(400, json!({"error": "Unprocessable"}))
        } else {
            said(201, json!({"results": {"task_id": "t-1"}}))
        }
    })
    .await;
    // Without its pace, which is a call a second.
    let site = std::sync::Arc::new(Site::of(&shipped("mixpanel"), std::sync::Arc::clone(&vendor)));
    let mut sends = tokio::task::JoinSet::new();
    for id in ["good-1", "bad", "good-2", "good-3"] {
        let site = std::sync::Arc::clone(&site);
        sends.spawn(async move { (id, word(&site.send(&task(&[("user_id", id)])).await)) });
    }
    for (id, word) in sends.join_all().await {
        assert_eq!(word, if id == "bad" { "rejected" } else { "accepted" }, "{id}");
    }
}
