//! The start of a worker whose dependencies may not be there yet: it waits for them, says so, and gives up in the end.
//!
//! While it waits, the listener's address answers health checks, so that an orchestrator neither kills the worker nor
//! sends it traffic. It never waits for a mistake to mend itself: those end the start at once.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use axum_server::Handle;
use tokio_util::sync::CancellationToken;

use super::{AppError, Connected, Roles, Running, connect, start_connected};
use crate::{
    clock::{Clock, Stopwatch},
    config::Config,
    engine::schedule::Pauses,
    http::{
        listener::{self, HEADER_PATIENCE},
        tls::{self, TlsError},
    },
    telemetry::{logs::chain, metrics::Metrics},
};

/// The least that a try may take: with less, a dependency that is there would seem to be away.
const SHORTEST_TRY: Duration = Duration::from_secs(1);

/// Starts a worker. What cannot be reached is tried again for as long as `patience`; `None`: `stop` came first.
pub async fn start_patiently(
    config: Config,
    roles: Roles,
    clock: Clock,
    patience: Duration,
    stop: &CancellationToken,
) -> Result<Option<Running>, AppError> {
    if roles.api {
        check_certificate(&config, &clock)?;
    }
    let waiting_for = WaitingFor::default();
    // A certificate is the real listener's affair: until it is there, nothing answers over TLS.
    let early = if roles.api && config.http.tls.is_none() {
        Some(Early::bind(config.http.listen, waiting_for.clone())?)
    } else {
        None
    };
    let connected = connect_patiently(&config, &clock, patience, &waiting_for, stop).await;
    // The address has to be free before the real listener takes it.
    if let Some(early) = early {
        early.end().await;
    }
    match connected? {
        Some(connected) => start_connected(config, roles, connected).await.map(Some),
        None => Ok(None),
    }
}

/// Names what is wrong with the certificate before anything is waited for. One that is out of its time is said by the listener,
/// which serves with it: whether to trust it is for clients to say, and without a worker no erasure goes on.
fn check_certificate(config: &Config, clock: &Clock) -> Result<(), TlsError> {
    match config
        .http
        .tls
        .as_ref()
        .map(|files| tls::check(files, clock.now()))
    {
        Some(Err(error)) if !error.is_about_time() => Err(error),
        _ => Ok(()),
    }
}

async fn connect_patiently(
    config: &Config,
    clock: &Clock,
    patience: Duration,
    waiting_for: &WaitingFor,
    stop: &CancellationToken,
) -> Result<Option<Connected>, AppError> {
    let watch = Stopwatch::start();
    let mut pauses = Pauses::default();
    loop {
        let metrics = Arc::new(Metrics::new()?);
        let left = patience.saturating_sub(watch.elapsed()).max(SHORTEST_TRY);
        let error = tokio::select! {
            () = stop.cancelled() => return Ok(None),
            tried = connect(config, clock.clone(), metrics, left) => match tried {
                Ok(connected) => return Ok(Some(connected)),
                Err(error) => error,
            },
        };
        let (waited, pause) = (watch.elapsed(), pauses.longer());
        if !error.is_unreachable() || waited + pause + SHORTEST_TRY > patience {
            return Err(error);
        }
        let why = chain(&error);
        tracing::warn!(
            waited_seconds = waited.as_secs(),
            gives_up_after_seconds = patience.as_secs(),
            "cannot start yet, trying again: {why}"
        );
        waiting_for.set(why);
        tokio::select! {
            () = stop.cancelled() => return Ok(None),
            // A dependency that is away is waited for; this is no timer of the domain.
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// What the start waits for, for whoever asks.
#[derive(Debug, Clone, Default)]
struct WaitingFor(Arc<Mutex<String>>);

impl WaitingFor {
    fn set(&self, why: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    fn get(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Answers health checks until the worker is there: alive, and not ready.
struct Early {
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
}

impl Early {
    fn bind(address: SocketAddr, waiting_for: WaitingFor) -> Result<Self, AppError> {
        let listener = listener::bind(address).map_err(|source| AppError::Listen { address, source })?;
        let stop = CancellationToken::new();
        let (stopped, router) = (stop.clone(), early_router(waiting_for));
        let serving = tokio::spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                served = listener::serve(listener, None, router, Handle::new(), HEADER_PATIENCE) => {
                    if let Err(error) = served {
                        tracing::warn!(%error, "health checks are not answered during the start");
                    }
                }
            }
        });
        Ok(Self { stop, serving })
    }

    /// Frees the address.
    async fn end(self) {
        self.stop.cancel();
        if self.serving.await.is_err() {
            tracing::error!("the listener of the start panicked");
        }
    }
}

fn early_router(waiting_for: WaitingFor) -> Router {
    Router::new()
        .route(
            "/healthz",
            get(|| async { closing(StatusCode::OK, "text/plain", "alive\n".into()) }),
        )
        .fallback(move || async move {
            let why = waiting_for.get();
            let detail = if why.is_empty() {
                "connecting".to_owned()
            } else {
                format!("waiting: {why}")
            };
            let problem = serde_json::json!({ "title": "starting", "status": 503, "detail": detail });
            closing(
                StatusCode::SERVICE_UNAVAILABLE,
                "application/problem+json",
                problem.to_string(),
            )
        })
}

/// An answer after which the connection is closed: one that were kept would never see the real listener.
fn closing(status: StatusCode, content_type: &'static str, body: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CONNECTION, "close"),
        (header::RETRY_AFTER, "1"),
    ];
    (status, headers, body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn health_is_answered_until_the_address_is_freed() {
        let free = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap();
        let waiting_for = WaitingFor::default();
        let early = Early::bind(free, waiting_for.clone()).unwrap();
        waiting_for.set("no Kafka broker answers at localhost:1".to_owned());
        let client = reqwest::Client::new();
        let alive = client.get(format!("http://{free}/healthz")).send().await.unwrap();
        assert_eq!(alive.status().as_u16(), 200);
        let ready = client.get(format!("http://{free}/readyz")).send().await.unwrap();
        assert_eq!(ready.status().as_u16(), 503);
        assert!(ready.text().await.unwrap().contains("no Kafka broker answers"));
        early.end().await;
        tokio::net::TcpListener::bind(free)
            .await
            .expect("the address is free again");
    }
}
