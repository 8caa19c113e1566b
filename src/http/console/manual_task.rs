//! One task that a person does: what has to be done, for whom, and saying that it is done.

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
use serde_json::{Value, json};

use super::{
    super::{
        Api,
        auth::{Auditor, Person},
        manual::{ManualCall, carry_out},
        problem::Problem,
        query::Id,
    },
    fault::Fault,
    page::page,
    parts::{
        badge, facts, failed_page, flash,
        form::{Action, Reason, body, choice_field, text_field},
        not_done, request_link,
        times::Times,
    },
    posted::Posted,
    visitor::Visitor,
};
use crate::{
    domain::{
        identity::{Identity, SubjectData},
        ids::TaskId,
    },
    engine::manual::{Confirmed, ManualState, ManualTask},
    view::manual::ManualView,
    wire::Rejection,
};

/// What a person can say of a task, and what it means.
const OUTCOMES: [(&str, &str); 7] = [
    ("erased", "The data is erased"),
    ("anonymized", "It is anonymized"),
    ("not_found", "There was no data of this person"),
    ("retained", "It has to be kept (say why and until when)"),
    ("partial", "A part of it is done: the task comes again"),
    ("absent", "Asked to look: the data is gone"),
    ("present", "Asked to look: the data is still there"),
];

/// The page and what can be done on it.
pub(super) fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/manual/{id}", get(show))
        .route("/manual/{id}/claim", post(claim))
        .route("/manual/{id}/confirm", post(confirm))
        .route("/manual/{id}/refuse", post(refuse))
        .route("/manual/{id}/hand-over", post(hand_over))
}

/// The fields of its forms.
#[derive(Deserialize)]
struct Fields {
    command_id: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    assignee: String,
    #[serde(default)]
    outcome: String,
    #[serde(default)]
    method: String,
    #[serde(default)]
    records: String,
    #[serde(default)]
    reference: String,
    #[serde(default)]
    basis: String,
    #[serde(default)]
    until: String,
    #[serde(default)]
    message: String,
}

impl Fields {
    /// A confirmation, as the API takes it; what was left empty is left out.
    fn confirmation(&self) -> Result<Vec<u8>, Problem> {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let mut evidence = serde_json::Map::new();
        if let Some(records) = given(&self.records) {
            let n: u64 = records
                .parse()
                .map_err(|_| Rejection::schema("records: expected a whole number"))?;
            evidence.insert("records".to_owned(), n.into());
        }
        let texts = [("method", &self.method), ("reference", &self.reference)];
        for (name, text) in texts {
            evidence.extend(given(text).map(|text| (name.to_owned(), Value::from(text))));
        }
        let mut body = json!({ "command_id": self.command_id, "outcome": self.outcome });
        if !evidence.is_empty() {
            body["evidence"] = Value::Object(evidence);
        }
        if let Some(message) = given(&self.message) {
            body["message"] = message.into();
        }
        if self.outcome == "retained" {
            // A day is a day of UTC here: what is kept a few hours longer is kept lawfully.
            let until = given(&self.until).map(|day| format!("{day}T23:59:59Z"));
            body["retained"] = json!({ "basis": self.basis.trim(), "until": until });
        }
        Ok(body.to_string().into_bytes())
    }
}

/// `GET /manual/{id}`
async fn show(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Auditor>,
    Id(id): Id<TaskId>,
    headers: HeaderMap,
) -> Result<Markup, Fault> {
    render(&api, &visitor, id, &flash::of(&headers)).await
}

/// `POST /manual/{id}/claim`
async fn claim(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Person>,
    Id(id): Id<TaskId>,
    Posted(_): Posted<Fields>,
) -> Result<Response, Fault> {
    let done = carry_out(
        &api,
        id,
        &HeaderMap::new(),
        ManualCall::Claim,
        &visitor.caller,
        b"",
    )
    .await;
    back(&api, &visitor, id, done.map(|_| Some("claim"))).await
}

