//! Requests: filtered, sorted, ticked.

use std::sync::Arc;

use axum::{
    extract::State,
    http::Uri,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use super::{
    super::{
        super::{
            Api,
            auth::{Auditor, Compliance, Operator},
            csv,
            lists::Wanted,
        },
        fault::Fault,
        page::page,
        parts::{
            badge::{badge, status, words},
            nothing, request_link,
            table::{Column, pager, table},
            times::{Times, none},
        },
        visitor::Visitor,
    },
    address::{Address, choice, field, filter_box, preset},
    bulk::{can_change, tick_form},
    processors::names,
    views,
};
use crate::{
    domain::{
        request::Request,
        words::{Mark, Status},
    },
    engine::lists::Filter,
};

/// Up to how many is counted: more are "more than".
const COUNTED: u32 = 10_000;

/// `GET /requests`
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Auditor>,
    uri: Uri,
) -> Result<Response, Fault> {
    list(api, visitor, &Address::read(&uri), "/requests").await
}

/// `GET /approvals`: what waits for a second person.
pub(super) async fn approvals(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Auditor>,
    uri: Uri,
) -> Result<Response, Fault> {
    list(api, visitor, &Address::read(&uri), "/approvals").await
}

async fn list(
    api: Arc<Api>,
    visitor: Visitor<Auditor>,
    address: &Address,
    here: &'static str,
) -> Result<Response, Fault> {
    let times = Times::of(&api);
    let waiting = here == "/approvals";
    let effective = if waiting {
        address.with_kept("status", Status::AwaitingApproval.as_str())
    } else {
        address.clone()
    };
    let mut params = effective.params(&[Filter::KEYS, Wanted::KEYS].concat(), &times)?;
    let as_csv = csv::is_asked(&mut params);
    let wanted = Wanted::read(params, &visitor.caller)?;
    if as_csv {
        return Ok(wanted.into_csv(api));
    }
    let listed = wanted.page(&api.engine).await?;
    let next = listed.next.map(|place| wanted.cursor_of(place));
    let (first, next) = address.pages(next.as_deref());
    let title = if waiting { "Approvals" } else { "Requests" };
    let body = html! {
        h1 { (title) }
        @if waiting {
            p { "These requests wait for a second person. Nothing is sent before somebody has approved them, and nobody approves what they have submitted." }
        } @else {
            (presets(&api, &visitor, address, &times).await?)
        }
        (filters(&api, address, here))
        @if listed.requests.is_empty() {
            (empty(address, next.is_some(), waiting))
        } @else {
            (tick_form(&visitor, &wanted.filter, &rows(&api, address, &listed.requests, &times, can_change(&visitor))))
        }
        (pager(first.as_deref(), next.as_deref()))
        p.no-print { a href=(address.with("format", "csv").href()) download { "This list as CSV" } }
        (views::shown(&api, &visitor, address, here).await?)
    };
    Ok(page(&visitor, here, title, &body).into_response())
}

/// What somebody looks for most often, each with how many there are.
async fn presets(
    api: &Api,
    visitor: &Visitor<Auditor>,
    address: &Address,
    times: &Times,
) -> Result<Markup, Fault> {
    let of = |pairs: &[(&str, &str)]| Address::of("/requests", pairs);
    let count = async |mark: Mark| -> Result<Option<String>, Fault> {
        // Of one tenant they are not counted apart, and the number would tell of the others.
        if visitor.caller.check_unlimited().is_err() {
            return Ok(None);
        }
        let n = api.engine.count_marked(mark, COUNTED + 1).await?;
        Ok(Some(if n > u64::from(COUNTED) {
            format!("{COUNTED}+")
        } else {
            n.to_string()
        }))
    };
    let week = times
        .now
        .plus(std::time::Duration::from_secs(7 * 86_400))
        .to_string();
    let now = times.now.to_string();
    let open = "awaiting_verification,awaiting_approval,scheduled,in_progress,deferred";
    Ok(html! {
        ul.counts.no-print aria-label="Often looked for" {
            @if visitor.may::<Compliance>() && !visitor.may::<Operator>() {
                (preset(address, &of(&[("status", "awaiting_verification,awaiting_approval")]), "mine to do: to decide", None))
            } @else {
                (preset(address, &of(&[("needs_attention", "true")]), "mine to do: needs attention", count(Mark::NeedsAttention).await?))
            }
            (preset(address, &of(&[("overdue", "true"), ("sort", "deadline")]), "overdue", count(Mark::Overdue).await?))
            (preset(address, &of(&[("at_risk", "true"), ("sort", "deadline")]), "at risk", count(Mark::AtRisk).await?))
            (preset(address, &of(&[("failing", "true")]), "failing now", count(Mark::Failing).await?))
            (preset(address, &of(&[("status", "awaiting_approval")]), "wait for approval", count(Mark::AwaitingApproval).await?))
            (preset(
                address,
                &of(&[("status", open), ("due_after", &now), ("due_before", &week), ("sort", "deadline")]),
                "due within 7 days", None,
            ))
            (preset(address, &of(&[("status", open), ("sort", "-id")]), "all that is open", None))
            (preset(address, &of(&[]), "everything", None))
        }
    })
}

