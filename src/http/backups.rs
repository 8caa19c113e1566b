//! Backups: their systems tell what happened to them, and ask what Lacuna knows.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::Uri,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Api,
    auth::{BackupKeeper, BackupReader, By},
    body::Payload,
    calls::Calls,
    problem::Problem,
    query::{Page, Params, cursor},
};
use crate::{
    domain::{
        backup::Contradiction,
        ids::{Label, ProcessorId},
        time::At,
        words::DeadLetterReason,
    },
    engine::{facts::FactOutcome, prepare::Arrival},
    view::backup::{CopyPlace, CopyView, copies},
    wire::{Envelope, Rejection, schemas::bodies},
};

/// The list of a cursor.
const COPIES: u8 = b'b';

/// The calls.
pub(super) fn calls() -> Calls {
    Calls::new()
        .post("/v1/backups", tell, |call| {
            call.says("Tells what happened to a backup")
                .details(
                    "The same message as on the topic of backups. A processor tells of its own sets only.",
                )
                .body::<bodies::BackupBody>()
                .example("taken", include_str!("../../schemas/examples/backup.taken.json"))
                .example(
                    "rotated",
                    include_str!("../../schemas/examples/backup.rotated.json"),
                )
                .example(
                    "restored",
                    include_str!("../../schemas/examples/backup.restored.json"),
                )
                .answers::<Told>(200, "It was taken in, now or before.")
                .problem(403, "not_allowed", "The backup system is not the bearer's.")
                .problem(
                    403,
                    "forged_ack",
                    "The token is not the one of this backup system.",
                )
                .problem(
                    404,
                    "unknown_backup",
                    "No backup set of this name is registered for this processor.",
                )
                .problem(
                    409,
                    "conflicting_duplicate",
                    "The same id came before with another content.",
                )
                .problem(422, "unknown_type", "The type is not one of backup events.")
        })
        .get("/v1/backups/{processor}/{set}", catalogue, |call| {
            call.says("Lists the copies of a backup set that are known, the newest first")
                .paged()
                .answers::<Catalogue>(200, "A page of copies.")
                .problem(403, "not_allowed", "The backup system is not the bearer's.")
        })
}

/// What became of an event.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Told {
    /// `taken`, or `repeated`: it was told before.
    result: &'static str,
    /// What it says against what was told earlier.
    contradiction: Option<Contradiction>,
    /// What whoever tells it should look at again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

/// `POST /v1/backups`
pub(super) async fn tell(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<BackupKeeper>,
    Payload(bytes): Payload,
) -> Result<Json<Told>, Problem> {
    let engine = &api.engine;
    let mut prepared = engine
        .backup_events()
        .prepare_backup(&bytes, &Envelope::bare(&engine.tenant_default))?;
    prepared.by_operator = caller.is_operator();
    if !caller.keeps_backups_of(&prepared.event.processor) {
        return Err(Rejection::new(
            DeadLetterReason::NotAllowed,
            "processor: expected the bearer's own",
        )
        .into());
    }
    let warnings = engine.warnings_of_backup(&prepared.event)?;
    let arrival = Arrival::of_call(prepared);
    let (told, emission) = engine.backup_events().record_backups(&[arrival]).await?;
    api.outputs.hand_over(emission).await;
    match told.into_iter().next() {
        Some(FactOutcome::Taken { contradiction }) => Ok(Json(Told {
            result: "taken",
            contradiction,
            warnings,
        })),
        Some(FactOutcome::Duplicate) => Ok(Json(Told {
            result: "repeated",
            contradiction: None,
            warnings: Vec::new(),
        })),
        Some(FactOutcome::Rejected(rejection)) => Err(rejection.into()),
        None => Err(Problem::internal()),
    }
}

/// What is known about a set.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Catalogue {
    #[serde(flatten)]
    page: Page<CopyView>,
    /// The latest that a rotation has said.
    oldest_retained_at: Option<At>,
    /// Every copy taken before this time is proved gone. Locks may hold it back.
    proved_gone_before: Option<At>,
    /// How many copies are not listed any more: they were proved gone, and nothing is decided by them.
    compacted: i64,
}

/// `GET /v1/backups/{processor}/{set}`: the copies, the newest first.
pub(super) async fn catalogue(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<BackupReader>,
    path: Result<Path<(String, String)>, axum::extract::rejection::PathRejection>,
    uri: Uri,
) -> Result<Json<Catalogue>, Problem> {
    let unknown = || Problem::unknown("backup set");
    let Path((processor, set)) = path.map_err(|_| unknown())?;
    let processor = ProcessorId::new(&processor).map_err(|_| unknown())?;
    let set = Label::new(&set).map_err(|_| unknown())?;
    caller.check_unlimited()?;
    if !caller.reads_backups_of(&processor) {
        return Err(Rejection::new(
            DeadLetterReason::NotAllowed,
            "processor: expected the bearer's own",
        )
        .into());
    }
    let mut params = Params::read(&uri, &["limit", "cursor"])?;
    let limit = params.limit();
    let after: Option<CopyPlace> = params.cursor(COPIES);
    params.finish()?;
    let active = api.engine.active()?;
    let registered = active.registry.get(&processor);
    let backup = registered.and_then(|registered| registered.backup.as_ref());
    if backup.is_none_or(|backup| backup.set != set) {
        return Err(unknown());
    }
    let facts = api.engine.refresh_facts().await?;
    // Counted before the list is read: what goes in between is missing for a moment, and never there twice.
    let compacted = api.engine.compacted_copies(&processor, &set).await?;
    let stored = api.engine.backup_facts(&processor).await?;
    let (mut copies, oldest_retained_at) = copies(&stored, &set);
    copies.retain(|(place, _)| after.is_none_or(|after| *place < after));
    let more = copies.len() > limit;
    copies.truncate(limit);
    let next = copies
        .last()
        .filter(|_| more)
        .map(|(place, _)| cursor(COPIES, place));
    Ok(Json(Catalogue {
        page: Page {
            items: copies.into_iter().map(|(_, copy)| copy).collect(),
            next_cursor: next,
        },
        oldest_retained_at,
        proved_gone_before: facts.copies(&processor).and_then(|copies| copies.gone_before()),
        compacted,
    }))
}
