//! Facts: holds and releases, each in a transaction of its own, and backup events, a few in each, under the exclusive gate
//! lock.
//!
//! Such a transaction writes the fact, its entry in the ledger and its sweep, and touches no request: what the fact
//! comes to is decided by whatever touches a request next, which is the sweep at the latest.

mod backups;
mod compaction;
mod stored;

use self::backups::Latest;
pub(super) use self::stored::{needs_sweep, store_fact};

use super::{
    Engine, EngineError,
    effects::Emission,
    known::Known,
    prepare::{Arrival, PreparedBackup, PreparedCommand},
    time_ordered_id,
    work::UseCase,
};
use crate::{
    domain::{
        backup::Contradiction,
        command::{Command, PlaceHold, ReleaseHold},
        fact::Fact,
        hold::Hold,
        identity::{FormerDigest, SubjectDigest, possible_digests},
        ids::{CommandId, EventId, RequestId, Tenant},
        note::Notes,
        time::At,
        words::DeadLetterReason,
    },
    store::{Advance, Attempts, Changes, DeadLetter, Gate, InboxRow, NewFact, Origin, Transaction},
    wire::{KeptHeaders, Refusal},
};

/// What became of a message that brings a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// It holds from now on.
    Taken {
        /// How it contradicts what was known, if it does: it is kept, and proves nothing that is denied.
        contradiction: Option<Contradiction>,
    },
    /// It was known already.
    Duplicate,
    /// It could not be taken.
    Refused(Refusal),
}

