//! What is done to a message before its transaction, once and outside of it: parsing, sealing, checking the token.

use std::fmt;

use zeroize::Zeroizing;

use super::{Engine, EngineError};
use crate::{
    domain::{
        ack::Ack,
        backup::BackupEvent,
        body::Subject,
        command::{Command, Opening},
        fact::Fact,
        identity::Identity,
        ids::{CommandId, RequestId, Tenant},
        note::statement_of,
        time::At,
        words::DeadLetterReason,
    },
    store::{Origin, SubjectDigest, SuppressionRow},
    vault::SealedSubject,
    wire::{
        KeptHeaders, Refusal,
        backup::{ParsedBackup, parse_backup},
        command::{Door, ParsedCommand, parse_command},
        envelope::Envelope,
    },
};

/// A message that has arrived, prepared or refused.
pub struct Arrival<T> {
    /// Where it came from; `None`: over HTTP.
    pub origin: Option<Origin>,
    /// What it is.
    pub content: Result<T, Refusal>,
    /// The original bytes, for a dead letter; of a message that is too large to be kept, those at its start.
    pub raw: Zeroizing<Vec<u8>>,
    /// The headers that say what it is, for a dead letter too.
    pub headers: KeptHeaders,
    /// How it lay in its log; `None`: it was read from none.
    pub reading: Option<Reading>,
}

/// How a message lay in its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The offset after the message before it; `None`: its partition had no position.
    pub after: Option<i64>,
    /// The time that the log gives it.
    pub at: Option<At>,
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
    /// The keyed digests of the identifiers that a hold, or the news of a return, names.
    pub digests: Vec<SubjectDigest>,
}

/// A backup event, ready for its transaction.
#[derive(Debug)]
pub struct PreparedBackup {
    /// The event.
    pub event: BackupEvent,
    /// The keyed digest of its payload.
    pub digest: [u8; 16],
    /// Whether it brings its processor's token; `None`: it brings none.
    pub token_matches: Option<bool>,
    /// Whether an operator tells it, who may name processors that are no sources of the set.
    pub by_operator: bool,
}

/// The sealed subject of an opening.
#[derive(Debug, Clone)]
pub struct PreparedSubject {
    /// Sealed identifiers and their wrapped key.
    pub sealed: SealedSubject,
    /// The keyed digests of the identifiers.
    pub digests: Vec<SubjectDigest>,
    /// The identifiers as the suppression topic has them, where there is one and the request suppresses its subject.
    pub suppression: Vec<SuppressionRow>,
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
    /// The salted commitment to the statement.
    pub commitment: [u8; 32],
    /// Its salt.
    pub salt: [u8; 16],
    /// What it brings, as it is written down.
    pub statement: Vec<u8>,
}

/// Without the statement, which may hold anything.
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
        self.prepare_parsed(parse_command(bytes, envelope, door)?)
    }

    /// Refuses a tenant that is not served.
    pub fn check_served(&self, tenant: &Tenant) -> Result<(), Refusal> {
        if self.tenants.is_empty() || self.tenants.contains(tenant) {
            return Ok(());
        }
        Err(Refusal::new(
            DeadLetterReason::NotAllowed,
            "tenant: not one of those that are served here",
        ))
    }

    /// Prepares a command that was read already.
    pub fn prepare_parsed(&self, parsed: ParsedCommand) -> Result<PreparedCommand, Refusal> {
        self.check_served(parsed.command.tenant())?;
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
            Command::Cancel(_)
            | Command::Hold(_)
            | Command::Release(_)
            | Command::Decide(_)
            | Command::Supply(_)
            | Command::Reactivated(_) => None,
        };
        let digests = match &parsed.command {
            Command::Hold(hold) => self.digests_of(&hold.tenant, &hold.identities),
            Command::Reactivated(back) => self.digests_of(&back.tenant, &back.identities),
            _ => Vec::new(),
        };
        Ok(PreparedCommand {
            command: parsed.command,
            digest,
            subject,
            digests,
        })
    }

    /// Prepares the bytes of a backup event.
    pub fn prepare_backup(&self, bytes: &[u8], envelope: &Envelope<'_>) -> Result<PreparedBackup, Refusal> {
        let ParsedBackup { event, token } = parse_backup(bytes, envelope)?;
        // What it says, not how it is written: a repeat may have its fields in another order.
        let said = serde_json::to_vec(&event).map_err(|error| {
            // Without what it says, two events of one id could not be told apart.
            tracing::error!(%error, "a backup event could not be digested");
            Refusal::new(DeadLetterReason::Internal, "the event could not be digested")
        })?;
        let digest = self.vault.payload_digest(&self.tenant_default, &said);
        let token_matches = token.map(|token| self.vault.backup_token_matches(&event.processor, &token));
        Ok(PreparedBackup {
            event,
            digest,
            token_matches,
            by_operator: false,
        })
    }

    /// The keyed digests under which a subject is found, in order and each once.
    pub(super) fn digests_of(&self, tenant: &Tenant, identities: &[Identity]) -> Vec<SubjectDigest> {
        let mut digests: Vec<SubjectDigest> = identities
            .iter()
            .map(|identity| self.vault.lookup_digest(tenant, identity))
            .collect();
        digests.sort_unstable();
        digests.dedup();
        digests
    }

    fn prepare_subject(&self, opening: &Opening, canonical: &[u8]) -> Result<PreparedSubject, EngineError> {
        let (salt, commitment) = self.vault.commitment(canonical);
        let subject = Subject {
            identities: opening.identities.clone(),
            metadata: opening.metadata.clone(),
            salt,
        };
        let plain = Zeroizing::new(subject.pack()?);
        Ok(PreparedSubject {
            sealed: self
                .vault
                .seal_subject(&opening.tenant, opening.request_id, &plain),
            digests: self.digests_of(&opening.tenant, &opening.identities),
            suppression: if opening.scope.is_whole() {
                self.suppression_rows(opening.request_id, &opening.tenant, &opening.identities)
            } else {
                Vec::new()
            },
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
        let statement = statement_of(ack)?;
        let (salt, commitment) = self.vault.commitment(&statement);
        Some(PreparedProof {
            records: ack.evidence.as_ref().and_then(|e| e.records),
            commitment,
            salt,
            statement,
        })
    }
}

/// What arrives, by the request that it names.
pub trait Names {
    /// The request; `None`: it names none.
    fn request_id(&self) -> Option<RequestId>;
    /// What the store has to know of it once it was taken in; `None`: it may leave no trace.
    fn trace(&self) -> Option<Trace<'_>>;
}

/// What the store knows of a message that was taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trace<'a> {
    /// The inbox has this key.
    Inbox(&'a Tenant, CommandId),
    /// There is a fact of this key.
    Fact(String),
}

impl Names for PreparedBackup {
    fn request_id(&self) -> Option<RequestId> {
        None
    }

    fn trace(&self) -> Option<Trace<'_>> {
        Some(Trace::Fact(Fact::key_of_backup(&self.event)))
    }
}

impl Names for PreparedCommand {
    fn request_id(&self) -> Option<RequestId> {
        self.command.request_id()
    }

    fn trace(&self) -> Option<Trace<'_>> {
        Some(Trace::Inbox(self.command.tenant(), self.command.command_id()))
    }
}

impl Names for PreparedAck {
    fn request_id(&self) -> Option<RequestId> {
        Some(self.ack.request_id)
    }

    /// An answer that repeats another one changes nothing.
    fn trace(&self) -> Option<Trace<'_>> {
        None
    }
}
