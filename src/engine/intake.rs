//! Intake: a batch of commands becomes requests, recorded duplicates and dead letters, in one transaction.

mod alike;
mod counting;
mod decisions;
mod early;
mod opening;
mod twin;

pub(super) use counting::ACCEPTED;
pub(super) use decisions::{decision_note, reason_of};

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use alike::Alike;
use early::Early;

use super::{
    Engine, EngineError,
    agenda::leaders_of,
    effects::Emission,
    facts::{News, Told},
    known::Known,
    prepare::{Arrival, PreparedCommand},
    work::{Finished, UseCase, Work},
};
use crate::{
    domain::{
        backup::earlier,
        command::Command,
        ids::{CommandId, RequestId, Tenant},
        request::{gates::Approval, merged::Leader},
        time::At,
        words::DeadLetterReason,
    },
    store::{Attempts, Gate, InboxRow, Lock, StoredBody, Transaction},
    wire::Refusal,
};

/// What a volume is counted over.
const HOUR: Duration = Duration::from_secs(3600);

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It was carried out.
    Taken(RequestId),
    /// It had been taken before: nothing changed.
    Duplicate(RequestId),
    /// It waits for its request.
    Waiting(RequestId),
    /// It could not be taken.
    Refused(Refusal),
}

/// What a batch of commands came to.
#[derive(Debug)]
pub struct TakenIn {
    /// What became of each.
    pub verdicts: Vec<Verdict>,
    /// What has to be produced.
    pub emission: Emission,
}

impl Engine {
    /// Takes a batch of commands in. Some have a transaction of their own, in their place among the others.
    pub async fn take_in(&self, arrivals: &[Arrival<PreparedCommand>]) -> Result<TakenIn, EngineError> {
        self.note("intake", self.take_in_all(arrivals).await)
    }

    async fn take_in_all(&self, arrivals: &[Arrival<PreparedCommand>]) -> Result<TakenIn, EngineError> {
        let mut taken = TakenIn {
            verdicts: Vec::with_capacity(arrivals.len()),
            emission: Emission::default(),
        };
        for run in arrivals.chunk_by(|a, b| !stands_alone(a) && !stands_alone(b)) {
            let TakenIn { verdicts, emission } = match run {
                [arrival] => match news_of(arrival) {
                    Some((news, digest)) => self.take_in_news(arrival, news, digest).await?,
                    None => self.take_in_run(run).await?,
                },
                run => self.take_in_run(run).await?,
            };
            taken.verdicts.extend(verdicts);
            taken.emission.append(emission);
        }
        Ok(taken)
    }

    async fn take_in_news(
        &self,
        arrival: &Arrival<PreparedCommand>,
        news: News<'_>,
        digest: [u8; 16],
    ) -> Result<TakenIn, EngineError> {
        let (told, emission) = self.tell_command(arrival, news, digest).await?;
        let verdicts = vec![verdict_of(told, arrival)];
        self.count_commands(std::slice::from_ref(arrival), &verdicts);
        Ok(TakenIn { verdicts, emission })
    }

    async fn take_in_run(&self, arrivals: &[Arrival<PreparedCommand>]) -> Result<TakenIn, EngineError> {
        // What a replay would not name again is remembered here: whose requests they are is not in the message.
        let outboxed = arrivals
            .iter()
            .any(|arrival| arrival.origin.is_none() || brings_somebody_back(arrival));
        let mut attempts = Attempts::new(self.store.as_ref(), &*self.metrics, "intake");
        let mut gate = early::gate_of(arrivals);
        let (Decided { verdicts, refused }, finished) = loop {
            let done = self.take_in_once(arrivals, outboxed, gate, &mut attempts).await;
            match attempts.conclude(done).await.transpose()? {
                Some(Some(done)) => break done,
                // What waits for its request must not miss an opening that is under way.
                Some(None) => gate = Gate::Waiting,
                None => {}
            }
        };
        self.count_commands(arrivals, &verdicts);
        for reason in refused {
            self.metrics.dead_letter(reason);
        }
        let emission = finished.emit(self, outboxed).await?;
        Ok(TakenIn { verdicts, emission })
    }

