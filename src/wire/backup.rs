//! Backup events: what happened to a backup of a set.
//!
//! Only the shape is read here. It must never conclude that data is gone: that takes the horizon and the catalogue.

use schemars::JsonSchema;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{
    envelope::Envelope,
    fields::{Id, List, MAX_LIST, Text, Time},
    read::read,
    rejection::Rejection,
    validate,
};
use crate::domain::{
    backup::{BackupChange, BackupEvent},
    ids::{EventId, Label, ProcessorId},
    time::At,
    words::{BackupEventKind, DeadLetterReason},
};

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
pub(super) struct BackupFields<'a> {
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
    /// With `backup.taken`: until when the backup cannot be deleted, where it is immutable.
    lock_until: Option<Time>,
    /// When the oldest backup that is left was taken.
    oldest_retained_at: Option<Time>,
    /// Into which processors the backup was put back.
    restored_into: Option<List<ProcessorId, 1, MAX_LIST>>,
    /// The sender's own time.
    at: Option<Time>,
    /// What shows on the topic that the processor itself says it: `lacuna keys backup-token` prints it. Over HTTP the bearer
    /// shows it.
    #[serde(borrow)]
    token: Option<Text<'a, 0, MAX_TOKEN>>,
}

/// The longest token in bytes. Ours are far shorter, but it is for who knows them to call one forged.
const MAX_TOKEN: usize = 4096;

/// Without the token.
impl std::fmt::Debug for ParsedBackup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParsedBackup")
            .field("event", &self.event)
            .finish_non_exhaustive()
    }
}

/// A backup event as it was read. It is for who knows the tokens to judge the one that it brings.
pub struct ParsedBackup {
    /// What it says.
    pub event: BackupEvent,
    /// The token.
    pub token: Option<Zeroizing<String>>,
}

/// Reads a backup event.
pub fn parse_backup(bytes: &[u8], envelope: &Envelope<'_>) -> Result<ParsedBackup, Rejection> {
    let fields: BackupFields<'_> = read(validate::check(bytes)?)?;
    let event_id = fields
        .event_id
        .map(|id| EventId(id.0))
        .or_else(|| envelope.event_id().map(EventId))
        .ok_or_else(|| {
            Rejection::schema("event_id: expected one here, or an id and a source of CloudEvents")
        })?;
    let kind = BackupEventKind::parse(&fields.kind).ok_or_else(|| {
        Rejection::new(
            DeadLetterReason::UnknownType,
            "type: expected a type of backup event",
        )
    })?;
    let needed = |time: Option<Time>, missing: &'static str| {
        time.map(|t| t.0).ok_or_else(|| Rejection::schema(missing))
    };
    let change = match kind {
        BackupEventKind::Taken => taken(
            needed(fields.taken_at, "missing field `taken_at`")?,
            fields.lock_until.map(|time| time.0),
        )?,
        BackupEventKind::Rotated => BackupChange::Rotated {
            oldest_retained_at: needed(fields.oldest_retained_at, "missing field `oldest_retained_at`")?,
        },
        BackupEventKind::Restored => BackupChange::Restored {
            taken_at: needed(fields.taken_at, "missing field `taken_at`")?,
            restored_into: fields
                .restored_into
                .ok_or_else(|| Rejection::schema("missing field `restored_into`"))?
                .0,
        },
    };
    Ok(ParsedBackup {
        event: BackupEvent {
            event_id,
            processor: fields.processor,
            set: fields.set,
            change,
            at: fields.at.map(|time| time.0),
        },
        token: fields.token.map(|token| Zeroizing::new(token.0.into_owned())),
    })
}

/// A lock that ends before its copy was taken is a confusion of two times, and none of them can be relied on.
fn taken(taken_at: At, lock_until: Option<At>) -> Result<BackupChange, Rejection> {
    if lock_until.is_some_and(|until| until < taken_at) {
        return Err(Rejection::schema(
            "lock_until: expected a time that is not before taken_at",
        ));
    }
    Ok(BackupChange::Taken { taken_at, lock_until })
}