/// Something that is told.
#[derive(Debug, Clone, Copy)]
pub(super) enum News<'a> {
    Hold(&'a PlaceHold, &'a [SubjectDigest], &'a [FormerDigest]),
    Release(&'a ReleaseHold),
    Backup(&'a PreparedBackup),
    Unreadable(&'a Refusal),
    /// Somebody else tells it than it says; with why.
    Forged(&'static str),
}

/// A message that tells something.
struct Message<'a> {
    news: News<'a>,
    digest: [u8; 16],
    /// The id that an earlier version has given its command, where it would have been another one.
    former_id: Option<CommandId>,
    /// The same of its event, with its digest.
    former_event: Option<(EventId, [u8; 16])>,
    origin: Option<&'a Origin>,
    raw: &'a [u8],
    headers: &'a KeptHeaders,
}

/// What a transaction came to.
struct Done {
    told: Vec<Told>,
    letters: Vec<DeadLetter>,
}

impl Engine {
    /// Takes a command in that brings news.
    pub(super) async fn tell_command(
        &self,
        arrival: &Arrival<PreparedCommand>,
        news: News<'_>,
        digest: [u8; 16],
    ) -> Result<(Told, Emission), EngineError> {
        let message = Message {
            news,
            digest,
            former_id: arrival
                .content
                .as_ref()
                .ok()
                .and_then(|prepared| prepared.former_id),
            former_event: None,
            origin: arrival.origin.as_ref(),
            raw: &arrival.raw,
            headers: &arrival.headers,
        };
        let advances = self.advances_of(std::slice::from_ref(arrival));
        let (told, emission) = self.tell(&[message], &advances).await?;
        let told = told.into_iter().next().ok_or(EngineError::Panicked)?;
        Ok((told, emission))
    }

    async fn tell(
        &self,
        messages: &[Message<'_>],
        advances: &[Advance],
    ) -> Result<(Vec<Told>, Emission), EngineError> {
        let mut attempts = Attempts::new(self.store.as_ref(), &*self.metrics, "fact");
        let done = loop {
            let done = self.tell_once(messages, advances, &mut attempts).await;
            if let Some(done) = attempts.conclude(done).await {
                break done?;
            }
        };
        let mut emission = Emission::default();
        for letter in &done.letters {
            emission.dead_letter(letter);
        }
        for (told, message) in done.told.iter().zip(messages) {
            if let (Told::Taken { contradiction }, News::Backup(prepared)) = (told, message.news) {
                self.mention(&prepared.event, *contradiction)?;
            }
        }
        Ok((done.told, emission))
    }

    async fn tell_once(
        &self,
        messages: &[Message<'_>],
        advances: &[Advance],
        attempts: &mut Attempts<'_>,
    ) -> Result<Done, EngineError> {
        let mut tx = attempts.begin().await?;
        // What is refused in any case writes no fact, and keeps nobody from the gate.
        let gate = if messages.iter().all(|message| message.news.is_refused()) {
            Gate::Shared
        } else {
            Gate::Exclusive
        };
        let mut known = Latest::of(self.pass_gate(&mut *tx, gate).await?);
        tx.advance(advances).await?;
        let now = known.known.now;
        let mut changes = Changes {
            slot: self.slot_of(UseCase::Other),
            at: now,
            ..Changes::default()
        };
        let mut all = Vec::with_capacity(messages.len());
        for message in messages {
            let told = match self.decide_news(message, &known, &mut *tx, now).await? {
                Ok(Decided::New(fact, contradiction)) => {
                    known.learn(&fact, now);
                    self.add_fact(*fact, message, &mut *tx, &mut changes, now).await?;
                    Told::Taken { contradiction }
                }
                Ok(Decided::Known) => Told::Duplicate,
                Err(refusal) => Told::Refused(refusal),
            };
            if let (Told::Refused(refusal), Some(origin)) = (&told, message.origin) {
                let letter = self.dead_letter(origin, refusal, message.raw, message.headers, now)?;
                changes.dead_letters.push(letter);
            }
            all.push(told);
        }
        tx.write(&changes).await?;
        tx.commit().await?;
        Ok(Done {
            told: all,
            letters: changes.dead_letters,
        })
    }

    async fn decide_news(
        &self,
        message: &Message<'_>,
        known: &Latest,
        tx: &mut dyn Transaction,
        now: At,
    ) -> Result<Result<Decided, Refusal>, EngineError> {
        if let Some((tenant, command_id, ..)) = message.news.command() {
            let keys: Vec<_> = [Some(command_id), message.former_id]
                .into_iter()
                .flatten()
                .map(|id| (tenant, id))
                .collect();
            let seen = tx.inbox(&keys).await?;
            if let Some(row) = seen.iter().find(|row| row.command_id == command_id) {
                return Ok(same(row.digest == message.digest, "command_id"));
            }
            // Under the id of an event alone another source may have sent another one.
            if seen.iter().any(|row| row.digest == message.digest) {
                return Ok(Ok(Decided::Known));
            }
        }
        match message.news {
            News::Unreadable(refusal) => Ok(Err(refusal.clone())),
            News::Forged(detail) => Ok(Err(Refusal::new(DeadLetterReason::ForgedAck, detail))),
            News::Hold(hold, digests, former) => {
                let found = tx.of_subjects(&possible_digests(digests, former)).await?;
                if let Some(refusal) = self.unknown_type(hold, &known.known, tx).await? {
                    return Ok(Err(refusal));
                }
                let fact = Fact::Hold(Hold {
                    hold_id: hold.hold_id,
                    tenant: hold.tenant.clone(),
                    basis: hold.basis,
                    actor: hold.actor.clone(),
                    subject: digests.to_vec(),
                    // No other transaction takes a request in meanwhile, and later ones see the hold.
                    found,
                    request_id: hold.request_id,
                    processor: hold.processor.clone(),
                    categories: hold.categories.clone(),
                    placed_at: now,
                });
                Ok(match tx.fact(&fact.key()).await? {
                    Some(_) => Err(conflict("hold_id: another command has placed a hold of this id")),
                    None => Ok(Decided::New(Box::new(fact), None)),
                })
            }
            News::Release(release) => Ok(self.decide_release(release, &known.known, tx).await?),
            News::Backup(prepared) => self.decide_backup(prepared, message, known, tx, now).await,
        }
    }

    async fn decide_release(
        &self,
        release: &ReleaseHold,
        known: &Known,
        tx: &mut dyn Transaction,
    ) -> Result<Result<Decided, Refusal>, EngineError> {
        let fact = Fact::Release {
            tenant: release.tenant.clone(),
            hold_id: release.hold_id,
            actor: release.actor.clone(),
        };
        if known
            .facts
            .holds()
            .get(&release.tenant, release.hold_id)
            .is_some()
        {
            return Ok(Ok(Decided::New(Box::new(fact), None)));
        }
        let was_released = tx.fact(&fact.key()).await?.is_some();
        Ok(Err(Refusal::new(
            DeadLetterReason::WrongState,
            if was_released {
                "hold_id: this hold was released before"
            } else {
                "hold_id: there is no such hold"
            },
        )))
    }

    /// Writes a fact down: itself, its entry in the ledger, and that its command was taken.
    async fn add_fact(
        &self,
        fact: Fact,
        message: &Message<'_>,
        tx: &mut dyn Transaction,
        changes: &mut Changes,
        now: At,
    ) -> Result<(), EngineError> {
        let id = time_ordered_id(now);
        let note = message.news.command().and_then(|(_, _, note)| note).map(|said| {
            let mut notes = Notes::default();
            notes.add_said(said);
            self.vault.seal_record(RequestId(id), 0, notes.as_bytes())
        });
        if let Some((tenant, command_id, _)) = message.news.command() {
            changes.inbox.push(InboxRow {
                tenant: tenant.clone(),
                command_id,
                digest: message.digest,
                // A hold may be on any number of requests: the inbox names the fact.
                request_id: RequestId(id),
            });
        }
        store_fact(
            NewFact {
                id,
                sweeps: needs_sweep(&fact),
                fact,
                digest: message.digest,
                sealed: note,
                at: now,
            },
            tx,
            changes,
        )
        .await
    }
}

/// What is told, looked at against what is known.
enum Decided {
    New(Box<Fact>, Option<Contradiction>),
    Known,
}

impl<'a> News<'a> {
    /// The news that a command brings; `None`: it is about requests.
    pub(super) fn of(prepared: &'a PreparedCommand) -> Option<Self> {
        match &prepared.command {
            Command::Hold(hold) => Some(Self::Hold(hold, &prepared.digests, &prepared.former)),
            Command::Release(release) => Some(Self::Release(release)),
            Command::Open(_)
            | Command::Cancel(_)
            | Command::Decide(_)
            | Command::Supply(_)
            | Command::Reactivated(_) => None,
        }
    }

    /// The command that tells it, with its free text; `None`: it is no command.
    fn command(&self) -> Option<(&'a Tenant, CommandId, Option<&'a str>)> {
        match self {
            Self::Hold(hold, ..) => Some((
                &hold.tenant,
                hold.command_id,
                hold.note.as_ref().map(|note| note.expose()),
            )),
            Self::Release(release) => Some((
                &release.tenant,
                release.command_id,
                release.note.as_ref().map(|note| note.expose()),
            )),
            Self::Backup(_) | Self::Unreadable(_) | Self::Forged(_) => None,
        }
    }

    const fn is_refused(&self) -> bool {
        matches!(self, Self::Unreadable(_) | Self::Forged(_))
    }
}

fn same(is_same: bool, key: &'static str) -> Result<Decided, Refusal> {
    if is_same {
        Ok(Decided::Known)
    } else {
        Err(conflict(match key {
            "event_id" => "this event_id was taken with another payload",
            _ => "this command_id was taken with another payload",
        }))
    }
}

fn conflict(detail: &'static str) -> Refusal {
    Refusal::new(DeadLetterReason::ConflictingDuplicate, detail)
}
