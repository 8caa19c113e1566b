//! OpenDSR through the real binary: a vendor that takes our requests and a controller that sends us some, both imitated on
//! loopback, both signing and verifying with OpenSSL alone.

mod guide;

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    authority::{Authority, Issued},
    support::{Deployment, StoreKind, wait_for},
};

const VENDOR: &str = "opendsr.vendor.test";
const LACUNA: &str = "opendsr.lacuna.test";
const LIMIT: Duration = Duration::from_secs(60);

/// Who takes our requests, and is told of its own.
struct Peer {
    address: SocketAddr,
    issued: Issued,
    folder: tempfile::TempDir,
    seen: Mutex<Seen>,
    _runtime: tokio::runtime::Runtime,
}

#[derive(Default)]
struct Seen {
    /// By id, the requests that came.
    requests: BTreeMap<Uuid, Value>,
    /// How often something was posted.
    posts: usize,
    /// The state that every request has.
    state: &'static str,
    /// Callbacks: domain, signature, body.
    told: Vec<(String, String, Bytes)>,
}

/// What the vendor promises: a time that is the same whenever a test asks within a day.
fn promise() -> String {
    const DAY: i64 = 24 * 3600 * 1000;
    let days = lacuna::clock::Clock::System.now().millis() / DAY + 30;
    lacuna::domain::time::At::from_millis(days * DAY).to_string()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

impl Peer {
    fn start(authority: &Authority) -> Arc<Self> {
        let runtime = runtime();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let address = listener.local_addr().unwrap();
        let handle = runtime.handle().clone();
        let peer = Arc::new(Self {
            address,
            issued: authority.issue(VENDOR),
            folder: tempfile::tempdir().unwrap(),
            seen: Mutex::new(Seen {
                state: "pending",
                ..Seen::default()
            }),
            _runtime: runtime,
        });
        let routes = Router::new()
            .route("/v2/requests", post(request))
            .route("/v2/requests/{id}", get(status))
            .route("/v2/discovery", get(discovery))
            .route("/v2/cert", get(certificate))
            .route("/told", post(told))
            .with_state(Arc::clone(&peer));
        handle.spawn(async move { axum::serve(listener, routes).await });
        peer
    }

    fn seen<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.seen.lock().unwrap())
    }

    fn file(&self, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(Uuid::now_v7().to_string());
        fs::write(&path, bytes).unwrap();
        path
    }

    /// The signature of OpenSSL, in base64.
    fn sign(&self, key: &std::path::Path, bytes: &[u8]) -> String {
        let signed = Command::new("openssl")
            .args(["dgst", "-sha256", "-sign"])
            .arg(key)
            .arg(self.file(bytes))
            .output()
            .unwrap();
        assert!(signed.status.success());
        STANDARD.encode(signed.stdout)
    }

    /// Whether OpenSSL finds a signature to be one of this certificate.
    fn is_signed(&self, certificate: &[u8], bytes: &[u8], signature: &str) -> bool {
        let key = Command::new("openssl")
            .args(["x509", "-pubkey", "-noout", "-in"])
            .arg(self.file(certificate))
            .output()
            .unwrap();
        let verified = Command::new("openssl")
            .args(["dgst", "-sha256", "-verify"])
            .arg(self.file(&key.stdout))
            .arg("-signature")
            .arg(self.file(&STANDARD.decode(signature).unwrap()))
            .arg(self.file(bytes))
            .status()
            .unwrap();
        verified.success()
    }

    fn answer(&self, status: u16, body: &Value) -> Response {
        let bytes = body.to_string();
        let headers = [
            ("x-opendsr-processor-domain", VENDOR.to_owned()),
            (
                "x-opendsr-signature",
                self.sign(&self.issued.key, bytes.as_bytes()),
            ),
        ];
        (StatusCode::from_u16(status).unwrap(), headers, bytes).into_response()
    }
}

