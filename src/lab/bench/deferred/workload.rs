//! Many requests: taken in and answered by the engine, in batches as large as the worker's own.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::{ToSpan, tz::TimeZone};
use rand::SeedableRng as _;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{DAY, Pace};
use crate::{
    clock::{ManualClock, Stopwatch},
    domain::{ids::RequestId, time::At},
    engine::{
        Engine,
        effects::Effects,
        intake::Verdict,
        prepare::{Arrival, PreparedAck, PreparedCommand},
        settlement::AckVerdict,
    },
    lab::{
        bench::BenchError,
        harness::arrivals,
        sim::{Says, id_at, random::Random, reply},
    },
    store::Origin,
    wire::command::Channel,
};

/// How many requests a transaction takes in.
pub(super) const BATCH: u64 = 500;

/// So many take in and settle side by side.
const LANES: i32 = 4;

/// How many batches are taken in before the first answers to one come, and how many before its last ones: systems take a
/// while, and others are taken in and settled meanwhile.
const ANSWERED_AFTER: [usize; 2] = [2, 4];

/// How much of the turned clock's time a batch takes: as in life, no two batches are confirmed at the same moment.
const BATCH_TIME: Duration = Duration::from_millis(50);

/// What a request is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Two live systems and nothing else: completed when both have answered.
    Live,
    /// Two live systems, two backup sets, and invoices that are kept for years yet.
    Parked,
    /// The same, with invoices that are kept for a month yet.
    Due,
}

/// All of them.
pub(super) struct Workload {
    engine: Arc<Engine>,
    clock: ManualClock,
    random: Random,
    /// How many there are.
    count: u64,
    due: Vec<RequestId>,
    offsets: Arc<[AtomicU64]>,
}

