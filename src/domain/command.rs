//! Commands: messages that ask for something.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    calendar::Regime,
    identity::{Identity, SubjectData},
    ids::{AnchorName, CommandId, HoldId, Label, ProcessorId, RequestId, Tenant},
    time::At,
    words::{Action, ExtensionReason, HoldBasis, Reason, RefusalBasis, VerificationResult},
};

/// A command that this version carries out.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// `erase` or `anonymize`: opens a request.
    Open(Box<Opening>),
    /// `cancel`: before the first dispatch.
    Cancel(Cancel),
    /// `hold`: places a legal hold.
    Hold(PlaceHold),
    /// `release`: releases one.
    Release(ReleaseHold),
    /// `reactivated`: the person is back.
    Reactivated(Reactivated),
    /// `supply_identities`: brings identifiers that a blocked task waits for.
    Supply(Box<Supply>),
    /// `verify_identity`, `approve`, `refuse`, `extend`: a person decides about a request.
    Decide(Box<Decide>),
}

impl Command {
    /// The idempotency key.
    pub fn command_id(&self) -> CommandId {
        match self {
            Self::Open(opening) => opening.command_id,
            Self::Cancel(cancel) => cancel.command_id,
            Self::Hold(hold) => hold.command_id,
            Self::Release(release) => release.command_id,
            Self::Decide(decide) => decide.command_id,
            Self::Supply(supply) => supply.command_id,
            Self::Reactivated(back) => back.command_id,
        }
    }

    /// The tenant that it is for.
    pub fn tenant(&self) -> &Tenant {
        match self {
            Self::Open(opening) => &opening.tenant,
            Self::Cancel(cancel) => &cancel.tenant,
            Self::Hold(hold) => &hold.tenant,
            Self::Release(release) => &release.tenant,
            Self::Decide(decide) => &decide.tenant,
            Self::Supply(supply) => &supply.tenant,
            Self::Reactivated(back) => &back.tenant,
        }
    }

    /// The request that it names. A hold may name none and concern many; a release names its hold only.
    pub fn request_id(&self) -> Option<RequestId> {
        match self {
            Self::Open(opening) => Some(opening.request_id),
            Self::Cancel(cancel) => Some(cancel.request_id),
            Self::Hold(hold) => hold.request_id,
            Self::Release(_) | Self::Reactivated(_) => None,
            Self::Decide(decide) => Some(decide.request_id),
            Self::Supply(supply) => Some(supply.request_id),
        }
    }

    /// The key under which it is published: what must stay in order shares one, so a hold and its release have the
    /// hold's, whatever the hold covers.
    pub fn ordering_key(&self) -> Uuid {
        match self {
            Self::Open(opening) => opening.request_id.0,
            Self::Cancel(cancel) => cancel.request_id.0,
            Self::Hold(hold) => hold.hold_id.0,
            Self::Release(release) => release.hold_id.0,
            Self::Decide(decide) => decide.request_id.0,
            Self::Supply(supply) => supply.request_id.0,
            Self::Reactivated(back) => back.command_id.0,
        }
    }

    /// The name of its type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Open(opening) => opening.action.as_str(),
            Self::Cancel(_) => "cancel",
            Self::Hold(_) => "hold",
            Self::Release(_) => "release",
            Self::Decide(decide) => decide.decision.name(),
            Self::Supply(_) => "supply_identities",
            Self::Reactivated(_) => "reactivated",
        }
    }
}

/// Asks to withdraw a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancel {
    /// The idempotency key.
    pub command_id: CommandId,
    /// The tenant.
    pub tenant: Tenant,
    /// Whether it names its tenant: otherwise the request's own is meant.
    pub names_tenant: bool,
    /// The request to withdraw.
    pub request_id: RequestId,
}

/// Asks to hold, within one tenant, what meets all of the conditions that are named. At least one is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceHold {
    /// The idempotency key.
    pub command_id: CommandId,
    /// The tenant.
    pub tenant: Tenant,
    /// By which it is released.
    pub hold_id: HoldId,
    /// The legal ground.
    pub basis: HoldBasis,
    /// Who places it.
    pub actor: String,
    /// Free text of the one who places it: it may name a person, so it is never shown by accident.
    pub note: Option<SubjectData>,
    /// The subject. Empty: any.
    pub identities: Vec<Identity>,
    /// The request.
    pub request_id: Option<RequestId>,
    /// The processor.
    pub processor: Option<ProcessorId>,
    /// The categories of data. Empty: any.
    pub categories: Vec<Label>,
}

