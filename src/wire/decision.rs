//! `verify_identity`, `approve`, `refuse` and `extend`: as the control topic brings them, and as a person takes them
//! over HTTP.
//!
//! It must never decide whether a decision may be taken: that takes the request.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    control::MAX_NOTE,
    fields::{Id, Text},
    read::read,
    rejection::Rejection,
    validate::{self, Checked},
};
use crate::domain::{
    command::{Command, Decide, Decision},
    identity::SubjectData,
    ids::{CommandId, Label, ProcessorId, RequestId, Tenant},
    words::{ExtensionReason, RefusalBasis, VerificationResult},
};

type Note<'a> = Text<'a, 0, MAX_NOTE>;

/// Says what came of verifying the subject's identity.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "VerifyIdentity")]
pub(super) struct VerifyIdentityFields {
    /// The request.
    // Only a topic has to name it: over HTTP the path does. The same holds for the three below.
    #[schemars(required)]
    request_id: Option<Id>,
    /// How it was verified, in the controller's words.
    method: Label,
    /// What came of it.
    result: VerificationResult,
}

/// Approves a request; never by its submitter.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "Approve")]
pub(super) struct ApproveFields<'a> {
    /// The request.
    #[schemars(required)]
    request_id: Option<Id>,
    /// Free text: sealed, and never interpreted.
    #[serde(borrow)]
    reason: Option<Note<'a>>,
}

/// Refuses a request, or one processor's share of it; never by its submitter.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "Refuse")]
pub(super) struct RefuseFields<'a> {
    /// The request.
    #[schemars(required)]
    request_id: Option<Id>,
    /// The legal ground.
    basis: RefusalBasis,
    /// The processor whose tasks become exempt; all of the request where it is absent.
    processor: Option<ProcessorId>,
    /// Free text: sealed, and never interpreted.
    #[serde(borrow)]
    reason: Option<Note<'a>>,
}

/// Moves a request's deadline as its regime allows, once.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "Extend")]
pub(super) struct ExtendFields {
    /// The request.
    #[schemars(required)]
    request_id: Option<Id>,
    /// Why.
    reason: ExtensionReason,
}

/// Which decision a document has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecisionKind {
    /// `verify_identity`
    VerifyIdentity,
    /// `approve`
    Approve,
    /// `refuse`
    Refuse,
    /// `extend`
    Extend,
}

/// What a document decides.
struct Read {
    request_id: Option<Id>,
    decision: Decision,
    note: Option<SubjectData>,
}

fn decision(kind: DecisionKind, document: Checked<'_>) -> Result<Read, Rejection> {
    let note = |note: Option<Note<'_>>| note.map(|note| SubjectData::new(note.0));
    Ok(match kind {
        DecisionKind::VerifyIdentity => {
            let fields: VerifyIdentityFields = read(document)?;
            Read {
                request_id: fields.request_id,
                decision: Decision::VerifyIdentity {
                    method: fields.method,
                    result: fields.result,
                },
                note: None,
            }
        }
        DecisionKind::Approve => {
            let fields: ApproveFields<'_> = read(document)?;
            Read {
                request_id: fields.request_id,
                decision: Decision::Approve,
                note: note(fields.reason),
            }
        }
        DecisionKind::Refuse => {
            let fields: RefuseFields<'_> = read(document)?;
            Read {
                request_id: fields.request_id,
                decision: Decision::Refuse {
                    basis: fields.basis,
                    processor: fields.processor,
                },
                note: note(fields.reason),
            }
        }
        DecisionKind::Extend => {
            let fields: ExtendFields = read(document)?;
            Read {
                request_id: fields.request_id,
                decision: Decision::Extend {
                    reason: fields.reason,
                },
                note: None,
            }
        }
    })
}

/// Reads a decision from a topic, which has to name its request.
pub(super) fn read_named(kind: DecisionKind, document: Checked<'_>) -> Result<NamedDecision, Rejection> {
    let Read {
        request_id,
        decision,
        note,
    } = decision(kind, document)?;
    let request_id = request_id.ok_or_else(|| Rejection::schema("missing field `request_id`"))?;
    Ok(NamedDecision {
        request_id: RequestId(request_id.0),
        decision,
        note,
    })
}

/// A decision that names its request.
pub(super) struct NamedDecision {
    request_id: RequestId,
    decision: Decision,
    note: Option<SubjectData>,
}

impl NamedDecision {
    /// The command.
    pub(super) fn into_command(
        self,
        command_id: CommandId,
        (tenant, names_tenant): (Tenant, bool),
        actor: String,
    ) -> Command {
        Command::Decide(Box::new(Decide {
            command_id,
            tenant,
            names_tenant,
            request_id: self.request_id,
            actor,
            decision: self.decision,
            note: self.note,
        }))
    }
}

/// Reads a decision that a person takes over HTTP, about the request of the path. An approval needs no body at all.
pub fn parse_decision(
    kind: DecisionKind,
    bytes: &[u8],
) -> Result<(Decision, Option<SubjectData>), Rejection> {
    if bytes.is_empty() && kind == DecisionKind::Approve {
        return Ok((Decision::Approve, None));
    }
    let Read { decision, note, .. } = decision(kind, validate::check(bytes)?)?;
    Ok((decision, note))
}
