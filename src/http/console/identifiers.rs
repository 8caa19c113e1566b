//! Identifiers, masked until somebody who may see them asks for it: of a request, and of a message that could not be taken in.

use std::sync::Arc;

use axum::extract::State;
use maud::{Markup, html};
use uuid::Uuid;

use super::{
    super::{Api, auth::Person, disclosures, query::Id},
    fault::Fault,
    page::page,
    posted::{Nothing, Posted},
    visitor::Visitor,
};
use crate::domain::ids::RequestId;

/// The part of a request's page that is about its identifiers. `state`: who can read them, as the request's view says it.
pub(super) fn of_request<R>(visitor: &Visitor<R>, id: RequestId, state: &str) -> Markup {
    let action = format!("/requests/{id}/identifiers");
    html! {
        @match state {
            "readable" if visitor.sees_identifiers() => {
                (ask(visitor, &action, "identifiers", "Show the identifiers"))
            }
            "readable" => p { "They are masked. Seeing them takes the right " code { "identifiers" } "." }
            "capsule" => p { "They are kept for a restore only, and nobody can see them." }
            _ => p { "Their key was deleted: nobody can read them any more." }
        }
    }
}

/// The part of a dead letter's page that is about the message as it came. `is_kept`: whether it is there.
pub(super) fn of_letter<R>(visitor: &Visitor<R>, id: Uuid, is_kept: bool) -> Markup {
    let action = format!("/dead-letters/{id}/original");
    html! {
        @if !is_kept {
            p { "The message itself is not kept." }
        } @else if visitor.sees_identifiers() {
            (ask(visitor, &action, "original", "Show the original message"))
        } @else {
            p { "The message itself is sealed. Opening it takes the right " code { "identifiers" } "." }
        }
    }
}

fn ask<R>(visitor: &Visitor<R>, action: &str, name: &str, what: &str) -> Markup {
    html! {
        form method="post" action=(action) data-action=(name) {
            (visitor.csrf_field())
            p.help { "It is personal data. That you have looked, when and at what is written into the ledger." }
            button type="submit" { (what) }
        }
    }
}

/// `POST /requests/{id}/identifiers`
pub(super) async fn show_of_request(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Person>,
    Id(id): Id<RequestId>,
    Posted(Nothing {}): Posted<Nothing>,
) -> Result<Markup, Fault> {
    let shown = disclosures::identities_of(&api, &visitor.caller, id).await?;
    let body = html! {
        h1 { "Identifiers" }
        p { "Of request " a href={ "/requests/" (id) } { (id) } "." }
        table {
            thead { tr { th scope="col" { "Type" } th scope="col" { "Value" } } }
            tbody {
                @for identity in &shown.what {
                    tr { td { (identity.kind) } td.identifier { (identity.value.expose()) } }
                }
            }
        }
        (noted(shown.ledger_entry))
    };
    Ok(page(&visitor, "/requests", "Identifiers", &body))
}

/// `POST /dead-letters/{id}/original`
pub(super) async fn show_of_letter(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Person>,
    Id(id): Id<Uuid>,
    Posted(Nothing {}): Posted<Nothing>,
) -> Result<Markup, Fault> {
    let shown = disclosures::original_of(&api, &visitor.caller, id).await?;
    let body = html! {
        h1 { "Original message" }
        p { "Of dead letter " a href={ "/dead-letters/" (id) } { (id) } "." }
        // What is no text is shown as far as it is one.
        pre tabindex="0" { (String::from_utf8_lossy(&shown.what)) }
        (noted(shown.ledger_entry))
    };
    Ok(page(&visitor, "/dead-letters", "Original message", &body))
}

fn noted(entry: RequestId) -> Markup {
    html! { p.help { "The ledger has this look as " code { (entry) } "." } }
}
