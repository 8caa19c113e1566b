//! The form of a new hold, and what it would cover, counted before it is placed.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    super::{Api, auth::Compliance, holds, lists::Scan, problem::Problem, search::look_for},
    fault::Fault,
    hold::address,
    page::page,
    parts::{
        badge, failed_page, flash,
        form::{choice_field, text_field},
        not_done, notice,
        times::Times,
    },
    posted::Posted,
    visitor::Visitor,
};
use crate::{
    domain::{
        hold::Hold,
        ids::{HoldId, Label, ProcessorId, RequestId, Tenant},
        request::Request,
        words::HoldBasis,
    },
    engine::time_ordered_id,
    view::dates::count,
    wire::{Rejection, api::parse_search},
};

/// How many open requests are looked at for one that may cover any.
const SCANNED: usize = 20_000;

/// The fields of the form.
#[derive(Default, Deserialize)]
struct Fields {
    #[serde(default)]
    command_id: String,
    #[serde(default)]
    basis: String,
    #[serde(default)]
    tenant: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    value: String,
    #[serde(default)]
    request_id: String,
    #[serde(default)]
    processor: String,
    #[serde(default)]
    categories: String,
    #[serde(default)]
    reason: String,
}

/// The form, and what it does.
pub(super) fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/holds", post(place))
        .route("/holds/new", get(show).post(look))
}

/// What a hold would cover now.
struct Reach {
    requests: usize,
    /// Tasks that would be kept back.
    kept: usize,
    /// Tasks that were sent and are not done.
    out: usize,
    /// Whether not all open requests were looked at.
    is_floor: bool,
}

impl Fields {
    fn given(text: &str) -> Option<&str> {
        Some(text.trim()).filter(|text| !text.is_empty())
    }

    fn categories(&self) -> Vec<&str> {
        self.categories.split(',').filter_map(Self::given).collect()
    }

    /// As the API takes it; what was left empty is left out.
    fn body(&self) -> Value {
        let mut hold = json!({ "basis": self.basis });
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                hold[name] = value;
            }
        };
        let text = |text: &str| Self::given(text).map(Value::from);
        set("command_id", text(&self.command_id));
        set("tenant", text(&self.tenant));
        set("request_id", text(&self.request_id));
        set("processor", text(&self.processor));
        set("note", text(&self.reason));
        let categories = self.categories();
        set("categories", (!categories.is_empty()).then(|| json!(categories)));
        let person = Self::given(&self.value)
            .map(|value| json!({ "identities": [{ "type": self.kind.trim(), "value": value }] }));
        set("subject", person);
        hold
    }
}

/// `GET /holds/new`
async fn show(State(api): State<Arc<Api>>, visitor: Visitor<Compliance>) -> Result<Markup, Fault> {
    Ok(form(&api, &visitor, &Fields::default(), &html! {})?)
}

/// `POST /holds/new`: what it would cover.
async fn look(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Compliance>,
    Posted(fields): Posted<Fields>,
) -> Result<Response, Fault> {
    match reach(&api, &visitor, &fields).await {
        Ok(reach) => Ok(form(&api, &visitor, &fields, &told(&reach))?.into_response()),
        Err(problem) => {
            let page = form(&api, &visitor, &fields, &not_done(&problem))?;
            Ok(failed_page(&problem, page))
        }
    }
}

/// `POST /holds`
async fn place(
    State(api): State<Arc<Api>>,
    visitor: Visitor<Compliance>,
    Posted(fields): Posted<Fields>,
) -> Result<Response, Fault> {
    let bytes = fields.body().to_string();
    match holds::set(&api, &HeaderMap::new(), &visitor.caller, bytes.as_bytes()).await {
        Ok(placed) => Ok(flash::back(
            &address(&placed.hold.tenant, placed.hold.hold_id),
            "hold",
        )),
        Err(problem) => {
            let page = form(&api, &visitor, &fields, &not_done(&problem))?;
            Ok(failed_page(&problem, page))
        }
    }
}

fn told(reach: &Reach) -> Markup {
    let floor = if reach.is_floor { "at least " } else { "" };
    notice(
        "info",
        &html! {
            p {
                strong { "It would cover " (floor) (count(reach.requests as u64, "request")) " now" }
                " and whatever comes in later that it fits."
            }
            p {
                (count(reach.kept as u64, "task")) " would be kept back; "
                (count(reach.out as u64, "task")) " were sent already and cannot be."
            }
        },
    )
}

/// The hold as far as its fields say it, but for the person.
fn hold_of<R>(api: &Api, visitor: &Visitor<R>, fields: &Fields) -> Result<Hold, Problem> {
    let given = Fields::given;
    let tenant = match given(&fields.tenant) {
        Some(text) => Tenant::new(text).map_err(|_| Rejection::schema("tenant: expected the name of one"))?,
        None => visitor.caller.tenant_or(&api.engine.tenant_default).clone(),
    };
    visitor.caller.check(&tenant)?;
    let request_id = given(&fields.request_id).map(str::parse::<Uuid>).transpose();
    let request_id = request_id.map_err(|_| Rejection::schema("request_id: expected the id of a request"))?;
    let processor = given(&fields.processor).map(ProcessorId::new).transpose();
    let processor = processor.map_err(|_| Rejection::schema("processor: expected its id"))?;
    let categories: Result<Vec<Label>, _> = fields.categories().into_iter().map(Label::new).collect();
    let expected = "categories: expected names with commas between";
    Ok(Hold {
        hold_id: HoldId(Uuid::nil()),
        tenant,
        basis: HoldBasis::Dispute,
        actor: visitor.caller.name.clone(),
        subject: Vec::new(),
        found: Vec::new(),
        request_id: request_id.map(RequestId),
        processor,
        categories: categories.map_err(|_| Rejection::schema(expected))?,
        placed_at: Times::of(api).now,
    })
}

