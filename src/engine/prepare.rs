//! What is done to a message before its transaction, once and outside of it: parsing, sealing, checking the token.

mod mapped;
mod ticket;
mod trace;

pub use trace::{Names, Trace};

use std::{fmt, sync::Arc};

use zeroize::Zeroizing;

use super::{
    Engine, EngineError,
    use_cases::{BackupEvents, Intake, Settlement},
};
use crate::{
    domain::{
        ack::Ack,
        backup::BackupEvent,
        body::Subject,
        command::{Command, Opening},
        identity::{FormerDigest, Identity},
        ids::{CommandId, EventId, Tenant},
        note::statement_of,
        time::At,
        words::DeadLetterReason,
    },
    store::{Origin, SubjectDigest, SuppressionRow},
    vault::SealedSubject,
    wire::{
        KeptHeaders, ParsedCommand, Rejection,
        backup::{ParsedBackup, parse_backup},
        command::{Channel, parse_command},
        envelope::Envelope,
    },
};

/// A message that has arrived, prepared or refused.
#[derive(Clone)]
pub struct Arrival<T> {
    /// Where it came from; `None`: over HTTP.
    pub origin: Option<Origin>,
    /// What it is.
    pub content: Result<T, Rejection>,
    /// The original bytes, for a dead letter; of a message that is too large to be kept, those at its start.
    pub raw: Zeroizing<Vec<u8>>,
    /// The headers that say what it is, for a dead letter too.
    pub headers: KeptHeaders,
    /// How it lay in its log; `None`: it was read from none.
    pub reading: Option<Reading>,
}

impl<T> Arrival<T> {
    /// What came in a call over HTTP: nothing has to be kept of it for a dead letter, because its caller is told.
    pub fn of_call(content: T) -> Self {
        Self::of_call_result(Ok(content))
    }

    /// As a part of the trace that it belongs to.
    #[must_use]
    pub fn traced(mut self, parent: Option<&str>) -> Self {
        if let Some(parent) = parent {
            self.headers = KeptHeaders::of([("traceparent", Some(parent.as_bytes()))]);
        }
        self
    }

    /// The same, where it may have been refused already.
    pub fn of_call_result(content: Result<T, Rejection>) -> Self {
        Self {
            origin: None,
            content,
            raw: Zeroizing::default(),
            headers: KeptHeaders::default(),
            reading: None,
        }
    }
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
#[derive(Debug, Clone)]
pub struct PreparedCommand {
    /// The command.
    pub command: Command,
    /// The id that an earlier version has given it, where it would have been another one.
    pub former_id: Option<CommandId>,
    /// The keyed digest of its payload.
    pub digest: [u8; 16],
    /// What an opening brings besides.
    pub subject: Option<PreparedSubject>,
    /// The keyed digests of the identifiers that a hold, or the news of a return, names.
    pub digests: Vec<SubjectDigest>,
    /// What earlier versions would have written for these identifiers.
    pub former: Vec<FormerDigest>,
    /// The `traceparent` that all that is done about it goes on from, where it is traced.
    pub trace: Option<Arc<str>>,
    /// The source whose event it was; `None`: somebody has written the command itself.
    pub source: Option<Arc<str>>,
}

/// A backup event, ready for its transaction.
#[derive(Debug, Clone)]
pub struct PreparedBackup {
    /// The event.
    pub event: BackupEvent,
    /// The keyed digest of its payload.
    pub digest: [u8; 16],
    /// Its id and its digest as an earlier version has written them, where it would have been another id.
    pub former: Option<(EventId, [u8; 16])>,
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
    /// What earlier versions would have written for these identifiers: looked for, never written.
    pub former: Vec<FormerDigest>,
    /// The keyed digest of its ticket, where its metadata has one: the request is found by it, and nobody is recognised.
    pub ticket: Option<SubjectDigest>,
    /// The identifiers as the suppression topic has them, where there is one and the request suppresses its subject.
    pub suppression: Vec<SuppressionRow>,
    /// The salted commitment to the command.
    pub commitment: [u8; 32],
}

/// An ack, ready for its transaction.
#[derive(Debug, Clone)]
pub struct PreparedAck {
    /// The ack.
    pub ack: Ack,
    /// Whether its token belongs to what it claims to answer.
    pub token_matches: bool,
    /// Its proof and free text, ready to be sealed beside the ledger.
    pub proof: Option<PreparedProof>,
}

/// The proof and the free text of an ack.
#[derive(Clone)]
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

impl Intake<'_> {
    /// Prepares the bytes of a command.
    pub fn prepare_command(
        self,
        bytes: &[u8],
        envelope: &Envelope<'_>,
        channel: Channel,
    ) -> Result<PreparedCommand, Rejection> {
        let mut prepared = self.prepare_parsed(parse_command(bytes, envelope, channel)?)?;
        let is_of_event = envelope.event_id() == Some(prepared.command.command_id().0);
        prepared.former_id = envelope.former_event_id().filter(|_| is_of_event).map(CommandId);
        prepared.trace = self.shared.trace_of(&prepared.command, envelope.traceparent);
        Ok(prepared)
    }

    /// Refuses a tenant that is not served.
    pub fn check_served(self, tenant: &Tenant) -> Result<(), Rejection> {
        if self.shared.tenants.is_empty() || self.shared.tenants.contains(tenant) {
            return Ok(());
        }
        Err(Rejection::new(
            DeadLetterReason::NotAllowed,
            "tenant: not one of those that are served here",
        ))
    }

