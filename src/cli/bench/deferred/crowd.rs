//! Many requests: taken in and answered by the engine, in batches as large as the worker's own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::{ToSpan, tz::TimeZone};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use zeroize::Zeroizing;

use super::{DAY, Pace};
use crate::{
    cli::bench::BenchError,
    clock::{ManualClock, Stopwatch},
    domain::{ids::RequestId, time::At},
    engine::{
        Engine,
        intake::Verdict,
        outputs::{Emission, RecordKind},
        prepare::{Arrival, PreparedAck, PreparedCommand},
        settle::AckVerdict,
    },
    sim::{Says, id_at, random::Random, reply},
    store::Origin,
    wire::{KeptHeaders, ack::parse_ack, command::Door, envelope::Envelope},
};

/// How many requests a transaction takes in.
pub(super) const BATCH: u64 = 500;

/// So many take in and settle side by side.
const HANDS: i32 = 4;

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
pub(super) struct Crowd {
    engine: Arc<Engine>,
    clock: ManualClock,
    random: Random,
    /// How many there are.
    count: u64,
    due: Vec<RequestId>,
    offsets: Arc<[AtomicU64]>,
}

impl Crowd {
    pub(super) fn new(engine: Arc<Engine>, clock: ManualClock) -> Self {
        Self {
            engine,
            clock,
            random: Random::new(rand::random()),
            count: 0,
            due: Vec::new(),
            offsets: (0..2 * HANDS).map(|_| AtomicU64::new(0)).collect(),
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
        let hand = self.hand(0);
        while pace.count < count {
            let ids = self.next_ids(kind);
            let watch = Stopwatch::start();
            let emission = hand.take_in(kind, &ids).await?;
            pace.elapsed += watch.elapsed();
            pace.count += BATCH;
            hand.answer(emission).await?;
        }
        Ok(pace)
    }

    /// Takes requests in and answers them, side by side.
    pub(super) async fn fill(&mut self, kind: Kind, count: u64) -> Result<Pace, BenchError> {
        let watch = Stopwatch::start();
        let mut hands = JoinSet::new();
        let mut batches: Vec<Vec<Vec<RequestId>>> = (0..HANDS).map(|_| Vec::new()).collect();
        for n in 0..count.div_ceil(BATCH) {
            let ids = self.next_ids(kind);
            if let Some(share) =
                batches.get_mut(usize::try_from(n).unwrap_or(0) % HANDS.unsigned_abs() as usize)
            {
                share.push(ids);
            }
        }
        for (hand, share) in (0..).zip(batches) {
            let (hand, clock) = (self.hand(hand), self.clock.clone());
            hands.spawn(async move {
                for ids in share {
                    let emission = hand.take_in(kind, &ids).await?;
                    hand.answer(emission).await?;
                    clock.advance(BATCH_TIME);
                }
                Ok::<_, BenchError>(())
            });
        }
        while let Some(done) = hands.join_next().await {
            done.map_err(|_| BenchError::Panicked)??;
        }
        Ok(Pace {
            count: count.div_ceil(BATCH) * BATCH,
            elapsed: watch.elapsed(),
        })
    }

    /// A hand with a partition of its own for commands and one for acks, as consumers have them.
    fn hand(&self, n: i32) -> Hand {
        Hand {
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

struct Hand {
    engine: Arc<Engine>,
    offsets: Arc<[AtomicU64]>,
    n: i32,
}

impl Hand {
    async fn take_in(&self, kind: Kind, ids: &[RequestId]) -> Result<Emission, BenchError> {
        let now = self.engine.clock.now();
        let arrivals: Vec<Arrival<PreparedCommand>> = ids
            .iter()
            .map(|id| self.command(&command(kind, *id, now)))
            .collect();
        let taken = self.engine.take_in(&arrivals).await?;
        let is_taken = |verdict: &Verdict| matches!(verdict, Verdict::Taken(_));
        if taken.verdicts.iter().all(is_taken) {
            Ok(taken.emission)
        } else {
            Err(BenchError::Usage("a command of the benchmark was refused"))
        }
    }

    /// Answers every task, as its processor would.
    async fn answer(&self, emission: Emission) -> Result<(), BenchError> {
        let now = self.engine.clock.now();
        let tasks = emission
            .records
            .iter()
            .filter(|record| matches!(record.kind, RecordKind::Task { .. }));
        let acks: Vec<Arrival<PreparedAck>> = tasks
            .zip(1..)
            .map(|(record, n)| {
                let bytes = reply(&record.payload, Says::Erased, n, now).unwrap_or_default();
                let parsed = parse_ack(&bytes, &Envelope::bare(&self.engine.tenant_default));
                Arrival {
                    origin: None,
                    content: parsed.map(|ack| self.engine.prepare_ack(ack)),
                    raw: Zeroizing::new(bytes),
                    headers: KeptHeaders::default(),
                }
            })
            .collect();
        // As the acks of systems of unequal speed come: those of a request in two transactions.
        let (first, second): (Vec<_>, Vec<_>) = acks.into_iter().enumerate().partition(|(n, _)| n % 2 == 0);
        for part in [first, second] {
            let part: Vec<_> = part
                .into_iter()
                .map(|(_, mut arrival)| {
                    arrival.origin = Some(self.origin(2 * self.n + 1));
                    arrival
                })
                .collect();
            let settled = self.engine.settle(&part).await?;
            let counts = |verdict: &AckVerdict| matches!(verdict, AckVerdict::Counted { .. });
            if !settled.verdicts.iter().all(counts) {
                return Err(BenchError::Usage("an ack of the benchmark did not count"));
            }
        }
        Ok(())
    }

    fn command(&self, command: &Value) -> Arrival<PreparedCommand> {
        let bytes = command.to_string().into_bytes();
        let envelope = Envelope::bare(&self.engine.tenant_default);
        Arrival {
            origin: Some(self.origin(2 * self.n)),
            content: self.engine.prepare_command(&bytes, &envelope, Door::Commands),
            raw: Zeroizing::new(bytes),
            headers: KeptHeaders::default(),
        }
    }

    fn origin(&self, partition: i32) -> Origin {
        let next = self.offsets.get(usize::try_from(partition).unwrap_or(0));
        let offset = next.map_or(0, |next| next.fetch_add(1, Ordering::Relaxed));
        Origin {
            cluster: Arc::clone(self.engine.cluster()),
            topic: Arc::from("the benchmark's own"),
            partition,
            offset: offset.cast_signed(),
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
