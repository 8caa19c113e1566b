//! What commands of every type have in common once they are read: the command itself, and the id that it goes by.

use super::{envelope::Envelope, fields::Id, rejection::Rejection};
use crate::domain::{command::Command, ids::CommandId};

/// The longest name of an actor: what directories and token issuers use is far below.
pub(super) const MAX_ACTOR: usize = 256;

/// A command, and the one spelling of its document.
#[derive(Debug, Clone, PartialEq)]
pub struct ParsedCommand {
    /// What is asked.
    pub command: Command,
    /// The document with sorted keys and no white space: a repeat has the same, a conflicting one another.
    pub canonical: Vec<u8>,
}

/// The idempotency key: the command's own, else what came around it.
pub(super) fn command_id_of(own: Option<Id>, envelope: &Envelope<'_>) -> Result<CommandId, Rejection> {
    own.map(|id| CommandId(id.0))
        .or(envelope.command_id_default)
        .or_else(|| envelope.event_id().map(CommandId))
        .ok_or_else(|| Rejection::schema("command_id: expected one here, an Idempotency-Key over HTTP, or an id and a source of CloudEvents"))
}
