//! Messages that could not be taken in. What they say is opened one by one, on demand.

use std::sync::Arc;

use axum::{
    extract::State,
    http::Uri,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use super::{
    super::{
        super::{Api, auth::Auditor, csv, dead_letters::Wanted},
        fault::Fault,
        page::page,
        parts::{
            badge::{badge, words},
            table::{Column, pager, table_or},
            times::Times,
        },
        visitor::Visitor,
    },
    address::{Address, choice, filter_box, preset},
    views,
};
use crate::{
    domain::words::{CommandKind, DeadLetterReason},
    store::DeadLetter,
};

/// `GET /dead-letters`
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
    let (letters, next) = wanted.page(&api).await?;
    let (first, next) = address.pages(next.as_deref());
    let reasons: Vec<(String, String)> = DeadLetterReason::ALL
        .iter()
        .map(|reason| (reason.as_str().to_owned(), words(reason.as_str())))
        .collect();
    let columns = [
        Column::new("Refused"),
        Column::new("Why"),
        Column::new("What exactly"),
        Column::new("It was"),
        Column::new("Came from"),
    ];
    let rows: Vec<Vec<Markup>> = letters.iter().map(|letter| row(letter, &times)).collect();
    let of = |pairs: &[(&str, &str)]| Address::of("/dead-letters", pairs);
    let body = html! {
        h1 { "Dead letters" }
        p { "Messages that could not be taken in, the oldest first. One that asked for an erasure is a duty that nobody carries out: correct it upstream, or redrive it." }
        ul.counts.no-print aria-label="Often looked for" {
            (preset(&address, &of(&[("erasures", "true")]), "asked for an erasure", None))
            (preset(&address, &of(&[]), "all that are open", None))
        }
        (filter_box(&address, "Filter", &html! {
                (choice(&address, "reason", "Why", "any", &reasons))
                (choice(&address, "erasures", "Asked for an erasure", "either", &[("true".to_owned(), "yes".to_owned())]))
        }))
        (table_or("Dead letters", &columns, &rows, "No dead letter is open", &html! { "What is not taken in is kept here, sealed, until somebody has decided about it." }))
        (pager(first.as_deref(), next.as_deref()))
        p.no-print { a href=(address.with("format", "csv").href()) download { "This list as CSV" } }
        (views::shown(&api, &visitor, &address, "/dead-letters").await?)
    };
    Ok(page(&visitor, "/dead-letters", "Dead letters", &body).into_response())
}

fn row(letter: &DeadLetter, times: &Times) -> Vec<Markup> {
    vec![
        html! { a href={ "/dead-letters/" (letter.id) } { (times.ago(letter.at)) } },
        html! { (words(letter.reason.as_str())) },
        html! { (letter.detail) },
        html! {
            @match letter.kind {
                Some(kind) if kind.opens() => (badge("bad", CommandKind::as_str(kind))),
                Some(kind) => (words(kind.as_str())),
                None => "not known",
            }
        },
        html! { (letter.origin.topic) ", partition " (letter.origin.partition) ", offset " (letter.origin.offset) },
    ]
}
