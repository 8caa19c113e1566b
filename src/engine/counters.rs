//! Differences to the counters that gauges are read from.

mod census;

use foldhash::{HashMap, HashSet};

pub(super) use self::census::since as census_since;
use self::census::{Census, HandedOver};

use crate::{
    domain::{
        backup::Week,
        fact::CapsuleEpoch,
        ids::ProcessorId,
        request::{Bookkeeping, Life, Move, Request},
        time::At,
        words::{Status, TaskStateName, Why},
    },
    store::{CounterKey, OUT},
};

/// Differences to the counters that gauges are read from. A word stands for its place in its vocabulary: every request of
/// a batch counts several times.
#[derive(Debug)]
pub(super) struct Counters {
    census: Census,
    tasks: HashMap<ProcessorId, [i64; TaskStateName::ALL.len()]>,
    requests: [i64; Status::ALL.len()],
    deferred: [i64; Why::ALL.len()],
    undeliverable: HashMap<ProcessorId, i64>,
    queued: HashMap<ProcessorId, i64>,
    /// By the minute in which they were sent.
    out: HashMap<ProcessorId, HashMap<i64, i64>>,
    flags: [i64; FLAGS.len()],
    /// Requests whose identifiers are in a capsule only, by its week and its sets: they can be opened as long as its key is
    /// there, and nobody touches them when it is destroyed.
    capsules: HashMap<(Week, String), i64>,
}

/// How a request stood before something happened to it.
#[derive(Debug, Clone)]
pub(super) struct Before {
    pub(super) life: Life,
    pub(super) bookkeeping: Bookkeeping,
}

impl Before {
    pub(super) fn of(request: &Request) -> Self {
        Self {
            life: request.life.clone(),
            bookkeeping: request.bookkeeping.clone(),
        }
    }
}

