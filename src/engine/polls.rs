//! The lanes whose agents ask for their tasks: which of them are claimed by whom, under the limits of the lane.
//!
//! No worker runs such a lane: an agent may ask any of them, so what has to hold for all workers together stands in the store. That is
//! the rate, which is taken before the claim and of which the rest is given back, and the circuit. Only what opens it is counted a
//! worker: each has enough answers of a lane that fails.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{Notify, futures::Notified};

use super::{
    Engine, EngineError,
    breaker::{Breaker, Seen},
    circuits::{OpenCircuit, circuit_of},
    prepare::{Arrival, PreparedAck},
    queues::Claimed,
    settlement::AckVerdict,
    use_cases::Queues,
};
use crate::{
    domain::{
        ids::{ProcessorId, Tenant},
        registry::{Processor, Rate, Transport},
        time::At,
        words::Outcome,
    },
    store::{LaneRow, Wanted},
};

/// A claim looks at the queue so often at the most: what one tenant has too little of, another one gets.
const ROUNDS: usize = 4;

/// What another worker takes at the same time is looked at again so often.
const RACES: usize = 8;

/// What this worker knows of the lanes whose agents ask for their tasks.
#[derive(Debug, Default)]
pub(super) struct PolledLanes {
    lanes: Mutex<BTreeMap<ProcessorId, PolledLane>>,
    rung: Notify,
}

/// What a worker remembers of such a lane.
#[derive(Debug)]
struct PolledLane {
    breaker: Breaker,
    /// The tenant that was served last: the next one is served first.
    after: Option<Tenant>,
}

impl PolledLanes {
    /// Tasks were put into queues: whoever waits for some looks again.
    pub(super) fn ring(&self) {
        self.rung.notify_waiters();
    }

    fn lanes(&self) -> MutexGuard<'_, BTreeMap<ProcessorId, PolledLane>> {
        // A thread that panicked here has left a lane that is no less true.
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, processor: &Processor, act: impl FnOnce(&mut PolledLane) -> T) -> T {
        let mut lanes = self.lanes();
        let lane = lanes.entry(processor.id.clone()).or_insert_with(|| PolledLane {
            breaker: Breaker::new(processor.breaker, None),
            after: None,
        });
        lane.breaker.set_rules(processor.breaker);
        act(lane)
    }
}

impl<'e> Queues<'e> {
    /// Resolves once a transaction of this worker has put tasks into queues.
    pub fn rung(self) -> Notified<'e> {
        self.shared.polled.rung.notified()
    }
}

