//! Differences to the counters that gauges are read from.

use std::collections::HashMap;

use crate::{
    domain::{
        request::{Life, Move, Request},
        words::{Status, Why},
    },
    store::CounterKey,
};

/// Differences to the counters that gauges are read from.
#[derive(Debug, Default)]
pub(super) struct Counters(HashMap<(&'static str, &'static str), HashMap<String, i64>>);

impl Counters {
    /// Counts what has happened to a request. `before`: its life before; `None`: it is new.
    pub(super) fn count(&mut self, request: &Request, moves: &[Move], before: Option<&Life>) {
        for moved in moves {
            let processor = request.task(moved.ordinal).processor.as_str();
            if moved.from == Some(moved.to) {
                continue;
            }
            if let Some(from) = moved.from {
                self.add("tasks", from.as_str(), processor, -1);
            }
            self.add("tasks", moved.to.as_str(), processor, 1);
        }
        let after = &request.life;
        self.status(before.map(|life| life.status), after.status);
        self.flag("overdue", before.is_some_and(|life| life.overdue), after.overdue);
        self.flag("at_risk", before.is_some_and(|life| life.at_risk), after.at_risk);
        self.flag(
            "needs_attention",
            before.is_some_and(|life| life.needs_attention),
            after.needs_attention,
        );
        self.flag("sealed", before.is_some_and(|life| life.readable), after.readable);
    }

    /// Takes out a closed request whose rows go, as it was stored.
    pub(super) fn forget(&mut self, request: &Request) {
        for task in &request.tasks {
            self.add("tasks", task.state.name().as_str(), task.processor.as_str(), -1);
        }
        let life = &request.life;
        self.add("requests", life.status.as_str(), "", -1);
        for (kind, is_set) in [
            ("overdue", life.overdue),
            ("at_risk", life.at_risk),
            ("needs_attention", life.needs_attention),
            ("sealed", life.readable),
        ] {
            self.flag(kind, is_set, false);
        }
    }

    /// Counts a task that is deferred, or is so no more.
    pub(super) fn deferred(&mut self, why: Why, by: i64) {
        self.add("deferred", why.as_str(), "", by);
    }

    fn status(&mut self, before: Option<Status>, after: Status) {
        if before == Some(after) {
            return;
        }
        if let Some(before) = before {
            self.add("requests", before.as_str(), "", -1);
        }
        self.add("requests", after.as_str(), "", 1);
    }

    fn flag(&mut self, kind: &'static str, before: bool, after: bool) {
        if before != after {
            self.add(kind, "", "", if after { 1 } else { -1 });
        }
    }

    fn add(&mut self, kind: &'static str, state: &'static str, processor: &str, by: i64) {
        let processors = self.0.entry((kind, state)).or_default();
        // Few names, named often: a copy is made of the first one only.
        match processors.get_mut(processor) {
            Some(n) => *n += by,
            None => drop(processors.insert(processor.to_owned(), by)),
        }
    }

    /// What is written, in the order in which rows are locked.
    pub(super) fn into_sorted(self) -> Vec<(CounterKey, i64)> {
        let mut sorted: Vec<(CounterKey, i64)> = self
            .0
            .into_iter()
            .flat_map(|((kind, state), processors)| {
                processors
                    .into_iter()
                    .map(move |(processor, by)| (kind, state, processor, by))
            })
            .filter(|(.., by)| *by != 0)
            .map(|(kind, state, processor, by)| {
                (
                    CounterKey {
                        kind,
                        a: processor,
                        b: state.to_owned(),
                    },
                    by,
                )
            })
            .collect();
        sorted.sort_unstable();
        sorted
    }
}
