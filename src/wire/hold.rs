//! `hold` and `release`: as the control topic brings them, and holds as a person places them over HTTP.
//!
//! It must never decide what a hold covers, nor whether it may be placed or released: that takes what is known inside.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    canonical::canonical,
    command_head::{MAX_ACTOR, ParsedCommand, command_id_of},
    control::MAX_NOTE,
    envelope::Envelope,
    fields::{Id, List, MAX_LIST, Object, Text},
    opening::SubjectFields,
    read::read,
    rejection::Rejection,
    validate::{self, Checked},
};
use crate::domain::{
    command::{Command, PlaceHold, ReleaseHold},
    identity::{Identity, SubjectData},
    ids::{CommandId, HoldId, Label, ProcessorId, RequestId, Tenant},
    words::HoldBasis,
};

/// Free text that goes with a hold.
type Note<'a> = Text<'a, 0, MAX_NOTE>;

/// Puts a legal hold on what the named things cover, within one tenant.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "Hold", extend("anyOf" = [
    { "required": ["subject"] }, { "required": ["request_id"] }, { "required": ["processor"] },
    { "required": ["categories"] }
]))]
pub(super) struct HoldFields<'a> {
    /// The hold, by which it is released.
    // Only a topic has to name it: a topic's sender gets no answer that would tell the name.
    #[schemars(required)]
    hold_id: Option<Id>,
    /// The legal ground.
    basis: HoldBasis,
    /// The data subject whose requests are held.
    #[serde(borrow)]
    subject: Option<Object<SubjectFields<'a>>>,
    /// The request that is held.
    request_id: Option<Id>,
    /// The processor whose tasks are held.
    processor: Option<ProcessorId>,
    /// The categories of data that are held.
    categories: Option<List<Label, 1, MAX_LIST>>,
    /// Free text: sealed, and never interpreted.
    #[serde(borrow)]
    note: Option<Note<'a>>,
}

impl<'a> HoldFields<'a> {
    /// Reads a hold, which has to cover something.
    fn read(document: Checked<'a>) -> Result<Self, Rejection> {
        let hold: Self = read(document)?;
        let covers = hold.subject.is_some()
            || hold.request_id.is_some()
            || hold.processor.is_some()
            || hold.categories.is_some();
        if covers {
            Ok(hold)
        } else {
            Err(Rejection::schema(
                "expected one or more of subject, request_id, processor, categories",
            ))
        }
    }

    /// Reads a hold that has to name itself.
    pub(super) fn read_named(document: Checked<'a>) -> Result<(HoldId, Self), Rejection> {
        let hold = Self::read(document)?;
        let id = hold
            .hold_id
            .ok_or_else(|| Rejection::schema("missing field `hold_id`"))?;
        Ok((HoldId(id.0), hold))
    }

    pub(super) fn into_command(
        self,
        hold_id: HoldId,
        command_id: CommandId,
        tenant: Tenant,
        actor: String,
    ) -> Command {
        let identities = self.subject.map(|Object(subject)| subject.identities.0);
        Command::Hold(PlaceHold {
            command_id,
            tenant,
            hold_id,
            basis: self.basis,
            actor,
            note: note(self.note),
            identities: identities
                .unwrap_or_default()
                .into_iter()
                .map(Identity::from)
                .collect(),
            request_id: self.request_id.map(|id| RequestId(id.0)),
            processor: self.processor,
            categories: self.categories.map(|list| list.0).unwrap_or_default(),
        })
    }
}

/// Releases a legal hold.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "Release")]
pub(super) struct ReleaseFields<'a> {
    /// The hold.
    hold_id: Id,
    /// Free text: sealed, and never interpreted.
    #[serde(borrow)]
    note: Option<Note<'a>>,
}

impl ReleaseFields<'_> {
    pub(super) fn into_command(self, command_id: CommandId, tenant: Tenant, actor: String) -> Command {
        Command::Release(ReleaseHold {
            command_id,
            tenant,
            hold_id: HoldId(self.hold_id.0),
            actor,
            note: note(self.note),
        })
    }
}

fn note(text: Option<Note<'_>>) -> Option<SubjectData> {
    text.map(|text| SubjectData::new(text.0))
}

/// What a hold over HTTP shares with other commands. All of it may be absent: the call says what is asked.
#[derive(Debug, Deserialize)]
struct Head<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Cow<'a, str>>,
    command_id: Option<Id>,
    tenant: Option<Tenant>,
    // Checked as in every command, and then left out: over HTTP the bearer is the actor, whatever the body says.
    #[serde(rename = "actor", borrow)]
    _actor: Option<Text<'a, 1, MAX_ACTOR>>,
}

/// Reads a hold that this actor places by `POST /v1/holds`. One that is not named takes the name of the command, as a
/// request does: so a repeat under the same `Idempotency-Key` speaks of the same hold.
pub fn parse_hold(bytes: &[u8], envelope: &Envelope<'_>, actor: &str) -> Result<ParsedCommand, Rejection> {
    let document = validate::check(bytes)?;
    let head: Head<'_> = read(document)?;
    let fields = HoldFields::read(document)?;
    if head.kind.is_some_and(|kind| kind != "hold") {
        return Err(Rejection::schema("type: expected hold, or none"));
    }
    let command_id = command_id_of(head.command_id, envelope)?;
    let hold_id = HoldId(fields.hold_id.map_or(command_id.0, |id| id.0));
    let tenant = head.tenant.unwrap_or_else(|| envelope.tenant_default.clone());
    Ok(ParsedCommand {
        command: fields.into_command(hold_id, command_id, tenant, actor.to_owned()),
        canonical: canonical(document),
    })
}

/// What goes with a release over HTTP. All of it may be absent: the path names the hold.
#[derive(Debug, Deserialize)]
struct ReleaseNotes<'a> {
    hold_id: Option<Id>,
    #[serde(borrow)]
    note: Option<Note<'a>>,
}

/// Reads what goes with a release that this actor asks for by `DELETE /v1/holds/{id}`; no body at all says nothing.
pub fn parse_release(
    bytes: &[u8],
    hold_id: HoldId,
    envelope: &Envelope<'_>,
    actor: &str,
) -> Result<ParsedCommand, Rejection> {
    let document = validate::check(if bytes.is_empty() { b"{}" } else { bytes })?;
    let head: Head<'_> = read(document)?;
    let notes: ReleaseNotes<'_> = read(document)?;
    if head.kind.is_some_and(|kind| kind != "release") {
        return Err(Rejection::schema("type: expected release, or none"));
    }
    if notes.hold_id.is_some_and(|named| named.0 != hold_id.0) {
        return Err(Rejection::schema(
            "hold_id: expected the one in the path, or none",
        ));
    }
    let command_id = command_id_of(head.command_id, envelope)?;
    let tenant = head.tenant.unwrap_or_else(|| envelope.tenant_default.clone());
    // The same key for another hold is a conflict, so what is compared names the hold, which the body need not.
    let mut said = canonical(document);
    said.extend_from_slice(hold_id.0.as_bytes());
    Ok(ParsedCommand {
        command: Command::Release(ReleaseHold {
            command_id,
            tenant,
            hold_id,
            actor: actor.to_owned(),
            note: note(notes.note),
        }),
        canonical: said,
    })
}
