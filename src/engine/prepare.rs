//! What is done to a message before its transaction, once and outside of it: parsing, sealing, checking the token.

use std::fmt;

use zeroize::Zeroizing;

use super::{Engine, EngineError};
use crate::{
    domain::{
        ack::{Ack, Evidence},
        body::Subject,
        command::{Command, Opening},
        ids::RequestId,
        words::DeadLetterReason,
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
    /// The whole of it, as JSON, with the salt.
    pub text: serde_json::Value,
    /// The salted commitment to it.
    pub commitment: [u8; 32],
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
        let mut text = serde_json::json!({ "outcome": ack.answer.outcome() });
        if let Some(evidence) = &ack.evidence {
            text["evidence"] = evidence_json(evidence);
        }
        if let Some(at) = ack.at {
            text["at"] = serde_json::json!(at);
        }
        if let Some(message) = &ack.message {
            text["message"] = serde_json::json!(message);
        }
        let (salt, commitment) = self.vault.commitment(text.to_string().as_bytes());
        text["salt"] = serde_json::json!(hex::encode(salt));
        Some(PreparedProof {
            records: ack.evidence.as_ref().and_then(|e| e.records),
            text,
            commitment,
        })
    }
}

fn evidence_json(evidence: &Evidence) -> serde_json::Value {
    let mut json = serde_json::Map::new();
    let mut put = |name: &str, value: Option<serde_json::Value>| {
        if let Some(value) = value {
            json.insert(name.to_owned(), value);
        }
    };
    put("method", evidence.method.as_ref().map(|v| serde_json::json!(v)));
    put("records", evidence.records.map(|v| serde_json::json!(v)));
    put(
        "reference",
        evidence.reference.as_ref().map(|v| serde_json::json!(v)),
    );
    put("digest", evidence.digest.as_ref().map(|v| serde_json::json!(v)));
    let by_category: serde_json::Map<String, serde_json::Value> = evidence
        .by_category
        .iter()
        .map(|(label, n)| (label.to_string(), serde_json::json!(n)))
        .collect();
    put(
        "by_category",
        (!by_category.is_empty()).then_some(serde_json::Value::Object(by_category)),
    );
    serde_json::Value::Object(json)
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
