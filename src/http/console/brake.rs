//! The brake: it stops everything that would be sent, and one look says whether it is on, since when, by whom, and why.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::HeaderMap,
    response::Response,
    routing::{get, post},
};
use maud::{Markup, html};

use super::{
    super::{
        Api,
        auth::{Auditor, Operator},
        stops,
    },
    fault::Fault,
    page::page,
    parts::{
        failed_page, flash,
        form::{Action, Reason, action_form},
        not_done,
        times::Times,
    },
    posted::Posted,
    processor::{Fields, out_there},
    visitor::Visitor,
};
use crate::{
    engine::stop::{LaneAction, reason_of},
    view::stop::{StopView, in_force},
};

/// The page and what can be done on it.
pub(super) fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/brake", get(show).post(put_on))
        .route("/brake/off", post(take_off))
}

/// `GET /brake`
async fn show(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Auditor>,
    headers: HeaderMap,
) -> Result<Markup, Fault> {
    render(&api, &visitor, &flash::of(&headers)).await
}

/// `POST /brake`
async fn put_on(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Operator>,
    Posted(form): Posted<Fields>,
) -> Result<Response, Fault> {
    change_lane(&api, &visitor, LaneAction::Stop, &form).await
}

/// `POST /brake/off`
async fn take_off(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Operator>,
    Posted(form): Posted<Fields>,
) -> Result<Response, Fault> {
    change_lane(&api, &visitor, LaneAction::Resume, &form).await
}

async fn change_lane(
    api: &Api,
    visitor: &Visitor<Operator>,
    action: LaneAction,
    form: &Fields,
) -> Result<Response, Fault> {
    let word = match action {
        LaneAction::Stop => "brake",
        LaneAction::Resume => "unbrake",
    };
    let (headers, caller) = (HeaderMap::new(), &visitor.caller);
    match stops::change_lane(api, None, action, &headers, caller, &form.body()).await {
        Ok(_) => Ok(flash::back("/brake", word)),
        Err(problem) => {
            let page = render(api, visitor, &not_done(&problem)).await?;
            Ok(failed_page(&problem, page))
        }
    }
}

async fn render<R>(api: &Api, visitor: &Visitor<R>, said: &Markup) -> Result<Markup, Fault> {
    visitor.caller.check_unlimited()?;
    let engine = &api.engine;
    let facts = engine.refresh_facts().await?;
    let times = Times::of(api);
    let on = in_force(None, facts.stops());
    let stored = match on {
        Some(stopped) => engine.fact_of(stopped).await?,
        None => None,
    };
    let reason = stored
        .as_ref()
        .filter(|_| !visitor.caller.sees_no_free_text())
        .and_then(|stored| reason_of(&engine.vault, stored));
    let view = StopView::of(None, stored.as_ref(), facts.stops(), reason, None, None);
    let out = match on {
        Some(_) => Some(engine.out_now(None).await?),
        None => None,
    };
    let body = html! {
        (said)
        h1 { "The brake" }
        @if on.is_some() {
            p.headline {
                "It is on"
                @if let Some(since) = view.since { " since " (times.when(since)) }
                @if let Some(by) = &view.by { ", by " (by) }
                @if let Some(reason) = &view.reason { ": " (reason) }
                "."
            }
        } @else {
            p.headline { "It is off: everything that may be sent is sent." }
        }
        p {
            "While it is on, nothing is sent to any system. What is out is answered all the same, and the legal deadlines go on. "
            "To stop one system only, pause it on its own page."
        }
        @if visitor.may::<Operator>() {
            div.actions { (change(visitor, &times, on.is_some())) }
        }
        @if let Some(out) = &out {
            h2 { "What is out there" }
            (out_there(out))
        }
    };
    Ok(page(visitor, "/processors", "The brake", &body))
}

fn change<R>(visitor: &Visitor<R>, times: &Times, is_on: bool) -> Markup {
    if is_on {
        let preview = html! { p { "What waited in every lane goes out, each within its own limits. Lanes that are paused stay so." } };
        let mut action = Action::new("unbrake", "/brake/off", "Take the brake off", preview);
        action.reason = Reason::Welcome;
        return action_form(visitor, times, &action, "");
    }
    let preview = html! {
        p { "Nothing new is sent to anybody, from the moment that this is done. What is out already is answered all the same." }
    };
    let mut action = Action::new("brake", "/brake", "Put the brake on", preview);
    action.is_final = true;
    action_form(visitor, times, &action, "")
}
