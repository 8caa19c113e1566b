//! What is counted of open requests beside their status: by regime, by the gate that they wait at, and where they are overdue.
//!
//! It is counted only of requests that were received since the store counts it ([`CENSUS`] says from when): what goes out has come in,
//! so no count ever falls below what is true of these.

use foldhash::HashMap;

use super::Before;
use crate::{
    domain::{
        calendar::Regime,
        ids::{ProcessorId, Tenant},
        request::{Life, Move, Request},
        time::At,
        words::{Status, TaskStateName},
    },
    engine::outcomes::minute_of,
    store::{CENSUS, CounterKey, GATE, OPEN, OVERDUE_AT},
};

/// What stands for regimes that are a count, such as `days:30`: there could be thousands.
const COUNTED: &str = "counted";

/// A task that another processor has taken over: its place, whose it was, and how it stood.
pub(in crate::engine) type HandedOver = (u16, ProcessorId, TaskStateName);

/// Differences to these counters.
#[derive(Debug)]
pub(super) struct Census {
    since: At,
    open: HashMap<String, i64>,
    gates: HashMap<(&'static str, i64), i64>,
    overdue: HashMap<(ProcessorId, Tenant), i64>,
}

impl Census {
    pub(super) fn since(since: At) -> Self {
        Self {
            since,
            open: HashMap::default(),
            gates: HashMap::default(),
            overdue: HashMap::default(),
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
        if request.head.received_at < self.since {
            return;
        }
        let before = before.map(|before| &before.life);
        self.stands(request, before, Some(&request.life));
        if before.is_some_and(|life| life.overdue) {
            for ordinal in request.ordinals() {
                let task = request.task(ordinal);
                let handed = handed_over.iter().find(|(place, ..)| *place == ordinal);
                let (processor, state) = match handed {
                    Some((_, from, state)) => (from, Some(*state)),
                    None => {
                        let first = moves.iter().find(|moved| moved.ordinal == ordinal);
                        let state = first.map_or(Some(task.state.name()), |moved| moved.from);
                        (&task.processor, state)
                    }
                };
                self.overdue_at(request, processor, state, -1);
            }
        }
        if request.life.overdue {
            for task in &request.tasks {
                self.overdue_at(request, &task.processor, Some(task.state.name()), 1);
            }
        }
    }

    /// Takes out a request whose rows go, as it was stored.
    pub(super) fn forget(&mut self, request: &Request) {
        if request.head.received_at < self.since {
            return;
        }
        self.stands(request, Some(&request.life), None);
        if request.life.overdue {
            for task in &request.tasks {
                self.overdue_at(request, &task.processor, Some(task.state.name()), -1);
            }
        }
    }

    fn stands(&mut self, request: &Request, before: Option<&Life>, after: Option<&Life>) {
        let is_open = |life: Option<&Life>| i64::from(life.is_some_and(|life| !life.status.is_final()));
        let difference = is_open(after) - is_open(before);
        if difference != 0 {
            let regime = match &request.head.regime {
                Regime::Named(name) => name.as_str(),
                Regime::Counted(_) => COUNTED,
            };
            if let Some(n) = self.open.get_mut(regime) {
                *n += difference;
            } else {
                self.open.insert(regime.to_owned(), difference);
            }
        }
        let (was, is) = (before.and_then(gate_of), after.and_then(gate_of));
        if was != is {
            let minute = minute_of(request.head.received_at);
            for (gate, by) in [(was, -1), (is, 1)] {
                if let Some(gate) = gate {
                    *self.gates.entry((gate, minute)).or_default() += by;
                }
            }
        }
    }

    /// A task of an overdue request: what is done about it is not overdue any more.
    fn overdue_at(
        &mut self,
        request: &Request,
        processor: &ProcessorId,
        state: Option<TaskStateName>,
        by: i64,
    ) {
        if state.is_some_and(|state| !state.is_final()) {
            let key = (processor.clone(), request.head.tenant.clone());
            *self.overdue.entry(key).or_default() += by;
        }
    }

    /// What is written.
    pub(super) fn rows(&self) -> impl Iterator<Item = (CounterKey, i64)> {
        let row = |kind, a: &str, b: String, n: i64| {
            let a = a.to_owned();
            (CounterKey { kind, a, b }, n)
        };
        let open = self
            .open
            .iter()
            .map(move |(regime, n)| row(OPEN, regime, String::new(), *n));
        let gates = self
            .gates
            .iter()
            .map(move |((gate, minute), n)| row(GATE, gate, minute.to_string(), *n));
        let overdue = self.overdue.iter().map(move |((processor, tenant), n)| {
            row(OVERDUE_AT, processor.as_str(), tenant.as_str().to_owned(), *n)
        });
        open.chain(gates).chain(overdue).filter(|(_, n)| *n != 0)
    }
}

/// The gate at which a request waits for a person.
fn gate_of(life: &Life) -> Option<&'static str> {
    match life.status {
        Status::AwaitingVerification => Some("verification"),
        Status::AwaitingApproval => Some("approval"),
        _ => None,
    }
}

/// From when a request has to have been received to be counted.
pub(in crate::engine) fn since(counters: &[(CounterKey, i64)]) -> At {
    let row = counters.iter().find(|(key, _)| key.kind == CENSUS);
    At::from_millis(row.map_or(0, |(_, millis)| *millis))
}
