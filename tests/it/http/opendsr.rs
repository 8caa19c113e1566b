//! Lacuna as a processor of OpenDSR: what a controller sends, asks and is answered.

use std::{fs, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lacuna::transport::opendsr::{
    Signer,
    certificate::{Authorities, Certificate},
};
use reqwest::{Method, header::HeaderMap};
use serde_json::{Value, json};
use uuid::Uuid;

use super::fixture::{Api, api, signing};
use crate::authority::Authority;

const DOMAIN: &str = "opendsr.lacuna.test";

/// An id of version 4, as controllers make them.
fn v4() -> Uuid {
    uuid::Builder::from_random_bytes(*Uuid::now_v7().as_bytes()).into_uuid()
}

fn request(with: Value) -> Value {
    let mut request = json!({
        "regulation": "gdpr",
        "subject_request_id": v4(),
        "subject_request_type": "erasure",
        "submitted_time": "2026-11-20T10:00:00Z",
        "subject_identities": [
            { "identity_type": "email", "identity_value": "ann@example.org", "identity_format": "raw" },
            { "identity_type": "controller_customer_id", "identity_value": "42", "identity_format": "raw" }
        ],
        "api_version": "2.0"
    });
    for (key, value) in with.as_object().unwrap() {
        request[key] = value.clone();
    }
    request
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    bytes: Vec<u8>,
    json: Value,
}

async fn call(api: &Api, method: Method, token: &str, path: &str, body: Option<&Value>) -> Answer {
    let mut call = api.client.request(method, format!("{}{path}", api.base));
    if !token.is_empty() {
        call = call.bearer_auth(token);
    }
    if let Some(body) = body {
        call = call
            .header("content-type", "application/json")
            .body(body.to_string());
    }
    let answer = call.send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let bytes = answer.bytes().await.unwrap().to_vec();
    api.answers
        .lock()
        .unwrap()
        .push_str(&String::from_utf8_lossy(&bytes));
    let json = serde_json::from_slice(&bytes).unwrap_or_default();
    Answer {
        status,
        headers,
        bytes,
        json,
    }
}

async fn post(api: &Api, body: &Value) -> Answer {
    call(api, Method::POST, "shop", "/opendsr/v2/requests", Some(body)).await
}

/// Checks that an answer is an error as the specification has it, of this status.
fn is_error(answer: &Answer, status: u16, message: &str) {
    assert_eq!(answer.status, status, "{}", answer.json);
    let error = &answer.json["error"];
    assert_eq!(error["code"], status, "{error}");
    assert!(error["message"].as_str().unwrap().contains(message), "{error}");
    for key in ["domain", "reason", "message"] {
        assert!(error["errors"][0][key].is_string(), "{key}: {error}");
    }
}

#[tokio::test]
async fn a_request_is_created_pending_and_then_in_progress() {
    let api = api().await;
    let body = request(json!({}));
    let created = post(&api, &body).await;
    assert_eq!(created.status, 201, "{}", created.json);
    let id = body["subject_request_id"].as_str().unwrap();
    assert_eq!(created.json["subject_request_id"], id);
    assert_eq!(created.json["controller_id"], "shop");
    assert_eq!(created.json["received_time"], "2026-11-21T12:00:00Z");
    // One month after the person has asked, at the end of the day in the policy's zone.
    assert_eq!(created.json["expected_completion_time"], "2026-12-20T22:59:59Z");
    let sent = STANDARD
        .decode(created.json["encoded_request"].as_str().unwrap())
        .unwrap();
    assert_eq!(
        String::from_utf8(sent).unwrap(),
        body.to_string(),
        "the whole body as it was"
    );
    let status = call(
        &api,
        Method::GET,
        "shop",
        &format!("/opendsr/v2/requests/{id}"),
        None,
    )
    .await;
    assert_eq!(status.status, 200);
    assert_eq!(
        status.json["request_status"], "in_progress",
        "its tasks were dispatched"
    );
    for path in [
        format!("/opendsr/v2/status/{id}"),
        format!("/opendsr/v1/opengdpr_requests/{id}"),
        format!("/opendsr/v2/opengdpr_requests/{id}"),
    ] {
        assert_eq!(
            call(&api, Method::GET, "shop", &path, None).await.json,
            status.json,
            "{path}"
        );
    }
    let ours = api.get("dpo", &format!("/v1/requests/{id}")).await.ok(200);
    assert_eq!(
        (&ours["action"], &ours["regime"]),
        (&json!("erase"), &json!("gdpr"))
    );
    let task = api.task_message(id.parse().unwrap(), "crm").await;
    assert_eq!(
        task["identities"],
        json!([{ "type": "email", "value": "ann@example.org" }, { "type": "customer_id", "value": "42" }])
    );
    api.end().await;
}

#[tokio::test]
async fn the_same_request_is_taken_once_and_another_is_refused() {
    let api = api().await;
    let body = request(json!({}));
    let first = post(&api, &body).await;
    let again = post(&api, &body).await;
    assert_eq!((again.status, &again.json), (201, &first.json));
    let mut other = body.clone();
    other["subject_identities"][0]["identity_value"] = json!("bea@example.org");
    is_error(&post(&api, &other).await, 400, "another payload");
    let mut elsewhere = body.clone();
    elsewhere["status_callback_urls"] = json!(["https://attacker.example/"]);
    is_error(&post(&api, &elsewhere).await, 400, "another payload");
    api.end().await;
}

#[tokio::test]
async fn what_cannot_be_carried_out_is_an_error_of_the_standard() {
    let api = api().await;
    for (with, message) in [
        (json!({ "subject_request_type": "access" }), "only erasure"),
        (json!({ "subject_request_type": "portability" }), "only erasure"),
        (
            json!({ "regulation": "hipaa" }),
            "regulation: expected gdpr or ccpa",
        ),
        (json!({ "subject_request_id": "7" }), "subject_request_id"),
        (json!({ "subject_identities": [] }), "subject_identities"),
        (
            json!({ "subject_identities": [
                { "identity_type": "email", "identity_value": "NULL", "identity_format": "raw" }] }),
            "subject_identities[0].identity_value",
        ),
    ] {
        is_error(&post(&api, &request(with)).await, 400, message);
    }
    let path = "/opendsr/v2/requests";
    let not_json = api
        .client
        .post(format!("{}{path}", api.base))
        .bearer_auth("shop")
        .body("<html>");
    assert_eq!(not_json.send().await.unwrap().status().as_u16(), 400);
    let large = json!({ "regulation": "x".repeat(2 * 1024 * 1024) });
    is_error(&post(&api, &large).await, 413, "1048576");
    let unknown = format!("{path}/{}", v4());
    is_error(
        &call(&api, Method::GET, "shop", &unknown, None).await,
        404,
        "no such request",
    );
    is_error(
        &call(&api, Method::POST, "", path, Some(&request(json!({})))).await,
        401,
        "bearer",
    );
    is_error(
        &call(&api, Method::POST, "crm", path, Some(&request(json!({})))).await,
        403,
        "submitter",
    );
    assert!(
        !api.answers.lock().unwrap().contains("ann@example.org"),
        "an identifier was repeated"
    );
    api.end().await;
}

#[tokio::test]
async fn a_controller_sees_its_own_requests_only() {
    let api = api().await;
    let body = request(json!({}));
    post(&api, &body).await;
    let path = format!(
        "/opendsr/v2/requests/{}",
        body["subject_request_id"].as_str().unwrap()
    );
    for method in [Method::GET, Method::DELETE] {
        is_error(
            &call(&api, method, "app", &path, None).await,
            404,
            "no such request",
        );
    }
    let same = call(&api, Method::POST, "app", "/opendsr/v2/requests", Some(&body)).await;
    is_error(&same, 404, "no such request");
    api.end().await;
}

#[tokio::test]
async fn only_what_is_pending_can_be_cancelled() {
    let waiting = super::fixture::start("[policy]\napproval = \"always\"\n", true).await;
    let body = request(json!({}));
    post(&waiting, &body).await;
    let path = format!(
        "/opendsr/v2/requests/{}",
        body["subject_request_id"].as_str().unwrap()
    );
    let status = call(&waiting, Method::GET, "shop", &path, None).await;
    assert_eq!(status.json["request_status"], "pending");
    for _ in 0..2 {
        let cancelled = call(&waiting, Method::DELETE, "shop", &path, None).await;
        assert_eq!(cancelled.status, 202, "{}", cancelled.json);
        assert_eq!(cancelled.json["subject_request_id"], body["subject_request_id"]);
        assert_eq!(cancelled.json["controller_id"], "shop");
        assert_eq!(cancelled.json["received_time"], "2026-11-21T12:00:00Z");
    }
    let status = call(&waiting, Method::GET, "shop", &path, None).await;
    assert_eq!(status.json["request_status"], "cancelled");
    waiting.end().await;
    let api = api().await;
    let body = request(json!({}));
    post(&api, &body).await;
    let path = format!(
        "/opendsr/v2/requests/{}",
        body["subject_request_id"].as_str().unwrap()
    );
    let refused = call(&api, Method::DELETE, "shop", &path, None).await;
    is_error(
        &refused,
        400,
        "the request is in_progress, and only what is pending can be cancelled",
    );
    api.end().await;
}

#[tokio::test]
async fn refused_and_finished_requests_have_their_states() {
    let api = super::fixture::start("[policy]\napproval = \"always\"\n", true).await;
    let body = request(json!({}));
    post(&api, &body).await;
    let id = body["subject_request_id"].as_str().unwrap();
    let refusal = json!({ "basis": "manifestly_unfounded" });
    api.post("dpo", &format!("/v1/requests/{id}/refuse"), &refusal)
        .await
        .ok(200);
    let status = call(
        &api,
        Method::GET,
        "shop",
        &format!("/opendsr/v2/requests/{id}"),
        None,
    )
    .await;
    assert_eq!(
        (&status.json["request_status"], &status.json["detail"]),
        (&json!("cancelled"), &json!("refused"))
    );
    api.end().await;
}

#[tokio::test]
async fn discovery_is_open_and_says_what_is_supported() {
    let api = api().await;
    let discovery = call(&api, Method::GET, "", "/opendsr/v2/discovery", None).await;
    assert_eq!(discovery.status, 200);
    assert_eq!(
        discovery.json,
        json!({
            "api_version": "2.0",
            "supported_identities": [
                { "identity_type": "controller_customer_id", "identity_format": "raw" },
                { "identity_type": "email", "identity_format": "raw" }
            ],
            "supported_subject_request_types": ["erasure"],
            "status_callbacks": false
        })
    );
    assert!(discovery.headers.get("x-opendsr-signature").is_none());
    is_error(
        &call(&api, Method::GET, "", "/opendsr/v2/certificate", None).await,
        404,
        "no such certificate",
    );
    let with = request(json!({ "status_callback_urls": ["https://controller.example/callbacks"] }));
    let created = post(&api, &with).await;
    assert!(
        created.json["status_callbacks"]
            .as_str()
            .unwrap()
            .starts_with("not called")
    );
    api.end().await;
}

#[tokio::test]
async fn answers_are_signed_with_the_certificate_of_discovery() {
    let authority = Authority::new();
    let issued = authority.issue(DOMAIN);
    let signer = Signer::load(DOMAIN, &issued.certificate, &issued.key).unwrap();
    let api = signing(Arc::new(signer)).await;
    let discovery = call(&api, Method::GET, "", "/opendsr/v2/discovery", None).await;
    assert_eq!(discovery.json["status_callbacks"], true);
    let url = discovery.json["processor_certificate"].as_str().unwrap();
    assert_eq!(url, format!("{}/opendsr/v2/certificate", api.base));
    let pem = api.client.get(url).send().await.unwrap().bytes().await.unwrap();
    let certificate = Certificate::read(&pem).unwrap();
    let trusted = Authorities::of_pem(&fs::read(authority.certificate()).unwrap()).unwrap();
    certificate
        .check(DOMAIN, &trusted, lacuna::clock::Clock::System.now())
        .unwrap();
    let body = request(json!({ "status_callback_urls": ["https://controller.example/callbacks"] }));
    let created = post(&api, &body).await;
    assert!(created.json["status_callbacks"].is_null());
    let path = format!(
        "/opendsr/v2/requests/{}",
        body["subject_request_id"].as_str().unwrap()
    );
    let status = call(&api, Method::GET, "shop", &path, None).await;
    for answer in [&discovery, &created, &status] {
        assert_eq!(answer.headers["x-opendsr-processor-domain"], DOMAIN);
        let signature = answer.headers["x-opendsr-signature"].to_str().unwrap();
        certificate.has_signed(&answer.bytes, signature).unwrap();
    }
    let old = path.replace("/v2/requests", "/v1/opengdpr_requests");
    let status = call(&api, Method::GET, "shop", &old, None).await;
    let signature = status.headers["x-opengdpr-signature"].to_str().unwrap();
    certificate.has_signed(&status.bytes, signature).unwrap();
    assert_eq!(status.headers["x-opengdpr-processor-domain"], DOMAIN);
    api.end().await;
}

#[tokio::test]
async fn addresses_of_callbacks_are_due_when_a_request_moves() {
    use lacuna::engine::status_callbacks::Told;
    let authority = Authority::new();
    let issued = authority.self_signed(DOMAIN);
    let signer = Signer::load(DOMAIN, &issued.certificate, &issued.key).unwrap();
    let api = signing(Arc::new(signer)).await;
    let url = "https://controller.example/callbacks";
    let body = request(json!({ "status_callback_urls": [url, url] }));
    for _ in 0..2 {
        assert_eq!(post(&api, &body).await.status, 201, "a repeat adds nothing");
    }
    let id: Uuid = body["subject_request_id"].as_str().unwrap().parse().unwrap();
    let mut due = api.engine.take_callbacks(10).await.unwrap();
    assert_eq!(due.len(), 1);
    let first = due.pop().unwrap();
    assert_eq!(
        (first.row.url.as_str(), first.row.controller.as_str()),
        (url, "shop")
    );
    assert!(
        api.engine.take_callbacks(10).await.unwrap().is_empty(),
        "it is taken"
    );
    let state = lacuna::domain::registry::RequestState::InProgress;
    api.engine
        .callback_done(first.row, Some(Told::Yes(state)))
        .await
        .unwrap();
    assert!(
        api.engine.take_callbacks(10).await.unwrap().is_empty(),
        "nothing has moved"
    );
    for processor in ["crm", "stats", "ads"] {
        let task = api.task_message(id, processor).await;
        let ack = json!({
            "request_id": id, "task_id": task["task_id"], "generation": 1, "attempt": 1, "processor": processor,
            "token": task["ack"]["token"], "outcome": "erased"
        });
        api.post(processor, "/v1/acks", &ack).await.ok(200);
    }
    let moved = api
        .engine
        .take_callbacks(10)
        .await
        .unwrap()
        .pop()
        .expect("the end has to be told");
    assert_eq!(moved.row.told, state);
    let (state, _) = lacuna::view::opendsr::request_state(moved.request.as_ref().unwrap());
    assert_eq!(state.as_str(), "completed");
    api.engine
        .callback_done(moved.row.clone(), Some(Told::Not(state)))
        .await
        .unwrap();
    assert!(
        api.engine.take_callbacks(10).await.unwrap().is_empty(),
        "it is tried again later"
    );
    api.clock.advance(std::time::Duration::from_secs(11));
    let again = api
        .engine
        .take_callbacks(10)
        .await
        .unwrap()
        .pop()
        .expect("it is tried again");
    assert_eq!(again.row.tries, 1);
    api.engine
        .callback_done(again.row, Some(Told::Yes(state)))
        .await
        .unwrap();
    api.clock.advance(std::time::Duration::from_secs(365 * 24 * 3600));
    assert!(
        api.engine.take_callbacks(10).await.unwrap().is_empty(),
        "the end was told: it is forgotten"
    );
    api.end().await;
}
