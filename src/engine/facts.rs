//! Facts: holds and releases, each in a transaction of its own, and backup events, a few in each, under the exclusive gate
//! lock.
//!
//! Such a transaction writes the fact, its entry in the ledger and its sweep, and touches no request: what the fact
//! comes to is decided by whatever touches a request next, which is the sweep at the latest.

mod backups;
mod compaction;
mod stored;

use self::backups::Latest;
pub(super) use self::stored::{needs_sweep, of_nobody, store_fact};

use async_trait::async_trait;

use super::{
    Engine, EngineError,
    batch::Batch,
    decision_inputs::DecisionInputs,
    effects::Effects,
    prepare::{Arrival, PreparedBackup, PreparedCommand},
    time_ordered_id,
    unit_of_work::{Decision, Load, UnitOfWork, run},
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
    store::{Advance, Changes, Gate, InboxRow, Lock, NewFact, Origin, Transaction},
    wire::{KeptHeaders, Rejection},
};

/// What became of a message that brings a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FactOutcome {
    /// It holds from now on.
    Taken {
        /// How it contradicts what was known, if it does: it is kept, and proves nothing that is denied.
        contradiction: Option<Contradiction>,
    },
    /// It was known already.
    Duplicate,
    /// It could not be taken.
    Rejected(Rejection),
}

/// Something that is told.
#[derive(Debug, Clone, Copy)]
pub(super) enum FactCommand<'a> {
    Hold(&'a PlaceHold, &'a [SubjectDigest], &'a [FormerDigest]),
    Release(&'a ReleaseHold),
    Backup(&'a PreparedBackup),
    Unreadable(&'a Rejection),
    /// Somebody else tells it than it says; with why.
    Forged(&'static str),
}

/// A message that tells something.
struct Message<'a> {
    news: FactCommand<'a>,
    digest: [u8; 16],
    /// The id that an earlier version has given its command, where it would have been another one.
    former_id: Option<CommandId>,
    /// The same of its event, with its digest.
    former_event: Option<(EventId, [u8; 16])>,
    origin: Option<&'a Origin>,
    raw: &'a [u8],
    headers: &'a KeptHeaders,
}

/// Writes down what messages tell, in their order, and answers what became of each.
struct RecordFacts<'a> {
    engine: &'a Engine,
    messages: &'a [Message<'a>],
    advances: &'a [Advance],
}

#[async_trait]
impl UnitOfWork<'static> for RecordFacts<'_> {
    type Loaded = (Vec<FactOutcome>, Changes);
    type Output = Vec<FactOutcome>;
    type Error = EngineError;

    fn name(&self) -> &'static str {
        "fact"
    }

    /// What is refused in any case writes no fact, and keeps nobody from the gate.
    fn gate(&self) -> Gate {
        if self.messages.iter().all(|message| message.news.is_refused()) {
            Gate::Shared
        } else {
            Gate::Exclusive
        }
    }

    /// Each fact is written before the next message is looked at, which may be about it.
    async fn load(
        &self,
        tx: &mut dyn Transaction,
        inputs: &mut DecisionInputs,
        _: Lock,
    ) -> Result<Load<(Vec<FactOutcome>, Changes), Vec<FactOutcome>>, EngineError> {
        tx.advance(self.advances).await?;
        let now = inputs.now;
        let mut latest = Latest::of(inputs.clone());
        let mut changes = Changes::default();
        let mut all = Vec::with_capacity(self.messages.len());
        for message in self.messages {
            let told = match self.engine.decide_fact(message, &latest, tx, now).await? {
                Ok(Decided::New(fact, contradiction)) => {
                    latest.learn(&fact, now);
                    self.engine
                        .add_fact(*fact, message, tx, &mut changes, now)
                        .await?;
                    FactOutcome::Taken { contradiction }
                }
                Ok(Decided::Known) => FactOutcome::Duplicate,
                Err(rejection) => FactOutcome::Rejected(rejection),
            };
            if let (FactOutcome::Rejected(rejection), Some(origin)) = (&told, message.origin) {
                let (raw, headers) = (message.raw, message.headers);
                let letter = self.engine.dead_letter(origin, rejection, raw, headers, now)?;
                changes.dead_letters.push(letter);
            }
            all.push(told);
        }
        Ok(Load::Ready(Vec::new(), (all, changes)))
    }

    fn decide(
        &self,
        (told, changes): &mut (Vec<FactOutcome>, Changes),
        _: &DecisionInputs,
        batch: &mut Batch<'static>,
    ) -> Result<Decision<Vec<FactOutcome>>, EngineError> {
        batch.changes = std::mem::take(changes);
        Ok(Decision::Write(std::mem::take(told)))
    }
}