    /// Prepares a command that was read already.
    pub fn prepare_parsed(self, parsed: ParsedCommand) -> Result<PreparedCommand, Rejection> {
        self.check_served(parsed.command.tenant())?;
        self.check_identities(&parsed.command)?;
        let digest = self
            .shared
            .vault
            .payload_digest(parsed.command.tenant(), &parsed.canonical);
        let subject = match &parsed.command {
            Command::Open(opening) => Some(self.prepare_subject(opening, &parsed.canonical).map_err(
                |error| {
                    // Only the vault's own state can be at fault here, never the message.
                    tracing::error!(%error, "a command could not be sealed");
                    Rejection::new(
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
        let (digests, former) = match &parsed.command {
            Command::Hold(hold) => self.shared.digests_of(&hold.tenant, &hold.identities),
            Command::Reactivated(back) => self.shared.digests_of(&back.tenant, &back.identities),
            _ => Default::default(),
        };
        Ok(PreparedCommand {
            command: parsed.command,
            former_id: None,
            digest,
            subject,
            digests,
            former,
            trace: None,
            source: None,
        })
    }

    fn check_identities(&self, command: &Command) -> Result<(), Rejection> {
        let (field, identities) = match command {
            Command::Open(opening) => ("subject.identities", &opening.identities),
            Command::Hold(hold) => ("subject.identities", &hold.identities),
            Command::Reactivated(back) => ("subject.identities", &back.identities),
            Command::Supply(supply) => ("identities", &supply.identities),
            Command::Cancel(_) | Command::Release(_) | Command::Decide(_) => return Ok(()),
        };
        self.shared.check_placeholders(field, identities)
    }

    fn prepare_subject(&self, opening: &Opening, canonical: &[u8]) -> Result<PreparedSubject, EngineError> {
        let (salt, commitment) = self.shared.vault.commitment(canonical);
        let subject = Subject {
            identities: opening.identities.clone(),
            metadata: opening.metadata.clone(),
            salt,
        };
        let plain = Zeroizing::new(subject.pack()?);
        let (digests, former) = self.shared.digests_of(&opening.tenant, &opening.identities);
        Ok(PreparedSubject {
            sealed: self
                .shared
                .vault
                .seal_subject(&opening.tenant, opening.request_id, &plain),
            digests,
            former,
            ticket: opening
                .metadata
                .as_ref()
                .and_then(ticket::ticket_of)
                .map(|ticket| self.shared.vault.ticket_digest(&opening.tenant, &ticket)),
            suppression: if opening.scope.is_whole() {
                self.shared
                    .suppression_rows(opening.request_id, &opening.tenant, &opening.identities)
            } else {
                Vec::new()
            },
            commitment,
        })
    }
}

impl BackupEvents<'_> {
    /// Prepares the bytes of a backup event.
    pub fn prepare_backup(self, bytes: &[u8], envelope: &Envelope<'_>) -> Result<PreparedBackup, Rejection> {
        let ParsedBackup { event, token } = parse_backup(bytes, envelope)?;
        let is_of_event = envelope.event_id() == Some(event.event_id.0);
        let former = envelope.former_event_id().filter(|_| is_of_event);
        let former = former.map(|id| {
            let event = BackupEvent {
                event_id: EventId(id),
                ..event.clone()
            };
            Ok((event.event_id, self.digest_of_backup(&event)?))
        });
        Ok(PreparedBackup {
            digest: self.digest_of_backup(&event)?,
            former: former.transpose()?,
            token_matches: token
                .map(|token| self.shared.vault.backup_token_matches(&event.processor, &token)),
            by_operator: false,
            event,
        })
    }

    /// What it says, not how it is written: a repeat may have its fields in another order.
    fn digest_of_backup(&self, event: &BackupEvent) -> Result<[u8; 16], Rejection> {
        let said = serde_json::to_vec(event).map_err(|error| {
            // Without what it says, two events of one id could not be told apart.
            tracing::error!(%error, "a backup event could not be digested");
            Rejection::new(DeadLetterReason::Internal, "the event could not be digested")
        })?;
        Ok(self
            .shared
            .vault
            .payload_digest(&self.shared.tenant_default, &said))
    }
}

impl Engine {
    /// The keyed digests under which a subject is found, in order and each once; and those that earlier versions would
    /// have written.
    pub(super) fn digests_of(
        &self,
        tenant: &Tenant,
        identities: &[Identity],
    ) -> (Vec<SubjectDigest>, Vec<FormerDigest>) {
        let mut former = Vec::new();
        let mut digests: Vec<SubjectDigest> = identities
            .iter()
            .map(|identity| self.vault.lookup_digests(tenant, identity, &mut former))
            .collect();
        digests.sort_unstable();
        digests.dedup();
        (digests, former)
    }

    /// Refuses what the configuration calls a placeholder; the rest was refused when it was read.
    pub fn check_placeholders(&self, field: &str, identities: &[Identity]) -> Result<(), Rejection> {
        match self.policy().placeholders.first_of(identities) {
            None => Ok(()),
            Some((place, fault)) => Err(Rejection::schema(format!("{field}[{place}].value: {fault}"))),
        }
    }
}

impl Settlement<'_> {
    /// Prepares an ack.
    pub fn prepare_ack(self, ack: Ack) -> Result<PreparedAck, Rejection> {
        self.shared.check_placeholders("identities", &ack.identities)?;
        let token_matches = self.shared.vault.token_matches(
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
        Ok(PreparedAck {
            ack,
            token_matches,
            proof,
        })
    }

    fn prepare_proof(&self, ack: &Ack) -> Option<PreparedProof> {
        let statement = statement_of(ack)?;
        let (salt, commitment) = self.shared.vault.commitment(&statement);
        Some(PreparedProof {
            records: ack.evidence.as_ref().and_then(|e| e.records),
            commitment,
            salt,
            statement,
        })
    }
}
