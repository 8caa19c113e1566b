//! Jobs: several of one person, one of many people, jobs that fail, that never end, and vendors that cannot be asked.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    super::notes::{InMemory, NotRemembered, Notes, Writer},
    imitation::{Imitation, page, said},
    site::{Site, shipped, task, word},
};
use crate::{
    connector::Kept,
    domain::{
        identity::SubjectData,
        ids::{RequestId, TaskId},
    },
    engine::notes::OfTask,
};

const ANN: (&str, &str) = ("email", "ann@example.org");

fn kept(pairs: &[(&str, &str, &str)]) -> Kept {
    let mut kept = Kept::default();
    for (name, of, value) in pairs {
        kept.add_job(name, &SubjectData::new(*of), vec![(*value).to_owned()]);
    }
    kept
}

fn regulation(status: &str) -> Value {
    json!({"data": {"regulation": {"overallStatus": status}}})
}

#[tokio::test]
async fn every_job_of_a_person_has_to_be_done() {
    // Each of the two ids was submitted in a regulation of its own.
    let mut taken = 0;
    let vendor = Imitation::by(move |seen| match seen.path.as_str() {
        "/regulations" => {
            taken += 1;
            said(200, json!({"data": {"regulateId": format!("r-{taken}")}}))
        }
        "/regulations/r-1" => said(200, regulation("FINISHED")),
        "/regulations/r-2" => said(200, regulation("RUNNING")),
        _ => said(418, Value::Null),
    })
    .await;
    let site = Site::of(&shipped("segment"), Arc::clone(&vendor));
    let task = task(&[("user_id", "7"), ("customer_id", "8")]);
    assert_eq!(word(&site.send(&task).await), "accepted");
    let kept = site.kept(&task).await.unwrap();
    assert_eq!(kept.get("job").len(), 2);
    assert_eq!(site.polled(vec![kept]).await, ["pending"], "the second one runs");
    let paths: Vec<String> = vendor.seen().into_iter().map(|seen| seen.path).collect();
    assert!(paths.contains(&"/regulations/r-2".to_owned()), "{paths:?}");
}

#[tokio::test]
async fn an_id_is_looked_for_in_the_job_of_its_own_day() {
    let listed = |id: u32, status: &str| json!([{"status": status, "amplitude_ids": [{"amplitude_id": id}]}]);
    for (second, expected) in [("submitted", "pending"), ("done", "erased")] {
        let vendor = Imitation::by(move |seen| {
            if seen.path.contains("start_day=2026-12-12") {
                said(200, listed(1, "done"))
            } else {
                said(200, listed(2, second))
            }
        })
        .await;
        let site = Site::of(&shipped("amplitude"), vendor);
        let mut kept = kept(&[("day", "1", "2026-12-12"), ("day", "2", "2026-12-13")]);
        kept.add("found_id", vec!["1".to_owned(), "2".to_owned()], false);
        assert_eq!(site.polled(vec![kept]).await, [expected]);
        let paths: Vec<String> = site.vendor.seen().into_iter().map(|seen| seen.path).collect();
        assert_eq!(paths.len(), 2, "each day once: {paths:?}");
    }
}

#[tokio::test]
async fn what_was_submitted_is_not_submitted_again_beside_what_failed() {
    let mut calls = 0;
    let vendor = Imitation::by(move |seen| {
        calls += 1;
        match (calls, seen.body.contains("\"8\"")) {
            (2, _) => said(503, json!({})),
            (_, is_second) => {
                let job = if is_second { "r-8" } else { "r-7" };
                said(200, json!({"data": {"regulateId": job}}))
            }
        }
    })
    .await;
    let site = Site::of(&shipped("segment"), Arc::clone(&vendor));
    let mut task = task(&[("user_id", "7"), ("customer_id", "8")]);
    assert_eq!(word(&site.send(&task).await), "failed");
    assert!(
        site.kept(&task).await.unwrap().sent.is_none(),
        "a part is not the whole"
    );
    task.attempt = 2;
    assert_eq!(word(&site.send(&task).await), "accepted");
    let bodies: Vec<String> = vendor.seen().into_iter().map(|seen| seen.body).collect();
    assert_eq!(bodies.len(), 3, "7 once, 8 twice: {bodies:?}");
    let kept = site.kept(&task).await.unwrap();
    assert_eq!(kept.get("job").len(), 2);
    assert!(kept.sent.is_some());
}

