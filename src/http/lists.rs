//! Lists of requests: a walk by an index, bounded a page, filtered here.
//!
//! What most requests have in common has no index of its own: the database leaves out what is not meant, for as long as one page may
//! take. So a page may come short, or empty, and yet have a cursor.

mod rows;
mod scan;

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use uuid::Uuid;

use super::{
    Api,
    auth::{Auditor, By, Caller},
    calls::Calls,
    csv::is_wanted,
    problem::Problem,
    query::{Page, Params, cursor},
};
use crate::{
    domain::{
        ids::{ProcessorId, RequestId, Tenant},
        request::Request,
        time::At,
        words::Status,
    },
    engine::{
        Engine, EngineError,
        lists::{Filter, Sort, has_deadlines},
    },
    store::{Among, ListOrder, ListPlace, Walk},
    wire::status::StatusMessage,
};

pub(super) use self::scan::Scan;

/// The list of a cursor, by id.
pub(super) const REQUESTS: u8 = b'r';

/// Reads the conditions among the parameters.
pub(super) fn read_filter(params: &mut Params) -> Filter {
    let mut filter = Filter::default();
    for key in Filter::KEYS {
        let read = |text: &str| filter.clone().with(key, text);
        if let Some(next) = params.take(key, &Filter::expects(key), read) {
            filter = next;
        }
    }
    filter
}

/// Limited to what the caller may see.
pub(super) fn narrowed(filter: Filter, caller: &Caller) -> Result<Filter, Problem> {
    Ok(Filter {
        tenant: caller.narrow(filter.tenant)?,
        ..filter
    })
}

/// A list of requests that somebody asks for: which, in which order, from where on.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) filter: Filter,
    pub(super) sort: Sort,
    pub(super) after: Option<ListPlace>,
    pub(super) limit: usize,
}

/// A page of requests.
pub(super) struct Listed {
    pub(super) requests: Vec<Request>,
    /// Where the next page begins.
    pub(super) next: Option<ListPlace>,
}

impl Wanted {
    /// What the query of a list may have.
    pub(super) const KEYS: &'static [&'static str] = &["sort", "limit", "cursor"];

    /// Reads it from a query.
    pub(super) fn read(mut params: Params, caller: &Caller) -> Result<Self, Problem> {
        let filter = read_filter(&mut params);
        let words = Sort::WORDS.map(|(word, _)| word).join(", ");
        let sort = params.take("sort", &format!("one of {words}"), Sort::parse);
        let limit = params.limit();
        let sorted = sort.unwrap_or_else(|| Sort::of(&filter));
        let after = match sorted.order {
            ListOrder::Id => params
                .cursor(list_of(sorted))
                .map(|id| (At::default(), RequestId(Uuid::from_bytes(id)))),
            ListOrder::Deadline | ListOrder::Received => params.cursor(list_of(sorted)).map(place_of),
        };
        if sorted.order == ListOrder::Deadline && !has_deadlines(filter.among()) {
            params.refuse(
                "sort",
                "by deadline there are lists of what is open, or stands out: name a status that is open, or a flag",
            );
        }
        if sorted.order == ListOrder::Received && !filter.has_receipts() {
            params.refuse(
                "sort",
                "by time of receipt there are lists of all requests, of what is deferred, and of what is open and not deferred: \
                 name such a status, and no flag and no tenant",
            );
        }
        params.finish()?;
        Ok(Self {
            filter: narrowed(filter, caller)?,
            sort: sorted,
            after,
            limit,
        })
    }

    async fn walk(&self, engine: &Engine) -> Result<Walk, Problem> {
        let filled = engine.lists_are_filled().await?;
        if !filled && self.sort.order == ListOrder::Deadline {
            return Err(Problem::unavailable(
                "lists by deadline are being filled in after the upgrade: try again in a while, or sort by id",
            ));
        }
        // Which are parked is being filled in as well.
        let order = match self.sort.order {
            ListOrder::Received if !filled => ListOrder::Id,
            order => order,
        };
        let (later_than, earlier_than) = self.filter.bounds(order);
        let among = match self.filter.among() {
            Among::Marked(_) if !filled && self.filter.means_open() => Among::Open,
            Among::Marked(_) if !filled => Among::All,
            among => among,
        };
        Ok(Walk {
            among,
            order,
            backwards: self.sort.backwards,
            after: self.after,
            until: None,
            sieve: self.filter.sieve(),
            later_than,
            earlier_than,
            limit: 0,
        })
    }

    /// The page.
    pub(super) async fn page(&self, engine: &Engine) -> Result<Listed, Problem> {
        let mut scan = Scan::of(engine, self.walk(engine).await?, self.limit);
        let mut found: Vec<(ListPlace, Request)> = Vec::new();
        while found.len() <= self.limit {
            let Some(next) = scan.next_placed().await? else {
                break;
            };
            found.extend(next.into_iter().filter(|(_, request)| self.filter.takes(request)));
        }
        let more = found.len() > self.limit;
        found.truncate(self.limit);
        let next = if more {
            found.last().map(|(place, _)| *place)
        } else {
            scan.cut_off_place()
        };
        Ok(Listed {
            requests: found.into_iter().map(|(_, request)| request).collect(),
            next,
        })
    }

    /// The cursor of a place.
    pub(super) fn cursor_of(&self, (deadline, id): ListPlace) -> String {
        let list = list_of(self.sort);
        match self.sort.order {
            ListOrder::Id => cursor(list, id.0.as_bytes()),
            ListOrder::Deadline | ListOrder::Received => {
                let mut place = deadline.millis().to_be_bytes().to_vec();
                place.extend_from_slice(id.0.as_bytes());
                cursor(list, place)
            }
        }
    }
}

