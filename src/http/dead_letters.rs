//! Messages that could not be taken in, for those who look after them. Their payload stays sealed: nothing here opens it.

use std::sync::Arc;

use async_trait::async_trait;
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{
    Api,
    auth::{Auditor, By, Caller, Operator},
    body::Payload,
    calls::Calls,
    csv,
    lists::raw,
    problem::Problem,
    query::{Id, Page, Params, cursor},
};
use crate::{
    domain::{
        time::At,
        words::{CommandKind, DeadLetterReason},
    },
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
                .or_csv()
        })
        .post("/v1/dead-letters/{id}/close", close, |call| {
            call.says("Closes a dead letter: nothing is to be done about it")
                .body::<bodies::RequiredReasonBody>()
                .answers::<DeadLetterView<'_>>(200, "It is closed.")
                .problem(409, "closed", "It is not open any more.")
        })
}

/// A list of open letters that somebody asks for.
pub(super) struct Wanted {
    pub(super) reason: Option<DeadLetterReason>,
    pub(super) erasures: bool,
    limit: usize,
    after: Option<Uuid>,
}

impl Wanted {
    /// What its query may have.
    pub(super) const KEYS: &'static [&'static str] = &["reason", "erasures", "limit", "cursor"];

    /// Reads it.
    pub(super) fn read(mut params: Params, caller: &Caller) -> Result<Self, Problem> {
        let wanted = Self {
            reason: params.take("reason", "a reason of dead letters", DeadLetterReason::parse),
            erasures: params.flag("erasures").unwrap_or(false),
            limit: params.limit(),
            after: params.cursor(LETTERS).map(Uuid::from_bytes),
        };
        params.finish()?;
        caller.check_unlimited()?;
        Ok(wanted)
    }

    /// All of it.
    pub(super) fn into_csv(mut self, api: Arc<Api>) -> Response {
        self.limit = csv::ROWS;
        csv::list(api, "dead-letters", COLUMNS, self)
    }

    /// A page of it, and the cursor of the next one.
    pub(super) async fn page(&mut self, api: &Api) -> Result<(Vec<DeadLetter>, Option<String>), Problem> {
        let mut found: Vec<DeadLetter> = Vec::new();
        let (mut scanned, mut ended) = (0, false);
        while found.len() <= self.limit && scanned < MAX_SCANNED && !ended {
            let filter = DeadLetterFilter {
                open_only: true,
                with_payload: false,
                after: self.after,
                limit: CHUNK,
            };
            let next = api.engine.dead_letters(filter).await?;
            ended = next.len() < CHUNK as usize;
            scanned += next.len();
            self.after = next.last().map(|letter| letter.id).or(self.after);
            let is_wanted = |letter: &DeadLetter| {
                self.reason.is_none_or(|reason| reason == letter.reason)
                    && (!self.erasures || letter.kind.is_some_and(CommandKind::opens))
            };
            found.extend(next.into_iter().filter(is_wanted));
        }
        let more = found.len() > self.limit;
        found.truncate(self.limit);
        let last = if more {
            found.last().map(|letter| letter.id)
        } else {
            self.after.filter(|_| !ended)
        };
        self.after = last;
        Ok((found, last.map(|id| cursor(LETTERS, id.as_bytes()))))
    }
}

/// The columns of the list as CSV.
const COLUMNS: [&str; 9] = [
    "id",
    "reason",
    "type",
    "detail",
    "topic",
    "partition",
    "offset",
    "at",
    "age_seconds",
];

#[async_trait]
impl csv::Source<9> for Wanted {
    async fn next(&mut self, api: &Api) -> Result<(Vec<[String; 9]>, bool), Problem> {
        let (letters, next) = self.page(api).await?;
        let now = api.engine.clock.now();
        let cells = letters.iter().map(|letter| {
            let view = DeadLetterView::of(letter, now);
            [
                view.id.to_string(),
                view.reason.to_string(),
                view.kind.map(|kind| kind.to_string()).unwrap_or_default(),
                view.detail.to_owned(),
                view.topic.to_owned(),
                view.partition.to_string(),
                view.offset.to_string(),
                view.at.to_string(),
                view.age_seconds.to_string(),
            ]
        });
        Ok((cells.collect(), next.is_some()))
    }
}

/// `GET /v1/dead-letters`: open ones, the oldest first; with `erasures=true`, only commands to erase or to anonymize.
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Auditor>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let mut params = Params::read(&uri, &[Wanted::KEYS, &["format"]].concat())?;
    let as_csv = csv::is_wanted(&mut params, &headers);
    let mut wanted = Wanted::read(params, &caller)?;
    if as_csv {
        return Ok(wanted.into_csv(api));
    }
    let now = api.engine.clock.now();
    let (found, next_cursor) = wanted.page(&api).await?;
    let items = found.iter().map(|letter| raw(&DeadLetterView::of(letter, now)));
    let items = items.collect::<Result<Vec<_>, _>>()?;
    Ok(Json(Page { items, next_cursor }).into_response())
}

/// `POST /v1/dead-letters/{id}/close`
pub(super) async fn close(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Operator>,
    Id(id): Id<Uuid>,
    Payload(bytes): Payload,
) -> Result<Json<Box<RawValue>>, Problem> {
    let (letter, now) = shut(&api, id, &caller, &bytes).await?;
    Ok(Json(raw(&DeadLetterView::of(&letter, now))?))
}

/// Closes a letter, whichever channel the decision came through; the letter, and when.
pub(super) async fn shut(
    api: &Api,
    id: Uuid,
    caller: &Caller,
    bytes: &[u8],
) -> Result<(DeadLetter, At), Problem> {
    let reason = parse_required_reason(bytes)?;
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
    Ok((letter, now))
}
