//! Legal holds. Whom one is on is never shown.

use std::sync::Arc;

use axum::{
    extract::State,
    http::Uri,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use super::{
    super::{
        super::{
            Api,
            auth::{Auditor, Compliance},
            csv,
            holds::Wanted,
        },
        fault::Fault,
        page::page,
        parts::{
            badge::words,
            request_link, short_id,
            table::{Column, pager, table_or},
            times::{Times, none},
        },
        visitor::Visitor,
    },
    address::{Address, field, filter_box},
};
use crate::{domain::hold::Hold, view::hold::HoldView};

/// `GET /holds`
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Auditor>,
    uri: Uri,
) -> Result<Response, Fault> {
    let (address, times) = (Address::read(&uri), Times::of(&api));
    let mut params = address.params(Wanted::KEYS, &times)?;
    let as_csv = csv::is_asked(&mut params);
    let mut wanted = Wanted::read(params, &visitor.caller)?;
    if as_csv {
        return Ok(wanted.into_csv(api));
    }
    let (holds, next) = wanted.page(&api).await?;
    let (first, next) = address.pages(next.as_deref());
    let columns = [
        Column::new("Hold"),
        Column::new("Ground"),
        Column::new("Covers"),
        Column::new("Placed"),
        Column::new("By"),
        Column::new("Tenant"),
    ];
    let rows: Vec<Vec<Markup>> = holds.iter().map(|hold| row(hold, &times)).collect();
    let body = html! {
        h1 { "Holds" }
        p {
            "Nothing that a hold covers is erased until it is released. "
            @if visitor.may::<Compliance>() { a.button href="/holds/new" { "Place a hold" } }
        }
        (filter_box(&address, "Filter", &html! {
                (field(&address, "text", "tenant", "Tenant"))
        }))
        (table_or("Holds", &columns, &rows, "Nothing is on hold", &html! { "A hold covers a person, a request, a system or a category of data, on one of five legal grounds." }))
        (pager(first.as_deref(), next.as_deref()))
        p.no-print { a href=(address.with("format", "csv").href()) download { "This list as CSV" } " · " a href="/deferred?reason=hold" { "The tasks that are held" } }
    };
    Ok(page(&visitor, "/holds", "Holds", &body).into_response())
}

fn row(hold: &Hold, times: &Times) -> Vec<Markup> {
    let view = HoldView::of(hold);
    let categories: Vec<String> = view.categories.iter().map(ToString::to_string).collect();
    let is_wide = !view.by_subject && view.request_id.is_none();
    vec![
        html! { a href={ "/holds/" (view.hold_id) "?tenant=" (view.tenant) } { (short_id(&view.hold_id)) } },
        html! { (words(view.basis.as_str())) },
        html! {
            @if view.by_subject { "a person" }
            @if let Some(id) = view.request_id { "request " (request_link(&id)) }
            @if is_wide && view.processor.is_none() && categories.is_empty() { (none()) }
            @if let Some(processor) = view.processor { " at " (processor) }
            @if !categories.is_empty() { " of " (categories.join(", ")) }
        },
        times.when(view.placed_at),
        html! { (view.placed_by) },
        html! { (view.tenant) },
    ]
}
