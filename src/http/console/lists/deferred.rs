//! What is deferred: a calendar of the months in which it wakes, and the list.

use std::sync::Arc;

use axum::{
    extract::State,
    http::Uri,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use jiff::{ToSpan as _, Zoned};

use super::{
    super::{
        super::{Api, auth::Auditor, csv, deferred::Wanted},
        fault::Fault,
        page::page,
        parts::{
            badge::{badge, words},
            nothing, request_link,
            table::{Column, pager, table},
            times::Times,
        },
        visitor::Visitor,
    },
    address::{Address, choice, field, filter_box},
    views,
};
use crate::{
    domain::{request::outlook::REASONS, time::At},
    view::deferral::DeferredView,
};

/// How many months the calendar shows.
const MONTHS: usize = 12;
/// Up to how many are counted of a month, for each reason and system.
const COUNTED: u32 = 1_000;

/// `GET /deferred`
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Auditor>,
    uri: Uri,
) -> Result<Response, Fault> {
    let (address, times) = (Address::read(&uri), Times::of(&api));
    let mut params = address.params(Wanted::KEYS, &times)?;
    let as_csv = csv::is_asked(&mut params);
    let mut wanted = Wanted::read(params, visitor.caller.clone())?;
    if as_csv {
        return Ok(wanted.into_csv(api));
    }
    let (rows, next) = wanted.page(&api, |view| row(view, &times)).await?;
    let (first, next) = address.pages(next.as_deref());
    let columns = [
        Column::new("Request"),
        Column::new("System"),
        Column::new("Why"),
        Column::new("Until"),
        Column::new("What"),
        Column::new("Tenant"),
    ];
    let body = html! {
        h1 { "Deferred" }
        p { "What cannot be erased today wakes by itself: copies that have to grow old, what the law has us keep, what is on hold. Live systems may be clean long before." }
        @if visitor.caller.check_unlimited().is_ok() && !address.is_filtered() && address.get("cursor").is_empty() {
            (calendar(&api, &times).await?)
        }
        (filters(&api, &address))
        @if rows.is_empty() {
            @if address.is_filtered() {
                (nothing("Nothing is deferred that meets this filter", &html! { a href="/deferred" { "Take the filters off" } }))
            } @else {
                (nothing("Nothing is deferred", &html! { "Where a system has to keep something, or a backup set has copies, its tasks wait here until their date." }))
            }
        } @else {
            (table("Deferred tasks", &columns, &rows))
        }
        (pager(first.as_deref(), next.as_deref()))
        p.no-print { a href=(address.with("format", "csv").href()) download { "This list as CSV" } }
        (views::shown(&api, &visitor, &address, "/deferred").await?)
    };
    Ok(page(&visitor, "/deferred", "Deferred", &body).into_response())
}

/// What wakes in which month of the policy's zone, and what should have been over before.
async fn calendar(api: &Api, times: &Times) -> Result<Markup, Fault> {
    let now = times.now.timestamp().to_zoned(times.zone.clone());
    let Some(months) = months(&now) else {
        return Ok(html! {});
    };
    let mut counts = vec![(
        "before today".to_owned(),
        String::new(),
        api.engine
            .count_deferred(At::from_millis(i64::MIN), times.now, COUNTED)
            .await?,
    )];
    for (name, from, until) in months {
        // The first month begins today: what is before has its own place.
        let from = from.max(times.now);
        let n = api.engine.count_deferred(from, until, COUNTED).await?;
        counts.push((name, until.to_string(), n));
    }
    Ok(html! {
        h2 { "What wakes when" }
        ul.counts {
            @for (name, until, n) in &counts {
                @if until.is_empty() {
                    li {
                        @if *n > 0 {
                            a.alarm href={ "/deferred?due_before=" (times.now) } { strong { (number(*n)) } (name) ": should be over" }
                        } @else {
                            span { strong { "0" } (name) }
                        }
                    }
                } @else {
                    li {
                        @if *n > 0 {
                            a href={ "/deferred?due_before=" (until) } title="Everything until the end of this month" { strong { (number(*n)) } (name) }
                        }
                        @else { span { strong { "0" } (name) } }
                    }
                }
            }
        }
    })
}

/// A count, which may be cut off.
fn number(n: u64) -> String {
    let more = if n >= u64::from(COUNTED) { "+" } else { "" };
    format!("{n}{more}")
}

/// The months from this one on, each with its beginning and its end; nothing: the calendar has ended.
fn months(now: &Zoned) -> Option<Vec<(String, At, At)>> {
    let first = now.first_of_month().ok()?.start_of_day().ok()?;
    let at = |day: &Zoned| At::from_millis(day.timestamp().as_millisecond());
    let mut months = Vec::with_capacity(MONTHS);
    let mut begins = first;
    for _ in 0..MONTHS {
        let ends = begins.checked_add(1.month()).ok()?;
        months.push((begins.strftime("%b %Y").to_string(), at(&begins), at(&ends)));
        begins = ends;
    }
    Some(months)
}

fn filters(api: &Api, address: &Address) -> Markup {
    let reasons: Vec<(String, String)> = REASONS
        .iter()
        .map(|why| (why.as_str().to_owned(), words(why.as_str())))
        .collect();
    let systems = super::processors::names(api);
    html! {
        (filter_box(address, "Filter", &html! {
                (choice(address, "reason", "Why", "any", &reasons))
                (choice(address, "processor", "System", "any", &systems))
                (field(address, "date", "due_before", "Until"))
        }))
    }
}

fn row(view: &DeferredView<'_>, times: &Times) -> Vec<Markup> {
    let part: Vec<String> = view.part.iter().map(ToString::to_string).collect();
    vec![
        request_link(&view.request_id),
        html! { a href={ "/processors/" (view.processor) } { (view.processor) } },
        html! { (words(view.reason.as_str())) },
        html! {
            (times.when_any(view.until))
            @if view.overdue { " " (badge("bad", "should be over")) }
        },
        html! { (view.action) @if !part.is_empty() { ": " (part.join(", ")) } },
        html! { (view.tenant) },
    ]
}
