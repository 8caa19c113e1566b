//! What surrounds every call: a span without subject data, an answer to a panic, a limit of time, and protection
//! against other sites' pages.

use std::{any::Any, time::Duration};

use axum::{
    Router,
    extract::{MatchedPath, Request},
    http::{HeaderMap, StatusCode, header, uri::Authority},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use tower_http::{
    catch_panic::CatchPanicLayer,
    classify::ServerErrorsFailureClass,
    trace::{DefaultOnFailure, DefaultOnResponse, OnFailure as _, TraceLayer},
};
use tracing::{Level, Span};

use super::{
    draining::drain,
    hosts::{self, Hosts},
    problem::Problem,
};
use crate::telemetry::traces::trace_id_of;

/// The longest that a call may take: longer than any transaction with all of its tries.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The same for a report, which counts what may be millions of requests: a million takes some ten seconds where nothing else is to do.
const REPORT_TIMEOUT: Duration = Duration::from_secs(600);

/// Puts the layers around the routes; the first that a call meets is the last one here.
/// `hosts`: the names that are answered to where there is no `[auth]`.
pub(super) fn around(routes: Router, hosts: Option<Hosts>) -> Router {
    // Without `[auth]`, any page that a browser on this machine shows could otherwise order an erasure.
    let routes = routes.layer(middleware::from_fn(refuse_other_sites));
    let routes = match hosts {
        Some(hosts) => routes.layer(middleware::from_fn_with_state(hosts, hosts::check)),
        None => routes,
    };
    routes
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(drain))
        .layer(middleware::from_fn(limit_time))
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(span)
                .on_request(())
                .on_response(DefaultOnResponse::new().level(Level::DEBUG))
                .on_failure(log_failure),
        )
}

/// What failed. A 503 is no failure of this program: what is away is said where it is noticed, and a probe asks every few seconds.
fn log_failure(class: ServerErrorsFailureClass, latency: Duration, span: &Span) {
    let level = match class {
        ServerErrorsFailureClass::StatusCode(StatusCode::SERVICE_UNAVAILABLE) => Level::DEBUG,
        _ => Level::WARN,
    };
    DefaultOnFailure::new()
        .level(level)
        .on_failure(class, latency, span);
}

/// The route in place of the path: whatever somebody puts into a path by mistake must not reach a log.
fn span(request: &Request) -> Span {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("none", MatchedPath::as_str);
    let trace = request.headers().get("traceparent");
    let trace_id = trace.and_then(|trace| trace_id_of(trace.to_str().ok()?));
    tracing::info_span!("http", method = %request.method(), route, trace_id)
}

async fn limit_time(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let limit = match route.map(MatchedPath::as_str) {
        Some("/v1/report" | "/report") => REPORT_TIMEOUT,
        _ => TIMEOUT,
    };
    tokio::time::timeout(limit, next.run(request))
        .await
        .unwrap_or_else(|_| {
            // What was begun may still be carried out, and every call that changes something may be repeated.
            Problem::unavailable("the call took too long; whether it was carried out is not known")
                .into_response()
        })
}

fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    // The panic's own message has gone to stderr, and may hold anything.
    tracing::error!("a call panicked");
    Problem::internal().into_response()
}

/// Refuses what changes something and comes from another site's page, as browsers say it themselves. (The layer of
/// `tower_http` that does the same logs the path.)
async fn refuse_other_sites(request: Request, next: Next) -> Response {
    if request.method().is_safe()
        || !is_of_another_site(
            request.uri().authority().map(Authority::as_str),
            request.headers(),
        )
    {
        return next.run(request).await;
    }
    Problem::new(
        StatusCode::FORBIDDEN,
        "cross_origin",
        "another site's page may not make this call",
    )
    .into_response()
}

/// `authority`: what HTTP/2 sends in place of the header `Host`.
fn is_of_another_site(authority: Option<&str>, headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site != "same-origin" && site != "none";
    }
    // Browsers that do not say it yet send where the page is from; other clients send neither.
    let Some(origin) = headers.get(header::ORIGIN) else {
        return false;
    };
    let host = authority.or_else(|| headers.get(header::HOST)?.to_str().ok());
    let authority = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.split_once("://"))
        .map(|(_, authority)| authority);
    authority.is_none() || authority != host
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;
    use crate::http::listener;

    #[test]
    fn only_pages_of_other_sites_are_refused() {
        let cases: [(&[(&'static str, &'static str)], bool); 8] = [
            (&[], false),
            (&[("host", "a:1")], false),
            (
                &[
                    ("sec-fetch-site", "same-origin"),
                    ("origin", "http://b"),
                    ("host", "a:1"),
                ],
                false,
            ),
            (&[("sec-fetch-site", "none")], false),
            (
                &[
                    ("sec-fetch-site", "same-site"),
                    ("origin", "http://a:1"),
                    ("host", "a:1"),
                ],
                true,
            ),
            (&[("origin", "http://a:1"), ("host", "a:1")], false),
            (&[("origin", "http://a:2"), ("host", "a:1")], true),
            (&[("origin", "null"), ("host", "a:1")], true),
        ];
        for (sent, refused) in cases {
            let headers = sent
                .iter()
                .map(|(name, value)| ((*name).parse().unwrap(), HeaderValue::from_static(value)));
            assert_eq!(is_of_another_site(None, &headers.collect()), refused, "{sent:?}");
        }
    }

    #[tokio::test]
    async fn a_panic_is_a_problem() {
        async fn panics() {
            panic!("on purpose");
        }
        let listener = listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let app = around(Router::new().route("/", axum::routing::get(panics)), None);
        let handle = axum_server::Handle::new();
        tokio::spawn(listener::serve(
            listener,
            None,
            app,
            handle,
            listener::HEADER_PATIENCE,
        ));
        let answer = reqwest::get(url).await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["content-type"]),
            (500, &HeaderValue::from_static("application/problem+json"))
        );
    }
}