    async fn take_in_once<'a>(
        &self,
        arrivals: &'a [Arrival<PreparedCommand>],
        outboxed: bool,
        gate: Gate,
        attempts: &mut Attempts<'_>,
    ) -> Result<Option<(Decided, Finished<'a>)>, EngineError> {
        let lock = attempts.lock();
        let mut tx = attempts.begin().await?;
        let done = self
            .write_commands(arrivals, outboxed, gate, &mut *tx, lock)
            .await?;
        if done.is_some() {
            tx.commit().await?;
        }
        Ok(done)
    }

    /// All that a transaction does which takes commands in, but for its end.
    async fn write_commands<'a>(
        &self,
        arrivals: &'a [Arrival<PreparedCommand>],
        outboxed: bool,
        gate: Gate,
        tx: &mut dyn Transaction,
        lock: Lock,
    ) -> Result<Option<(Decided, Finished<'a>)>, EngineError> {
        let known = self.pass_gate(tx, gate).await?;
        tx.advance(&self.advances_of(arrivals)).await?;
        let early = Early::read(self, arrivals, gate, tx).await?;
        let decided = self.decide_commands(arrivals, &known, early, tx, lock).await?;
        let Some((decided, work)) = decided else {
            return Ok(None);
        };
        let mut finished = work.finish(self, UseCase::Intake, known.now, outboxed)?;
        self.seal_capsules(&mut finished, tx).await?;
        tx.write(&finished.changes).await?;
        Ok(Some((decided, finished)))
    }

    /// `None`: a command would have to wait for its request, and an opening may be under way at the same time.
    async fn decide_commands<'a>(
        &self,
        arrivals: &'a [Arrival<PreparedCommand>],
        facts: &Known,
        early: Early,
        tx: &mut dyn Transaction,
        lock: Lock,
    ) -> Result<Option<(Decided, Work<'a>)>, EngineError> {
        let prepared = || {
            arrivals
                .iter()
                .filter_map(|arrival| arrival.content.as_ref().ok())
        };
        let keys: Vec<_> = prepared()
            .flat_map(|p| {
                let ids = [Some(p.command.command_id()), p.former_id];
                ids.into_iter().flatten().map(|id| (p.command.tenant(), id))
            })
            .collect();
        let now = facts.now;
        let opens = prepared().any(|p| matches!(p.command, Command::Open(_)));
        // Before any request is locked: whoever waits here holds none up.
        let room = if opens {
            self.room_before_brake(tx, now).await?
        } else {
            0
        };
        let returned = self.returned(arrivals, tx).await?;
        let mut ids: Vec<RequestId> = prepared().filter_map(|p| p.command.request_id()).collect();
        ids.extend(returned.values().flatten());
        let mut alike = self.alike(arrivals, tx).await?;
        ids.extend(alike.ids());
        ids.sort_unstable();
        ids.dedup();
        // In this order: whoever takes in the same command at once commits both rows together, so where the request is
        // seen its inbox row is seen as well. The other way round a repeat could pass for a conflict.
        let mut work = Work::with_loaded(tx.load(&ids, lock).await?, self.clock_skew);
        let known = tx.inbox(&keys).await?;
        let known = known
            .into_iter()
            .map(|row| ((row.tenant, row.command_id), (row.digest, row.request_id)))
            .collect();
        alike.read_bodies(tx).await?;
        let leaders = leaders_of(&work.followed(), tx, now).await?;
        let bodies = self.decided_about(arrivals, tx).await?;
        let leaves = self.purged_before(arrivals, &work, tx, lock).await?;
        let decided = catch_unwind(AssertUnwindSafe(|| {
            let mut decider = Decider {
                engine: self,
                facts,
                now,
                known,
                room,
                bodies,
                returned,
                alike,
                leaders,
                early,
                withhold: false,
                leaves,
                work: &mut work,
            };
            let verdicts = arrivals
                .iter()
                .map(|arrival| decider.decide(arrival))
                .collect::<Result<Vec<_>, EngineError>>()?;
            Ok::<_, EngineError>((!decider.early.undecided).then_some(Decided {
                verdicts,
                refused: decider.early.refused,
            }))
        }));
        let decided = decided.map_err(|_| EngineError::Panicked)??;
        Ok(decided.map(|decided| (decided, work)))
    }

    /// How many more requests may go ahead this hour without a second person.
    async fn room_before_brake(&self, tx: &mut dyn Transaction, now: At) -> Result<u64, EngineError> {
        let most = match self.approval {
            Approval::Never => return Ok(u64::MAX),
            Approval::Always => return Ok(0),
            Approval::AbovePerHour(most) => most,
        };
        let lately = tx.received_since(earlier(now, HOUR), most).await?;
        let room = u64::from(most).saturating_sub(lately);
        if room == 0 {
            tracing::warn!(
                most,
                "more requests an hour than the policy allows: new ones wait for an approval"
            );
        }
        Ok(room)
    }
}

