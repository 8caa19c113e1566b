//! Commands: reads one, checks its shape and over which channel it came, and says which command it is.
//!
//! It must never look at any state: whether a request exists, may be cancelled or is a duplicate is decided inside.

use std::borrow::Cow;

use schemars::{JsonSchema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    canonical::canonical,
    command_head::{MAX_ACTOR, ParsedCommand, command_id_of},
    control::{CancelFields, ReactivatedFields, SupplyIdentitiesFields},
    decision::{self, ApproveFields, DecisionKind, ExtendFields, RefuseFields, VerifyIdentityFields},
    envelope::Envelope,
    fields::{Id, Object, Text},
    hold::{HoldFields, ReleaseFields},
    opening::OpeningFields,
    read::read,
    rejection::Rejection,
    validate::{self, Checked},
};
use crate::domain::{
    command::{Cancel, Command, Reactivated, Supply},
    ids::{CommandId, RequestId, Tenant},
    words::{Action, DeadLetterReason},
};

/// The type of the event that carries one.
pub const EVENT_TYPE: &str = "dev.lacuna.command.v1";

/// Where a command came in. What may come in depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// The commands topic, which upstream services write.
    Commands,
    /// The control topic, which few may write.
    Control,
    /// `POST /v1/requests`, whose caller is known.
    Http,
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
pub(super) struct Head<'a> {
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

/// Reads a command that came in through this channel.
pub fn parse_command(
    bytes: &[u8],
    envelope: &Envelope<'_>,
    channel: Channel,
) -> Result<ParsedCommand, Rejection> {
    let document = validate::check(bytes)?;
    let head: Head<'_> = read(document)?;
    let command_id = command_id_of(head.command_id, envelope)?;
    let named = head.actor.map(|actor| actor.0.into_owned());
    if channel == Channel::Control && named.is_none() {
        return Err(actor_needed());
    }
    let Some(kind) = CommandType::parse(&head.kind) else {
        return Err(Rejection::new(
            DeadLetterReason::UnknownType,
            "type: expected a type of command",
        ));
    };
    let reader = Reader {
        document,
        kind,
        channel,
        command_id,
        request_id: head.request_id,
        names_tenant: head.tenant.is_some(),
        tenant: head.tenant.unwrap_or_else(|| envelope.tenant_default.clone()),
        // Over HTTP the bearer is the actor, whatever the body says: nobody approves their own request by submitting it
        // under another name.
        actor: named.filter(|_| channel != Channel::Http),
    };
    Ok(ParsedCommand {
        command: reader.command()?,
        canonical: canonical(document),
    })
}

/// What is read of a command once its head is known.
struct Reader<'a> {
    document: Checked<'a>,
    kind: CommandType,
    channel: Channel,
    command_id: CommandId,
    request_id: Option<Id>,
    names_tenant: bool,
    tenant: Tenant,
    actor: Option<String>,
}

impl<'a> Reader<'a> {
    /// Shape goes before the channel, so that a sender learns of its own mistakes first.
    fn fields<T: Deserialize<'a>>(&self) -> Result<T, Rejection> {
        let fields = read(self.document)?;
        admit(self.kind, self.channel)?;
        Ok(fields)
    }

    fn command(self) -> Result<Command, Rejection> {
        match self.kind {
            CommandType::Open(action) => self.open(action),
            CommandType::Cancel => {
                let fields: CancelFields = self.fields()?;
                Ok(Command::Cancel(Cancel {
                    command_id: self.command_id,
                    tenant: self.tenant,
                    names_tenant: self.names_tenant,
                    request_id: RequestId(fields.request_id.0),
                }))
            }
            CommandType::Hold => {
                let (hold_id, fields) = HoldFields::read_named(self.document)?;
                admit(self.kind, self.channel)?;
                let actor = self.actor.ok_or_else(actor_needed)?;
                Ok(fields.into_command(hold_id, self.command_id, self.tenant, actor))
            }
            CommandType::Release => {
                let fields: ReleaseFields<'_> = self.fields()?;
                let actor = self.actor.ok_or_else(actor_needed)?;
                Ok(fields.into_command(self.command_id, self.tenant, actor))
            }
            CommandType::Decide(which) => {
                let decision = decision::read_named(which, self.document)?;
                admit(self.kind, self.channel)?;
                let tenant = (self.tenant, self.names_tenant);
                let actor = self.actor.ok_or_else(actor_needed)?;
                Ok(decision.into_command(self.command_id, tenant, actor))
            }
            CommandType::SupplyIdentities => self.supply(),
            CommandType::Reactivated => {
                let fields: ReactivatedFields<'_> = self.fields()?;
                let Object(subject) = fields.subject;
                Ok(Command::Reactivated(Reactivated {
                    command_id: self.command_id,
                    tenant: self.tenant,
                    identities: subject.identities.0.into_iter().map(Into::into).collect(),
                    at: fields.at.0,
                }))
            }
        }
    }

    fn open(self, action: Action) -> Result<Command, Rejection> {
        let fields: OpeningFields<'_> = self.fields()?;
        // A request that is not named takes the name of the command.
        let request_id = RequestId(self.request_id.map_or(self.command_id.0, |id| id.0));
        let opening = fields.into_opening(action, self.command_id, request_id, self.tenant, self.actor);
        Ok(Command::Open(Box::new(opening)))
    }

    fn supply(self) -> Result<Command, Rejection> {
        let fields: SupplyIdentitiesFields<'_> = self.fields()?;
        Ok(Command::Supply(Box::new(Supply {
            command_id: self.command_id,
            tenant: self.tenant,
            names_tenant: self.names_tenant,
            request_id: RequestId(fields.request_id.0),
            actor: self.actor.ok_or_else(actor_needed)?,
            identities: fields.identities.0.into_iter().map(Into::into).collect(),
        })))
    }
}

fn actor_needed() -> Rejection {
    Rejection::schema("actor: required on the control topic")
}

/// Whether a command of this type may come in through this channel.
fn admit(kind: CommandType, channel: Channel) -> Result<(), Rejection> {
    let refuse = |detail| Err(Rejection::new(DeadLetterReason::NotAllowed, detail));
    match (channel, kind) {
        // Who may submit requests may not for that reason hold those of others.
        (Channel::Http, CommandType::Hold | CommandType::Release) => refuse("type: belongs to /v1/holds"),
        (Channel::Http, CommandType::SupplyIdentities) => refuse("type: belongs on the control topic"),
        (Channel::Http, CommandType::Decide(_)) => refuse("type: belongs to /v1/requests/{id}"),
        (Channel::Commands, kind) if kind.is_privileged() => refuse("type: belongs on the control topic"),
        (Channel::Control, kind) if !kind.is_privileged() => refuse("type: belongs on the commands topic"),
        (Channel::Commands | Channel::Control | Channel::Http, _) => Ok(()),
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
