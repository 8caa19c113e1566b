//! What processors have answered, over the last hour, the last day and the weeks before: figures that people compare.
//!
//! They are counted in memory once a transaction has committed, and added to the store by a task of its own every few seconds: no
//! answer waits for them. A worker that is killed loses the last seconds of them, and nothing else.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use foldhash::HashMap;

use super::{Engine, EngineError};
use crate::{
    domain::{backup::earlier, ids::ProcessorId, registry::Rate, time::At, words::Outcome},
    store::{RECENT, Store, StoreError, Tally, beginning},
};

/// What stands for a task that was sent: no outcome has this code.
const SENT: u8 = 0;
/// What was sent or answered without a time.
const NO_TIME: i16 = -1;
/// Times are told apart by a fifth: so many buckets double them.
const BUCKETS_A_DOUBLING: f64 = 4.0;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// How far the usual share looks back before the last day.
const USUAL: Duration = Duration::from_secs(28 * 24 * 3600);
/// What is forgotten is a little older than what is looked at.
const SLACK: Duration = Duration::from_secs(3600);
/// How much of a rate is used is told of this time.
const RATE_OVER: Duration = Duration::from_secs(10 * 60);

/// What was counted and is not in the store yet.
#[derive(Debug, Default)]
pub(super) struct Tallies(Mutex<Counted>);

/// By processor, and then by five minutes, outcome and bucket: every task of a batch counts, so no name is copied for it.
type Counted = HashMap<ProcessorId, HashMap<(At, u8, i16), i64>>;

/// Counts several things at once.
#[derive(Debug)]
pub(super) struct Counting<'e>(MutexGuard<'e, Counted>);

impl Counting<'_> {
    /// A processor was sent a task.
    pub(super) fn sent(&mut self, processor: &ProcessorId, at: At) {
        self.add(processor, (beginning(at, RECENT), SENT, NO_TIME), 1);
    }

    /// A processor has answered. `after`: how long it took.
    pub(super) fn answered(
        &mut self,
        processor: &ProcessorId,
        outcome: Outcome,
        after: Option<Duration>,
        at: At,
    ) {
        let bucket = after.map_or(NO_TIME, bucket_of);
        self.add(processor, (beginning(at, RECENT), outcome.code(), bucket), 1);
    }

    fn add(&mut self, processor: &ProcessorId, key: (At, u8, i16), n: i64) {
        if let Some(counted) = self.0.get_mut(processor) {
            *counted.entry(key).or_default() += n;
        } else {
            self.0.insert(processor.clone(), [(key, n)].into_iter().collect());
        }
    }
}

/// What a processor has answered lately.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answers {
    /// How often what, within the last hour.
    pub hour: BTreeMap<&'static str, i64>,
    /// Within the last day.
    pub day: BTreeMap<&'static str, i64>,
    /// How long half of the answers of the last day took at the most, in seconds, and 99 of a hundred.
    pub seconds: Option<(f64, f64)>,
    /// The share of `not_found` in what was proved within the last day.
    pub not_found: Option<f64>,
    /// The same of the 28 days before.
    pub not_found_usual: Option<f64>,
    /// How many tasks were sent within the last ten minutes.
    sent: i64,
}

impl Answers {
    /// How much of a rate was used over the last ten minutes: 1 is all of it.
    pub fn share_of(&self, rate: Rate) -> f64 {
        let allowed = f64::from(rate.tasks) * RATE_OVER.as_secs_f64() / rate.per.as_secs_f64().max(0.001);
        figure(self.sent) / allowed.max(1.0)
    }
}