/// Counts what it would cover.
async fn reach<R>(api: &Api, visitor: &Visitor<R>, fields: &Fields) -> Result<Reach, Problem> {
    let mut hold = hold_of(api, visitor, fields)?;
    if let Some(value) = Fields::given(&fields.value) {
        let identity = json!({ "type": fields.kind.trim(), "value": value });
        let asked = json!({ "identity": identity, "tenant": hold.tenant }).to_string();
        let found = look_for(api, &visitor.caller, parse_search(asked.as_bytes())?).await?;
        // What the digests are does not matter: the requests are found.
        hold.subject = vec![[0; 16]];
        hold.found = found.requests.iter().map(|request| request.id).collect();
        return count_in(api, &hold, &found.requests, found.truncated);
    }
    match hold.request_id {
        Some(id) => {
            let request = api.engine.request(id).await?;
            let request = request.filter(|request| request.head.tenant == hold.tenant);
            let request = request.ok_or_else(|| Problem::unknown("request"))?;
            count_in(api, &hold, &[request], false)
        }
        None if hold.processor.is_none() && hold.categories.is_empty() => Err(Rejection::schema(
            "fill in one or more of: a person's identifier, a request, a system, categories of data",
        )
        .into()),
        None => wide(api, &hold).await,
    }
}

async fn wide(api: &Api, hold: &Hold) -> Result<Reach, Problem> {
    let mut scan = Scan::new(&api.engine, true, None, 1_000).at_most(SCANNED);
    let mut all = Reach {
        requests: 0,
        kept: 0,
        out: 0,
        is_floor: false,
    };
    loop {
        let requests = scan.next().await?;
        if requests.is_empty() {
            break;
        }
        let some = count_in(api, hold, &requests, false)?;
        all.requests += some.requests;
        all.kept += some.kept;
        all.out += some.out;
    }
    all.is_floor = scan.cut_off_at().is_some();
    Ok(all)
}

fn count_in(api: &Api, hold: &Hold, requests: &[Request], is_floor: bool) -> Result<Reach, Problem> {
    let active = api.engine.active()?;
    let (mut covered, mut kept, mut out) = (0, 0, 0);
    for request in requests {
        let places: Vec<u16> = request
            .ordinals()
            .filter(|ordinal| {
                let task = request.task(*ordinal);
                !task.state.is_closed() && hold.covers(request, task, active.registry.get(&task.processor))
            })
            .collect();
        covered += usize::from(!places.is_empty());
        use crate::domain::words::TaskStateName as S;
        let is_out = |place: &&u16| {
            matches!(
                request.task(**place).state.name(),
                S::Leased | S::Dispatched | S::Accepted
            )
        };
        let sent = places.iter().filter(is_out).count();
        out += sent;
        kept += places.len() - sent;
    }
    Ok(Reach {
        requests: covered,
        kept,
        out,
        is_floor,
    })
}

fn form<R>(api: &Api, visitor: &Visitor<R>, fields: &Fields, said: &Markup) -> Result<Markup, Problem> {
    let active = api.engine.active()?;
    let processors = active.registry.processors.iter();
    let mut choices = vec![("", "any".to_owned())];
    choices.extend(processors.map(|processor| (processor.id.as_str(), processor.id.to_string())));
    let bases = HoldBasis::ALL.iter();
    let bases: Vec<(&str, String)> = bases
        .map(|basis| (basis.as_str(), badge::words(basis.as_str())))
        .collect();
    let command_id = time_ordered_id(Times::of(api).now);
    let body = html! {
        (said)
        h1 { "New legal hold" }
        p {
            "What a hold covers is not sent to anybody until the hold is released. Fill in one or more of the fields: "
            "it covers what fits all of them. It keeps nothing back that was sent before."
        }
        form.box method="post" action="/holds" data-action="hold" id="hold" {
            (visitor.csrf_field())
            input type="hidden" name="command_id" value=(command_id);
            (choice_field("hold", "basis", "On which ground", &bases, &fields.basis))
            fieldset {
                legend { "The person" }
                label for="hold-kind" { "Type of identifier" }
                input type="text" id="hold-kind" name="kind" value=(fields.kind) placeholder="email, customer_id, phone" maxlength="64" autocomplete="off";
                label for="hold-value" { "Identifier" }
                input type="text" id="hold-value" name="value" value=(fields.value) maxlength="512" autocomplete="off" spellcheck="false";
            }
            (given("request_id", "Id of a request", &fields.request_id))
            label for="hold-processor" { "System" }
            select id="hold-processor" name="processor" {
                @for (id, said) in &choices { option value=(id) selected[*id == fields.processor] { (said) } }
            }
            (given("categories", "Categories of data, with commas between", &fields.categories))
            (given("tenant", "Tenant (empty: the default one)", &fields.tenant))
            (text_field("hold", "reason", "Why (is kept with the hold)", false))
            p.row {
                button type="submit" { "Place the hold" }
                button.plain type="submit" formaction="/holds/new" { "Show first what it would cover" }
            }
        }
    };
    Ok(page(visitor, "/holds", "New hold", &body))
}

fn given(name: &str, label: &str, value: &str) -> Markup {
    let id = format!("hold-{name}");
    html! {
        label for=(id) { (label) }
        input type="text" id=(id) name=(name) value=(value) maxlength="512" autocomplete="off" spellcheck="false";
    }
}