/// A vendor with jobs of many people, whose answer has an outcome for each of them.
const SHARED: &str = r#"
id = "shared"
name = "Shared"
kind = "crm"
shape = "C"
documentation = ["https://example.org/"]
base = "https://example.org"
poll = "1h"
accepted_for = "30d"
[identities]
user_id = { as = "id" }
[[step]]
id = "submit"
does = "submit"
takes = ["user_id"]
last = true
method = "POST"
path = "/jobs"
json = { ids = "{ids}" }
batch = { count = 100, linger = "50ms" }
keep = { job = "/job" }
[[step.rule]]
status = 202
when = { "/job" = { exists = true } }
means = "accepted"
[[step]]
id = "status"
does = "poll"
takes = ["user_id"]
method = "GET"
path = "/jobs/{kept.job}"
select = { in = "/people", has = "/id" }
[[step.rule]]
status = 200
when = { "/state" = "gone" }
means = "erased"
[[step.rule]]
status = 200
when = { "/state" = "locked" }
means = "failed"
says = "locked"
[[step.rule]]
status = 200
when = { "" = { exists = false } }
means = "pending"
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_job_of_many_people_one_fails_alone_and_it_is_asked_once() {
    let vendor = Imitation::by(|seen| {
        if seen.method == "POST" {
            return said(202, json!({"job": "j-1"}));
        }
        let state = |n: u32| json!({"id": format!("u{n}"), "state": if n == 3 { "locked" } else { "gone" }});
        said(200, json!({"people": (0..9).map(state).collect::<Vec<_>>()}))
    })
    .await;
    let site = Arc::new(Site::own(SHARED, Arc::clone(&vendor)));
    let mut all = Vec::new();
    for n in 0..10 {
        let mut kept = kept(&[("job", &format!("u{n}"), "j-1")]);
        kept.add("user_id", vec![format!("u{n}")], true);
        all.push(kept);
    }
    let words = site.polled(all).await;
    for (n, word) in words.iter().enumerate() {
        let expected = match n {
            3 => "failed",
            // The answer does not name the last one.
            9 => "pending",
            _ => "erased",
        };
        assert_eq!(word, expected, "u{n}");
    }
    assert_eq!(vendor.seen().len(), 1, "ten people, one question");
}

#[tokio::test]
async fn a_job_of_many_that_cannot_be_asked_is_asked_once_a_round() {
    for said in [said(503, json!({})), said(200, json!({})), page(200)] {
        let vendor = Imitation::by(move |_| said.clone()).await;
        let site = Site::own(SHARED, Arc::clone(&vendor));
        let mut one = kept(&[("job", "u1", "j-1")]);
        one.add("user_id", vec!["u1".to_owned()], true);
        let words = site.polled(vec![one; 20]).await;
        assert_eq!(words.len(), 20);
        for word in words {
            assert!(word.starts_with("status: answered "), "it is not known: {word}");
        }
        assert_eq!(vendor.seen().len(), 1);
    }
}

fn many_jobs(many: usize) -> Vec<Kept> {
    let one = |n| {
        let mut kept = kept(&[("job", "u1", &format!("j-{n}"))]);
        kept.add("user_id", vec!["u1".to_owned()], true);
        kept
    };
    (0..many).map(one).collect()
}

