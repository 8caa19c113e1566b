//! Backup events: what happened to a backup of a set.
//!
//! Only the shape is read here. It must never conclude that data is gone: that takes the horizon and the catalogue.

use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use super::{
    envelope::Envelope,
    fields::{Id, List, MAX_LIST, Time},
    refusal::{Refusal, read},
    strict,
};
use crate::domain::{
    ids::{Label, ProcessorId},
    time::At,
    words::{BackupEventKind, DeadLetterReason},
};

/// What happened to a backup of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupEvent {
    /// The idempotency key.
    pub event_id: Uuid,
    /// The backup processor.
    pub processor: ProcessorId,
    /// The set.
    pub set: Label,
    /// What happened.
    pub change: BackupChange,
    /// The sender's own time.
    pub at: Option<At>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackupChange {
    /// A backup was taken.
    Taken {
        /// When.
        taken_at: At,
    },
    /// Older backups are gone.
    Rotated {
        /// The oldest that is left was taken then.
        oldest_retained_at: At,
    },
    /// A backup was put back.
    Restored {
        /// When it had been taken.
        taken_at: At,
        /// Into which processors.
        into: Vec<ProcessorId>,
    },
}

/// Says what happened to a backup: topic lacuna.backups, or POST /v1/backups.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "BackupEvent", extend("allOf" = [
    { "if": { "properties": { "type": { "const": "backup.taken" } }, "required": ["type"] },
      "then": { "required": ["taken_at"] } },
    { "if": { "properties": { "type": { "const": "backup.rotated" } }, "required": ["type"] },
      "then": { "required": ["oldest_retained_at"] } },
    { "if": { "properties": { "type": { "const": "backup.restored" } }, "required": ["type"] },
      "then": { "required": ["taken_at", "restored_into"] } }
]))]
pub(super) struct BackupFields {
    /// The idempotency key; the CloudEvents id and source serve where it is absent.
    event_id: Option<Id>,
    /// What happened.
    #[serde(rename = "type")]
    #[schemars(with = "BackupEventKind")]
    kind: String,
    /// The backup processor.
    processor: ProcessorId,
    /// The set.
    set: Label,
    /// When the backup was taken.
    taken_at: Option<Time>,
    /// When the oldest backup that is left was taken.
    oldest_retained_at: Option<Time>,
    /// Into which processors the backup was put back.
    restored_into: Option<List<ProcessorId, 1, MAX_LIST>>,
    /// The sender's own time.
    at: Option<Time>,
}

/// Reads a backup event.
pub fn parse_backup(bytes: &[u8], envelope: &Envelope<'_>) -> Result<BackupEvent, Refusal> {
    let fields: BackupFields = read(strict::check(bytes)?)?;
    let event_id = fields
        .event_id
        .map(|id| id.0)
        .or_else(|| envelope.event_id())
        .ok_or_else(|| {
            Refusal::schema("event_id: expected one here, or an id and a source of CloudEvents")
        })?;
    let kind = BackupEventKind::parse(&fields.kind).ok_or_else(|| {
        Refusal::new(
            DeadLetterReason::UnknownType,
            "type: expected a type of backup event",
        )
    })?;
    let needed =
        |time: Option<Time>, missing: &'static str| time.map(|t| t.0).ok_or_else(|| Refusal::schema(missing));
    let change = match kind {
        BackupEventKind::Taken => BackupChange::Taken {
            taken_at: needed(fields.taken_at, "missing field `taken_at`")?,
        },
        BackupEventKind::Rotated => BackupChange::Rotated {
            oldest_retained_at: needed(fields.oldest_retained_at, "missing field `oldest_retained_at`")?,
        },
        BackupEventKind::Restored => BackupChange::Restored {
            taken_at: needed(fields.taken_at, "missing field `taken_at`")?,
            into: fields
                .restored_into
                .ok_or_else(|| Refusal::schema("missing field `restored_into`"))?
                .0,
        },
    };
    Ok(BackupEvent {
        event_id,
        processor: fields.processor,
        set: fields.set,
        change,
        at: fields.at.map(|time| time.0),
    })
}
