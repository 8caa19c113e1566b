//! The registered systems, and how their lanes stand.

use std::sync::Arc;

use axum::extract::State;
use maud::{Markup, html};

use super::super::{
    super::{Api, auth::Auditor},
    fault::Fault,
    page::page,
    parts::{
        badge,
        table::{Column, table_or},
        times::none,
    },
    visitor::Visitor,
};
use crate::view::{dates, processor::ProcessorView};

/// The ids of all of them, for a choice.
pub(super) fn names(api: &Api) -> Vec<(String, String)> {
    api.engine.active().map_or_else(
        |_| Vec::new(),
        |active| {
            let all = active.registry.processors.iter();
            all.map(|one| (one.id.to_string(), one.id.to_string())).collect()
        },
    )
}

/// `GET /processors`
pub(super) async fn show(State(api): State<Arc<Api>>, visitor: Visitor<Auditor>) -> Result<Markup, Fault> {
    visitor.caller.check_unlimited()?;
    let active = api.engine.active()?;
    let lane_states = api
        .engine
        .lane_states(!visitor.caller.sees_no_free_text())
        .await?;
    let rows: Vec<Vec<Markup>> = active
        .registry
        .processors
        .iter()
        .map(|processor| {
            let topic = processor.task_topic(&api.tasks_prefix);
            let shut = api.engine.lane(&processor.id);
            row(&ProcessorView::of(processor, topic, shut, &lane_states))
        })
        .collect();
    let columns = [
        Column::new("System"),
        Column::new("Lane"),
        Column::number("Ready"),
        Column::number("In flight"),
        Column::number("Waits for"),
        Column::number("Half answer in"),
        Column::number("99 of 100 in"),
        Column::number("Not found"),
        Column::number("Usually"),
        Column::new("Requests"),
    ];
    let body = html! {
        h1 { "Processors" }
        p { "Each system has a lane of its own: one that is slow, or fails, holds up nobody else. Revision " (active.revision) " of the registry; " a href="/registry" { "what it says" } "." }
        (table_or("Systems", &columns, &rows, "No system is registered", &html! { "They stand in " code { "processors.toml" } "; " code { "lacuna registry apply" } " activates it." }))
    };
    Ok(page(&visitor, "/processors", "Processors", &body))
}

fn row(view: &ProcessorView<'_>) -> Vec<Markup> {
    let span = |seconds: Option<u64>| match seconds {
        Some(seconds) => html! { (dates::span(seconds)) },
        None => none(),
    };
    let answers = |seconds: Option<f64>| match seconds {
        Some(seconds) => html! { (format!("{seconds:.1} s")) },
        None => none(),
    };
    let share = |share: Option<f64>| match share {
        Some(share) => html! { (format!("{:.1} %", share * 100.0)) },
        None => none(),
    };
    let requests = format!("/requests?processor={}", view.id);
    vec![
        html! { a href={ "/processors/" (view.id) } { (view.id) } },
        badge::lane(view.lane),
        html! { (view.ready) },
        html! { (view.in_flight) },
        span(view.oldest_ready_seconds),
        answers(view.ack_seconds.p50),
        answers(view.ack_seconds.p99),
        share(view.not_found_share),
        share(view.not_found_share_usual),
        html! {
            a href={ (requests) "&failing=true" } { "failing" }
            ", "
            a href=(requests) { "all" }
            ", "
            a href={ "/deferred?processor=" (view.id) } { "deferred" }
        },
    ]
}