fn filters(api: &Api, address: &Address, here: &str) -> Markup {
    let statuses: Vec<(String, String)> = Status::ALL
        .iter()
        .map(|status| (status.as_str().to_owned(), words(status.as_str())))
        .collect();
    let processors = names(api);
    let yes_no = [
        ("true".to_owned(), "yes".to_owned()),
        ("false".to_owned(), "no".to_owned()),
    ];
    let sorts = [
        ("id", "the oldest first"),
        ("-id", "the newest first"),
        ("deadline", "by deadline"),
        ("-deadline", "by deadline, the latest first"),
    ]
    .map(|(value, said)| (value.to_owned(), said.to_owned()));
    html! {
        (filter_box(address, "Filter and sort", &html! {
                @if here != "/approvals" {
                    (choice(address, "status", "Status", "any", &statuses))
                }
                (choice(address, "processor", "System", "any", &processors))
                (field(address, "text", "tenant", "Tenant"))
                (choice(address, "overdue", "Overdue", "either", &yes_no))
                (choice(address, "at_risk", "At risk", "either", &yes_no))
                (choice(address, "needs_attention", "Needs attention", "either", &yes_no))
                (choice(address, "failing", "Failing now", "either", &yes_no))
                (field(address, "date", "due_after", "Due from"))
                (field(address, "date", "due_before", "Due until"))
                (field(address, "date", "received_after", "Received from"))
                (field(address, "date", "received_before", "Received until"))
                (choice(address, "sort", "Sort", "as it comes", &sorts))
        }))
    }
}

fn empty(address: &Address, more: bool, waiting: bool) -> Markup {
    if more {
        return nothing(
            "Nothing among those that were looked at",
            &html! { "One page looks at 20,000 requests at the most. Go on to the next page, or name a flag or a deadline, which are found at once." },
        );
    }
    if waiting && !address.is_filtered() {
        return nothing(
            "Nothing waits for an approval",
            &html! { "Requests wait here where the policy asks for a second person: always, over a volume an hour, or after too many repeats." },
        );
    }
    if address.is_filtered() {
        return nothing(
            "No request meets this filter",
            &html! { a href="/requests" { "Take the filters off" } ", or look for a person or an id with the field at the top." },
        );
    }
    nothing(
        "There are no requests yet",
        &html! { "They come in on the topic of commands, or by " code { "POST /v1/requests" } ". " code { "lacuna submit" } " sends one to try it." },
    )
}

/// The rows of the table, each with a box to tick it where somebody can do something about it.
fn rows(api: &Api, address: &Address, requests: &[Request], times: &Times, tickable: bool) -> Markup {
    let by = |words: [&str; 2]| {
        let next = if address.get("sort") == words[0] {
            words[1]
        } else {
            words[0]
        };
        address.with("sort", next).href()
    };
    let sorted = |column: Column<'static>, words: [&str; 2]| match address.get("sort") {
        sort if sort == words[0] => column.sorted("ascending"),
        sort if sort == words[1] => column.sorted("descending"),
        _ => column,
    };
    let mut columns = vec![
        Column::new("Tick"),
        sorted(Column::new("Request"), ["id", "-id"])
            .headed(html! { a href=(by(["id", "-id"])) { "Request" } }),
        Column::new("Status"),
        sorted(Column::new("Days left"), ["deadline", "-deadline"])
            .headed(html! { a href=(by(["deadline", "-deadline"])) { "Days left" } }),
        Column::new("Received"),
        Column::new("Tenant"),
        Column::new("Waits for"),
        Column::number("Done"),
    ];
    let mut cells: Vec<Vec<Markup>> = requests
        .iter()
        .map(|request| cells(api, request, times))
        .collect();
    if !tickable {
        columns.remove(0);
        for row in &mut cells {
            row.remove(0);
        }
    }
    table("Requests", &columns, &cells)
}

fn cells(api: &Api, request: &Request, times: &Times) -> Vec<Markup> {
    let life = &request.life;
    let shown = api.engine.status_of(request);
    let is_open = !life.status.is_final();
    let waits: Vec<String> = shown
        .waiting_for
        .iter()
        .take(3)
        .map(|one| match &one.processor {
            Some(processor) => format!("{processor}: {}", words(one.why.as_str())),
            None => words(one.why.as_str()),
        })
        .collect();
    let more = shown.waiting_for.len().saturating_sub(3);
    vec![
        html! {
            input type="checkbox" name="ids" value=(request.id) aria-label={ "Tick request " (request.id) };
        },
        request_link(&request.id),
        html! {
            (status(life.status))
            @if life.overdue { " " (badge("bad", "overdue")) }
            @if life.at_risk { " " (badge("warn", "at risk")) }
            @if life.needs_attention { " " (badge("warn", "needs attention")) }
            @if request.is_failing() { " " (badge("bad", "failing")) }
        },
        if is_open {
            times.days_left(life.clock.due)
        } else {
            times.day(life.clock.due)
        },
        times.when(request.head.received_at),
        html! { (request.head.tenant) },
        html! {
            @if waits.is_empty() { (none()) } @else {
                (waits.join(", "))
                @if more > 0 { " and " (more) " more" }
            }
        },
        html! { (shown.tasks.done) " of " (shown.tasks.total) },
    ]
}
