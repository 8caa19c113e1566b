//! The agent's own listener: `/metrics` for Prometheus, and `/livez` for whoever starts it anew. Nothing else is there.

use std::{io, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::telemetry::agent_metrics::AgentMetrics;

/// The agent's own listener.
#[derive(Debug)]
pub struct MetricsPage(TcpListener);

impl MetricsPage {
    /// Takes the address.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        TcpListener::bind(address).await.map(Self)
    }

    /// Shows the metrics until it is stopped.
    pub async fn show(self, metrics: Arc<AgentMetrics>, stop: CancellationToken) {
        let router = Router::new()
            .route("/metrics", get(text))
            .route("/livez", get(|| async { "alive\n" }))
            .with_state(metrics);
        let served = axum::serve(self.0, router).with_graceful_shutdown(stop.cancelled_owned());
        if let Err(error) = served.await {
            tracing::error!(%error, "the metrics are not shown any more");
        }
    }
}

async fn text(State(metrics): State<Arc<AgentMetrics>>) -> Response {
    match metrics.text() {
        Ok(text) => ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be shown");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
