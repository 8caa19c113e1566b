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
        backup::earlier,
        calendar::Period,
        time::At,
        words::{CommandKind, DeadLetterReason},
    },
    engine::dead_letters::redriving::{NotPublished, NotRedriven, Redriven},
    store::{DeadLetter, DeadLetterFilter},
    view::dead_letter::{DeadLetterView, RedrivenView, why_without_payload},
    wire::{
        api::{parse_reason, parse_required_reason},
        schemas::bodies,
    },
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
                .query::<Period>("older_than", "Only those that were refused at least so long ago.")
                .paged()
                .answers::<Page<DeadLetterView<'_>>>(200, "A page of open ones.")
                .or_csv()
        })
        .post("/v1/dead-letters/{id}/redrive", redrive, |call| {
            call.says("Publishes the original bytes of a dead letter to their topic again")
                .details("The event of a source is published as the command that it becomes, to the topic of commands.")
                .optional_body::<bodies::ReasonBody>()
                .answers::<RedrivenView<'_>>(200, "It is published again, and confirmed.")
                .problem(409, "closed", "It is not open any more.")
                .problem(409, "not_kept", "Nothing is kept of what it says.")
                .problem(409, "no_topic", "Its topic is not there any more.")
                .problem(409, "not_read", "Nothing reads its topic any more.")
                .problem(409, "unmapped", "Its source still cannot map it.")
                .problem(409, "skipped", "The sources of its topic leave it out now.")
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
    /// Refused at this time, or before it.
    before: Option<At>,
    limit: usize,
    after: Option<Uuid>,
}

impl Wanted {
    /// What its query may have.
    pub(super) const KEYS: &'static [&'static str] = &["reason", "erasures", "older_than", "limit", "cursor"];

    /// Reads it.
    pub(super) fn read(api: &Api, mut params: Params, caller: &Caller) -> Result<Self, Problem> {
        let older = params.take("older_than", "a length of time, such as 12h or 7d", |text| {
            Period::parse(text).ok()
        });
        let now = api.engine.clock.now();
        let wanted = Self {
            // Counted back from now, so a month's length may differ by a day or two from where it is counted forward.
            before: older.map(|older| earlier(now, older.add_to(now, api.engine.zone()).since(now))),
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
            let mut next = api.engine.dead_letters(filter).await?;
            ended = next.len() < CHUNK as usize;
            scanned += next.len();
            // They come in the order of their times: after one that is too young there is none that is old enough.
            if let Some(before) = self.before {
                let old = next.partition_point(|letter| letter.at <= before);
                ended |= old < next.len();
                next.truncate(old);
            }
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
    let mut wanted = Wanted::read(&api, params, &caller)?;
    if as_csv {
        return Ok(wanted.into_csv(api));
    }
    let now = api.engine.clock.now();
    let (found, next_cursor) = wanted.page(&api).await?;
    let items = found.iter().map(|letter| raw(&DeadLetterView::of(letter, now)));
    let items = items.collect::<Result<Vec<_>, _>>()?;
    Ok(Json(Page { items, next_cursor }).into_response())
}

/// `POST /v1/dead-letters/{id}/redrive`
pub(super) async fn redrive(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Operator>,
    Id(id): Id<Uuid>,
    Payload(bytes): Payload,
) -> Result<Json<Box<RawValue>>, Problem> {
    let Redriven { letter, place } = send_again(&api, id, &caller, &bytes).await?;
    let view = RedrivenView {
        letter: DeadLetterView::of(&letter, api.engine.clock.now()),
        redriven_to: place,
    };
    Ok(Json(raw(&view)?))
}

/// Redrives a letter, whichever door the decision came through.
pub(super) async fn send_again(
    api: &Api,
    id: Uuid,
    caller: &Caller,
    bytes: &[u8],
) -> Result<Redriven, Problem> {
    let note = match parse_reason(bytes)? {
        Some(reason) => format!("{}: {reason}", caller.name),
        None => caller.name.to_string(),
    };
    caller.check_unlimited()?;
    let publisher = api.republish.as_deref().ok_or_else(|| {
        Problem::unavailable("this worker publishes nothing: redrive it where commands are taken in")
    })?;
    let redriven = api.engine.redrive(publisher, id, &note).await;
    redriven.map_err(|error| not_redriven(id, error))
}

fn not_redriven(id: Uuid, error: NotRedriven) -> Problem {
    let conflict = |code, detail: String| Problem::new(StatusCode::CONFLICT, code, detail);
    match error {
        NotRedriven::Unknown => Problem::unknown("dead letter"),
        NotRedriven::NotOpen(_) | NotRedriven::Raced { .. } => conflict("closed", error.to_string()),
        NotRedriven::NotKept(letter) => conflict(
            "not_kept",
            format!(
                "nothing is kept of what it says: {}",
                why_without_payload(&letter)
            ),
        ),
        NotRedriven::NotPublished { source, .. } => match source {
            NotPublished::MissingTopic(why) => conflict("no_topic", why.to_string()),
            NotPublished::NotRead(_) => conflict("not_read", source.to_string()),
            NotPublished::Unmapped { .. } => conflict("unmapped", source.to_string()),
            NotPublished::Skipped(_) => conflict("skipped", source.to_string()),
            NotPublished::Unconfirmed(_) | NotPublished::NotNow(_) => {
                tracing::warn!(letter = %id, error = &source as &dyn std::error::Error, "a dead letter is not redriven");
                Problem::unavailable(match source {
                    NotPublished::NotNow(_) => {
                        "the schema registry of its source cannot be used just now. It stays open"
                    }
                    _ => {
                        "it was not published, or nobody knows: Kafka does not confirm it. It stays open; try again later"
                    }
                })
            }
        },
        NotRedriven::Headers(_) => {
            tracing::error!(letter = %id, %error, "a dead letter is not redriven");
            Problem::internal()
        }
        NotRedriven::Engine(error) => error.into(),
    }
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
    caller.check_unlimited()?;
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