impl Engine {
    /// Counts what processors are sent and answer.
    pub(super) fn counting(&self) -> Counting<'_> {
        Counting(self.tallies.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds what was counted to the store. What it does not take is added the next time.
    pub async fn keep_tallies(&self) -> Result<(), EngineError> {
        let taken = std::mem::take(&mut *self.counting().0);
        let rows: Vec<Tally> = taken.into_iter().flat_map(rows_of).collect();
        let added = self.store.add_outcomes(&rows).await;
        if added.is_err() {
            let mut counting = self.counting();
            for row in &rows {
                counting.add(&row.processor, (row.since, row.outcome, row.bucket), row.n);
            }
        }
        Ok(added?)
    }

    /// Forgets what nobody compares any more.
    pub async fn forget_tallies(&self) -> Result<(), EngineError> {
        let now = self.clock.now();
        let recent = earlier(now, DAY + SLACK);
        let hours = earlier(now, DAY + USUAL + SLACK);
        Ok(self.store.forget_outcomes(recent, hours).await?)
    }

    /// Forgets by which minute tasks were out that none is of any more.
    pub async fn forget_minutes(&self) -> Result<(), EngineError> {
        Ok(self
            .store
            .forget_out(minute_of(earlier(self.clock.now(), SLACK)))
            .await?)
    }
}

fn rows_of((processor, counted): (ProcessorId, HashMap<(At, u8, i16), i64>)) -> Vec<Tally> {
    let rows = counted.into_iter().map(|((since, outcome, bucket), n)| Tally {
        since,
        processor: processor.clone(),
        outcome,
        bucket,
        n,
    });
    rows.collect()
}

/// What each processor has answered lately, as the store has it.
pub async fn answers(store: &dyn Store, now: At) -> Result<BTreeMap<ProcessorId, Answers>, StoreError> {
    let ago = |time| earlier(now, time);
    let hour = store.recent_outcomes(ago(Duration::from_secs(3600))).await?;
    let sent = store.recent_outcomes(ago(RATE_OVER)).await?;
    let day = store.recent_outcomes(ago(DAY)).await?;
    let usual = store.outcomes_between(ago(DAY + USUAL), ago(DAY)).await?;
    let mut all: BTreeMap<ProcessorId, Answers> = BTreeMap::new();
    let mut times: BTreeMap<ProcessorId, BTreeMap<i16, i64>> = BTreeMap::new();
    for tally in &day {
        let of_it = all.entry(tally.processor.clone()).or_default();
        count(&mut of_it.day, tally);
        if tally.outcome != SENT && tally.bucket != NO_TIME {
            let times = times.entry(tally.processor.clone()).or_default();
            *times.entry(tally.bucket).or_default() += tally.n;
        }
    }
    for tally in &hour {
        count(&mut all.entry(tally.processor.clone()).or_default().hour, tally);
    }
    for tally in sent.iter().filter(|tally| tally.outcome == SENT) {
        all.entry(tally.processor.clone()).or_default().sent += tally.n;
    }
    let mut before: BTreeMap<ProcessorId, BTreeMap<&'static str, i64>> = BTreeMap::new();
    for tally in &usual {
        count(before.entry(tally.processor.clone()).or_default(), tally);
    }
    for (processor, counted) in &before {
        all.entry(processor.clone()).or_default().not_found_usual = share_of_not_found(counted);
    }
    for (processor, answers) in &mut all {
        answers.not_found = share_of_not_found(&answers.day);
        answers.seconds = times.get(processor).and_then(quantiles);
    }
    Ok(all)
}

/// Outcomes only: what was sent is none.
fn count(counted: &mut BTreeMap<&'static str, i64>, tally: &Tally) {
    if let Some(outcome) = Outcome::from_code(tally.outcome) {
        *counted.entry(outcome.as_str()).or_default() += tally.n;
    }
}

/// The share of `not_found` in what was proved; `None`: nothing was.
fn share_of_not_found(counted: &BTreeMap<&'static str, i64>) -> Option<f64> {
    let of = |outcome: Outcome| counted.get(outcome.as_str()).copied().unwrap_or(0);
    let none = of(Outcome::NotFound);
    let proved = none + of(Outcome::Erased) + of(Outcome::Anonymized);
    (proved > 0).then(|| figure(none) / figure(proved))
}

/// By nearest rank, half of the times and 99 of a hundred.
fn quantiles(times: &BTreeMap<i16, i64>) -> Option<(f64, f64)> {
    let all: i64 = times.values().sum();
    let at = |percent: i64| {
        let rank = (all * percent + 99) / 100;
        let mut seen = 0;
        let found = times.iter().find(|(_, n)| {
            seen += **n;
            seen >= rank
        });
        found.map(|(bucket, _)| seconds_of(*bucket))
    };
    Some((at(50)?, at(99)?))
}

/// The minute that a time is in.
pub(super) const fn minute_of(at: At) -> i64 {
    at.millis().div_euclid(60_000)
}

/// The bucket of a time.
fn bucket_of(time: Duration) -> i16 {
    let millis = time.as_secs_f64() * 1000.0;
    let bucket = (millis.max(1.0).log2() * BUCKETS_A_DOUBLING).round();
    #[expect(clippy::cast_possible_truncation, reason = "ninety days are bucket 132")]
    let bucket = bucket.min(f64::from(i16::MAX)) as i16;
    bucket
}

/// The time in the middle of a bucket, in seconds, as precisely as it is known.
fn seconds_of(bucket: i16) -> f64 {
    let millis = (f64::from(bucket) / BUCKETS_A_DOUBLING).exp2();
    (millis.round() / 1000.0).max(0.001)
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn figure(n: i64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_within_a_tenth() {
        for millis in [1, 7, 250, 1_000, 65_000, 3_600_000, 90 * 24 * 3_600_000_u64] {
            let time = Duration::from_millis(millis);
            let told = seconds_of(bucket_of(time));
            let ratio = told / time.as_secs_f64();
            assert!(
                (0.9..1.1).contains(&ratio) || millis < 10,
                "{millis} ms: {told} s"
            );
        }
        assert_eq!(bucket_of(Duration::ZERO), 0);
    }

    #[test]
    fn quantiles_are_by_nearest_rank() {
        let times = BTreeMap::from([(0, 98), (bucket_of(Duration::from_secs(10)), 2)]);
        let (half, most) = quantiles(&times).unwrap();
        assert!(
            (half - 0.001).abs() < 1e-9 && (most - 10.0).abs() < 1.0,
            "{half} {most}"
        );
        assert_eq!(quantiles(&BTreeMap::new()), None);
    }

    #[test]
    fn only_what_was_proved_has_a_share_of_not_found() {
        let counted = BTreeMap::from([("not_found", 1), ("erased", 2), ("anonymized", 1), ("failed", 96)]);
        assert_eq!(share_of_not_found(&counted), Some(0.25));
        assert_eq!(share_of_not_found(&BTreeMap::from([("accepted", 3)])), None);
    }

    #[test]
    fn how_much_of_a_rate_is_used() {
        let rate = Rate {
            tasks: 50,
            per: Duration::from_secs(1),
        };
        let answers = Answers {
            sent: 15_000,
            ..Answers::default()
        };
        assert!((answers.share_of(rate) - 0.5).abs() < 1e-9);
    }
}
