//! One message that could not be taken in: why, what can be done, and the original for whoever may see it.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::HeaderMap,
    response::Response,
    routing::{get, post},
};
use maud::{Markup, html};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    super::{
        Api,
        auth::{Auditor, Operator},
        dead_letters,
        problem::Problem,
        query::Id,
    },
    fault::Fault,
    identifiers,
    page::page,
    parts::{
        badge, facts, failed_page, flash,
        form::{Action, Reason, body},
        not_done,
        times::Times,
    },
    posted::Posted,
    visitor::Visitor,
};
use crate::{
    domain::words::{CommandKind, DeadLetterReason},
    store::{DeadLetter, DeadLetterState},
    view::dead_letter::{DeadLetterView, why_without_payload},
};

/// The page and what can be done on it.
pub(super) fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/dead-letters/{id}", get(show))
        .route("/dead-letters/{id}/redrive", post(redrive))
        .route("/dead-letters/{id}/close", post(close))
}

/// The fields of its forms.
#[derive(Deserialize)]
struct Fields {
    #[serde(default)]
    reason: String,
}

/// `GET /dead-letters/{id}`
async fn show(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Auditor>,
    Id(id): Id<Uuid>,
    headers: HeaderMap,
) -> Result<Markup, Fault> {
    render(&api, &visitor, id, &flash::of(&headers)).await
}

/// `POST /dead-letters/{id}/redrive`
async fn redrive(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Operator>,
    Id(id): Id<Uuid>,
    Posted(form): Posted<Fields>,
) -> Result<Response, Fault> {
    let bytes = body(&[("reason", &form.reason)]);
    match dead_letters::send_again(&api, id, &visitor.caller, &bytes).await {
        Ok(_) => Ok(flash::back(&format!("/dead-letters/{id}"), "redrive")),
        Err(problem) => failed(&api, &visitor, id, &problem).await,
    }
}

/// `POST /dead-letters/{id}/close`
async fn close(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Operator>,
    Id(id): Id<Uuid>,
    Posted(form): Posted<Fields>,
) -> Result<Response, Fault> {
    let bytes = body(&[("reason", &form.reason)]);
    match dead_letters::shut(&api, id, &visitor.caller, &bytes).await {
        Ok(_) => Ok(flash::back(&format!("/dead-letters/{id}"), "close")),
        Err(problem) => failed(&api, &visitor, id, &problem).await,
    }
}

async fn failed<R>(api: &Api, visitor: &Visitor<R>, id: Uuid, problem: &Problem) -> Result<Response, Fault> {
    let page = render(api, visitor, id, &not_done(problem)).await?;
    Ok(failed_page(problem, page))
}

async fn render<R>(api: &Api, visitor: &Visitor<R>, id: Uuid, said: &Markup) -> Result<Markup, Fault> {
    visitor.caller.check_unlimited()?;
    let letter = api.engine.one_dead_letter(id).await?;
    let letter = letter.ok_or_else(|| Problem::unknown("dead letter"))?;
    let times = Times::of(api);
    let view = DeadLetterView::of(&letter, times.now);
    let is_open = letter.state == DeadLetterState::Open;
    let rows = [
        ("Reason", html! { (badge::words(view.reason.as_str())) }),
        (
            "What it was",
            html! { @match view.kind { Some(kind) => (badge::words(kind.as_str())), None => "not known" } },
        ),
        (
            "Refused",
            html! { (times.when(view.at)) ", " (times.ago(view.at)) },
        ),
        (
            "From",
            html! { code { (view.topic) "/" (view.partition) "/" (view.offset) } },
        ),
    ];
    let body = html! {
        (said)
        h1 { "Dead letter " code { (id) } }
        p { (badge::badge(if is_open { "bad" } else { "calm" }, view.state)) }
        p.headline { (headline(&letter)) }
        (facts(&rows))
        h2 { "What is wrong with it" }
        p { (view.detail) }
        p { (advice(view.reason)) }
        h2 #original { "The message itself" }
        (identifiers::of_letter(visitor, id, letter.sealed.is_some()))
        @if visitor.may::<Operator>() && is_open {
            h2 #actions { "What you can do" }
            div.actions {
                @if letter.sealed.is_some() { (redrive_form(visitor, &times, id)) }
                (close_form(visitor, &times, id, &letter))
            }
            @if letter.sealed.is_none() {
                p.soft {
                    "It cannot be redriven from here: " (why_without_payload(&letter)) ". Its topic has it as long as that keeps messages."
                }
            }
        }
    };
    Ok(page(visitor, "/dead-letters", "Dead letter", &body))
}

fn headline(letter: &DeadLetter) -> &'static str {
    match letter.state {
        DeadLetterState::Open if letter.kind.is_some_and(CommandKind::opens) => {
            "Somebody asked for an erasure, and nobody is carrying it out: it could not be taken in."
        }
        DeadLetterState::Open => {
            "A message that could not be taken in waits for somebody who decides about it."
        }
        DeadLetterState::Redriven => "It was published again; what came of it is another message's affair.",
        DeadLetterState::Closed => "Somebody has closed it.",
    }
}

/// What usually helps.
const fn advice(reason: DeadLetterReason) -> &'static str {
    use DeadLetterReason as R;
    match reason {
        R::NotJson | R::NotUtf8 | R::Schema | R::TooLarge | R::UnknownType => {
            "Its sender has to send it correctly, as a new message: then close this one."
        }
        R::ConflictingDuplicate => {
            "Its sender has used one id for two different messages. Find out which one was meant, have it sent under a new id, \
             and close this one."
        }
        R::UnknownRequest | R::UnknownTask => {
            "What it is about is not known here. Where it came too early, redrive it; else close it."
        }
        R::StaleAck | R::ForgedAck => {
            "Nothing was changed by it. Look at the system that has sent it; then close it."
        }
        R::WrongRegion => "It belongs to another region: have it sent there, and close it here.",
        R::NoProcessor => "No registered system holds such data. Register one and redrive it, or close it.",
        R::TooLate | R::WrongState | R::NotAllowed | R::Expired | R::UnknownBackup => {
            "It could not be carried out as things stood. Look at the request; then redrive or close it."
        }
        R::Unmapped => {
            "The source's `map` does not find in it what a command needs. Try a copy with `lacuna sources test`, mend the \
             configuration, start the workers again, and redrive it."
        }
        R::Internal => {
            "The program failed at it. Its log says where: report it, and redrive it after an update."
        }
    }
}

fn redrive_form<R>(visitor: &Visitor<R>, times: &Times, id: Uuid) -> Markup {
    let path = format!("/dead-letters/{id}/redrive");
    let preview = html! {
        p {
            "The same bytes are published to its topic once more, and taken in like any other message; the event of a source as the \
             command that it becomes. Where the cause is not mended, they come back as another dead letter, or this one stays open. A \
             command that was taken in meanwhile is not carried out twice."
        }
    };
    let action = Action::new("redrive", &path, "Redrive it", preview).asking(Reason::Welcome);
    action.form(visitor, times)
}

fn close_form<R>(visitor: &Visitor<R>, times: &Times, id: Uuid, letter: &DeadLetter) -> Markup {
    let path = format!("/dead-letters/{id}/close");
    let preview = html! {
        p {
            "It counts as decided, and its payload is deleted."
            @if letter.kind.is_some_and(CommandKind::opens) {
                " Nobody will carry out the erasure that it asks for: see to it that it comes another way."
            }
        }
    };
    let action = Action::new("close", &path, "Close it", preview).finally();
    action.form(visitor, times)
}