impl Queues<'_> {
    /// Claims tasks for the agent of a processor: no more than it wants, and than its lane allows. `tenant`: only those of this one.
    pub async fn claim_for_agent(
        self,
        processor: &Processor,
        tenant: Option<&Tenant>,
        most: usize,
    ) -> Result<Claimed, EngineError> {
        let engine = self.shared;
        if engine.facts().stops().of(&processor.id).is_some() {
            return Ok(Claimed::default());
        }
        let rows = self.lanes().await?;
        let row = rows.iter().find(|row| row.processor == processor.id);
        // Where nothing is due nothing is taken of the rate, and an open circuit keeps its one try for a task.
        let due = self.tenants_due(processor, tenant).await?;
        if due.is_empty() {
            return Ok(Claimed::default());
        }
        let now = engine.clock.now();
        let Some(most) = self.pass_circuit(processor, row, most, now).await? else {
            return Ok(Claimed::default());
        };
        let (most, each) = match processor.rate {
            Some(rate) => (self.take_rate(processor, rate, most).await?, micros_of(rate)),
            None => (most, 0),
        };
        let claimed = self.claim_rounds(processor, (tenant, due), most).await;
        let used = claimed.as_ref().map_or(0, |claimed| claimed.tasks.len());
        let rest = i64::try_from(most.saturating_sub(used)).unwrap_or(i64::MAX);
        if each > 0 && rest > 0 {
            let rest = rest.saturating_mul(each);
            // What was claimed is handed out all the same. The lane is slower for a moment.
            if let Err(error) = engine.store.return_pace(&processor.id, rest).await {
                tracing::warn!(processor = %processor.id, %error, "the rest of a rate could not be given back");
            }
        }
        claimed
    }

    /// How many tasks the circuit lets through; `None`: nothing now. Where it is open and one may try, it is whoever asks first.
    async fn pass_circuit(
        self,
        processor: &Processor,
        row: Option<&LaneRow>,
        most: usize,
        now: At,
    ) -> Result<Option<usize>, EngineError> {
        let Some((row, open)) = row.and_then(|row| Some((row, circuit_of(row)?))) else {
            return Ok(Some(most));
        };
        if open.until > now {
            return Ok(None);
        }
        let next = OpenCircuit {
            until: now.plus(processor.breaker.probe_after),
            ..open
        };
        let is_ours = self
            .shared
            .replace_circuit(&processor.id, row.circuit.as_deref(), Some(&next))
            .await?;
        Ok(is_ours.then_some(1))
    }

    /// Takes as much of the rate as is left of it, up to so many tasks.
    async fn take_rate(self, processor: &Processor, rate: Rate, most: usize) -> Result<usize, EngineError> {
        let engine = self.shared;
        for _ in 0..RACES {
            let rows = engine.store.lanes().await?;
            let before = rows
                .iter()
                .find(|row| row.processor == processor.id)
                .map_or(0, |row| row.pace);
            let now = engine.clock.now().millis().saturating_mul(1000);
            let (tasks, pace) = paced(rate, before, now, most);
            if tasks == 0 || engine.store.replace_pace(&processor.id, before, pace).await? {
                return Ok(tasks);
            }
        }
        // Others take all the time: whoever asked asks again.
        Ok(0)
    }

    /// The room is shared out among the tenants that have something due; whoever was served last is the last.
    async fn claim_rounds(
        self,
        processor: &Processor,
        (tenant, mut tenants): (Option<&Tenant>, Vec<Tenant>),
        most: usize,
    ) -> Result<Claimed, EngineError> {
        let mut all = Claimed::default();
        for round in 0..ROUNDS {
            let left = most.saturating_sub(all.tasks.len());
            if left == 0 {
                break;
            }
            let claimed = match self
                .claim_round(processor, (tenant, &mut tenants), (round, left))
                .await
            {
                Ok(Some(claimed)) => claimed,
                Ok(None) => break,
                // What was claimed is the agent's: without it, it would wait for the end of its lease.
                Err(error) if !all.tasks.is_empty() => {
                    tracing::warn!(processor = %processor.id, %error, "fewer tasks are claimed together");
                    break;
                }
                Err(error) => return Err(error),
            };
            let is_all = claimed.found < left;
            all.found += claimed.found;
            all.tasks.extend(claimed.tasks);
            all.effects.append(claimed.effects);
            if claimed.found == 0 || (is_all && tenants.len() == 1) {
                break;
            }
        }
        Ok(all)
    }

    /// One look at the queue: at first for the tenants that have something due, then for those that have something left. `None`: none has.
    async fn claim_round(
        self,
        processor: &Processor,
        (tenant, tenants): (Option<&Tenant>, &mut Vec<Tenant>),
        (round, left): (usize, usize),
    ) -> Result<Option<Claimed>, EngineError> {
        if round > 0 {
            *tenants = self.tenants_due(processor, tenant).await?;
        }
        let wanted = shares(processor, tenants, left);
        if wanted.is_empty() {
            return Ok(None);
        }
        self.shared.polled.with(processor, |lane| {
            lane.after = wanted.last().map(|one| one.tenant.clone());
        });
        self.claim(&wanted).await.map(Some)
    }

    async fn tenants_due(
        self,
        processor: &Processor,
        only: Option<&Tenant>,
    ) -> Result<Vec<Tenant>, EngineError> {
        let engine = self.shared;
        if let Some(tenant) = only {
            return Ok(vec![tenant.clone()]);
        }
        let now = engine.clock.now();
        let after = engine.polled.with(processor, |lane| lane.after.clone());
        let mut tenants: Vec<Tenant> = Vec::new();
        let starts = if after.is_some() {
            vec![after, None]
        } else {
            vec![None]
        };
        for start in starts {
            for head in self.heads(&[(processor.id.clone(), start)]).await? {
                if head.due <= now && !tenants.contains(&head.tenant) {
                    tenants.push(head.tenant);
                }
            }
        }
        Ok(tenants)
    }
}

impl Engine {
    /// Watches what agents answer: where a lane fails, its circuit opens, and an answer of the task that tried closes it.
    pub(super) async fn watch_agents(&self, arrivals: &[Arrival<PreparedAck>], verdicts: &[AckVerdict]) {
        let Ok(active) = self.active() else { return };
        for (arrival, verdict) in arrivals.iter().zip(verdicts) {
            let (Ok(prepared), AckVerdict::Counted { .. }) = (&arrival.content, verdict) else {
                continue;
            };
            let Some(processor) = active.registry.get(&prepared.ack.processor) else {
                continue;
            };
            if !matches!(processor.transport, Transport::Agent) {
                continue;
            }
            let outcome = prepared.ack.answer.outcome();
            if let Err(error) = self.watch_agent(processor, outcome).await {
                // It is counted again with the next answer.
                tracing::warn!(processor = %processor.id, %error, "the circuit of a lane cannot be written down now");
            }
        }
    }

