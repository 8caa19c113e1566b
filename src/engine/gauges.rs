//! The gauges that Prometheus reads: taken from the store when it asks, so that every worker says the same.

use std::{sync::Arc, time::Duration};

use super::{Engine, EngineError};
use crate::{
    clock::Stopwatch,
    domain::{time::At, words::DeadLetterReason},
};

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Set by whoever builds a release.
const COMMIT: &str = match option_env!("LACUNA_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// How long the age of the oldest open request is good for: finding it reads the whole agenda.
const OLDEST_GOOD_FOR: Duration = Duration::from_secs(15);

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
        let age =
            |at: Option<At>| at.map_or(0, |at| i64::try_from(now.since(at).as_secs()).unwrap_or(i64::MAX));
        metrics.build_info.with_label_values(&[VERSION, COMMIT]).set(1);
        metrics.take_counters(&counters);
        for reason in DeadLetterReason::ALL {
            metrics
                .dead_letters_open
                .with_label_values(&[reason.as_str()])
                .set(0);
        }
        for (reason, count, _) in &letters {
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            metrics.dead_letters_open.with_label_values(&[reason]).set(count);
        }
        metrics
            .dead_letter_oldest
            .set(age(letters.iter().map(|(_, _, oldest)| *oldest).min()));
        metrics.oldest_open.set(age(oldest));
        metrics
            .ledger_entries
            .set(i64::try_from(entries).unwrap_or(i64::MAX));
        Ok(())
    }
}
