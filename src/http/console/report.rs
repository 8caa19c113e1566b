//! The report of a period: a form for the period, the figures, plots. It prints.

use std::sync::Arc;

use axum::{
    extract::State,
    http::Uri,
    response::{IntoResponse, Response},
};
use jiff::ToSpan as _;
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
    parts::{nothing, times::Times},
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
    let times = Times::of(&api);
    let body = html! {
        (form(&question, &made.time_zone, &times))
        @if made.received == 0 {
            (nothing("No request was received in these days", &html! { "Choose other days: where none are chosen it is the last whole month." }))
        }
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

/// The months and the year that people ask for, each with its first day and the one after its last.
fn periods(times: &Times) -> Vec<(&'static str, String, String)> {
    let today = times.now.timestamp().to_zoned(times.zone.clone()).date();
    let month = today.first_of_month();
    let year = today.first_of_year();
    let named = [
        ("this month", Some(month), month.checked_add(1.month()).ok()),
        ("last month", month.checked_sub(1.month()).ok(), Some(month)),
        ("this year", Some(year), year.checked_add(1.year()).ok()),
    ];
    named
        .into_iter()
        .filter_map(|(name, from, to)| Some((name, from?.to_string(), to?.to_string())))
        .collect()
}

fn form(question: &ReportQuestion, zone: &str, times: &Times) -> Markup {
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
        p.no-print {
            "Requests received "
            @for (n, (name, from, to)) in periods(times).iter().enumerate() {
                @if n > 0 { ", " }
                a href={ "/report?from=" (from) "&to=" (to) } { (name) }
            }
            ", or choose the days:"
        }
        form.row.no-print method="get" action="/report" data-action="report" {
            div { label for="from" { "From" } input #from type="date" name="from" value=(view::report::day(question.from, zone)) required; }
            div { label for="to" { "Before" } input #to type="date" name="to" value=(view::report::day(question.to, zone)) required; }
            div { label for="tenant" { "Tenant" } input #tenant type="text" name="tenant" value=(tenant) placeholder="all"; }
            div { label for="regime" { "Regime" } input #regime type="text" name="regime" value=(regime) placeholder="all"; }
            button type="submit" { "Show" }
            button type="submit" name="format" value="csv" { "CSV" }
            button type="submit" name="format" value="json" { "JSON" }
        }
    }
}
