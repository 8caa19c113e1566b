//! Commands: reads one, checks its shape and through which door it came, and says which command it is.
//!
//! It must never look at any state: whether a request exists, may be cancelled or is a duplicate is decided inside.

use std::borrow::Cow;

use schemars::{JsonSchema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    canonical::canonical,
    control::{CancelFields, ReactivatedFields, SupplyIdentitiesFields},
    decision::{self, ApproveFields, DecisionKind, ExtendFields, RefuseFields, VerifyIdentityFields},
    envelope::Envelope,
    fields::{Id, Object, Text, uuid},
    hold::{HoldFields, ReleaseFields},
    opening::OpeningFields,
    refusal::{Refusal, read},
    strict,
};
use crate::domain::{
    command::{Cancel, Command, Reactivated, Supply},
    ids::{CommandId, RequestId, Tenant},
    words::{Action, DeadLetterReason},
};

/// Names ids that are derived from an `Idempotency-Key`. Chosen once, by chance; never to change.
const KEYS: Uuid = Uuid::from_u128(0xa1f4_0b92_37c6_4d58_b0e3_7e92_d4c1_5f06);

/// The longest name of an actor: what directories and token issuers use is far below.
pub(super) const MAX_ACTOR: usize = 256;

/// Where a command came in. What may come in depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// The commands topic, which upstream services write.
    Commands,
    /// The control topic, which few may write.
    Control,
    /// `POST /v1/requests`, whose caller is known.
    Http,
}

/// A command, and the one spelling of its document.
#[derive(Debug, Clone, PartialEq)]
pub struct ParsedCommand {
    /// What is asked.
    pub command: Command,
    /// The document with sorted keys and no white space: a repeat has the same, a conflicting one another.
    pub canonical: Vec<u8>,
}

/// The type of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CommandType {
    Open(Action),
    Cancel,
    Reactivated,
    Decide(DecisionKind),
    Hold,
    Release,
    SupplyIdentities,
}

impl CommandType {
    const ALL: [(&'static str, Self); 11] = [
        ("erase", Self::Open(Action::Erase)),
        ("anonymize", Self::Open(Action::Anonymize)),
        ("cancel", Self::Cancel),
        ("reactivated", Self::Reactivated),
        ("verify_identity", Self::Decide(DecisionKind::VerifyIdentity)),
        ("approve", Self::Decide(DecisionKind::Approve)),
        ("refuse", Self::Decide(DecisionKind::Refuse)),
        ("extend", Self::Decide(DecisionKind::Extend)),
        ("hold", Self::Hold),
        ("release", Self::Release),
        ("supply_identities", Self::SupplyIdentities),
    ];

    fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, kind)| *kind)
    }

    /// Whether it belongs on the control topic.
    const fn is_privileged(self) -> bool {
        match self {
            Self::Open(_) | Self::Cancel | Self::Reactivated => false,
            Self::Decide(_) | Self::Hold | Self::Release | Self::SupplyIdentities => true,
        }
    }

    fn schema(self, generator: &mut SchemaGenerator) -> schemars::Schema {
        match self {
            Self::Open(_) => generator.subschema_for::<OpeningFields<'_>>(),
            Self::Cancel => generator.subschema_for::<CancelFields>(),
            Self::Reactivated => generator.subschema_for::<ReactivatedFields<'_>>(),
            Self::Decide(DecisionKind::VerifyIdentity) => generator.subschema_for::<VerifyIdentityFields>(),
            Self::Decide(DecisionKind::Approve) => generator.subschema_for::<ApproveFields<'_>>(),
            Self::Decide(DecisionKind::Refuse) => generator.subschema_for::<RefuseFields<'_>>(),
            Self::Decide(DecisionKind::Extend) => generator.subschema_for::<ExtendFields>(),
            Self::Hold => generator.subschema_for::<HoldFields<'_>>(),
            Self::Release => generator.subschema_for::<ReleaseFields<'_>>(),
            Self::SupplyIdentities => generator.subschema_for::<SupplyIdentitiesFields<'_>>(),
        }
    }
}

