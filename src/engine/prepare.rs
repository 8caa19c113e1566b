//! What is done to a message before its transaction, once and outside of it: parsing, sealing, checking the token.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;
use zeroize::Zeroizing;

use super::{Engine, EngineError};
use crate::{
    domain::{
        ack::{Ack, Evidence},
        body::Subject,
        command::{Command, Opening},
        ids::{Label, RequestId},
        time::At,
        words::{DeadLetterReason, Outcome},
    },
    store::{Origin, SubjectDigest},
    vault::SealedSubject,
    wire::{
        Refusal,
        command::{Door, parse_command},
        envelope::Envelope,
    },
};

/// A message that has arrived, prepared or refused.
pub struct Arrival<T> {
    /// Where it came from; `None`: over HTTP.
    pub origin: Option<Origin>,
    /// What it is.
    pub content: Result<T, Refusal>,
    /// The original bytes, for a dead letter.
    pub raw: Zeroizing<Vec<u8>>,
}

/// Without the bytes, which hold identifiers.
impl<T: fmt::Debug> fmt::Debug for Arrival<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrival")
            .field("origin", &self.origin)
            .field("content", &self.content)
            .finish_non_exhaustive()
    }
}

/// A command, ready for its transaction.
#[derive(Debug)]
pub struct PreparedCommand {
    /// The command.
    pub command: Command,
    /// The keyed digest of its payload.
    pub digest: [u8; 16],
    /// What an opening brings besides.
    pub subject: Option<PreparedSubject>,
}

/// The sealed subject of an opening.
#[derive(Debug)]
pub struct PreparedSubject {
    /// Sealed identifiers and their wrapped key.
    pub sealed: SealedSubject,
    /// The keyed digests of the identifiers.
    pub digests: Vec<SubjectDigest>,
    /// The salted commitment to the command.
    pub commitment: [u8; 32],
}

/// An ack, ready for its transaction.
#[derive(Debug)]
pub struct PreparedAck {
    /// The ack.
    pub ack: Ack,
    /// Whether its token belongs to what it claims to answer.
    pub token_matches: bool,
    /// Its proof and free text, ready to be sealed beside the ledger.
    pub proof: Option<PreparedProof>,
}

/// The proof and the free text of an ack.
pub struct PreparedProof {
    /// How many records were affected.
    pub records: Option<u64>,
    /// The salted commitment to the text.
    pub commitment: [u8; 32],
    /// The whole of it: a JSON object with at least one member, the outcome.
    text: String,
    salt: [u8; 16],
}

impl PreparedProof {
    /// What is sealed beside the ledger: the proof, its salt, and which attempt of which task brought it.
    pub(super) fn note(&self, ordinal: u16, generation: u32, attempt: u32) -> String {
        let open = self.text.strip_suffix('}').unwrap_or(&self.text);
        let salt = hex::encode(self.salt);
        format!(r#"{open},"salt":"{salt}","task":{ordinal},"generation":{generation},"attempt":{attempt}}}"#)
    }
}

/// What an ack brings, as it is written down. The members stand in the order of their names: whoever opens a note and
/// sorts what is in it has the bytes that the commitment is to.
#[derive(Serialize)]
struct ProofText<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<EvidenceText<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    outcome: Outcome,
}

#[derive(Serialize)]
struct EvidenceText<'a> {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    by_category: &'a BTreeMap<Label, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
}

/// Without the text, which may hold anything.
impl fmt::Debug for PreparedProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedProof")
            .field("records", &self.records)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Prepares the bytes of a command.
    pub fn prepare_command(
        &self,
        bytes: &[u8],
        envelope: &Envelope<'_>,
        door: Door,
    ) -> Result<PreparedCommand, Refusal> {
        let parsed = parse_command(bytes, envelope, door)?;
        let digest = self
            .vault
            .payload_digest(parsed.command.tenant(), &parsed.canonical);
        let subject = match &parsed.command {
            Command::Open(opening) => Some(self.prepare_subject(opening, &parsed.canonical).map_err(
                |error| {
                    // Only the vault's own state can be at fault here, never the message.
                    tracing::error!(%error, "a command could not be sealed");
                    Refusal::new(
                        DeadLetterReason::Internal,
                        "the command could not be sealed".to_owned(),
                    )
                },
            )?),
            Command::Cancel(_) => None,
        };
        Ok(PreparedCommand {
            command: parsed.command,
            digest,
            subject,
        })
    }

    fn prepare_subject(&self, opening: &Opening, canonical: &[u8]) -> Result<PreparedSubject, EngineError> {
        let (salt, commitment) = self.vault.commitment(canonical);
        let subject = Subject {
            identities: opening.identities.clone(),
            metadata: opening.metadata.clone(),
            salt,
        };
        let plain = Zeroizing::new(subject.pack()?);
        let mut digests: Vec<SubjectDigest> = opening
            .identities
            .iter()
            .map(|identity| self.vault.lookup_digest(&opening.tenant, identity))
            .collect();
        digests.sort_unstable();
        digests.dedup();
        Ok(PreparedSubject {
            sealed: self
                .vault
                .seal_subject(&opening.tenant, opening.request_id, &plain),
            digests,
            commitment,
        })
    }

    /// Prepares an ack.
    pub fn prepare_ack(&self, ack: Ack) -> PreparedAck {
        let token_matches = self.vault.token_matches(
            ack.request_id,
            ack.task_id,
            ack.generation,
            ack.attempt,
            &ack.token,
        );
        // What a forger writes is not kept.
        let proof = if token_matches {
            self.prepare_proof(&ack)
        } else {
            None
        };
        PreparedAck {
            ack,
            token_matches,
            proof,
        }
    }

    fn prepare_proof(&self, ack: &Ack) -> Option<PreparedProof> {
        if ack.evidence.is_none() && ack.message.is_none() && ack.at.is_none() {
            return None;
        }
        let text = ProofText {
            at: ack.at,
            evidence: ack.evidence.as_ref().map(evidence_text),
            message: ack.message.as_deref(),
            outcome: ack.answer.outcome(),
        };
        // Texts, numbers and times: nothing in it can fail to be written.
        let text = serde_json::to_string(&text).ok()?;
        let (salt, commitment) = self.vault.commitment(text.as_bytes());
        Some(PreparedProof {
            records: ack.evidence.as_ref().and_then(|e| e.records),
            commitment,
            text,
            salt,
        })
    }
}

fn evidence_text(evidence: &Evidence) -> EvidenceText<'_> {
    EvidenceText {
        by_category: &evidence.by_category,
        digest: evidence.digest.as_deref(),
        method: evidence.method.as_deref(),
        records: evidence.records,
        reference: evidence.reference.as_deref(),
    }
}

/// What arrives, by the request that it names.
pub trait Names {
    /// The request.
    fn request_id(&self) -> RequestId;
}

impl Names for PreparedCommand {
    fn request_id(&self) -> RequestId {
        self.command.request_id()
    }
}

impl Names for PreparedAck {
    fn request_id(&self) -> RequestId {
        self.ack.request_id
    }
}
