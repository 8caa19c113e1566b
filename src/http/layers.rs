//! What surrounds every call: a span without subject data, an answer to a panic, a limit of time, and protection
//! against other sites' pages.

use std::{any::Any, time::Duration};

use axum::{
    Router,
    extract::{MatchedPath, Request},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use tower_http::{
    catch_panic::CatchPanicLayer,
    csrf::{CsrfLayer, ProtectionError},
    trace::{DefaultOnFailure, DefaultOnResponse, TraceLayer},
};
use tracing::{Level, Span};

use super::problem::Problem;

/// The longest that a call may take: longer than any transaction with all of its tries.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Puts the layers around the routes; the first that a call meets is the last one here.
pub(super) fn around(routes: Router) -> Router {
    routes
        // Without `[auth]`, any page that a browser on this machine shows could otherwise order an erasure.
        .layer(CsrfLayer::new().with_rejection_response(from_elsewhere))
        .layer(middleware::from_fn(limit_time))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(span)
                .on_request(())
                .on_response(DefaultOnResponse::new().level(Level::DEBUG))
                .on_failure(DefaultOnFailure::new().level(Level::WARN)),
        )
}

/// The route in place of the path: whatever somebody puts into a path by mistake must not reach a log.
fn span(request: &Request) -> Span {
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
    tracing::info_span!("http", method = %request.method(), route)
}

async fn limit_time(request: Request, next: Next) -> Response {
    tokio::time::timeout(TIMEOUT, next.run(request)).await.unwrap_or_else(|_| {
        // What was begun may still be carried out, and every call that changes something may be repeated.
        Problem::unavailable("the call took too long; whether it was carried out is not known").into_response()
    })
}

#[expect(clippy::needless_pass_by_value, reason = "the layer hands the panic over")]
fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    // The panic's own message has gone to stderr, and may hold anything.
    tracing::error!("a call panicked");
    Problem::internal().into_response()
}

fn from_elsewhere(_: ProtectionError) -> Response {
    Problem::new(StatusCode::FORBIDDEN, "cross_origin", "another site's page may not make this call").into_response()
}
