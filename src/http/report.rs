//! `GET /v1/report`: what has become of the requests of a period.

use std::sync::{Arc, LazyLock};

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use schemars::JsonSchema;
use sha2::{Digest as _, Sha256};

use super::{
    Api,
    auth::{Auditor, By, Caller},
    calls::Calls,
    problem::{FieldError, Problem},
    query::Params,
};
use crate::{
    domain::{calendar::Regime, ids::Tenant, report::period},
    engine::report::ReportQuestion,
    view::report::{STYLE, csv, document},
    wire::report::Report,
};

/// What it is asked for in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Csv,
    Html,
}

/// The parameters.
pub(super) const KEYS: &[&str] = &["from", "to", "tenant", "regime", "format"];

/// Its call.
pub(super) fn calls() -> Calls {
    Calls::new().get("/v1/report", show, |call| {
        call.says("What has become of the requests of a period")
            .details("Of requests that were received in [from, to); the last whole month of the policy's zone where nothing is said.")
            .query::<String>("from", "From this day or time on.")
            .query::<String>("to", "Before this day or time.")
            .query::<Tenant>("tenant", "Only of this tenant.")
            .query::<Regime>("regime", "Only of this regime.")
            .query::<FormatWord>("format", "How it is written.")
            .answers::<Report>(200, "The report.")
            .also_in("text/csv; charset=utf-8")
            .also_in("text/html; charset=utf-8")
    })
}

/// How a report can be written.
struct FormatWord;

impl JsonSchema for FormatWord {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ReportFormat".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "enum": ["json", "csv", "html"] })
    }
}

/// `GET /v1/report`
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Auditor>,
    uri: Uri,
) -> Result<Response, Problem> {
    let params = Params::read(&uri, KEYS)?;
    let (question, format) = read(&api, &caller, params)?;
    let report = api.engine.report(&question).await?;
    answer(&report, format.unwrap_or(Format::Json))
}

/// What is asked, limited to what the caller may see.
pub(super) fn read(
    api: &Api,
    caller: &Caller,
    mut params: Params,
) -> Result<(ReportQuestion, Option<Format>), Problem> {
    let text = |text: &str| Some(text.to_owned());
    let (from, to) = (
        params.take("from", "a day", text),
        params.take("to", "a day", text),
    );
    let tenant = params.take("tenant", "a tenant", |text| Tenant::new(text).ok());
    let regime = params.take(
        "regime",
        "the name of a regime, or a count such as days:30",
        Regime::parse,
    );
    let format = params.take("format", "one of json, csv, html", |text| match text {
        "json" => Some(Format::Json),
        "csv" => Some(Format::Csv),
        "html" => Some(Format::Html),
        _ => None,
    });
    params.finish()?;
    let tenant = caller.narrow(tenant)?;
    if let Some(tenant) = &tenant {
        // There is nothing of a misspelt one, which must not pass for an answer.
        api.engine.intake().check_served(tenant)?;
    }
    let engine = &api.engine;
    let zone = engine.report_zone(tenant.as_ref());
    let (from, to) = period(from.as_deref(), to.as_deref(), engine.clock.now(), zone).map_err(|fault| {
        let errors = vec![FieldError {
            field: fault.field().to_owned(),
            detail: fault.to_string(),
        }];
        Problem::new(StatusCode::BAD_REQUEST, "schema", fault.to_string()).with_errors(errors)
    })?;
    let question = ReportQuestion {
        from,
        to,
        tenant,
        regime,
    };
    Ok((question, format))
}

/// A document that stands alone has its style in it, and may have no other.
static DOCUMENT_POLICY: LazyLock<String> = LazyLock::new(|| {
    let digest = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{digest}'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    )
});

/// The report as it is asked for.
pub(super) fn answer(report: &Report, format: Format) -> Result<Response, Problem> {
    // It is as of now, and no cache may show it later.
    let fresh = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(match format {
        Format::Json => ([fresh], Json(report)).into_response(),
        Format::Csv => {
            let kind = (
                header::CONTENT_TYPE,
                HeaderValue::from_static("text/csv; charset=utf-8"),
            );
            let name = (
                header::CONTENT_DISPOSITION,
                HeaderValue::from_static("attachment; filename=\"report.csv\""),
            );
            let bytes = csv(report).map_err(|error| {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a report could not be written as CSV"
                );
                Problem::internal()
            })?;
            ([fresh, kind, name], bytes).into_response()
        }
        Format::Html => {
            let kind = (
                header::CONTENT_TYPE,
                HeaderValue::from_static("text/html; charset=utf-8"),
            );
            let policy = HeaderValue::from_str(&DOCUMENT_POLICY).map_err(|_| Problem::internal())?;
            let safe = [
                (header::CONTENT_SECURITY_POLICY, policy),
                (
                    header::X_CONTENT_TYPE_OPTIONS,
                    HeaderValue::from_static("nosniff"),
                ),
                (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
            ];
            (safe, [fresh, kind], document(report)).into_response()
        }
    })
}
