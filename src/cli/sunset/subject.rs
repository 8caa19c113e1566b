//! One subject of the file as the command that is published for it.

use serde::Serialize;
use uuid::Uuid;

use super::{identity_types::Wrong, plan::Order};
use crate::{
    domain::{
        identity::Identity,
        ids::Tenant,
        time::At,
        words::{Action, Reason},
    },
    vault::Vault,
    wire::{Channel, Envelope, parse_command},
};

/// A command as it is published. Its fields stand in one order, and nothing in it depends on when it is published or
/// by whom: a repeat is the same to the byte.
#[derive(Serialize)]
struct CommandText<'a> {
    command_id: Uuid,
    #[serde(rename = "type")]
    kind: Action,
    tenant: &'a Tenant,
    subject: SubjectText<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    regime: Option<&'a str>,
    reason: Reason,
    requested_at: At,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    identity_verified: bool,
    actor: &'a str,
}

#[derive(Serialize)]
struct SubjectText<'a> {
    identities: &'a [Identity],
}

/// The command for a subject: its id, and its bytes, which intake can read.
pub(super) fn command(
    order: &Order,
    run: Uuid,
    vault: &Vault,
    identities: &[Identity],
) -> Result<(Uuid, Vec<u8>), Wrong> {
    if identities.is_empty() {
        return Err("expected at least one identifier; there is none".to_owned());
    }
    let unwritable = |_| "it cannot be written as JSON".to_owned();
    let named = serde_json::to_vec(identities).map_err(unwritable)?;
    let command_id = vault.planned_subject(run, &named);
    let text = CommandText {
        command_id,
        kind: order.action,
        tenant: &order.tenant,
        subject: SubjectText { identities },
        regime: order.regime.as_deref(),
        reason: Reason::ServiceCeased,
        requested_at: order.requested_at,
        identity_verified: order.identity_verified,
        actor: &order.prepared_by.name,
    };
    let bytes = serde_json::to_vec(&text).map_err(unwritable)?;
    match parse_command(&bytes, &Envelope::bare(&order.tenant), Channel::Commands) {
        Ok(_) => Ok((command_id, bytes)),
        Err(refusal) => Err(refusal.detail),
    }
}
