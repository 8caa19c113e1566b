//! Changes to many requests: ticked, or all that a filter finds; and looked at before they are made.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{
    super::{
        super::{
            Api,
            auth::{Auditor, Caller, Person},
            bulk::{check_right, may},
            lists::{narrowed, read_filter},
            problem::Problem,
            query::Params,
        },
        fault::Fault,
        page::page,
        parts::{
            badge::words,
            form::{Action, Reason, action_form, choice_field},
            nothing, request_link,
            table::{Column, table},
            times::Times,
        },
        posted::Posted,
        visitor::Visitor,
    },
    views::to,
};
use crate::{
    domain::{
        ids::{ProcessorId, RequestId},
        words::{BulkAction, HoldBasis},
    },
    engine::{
        bulk::{Chosen, Forecast, Order},
        lists::Filter,
    },
};

/// What is done, in words for a button.
pub(super) const fn verb(action: BulkAction) -> &'static str {
    match action {
        BulkAction::Retry => "Ask again",
        BulkAction::Waive => "Do without",
        BulkAction::Approve => "Approve",
        BulkAction::Cancel => "Withdraw",
        BulkAction::Hold => "Put on hold",
    }
}

/// What somebody may do to many requests.
pub(super) fn allowed<R>(visitor: &Visitor<R>) -> Vec<BulkAction> {
    let is_allowed = |action: &BulkAction| may(&visitor.caller, *action);
    BulkAction::ALL.iter().copied().filter(is_allowed).collect()
}

/// Whether somebody may change many requests at once.
pub(super) fn can_change(visitor: &Visitor<Auditor>) -> bool {
    !allowed(visitor).is_empty()
}

/// A list whose rows can be ticked, with what can be done to them. Who may do nothing of it sees the list alone.
pub(super) fn tick_form(visitor: &Visitor<Auditor>, filter: &Filter, rows: &Markup) -> Markup {
    let actions = allowed(visitor);
    if actions.is_empty() {
        return rows.clone();
    }
    let query = serde_html_form::to_string(filter.pairs()).unwrap_or_default();
    html! {
        form method="post" action="/bulk/preview" {
            (visitor.csrf_field())
            input type="hidden" name="query" value=(query);
            (rows)
            fieldset.no-print {
                legend { "Change many at once" }
                p.soft { "Nothing is done before you have seen what it would do." }
                div.row {
                    div {
                        label for="bulk-scope" { "Which" }
                        select #bulk-scope name="scope" {
                            option value="ticked" { "those that are ticked" }
                            option value="all" { "all that match the filter, on every page" }
                        }
                    }
                    div {
                        label for="bulk-action" { "What" }
                        select #bulk-action name="action" {
                            @for action in &actions {
                                option value=(action) { (verb(*action)) }
                            }
                        }
                    }
                    button type="submit" { "Look what it would do" }
                }
            }
        }
    }
}

/// What a form says of a change.
#[derive(Deserialize)]
pub(super) struct Fields {
    action: BulkAction,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    ids: Vec<Uuid>,
    #[serde(default)]
    query: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    basis: String,
    #[serde(default)]
    expected_count: Option<u64>,
    #[serde(default)]
    command_id: Option<Uuid>,
}

impl Fields {
    /// What tells an order from another one.
    fn digest(&self) -> [u8; 16] {
        let asked = json!([
            self.action.as_str(),
            self.scope,
            self.ids,
            self.query,
            self.reason,
            self.basis
        ]);
        let whole: [u8; 32] = Sha256::digest(asked.to_string()).into();
        std::array::from_fn(|at| whole[at])
    }

    fn order(&self, caller: &Caller) -> Result<Order, Problem> {
        let given: Vec<(String, String)> = serde_html_form::from_str(&self.query).unwrap_or_default();
        let mut params = Params::given(given, Filter::KEYS)?;
        let filter = narrowed(read_filter(&mut params), caller)?;
        params.finish()?;
        let chosen = if self.scope == "all" {
            Chosen::Filter(Box::new(filter))
        } else {
            let processor: Option<ProcessorId> = filter.processor;
            Chosen::Ids {
                ids: self.ids.iter().copied().map(RequestId).collect(),
                tenant: caller.narrow(None)?,
                processor,
            }
        };
        let reason = Some(self.reason.trim().to_owned()).filter(|reason| !reason.is_empty());
        Ok(Order {
            action: self.action,
            chosen,
            reason,
            basis: HoldBasis::parse(&self.basis),
        })
    }
}

