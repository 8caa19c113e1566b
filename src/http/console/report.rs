//! The report of a period: a form for the period, the figures, plots. It prints.

use std::sync::Arc;

use axum::{
    extract::State,
    http::Uri,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use super::{
    super::{
        Api,
        auth::Auditor,
        problem::Problem,
        query::Params,
        report::{self, Format, KEYS},
    },
    fault::Fault,
    page::page,
    visitor::Visitor,
};
use crate::{engine::report::ReportQuestion, view};

/// `GET /report`
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Auditor>,
    uri: Uri,
) -> Result<Response, Fault> {
    let (question, format) = asked(&api, &visitor, &uri)?;
    let made = api.engine.report(&question).await?;
    if let Some(format) = format.filter(|format| *format != Format::Html) {
        return Ok(report::answer(&made, format)?);
    }
    let body = html! {
        (form(&question, &made.time_zone))
        (view::report::body(&made))
    };
    Ok(page(&visitor, "/report", "Report", &body).into_response())
}

/// A field that was left empty says nothing.
fn asked(
    api: &Api,
    visitor: &Visitor<Auditor>,
    uri: &Uri,
) -> Result<(ReportQuestion, Option<Format>), Problem> {
    let given = Params::given_in(uri)?;
    let filled = given.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    report::read(api, &visitor.caller, Params::given(filled, KEYS)?)
}

fn form(question: &ReportQuestion, zone: &str) -> Markup {
    let tenant = question
        .tenant
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    let regime = question
        .regime
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    html! {
        form.filters method="get" action="/report" data-action="report" {
            label for="from" { "From" } " "
            input #from type="date" name="from" value=(view::report::day(question.from, zone)) required;
            label for="to" { "until, without" } " "
            input #to type="date" name="to" value=(view::report::day(question.to, zone)) required;
            label for="tenant" { "Tenant" } " "
            input #tenant type="text" name="tenant" value=(tenant) placeholder="all";
            label for="regime" { "Regime" } " "
            input #regime type="text" name="regime" value=(regime) placeholder="all";
            button type="submit" { "Show" }
            button type="submit" name="format" value="csv" { "CSV" }
            button type="submit" name="format" value="json" { "JSON" }
        }
    }
}
