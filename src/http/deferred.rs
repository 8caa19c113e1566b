//! What is deferred: parked on a date or an event, held, or waiting for a second look.

use std::sync::Arc;

use axum::{Json, extract::State, http::Uri};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{
    Api,
    auth::{Auditor, By},
    calls::Calls,
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
type Place = (Option<At>, RequestId, u16);

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
    })
}

/// `GET /v1/deferred`: by date; what has none comes last.
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Auditor>,
    uri: Uri,
) -> Result<Json<Page<Box<RawValue>>>, Problem> {
    let known = ["processor", "reason", "due_before", "limit", "cursor"];
    let mut params = Params::read(&uri, &known)?;
    let mut filter = filter_of(&mut params);
    let limit = params.limit();
    filter.after = params.cursor(DEFERRED).map(place_of);
    params.finish()?;
    // One more than is shown says whether there are more.
    filter.limit = u32::try_from(limit + 1).unwrap_or(u32::MAX);
    let engine = &api.engine;
    let mut rows = engine.deferred(&filter).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(bytes_of);
    let mut requests = engine.requests_of_deferred(&rows).await?;
    // What is another tenant's has no place here: a page may come short, and yet have a cursor.
    requests.retain(|_, request| caller.sees(&request.head.tenant));
    engine.refresh_facts().await?;
    let items = engine.with_context(|context| {
        let views = rows
            .iter()
            .filter_map(|row| DeferredView::of(row, &requests, context))
            .map(|view| raw(&view));
        views.collect::<Result<Vec<_>, _>>()
    })??;
    Ok(Json(Page {
        items,
        next_cursor: next.map(|place| cursor(DEFERRED, place)),
    }))
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

fn place_of(bytes: [u8; 26]) -> Place {
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
