//! An imitation of a vendor, driven by data: it answers what a connector's examples say, in their order, or what a test
//! makes of each call. It has an authorisation server too.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde_json::Value;

/// A call as it came in.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// What is answered.
#[derive(Debug, Clone)]
pub(super) struct Said {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Value,
    /// Instead of JSON.
    pub(super) text: Option<String>,
}

/// A page for people.
pub(super) fn page(status: u16) -> Said {
    let text = "<!DOCTYPE html><html><body>Please sign in</body></html>";
    Said {
        text: Some(text.to_owned()),
        ..said(status, Value::Null)
    }
}

pub(super) fn said(status: u16, body: Value) -> Said {
    Said {
        status,
        headers: Vec::new(),
        body,
        text: None,
    }
}

impl Said {
    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

type Answering = Box<dyn FnMut(&Seen) -> Said + Send>;

enum Script {
    InOrder(VecDeque<Said>),
    By(Answering),
}

pub(super) struct Imitation {
    pub(super) address: SocketAddr,
    script: Mutex<Script>,
    seen: Mutex<Vec<Seen>>,
    /// What was asked for of the authorisation server.
    grants: Mutex<Vec<String>>,
    /// What it answers from now on: a token, or a refusal.
    pub(super) granting: Mutex<Said>,
    is_slow: AtomicBool,
    under_way: AtomicUsize,
    most: AtomicUsize,
}

impl Imitation {
    pub(super) async fn in_order(answers: Vec<Said>) -> Arc<Self> {
        Self::start(Script::InOrder(answers.into())).await
    }

    pub(super) async fn by(answering: impl FnMut(&Seen) -> Said + Send + 'static) -> Arc<Self> {
        Self::start(Script::By(Box::new(answering))).await
    }

    /// One whose answers take their time.
    pub(super) async fn slow(answering: impl FnMut(&Seen) -> Said + Send + 'static) -> Arc<Self> {
        let imitation = Self::start(Script::By(Box::new(answering))).await;
        imitation.is_slow.store(true, Ordering::SeqCst);
        imitation
    }

    /// How many calls were under way at the same time, at the most.
    pub(super) fn most_at_once(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }

    async fn start(script: Script) -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let grant = serde_json::json!({"access_token": "granted", "expires_in": 3600});
        let imitation = Arc::new(Self {
            address: listener.local_addr().unwrap(),
            script: Mutex::new(script),
            seen: Mutex::default(),
            grants: Mutex::default(),
            granting: Mutex::new(said(200, grant)),
            is_slow: AtomicBool::new(false),
            under_way: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        });
        let routes = Router::new().fallback(answer).with_state(Arc::clone(&imitation));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        imitation
    }

    /// The calls so far.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn grants(&self) -> Vec<String> {
        self.grants.lock().unwrap().clone()
    }
}

async fn answer(
    State(imitation): State<Arc<Imitation>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let body = String::from_utf8_lossy(&body).into_owned();
    if uri.path().ends_with("/token") {
        imitation.grants.lock().unwrap().push(body);
        return response(imitation.granting.lock().unwrap().clone());
    }
    let seen = Seen {
        method: method.to_string(),
        path: uri.to_string(),
        headers,
        body,
    };
    let under_way = imitation.under_way.fetch_add(1, Ordering::SeqCst) + 1;
    imitation.most.fetch_max(under_way, Ordering::SeqCst);
    if imitation.is_slow.load(Ordering::SeqCst) {
        // How long a vendor takes is what is imitated here: nothing is waited for.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    imitation.under_way.fetch_sub(1, Ordering::SeqCst);
    let said = match &mut *imitation.script.lock().unwrap() {
        // What nobody expects is no answer that a rule knows.
        Script::InOrder(answers) => answers.pop_front().unwrap_or_else(|| said(418, Value::Null)),
        Script::By(answering) => answering(&seen),
    };
    imitation.seen.lock().unwrap().push(seen);
    response(said)
}

fn response(said: Said) -> Response {
    let status = StatusCode::from_u16(said.status).unwrap();
    let mut headers = HeaderMap::new();
    for (name, value) in said.headers {
        let value: HeaderValue = value.parse().unwrap();
        headers.insert(HeaderName::from_static(name), value);
    }
    let body = match said.text {
        Some(text) => text,
        None if said.body.is_null() => String::new(),
        None => said.body.to_string(),
    };
    (status, headers, body).into_response()
}