/// `POST /manual/{id}/hand-over`
async fn hand_over(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Person>,
    Id(id): Id<TaskId>,
    Posted(form): Posted<Fields>,
) -> Result<Response, Fault> {
    let bytes = body(&[("assignee", &form.assignee)]);
    let (headers, caller) = (HeaderMap::new(), &visitor.caller);
    let done = carry_out(&api, id, &headers, ManualCall::HandOver, caller, &bytes).await;
    back(&api, &visitor, id, done.map(|_| Some("hand-over"))).await
}

/// `POST /manual/{id}/confirm`
async fn confirm(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Person>,
    Id(id): Id<TaskId>,
    Posted(form): Posted<Fields>,
) -> Result<Response, Fault> {
    let (headers, caller) = (HeaderMap::new(), &visitor.caller);
    let done = match form.confirmation() {
        Ok(bytes) => carry_out(&api, id, &headers, ManualCall::Confirm, caller, &bytes).await,
        Err(problem) => Err(problem),
    };
    match done {
        Ok(done) if done.awaits_second => back(&api, &visitor, id, Ok(Some("confirm-first"))).await,
        Ok(done) => Ok(to_request(&done, "confirm")),
        Err(problem) => back(&api, &visitor, id, Err(problem)).await,
    }
}

/// `POST /manual/{id}/refuse`
async fn refuse(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Person>,
    Id(id): Id<TaskId>,
    Posted(form): Posted<Fields>,
) -> Result<Response, Fault> {
    let bytes = body(&[("command_id", &form.command_id), ("reason", &form.reason)]);
    let (headers, caller) = (HeaderMap::new(), &visitor.caller);
    match carry_out(&api, id, &headers, ManualCall::Refuse, caller, &bytes).await {
        Ok(done) => Ok(to_request(&done, "refuse-task")),
        Err(problem) => back(&api, &visitor, id, Err(problem)).await,
    }
}

/// What is done has no page of its own any more.
fn to_request(done: &Confirmed, word: &str) -> Response {
    flash::back(&format!("/requests/{}", done.request.id), word)
}

async fn back<R>(
    api: &Api,
    visitor: &Visitor<R>,
    id: TaskId,
    done: Result<Option<&str>, Problem>,
) -> Result<Response, Fault> {
    match done {
        Ok(word) => Ok(flash::back(&format!("/manual/{id}"), word.unwrap_or_default())),
        Err(problem) => {
            let page = render(api, visitor, id, &not_done(&problem)).await?;
            Ok(failed_page(&problem, page))
        }
    }
}

async fn render<R>(api: &Api, visitor: &Visitor<R>, id: TaskId, said: &Markup) -> Result<Markup, Fault> {
    let manual = api.engine.manual();
    let task = manual.find(id).await?;
    if !visitor.caller.sees(&task.request.head.tenant) {
        return Err(Problem::unknown("task").into());
    }
    let name = &visitor.caller.name;
    // Whom it is about is shown to whoever has claimed it, as over the API; that somebody looked is in the ledger then.
    let identities = if task.is_claimed_by(name) {
        manual.identities(&[&task], name).await?.pop()
    } else {
        None
    };
    let times = Times::of(api);
    let view = ManualView::of(&task, identities, times.now);
    let body = html! {
        (said)
        h1 { "By hand: " (badge::words(view.action.as_str())) " at " (view.processor) }
        p { (badge::badge(if view.state == "open" { "warn" } else { "info" }, &badge::words(view.state))) }
        p.headline { (headline(&task, name)) }
        (facts(&rows(&view, &times)))
        @if let Some(instructions) = view.instructions {
            h2 { "How it is done" }
            p { (instructions) }
        }
        h2 { "Whom it is about" }
        (person(&view))
        @if visitor.may::<Person>() {
            h2 #actions { "What you can do" }
            div.actions { @for form in forms(visitor, &times, &task, id) { (form) } }
        }
    };
    Ok(page(visitor, "/manual", "A task by hand", &body))
}

fn headline(task: &ManualTask, name: &str) -> String {
    match (&task.claim, task.state) {
        (_, ManualState::AwaitingSecond) => {
            "One person has confirmed it, and a second one has to confirm it as well.".to_owned()
        }
        (Some((by, _)), _) if by == name => "You have claimed it: do it, and say what came of it.".to_owned(),
        (Some((by, _)), _) => format!("{by} has claimed it and is at it."),
        (None, _) => "Nobody has claimed it yet.".to_owned(),
    }
}

