//! The gauges that Prometheus reads: taken from the store when it asks, so that every worker says the same.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{Engine, EngineError};
use crate::{
    clock::Stopwatch,
    domain::{
        backup::earlier,
        fact::FactKind,
        ids::ProcessorId,
        registry::Processor,
        time::At,
        words::{CommandKind, DeadLetterReason},
    },
    store::OpenLetters,
};

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Set by whoever builds a release.
const COMMIT: &str = match option_env!("LACUNA_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// How long the age of the oldest open request is good for: finding it reads the whole agenda.
const OLDEST_GOOD_FOR: Duration = Duration::from_secs(15);

/// What is due and has not been woken for this long is overdue: the agenda looks every second.
const WOKEN_WITHIN: Duration = Duration::from_secs(60);

/// More sweeps than this at a time are not told apart.
const SWEEPS: u32 = 1_000;

/// What is kept from one reading to the next.
#[derive(Debug, Default)]
pub struct Gauges {
    oldest_open: Option<(Stopwatch, Option<At>)>,
}

impl Engine {
    /// Takes over what the store knows. Where it fails, the gauges keep what they said before.
    pub async fn refresh_gauges(&self, gauges: &mut Gauges) -> Result<(), EngineError> {
        let metrics = Arc::clone(&self.metrics);
        let counters = self.store.counters().await?;
        let letters = self.store.open_dead_letters().await?;
        let entries = self.store.ledger_size().await?;
        let oldest = match gauges.oldest_open {
            Some((since, oldest)) if since.elapsed() < OLDEST_GOOD_FOR => oldest,
            _ => {
                let oldest = self.store.oldest_open().await?;
                gauges.oldest_open = Some((Stopwatch::start(), oldest));
                oldest
            }
        };
        let now = self.clock.now();
        self.refresh_deferred(now).await?;
        let age =
            |at: Option<At>| at.map_or(0, |at| i64::try_from(now.since(at).as_secs()).unwrap_or(i64::MAX));
        metrics.build_info.with_label_values(&[VERSION, COMMIT]).set(1);
        metrics.take_counters(&counters);
        self.begin_series()?;
        self.show_open_letters(&letters, age);
        metrics.oldest_open.set(age(oldest));
        metrics
            .ledger_entries
            .set(i64::try_from(entries).unwrap_or(i64::MAX));
        Ok(())
    }

    fn show_open_letters(&self, letters: &[OpenLetters], age: impl Fn(Option<At>) -> i64) {
        let metrics = &self.metrics;
        for reason in DeadLetterReason::ALL {
            metrics
                .dead_letters_open
                .with_label_values(&[reason.as_str()])
                .set(0);
        }
        let (mut by_reason, mut erasures, mut oldest_erasure) = (BTreeMap::<&str, i64>::new(), 0, None);
        for alike in letters {
            let count = i64::try_from(alike.count).unwrap_or(i64::MAX);
            *by_reason.entry(&alike.reason).or_default() += count;
            if alike.kind.is_some_and(CommandKind::opens) {
                erasures += count;
                oldest_erasure = Some(oldest_erasure.map_or(alike.oldest, |at: At| at.min(alike.oldest)));
            }
        }
        for (reason, count) in by_reason {
            metrics.dead_letters_open.with_label_values(&[reason]).set(count);
        }
        let oldest = letters.iter().map(|alike| alike.oldest).min();
        metrics.dead_letter_oldest.set(age(oldest));
        metrics.dead_erasures_open.set(erasures);
        metrics.dead_erasure_oldest.set(age(oldest_erasure));
    }

    /// What has not happened yet reads 0, so that its first time shows as a rise.
    fn begin_series(&self) -> Result<(), EngineError> {
        for processor in &self.active()?.registry.processors {
            let labels = &[processor.id.as_str()];
            drop(self.metrics.abandoned.with_label_values(labels));
            drop(self.metrics.undeliverable.with_label_values(labels));
            if processor.backup.is_some() {
                drop(self.metrics.backup_contradictions.with_label_values(labels));
            }
        }
        Ok(())
    }

    /// What is deferred beyond its date, and how far sweeps have to go.
    async fn refresh_deferred(&self, now: At) -> Result<(), EngineError> {
        let metrics = &self.metrics;
        let bounds = self.overdue_bounds(now)?;
        metrics.deferred_overdue.reset();
        for (processor, _) in &bounds {
            metrics
                .deferred_overdue
                .with_label_values(&[processor.as_str()])
                .set(0);
        }
        for (processor, count) in self.store.deferred_before(&bounds).await? {
            metrics
                .deferred_overdue
                .with_label_values(&[processor.as_str()])
                .set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        for kind in FactKind::ALL {
            metrics.sweep_remaining.with_label_values(&[kind.as_str()]).set(0);
        }
        for sweep in self.store.sweeps(true, SWEEPS).await? {
            let left = sweep
                .total
                .map_or(1, |total| total.saturating_sub(sweep.done).max(1));
            metrics
                .sweep_remaining
                .with_label_values(&[sweep.kind.as_str()])
                .add(i64::try_from(left).unwrap_or(i64::MAX));
        }
        Ok(())
    }

    /// Before which time a deferred task's date has to lie to be overdue, by processor.
    pub fn overdue_bounds(&self, now: At) -> Result<Vec<(ProcessorId, At)>, EngineError> {
        let active = self.active()?;
        let zone = &self.rules.calendar.zone;
        let bound = |processor: &Processor| {
            // Whatever is due is woken within seconds; a rotation has the time that its registry gives it. Counted
            // back from now, so a month's length may differ by a day or two from where it is counted forward.
            processor.backup.as_ref().map_or_else(
                || earlier(now, WOKEN_WITHIN),
                |set| earlier(now, set.overdue_after.add_to(now, zone).since(now)),
            )
        };
        Ok(active
            .registry
            .processors
            .iter()
            .map(|processor| (processor.id.clone(), bound(processor)))
            .collect())
    }
}
