//! Tasks that people do, one's own first.

use std::sync::Arc;

use axum::{extract::State, http::Uri};
use maud::{Markup, html};

use super::{
    super::{
        super::{Api, auth::Auditor, manual::Wanted},
        fault::Fault,
        page::page,
        parts::{
            badge::{badge, words},
            nothing, request_link,
            table::{Column, pager, table},
            times::{Times, none},
        },
        visitor::Visitor,
    },
    address::{Address, choice, field, filter_box, preset},
    views,
};
use crate::engine::manual::{ManualState, ManualTask};

/// `GET /manual`
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Auditor>,
    uri: Uri,
) -> Result<Markup, Fault> {
    let (address, times) = (Address::read(&uri), Times::of(&api));
    let wanted = Wanted::read(address.params(Wanted::KEYS, &times)?)?;
    let (tasks, next) = wanted.page(&api, &visitor.caller).await?;
    let (first, next) = address.pages(next.as_deref());
    let me = visitor.caller.name.as_str();
    let is_mine = |task: &&ManualTask| task.is_claimed_by(me) || task.assignee == me;
    let (mine, others): (Vec<&ManualTask>, Vec<&ManualTask>) = tasks.iter().partition(is_mine);
    let rows =
        |tasks: &[&ManualTask]| -> Vec<Vec<Markup>> { tasks.iter().map(|task| row(task, &times)).collect() };
    let states = ManualState::ALL.map(|state| (state.as_str().to_owned(), words(state.as_str())));
    let of = |pairs: &[(&str, &str)]| Address::of("/manual", pairs);
    let body = html! {
        h1 { "By hand" }
        p { "Tasks of systems that only people can reach. Claim one, do it, and confirm what came of it." }
        ul.counts.no-print aria-label="Often looked for" {
            (preset(&address, &of(&[("assignee", me)]), "assigned to me", None))
            (preset(&address, &of(&[("state", "open")]), "open: nobody has claimed them", None))
            (preset(&address, &of(&[("state", "awaiting_second")]), "wait for a second person", None))
            (preset(&address, &of(&[]), "all", None))
        }
        (filter_box(&address, "Filter", &html! {
                (field(&address, "text", "assignee", "Assigned to"))
                (choice(&address, "state", "State", "any", &states))
        }))
        @if tasks.is_empty() {
            (nothing("Nothing waits for a person", &html! { "A system with " code { "transport = { type = \"manual\" }" } " has its tasks here." }))
        }
        @if !mine.is_empty() {
            h2 { "Mine" }
            (table("Tasks of mine", &columns(), &rows(&mine)))
        }
        @if !others.is_empty() {
            @if !mine.is_empty() { h2 { "Others" } }
            (table("Tasks of others", &columns(), &rows(&others)))
        }
        (pager(first.as_deref(), next.as_deref()))
        (views::shown(&api, &visitor, &address, "/manual").await?)
    };
    Ok(page(&visitor, "/manual", "By hand", &body))
}

const fn columns() -> [Column<'static>; 7] {
    [
        Column::new("Task"),
        Column::new("Request"),
        Column::new("System"),
        Column::new("Assigned to"),
        Column::new("State"),
        Column::new("Due"),
        Column::new("Tenant"),
    ]
}

fn row(hand: &ManualTask, times: &Times) -> Vec<Markup> {
    let task = hand.request.task(hand.ordinal);
    let id = hand.request.task_id(hand.ordinal);
    vec![
        html! { a href={ "/manual/" (id) } { (task.asks()) } },
        request_link(&hand.request.id),
        html! { (task.processor) },
        html! { (hand.assignee) @if let Some((by, _)) = &hand.claim { ", claimed by " (by) } },
        badge("info", &words(hand.state.as_str())),
        match hand.due {
            Some(due) => times.days_left(due),
            None => none(),
        },
        html! { (hand.request.head.tenant) },
    ]
}
