//! Lists of requests: a scan by id, bounded a page, filtered here.
//!
//! What a request is filtered by has no rows of its own, so a page may come short, or empty, and yet have a cursor.

use std::sync::Arc;

use axum::{Json, extract::State, http::Uri};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use uuid::Uuid;

use super::{
    Api,
    auth::{Auditor, By, Caller, Compliance},
    body::Payload,
    calls::Calls,
    problem::Problem,
    query::{Page, Params, cursor},
};
use crate::{
    domain::{
        entry::Entry,
        ids::{ProcessorId, RequestId, Tenant},
        request::Request,
        time::At,
        words::Status,
    },
    engine::{Engine, EngineError, identifying::MAX_TENANTS},
    wire::{Rejection, api, schemas::bodies, status::StatusMessage},
};

/// How many requests one call looks at: some 100 ms of work.
const MAX_SCANNED: usize = 20_000;
/// How many are read at a time.
const CHUNK: usize = 1_000;
/// How many requests of one subject a search shows: far more than anybody makes.
const MAX_FOUND: u32 = 500;

/// The list of a cursor.
pub(super) const REQUESTS: u8 = b'r';

/// Walks over the requests by id.
pub(super) struct Scan<'a> {
    engine: &'a Engine,
    open_only: bool,
    after: Option<RequestId>,
    left: usize,
    chunk: usize,
    ended: bool,
}

impl<'a> Scan<'a> {
    /// Begins after a request. `open_only`: closed ones cannot be meant. `wanted`: how many items would do.
    pub(super) fn new(engine: &'a Engine, open_only: bool, after: Option<RequestId>, wanted: usize) -> Self {
        Self {
            engine,
            open_only,
            after,
            left: MAX_SCANNED,
            chunk: wanted + 1,
            ended: false,
        }
    }

    /// Looks at so many requests at the most.
    pub(super) const fn at_most(mut self, requests: usize) -> Self {
        self.left = requests;
        self
    }

    /// The next requests; none: the end has come, of the list or of what one call looks at.
    pub(super) async fn next(&mut self) -> Result<Vec<Request>, Problem> {
        if self.ended || self.left == 0 {
            return Ok(Vec::new());
        }
        let count = self.chunk.min(self.left);
        let limit = u32::try_from(count).unwrap_or(u32::MAX);
        let rows = self.engine.page(self.open_only, self.after, limit).await?;
        self.ended = rows.len() < count;
        self.left -= count;
        self.chunk = CHUNK;
        self.after = rows.last().map(|request| request.id).or(self.after);
        Ok(rows)
    }

    /// The last request that was looked at, where the list goes on after it.
    pub(super) const fn cut_off_at(&self) -> Option<RequestId> {
        if self.ended { None } else { self.after }
    }
}

/// Which requests are meant.
#[derive(Debug, Default)]
pub(super) struct Filter {
    statuses: Option<Vec<Status>>,
    tenant: Option<Tenant>,
    processor: Option<ProcessorId>,
    overdue: Option<bool>,
    at_risk: Option<bool>,
    needs_attention: Option<bool>,
    received_after: Option<At>,
    received_before: Option<At>,
}

impl Filter {
    /// What a list is filtered by.
    pub(super) const KEYS: &'static [&'static str] = &[
        "status",
        "tenant",
        "processor",
        "overdue",
        "at_risk",
        "needs_attention",
        "received_after",
        "received_before",
    ];

    /// Reads the conditions among the parameters.
    pub(super) fn read(params: &mut Params) -> Self {
        let words: Vec<&str> = Status::ALL.iter().map(|status| status.as_str()).collect();
        let expected = format!("one or more of {}, with commas between", words.join(", "));
        let statuses = |text: &str| {
            text.split(',')
                .map(|word| Status::parse(word.trim()))
                .collect::<Option<Vec<_>>>()
        };
        Self {
            statuses: params.take("status", &expected, statuses),
            tenant: params.take("tenant", "a tenant", |text| Tenant::new(text).ok()),
            processor: params.take("processor", "the id of a processor", |text| {
                ProcessorId::new(text).ok()
            }),
            overdue: params.flag("overdue"),
            at_risk: params.flag("at_risk"),
            needs_attention: params.flag("needs_attention"),
            received_after: params.time("received_after"),
            received_before: params.time("received_before"),
        }
    }

    /// Limited to what the caller may see.
    pub(super) fn narrowed_to(self, caller: &Caller) -> Result<Self, Problem> {
        Ok(Self {
            tenant: caller.narrow(self.tenant)?,
            ..self
        })
    }

    /// The one tenant that is meant, where one is.
    pub(super) const fn tenant(&self) -> Option<&Tenant> {
        self.tenant.as_ref()
    }

    /// Whether a request meets them.
    pub(super) fn takes(&self, request: &Request) -> bool {
        let (head, life) = (&request.head, &request.life);
        let flag = |wanted: Option<bool>, is: bool| wanted.is_none_or(|wanted| wanted == is);
        self.statuses
            .as_ref()
            .is_none_or(|statuses| statuses.contains(&life.status))
            && self.tenant.as_ref().is_none_or(|tenant| *tenant == head.tenant)
            && self
                .processor
                .as_ref()
                .is_none_or(|processor| request.processors().any(|one| one == processor))
            && flag(self.overdue, life.overdue)
            && flag(self.at_risk, life.at_risk)
            && flag(self.needs_attention, life.needs_attention)
            && self.received_after.is_none_or(|at| head.received_at > at)
            && self.received_before.is_none_or(|at| head.received_at < at)
    }

    /// Whether only open requests can be meant: the flags are about what is still to be done.
    fn means_open(&self) -> bool {
        [self.overdue, self.at_risk, self.needs_attention].contains(&Some(true))
            || self
                .statuses
                .as_ref()
                .is_some_and(|statuses| statuses.iter().all(|status| !status.is_final()))
    }
}