/// What was decided about a batch.
struct Decided {
    /// What became of each command.
    verdicts: Vec<Verdict>,
    /// Why commands were dead-lettered that had waited for one of its requests.
    refused: Vec<DeadLetterReason>,
}

/// Decides one command after the other against what is stored and what the batch has done so far.
struct Decider<'e, 'w, 'a> {
    engine: &'e Engine,
    facts: &'e Known,
    now: At,
    /// What was taken in before, in this batch too: with the digest of its payload, and its request.
    known: foldhash::HashMap<(Tenant, CommandId), ([u8; 16], RequestId)>,
    /// How many more requests may go ahead without an approval.
    room: u64,
    /// The bodies of the requests that somebody decides about.
    bodies: HashMap<RequestId, StoredBody>,
    /// The requests of those who are back, by the command that says so.
    returned: HashMap<CommandId, Vec<RequestId>>,
    /// The requests of the same persons.
    alike: Alike,
    /// How those stand that requests of this batch were merged into.
    leaders: HashMap<RequestId, Leader>,
    /// Commands that came before their request.
    early: Early,
    /// Whether nothing is sent yet of the request that is being opened.
    withhold: bool,
    /// How many leaves the ledger has of requests that were purged and are opened once more.
    leaves: HashMap<RequestId, u32>,
    work: &'w mut Work<'a>,
}

impl<'a> Decider<'_, '_, 'a> {
    fn decide(&mut self, arrival: &'a Arrival<PreparedCommand>) -> Result<Verdict, EngineError> {
        let decided = match &arrival.content {
            Ok(prepared) => self.carry_out(prepared)?,
            Err(refusal) => Err(refusal.clone()),
        };
        let decided = match decided {
            Err(refusal) => self.wait_or_refuse(refusal, arrival)?,
            decided => decided,
        };
        match decided {
            Ok(verdict) => Ok(verdict),
            Err(refusal) => {
                // Over HTTP the answer says it; on a topic only a dead letter can.
                if let Some(origin) = &arrival.origin {
                    let letter = self.engine.dead_letter(
                        origin,
                        &refusal,
                        &arrival.raw,
                        &arrival.headers,
                        self.now,
                    )?;
                    self.work.dead_letters.push(letter);
                }
                Ok(Verdict::Refused(refusal))
            }
        }
    }

