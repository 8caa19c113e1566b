//! A lane that this worker runs: how much of its queue may be claimed now, and for whom.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::pace::Pace;
use crate::{
    domain::{ids::Tenant, registry::Processor, task::Queued, time::At},
    engine::{breaker::Breaker, circuits::OpenCircuit},
    store::Wanted,
};

/// So many tasks at the most wait in memory for a send to end: enough that no send waits for the store.
const MOST_PREFETCHED: usize = 64;

/// A lane that this worker runs.
#[derive(Debug)]
pub(super) struct RunningLane {
    pub(super) processor: Arc<Processor>,
    /// A permit for each task that is claimed and not answered.
    pub(super) claimed: Arc<Semaphore>,
    /// A permit for each send.
    pub(super) sending: Arc<Semaphore>,
    /// Ends the waiting of what is claimed and not sent.
    pub(super) stop: CancellationToken,
    pub(super) breaker: Breaker,
    pace: Option<Pace>,
    /// Nothing is claimed before it: the processor has asked for patience.
    quiet_until: Option<At>,
    /// The tenants with tasks in the queue, each with when its first one is due. Whoever was served last is the last.
    heads: VecDeque<(Tenant, At)>,
    /// Where the next look at tenants begins.
    pub(super) after: Option<Tenant>,
}

impl RunningLane {
    pub(super) fn new(processor: Arc<Processor>, circuit: Option<OpenCircuit>) -> Self {
        let sends = concurrency(&processor);
        Self {
            claimed: Arc::new(Semaphore::new(sends + prefetched(sends))),
            sending: Arc::new(Semaphore::new(sends)),
            stop: CancellationToken::new(),
            breaker: Breaker::new(processor.breaker, circuit),
            pace: processor.rate.and_then(Pace::new),
            quiet_until: None,
            heads: VecDeque::new(),
            after: None,
            processor,
        }
    }

    /// Another revision of the registry is active.
    pub(super) fn set_processor(&mut self, processor: Arc<Processor>) {
        if processor.concurrency != self.processor.concurrency {
            // What is out keeps its old permits until it is answered.
            let sends = concurrency(&processor);
            self.claimed = Arc::new(Semaphore::new(sends + prefetched(sends)));
            self.sending = Arc::new(Semaphore::new(sends));
        }
        match (processor.rate, &self.pace) {
            (Some(rate), Some(pace)) if pace.is_of(rate) => {}
            (rate, _) => self.pace = rate.and_then(Pace::new),
        }
        self.breaker.set_rules(processor.breaker);
        self.processor = processor;
    }

    /// A person has stopped it, or lets it go on.
    pub(super) fn set_stopped(&mut self, stopped: Option<Queued>) {
        match (stopped, self.stop.is_cancelled()) {
            (Some(_), false) => self.stop.cancel(),
            (None, true) => self.stop = CancellationToken::new(),
            _ => {}
        }
    }

    /// How many calls are under way.
    pub(super) fn under_way(&self) -> i64 {
        let calls = concurrency(&self.processor).saturating_sub(self.sending.available_permits());
        i64::try_from(calls).unwrap_or(i64::MAX)
    }

    /// Whether nothing of it is claimed and not answered.
    pub(super) fn is_idle(&self) -> bool {
        let sends = concurrency(&self.processor);
        self.claimed.available_permits() == sends + prefetched(sends)
    }

    /// The processor has asked for patience.
    pub(super) fn be_quiet(&mut self, until: At) {
        self.quiet_until = self.quiet_until.max(Some(until));
    }

    /// How many tasks may be claimed now.
    pub(super) fn room(&mut self, now: At) -> usize {
        if self.stop.is_cancelled() || self.quiet_until.is_some_and(|until| until > now) {
            return 0;
        }
        let mut room = self.claimed.available_permits();
        if let Some(most) = self.breaker.most(now) {
            room = room.min(most);
        }
        match &mut self.pace {
            Some(pace) if room > 0 => pace.allows(room),
            _ => room,
        }
    }

    /// Takes who has tasks in the queue. Those that are known keep their turn.
    pub(super) fn set_heads(&mut self, heads: Vec<(Tenant, At)>) {
        self.heads
            .retain(|(tenant, _)| heads.iter().any(|(new, _)| new == tenant));
        for (tenant, due) in heads {
            match self.heads.iter_mut().find(|(known, _)| *known == tenant) {
                Some(known) => known.1 = due,
                None => self.heads.push_back((tenant, due)),
            }
        }
    }

    /// What is wanted of the queue now: the room is shared out among the tenants that have something due.
    pub(super) fn wanted(&mut self, now: At, most: usize) -> Vec<Wanted> {
        let due = self.heads.iter().filter(|(_, due)| *due <= now).count();
        if due == 0 {
            return Vec::new();
        }
        let room = self.room(now).min(most);
        let mut wanted: Vec<Wanted> = Vec::new();
        let mut left = room;
        let turns = self.heads.len();
        for turn in 0..turns {
            let waiting = due.saturating_sub(wanted.len()).max(1);
            let share = left.div_ceil(waiting);
            let Some((tenant, at)) = self.heads.pop_front() else {
                break;
            };
            if at <= now && share > 0 {
                wanted.push(Wanted {
                    processor: self.processor.id.clone(),
                    tenant: tenant.clone(),
                    most: u32::try_from(share).unwrap_or(u32::MAX),
                });
                left -= share;
            }
            self.heads.push_back((tenant, at));
            if left == 0 && turn + 1 < turns {
                break;
            }
        }
        wanted
    }

    /// So many tasks of a tenant were claimed, of those that were wanted.
    pub(super) fn claimed(&mut self, wanted: &Wanted, tasks: usize) {
        if let Some(pace) = &mut self.pace {
            pace.go(tasks);
        }
        self.breaker.claimed(tasks);
        if tasks < wanted.most as usize {
            // It has no more that is due; the next look finds what comes.
            self.heads.retain(|(tenant, _)| *tenant != wanted.tenant);
        }
    }

    /// When something may be claimed that may not be now; `None`: nobody knows.
    pub(super) fn next_claim(&self, now: At) -> Option<At> {
        if self.stop.is_cancelled() || self.claimed.available_permits() == 0 {
            // It goes on with an answer, or when somebody lets it.
            return None;
        }
        let first = self.heads.iter().map(|(_, due)| *due).min()?;
        let later = [self.quiet_until, self.breaker.next_look(), Some(first)];
        let latest = later.into_iter().flatten().max()?;
        // One that is too fast goes on soon enough.
        Some(latest.max(now.plus(Duration::from_millis(10))))
    }

    /// For how long what is claimed may wait before it is sent; and how long a send may take.
    pub(super) fn times(&self, lease: Duration) -> (Duration, Duration) {
        /// For what has to be done after a call.
        const MARGIN: Duration = Duration::from_secs(2);
        let call = self.processor.call_timeout();
        let waiting = self.processor.answer_within(lease).saturating_sub(call + MARGIN);
        (waiting, call)
    }
}

fn concurrency(processor: &Processor) -> usize {
    processor.concurrency as usize
}

fn prefetched(sends: usize) -> usize {
    sends.min(MOST_PREFETCHED)
}