/// `POST /bulk/preview`: what it would do.
pub(super) async fn preview(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Person>,
    Posted(fields): Posted<Fields>,
) -> Result<Markup, Fault> {
    check_right(&api, &visitor.caller, fields.action)?;
    let order = fields.order(&visitor.caller)?;
    let forecast = api.engine.bulk().foresee(&order, &visitor.caller.name).await;
    let forecast = forecast.map_err(Problem::from)?;
    let times = Times::of(&api);
    let title = verb(fields.action);
    let body = html! {
        h1 { (title) ": what it would do" }
        (foreseen(&forecast))
        @if forecast.will > 0 {
            (order_form(&visitor, &times, &fields, &forecast))
        }
        p { a href="/requests" { "Back to the requests" } " without doing anything" }
    };
    Ok(page(&visitor, "/requests", title, &body))
}

fn foreseen(forecast: &Forecast) -> Markup {
    let refused = forecast.matched - forecast.will;
    html! {
        @if forecast.matched == 0 {
            (nothing("No request is meant", &html! { "Go back and tick some, or choose all that match." }))
        } @else {
            p.headline {
                (forecast.will) " of " (forecast.matched) " requests will be changed"
                @if forecast.changes != forecast.will { " (" (forecast.changes) " tasks)" }
                @if refused > 0 { ", " (refused) " will not" }
                "."
            }
        }
        @if !forecast.refusals.is_empty() {
            h2 { "Why some will not" }
            (table(
                "Why requests will not be changed",
                &[Column::new("Why"), Column::number("Requests"), Column::new("For example")],
                &forecast.refusals.iter().map(|(why, refusal)| vec![
                    html! { (why) },
                    html! { (refusal.count) },
                    html! { @for id in refusal.examples.iter().take(3) { (request_link(id)) " " } },
                ]).collect::<Vec<_>>(),
            ))
        }
    }
}

fn order_form(visitor: &Visitor<Person>, times: &Times, fields: &Fields, forecast: &Forecast) -> Markup {
    let action = fields.action;
    let bases: Vec<(&str, String)> = HoldBasis::ALL
        .iter()
        .map(|basis| (basis.as_str(), words(basis.as_str())))
        .collect();
    let hidden = html! {
        input type="hidden" name="action" value=(action);
        input type="hidden" name="scope" value=(fields.scope);
        input type="hidden" name="query" value=(fields.query);
        input type="hidden" name="expected_count" value=(forecast.matched);
        @if fields.scope != "all" {
            @for id in &fields.ids { input type="hidden" name="ids" value=(id); }
        }
        @if action == BulkAction::Hold {
            (choice_field("bulk", "basis", "Legal ground", &bases, ""))
        }
    };
    let form = Action {
        fields: hidden,
        button: verb(action),
        reason: match action {
            BulkAction::Waive => Reason::Needed,
            _ => Reason::Welcome,
        },
        is_final: matches!(action, BulkAction::Cancel | BulkAction::Waive),
        ..Action::new(
            action.as_str(),
            "/bulk",
            "Do it",
            html! {
                p { "The workers make the changes one after the other, each by the same rules as if it was asked for alone. A page shows how far they have come; it can be stopped there." }
            },
        )
    };
    action_form(visitor, times, &form, "bulk")
}

/// `POST /bulk`: orders it.
pub(super) async fn start(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Person>,
    Posted(fields): Posted<Fields>,
) -> Result<Response, Fault> {
    check_right(&api, &visitor.caller, fields.action)?;
    let order = fields.order(&visitor.caller)?;
    let expected = fields.expected_count;
    let bulk = api.engine.bulk();
    // A form that is sent twice orders one job; one that was changed in between conflicts with it.
    let key = fields.command_id.map(|id| (id, fields.digest()));
    let job = bulk.start(&order, &visitor.caller.name, expected, key).await;
    let job = job.map_err(Problem::from)?;
    Ok(to(&format!("/bulk/{}", job.id)))
}
