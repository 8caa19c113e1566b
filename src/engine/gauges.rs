//! The gauges that Prometheus reads: taken from the store in the background, so that every worker says the same.

mod census;
mod due;

use std::{collections::BTreeMap, time::Duration};

use prometheus::IntGaugeVec;

use super::{EngineError, counters::in_capsules, use_cases::Gauges};
use crate::{
    domain::{
        backup::earlier,
        fact::FactKind,
        ids::ProcessorId,
        registry::{Lane, Processor},
        time::At,
        words::{CommandKind, DeadLetterReason, TaskStateName},
    },
    store::OpenLetters,
    telemetry::freshness::GaugeGroup,
};

/// What is due and has not been woken for this long is overdue: the agenda looks every second.
const WOKEN_WITHIN: Duration = Duration::from_secs(60);

/// How often California's deletion mechanism has to be looked up at the least (Cal. Civ. Code 1798.99.86(c)).
pub const DROP_EVERY: Duration = Duration::from_secs(45 * 24 * 3600);

/// More sweeps than this at a time are not told apart.
const SWEEPS: u32 = 1_000;

impl Gauges<'_> {
    /// Reads gauges anew. Where that fails they keep what they said before, and grow old.
    pub async fn read_gauges(self, group: GaugeGroup) -> Result<(), EngineError> {
        match group {
            GaugeGroup::Counters => self.read_counters().await,
            GaugeGroup::Ledger => self.read_ledger().await,
            GaugeGroup::OldestOpen => self.read_oldest_open().await,
            GaugeGroup::DeadLetters => self.read_open_letters().await,
            GaugeGroup::DeferredOverdue => self.read_deferred_overdue().await,
            GaugeGroup::Sweeps => self.read_sweeps().await,
            GaugeGroup::Lanes => self.read_lanes().await,
            GaugeGroup::Due => self.read_due().await,
            GaugeGroup::Backups => self.read_backups().await,
        }
    }

    async fn read_counters(&self) -> Result<(), EngineError> {
        let (counters, active) = (self.shared.store.counters().await?, self.shared.active()?);
        let living = self.shared.store.capsule_epochs().await?;
        let metrics = &self.shared.metrics;
        let circuits = self.shared.open_circuits();
        let now = self.shared.clock.now();
        metrics.show(GaugeGroup::Counters, || {
            metrics.take_counters(&counters);
            self.show_census(&counters, now);
            metrics.circuit_open.reset();
            // What has not happened yet reads 0, so that its first time shows as a rise.
            for processor in &active.registry.processors {
                let labels = &[processor.id.as_str()];
                drop(metrics.abandoned.with_label_values(labels));
                drop(metrics.undeliverable.with_label_values(labels));
                let is_open = circuits.contains_key(&processor.id);
                metrics
                    .circuit_open
                    .with_label_values(labels)
                    .set(i64::from(is_open));
                if processor.lane() != Lane::Relayed {
                    drop(metrics.queued.with_label_values(labels));
                }
                if processor.backup.is_some() {
                    drop(metrics.backup_contradictions.with_label_values(labels));
                }
            }
            metrics.vault_sealed.add(in_capsules(&counters, &living));
        });
        Ok(())
    }

    async fn read_ledger(&self) -> Result<(), EngineError> {
        let leaves = self.shared.store.ledger_size().await?;
        self.shared.metrics.show(GaugeGroup::Ledger, || {
            self.shared.metrics.ledger_entries.set(shown(leaves))
        });
        Ok(())
    }

    async fn read_oldest_open(&self) -> Result<(), EngineError> {
        let oldest = self.shared.store.oldest_open().await?;
        let fetches = self.shared.store.drop_fetches().await?;
        let age = age(oldest, self.shared.clock.now());
        let metrics = &self.shared.metrics;
        metrics.show(GaugeGroup::OldestOpen, || {
            metrics.oldest_open.set(age);
            for (broker, at) in &fetches {
                let due = at.plus(DROP_EVERY).millis() / 1000;
                metrics
                    .drop_fetch_due
                    .with_label_values(&[broker.as_str()])
                    .set(due);
            }
        });
        Ok(())
    }

    async fn read_open_letters(&self) -> Result<(), EngineError> {
        let letters = self.shared.store.open_dead_letters().await?;
        let now = self.shared.clock.now();
        self.shared
            .metrics
            .show(GaugeGroup::DeadLetters, || self.show_open_letters(&letters, now));
        Ok(())
    }

    fn show_open_letters(&self, letters: &[OpenLetters], now: At) {
        let metrics = &self.shared.metrics;
        for reason in DeadLetterReason::ALL {
            metrics
                .dead_letters_open
                .with_label_values(&[reason.as_str()])
                .set(0);
        }
        let (mut by_reason, mut erasures, mut oldest_erasure) = (BTreeMap::<&str, i64>::new(), 0, None);
        for alike in letters {
            let count = shown(alike.count);
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
        metrics.dead_letter_oldest.set(age(oldest, now));
        metrics.dead_erasures_open.set(erasures);
        metrics.dead_erasure_oldest.set(age(oldest_erasure, now));
    }

    /// What is deferred beyond its date.
    async fn read_deferred_overdue(&self) -> Result<(), EngineError> {
        let bounds = self.overdue_bounds(self.shared.clock.now())?;
        let counts = self.shared.store.deferred_before(&bounds).await?;
        let overdue = &self.shared.metrics.deferred_overdue;
        self.shared.metrics.show(GaugeGroup::DeferredOverdue, || {
            overdue.reset();
            for (processor, _) in &bounds {
                overdue.with_label_values(&[processor.as_str()]).set(0);
            }
            for (processor, count) in &counts {
                overdue
                    .with_label_values(&[processor.as_str()])
                    .set(shown(*count));
            }
        });
        Ok(())
    }

    /// How lanes stand, and what their processors answer.
    async fn read_lanes(&self) -> Result<(), EngineError> {
        let lane_states = self.shared.lane_states(false).await?;
        let active = self.shared.active()?;
        let metrics = &self.shared.metrics;
        metrics.show(GaugeGroup::Lanes, || {
            let stops = lane_states.facts().stops();
            metrics.brake.set(i64::from(stops.brake().is_some()));
            for gauges in [
                &metrics.lane_paused,
                &metrics.oldest_unanswered,
                &metrics.oldest_waiting,
                &metrics.manual_open,
                &metrics.manual_oldest,
            ] {
                gauges.reset();
            }
            metrics.not_found_share.reset();
            metrics.not_found_share_usual.reset();
            for processor in &active.registry.processors {
                let (id, labels) = (&processor.id, &[processor.id.as_str()]);
                let show = |gauges: &IntGaugeVec, n: i64| gauges.with_label_values(labels).set(n);
                show(&metrics.lane_paused, i64::from(stops.pause(id).is_some()));
                show(
                    &metrics.oldest_unanswered,
                    age(lane_states.oldest_unanswered(id), lane_states.now),
                );
                show(
                    &metrics.oldest_waiting,
                    age(lane_states.oldest_ready(id), lane_states.now),
                );
                if processor.manual().is_some() {
                    let open = [
                        TaskStateName::Ready,
                        TaskStateName::Dispatched,
                        TaskStateName::Accepted,
                    ];
                    let open = open.map(|state| lane_states.tasks(id, state)).iter().sum();
                    show(&metrics.manual_open, open);
                    let (queued, out) = (lane_states.oldest_ready(id), lane_states.oldest_unanswered(id));
                    let oldest = queued.into_iter().chain(out).min();
                    show(&metrics.manual_oldest, age(oldest, lane_states.now));
                }
                let answers = lane_states.answers(id);
                for (gauges, share) in [
                    (&metrics.not_found_share, answers.not_found),
                    (&metrics.not_found_share_usual, answers.not_found_usual),
                ] {
                    if let Some(share) = share {
                        gauges.with_label_values(labels).set(share);
                    }
                }
            }
        });
        Ok(())
    }

    /// How far sweeps have to go.
    async fn read_sweeps(&self) -> Result<(), EngineError> {
        let sweeps = self.shared.store.sweeps(true, SWEEPS).await?;
        let remaining = &self.shared.metrics.sweep_remaining;
        self.shared.metrics.show(GaugeGroup::Sweeps, || {
            for kind in FactKind::ALL {
                remaining.with_label_values(&[kind.as_str()]).set(0);
            }
            for sweep in &sweeps {
                let left = sweep
                    .total
                    .map_or(1, |total| total.saturating_sub(sweep.done).max(1));
                remaining
                    .with_label_values(&[sweep.kind.as_str()])
                    .add(shown(left));
            }
        });
        Ok(())
    }

    /// Before which time a deferred task's date has to lie to be overdue, by processor.
    pub fn overdue_bounds(self, now: At) -> Result<Vec<(ProcessorId, At)>, EngineError> {
        let active = self.shared.active()?;
        let zone = &self.shared.policy().rules.calendar.zone;
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

fn shown(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// How many seconds ago that was; 0 where there is none.
fn age(at: Option<At>, now: At) -> i64 {
    at.map_or(0, |at| shown(now.since(at).as_secs()))
}