#[tokio::test]
async fn a_vendor_that_asks_for_patience_is_left_alone_for_the_round() {
    let vendor = Imitation::by(|_| said(429, json!({}))).await;
    let mut site = Site::own(SHARED, Arc::clone(&vendor));
    site.processor.concurrency = 2;
    let words = site.polled(many_jobs(200)).await;
    assert_eq!(words.len(), 200);
    assert!(words.iter().all(|word| word.contains("429")), "{:?}", words[0]);
    assert!(vendor.seen().len() <= 4, "{} calls", vendor.seen().len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_are_asked_about_several_at_a_time_and_no_more() {
    let vendor = Imitation::slow(|_| said(200, json!({"people": []}))).await;
    let mut site = Site::own(SHARED, Arc::clone(&vendor));
    site.processor.concurrency = 4;
    let words = site.polled(many_jobs(40)).await;
    assert_eq!(words, vec!["pending"; 40]);
    assert_eq!(vendor.most_at_once(), 4);
}

#[tokio::test]
async fn a_job_that_never_ends_keeps_its_first_date_and_completes_nothing() {
    let vendor = Imitation::by(|seen| match seen.method.as_str() {
        "POST" => said(200, json!({"data": {"regulateId": "r-1"}})),
        _ => said(200, regulation("RUNNING")),
    })
    .await;
    let site = Site::of(&shipped("segment"), vendor);
    let task = task(&[("user_id", "7")]);
    assert_eq!(word(&site.send(&task).await), "accepted");
    let kept = site.kept(&task).await.unwrap();
    for _ in 0..3 {
        // Nothing new is said, so that the date that was promised stands, and passes.
        assert_eq!(site.polled(vec![kept.clone()]).await, ["pending"]);
    }
}

#[tokio::test]
async fn a_new_try_after_a_failed_job_has_another_key() {
    let vendor = Imitation::by(|seen| match (seen.method.as_str(), seen.path.as_str()) {
        ("GET", path) if path.starts_with("/v1/customers") => {
            said(200, json!({"data": [{"id": "cus_1"}], "has_more": false}))
        }
        ("DELETE", _) => said(200, json!({"deleted": true})),
        ("POST", _) => said(200, json!({"id": "prj_1", "status": "validating"})),
        _ => said(
            200,
            json!({"status": "failed", "validation_errors": {"data": [{"code": "locked_by_other_job"}]}}),
        ),
    })
    .await;
    let site = Site::of(&shipped("stripe"), Arc::clone(&vendor));
    let mut task = task(&[ANN]);
    assert_eq!(word(&site.send(&task).await), "accepted");
    // The job fails, and the next attempt submits another one.
    let before = site.kept(&task).await.unwrap();
    let about = site.about(&task);
    let heard = site.sender.ask(&site.processor, vec![about]).await.remove(0).1;
    assert_eq!(heard.unwrap().unwrap().answer.outcome().as_str(), "failed");
    assert!(before.sent.is_some() && site.kept(&task).await.unwrap().sent.is_none());
    task.attempt = 2;
    assert_eq!(word(&site.send(&task).await), "accepted");
    let keys: Vec<String> = vendor
        .seen()
        .iter()
        .map(|seen| seen.header("idempotency-key").to_owned())
        .filter(|key| !key.is_empty())
        .collect();
    assert_eq!(keys.len(), 2);
    assert_ne!(keys[0], keys[1], "Stripe would answer the old job once more");
}

#[tokio::test]
async fn a_refused_call_gets_another_key_and_a_lost_one_the_same() {
    let mut tries = 0;
    let vendor = Imitation::by(move |seen| match (seen.method.as_str(), seen.path.as_str()) {
        ("GET", _) => said(200, json!({"data": [{"id": "cus_1"}], "has_more": false})),
        ("DELETE", _) => said(200, json!({"deleted": true})),
        _ => {
            tries += 1;
            match tries {
                // Lost on its way, a page of a proxy, refused.
                1 => said(503, json!({})),
                2 => page(200),
                3 => said(409, json!({"error": {"code": "lock_timeout"}})),
                _ => said(200, json!({"id": "prj_1"})),
            }
        }
    })
    .await;
    let site = Site::of(&shipped("stripe"), Arc::clone(&vendor));
    let mut task = task(&[ANN]);
    for attempt in 1..=4 {
        task.attempt = attempt;
        site.send(&task).await;
    }
    let keys: Vec<String> = vendor
        .seen()
        .iter()
        .map(|seen| seen.header("idempotency-key").to_owned())
        .filter(|key| !key.is_empty())
        .collect();
    assert_eq!(keys.len(), 4);
    assert_eq!(
        [&keys[0], &keys[1]],
        [&keys[1], &keys[2]],
        "nobody knows whether it has begun"
    );
    assert_ne!(keys[2], keys[3], "it was refused");
}

#[tokio::test]
async fn what_the_law_keeps_of_one_id_is_kept_when_the_others_job_is_done() {
    let text = SHARED
        .replace(
            "takes = [\"user_id\"]\nlast",
            "takes = [\"user_id\", \"order_id\"]\nlast",
        )
        .replace(
            "user_id = { as = \"id\" }",
            "user_id = { as = \"id\" }\norder_id = { as = \"order\" }",
        )
        .replace(
            "json = { ids = \"{ids}\" }\nbatch = { count = 100, linger = \"50ms\" }",
            "json = { id = \"{id}\" }",
        )
        .replace(
            "means = \"accepted\"\n",
            "means = \"accepted\"\n[[step.rule]]\nstatus = 451\nmeans = \"retained\"\nbasis = \"tax_law\"\n",
        );
    let vendor = Imitation::by(|seen| match seen.method.as_str() {
        "POST" if seen.body.contains("o-1") => said(451, json!({})),
        "POST" => said(202, json!({"job": "j-1"})),
        _ => said(200, json!({"people": [{"id": "u1", "state": "gone"}]})),
    })
    .await;
    let site = Site::own(&text, vendor);
    let task = task(&[("user_id", "u1"), ("order_id", "o-1")]);
    assert_eq!(
        word(&site.send(&task).await),
        "accepted",
        "the job has to be waited for"
    );
    let kept = site.kept(&task).await.unwrap();
    assert_eq!(
        site.polled(vec![kept]).await,
        ["retained"],
        "a part stays: it is no erasure"
    );
}

#[tokio::test]
async fn records_of_an_earlier_attempt_count() {
    let answers = vec![
        said(
            200,
            json!({"messages": [{"sid": "SM1"}, {"sid": "SM2"}, {"sid": "SM3"}]}),
        ),
        said(200, json!({"messages": []})),
        said(200, json!({"calls": []})),
        said(200, json!({"calls": []})),
        said(204, Value::Null),
        said(204, Value::Null),
        said(500, Value::Null),
        // The second attempt lists what is left, and knows the others by what was kept.
        said(200, json!({"messages": [{"sid": "SM3"}]})),
        said(200, json!({"messages": []})),
        said(200, json!({"calls": []})),
        said(200, json!({"calls": []})),
        said(404, json!({})),
        said(404, json!({})),
        said(204, Value::Null),
    ];
    let site = Site::new("twilio", answers).await;
    let mut task = task(&[("phone", "+4930901820")]);
    assert_eq!(word(&site.send(&task).await), "failed");
    task.attempt = 2;
    let crate::transport::sender::Reply::Ack(ack) = site.send(&task).await else {
        panic!("it is settled");
    };
    assert_eq!(ack.answer.outcome().as_str(), "erased");
    assert_eq!(ack.evidence.unwrap().records, Some(3));
}

/// Counts what is written together, and takes its time, so that others gather.
#[derive(Debug, Default)]
struct Counting {
    notes: InMemory,
    writes: AtomicUsize,
}

#[async_trait]
impl Notes for Counting {
    async fn read(&self, tasks: &[OfTask]) -> Result<HashMap<OfTask, Kept>, NotRemembered> {
        self.notes.read(tasks).await
    }

    async fn write(&self, notes: &[(OfTask, Kept)]) -> Result<(), NotRemembered> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        self.notes.write(notes).await
    }
}

#[tokio::test]
async fn what_a_batch_remembers_is_written_together() {
    let notes = Arc::new(Counting::default());
    let writer = Arc::new(Writer::new(Arc::clone(&notes) as Arc<dyn Notes>));
    let mut writes = JoinSet::new();
    let of = |n: u128| {
        (
            RequestId(uuid::Uuid::from_u128(n)),
            TaskId(uuid::Uuid::from_u128(n)),
        )
    };
    for n in 0..500 {
        let writer = Arc::clone(&writer);
        let one = kept(&[("job", "u", "j-1")]);
        writes.spawn(async move { writer.write(of(n), &one).await });
    }
    assert!(writes.join_all().await.iter().all(Result::is_ok));
    let writes = notes.writes.load(Ordering::SeqCst);
    assert!(writes <= 3, "{writes} transactions for 500 people");
    let all: Vec<OfTask> = (0..500).map(of).collect();
    assert_eq!(notes.read(&all).await.unwrap().len(), 500);
}
