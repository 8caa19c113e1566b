//! What is sent to a vendor, and what is made of its answers, polls and callbacks.

use std::{fs, path::Path, sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::{
    super::{
        NotBelieved,
        authority::{Authority, Issued},
        certificate::Untrusted,
        controller::{Controller, NotHeard},
    },
    vendor::{Twist, Vendor, expected_by},
};
use crate::{
    clock::{Clock, ManualClock},
    config::registry_file,
    domain::{
        ack::Answer as Answered,
        registry::{OpenDsr, Processor, Transport},
        words::Outcome,
    },
    engine::{accepted::AskedAbout, effects::TaskDispatch},
    transport::{
        http_client::Guard,
        sender::{Failed, Reply, Sender as _},
    },
    wire::opendsr::{WrongAnswer, subject_request_id},
};

pub(super) const DOMAIN: &str = "opendsr.vendor.test";
const WITHIN: Duration = Duration::from_secs(10);

pub(super) struct Site {
    pub(super) vendor: Arc<Vendor>,
    pub(super) controller: Controller,
    pub(super) processor: Processor,
    clock: ManualClock,
    pub(super) authority: Authority,
}

impl Site {
    pub(super) async fn new() -> Self {
        let authority = Authority::new();
        let issued = authority.issue(DOMAIN);
        Self::of(authority, &issued, &format!("processor_domain = '{DOMAIN}'")).await
    }

    async fn of(authority: Authority, issued: &Issued, keys: &str) -> Self {
        let vendor = Vendor::start(DOMAIN, issued).await;
        let clock = ManualClock::starting_at(Clock::System.now());
        let guard = Guard { allow_private: true };
        let processor = processor(&vendor.url(), &authority.certificate(), keys);
        let public_url = "https://lacuna.test".to_owned();
        Self {
            vendor,
            controller: Controller::new(Path::new(""), guard, public_url, Clock::Manual(clock.clone())),
            processor,
            clock,
            authority,
        }
    }

    async fn send(&self) -> Reply {
        self.controller.send(&self.processor, &task(), WITHIN).await
    }

    pub(super) fn opendsr(&self) -> &OpenDsr {
        match &self.processor.transport {
            Transport::OpenDsr(opendsr) => opendsr,
            other => panic!("{other:?}"),
        }
    }
}

fn processor(url: &str, ca: &Path, keys: &str) -> Processor {
    let text = format!(
        "[[processor]]\nid = 'dsr'\nkind = 'analytics'\nactions = ['erase']\nidentities = ['customer_id']\ncompletes_by = {{ after = '30d' }}\n\
         transport = {{ type = 'opendsr', url = '{url}', ca = '{}', auth = {{ type = 'bearer', token = 'hunter2' }}, {keys} }}\n",
        ca.display()
    );
    let registry = registry_file::read_text("processors.toml", &text).unwrap();
    registry.processors[0].clone()
}

fn task() -> TaskDispatch {
    TaskDispatch::for_tests("dsr").naming("customer_id", "42")
}

fn outcome(reply: &Reply) -> Outcome {
    match reply {
        Reply::Ack(ack) => ack.answer.outcome(),
        other => panic!("{other:?}"),
    }
}

fn failure(reply: Reply) -> Failed {
    match reply {
        Reply::Failed(failed) => failed,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_request_carries_the_trace_of_its_command() {
    let site = Site::new().await;
    let mut task = task();
    site.controller.send(&site.processor, &task, WITHIN).await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    task.trace = Some(Arc::from(trace));
    site.controller.send(&site.processor, &task, WITHIN).await;
    let traces = site.vendor.script(|script| script.traces.clone());
    assert_eq!(traces, [None, Some(trace.to_owned())]);
}

#[tokio::test]
async fn a_request_is_posted_and_its_promise_is_no_proof() {
    let site = Site::new().await;
    let Reply::Ack(ack) = site.send().await else {
        panic!("an ack")
    };
    let task = task();
    let Answered::Accepted {
        expected_by: Some(by),
    } = &ack.answer
    else {
        panic!("{ack:?}")
    };
    assert_eq!(*by, expected_by());
    assert_eq!((ack.task_id, ack.generation, ack.attempt), (task.id, 1, 1));
    assert_eq!(ack.token, task.token());
    site.send().await;
    let posted = site.vendor.script(|script| script.posted.clone());
    assert_eq!(posted[0], posted[1], "a try that is repeated is the same request");
    let (body, bearer) = &posted[0];
    assert_eq!(bearer.as_deref(), Some("Bearer hunter2"));
    let body: Value = serde_json::from_str(body).unwrap();
    let id = subject_request_id(task.id, 1).to_string();
    assert_eq!(body["subject_request_id"], id);
    assert_eq!(
        body["subject_identities"],
        json!([{ "identity_type": "controller_customer_id", "identity_value": "42", "identity_format": "raw" }])
    );
    let callback = format!(
        "https://lacuna.test/v1/callbacks/opendsr/dsr/{}/{}/1",
        task.request(),
        task.id
    );
    assert_eq!(body["status_callback_urls"], json!([callback]));
    assert_eq!(
        site.vendor.script(|script| script.certificates_read),
        1,
        "the certificate is kept"
    );
}

#[tokio::test]
async fn answers_that_are_not_believed_count_as_failures() {
    let site = Site::new().await;
    let cases = [
        (Twist::Unsigned, "it is not signed"),
        (
            Twist::Tampered,
            "the signature is not the domain's over these bytes",
        ),
        (Twist::OtherDomain, "is not the processor_domain"),
        (
            Twist::Field(
                "subject_request_id",
                json!("a7551968-d5d6-44b2-9831-815ac9017798"),
            ),
            "about another request",
        ),
        (
            Twist::Field("expected_completion_time", json!("soon")),
            "no usable expected_completion_time",
        ),
        (
            Twist::Field("expected_completion_time", Value::Null),
            "no usable expected_completion_time",
        ),
        (Twist::Status(201, "<html>Created</html>"), "it is not signed"),
        (
            Twist::Status(200, "{}"),
            "answered 200, where OpenDSR 2.0 has 201",
        ),
        (Twist::Status(204, ""), "answered 204"),
        (Twist::Status(400, "{\"error\":{\"code\":400}}"), "answered 400"),
        (Twist::Status(404, ""), "answered 404"),
        (Twist::Status(500, "<html>canary</html>"), "answered 500"),
        (Twist::Status(302, ""), "redirect"),
    ];
    for (twist, why) in cases {
        site.vendor.script(|script| script.on_request = twist.clone());
        let failed = failure(site.send().await);
        assert!(
            failed.why.contains(why) && !failed.why.contains("canary"),
            "{twist:?}: {}",
            failed.why
        );
        assert!(failed.counts && failed.may_have_arrived, "{twist:?}");
    }
}

#[tokio::test]
async fn certificates_that_nobody_may_believe_are_refused() {
    let authority = Authority::new();
    let issued = authority.issue(DOMAIN);
    let (self_signed, other) = (
        authority.self_signed(DOMAIN),
        authority.issue("opendsr.other.test"),
    );
    let others = Authority::new();
    let foreign = others.issue(DOMAIN);
    let cases = [
        (fs::read(&self_signed.certificate).unwrap(), "self-signed"),
        (fs::read(&other.certificate).unwrap(), "does not name the domain"),
        (
            fs::read(&foreign.certificate).unwrap(),
            "not issued by an authority",
        ),
        (b"<html>".to_vec(), "expected a certificate"),
    ];
    for (certificate, why) in cases {
        let keys = format!("processor_domain = '{DOMAIN}'");
        let vendor = Vendor::start(DOMAIN, &issued).await;
        vendor.script(|script| script.certificate = certificate);
        let controller = Controller::new(
            Path::new(""),
            Guard { allow_private: true },
            "https://lacuna.test".to_owned(),
            Clock::System,
        );
        let processor = processor(&vendor.url(), &authority.certificate(), &keys);
        let failed = failure(controller.send(&processor, &task(), WITHIN).await);
        assert!(failed.why.contains(why), "{why}: {}", failed.why);
    }
    let site = Site::of(authority, &issued, &format!("processor_domain = '{DOMAIN}'")).await;
    assert_eq!(outcome(&site.send().await), Outcome::Accepted);
    site.clock.advance(Duration::from_secs(3 * 24 * 3600));
    assert!(failure(site.send().await).why.contains("has expired"));
    site.vendor
        .script(|script| script.certificate_url = Some("http://127.0.0.2/cert.pem".into()));
    let other_host = Site::of(
        Authority::new(),
        &issued,
        &format!("processor_domain = '{DOMAIN}'"),
    )
    .await;
    other_host
        .vendor
        .script(|script| script.certificate_url = Some("http://127.0.0.2/cert.pem".into()));
    assert!(
        failure(other_host.send().await).why.contains("another host"),
        "where others could put one"
    );
}

#[tokio::test]
async fn who_does_not_let_us_in_or_asks_for_patience_fails_nobody() {
    let site = Site::new().await;
    for status in [401, 403] {
        site.vendor
            .script(|script| script.on_request = Twist::Status(status, "canary"));
        let Reply::Unauthorised(why) = site.send().await else {
            panic!("{status}")
        };
        assert!(
            why.contains(&status.to_string()) && !why.contains("canary"),
            "{why}"
        );
    }
    site.vendor
        .script(|script| script.on_request = Twist::Wait(429, "120"));
    let failed = failure(site.send().await);
    assert_eq!(
        (failed.counts, failed.retry_after),
        (false, Some(Duration::from_secs(120)))
    );
    site.vendor
        .script(|script| script.on_request = Twist::Wait(503, "30"));
    let failed = failure(site.send().await);
    assert_eq!(
        (failed.counts, failed.retry_after),
        (true, Some(Duration::from_secs(30)))
    );
}

#[tokio::test]
async fn a_request_that_is_known_already_is_asked_after() {
    let site = Site::new().await;
    site.vendor
        .script(|script| script.on_request = Twist::Status(409, ""));
    assert_eq!(outcome(&site.send().await), Outcome::Accepted);
    site.vendor.script(|script| script.state = "completed");
    assert_eq!(outcome(&site.send().await), Outcome::Erased);
    site.vendor.script(|script| script.known = false);
    assert!(failure(site.send().await).why.contains("answered 404"));
}

#[tokio::test]
async fn dialects_have_answers_of_their_own() {
    let of = async |keys: &str, twist: Twist| {
        let authority = Authority::new();
        let issued = authority.issue(DOMAIN);
        let site = Site::of(authority, &issued, keys).await;
        site.vendor.script(|script| script.on_request = twist);
        site.send().await
    };
    let appsflyer = "dialect = 'appsflyer', property_id = 'id1'";
    let known = r#"{"error":{"code":400,"message":"exists","af_gdpr_code":"e213"}}"#;
    assert_eq!(
        outcome(&of(appsflyer, Twist::Status(400, known)).await),
        Outcome::Accepted
    );
    let busy = r#"{"error":{"code":400,"af_gdpr_code":"e215"}}"#;
    let failed = failure(of(appsflyer, Twist::Status(400, busy)).await);
    assert_eq!(
        (failed.counts, failed.retry_after),
        (false, Some(Duration::from_secs(24 * 3600)))
    );
    let failed = failure(of("dialect = 'mparticle'", Twist::Status(409, "")).await);
    assert!(
        !failed.counts && failed.why.contains("still open"),
        "{}",
        failed.why
    );
    assert_eq!(outcome(&of(appsflyer, Twist::None).await), Outcome::Accepted);
    let branch = "dialect = 'branch', app_id = '7'";
    let pending = r#"{"request_id":"7","request_status":"PENDING"}"#;
    assert_eq!(
        outcome(&of(branch, Twist::Status(200, pending)).await),
        Outcome::Accepted
    );
    let done = r#"{"request_id":"7","request_status":"SUCCESS"}"#;
    assert_eq!(
        outcome(&of(branch, Twist::Status(200, done)).await),
        Outcome::Erased
    );
    assert!(
        failure(of(branch, Twist::Status(200, "{}")).await)
            .why
            .contains("no usable request_status")
    );
}

#[tokio::test]
async fn what_opendsr_has_no_word_for_is_unsupported() {
    let site = Site::new().await;
    let tenant = crate::domain::ids::Tenant::new("acme").unwrap();
    let regime = crate::domain::calendar::Regime::parse("gdpr").unwrap();
    // It asks whether data is still there.
    let verify = TaskDispatch::of_nobody(&site.processor, &tenant, &regime, Clock::System.now());
    let reply = site.controller.send(&site.processor, &verify, WITHIN).await;
    assert_eq!(outcome(&reply), Outcome::Unsupported);
    let phone = TaskDispatch::for_tests("dsr").naming("phone", "+4915112345678");
    let reply = site.controller.send(&site.processor, &phone, WITHIN).await;
    assert_eq!(outcome(&reply), Outcome::Unsupported);
    let part = task().limited_to("messages");
    let reply = site.controller.send(&site.processor, &part, WITHIN).await;
    assert_eq!(
        outcome(&reply),
        Outcome::Unsupported,
        "the rest may have to be kept"
    );
    let posted = || site.vendor.script(|script| script.posted.len());
    assert_eq!(posted(), 0, "nothing was sent");
    let mut whole = site.processor.clone();
    whole.categories = vec![crate::domain::ids::Label::new("messages").unwrap()];
    let reply = site.controller.send(&whole, &part, WITHIN).await;
    assert_eq!(outcome(&reply), Outcome::Accepted, "it holds nothing else");
    assert_eq!(posted(), 1);
}

#[tokio::test]
async fn a_poll_brings_news_that_are_signed_and_no_others() {
    let site = Site::new().await;
    let about = AskedAbout::for_tests("dsr");
    let ask = async || site.controller.ask(site.opendsr(), &about).await;
    for state in ["pending", "in_progress"] {
        site.vendor.script(|script| script.state = state);
        assert_eq!(ask().await, Ok(None), "{state}");
    }
    site.vendor.script(|script| script.state = "completed");
    let ack = ask().await.unwrap().unwrap();
    assert_eq!(ack.answer, Answered::Erased);
    let evidence = ack.evidence.unwrap();
    assert_eq!(evidence.method.as_deref(), Some("opendsr"));
    assert_eq!(
        evidence.reference,
        Some(subject_request_id(about.task, 1).to_string())
    );
    site.vendor.script(|script| script.state = "cancelled");
    assert_eq!(ask().await.unwrap().unwrap().answer, Answered::Rejected);
    site.vendor.script(|script| script.state = "erased");
    assert_eq!(ask().await, Err(NotHeard::Wrong(WrongAnswer::UnknownState)));
    site.vendor
        .script(|script| (script.state, script.on_status) = ("completed", Twist::Unsigned));
    assert_eq!(ask().await, Err(NotHeard::NotBelieved(NotBelieved::Unsigned)));
    site.vendor.script(|script| script.on_status = Twist::Tampered);
    assert_eq!(
        ask().await,
        Err(NotHeard::NotBelieved(NotBelieved::Untrusted(
            Untrusted::Signature
        )))
    );
    site.vendor
        .script(|script| script.on_status = Twist::Status(500, ""));
    assert_eq!(ask().await, Err(NotHeard::Status(500)));
}

#[tokio::test]
async fn without_a_domain_nothing_is_signed_and_callbacks_are_refused() {
    let authority = Authority::new();
    let issued = authority.issue(DOMAIN);
    let site = Site::of(authority, &issued, "poll = '1m'").await;
    site.vendor.script(|script| script.on_request = Twist::Unsigned);
    assert_eq!(outcome(&site.send().await), Outcome::Accepted);
    let (body, _) = site.vendor.script(|script| script.posted[0].clone());
    assert!(!body.contains("status_callback_urls"), "{body}");
    let headers = site.vendor.headers(b"{}");
    let id = site.processor.id.clone();
    let believed = site
        .controller
        .believe_callback(&id, site.opendsr(), &headers, b"{}")
        .await;
    assert_eq!(believed, Err(NotBelieved::NoDomain));
    assert_eq!(site.vendor.script(|script| script.certificates_read), 0);
}