/// What all commands have.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "CommandHead")]
struct Head<'a> {
    /// What is asked.
    #[serde(rename = "type", borrow)]
    #[schemars(with = "str")]
    kind: Cow<'a, str>,
    /// The idempotency key; the CloudEvents id and source, or the Idempotency-Key of HTTP, serve where it is absent.
    command_id: Option<Id>,
    /// The request that it is about; what opens a request takes `command_id` where it is absent.
    request_id: Option<Id>,
    /// The tenant; the configured default where it is absent.
    tenant: Option<Tenant>,
    /// Who asks. Required on the control topic; over HTTP the bearer's name stands in its place.
    #[serde(borrow)]
    actor: Option<Text<'a, 1, MAX_ACTOR>>,
}

/// Reads a command that came in through this door.
pub fn parse_command(bytes: &[u8], envelope: &Envelope<'_>, door: Door) -> Result<ParsedCommand, Refusal> {
    let document = strict::check(bytes)?;
    let head: Head<'_> = read(document)?;
    let command_id = command_id_of(head.command_id, envelope)?;
    let named = head.actor.map(|actor| actor.0.into_owned());
    let needed = || Refusal::schema("actor: required on the control topic");
    if door == Door::Control && named.is_none() {
        return Err(needed());
    }
    // Over HTTP the bearer is the actor, whatever the body says: nobody approves their own request by submitting it
    // under another name.
    let actor = named.filter(|_| door != Door::Http);
    let names_tenant = head.tenant.is_some();
    let tenant = head.tenant.unwrap_or_else(|| envelope.tenant_default.clone());
    let Some(kind) = CommandType::parse(&head.kind) else {
        return Err(Refusal::new(
            DeadLetterReason::UnknownType,
            "type: expected a type of command",
        ));
    };
    let command = match kind {
        CommandType::Open(action) => {
            let fields: OpeningFields<'_> = read(document)?;
            admit(kind, door)?;
            // A request that is not named takes the name of the command.
            let request_id = RequestId(head.request_id.map_or(command_id.0, |id| id.0));
            Command::Open(Box::new(
                fields.into_opening(action, command_id, request_id, tenant, actor),
            ))
        }
        CommandType::Cancel => {
            let fields: CancelFields = read(document)?;
            admit(kind, door)?;
            Command::Cancel(Cancel {
                command_id,
                tenant,
                names_tenant,
                request_id: RequestId(fields.request_id.0),
            })
        }
        CommandType::Hold => {
            let (hold_id, fields) = HoldFields::read_named(document)?;
            admit(kind, door)?;
            fields.into_command(hold_id, command_id, tenant, actor.ok_or_else(needed)?)
        }
        CommandType::Release => {
            let fields: ReleaseFields<'_> = read(document)?;
            admit(kind, door)?;
            fields.into_command(command_id, tenant, actor.ok_or_else(needed)?)
        }
        CommandType::Decide(which) => {
            let decision = decision::read_named(which, document)?;
            admit(kind, door)?;
            decision.into_command(command_id, (tenant, names_tenant), actor.ok_or_else(needed)?)
        }
        CommandType::SupplyIdentities => {
            let fields: SupplyIdentitiesFields<'_> = read(document)?;
            admit(kind, door)?;
            Command::Supply(Box::new(Supply {
                command_id,
                tenant,
                names_tenant,
                request_id: RequestId(fields.request_id.0),
                actor: actor.ok_or_else(needed)?,
                identities: fields.identities.0.into_iter().map(Into::into).collect(),
            }))
        }
        CommandType::Reactivated => {
            let fields: ReactivatedFields<'_> = read(document)?;
            admit(kind, door)?;
            let Object(subject) = fields.subject;
            Command::Reactivated(Reactivated {
                command_id,
                tenant,
                identities: subject.identities.0.into_iter().map(Into::into).collect(),
                at: fields.at.0,
            })
        }
    };
    Ok(ParsedCommand {
        command,
        canonical: canonical(document),
    })
}

