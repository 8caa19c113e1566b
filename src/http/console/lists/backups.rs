//! Backup sets: what their systems have told, and what waits for their copies to grow old.

use std::sync::Arc;

use axum::extract::State;
use maud::{Markup, html};

use super::super::{
    super::{Api, auth::Auditor},
    fault::Fault,
    page::page,
    parts::{
        badge::badge,
        table::{Column, table_or},
        times::Times,
    },
    visitor::Visitor,
};
use crate::{
    domain::registry::{BackupSet, ConfirmBy, Processor},
    view::backup::copies,
};

/// `GET /backups`
pub(super) async fn show(State(api): State<Arc<Api>>, visitor: Visitor<Auditor>) -> Result<Markup, Fault> {
    visitor.caller.check_unlimited()?;
    let times = Times::of(&api);
    let active = api.engine.active()?;
    let sets = active
        .registry
        .processors
        .iter()
        .filter_map(|processor| Some((processor, processor.backup.as_ref()?)));
    let mut rows = Vec::new();
    for (processor, set) in sets {
        rows.push(row(&api, processor, set, &times).await?);
    }
    let columns = [
        Column::new("System"),
        Column::new("Set"),
        Column::new("Copies of"),
        Column::new("Kept for"),
        Column::new("Proved by"),
        Column::number("Copies told of"),
        Column::new("Last one"),
        Column::new("Proved gone before"),
        Column::new("Deferred"),
    ];
    let body = html! {
        h1 { "Backups" }
        p { "A copy that was taken before an erasure still holds the data. It is done when the copy is proved gone: by an event of the backup system, by its own answer, or by its declared schedule." }
        (table_or("Backup sets", &columns, &rows, "No backup system is registered", &html! { "A system with " code { "kind = \"backup\"" } " and a " code { "backup" } " table in " code { "processors.toml" } " is one." }))
    };
    Ok(page(&visitor, "/backups", "Backups", &body))
}

async fn row(api: &Api, processor: &Processor, set: &BackupSet, times: &Times) -> Result<Vec<Markup>, Fault> {
    let stored = api.engine.backup_facts(&processor.id).await?;
    let (told, oldest) = copies(&stored, &set.set);
    let gone = api
        .engine
        .facts()
        .copies(&processor.id)
        .and_then(|copies| copies.gone_before());
    let sources: Vec<String> = set.sources.iter().map(ToString::to_string).collect();
    let silent = set.confirm_by == ConfirmBy::Event && told.is_empty() && oldest.is_none();
    Ok(vec![
        html! { a href={ "/processors/" (processor.id) } { (processor.id) } },
        html! { (set.set) },
        html! { (sources.join(", ")) },
        html! { (set.keep) },
        html! { (confirmed_by(set.confirm_by)) @if silent { " " (badge("warn", "has told nothing yet")) } },
        html! { (told.len()) },
        times.when_any(told.first().map(|(_, copy)| copy.taken_at)),
        times.when_any(gone.or(oldest)),
        html! { a href={ "/deferred?processor=" (processor.id) } { "what waits for it" } },
    ])
}

const fn confirmed_by(by: ConfirmBy) -> &'static str {
    match by {
        ConfirmBy::Event => "its events",
        ConfirmBy::Ack => "its answer",
        ConfirmBy::Schedule => "its schedule",
    }
}
