//! Durations by how often they occurred, in little memory: each is kept to within 1 %.

use std::time::Duration;

/// Fifty days: what takes longer is counted as this.
const LONGEST: u64 = 1 << 42;

/// Counts durations, in microseconds.
#[derive(Debug, Clone)]
pub struct Histogram {
    counts: hdrhistogram::Histogram<u64>,
    /// As it was, and not as its bucket has it.
    max: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: hdrhistogram::Histogram::new_with_bounds(1, LONGEST, 2)
                .expect("sound bounds, two digits"),
            max: Duration::ZERO,
        }
    }
}

impl Histogram {
    /// Counts one.
    pub fn record(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.counts.saturating_record(micros);
        self.max = self.max.max(duration);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.counts.len()
    }

    /// The longest one.
    pub const fn max(&self) -> Duration {
        self.max
    }

    /// The duration that this share (0 to 1) of all do not exceed; zero where there are none.
    pub fn percentile(&self, share: f64) -> Duration {
        Duration::from_micros(self.counts.value_at_quantile(share)).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_one_percent() {
        let mut histogram = Histogram::default();
        for micros in 1..=100_000 {
            histogram.record(Duration::from_micros(micros));
        }
        for (share, exact) in [
            (0.0, 1.0),
            (0.5, 50_000.0),
            (0.9, 90_000.0),
            (0.99, 99_000.0),
            (1.0, 100_000.0),
        ] {
            let found = histogram.percentile(share).as_micros() as f64;
            assert!(
                (found - exact).abs() <= exact * 0.01,
                "{share}: {found} is not {exact}"
            );
        }
        assert_eq!(histogram.max(), Duration::from_millis(100));
        assert_eq!(histogram.count(), 100_000);
    }

    #[test]
    fn every_duration_is_found_again() {
        for micros in [0, 1, 63, 64, 65, 127, 128, 1_000, 123_456_789, 1 << 40] {
            let mut histogram = Histogram::default();
            histogram.record(Duration::from_micros(micros));
            assert_eq!(histogram.percentile(0.5), Duration::from_micros(micros));
        }
    }

    #[test]
    fn an_empty_one_says_zero() {
        assert_eq!(Histogram::default().percentile(0.5), Duration::ZERO);
    }
}