impl Workload {
    pub(super) fn new(engine: Arc<Engine>, clock: ManualClock) -> Self {
        Self {
            engine,
            clock,
            random: Random::seed_from_u64(rand::random()),
            count: 0,
            due: Vec::new(),
            offsets: (0..2 * LANES).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Some of those that fall due, spread evenly over them.
    pub(super) fn sample(&self, count: u64) -> Vec<RequestId> {
        let step = self
            .due
            .len()
            .div_ceil(usize::try_from(count).unwrap_or(1))
            .max(1);
        self.due.iter().step_by(step).copied().collect()
    }

    /// Takes requests in, one batch after the other, and says how long that took; then they are answered, which counts
    /// for nothing.
    pub(super) async fn take_in(&mut self, kind: Kind, count: u64) -> Result<Pace, BenchError> {
        let mut pace = Pace::default();
        let lane = self.lane(0);
        while pace.count < count {
            let ids = self.next_ids(kind);
            let watch = Stopwatch::start();
            let emission = lane.take_in(kind, &ids).await?;
            pace.elapsed += watch.elapsed();
            pace.count += BATCH;
            lane.settle_some(&mut VecDeque::from([lane.acks(emission)]), [0, 0])
                .await?;
        }
        Ok(pace)
    }

    /// Takes requests in and answers them, side by side.
    pub(super) async fn fill(&mut self, kind: Kind, count: u64) -> Result<Pace, BenchError> {
        let watch = Stopwatch::start();
        let mut lanes = JoinSet::new();
        let mut batches: Vec<Vec<Vec<RequestId>>> = (0..LANES).map(|_| Vec::new()).collect();
        for n in 0..count.div_ceil(BATCH) {
            let ids = self.next_ids(kind);
            if let Some(share) =
                batches.get_mut(usize::try_from(n).unwrap_or(0) % LANES.unsigned_abs() as usize)
            {
                share.push(ids);
            }
        }
        for (lane, share) in (0..).zip(batches) {
            let (lane, clock) = (self.lane(lane), self.clock.clone());
            lanes.spawn(async move {
                let mut open = Open::default();
                for ids in share {
                    open.push_back(lane.acks(lane.take_in(kind, &ids).await?));
                    lane.settle_some(&mut open, ANSWERED_AFTER).await?;
                    clock.advance(BATCH_TIME);
                }
                while !open.is_empty() {
                    lane.settle_some(&mut open, [0, 0]).await?;
                }
                Ok::<_, BenchError>(())
            });
        }
        while let Some(done) = lanes.join_next().await {
            done.map_err(|_| BenchError::Panicked)??;
        }
        Ok(Pace {
            count: count.div_ceil(BATCH) * BATCH,
            elapsed: watch.elapsed(),
        })
    }

    /// A lane with a partition of its own for commands and one for acks, as consumers have them.
    fn lane(&self, n: i32) -> Lane {
        Lane {
            engine: Arc::clone(&self.engine),
            offsets: Arc::clone(&self.offsets),
            n,
        }
    }

    /// In the order of time, as real ids are.
    fn next_ids(&mut self, kind: Kind) -> Vec<RequestId> {
        let now = self.engine.clock.now();
        let mut ids: Vec<RequestId> = (0..BATCH)
            .map(|n| {
                let at = now.plus(Duration::from_millis((self.count + n) / 8));
                RequestId(id_at(at, &mut self.random))
            })
            .collect();
        ids.sort_unstable();
        self.count += BATCH;
        if kind == Kind::Due {
            self.due.extend(&ids);
        }
        ids
    }
}

/// Batches that are not answered in whole, the oldest first.
type Open = VecDeque<[Vec<Arrival<PreparedAck>>; 2]>;

struct Lane {
    engine: Arc<Engine>,
    offsets: Arc<[AtomicU64]>,
    n: i32,
}

impl Lane {
    async fn take_in(&self, kind: Kind, ids: &[RequestId]) -> Result<Effects, BenchError> {
        let now = self.engine.clock.now();
        let arrivals: Vec<Arrival<PreparedCommand>> = ids
            .iter()
            .map(|id| self.command(&command(kind, *id, now)))
            .collect();
        let taken = self.engine.intake().take_in(&arrivals).await?;
        let is_taken = |verdict: &Verdict| matches!(verdict, Verdict::Taken(_));
        if taken.verdicts.iter().all(is_taken) {
            Ok(taken.emission)
        } else {
            Err(BenchError::Usage("a command of the benchmark was refused"))
        }
    }

    /// What the processors answer to a batch, in two parts: those of a request come in two transactions, because systems
    /// are of unequal speed.
    fn acks(&self, emission: Effects) -> [Vec<Arrival<PreparedAck>>; 2] {
        let now = self.engine.clock.now();
        let mut parts = [Vec::new(), Vec::new()];
        for (task, n) in emission.tasks().zip(0..) {
            let message = serde_json::to_vec(&task.message("acks", None)).unwrap_or_default();
            let bytes = reply(&message, Says::Erased, n, now).unwrap_or_default();
            parts[usize::from(n % 2 == 1)].push(arrivals::ack(&self.engine, None, &bytes));
        }
        parts
    }

    /// Settles the first and the last answers of the batches behind which so many others have been taken in, and closes
    /// the oldest with its last ones.
    async fn settle_some(&self, open: &mut Open, after: [usize; 2]) -> Result<(), BenchError> {
        let due = |open: &Open, after: usize| open.len().checked_sub(after + 1);
        if let Some(place) = due(open, after[0])
            && let Some([first, _]) = open.get_mut(place)
        {
            self.settle(std::mem::take(first)).await?;
        }
        if due(open, after[1]).is_some()
            && let Some(parts) = open.pop_front()
        {
            for part in parts {
                self.settle(part).await?;
            }
        }
        Ok(())
    }

    async fn settle(&self, mut acks: Vec<Arrival<PreparedAck>>) -> Result<(), BenchError> {
        if acks.is_empty() {
            return Ok(());
        }
        // Offsets grow in the order in which a partition is read.
        for arrival in &mut acks {
            arrival.origin = Some(self.origin(2 * self.n + 1));
        }
        let settled = self.engine.settlement().settle(&acks).await?;
        let counts = |verdict: &AckVerdict| matches!(verdict, AckVerdict::Counted { .. });
        if settled.verdicts.iter().all(counts) {
            Ok(())
        } else {
            Err(BenchError::Usage("an ack of the benchmark did not count"))
        }
    }

    fn command(&self, command: &Value) -> Arrival<PreparedCommand> {
        let origin = Some(self.origin(2 * self.n));
        arrivals::command(
            &self.engine,
            origin,
            Channel::Commands,
            command.to_string().as_bytes(),
        )
    }

    fn origin(&self, partition: i32) -> Origin {
        let next = self.offsets.get(usize::try_from(partition).unwrap_or(0));
        let offset = next.map_or(0, |next| next.fetch_add(1, Ordering::Relaxed));
        Origin {
            cluster: Arc::clone(self.engine.cluster()),
            topic: Arc::from("the benchmark's own"),
            partition,
            offset: offset.cast_signed(),
            incarnation: 0,
        }
    }
}

/// The command that opens a request.
pub(super) fn command(kind: Kind, id: RequestId, now: At) -> Value {
    let scope = match kind {
        Kind::Live => json!(["desk", "mail"]),
        Kind::Parked | Kind::Due => json!(["crm", "payments"]),
    };
    json!({
        "command_id": id, "type": "erase", "request_id": id, "tenant": "acme", "regime": "gdpr",
        "subject": { "identities": [
            { "type": "email", "value": format!("{id}@customers.example.org") },
            { "type": "customer_id", "value": id },
        ]},
        "reason": "account_closed", "requested_at": now, "scope": { "processors": scope },
        "anchors": { "account_closed_at": closed_at(kind, now) }, "identity_verified": true,
        "metadata": {
            "ticket": "T-1234567", "source": "account-service", "channel": "self-service",
            "note": "closed by the customer in the account settings",
        },
    })
}

/// When the account was closed that the invoices belong to.
fn closed_at(kind: Kind, now: At) -> At {
    let years = if kind == Kind::Due { 5 } else { 0 };
    let closed = now.timestamp().to_zoned(TimeZone::UTC);
    let closed = closed
        .checked_sub(years.years())
        .map_or(now, |closed| closed.timestamp().into());
    if kind == Kind::Due {
        closed.plus(30 * DAY)
    } else {
        closed
    }
}