async fn request(State(peer): State<Arc<Peer>>, Json(said): Json<Value>) -> Response {
    let id: Uuid = said["subject_request_id"].as_str().unwrap().parse().unwrap();
    peer.seen(|seen| {
        seen.posts += 1;
        seen.requests.insert(id, said);
    });
    peer.answer(
        201,
        &json!({
            "controller_id": "lacuna", "expected_completion_time": promise(),
            "received_time": "2026-11-30T12:00:00Z", "encoded_request": "e30=", "subject_request_id": id
        }),
    )
}

async fn status(State(peer): State<Arc<Peer>>, Path(id): Path<Uuid>) -> Response {
    let state = peer.seen(|seen| seen.requests.contains_key(&id).then_some(seen.state));
    match state {
        Some(state) => peer.answer(
            200,
            &json!({
                "controller_id": "lacuna", "expected_completion_time": promise(), "subject_request_id": id,
                "request_status": state
            }),
        ),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn discovery(State(peer): State<Arc<Peer>>) -> Json<Value> {
    Json(json!({ "api_version": "2.0", "processor_certificate": format!("http://{}/v2/cert", peer.address) }))
}

async fn certificate(State(peer): State<Arc<Peer>>) -> Vec<u8> {
    fs::read(&peer.issued.certificate).unwrap()
}

async fn told(State(peer): State<Arc<Peer>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let told = (
        header("x-opendsr-processor-domain"),
        header("x-opendsr-signature"),
        body,
    );
    peer.seen(|seen| seen.told.push(told));
    StatusCode::OK
}

/// A call to the worker, or to whatever URL.
fn call(
    method: reqwest::Method,
    url: &str,
    headers: &[(&str, &str)],
    body: Option<Vec<u8>>,
) -> (u16, HeaderMap, Value) {
    runtime().block_on(async {
        let mut call = reqwest::Client::new()
            .request(method, url)
            .timeout(Duration::from_secs(10));
        for (name, value) in headers {
            call = call.header(*name, *value);
        }
        if let Some(body) = body {
            call = call.header(header::CONTENT_TYPE, "application/json").body(body);
        }
        let answer = call.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let bytes = answer.bytes().await.unwrap();
        let json = serde_json::from_slice(&bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(&bytes)));
        (status, headers, json)
    })
}

fn deployment(store: StoreKind, authority: &Authority, peer: &Peer, poll: &str) -> Deployment {
    let registry = format!(
        "[[processor]]\nid = \"dsr\"\nkind = \"analytics\"\nactions = [\"erase\"]\nidentities = [\"email\"]\n\
         transport = {{ type = \"opendsr\", url = \"http://{}/v2\", processor_domain = \"{VENDOR}\", ca = \"{}\", poll = \"{poll}\" }}\n",
        peer.address,
        authority.certificate().display()
    );
    Deployment::new(store, &registry)
}

fn submit(deployment: &Deployment) -> Uuid {
    let id = Uuid::now_v7();
    let command = json!({
        "command_id": id, "type": "erase",
        "subject": { "identities": [{ "type": "email", "value": format!("canary-{id}@example.org") }] }
    });
    let url = format!("http://127.0.0.1:{}/v1/requests", deployment.http);
    let (status, _, answer) = call(
        reqwest::Method::POST,
        &url,
        &[],
        Some(command.to_string().into_bytes()),
    );
    assert_eq!(status, 202, "{answer}");
    id
}

fn status_of(deployment: &Deployment, id: Uuid) -> Value {
    let (_, text) = deployment.get(&format!("/v1/requests/{id}")).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

fn wait_for_state(deployment: &Deployment, id: Uuid, state: &str) -> Value {
    wait_for(&format!("the task is {state}"), LIMIT, || {
        let status = status_of(deployment, id);
        (status["task_list"][0]["state"] == state).then_some(status)
    })
}

#[test]
fn vendor_that_is_polled_is_done_when_it_says_so_on_postgres() {
    polled(StoreKind::Postgres);
}

#[test]
fn vendor_that_is_polled_is_done_when_it_says_so_on_sqlite() {
    polled(StoreKind::Sqlite);
}

fn polled(store: StoreKind) {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let deployment = deployment(store, &authority, &peer, "1s");
    let worker = deployment.serve();
    let id = submit(&deployment);
    let status = wait_for_state(&deployment, id, "accepted");
    assert_eq!(status["outcomes"]["erased"], 0, "a promise is no proof: {status}");
    assert_eq!(status["task_list"][0]["until"], json!(promise()), "{status}");
    let said = peer.seen(|seen| seen.requests.values().next().unwrap().clone());
    assert_eq!(said["subject_identities"][0]["identity_type"], "email");
    // What it knows outlives the worker.
    drop(worker);
    let _worker = deployment.serve();
    peer.seen(|seen| seen.state = "completed");
    let status = wait_for_state(&deployment, id, "done");
    assert_eq!(
        (&status["status"], &status["outcomes"]["erased"]),
        (&json!("completed"), &json!(1))
    );
    let evidence = &status["task_list"][0]["evidence"];
    assert_eq!(evidence["method"], "opendsr", "{evidence}");
    assert_eq!(peer.seen(|seen| (seen.posts, seen.requests.len())), (1, 1));
    wait_for("nobody has to be asked any more", LIMIT, || {
        (deployment.number("select count(*) from poll") == 0).then_some(())
    });
}

#[test]
fn vendor_that_calls_back_is_believed_by_its_signature_alone() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let deployment = deployment(StoreKind::Sqlite, &authority, &peer, "1h");
    let _worker = deployment.serve();
    let id = submit(&deployment);
    wait_for_state(&deployment, id, "accepted");
    let said = peer.seen(|seen| seen.requests.values().next().unwrap().clone());
    let url = said["status_callback_urls"][0].as_str().unwrap().to_owned();
    let body = json!({
        "controller_id": "lacuna", "expected_completion_time": promise(), "status_callback_url": url,
        "subject_request_id": said["subject_request_id"], "request_status": "completed"
    });
    let call_back = |domain: &str, key: &std::path::Path, body: &Value, url: &str| {
        let bytes = body.to_string().into_bytes();
        let signature = peer.sign(key, &bytes);
        let headers = [
            ("x-opendsr-processor-domain", domain),
            ("x-opendsr-signature", signature.as_str()),
        ];
        call(reqwest::Method::POST, url, &headers, Some(bytes))
    };
    let own = &peer.issued.key;
    let others = Authority::new();
    let thief = others.issue(VENDOR);
    let mut elsewhere = body.clone();
    elsewhere["status_callback_url"] = json!("https://controller.example/others");
    let next_generation = url.rsplit_once('/').unwrap().0.to_owned() + "/2";
    for (what, (status, _, answer)) in [
        ("another key", call_back(VENDOR, &thief.key, &body, &url)),
        (
            "another domain",
            call_back("opendsr.other.test", own, &body, &url),
        ),
        (
            "another address in the body",
            call_back(VENDOR, own, &elsewhere, &url),
        ),
        (
            "no signature",
            call(
                reqwest::Method::POST,
                &url,
                &[],
                Some(body.to_string().into_bytes()),
            ),
        ),
    ] {
        assert_eq!(
            (status, &answer["code"]),
            (403, &json!("forged_ack")),
            "{what}: {answer}"
        );
    }
    assert_eq!(
        call_back(VENDOR, own, &body, &next_generation).0,
        404,
        "a generation that there is not"
    );
    assert_eq!(
        status_of(&deployment, id)["task_list"][0]["state"],
        "accepted",
        "nothing has changed"
    );
    let mut moving = body.clone();
    moving["request_status"] = json!("in_progress");
    assert_eq!(call_back(VENDOR, own, &moving, &url).0, 202);
    assert_eq!(status_of(&deployment, id)["task_list"][0]["state"], "accepted");
    let (status, _, answer) = call_back(VENDOR, own, &body, &url);
    assert_eq!((status, &answer["result"]), (202, &json!("counted")), "{answer}");
    let done = wait_for_state(&deployment, id, "done");
    let (status, _, answer) = call_back(VENDOR, own, &body, &url);
    assert_eq!(
        (status, &answer["result"]),
        (202, &json!("repeated")),
        "a replay: {answer}"
    );
    assert_eq!(
        status_of(&deployment, id)["revision"],
        done["revision"],
        "a replay changes nothing"
    );
    assert_eq!(done["status"], "completed");
}

#[test]
fn controller_is_told_by_signed_callbacks_until_the_end() {
    let authority = Authority::new();
    let peer = Peer::start(&authority);
    let deployment = deployment(StoreKind::Postgres, &authority, &peer, "1s");
    let own = authority.issue(LACUNA);
    let config = fs::read_to_string(deployment.path("lacuna.toml")).unwrap();
    let section = format!(
        "{config}\n[opendsr]\ndomain = \"{LACUNA}\"\ncertificate = \"{}\"\nkey = \"{}\"\n",
        own.certificate.display(),
        own.key.display()
    );
    deployment.write("lacuna.toml", &section);
    deployment.lacuna_ok(&["check"]);
    let _worker = deployment.serve();
    let base = format!("http://127.0.0.1:{}/opendsr/v2", deployment.http);
    let (_, _, discovery) = call(reqwest::Method::GET, &format!("{base}/discovery"), &[], None);
    let url = discovery["processor_certificate"].as_str().unwrap();
    let (_, _, certificate) = call(reqwest::Method::GET, url, &[], None);
    let certificate = certificate.as_str().unwrap().as_bytes().to_vec();
    assert_eq!(certificate, fs::read(&own.certificate).unwrap());
    let id = uuid::Builder::from_random_bytes(*Uuid::now_v7().as_bytes()).into_uuid();
    let callback = format!("http://{}/told", peer.address);
    let request = json!({
        "regulation": "ccpa", "subject_request_id": id, "subject_request_type": "erasure",
        "submitted_time": "2026-11-29T12:00:00Z", "api_version": "2.0", "status_callback_urls": [callback],
        "subject_identities": [
            { "identity_type": "email", "identity_value": format!("canary-{id}@example.org"), "identity_format": "raw" }]
    });
    let url = format!("{base}/requests");
    let (status, headers, created) = call(
        reqwest::Method::POST,
        &url,
        &[],
        Some(request.to_string().into_bytes()),
    );
    assert_eq!(status, 201, "{created}");
    assert_eq!(headers["x-opendsr-processor-domain"], LACUNA);
    let told = |state: &str| {
        let what = format!("the controller is told {state}");
        wait_for(&what, LIMIT, || {
            let told = peer.seen(|seen| seen.told.clone());
            let of_state = |(_, _, body): &&(String, String, Bytes)| {
                let body: Value = serde_json::from_slice(body).unwrap();
                body["request_status"] == state
            };
            told.iter().find(of_state).cloned()
        })
    };
    told("in_progress");
    peer.seen(|seen| seen.state = "completed");
    let (domain, signature, body) = told("completed");
    assert_eq!(domain, LACUNA);
    assert!(
        peer.is_signed(&certificate, &body, &signature),
        "OpenSSL does not verify the callback"
    );
    let said: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        (&said["subject_request_id"], &said["status_callback_url"]),
        (&json!(id), &json!(callback))
    );
    let (_, headers, status) = call(reqwest::Method::GET, &format!("{url}/{id}"), &[], None);
    assert_eq!(status["request_status"], "completed");
    assert!(headers.contains_key("x-opendsr-signature"));
    wait_for("the address is forgotten", LIMIT, || {
        (deployment.number("select count(*) from status_callback") == 0).then_some(())
    });
    let said = peer.seen(|seen| seen.requests.values().next().unwrap().clone());
    assert_eq!(
        said["regulation"], "ccpa",
        "what the controller said goes on to the vendor"
    );
    let log = fs::read_to_string(deployment.path("serve.log")).unwrap();
    assert!(!log.contains("canary-"), "an identifier is in the log");
}