fn rows(view: &ManualView<'_>, times: &Times) -> Vec<(&'static str, Markup)> {
    let mut rows = vec![
        ("Request", request_link(&view.request_id)),
        ("Tenant", html! { (view.tenant) }),
        ("Who does it", html! { (view.assignee) }),
    ];
    if let Some(due) = view.due {
        rows.push(("Due", html! { (times.when(due)) " " (times.days_left(due)) }));
    }
    if let (Some(by), Some(at)) = (view.claimed_by, view.claimed_at) {
        rows.push(("Claimed", html! { "by " (by) " " (times.when(at)) }));
    }
    if let Some(by) = view.confirmed_by {
        rows.push(("Confirmed first by", html! { (by) }));
    }
    if !view.part.is_empty() {
        let parts = view.part.iter().enumerate();
        rows.push((
            "Only",
            html! { @for (n, part) in parts { @if n > 0 { ", " } (part) } },
        ));
    }
    rows
}

fn person(view: &ManualView<'_>) -> Markup {
    html! {
        @match &view.identities {
            Some(identities) => {
                dl.facts {
                    @for Identity { kind, value } in identities {
                        div { dt { (kind) } dd { code { (SubjectData::expose(value)) } } }
                    }
                }
                p.soft { "The ledger says that you have seen it." }
            }
            None => p { "It is shown to whoever has claimed the task, and the ledger says then who has seen it." }
        }
    }
}

fn forms<R>(visitor: &Visitor<R>, times: &Times, task: &ManualTask, id: TaskId) -> Vec<Markup> {
    let name = &visitor.caller.name;
    let path = |what: &str| format!("/manual/{id}/{what}");
    let mut forms = Vec::new();
    if task.state == ManualState::Open {
        let path = path("claim");
        let preview =
            html! { p { "It is yours then: nobody else can confirm it, and you see whom it is about." } };
        let action = Action::new("claim", &path, "Claim it", preview).asking(Reason::None);
        forms.push(action.form(visitor, times));
        return forms;
    }
    if task.is_claimed_by(name) || task.state == ManualState::AwaitingSecond {
        forms.push(confirm_form(visitor, times, &path("confirm")));
    }
    if task.is_claimed_by(name) {
        let path = path("refuse");
        let preview = html! { p { "The task is given up, why: rejected. An operator has to have it tried again, or to waive it." } };
        let action = Action::new("refuse", &path, "Say that it cannot be done", preview).finally();
        forms.push(action.form(visitor, times));
    }
    let path = path("hand-over");
    let preview = html! { p { "It is free again, for the person or the team that you name." } };
    let mut action = Action::new("hand-over", &path, "Hand it over", preview).asking(Reason::None);
    action.fields = text_field("hand-over", "assignee", "To whom", true);
    forms.push(action.form(visitor, times));
    forms
}

fn confirm_form<R>(visitor: &Visitor<R>, times: &Times, path: &str) -> Markup {
    let choices: Vec<(&str, String)> = OUTCOMES
        .iter()
        .map(|(word, says)| (*word, (*says).to_owned()))
        .collect();
    let preview =
        html! { p { "What you say settles the task, and is the proof that the certificate names." } };
    let mut action = Action::new("confirm", path, "Say what came of it", preview).asking(Reason::None);
    action.button = "Confirm";
    action.fields = html! {
        (choice_field("confirm", "outcome", "What came of it", &choices, ""))
        (text_field("confirm", "method", "How (delete, purge, destroy, …)", false))
        label for="confirm-records" { "How many records" }
        input type="text" id="confirm-records" name="records" inputmode="numeric" maxlength="12" autocomplete="off";
        (text_field("confirm", "reference", "Your own reference, a ticket for instance", false))
        details {
            summary { "Where it has to be kept" }
            (text_field("confirm", "basis", "On which ground (tax_law, for instance)", false))
            label for="confirm-until" { "Until the end of which day (empty: for good)" }
            input type="date" id="confirm-until" name="until";
        }
        (text_field("confirm", "message", "Anything else", false))
    };
    action.form(visitor, times)
}