/// Its call.
pub(super) fn calls() -> Calls {
    Calls::new().get("/v1/requests", requests, |call| {
        call.says("Lists requests")
            .query_list::<Status>("status", "Only those in one of these states.")
            .query::<Tenant>("tenant", "Only those of this tenant.")
            .query::<ProcessorId>("processor", "Only those that concern this processor.")
            .query::<bool>(
                "overdue",
                "Whether the deadline has passed and live systems are not clean.",
            )
            .query::<bool>("at_risk", "Whether little of the period is left.")
            .query::<bool>("needs_attention", "Whether a person has to look at it.")
            .query::<bool>(
                "failing",
                "Whether a task of it has failed, and none has succeeded since.",
            )
            .query::<At>("received_after", "Only those that were received after this time.")
            .query::<At>(
                "received_before",
                "Only those that were received before this time.",
            )
            .query::<At>("due_after", "Only those whose deadline lies after this time.")
            .query::<At>("due_before", "Only those whose deadline lies before this time.")
            .query::<SortWord>(
                "sort",
                "The order; by deadline only of what is open or stands out, by receipt of all, of what is deferred, or of what is open and \
                 not deferred.",
            )
            .paged()
            .answers::<Page<StatusMessage<'_>>>(200, "A page of status objects.")
            .or_csv()
    })
}

/// The orders of a list.
struct SortWord;

impl JsonSchema for SortWord {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Sort".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "enum": Sort::WORDS.map(|(word, _)| word) })
    }
}

/// The list of a cursor: a place in one order says nothing in another.
const fn list_of(sort: Sort) -> u8 {
    match (sort.order, sort.backwards) {
        (ListOrder::Id, false) => REQUESTS,
        (ListOrder::Id, true) => b'R',
        (ListOrder::Deadline, false) => b'q',
        (ListOrder::Deadline, true) => b'Q',
        (ListOrder::Received, false) => b'v',
        (ListOrder::Received, true) => b'V',
    }
}

fn place_of(bytes: [u8; 24]) -> ListPlace {
    let (mut at, mut id) = ([0; 8], [0; 16]);
    at.copy_from_slice(&bytes[..8]);
    id.copy_from_slice(&bytes[8..]);
    (
        At::from_millis(i64::from_be_bytes(at)),
        RequestId(Uuid::from_bytes(id)),
    )
}

/// `GET /v1/requests`
pub(super) async fn requests(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Auditor>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let known = [Filter::KEYS, Wanted::KEYS, &["format"]].concat();
    let mut params = Params::read(&uri, &known)?;
    let as_csv = is_wanted(&mut params, &headers);
    let wanted = Wanted::read(params, &caller)?;
    if as_csv {
        return Ok(wanted.into_csv(api));
    }
    let page = wanted.page(&api.engine).await?;
    let items = page
        .requests
        .iter()
        .map(|request| raw(&api.engine.status_of(request)))
        .collect::<Result<_, _>>()?;
    Ok(Json(Page {
        items,
        next_cursor: page.next.map(|place| wanted.cursor_of(place)),
    })
    .into_response())
}

/// An item as JSON, in the order of its type's members.
pub(super) fn raw(item: &impl Serialize) -> Result<Box<RawValue>, Problem> {
    to_raw_value(item).map_err(|error| EngineError::from(error).into())
}
