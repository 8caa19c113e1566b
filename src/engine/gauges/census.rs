//! Open requests by regime and what they would cost, how long people are waited for, and where requests are overdue.

use std::collections::BTreeMap;

use super::{Gauges, age};
use crate::{
    domain::{calendar::Regime, time::At, words::Status},
    store::{CounterKey, GATE, OPEN, OVERDUE_AT},
};

/// So many tenants are told apart: each is a series for each processor, and a store may know thousands.
const TENANTS: usize = 100;

/// What stands for those beyond.
const OTHER: &str = "other";

/// What stands for requests that the store has not counted by regime.
const UNKNOWN: &str = "unknown";

impl Gauges<'_> {
    /// Shows what the counters say of open requests.
    pub(super) fn show_census(&self, counters: &[(CounterKey, i64)], now: At) {
        self.show_regimes(counters);
        self.show_gates(counters, now);
        self.show_overdue(counters);
    }

    fn show_regimes(&self, counters: &[(CounterKey, i64)]) {
        let policy = self.shared.policy();
        let (metrics, rules) = (&self.shared.metrics, &policy.rules);
        metrics.open_requests.reset();
        metrics.exposure.reset();
        // A regime that has a fine shows also while nothing is open under it.
        for (name, terms) in rules.regimes.iter() {
            if let Some(fine) = terms.fine_per_day {
                metrics
                    .exposure
                    .with_label_values(&[name.as_str(), fine.currency()])
                    .set(0);
            }
        }
        let mut known = 0;
        for (key, n) in of(counters, OPEN) {
            let n = (*n).max(0);
            known += n;
            metrics.open_requests.with_label_values(&[&key.a]).set(n);
            let terms = Regime::parse(&key.a).and_then(|regime| rules.regimes.terms(&regime));
            if let Some(fine) = terms.and_then(|terms| terms.fine_per_day) {
                metrics
                    .exposure
                    .with_label_values(&[key.a.as_str(), fine.currency()])
                    .set(n.saturating_mul(i64::from(fine.amount)));
            }
        }
        let is_open = |key: &CounterKey| Status::parse(&key.b).is_some_and(|status| !status.is_final());
        let open: i64 = of(counters, "requests")
            .filter(|(key, _)| is_open(key))
            .map(|(_, n)| n)
            .sum();
        metrics
            .open_requests
            .with_label_values(&[UNKNOWN])
            .set((open - known).max(0));
    }

    fn show_gates(&self, counters: &[(CounterKey, i64)], now: At) {
        for gate in ["verification", "approval"] {
            let waiting = of(counters, GATE).filter(|(key, n)| key.a == gate && *n > 0);
            let minutes = waiting.filter_map(|(key, _)| key.b.parse::<i64>().ok());
            let oldest = minutes.min().map(|minute| At::from_millis(minute * 60_000));
            self.shared
                .metrics
                .gate_oldest
                .with_label_values(&[gate])
                .set(age(oldest, now));
        }
    }

    fn show_overdue(&self, counters: &[(CounterKey, i64)]) {
        let mut by_tenant: BTreeMap<&str, i64> = BTreeMap::new();
        for (key, n) in of(counters, OVERDUE_AT).filter(|(_, n)| *n > 0) {
            *by_tenant.entry(&key.b).or_default() += n;
        }
        let mut most: Vec<(&str, i64)> = by_tenant.into_iter().collect();
        most.sort_by_key(|(tenant, n)| (-n, *tenant));
        most.truncate(TENANTS);
        let gauges = &self.shared.metrics.overdue_tasks;
        gauges.reset();
        for (key, n) in of(counters, OVERDUE_AT).filter(|(_, n)| *n > 0) {
            let is_shown = most.iter().any(|(tenant, _)| *tenant == key.b);
            let tenant = if is_shown { key.b.as_str() } else { OTHER };
            gauges.with_label_values(&[tenant, &key.a]).add(*n);
        }
    }
}

fn of<'c>(
    counters: &'c [(CounterKey, i64)],
    kind: &'static str,
) -> impl Iterator<Item = &'c (CounterKey, i64)> {
    counters.iter().filter(move |(key, _)| key.kind == kind)
}
