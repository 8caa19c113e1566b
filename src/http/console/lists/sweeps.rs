//! Sweeps: how far holds, releases, backup events and changed rules have been applied to the requests that they concern.

use std::sync::Arc;

use axum::{extract::State, http::Uri};
use maud::{Markup, html};

use super::{
    super::{
        super::{Api, auth::Auditor},
        fault::Fault,
        page::page,
        parts::{
            badge::{badge, words},
            table::{Column, table_or},
            times::Times,
        },
        visitor::Visitor,
    },
    address::{Address, preset},
};
use crate::view::sweep::SweepView;

/// How many a page shows. Older ones are over.
const SHOWN: u32 = 100;

/// `GET /sweeps`
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Auditor>,
    uri: Uri,
) -> Result<Markup, Fault> {
    visitor.caller.check_unlimited()?;
    let (address, times) = (Address::read(&uri), Times::of(&api));
    let mut params = address.params(&["unfinished"], &times)?;
    let unfinished = params.flag("unfinished").unwrap_or(false);
    params.finish()?;
    let sweeps = api.engine.sweeps(unfinished, SHOWN).await?;
    let waiting = api.engine.fact_sweeps().waiting_sweeps(&sweeps).await?;
    let views = SweepView::all(sweeps, waiting);
    let rows: Vec<Vec<Markup>> = views.iter().map(|view| row(view, &times)).collect();
    let columns = [
        Column::number("Fact"),
        Column::new("What"),
        Column::new("Begun"),
        Column::new("State"),
        Column::number("Looked at"),
        Column::number("Of about"),
    ];
    let of = |pairs: &[(&str, &str)]| Address::of("/sweeps", pairs);
    let body = html! {
        h1 { "Sweeps" }
        p { "A hold, a release, a backup event or a changed rule holds from the moment that it is written down. Its sweep makes sure that no request overlooks it for long." }
        ul.counts.no-print aria-label="Often looked for" {
            (preset(&address, &of(&[("unfinished", "true")]), "that go on", None))
            (preset(&address, &of(&[]), "the latest", None))
        }
        (table_or("Sweeps", &columns, &rows, "There are no sweeps", &html! { "They follow holds, releases, backup events and changes of the registry." }))
    };
    Ok(page(&visitor, "/sweeps", "Sweeps", &body))
}

fn row(view: &SweepView, times: &Times) -> Vec<Markup> {
    vec![
        html! { (view.version) },
        html! { (words(view.fact.as_str())) },
        times.when(view.started_at),
        match view.finished_at {
            Some(at) => html! { (badge("good", "over")) " " (times.ago(at)) },
            None if view.waits_for.is_some() => badge("warn", "waits"),
            None => badge("info", "goes on"),
        },
        html! { (view.done) },
        html! { @match view.total { Some(total) => (total), None => "not counted yet" } },
    ]
}
