//! Messages that could not be taken in, for those who look after them. Their payload stays sealed: nothing here opens it.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, Uri},
};
use serde::Serialize;
use uuid::Uuid;

use super::{
    Api,
    auth::{Auditor, By, Operator},
    body::Payload,
    problem::Problem,
    query::{Id, Page, Params, cursor},
};
use crate::{
    domain::{
        time::At,
        words::{CommandKind, DeadLetterReason},
    },
    store::{DeadLetter, DeadLetterFilter, DeadLetterState},
    wire::api::parse_required_reason,
};

/// How many letters one call looks at.
const MAX_SCANNED: usize = 20_000;
/// How many are read at a time.
const CHUNK: u32 = 1_000;

/// The list of a cursor.
const LETTERS: u8 = b'd';

#[derive(Debug, Serialize)]
pub(super) struct LetterView {
    id: Uuid,
    reason: DeadLetterReason,
    /// The command that it was, where its bytes say so.
    #[serde(rename = "type")]
    kind: Option<CommandKind>,
    detail: String,
    topic: String,
    partition: i32,
    offset: i64,
    at: At,
    age_seconds: u64,
    state: &'static str,
}

impl LetterView {
    fn of(letter: DeadLetter, now: At) -> Self {
        Self {
            id: letter.id,
            reason: letter.reason,
            kind: letter.kind,
            detail: letter.detail,
            topic: letter.origin.topic.to_string(),
            partition: letter.origin.partition,
            offset: letter.origin.offset,
            at: letter.at,
            age_seconds: now.since(letter.at).as_secs(),
            state: letter.state.as_str(),
        }
    }
}

/// `GET /v1/dead-letters`: open ones, the oldest first; with `erasures=true`, only commands to erase or to anonymize.
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Auditor>,
    uri: Uri,
) -> Result<Json<Page<LetterView>>, Problem> {
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
        let next = api.engine.store.dead_letters(filter).await?;
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
    let items = found
        .into_iter()
        .map(|letter| LetterView::of(letter, now))
        .collect();
    Ok(Json(Page {
        items,
        next_cursor: last.map(|id| cursor(LETTERS, *id.as_bytes())),
    }))
}

/// `POST /v1/dead-letters/{id}/close`
pub(super) async fn close(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Operator>,
    Id(id): Id<Uuid>,
    Payload(bytes): Payload,
) -> Result<Json<LetterView>, Problem> {
    let reason = parse_required_reason(&bytes)?;
    let store = &api.engine.store;
    let now = api.engine.trusted_now().await?;
    let note = format!("{}: {reason}", caller.name);
    let closed = store
        .close_dead_letter(id, DeadLetterState::Closed, &note, now)
        .await?;
    let letter = store
        .dead_letter(id)
        .await?
        .ok_or_else(|| Problem::unknown("dead letter"))?;
    if !closed {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "closed",
            "the dead letter is not open any more",
        ));
    }
    Ok(Json(LetterView::of(letter, now)))
}
