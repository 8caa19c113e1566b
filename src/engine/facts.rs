//! Facts: holds, releases and backup events, each in a transaction of its own, under the exclusive gate lock.
//!
//! Such a transaction writes the fact, its entry in the ledger and its sweep, and touches no request: what the fact
//! comes to is decided by whatever touches a request next, which is the sweep at the latest.

mod stored;

pub(super) use stored::{needs_sweep, store_fact};

use super::{
    Engine, EngineError,
    known::Known,
    outputs::Emission,
    prepare::{Arrival, PreparedBackup, PreparedCommand},
    time_ordered_id,
    work::UseCase,
};
use crate::{
    domain::{
        backup::{BackupChange, BackupEvent, Contradiction},
        command::{Command, PlaceHold, ReleaseHold},
        fact::Fact,
        hold::Hold,
        identity::{FormerDigest, SubjectDigest, possible_digests},
        ids::{CommandId, EventId, ProcessorId, RequestId, Tenant},
        note::Notes,
        registry::BackupSet,
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
    Backup(&'a BackupEvent),
    Unreadable(&'a Refusal),
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
    advances: Vec<Advance>,
    raw: &'a [u8],
    headers: &'a KeptHeaders,
}

/// What a transaction came to.
struct Done {
    told: Told,
    letter: Option<DeadLetter>,
}

impl Engine {
    /// Takes a command in that brings news.
    pub(super) async fn tell_command(
        &self,
        arrival: &Arrival<PreparedCommand>,
        news: News<'_>,
        digest: [u8; 16],
    ) -> Result<(Told, Emission), EngineError> {
        self.tell(Message {
            news,
            digest,
            former_id: arrival
                .content
                .as_ref()
                .ok()
                .and_then(|prepared| prepared.former_id),
            former_event: None,
            origin: arrival.origin.as_ref(),
            advances: self.advances_of(std::slice::from_ref(arrival)),
            raw: &arrival.raw,
            headers: &arrival.headers,
        })
        .await
    }

    /// Takes a batch of backup events in, one after the other.
    pub async fn tell_backups(
        &self,
        arrivals: &[Arrival<PreparedBackup>],
    ) -> Result<(Vec<Told>, Emission), EngineError> {
        self.note("backups", self.tell_all_backups(arrivals).await)
    }

    async fn tell_all_backups(
        &self,
        arrivals: &[Arrival<PreparedBackup>],
    ) -> Result<(Vec<Told>, Emission), EngineError> {
        let (mut all, mut emission) = (Vec::with_capacity(arrivals.len()), Emission::default());
        for arrival in arrivals {
            let (news, digest, former_event) = match &arrival.content {
                Ok(prepared) => (News::Backup(&prepared.event), prepared.digest, prepared.former),
                Err(refusal) => (News::Unreadable(refusal), [0; 16], None),
            };
            let message = Message {
                news,
                digest,
                former_id: None,
                former_event,
                origin: arrival.origin.as_ref(),
                advances: self.advances_of(std::slice::from_ref(arrival)),
                raw: &arrival.raw,
                headers: &arrival.headers,
            };
            let (told, emitted) = self.tell(message).await?;
            if let (Told::Refused(refusal), Some(_)) = (&told, &arrival.origin) {
                self.metrics.dead_letter(refusal.reason);
            }
            all.push(told);
            emission.append(emitted);
        }
        Ok((all, emission))
    }

    async fn tell(&self, message: Message<'_>) -> Result<(Told, Emission), EngineError> {
        let mut attempts = Attempts::new(self.store.as_ref(), &*self.metrics, "fact");
        let done = loop {
            let done = self.tell_once(&message, &mut attempts).await;
            if let Some(done) = attempts.conclude(done).await {
                break done?;
            }
        };
        if let (Told::Taken { .. }, News::Backup(event)) = (&done.told, message.news) {
            for warning in self.warnings_of_backup(event)? {
                tracing::warn!(processor = %event.processor, warning, "a backup event may not mean what it says");
            }
        }
        let mut emission = Emission::default();
        if let Some(letter) = &done.letter {
            self.emit_dead_letter(letter, &mut emission);
        }
        if let Told::Taken {
            contradiction: Some(contradiction),
        } = &done.told
            && let News::Backup(event) = message.news
        {
            let processor = event.processor.as_str();
            tracing::warn!(processor, %contradiction, "a backup event contradicts what is known");
            self.metrics.backup_contradiction(processor);
        }
        Ok((done.told, emission))
    }

    /// What whoever told of a backup should look at again: a misspelt name would leave restored data alive.
    pub fn warnings_of_backup(&self, event: &BackupEvent) -> Result<Vec<String>, EngineError> {
        let active = self.active()?;
        let BackupChange::Restored { restored_into, .. } = &event.change else {
            return Ok(Vec::new());
        };
        let set = active
            .registry
            .get(&event.processor)
            .and_then(|processor| processor.backup.as_ref());
        let is_source = |id: &ProcessorId| set.is_some_and(|set| set.sources.contains(id));
        Ok(restored_into
            .iter()
            .filter_map(|id| match active.registry.get(id) {
                None => Some(format!("restored_into: no processor {id} is registered; nothing of it is done again")),
                Some(_) if !is_source(id) => Some(format!(
                    "restored_into: {id} is no source of this set, so forgotten identifiers were not kept for it"
                )),
                Some(_) => None,
            })
            .collect())
    }

    async fn tell_once(
        &self,
        message: &Message<'_>,
        attempts: &mut Attempts<'_>,
    ) -> Result<Done, EngineError> {
        let mut tx = attempts.begin().await?;
        let known = self.pass_gate(&mut *tx, Gate::Exclusive).await?;
        tx.advance(&message.advances).await?;
        let now = known.now;
        let mut changes = Changes {
            slot: self.slot_of(UseCase::Other),
            at: now,
            ..Changes::default()
        };
        let told = match self.decide_news(message, &known, &mut *tx, now).await? {
            Ok(Decided::New(fact, contradiction)) => {
                self.add_fact(*fact, message, &mut *tx, &mut changes, now).await?;
                Told::Taken { contradiction }
            }
            Ok(Decided::Known) => Told::Duplicate,
            Err(refusal) => Told::Refused(refusal),
        };
        if let (Told::Refused(refusal), Some(origin)) = (&told, message.origin) {
            changes.dead_letters.push(self.dead_letter(
                origin,
                refusal,
                message.raw,
                message.headers,
                now,
            )?);
        }
        tx.write(&changes).await?;
        tx.commit().await?;
        Ok(Done {
            told,
            letter: changes.dead_letters.pop(),
        })
    }

    async fn decide_news(
        &self,
        message: &Message<'_>,
        known: &Known,
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
            News::Hold(hold, digests, former) => {
                let found = tx.of_subjects(&possible_digests(digests, former)).await?;
                if let Some(refusal) = self.unknown_type(hold, known, tx).await? {
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
            News::Release(release) => Ok(self.decide_release(release, known, tx).await?),
            News::Backup(event) => self.decide_backup(event, message, known, tx, now).await,
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

    async fn decide_backup(
        &self,
        event: &BackupEvent,
        message: &Message<'_>,
        known: &Known,
        tx: &mut dyn Transaction,
        now: At,
    ) -> Result<Result<Decided, Refusal>, EngineError> {
        let fact = Fact::Backup(event.clone());
        if let Some(before) = tx.fact(&fact.key()).await? {
            return Ok(same(before.digest == message.digest, "event_id"));
        }
        if let Some((id, digest)) = message.former_event {
            let former = Fact::Backup(BackupEvent {
                event_id: id,
                ..event.clone()
            });
            if tx
                .fact(&former.key())
                .await?
                .is_some_and(|before| before.digest == digest)
            {
                return Ok(Ok(Decided::Known));
            }
        }
        let set = known
            .active
            .registry
            .get(&event.processor)
            .and_then(|processor| processor.backup.as_ref());
        Ok(self
            .check_backup(event, set, now)
            .map(|()| Decided::New(Box::new(fact), contradiction(event, known, now))))
    }

    /// What nobody can know yet is a mistake, and a set that is not registered proves nothing.
    fn check_backup(&self, event: &BackupEvent, set: Option<&BackupSet>, now: At) -> Result<(), Refusal> {
        if set.is_none_or(|set| set.set != event.set) {
            return Err(Refusal::new(
                DeadLetterReason::UnknownBackup,
                "processor, set: no processor of this id is registered with this set",
            ));
        }
        let (field, at) = match &event.change {
            BackupChange::Taken { taken_at, .. } | BackupChange::Restored { taken_at, .. } => {
                ("taken_at: lies in the future", *taken_at)
            }
            BackupChange::Rotated { oldest_retained_at } => {
                ("oldest_retained_at: lies in the future", *oldest_retained_at)
            }
        };
        if at > now.plus(self.clock_skew) {
            return Err(Refusal::schema(field));
        }
        Ok(())
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
            Self::Backup(_) | Self::Unreadable(_) => None,
        }
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

fn contradiction(event: &BackupEvent, known: &Known, now: At) -> Option<Contradiction> {
    known
        .facts
        .copies(&event.processor)?
        .contradicts(&event.change, now)
}
