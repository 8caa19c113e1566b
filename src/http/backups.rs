//! Backups: their systems tell what happened to them, and ask what Lacuna knows.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::Uri,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Api,
    auth::{BackupKeeper, BackupReader, By},
    body::Payload,
    problem::Problem,
    query::{Page, Params, cursor},
};
use crate::{
    domain::{
        ids::{Label, ProcessorId},
        time::At,
        words::DeadLetterReason,
    },
    engine::{facts::FactOutcome, prepare::Arrival},
    view::backup::{CopyPlace, CopyView, copies},
    wire::{Envelope, Rejection},
};

/// The list of a cursor.
const COPIES: u8 = b'b';

/// `POST /v1/backups`
pub(super) async fn tell(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<BackupKeeper>,
    Payload(bytes): Payload,
) -> Result<Json<Value>, Problem> {
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
        Some(FactOutcome::Taken { contradiction }) => {
            let mut taken = json!({ "result": "taken", "contradiction": contradiction });
            if !warnings.is_empty() {
                taken["warnings"] = json!(warnings);
            }
            Ok(Json(taken))
        }
        Some(FactOutcome::Duplicate) => Ok(Json(json!({ "result": "repeated", "contradiction": null }))),
        Some(FactOutcome::Refused(rejection)) => Err(rejection.into()),
        None => Err(Problem::internal()),
    }
}

/// What is known about a set.
#[derive(Debug, Serialize)]
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