/// The idempotency key: the command's own, else what came around it.
pub(super) fn command_id_of(own: Option<Id>, envelope: &Envelope<'_>) -> Result<CommandId, Refusal> {
    own.map(|id| CommandId(id.0))
        .or(envelope.command_id_default)
        .or_else(|| envelope.event_id().map(CommandId))
        .ok_or_else(|| Refusal::schema("command_id: expected one here, an Idempotency-Key over HTTP, or an id and a source of CloudEvents"))
}

/// Whether a command of this type may come in through this door.
fn admit(kind: CommandType, door: Door) -> Result<(), Refusal> {
    let refuse = |detail| Err(Refusal::new(DeadLetterReason::NotAllowed, detail));
    match (door, kind) {
        // Who may submit requests may not for that reason hold those of others.
        (Door::Http, CommandType::Hold | CommandType::Release) => refuse("type: belongs to /v1/holds"),
        (Door::Http, CommandType::SupplyIdentities) => refuse("type: belongs on the control topic"),
        (Door::Http, CommandType::Decide(_)) => refuse("type: belongs to /v1/requests/{id}"),
        (Door::Commands, kind) if kind.is_privileged() => refuse("type: belongs on the control topic"),
        (Door::Control, kind) if !kind.is_privileged() => refuse("type: belongs on the commands topic"),
        (Door::Commands | Door::Control | Door::Http, _) => Ok(()),
    }
}

/// The command id that an `Idempotency-Key` stands for: the key itself where it is a UUID, else one derived from it.
///
/// Takes a structured-field string (in quotes) or a bare key; both spellings of a key give the same id.
pub fn command_id_from_key(key: &str) -> CommandId {
    let key = unquoted(key);
    CommandId(uuid(&key).unwrap_or_else(|| Uuid::new_v5(&KEYS, key.as_bytes())))
}

/// The same for a key that one caller has chosen for one tenant: another's key of the same text is another key. One
/// that is a UUID is taken as it is, because it is meant to be unique everywhere.
pub fn command_id_of_caller(key: &str, caller: &str, tenant: &Tenant) -> CommandId {
    let key = unquoted(key);
    match uuid(&key) {
        Some(id) => CommandId(id),
        // The length keeps apart what would read the same; a tenant has no colon.
        None => command_id_from_key(&format!("{}:{caller}:{tenant}:{key}.", caller.len())),
    }
}

fn unquoted(key: &str) -> Cow<'_, str> {
    let key = key.trim();
    match key.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => Cow::Owned(inner.replace("\\\"", "\"").replace("\\\\", "\\")),
        None => Cow::Borrowed(key),
    }
}

/// The schema of a command: what all have, and what each type needs.
pub(super) fn schema(generator: &mut SchemaGenerator) -> Value {
    let mut parts = vec![json!(generator.subschema_for::<Head<'_>>())];
    for (name, kind) in CommandType::ALL {
        let shape = kind.schema(generator);
        let then = if kind.is_privileged() {
            json!({ "allOf": [shape], "required": ["actor"], "properties": { "actor": { "type": "string" } } })
        } else {
            json!(shape)
        };
        parts.push(json!({
            "if": { "properties": { "type": { "const": name } }, "required": ["type"] },
            "then": then
        }));
    }
    let names = CommandType::ALL.map(|(name, _)| name);
    json!({
        "description": "Asks for something: topic lacuna.commands (erase, anonymize, cancel, reactivated), \
            lacuna.control (all the others), or POST /v1/requests. Unknown fields are ignored.",
        "type": "object",
        "properties": { "type": { "enum": names } },
        "allOf": parts
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::words::CommandKind;

    #[test]
    fn the_vocabulary_names_every_type() {
        let names: Vec<&str> = CommandType::ALL.iter().map(|(name, _)| *name).collect();
        let words: Vec<&str> = CommandKind::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(names, words);
        for (name, kind) in CommandType::ALL {
            let opens = CommandKind::parse(name).is_some_and(CommandKind::opens);
            assert_eq!(opens, matches!(kind, CommandType::Open(_)), "{name}");
        }
    }
}
