//! Messages that could not be taken in, for those who look after them. Their payload stays sealed: nothing here opens it.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, Uri},
};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{
    Api,
    auth::{Auditor, By, Operator},
    body::Payload,
    calls::Calls,
    lists::raw,
    problem::Problem,
    query::{Id, Page, Params, cursor},
};
use crate::{
    domain::words::{CommandKind, DeadLetterReason},
    store::{DeadLetter, DeadLetterFilter},
    view::dead_letter::DeadLetterView,
    wire::{api::parse_required_reason, schemas::bodies},
};

/// How many letters one call looks at.
const MAX_SCANNED: usize = 20_000;
/// How many are read at a time.
const CHUNK: u32 = 1_000;

/// The list of a cursor.
const LETTERS: u8 = b'd';

/// The calls.
pub(super) fn calls() -> Calls {
    Calls::new()
        .get("/v1/dead-letters", list, |call| {
            call.says("Lists the messages that could not be taken in, the oldest first")
                .query::<DeadLetterReason>("reason", "Only those that were refused for this reason.")
                .query::<bool>(
                    "erasures",
                    "Only commands to erase or to anonymize: what is still owed to somebody.",
                )
                .paged()
                .answers::<Page<DeadLetterView<'_>>>(200, "A page of open ones.")
        })
        .post("/v1/dead-letters/{id}/close", close, |call| {
            call.says("Closes a dead letter: nothing is to be done about it")
                .body::<bodies::RequiredReasonBody>()
                .answers::<DeadLetterView<'_>>(200, "It is closed.")
                .problem(409, "closed", "It is not open any more.")
        })
}

/// `GET /v1/dead-letters`: open ones, the oldest first; with `erasures=true`, only commands to erase or to anonymize.
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Auditor>,
    uri: Uri,
) -> Result<Json<Page<Box<RawValue>>>, Problem> {
    let mut params = Params::read(&uri, &["reason", "erasures", "limit", "cursor"])?;
    let reason = params.take("reason", "a reason of dead letters", DeadLetterReason::parse);
    let erasures = params.flag("erasures").unwrap_or(false);
    let limit = params.limit();
    let mut after = params.cursor(LETTERS).map(Uuid::from_bytes);
    params.finish()?;
    caller.check_unlimited()?;
    let now = api.engine.clock.now();
    let mut found: Vec<DeadLetter> = Vec::new();
    let (mut scanned, mut ended) = (0, false);
    while found.len() <= limit && scanned < MAX_SCANNED && !ended {
        let filter = DeadLetterFilter {
            open_only: true,
            with_payload: false,
            after,
            limit: CHUNK,
        };
        let next = api.engine.dead_letters(filter).await?;
        ended = next.len() < CHUNK as usize;
        scanned += next.len();
        after = next.last().map(|letter| letter.id).or(after);
        let is_wanted = |letter: &DeadLetter| {
            reason.is_none_or(|reason| reason == letter.reason)
                && (!erasures || letter.kind.is_some_and(CommandKind::opens))
        };
        found.extend(next.into_iter().filter(is_wanted));
    }
    let more = found.len() > limit;
    found.truncate(limit);
    let last = if more {
        found.last().map(|letter| letter.id)
    } else {
        after.filter(|_| !ended)
    };
    let items = found.iter().map(|letter| raw(&DeadLetterView::of(letter, now)));
    Ok(Json(Page {
        items: items.collect::<Result<_, _>>()?,
        next_cursor: last.map(|id| cursor(LETTERS, *id.as_bytes())),
    }))
}

/// `POST /v1/dead-letters/{id}/close`
pub(super) async fn close(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Operator>,
    Id(id): Id<Uuid>,
    Payload(bytes): Payload,
) -> Result<Json<Box<RawValue>>, Problem> {
    let reason = parse_required_reason(&bytes)?;
    let now = api.engine.trusted_now().await?;
    let note = format!("{}: {reason}", caller.name);
    let closed = api.engine.close_dead_letter(id, &note, now).await?;
    let (letter, closed) = closed.ok_or_else(|| Problem::unknown("dead letter"))?;
    if !closed {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "closed",
            "the dead letter is not open any more",
        ));
    }
    Ok(Json(raw(&DeadLetterView::of(&letter, now))?))
}
