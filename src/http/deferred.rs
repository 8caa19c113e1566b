//! What is deferred: parked on a date or an event, held, or waiting for a second look.

use std::sync::Arc;

use async_trait::async_trait;
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
};
use uuid::Uuid;

use super::{
    Api,
    auth::{Auditor, By, Caller},
    calls::Calls,
    csv,
    lists::raw,
    problem::Problem,
    query::{Page, Params, cursor},
};
use crate::{
    domain::{
        ids::{ProcessorId, RequestId},
        request::outlook::REASONS,
        time::At,
        words::Why,
    },
    store::{DeferredFilter, DeferredRow},
    view::deferral::DeferredView,
};

/// The list of a cursor.
const DEFERRED: u8 = b'p';

/// Where a page has ended: its last row's date, request and place in the plan.
type DeferredCursor = (Option<At>, RequestId, u16);

/// Its call.
pub(super) fn calls() -> Calls {
    Calls::new().get("/v1/deferred", list, |call| {
        call.says("Lists what is deferred, by date; what has none comes last")
            .query::<ProcessorId>("processor", "Only those of this processor.")
            .query::<Why>(
                "reason",
                "Only those for this reason: `retention`, `backup_rotation`, `hold` or `verification`.",
            )
            .query::<At>("due_before", "Only those whose date lies before this time.")
            .paged()
            .answers::<Page<DeferredView<'_>>>(200, "A page of deferred tasks.")
            .or_csv()
    })
}

/// A list of what is deferred that somebody asks for.
pub(super) struct Wanted {
    caller: Caller,
    pub(super) filter: DeferredFilter,
    limit: usize,
}

impl Wanted {
    /// What its query may have.
    pub(super) const KEYS: &'static [&'static str] =
        &["processor", "reason", "due_before", "limit", "cursor"];

    /// Reads it.
    pub(super) fn read(mut params: Params, caller: Caller) -> Result<Self, Problem> {
        let mut filter = filter_of(&mut params);
        let limit = params.limit();
        filter.after = params.cursor(DEFERRED).map(place_of);
        params.finish()?;
        Ok(Self {
            caller,
            filter,
            limit,
        })
    }

    /// All of it.
    pub(super) fn into_csv(mut self, api: Arc<Api>) -> Response {
        self.limit = csv::ROWS;
        csv::list(api, "deferred", COLUMNS, self)
    }

    /// A page of it, and the cursor of the next one.
    pub(super) async fn page<T>(
        &mut self,
        api: &Api,
        show: impl Fn(&DeferredView<'_>) -> T,
    ) -> Result<(Vec<T>, Option<String>), Problem> {
        // One more than is shown says whether there are more.
        self.filter.limit = u32::try_from(self.limit + 1).unwrap_or(u32::MAX);
        let engine = &api.engine;
        let mut rows = engine.deferred(&self.filter).await?;
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        let next = rows.last().filter(|_| more).map(bytes_of);
        let mut requests = engine.requests_of_deferred(&rows).await?;
        // What is another tenant's has no place here: a page may come short, and yet have a cursor.
        requests.retain(|_, request| self.caller.sees(&request.head.tenant));
        engine.refresh_facts().await?;
        let items = engine.with_context(|context| {
            let views = rows
                .iter()
                .filter_map(|row| DeferredView::of(row, &requests, context));
            views.map(|view| show(&view)).collect()
        })?;
        self.filter.after = next.map(place_of);
        Ok((items, next.map(|place| cursor(DEFERRED, place))))
    }
}

/// The columns of the list as CSV.
const COLUMNS: [&str; 10] = [
    "request_id",
    "task_id",
    "tenant",
    "processor",
    "part",
    "action",
    "reason",
    "until",
    "overdue",
    "since",
];

#[async_trait]
impl csv::Source<10> for Wanted {
    async fn next(&mut self, api: &Api) -> Result<(Vec<[String; 10]>, bool), Problem> {
        let cells = |view: &DeferredView<'_>| {
            let part: Vec<String> = view.part.iter().map(ToString::to_string).collect();
            [
                view.request_id.to_string(),
                view.task_id.to_string(),
                view.tenant.to_string(),
                view.processor.to_string(),
                part.join("; "),
                view.action.to_string(),
                view.reason.to_string(),
                csv::when(view.until),
                view.overdue.to_string(),
                csv::when(view.since),
            ]
        };
        let (rows, next) = self.page(api, cells).await?;
        Ok((rows, next.is_some()))
    }
}

/// `GET /v1/deferred`: by date; what has none comes last.
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Auditor>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let mut params = Params::read(&uri, &[Wanted::KEYS, &["format"]].concat())?;
    let as_csv = csv::is_wanted(&mut params, &headers);
    let mut wanted = Wanted::read(params, caller)?;
    if as_csv {
        return Ok(wanted.into_csv(api));
    }
    let (items, next_cursor) = wanted.page(&api, |view| raw(view)).await?;
    let items = items.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(Json(Page { items, next_cursor }).into_response())
}

fn filter_of(params: &mut Params) -> DeferredFilter {
    let words: Vec<&str> = REASONS.iter().map(|why| why.as_str()).collect();
    let expected = format!("one of {}", words.join(", "));
    DeferredFilter {
        processor: params.take("processor", "the id of a processor", |text| {
            ProcessorId::new(text).ok()
        }),
        reason: params.take("reason", &expected, |text| {
            Why::parse(text).filter(|why| REASONS.contains(why))
        }),
        due_before: params.time("due_before"),
        ..DeferredFilter::default()
    }
}

/// No date is the end of time, as in the store.
fn bytes_of(row: &DeferredRow) -> [u8; 26] {
    let mut bytes = [0; 26];
    let until = row.until.map_or(i64::MAX, At::millis);
    bytes[..8].copy_from_slice(&until.to_be_bytes());
    bytes[8..24].copy_from_slice(row.request_id.0.as_bytes());
    bytes[24..].copy_from_slice(&row.ordinal.to_be_bytes());
    bytes
}

fn place_of(bytes: [u8; 26]) -> DeferredCursor {
    let [until @ .., high, low] = bytes;
    let (until, id) = until.split_at(8);
    // Both halves have their lengths by the split.
    let until = i64::from_be_bytes(until.try_into().unwrap_or([0xff; 8]));
    let id = Uuid::from_slice(id).unwrap_or(Uuid::max());
    (
        (until != i64::MAX).then_some(At::from_millis(until)),
        RequestId(id),
        u16::from_be_bytes([high, low]),
    )
}