    fn carry_out(&mut self, prepared: &'a PreparedCommand) -> Result<Result<Verdict, Refusal>, EngineError> {
        let command = &prepared.command;
        let repeated = self.repeated(prepared);
        // Which regimes there are belongs to the shape of a command, and shape goes before state. But what was taken while
        // its regime was there stays taken.
        if !matches!(repeated, Some(Ok(_)))
            && let Command::Open(opening) = command
            && let Some(fault) = self.engine.rules.fault_of_regime(opening, self.now)
        {
            return Ok(Err(Refusal::schema(fault.to_string())));
        }
        if let Some(verdict) = repeated {
            return Ok(verdict);
        }
        let done = match command {
            Command::Open(opening) => self.open_in_order(opening, prepared)?,
            Command::Cancel(cancel) => self.cancel(cancel)?,
            Command::Decide(decide) => self.decide_request(decide)?,
            Command::Supply(supply) => self.supply(supply)?,
            Command::Reactivated(back) => self.reactivate(back)?,
            // They bring facts, which have transactions of their own.
            Command::Hold(_) | Command::Release(_) => Err(internal("a fact among requests")),
        };
        Ok(done.map(|id| {
            self.remember(prepared, id);
            Verdict::Taken(id)
        }))
    }

    /// The same command again changes nothing; the same id with another payload is a conflict.
    fn repeated(&self, prepared: &PreparedCommand) -> Option<Result<Verdict, Refusal>> {
        let command = &prepared.command;
        let known = |id| self.known.get(&(command.tenant().clone(), id));
        let Some((digest, request_id)) = known(command.command_id()) else {
            // Under the id of an event alone another source may have sent another one, which is no conflict.
            let (digest, request_id) = known(prepared.former_id?)?;
            return (*digest == prepared.digest).then_some(Ok(Verdict::Duplicate(*request_id)));
        };
        Some(if *digest == prepared.digest {
            Ok(Verdict::Duplicate(*request_id))
        } else {
            Err(conflict("this command_id was taken with another payload"))
        })
    }

    fn remember(&mut self, prepared: &PreparedCommand, request_id: RequestId) {
        let (tenant, command_id) = (prepared.command.tenant(), prepared.command.command_id());
        let seen = (prepared.digest, request_id);
        self.known.insert((tenant.clone(), command_id), seen);
        self.work.inbox.push(InboxRow {
            tenant: tenant.clone(),
            command_id,
            digest: prepared.digest,
            request_id,
        });
    }
}

/// Whether it has a transaction of its own: it brings a fact, or looks for requests that earlier commands may just have
/// opened.
fn stands_alone(arrival: &Arrival<PreparedCommand>) -> bool {
    news_of(arrival).is_some() || brings_somebody_back(arrival)
}

fn brings_somebody_back(arrival: &Arrival<PreparedCommand>) -> bool {
    arrival
        .content
        .as_ref()
        .is_ok_and(|prepared| matches!(prepared.command, Command::Reactivated(_)))
}

/// The news that it brings, with the digest of its payload. What cannot be read brings none.
fn news_of(arrival: &Arrival<PreparedCommand>) -> Option<(News<'_>, [u8; 16])> {
    let prepared = arrival.content.as_ref().ok()?;
    Some((News::of(prepared)?, prepared.digest))
}

fn verdict_of(told: Told, arrival: &Arrival<PreparedCommand>) -> Verdict {
    // A fact names no request, or many: its command stands for it.
    let id = arrival
        .content
        .as_ref()
        .map_or(RequestId(uuid::Uuid::nil()), |prepared| {
            RequestId(prepared.command.command_id().0)
        });
    match told {
        Told::Taken { .. } => Verdict::Taken(id),
        Told::Duplicate => Verdict::Duplicate(id),
        Told::Refused(refusal) => Verdict::Refused(refusal),
    }
}

fn conflict(detail: &str) -> Refusal {
    Refusal::new(DeadLetterReason::ConflictingDuplicate, detail.to_owned())
}

fn internal(detail: &str) -> Refusal {
    Refusal::new(DeadLetterReason::Internal, detail.to_owned())
}