impl Engine {
    /// Takes a command in that brings news.
    pub(super) async fn record_command(
        &self,
        arrival: &Arrival<PreparedCommand>,
        news: FactCommand<'_>,
        digest: [u8; 16],
    ) -> Result<(FactOutcome, Effects), EngineError> {
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
        let (told, emission) = self.record(&[message], &advances).await?;
        let told = told.into_iter().next().ok_or(EngineError::Panicked)?;
        Ok((told, emission))
    }

    async fn record(
        &self,
        messages: &[Message<'_>],
        advances: &[Advance],
    ) -> Result<(Vec<FactOutcome>, Effects), EngineError> {
        let unit = RecordFacts {
            engine: self,
            messages,
            advances,
        };
        let done = run(self, &unit).await?;
        let mut emission = Effects::default();
        for letter in &done.finished.changes.dead_letters {
            emission.dead_letter(letter);
        }
        for (told, message) in done.answer.iter().zip(messages) {
            if let (FactOutcome::Taken { contradiction }, FactCommand::Backup(prepared)) =
                (told, message.news)
            {
                self.mention(&prepared.event, *contradiction)?;
            }
        }
        Ok((done.answer, emission))
    }

    async fn decide_fact(
        &self,
        message: &Message<'_>,
        known: &Latest,
        tx: &mut dyn Transaction,
        now: At,
    ) -> Result<Result<Decided, Rejection>, EngineError> {
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
            FactCommand::Unreadable(rejection) => Ok(Err(rejection.clone())),
            FactCommand::Forged(detail) => Ok(Err(Rejection::new(DeadLetterReason::ForgedAck, detail))),
            FactCommand::Hold(hold, digests, former) => {
                let found = tx.of_subjects(&possible_digests(digests, former)).await?;
                if let Some(rejection) = self.unknown_type(hold, &known.known, tx).await? {
                    return Ok(Err(rejection));
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
            FactCommand::Release(release) => Ok(self.decide_release(release, &known.known, tx).await?),
            FactCommand::Backup(prepared) => self.decide_backup(prepared, message, known, tx, now).await,
        }
    }

    async fn decide_release(
        &self,
        release: &ReleaseHold,
        inputs: &DecisionInputs,
        tx: &mut dyn Transaction,
    ) -> Result<Result<Decided, Rejection>, EngineError> {
        let fact = Fact::Release {
            tenant: release.tenant.clone(),
            hold_id: release.hold_id,
            actor: release.actor.clone(),
        };
        if inputs
            .facts
            .holds()
            .get(&release.tenant, release.hold_id)
            .is_some()
        {
            return Ok(Ok(Decided::New(Box::new(fact), None)));
        }
        let was_released = tx.fact(&fact.key()).await?.is_some();
        Ok(Err(Rejection::new(
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

impl<'a> FactCommand<'a> {
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

fn same(is_same: bool, key: &'static str) -> Result<Decided, Rejection> {
    if is_same {
        Ok(Decided::Known)
    } else {
        Err(conflict(match key {
            "event_id" => "this event_id was taken with another payload",
            _ => "this command_id was taken with another payload",
        }))
    }
}

fn conflict(detail: &'static str) -> Rejection {
    Rejection::new(DeadLetterReason::ConflictingDuplicate, detail)
}