/// Asks to release a legal hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseHold {
    /// The idempotency key.
    pub command_id: CommandId,
    /// The tenant.
    pub tenant: Tenant,
    /// The hold.
    pub hold_id: HoldId,
    /// Who releases it.
    pub actor: String,
    /// Free text, as that of the hold.
    pub note: Option<SubjectData>,
}

/// Says that a person is back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reactivated {
    /// The idempotency key.
    pub command_id: CommandId,
    /// The tenant.
    pub tenant: Tenant,
    /// Who.
    pub identities: Vec<Identity>,
    /// Since when.
    pub at: At,
}

/// Brings identifiers that a request had not come with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supply {
    /// The idempotency key.
    pub command_id: CommandId,
    /// The tenant.
    pub tenant: Tenant,
    /// Whether it names its tenant: otherwise the request's own is meant.
    pub names_tenant: bool,
    /// The request.
    pub request_id: RequestId,
    /// Who brings them.
    pub actor: String,
    /// The identifiers.
    pub identities: Vec<Identity>,
}

/// A person decides about a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decide {
    /// The idempotency key.
    pub command_id: CommandId,
    /// The tenant.
    pub tenant: Tenant,
    /// Whether it names its tenant: otherwise the request's own is meant.
    pub names_tenant: bool,
    /// The request.
    pub request_id: RequestId,
    /// Who decides.
    pub actor: String,
    /// What.
    pub decision: Decision,
    /// Free text: it may name a person, so it is never shown by accident.
    pub note: Option<SubjectData>,
}

/// What a person decides about a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decision {
    /// Whether the subject is who they say they are.
    VerifyIdentity {
        /// How it was found out, in the controller's words.
        method: Label,
        /// What came of it.
        result: VerificationResult,
    },
    /// It may go ahead.
    Approve,
    /// It is refused, in whole or for a processor.
    Refuse {
        /// The legal ground.
        basis: RefusalBasis,
        /// The processor whose share is refused.
        processor: Option<ProcessorId>,
    },
    /// Its deadline is extended.
    Extend {
        /// Why.
        reason: ExtensionReason,
    },
}

impl Decision {
    /// The type of the command that says it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::VerifyIdentity { .. } => "verify_identity",
            Self::Approve => "approve",
            Self::Refuse { .. } => "refuse",
            Self::Extend { .. } => "extend",
        }
    }

    /// Whether the submitter of the request may not decide it.
    pub const fn needs_second_person(&self) -> bool {
        matches!(self, Self::Approve | Self::Refuse { .. })
    }
}

/// Asks to erase or anonymize one subject's data.
#[derive(Debug, Clone, PartialEq)]
pub struct Opening {
    /// The idempotency key.
    pub command_id: CommandId,
    /// The request that it opens.
    pub request_id: RequestId,
    /// The tenant.
    pub tenant: Tenant,
    /// `Erase` or `Anonymize`.
    pub action: Action,
    /// Another action for some processors.
    pub actions_by_processor: BTreeMap<ProcessorId, Action>,
    /// Whose data.
    pub identities: Vec<Identity>,
    /// The regime that gives the deadline; the policy's where it is absent.
    pub regime: Option<Regime>,
    /// Why.
    pub reason: Reason,
    /// When the subject asked; receipt where it is absent.
    pub requested_at: Option<At>,
    /// Nothing is dispatched before it.
    pub not_before: Option<At>,
    /// The region of the subject.
    pub region: Option<Label>,
    /// What it is limited to.
    pub scope: Scope,
    /// Times that retention rules count from.
    pub anchors: BTreeMap<AnchorName, At>,
    /// Whether upstream has verified the subject's identity.
    pub identity_verified: bool,
    /// Processors that are left out, each on a legal basis.
    pub exclude: Vec<Exclusion>,
    /// The controller's own notes, as JSON text: sealed with the identifiers, never interpreted.
    pub metadata: Option<SubjectData>,
    /// Who submitted it, where the channel tells.
    pub submitter: Option<String>,
}

/// What a request is limited to; an empty list limits nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct Scope {
    /// Purposes of processing.
    pub purposes: Vec<Label>,
    /// Categories of data.
    pub categories: Vec<Label>,
    /// Processors.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub processors: Vec<ProcessorId>,
}

impl Scope {
    /// Whether it limits nothing.
    pub fn is_whole(&self) -> bool {
        self.purposes.is_empty() && self.categories.is_empty() && self.processors.is_empty()
    }
}

/// A processor that a command leaves out, and on what basis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Exclusion {
    /// The processor.
    pub processor: ProcessorId,
    /// The legal basis.
    pub basis: RefusalBasis,
}