    async fn watch_agent(&self, processor: &Processor, outcome: Outcome) -> Result<(), EngineError> {
        let id = &processor.id;
        let known = self.open_circuits().get(id).cloned();
        let seen = match outcome {
            Outcome::Failed => Seen::Failed("its agent answered `failed`".to_owned()),
            _ => Seen::Answered,
        };
        let is_failure = matches!(seen, Seen::Failed(_));
        if let Some(open) = known {
            if is_failure {
                return Ok(());
            }
            let text = serde_json::to_string(&open)?;
            let closed = self.replace_circuit(id, Some(&text), None).await?;
            if closed {
                tracing::info!(processor = %id, "a processor answers again: its tasks are handed out");
            }
            return Ok(());
        }
        let now = self.clock.now();
        let opened = self.polled.with(processor, |lane| {
            let is_open = lane.breaker.see(seen, now);
            let open = lane.breaker.open().cloned();
            if is_open {
                // What stands in the store decides from now on; what comes after it is counted anew.
                lane.breaker = Breaker::new(processor.breaker, None);
            }
            open.filter(|_| is_open)
        });
        if let Some(open) = opened
            && self.replace_circuit(id, None, Some(&open)).await?
        {
            tracing::error!(
                processor = %id,
                why = open.why,
                until = %open.until,
                "a processor fails: its agent gets one task that tries; the others wait, and use up no attempts"
            );
        }
        Ok(())
    }

    async fn replace_circuit(
        &self,
        lane: &ProcessorId,
        before: Option<&str>,
        circuit: Option<&OpenCircuit>,
    ) -> Result<bool, EngineError> {
        let text = circuit.map(serde_json::to_string).transpose()?;
        let is_ours = self.store.replace_circuit(lane, before, text.as_deref()).await?;
        if is_ours {
            self.hear_circuit(lane, circuit);
        }
        Ok(is_ours)
    }
}

/// The first ones get one more where the room cannot be shared out evenly.
fn shares(processor: &Processor, tenants: &[Tenant], most: usize) -> Vec<Wanted> {
    let mut left = most;
    let mut wanted = Vec::new();
    for (n, tenant) in tenants.iter().enumerate() {
        let share = left.div_ceil(tenants.len() - n);
        if share == 0 {
            break;
        }
        left -= share;
        wanted.push(Wanted {
            processor: processor.id.clone(),
            tenant: tenant.clone(),
            most: u32::try_from(share).unwrap_or(u32::MAX),
        });
    }
    wanted
}

/// What one task takes of a rate, in microseconds.
fn micros_of(rate: Rate) -> i64 {
    let each = rate.per.as_micros() / u128::from(rate.tasks.max(1));
    i64::try_from(each).unwrap_or(i64::MAX).max(1)
}

/// How many tasks a rate allows now, and up to when it is used up then (the generic cell rate algorithm). A burst is what a second
/// allows: an agent asks for many at a time.
fn paced(rate: Rate, before: i64, now: i64, most: usize) -> (usize, i64) {
    const BURST: Duration = Duration::from_secs(1);
    let each = micros_of(rate);
    let burst = i64::try_from(BURST.as_micros()).unwrap_or(i64::MAX).max(each);
    let from = before.max(now);
    let room = now.saturating_add(burst).saturating_sub(from) / each;
    let tasks = usize::try_from(room).unwrap_or(0).min(most);
    let used = i64::try_from(tasks).unwrap_or(i64::MAX).saturating_mul(each);
    (tasks, from.saturating_add(used))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        tasks: 50,
        per: Duration::from_secs(1),
    };

    #[test]
    fn rate_allows_a_second_at_once_and_its_pace_after_it() {
        let now = 1_000_000_000;
        let (tasks, pace) = paced(RATE, 0, now, 500);
        assert_eq!(tasks, 50);
        assert_eq!(paced(RATE, pace, now, 500).0, 0);
        assert_eq!(paced(RATE, pace, now + 100_000, 500).0, 5);
        assert_eq!(paced(RATE, pace, now + 100_000, 3).0, 3);
    }

    #[test]
    fn slow_rate_allows_one_after_the_other() {
        let rate = Rate {
            tasks: 2,
            per: Duration::from_secs(3600),
        };
        let (tasks, pace) = paced(rate, 0, 5_000_000_000, 9);
        assert_eq!(tasks, 1);
        assert_eq!(paced(rate, pace, 5_000_000_000 + 1_799_000_000, 9).0, 0);
        assert_eq!(paced(rate, pace, 5_000_000_000 + 1_800_000_000, 9).0, 1);
    }
}
