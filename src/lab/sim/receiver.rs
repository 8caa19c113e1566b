//! Processors that listen for webhooks: those that are well answer at once, the others each in a way of their own.

use std::{
    convert::Infallible,
    net::SocketAddr,
    path::Path,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    extract::{Path as Segment, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use axum_server::{Handle, tls_rustls::RustlsConfig};
use http_body::Frame;
use serde::Deserialize;

use super::Histogram;
use crate::{
    clock::{Clock, Stopwatch},
    domain::time::At,
};

/// How a processor fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dead {
    /// It takes the call and never answers.
    Hangs,
    /// Nobody listens.
    Refuses,
    /// It answers 500.
    Breaks,
    /// It answers a byte a second.
    Drips,
}

impl Dead {
    /// The n-th of those that fail.
    pub const fn nth(n: u32) -> Self {
        match n % 4 {
            0 => Self::Hangs,
            1 => Self::Refuses,
            2 => Self::Breaks,
            _ => Self::Drips,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Hangs => "hangs",
            Self::Refuses => "refuses",
            Self::Breaks => "breaks",
            Self::Drips => "drips",
        }
    }
}

/// What has come in at those that are well.
#[derive(Debug, Default)]
pub struct Received {
    deliveries: AtomicU64,
    /// From the publication of a command to the arrival of a task.
    latency: Mutex<Histogram>,
    /// Whether those that answered 500 are well by now.
    is_revived: AtomicBool,
    late: Mutex<Late>,
}

/// What has come in at those that got well.
#[derive(Debug, Default)]
struct Late {
    count: u64,
    since: Option<Stopwatch>,
    took: Duration,
}

impl Received {
    /// How many deliveries.
    pub fn deliveries(&self) -> u64 {
        self.deliveries.load(Ordering::Relaxed)
    }

    /// How long they took since their command was published; it begins anew.
    pub fn take_latency(&self) -> Histogram {
        std::mem::take(&mut *self.latency.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Those that answer 500 get well.
    pub fn revive(&self) {
        self.is_revived.store(true, Ordering::Relaxed);
    }

    /// How many deliveries came in at those that got well, and how long it took from the first one to the last.
    pub fn late(&self) -> (u64, Duration) {
        let late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        (late.count, late.took)
    }

    fn take_late(&self) {
        let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        late.count += 1;
        late.took = late.since.get_or_insert_with(Stopwatch::start).elapsed();
    }

    fn take(&self, task: &Task, now: At) {
        self.deliveries.fetch_add(1, Ordering::Relaxed);
        self.latency
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .record(now.since(task.data_before));
    }
}

/// The part of a task that tells when it was asked.
#[derive(Deserialize)]
struct Task {
    /// A simulated upstream service says here when it published its command.
    data_before: At,
}

/// A call of a vendor that takes many people in one.
#[derive(Deserialize)]
struct People {
    ids: Vec<serde::de::IgnoredAny>,
}

/// Listens for all processors, until it is dropped.
#[derive(Debug)]
pub struct Receiver {
    /// What has come in.
    pub received: Arc<Received>,
    address: SocketAddr,
    with_tls: bool,
    handle: Handle<SocketAddr>,
}

impl Receiver {
    /// Listens on loopback. `tls`: a folder with `cert.pem` and `key.pem`.
    pub async fn start(tls: Option<&Path>) -> std::io::Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let received = Arc::new(Received::default());
        let router = Router::new()
            .route("/{what}/{processor}", post(answer))
            .with_state(Arc::clone(&received))
            .into_make_service();
        let handle = Handle::new();
        match tls {
            Some(folder) => {
                let tls =
                    RustlsConfig::from_pem_file(folder.join("cert.pem"), folder.join("key.pem")).await?;
                let server = axum_server::from_tcp_rustls(listener, tls)?.handle(handle.clone());
                tokio::spawn(async move { report(server.serve(router).await) });
            }
            None => {
                let server = axum_server::from_tcp(listener)?.handle(handle.clone());
                tokio::spawn(async move { report(server.serve(router).await) });
            }
        }
        Ok(Self {
            received,
            address,
            with_tls: tls.is_some(),
            handle,
        })
    }

    /// Where a vendor listens that takes many people in one call.
    pub fn vendor_url(&self, processor: &str) -> String {
        format!("http://{}/vendor/{processor}", self.address)
    }

    /// Where a processor listens.
    pub fn url(&self, processor: &str, dead: Option<Dead>) -> String {
        let scheme = if self.with_tls { "https" } else { "http" };
        let word = dead.map_or("erases", Dead::word);
        match dead {
            // The discard port: nobody listens there.
            Some(Dead::Refuses) => format!("{scheme}://127.0.0.1:9/{word}/{processor}"),
            _ => format!("{scheme}://{}/{word}/{processor}", self.address),
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.handle.shutdown();
    }
}

fn report(served: std::io::Result<()>) {
    if let Err(error) = served {
        tracing::error!(%error, "the simulated receiver has ended");
    }
}

async fn answer(
    State(received): State<Arc<Received>>,
    Segment((what, _)): Segment<(String, String)>,
    body: Bytes,
) -> Response {
    const ERASED: &str = r#"{"outcome":"erased","evidence":{"method":"delete","records":3}}"#;
    let erased = || ([(header::CONTENT_TYPE, "application/json")], ERASED).into_response();
    match what.as_str() {
        "erases" => {
            let Ok(task) = serde_json::from_slice::<Task>(&body) else {
                return StatusCode::BAD_REQUEST.into_response();
            };
            received.take(&task, Clock::System.now());
            erased()
        }
        "vendor" => {
            let Ok(people) = serde_json::from_slice::<People>(&body) else {
                return StatusCode::BAD_REQUEST.into_response();
            };
            let count = people.ids.len();
            received.deliveries.fetch_add(count as u64, Ordering::Relaxed);
            let people = vec![r#"{"outcome":"erased"}"#; count].join(",");
            let body = format!("{{\"people\":[{people}]}}");
            ([(header::CONTENT_TYPE, "application/json")], body).into_response()
        }
        "breaks" if received.is_revived.load(Ordering::Relaxed) => {
            received.take_late();
            erased()
        }
        "hangs" => std::future::pending().await,
        "drips" => Response::new(Body::new(Drip(tokio::time::interval(Duration::from_secs(1))))),
        _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// A byte a second, for ever.
struct Drip(tokio::time::Interval);

impl HttpBody for Drip {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0
            .poll_tick(context)
            .map(|_| Some(Ok(Frame::data(Bytes::from_static(b" ")))))
    }
}