/// The calls.
pub(super) fn calls() -> Calls {
    Calls::new()
        .get("/v1/requests", requests, |call| {
            call.says("Lists requests")
                .query_list::<Status>("status", "Only those in one of these states.")
                .query::<Tenant>("tenant", "Only those of this tenant.")
                .query::<ProcessorId>("processor", "Only those that concern this processor.")
                .query::<bool>("overdue", "Whether the deadline has passed and live systems are not clean.")
                .query::<bool>("at_risk", "Whether little of the period is left.")
                .query::<bool>("needs_attention", "Whether a person has to look at it.")
                .query::<At>("received_after", "Only those that were received after this time.")
                .query::<At>("received_before", "Only those that were received before this time.")
                .paged()
                .answers::<Page<StatusMessage<'_>>>(200, "A page of status objects.")
        })
        .post("/v1/requests/search", search, |call| {
            call.says("Finds the requests of a person")
                .details("By one identifier, which never stands in a URL. That somebody has looked is an entry in the ledger.")
                .body::<bodies::SearchBody>()
                .example("email", r#"{"identity": {"type": "email", "value": "ann@example.org"}}"#)
                .answers::<Found>(200, "The requests, the newest first.")
        })
}

/// `GET /v1/requests`
pub(super) async fn requests(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Auditor>,
    uri: Uri,
) -> Result<Json<Page<Box<RawValue>>>, Problem> {
    let mut params = Params::read(&uri, &[Filter::KEYS, &["limit", "cursor"]].concat())?;
    let filter = Filter::read(&mut params);
    let limit = params.limit();
    let after = params.cursor(REQUESTS).map(|id| RequestId(Uuid::from_bytes(id)));
    params.finish()?;
    let filter = filter.narrowed_to(&caller)?;
    let mut scan = Scan::new(&api.engine, filter.means_open(), after, limit);
    let mut found: Vec<Request> = Vec::new();
    while found.len() <= limit {
        let next = scan.next().await?;
        if next.is_empty() {
            break;
        }
        found.extend(next.into_iter().filter(|request| filter.takes(request)));
    }
    let more = found.len() > limit;
    found.truncate(limit);
    let last = if more {
        found.last().map(|request| request.id)
    } else {
        scan.cut_off_at()
    };
    let items = found
        .iter()
        .map(|request| raw(&api.engine.status_of(request)))
        .collect::<Result<_, _>>()?;
    Ok(Json(Page {
        items,
        next_cursor: last.map(|id| cursor(REQUESTS, *id.0.as_bytes())),
    }))
}

/// What a search has found.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Found {
    #[serde(flatten)]
    #[schemars(with = "Page<StatusMessage<'_>>")]
    page: Page<Box<RawValue>>,
    /// Whether there are more than are shown.
    truncated: bool,
    /// Under which id the ledger says that somebody has searched; its events are those of a request.
    ledger_entry: RequestId,
}

/// `POST /v1/requests/search`
pub(super) async fn search(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Compliance>,
    Payload(bytes): Payload,
) -> Result<Json<Found>, Problem> {
    let engine = &api.engine;
    let search = api::parse_search(&bytes)?;
    engine.check_searched(&search.identity)?;
    let tenants = searched(engine, caller.narrow(search.tenant)?).await?;
    let ids = engine
        .requests_of(&tenants, &search.identity, MAX_FOUND + 1)
        .await?;
    if ids.is_empty()
        && let Some(rejection) = engine.unknown_search(&search.identity.kind)
    {
        return Err(rejection.into());
    }
    let shown = &ids[..ids.len().min(MAX_FOUND as usize)];
    // The newest first.
    let found = engine.requests(shown).await?;
    let items = found
        .iter()
        .map(|request| raw(&engine.status_of(request)))
        .collect::<Result<_, _>>()?;
    let truncated = ids.len() > shown.len();
    let look = Entry::Searched {
        actor: caller.name.clone(),
        identity_type: search.identity.kind.clone(),
        requests: found.iter().map(|request| request.id).collect(),
        truncated,
    };
    let ledger_entry = engine.record_look(look).await?;
    Ok(Json(Found {
        page: Page {
            items,
            next_cursor: None,
        },
        truncated,
        ledger_entry,
    }))
}

/// Where a search looks: in the tenant that it names, else in all that the bearer may see.
async fn searched(engine: &Engine, named: Option<Tenant>) -> Result<Vec<Tenant>, Problem> {
    if let Some(tenant) = named {
        // Nobody is found in a misspelt one, which must not pass for an answer.
        engine.intake().check_served(&tenant)?;
        return Ok(vec![tenant]);
    }
    let expected = || {
        Rejection::schema(format!(
            "tenant: expected one, because there are more than {MAX_TENANTS} here"
        ))
    };
    Ok(engine.known_tenants().await?.ok_or_else(expected)?)
}

/// An item as JSON, in the order of its type's members.
pub(super) fn raw(item: &impl Serialize) -> Result<Box<RawValue>, Problem> {
    to_raw_value(item).map_err(|error| EngineError::from(error).into())
}