/// A name of a gauge, and what it counts of a request.
type Flag = (&'static str, fn(&Life, &Bookkeeping) -> bool);

/// Counts requests whose identifiers are in a capsule only.
const CAPSULES: &str = "capsules";

/// How many requests can be opened by a capsule of these epochs.
pub(super) fn in_capsules(counters: &[(CounterKey, i64)], living: &[CapsuleEpoch]) -> i64 {
    let living: HashSet<(String, String)> = living
        .iter()
        .map(|epoch| (epoch.week.to_string(), epoch.name()))
        .collect();
    let is_living =
        |key: &CounterKey| key.kind == CAPSULES && living.contains(&(key.a.clone(), key.b.clone()));
    counters
        .iter()
        .filter(|(key, _)| is_living(key))
        .map(|(_, n)| n)
        .sum()
}

const FLAGS: [Flag; 4] = [
    ("overdue", |life, _| life.overdue),
    ("at_risk", |life, _| life.at_risk),
    ("needs_attention", |life, _| life.needs_attention),
    ("sealed", |_, kept| kept.readable),
];

impl Counters {
    /// Nothing yet. `census`: from when a request has to have been received to be counted by what [`Census`] counts by.
    pub(super) fn new(census: At) -> Self {
        Self {
            census: Census::since(census),
            tasks: HashMap::default(),
            requests: [0; Status::ALL.len()],
            deferred: [0; Why::ALL.len()],
            undeliverable: HashMap::default(),
            queued: HashMap::default(),
            out: HashMap::default(),
            flags: [0; FLAGS.len()],
            capsules: HashMap::default(),
        }
    }

    /// Counts what has happened to a request. `before`: how it stood; `None`: it is new.
    pub(super) fn count(
        &mut self,
        request: &Request,
        moves: &[Move],
        handed_over: &[HandedOver],
        before: Option<&Before>,
    ) {
        self.census.count(request, moves, handed_over, before);
        for moved in moves.iter().filter(|moved| moved.from != Some(moved.to)) {
            let states = self.of_processor(&request.task(moved.ordinal).processor);
            if let Some(from) = moved.from {
                states[from as usize] -= 1;
            }
            states[moved.to as usize] += 1;
        }
        if let Some(Before { life, bookkeeping }) = before {
            self.stands(request, life, bookkeeping, -1);
        }
        self.stands(request, &request.life, &request.bookkeeping, 1);
        for (_, processor, state) in handed_over {
            self.of_processor(processor)[*state as usize] -= 1;
        }
    }

    /// Takes out a closed request whose rows go, as it was stored.
    pub(super) fn forget(&mut self, request: &Request) {
        self.census.forget(request);
        for task in &request.tasks {
            self.of_processor(&task.processor)[task.state.name() as usize] -= 1;
        }
        self.stands(request, &request.life, &request.bookkeeping, -1);
    }

    /// Counts a task that is deferred, or is so no more.
    pub(super) fn deferred(&mut self, why: Why, by: i64) {
        self.deferred[why as usize] += by;
    }

    /// Counts a task that its topic does not take, or takes again.
    pub(super) fn undeliverable(&mut self, processor: &ProcessorId, by: i64) {
        *self.undeliverable.entry(processor.clone()).or_default() += by;
    }

    /// Counts a task that is put into the queue of its lane, or has left it.
    pub(super) fn queued(&mut self, processor: &ProcessorId, by: i64) {
        *self.queued.entry(processor.clone()).or_default() += by;
    }

    /// Counts a task that was sent and is not answered, or is so no more.
    pub(super) fn out(&mut self, processor: &ProcessorId, minute: i64, by: i64) {
        if let Some(minutes) = self.out.get_mut(processor) {
            *minutes.entry(minute).or_default() += by;
        } else {
            let minutes = [(minute, by)].into_iter().collect();
            self.out.insert(processor.clone(), minutes);
        }
    }

    fn stands(&mut self, request: &Request, life: &Life, kept: &Bookkeeping, by: i64) {
        self.requests[life.status as usize] += by;
        for (n, (_, is_set)) in self.flags.iter_mut().zip(FLAGS) {
            if is_set(life, kept) {
                *n += by;
            }
        }
        if let Some(week) = kept.capsule.filter(|_| !kept.readable) {
            // The sets are the same for the life of the request.
            let epoch = request.capsule_of(week);
            *self.capsules.entry((epoch.week, epoch.name())).or_default() += by;
        }
    }

    fn of_processor(&mut self, processor: &ProcessorId) -> &mut [i64; TaskStateName::ALL.len()] {
        self.tasks.entry(processor.clone()).or_default()
    }

    /// What is written, in the order in which rows are locked.
    pub(super) fn into_sorted(self) -> Vec<(CounterKey, i64)> {
        let mut sorted = Vec::new();
        let mut add = |kind: &'static str, a: &str, b: &str, n: i64| {
            if n != 0 {
                let (a, b) = (a.to_owned(), b.to_owned());
                sorted.push((CounterKey { kind, a, b }, n));
            }
        };
        for (processor, states) in &self.tasks {
            for (state, n) in TaskStateName::ALL.iter().zip(states) {
                add("tasks", processor.as_str(), state.as_str(), *n);
            }
        }
        for (processor, n) in &self.undeliverable {
            add("undeliverable", processor.as_str(), "", *n);
        }
        for (processor, n) in &self.queued {
            add("queued", processor.as_str(), "", *n);
        }
        for (processor, minutes) in &self.out {
            for (minute, n) in minutes {
                add(OUT, processor.as_str(), &minute.to_string(), *n);
            }
        }
        for (status, n) in Status::ALL.iter().zip(self.requests) {
            add("requests", "", status.as_str(), n);
        }
        for (why, n) in Why::ALL.iter().zip(self.deferred) {
            add("deferred", "", why.as_str(), n);
        }
        for ((kind, _), n) in FLAGS.iter().zip(self.flags) {
            add(kind, "", "", n);
        }
        for ((week, sets), n) in &self.capsules {
            add(CAPSULES, &week.to_string(), sets, *n);
        }
        sorted.extend(self.census.rows());
        sorted.sort_unstable();
        sorted
    }
}
