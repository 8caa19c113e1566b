//! An imitation of a vendor: it answers as the specification says, but for what a test changes.

use std::{
    fs,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};

use super::super::{Signer, authority::Issued};
use crate::{clock::Clock, domain::time::At};

/// What it does otherwise than it should.
#[derive(Debug, Clone)]
pub(super) enum Twist {
    /// Nothing.
    None,
    /// It answers this, unsigned.
    Status(u16, &'static str),
    /// It says when to come again.
    Wait(u16, &'static str),
    /// It signs nothing.
    Unsigned,
    /// It changes a byte after it has signed.
    Tampered,
    /// It says that another domain has signed.
    OtherDomain,
    /// A field of its answer is another one, or none.
    Field(&'static str, Value),
}

/// What it knows and was asked.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) on_request: Twist,
    pub(super) on_status: Twist,
    pub(super) state: &'static str,
    pub(super) known: bool,
    /// What was posted, with the header that lets in.
    pub(super) posted: Vec<(String, Option<String>)>,
    /// The `traceparent` of each.
    pub(super) traces: Vec<Option<String>>,
    pub(super) certificates_read: u32,
    /// Another certificate than that of the key.
    pub(super) certificate: Vec<u8>,
    pub(super) certificate_url: Option<String>,
}

#[derive(Debug)]
pub(super) struct Vendor {
    pub(super) address: SocketAddr,
    script: Mutex<Script>,
    signer: Signer,
}

impl Vendor {
    /// One that signs for a domain with this certificate.
    pub(super) async fn start(domain: &str, issued: &Issued) -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let vendor = Arc::new(Self {
            address: listener.local_addr().unwrap(),
            script: Mutex::new(Script {
                on_request: Twist::None,
                on_status: Twist::None,
                state: "pending",
                known: true,
                posted: Vec::new(),
                traces: Vec::new(),
                certificates_read: 0,
                certificate: fs::read(&issued.certificate).unwrap(),
                certificate_url: None,
            }),
            signer: Signer::load(domain, &issued.certificate, &issued.key).unwrap(),
        });
        let routes = Router::new()
            .route("/v2/requests", post(request))
            .route("/v2/opendsr_requests", post(request))
            .route("/v2/gdpr", post(request))
            .route("/v2/requests/{id}", get(status))
            .route("/v2/opendsr_requests/{id}", get(status))
            .route("/v2/discovery", get(discovery))
            .route("/cert.pem", get(certificate))
            .with_state(Arc::clone(&vendor));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        vendor
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/v2", self.address)
    }

    /// Looks into the script, or changes it.
    pub(super) fn script<T>(&self, change: impl FnOnce(&mut Script) -> T) -> T {
        change(&mut self.script.lock().unwrap())
    }

    /// The headers of something that it signs.
    pub(super) fn headers(&self, bytes: &[u8]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let signature = self.signer.sign(bytes).unwrap();
        headers.insert(
            "x-opendsr-processor-domain",
            self.signer.domain().parse().unwrap(),
        );
        headers.insert("x-opendsr-signature", signature.parse().unwrap());
        headers
    }

    fn answer(&self, status: u16, mut body: Value, twist: &Twist) -> Response {
        if let Twist::Field(key, value) = twist {
            body[key] = value.clone();
        }
        let mut bytes = body.to_string().into_bytes();
        let mut headers = self.headers(&bytes);
        match twist {
            Twist::Status(status, text) => {
                return (StatusCode::from_u16(*status).unwrap(), *text).into_response();
            }
            Twist::Wait(status, seconds) => {
                let wait = [(header::RETRY_AFTER, HeaderValue::from_static(seconds))];
                return (StatusCode::from_u16(*status).unwrap(), wait).into_response();
            }
            Twist::Unsigned => headers.clear(),
            Twist::Tampered => bytes.push(b' '),
            Twist::OtherDomain => {
                headers.insert(
                    "x-opendsr-processor-domain",
                    HeaderValue::from_static("opendsr.other.test"),
                );
            }
            Twist::None | Twist::Field(..) => {}
        }
        (StatusCode::from_u16(status).unwrap(), headers, bytes).into_response()
    }
}

/// What it promises.
pub(super) fn expected_by() -> At {
    // A whole number of days since 1970, so that it is the same wherever a test asks.
    const DAY: i64 = 24 * 3600 * 1000;
    At::from_millis((Clock::System.now().millis() / DAY + 30) * DAY)
}

async fn request(State(vendor): State<Arc<Vendor>>, headers: HeaderMap, body: Bytes) -> Response {
    let text = String::from_utf8(body.to_vec()).unwrap();
    let said: Value = serde_json::from_str(&text).unwrap();
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let (bearer, trace) = (header("authorization"), header("traceparent"));
    let twist = vendor.script(|script| {
        script.posted.push((text, bearer));
        script.traces.push(trace);
        script.on_request.clone()
    });
    let created = json!({
        "controller_id": "lacuna", "expected_completion_time": expected_by().to_string(),
        "received_time": "2026-11-30T12:00:00Z", "encoded_request": "…",
        "subject_request_id": said["subject_request_id"]
    });
    vendor.answer(201, created, &twist)
}

async fn status(State(vendor): State<Arc<Vendor>>, Path(id): Path<String>) -> Response {
    let (twist, state, known) =
        vendor.script(|script| (script.on_status.clone(), script.state, script.known));
    if !known {
        return StatusCode::NOT_FOUND.into_response();
    }
    let status = json!({
        "controller_id": "lacuna", "expected_completion_time": expected_by().to_string(), "subject_request_id": id,
        "request_status": state
    });
    vendor.answer(200, status, &twist)
}

async fn discovery(State(vendor): State<Arc<Vendor>>) -> Response {
    let own = format!("http://{}/cert.pem", vendor.address);
    let url = vendor
        .script(|script| script.certificate_url.clone())
        .unwrap_or(own);
    axum::Json(json!({ "api_version": "2.0", "processor_certificate": url })).into_response()
}

async fn certificate(State(vendor): State<Arc<Vendor>>) -> Vec<u8> {
    vendor.script(|script| {
        script.certificates_read += 1;
        script.certificate.clone()
    })
}
