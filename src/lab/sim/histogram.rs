//! Durations by how often they occurred, in little memory: each is kept to within 1 %.

use std::time::Duration;

/// Buckets for each doubling: with 64 of them, a bucket is at most 1/64 wide and its middle is within 1 %.
const PER_DOUBLING: u64 = 64;

/// Counts durations from a microsecond to some days.
#[derive(Debug, Clone, Default)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    max: Duration,
}

impl Histogram {
    /// Counts one.
    pub fn record(&mut self, duration: Duration) {
        let bucket = bucket_of(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
        if self.buckets.len() <= bucket {
            self.buckets.resize(bucket + 1, 0);
        }
        if let Some(count) = self.buckets.get_mut(bucket) {
            *count += 1;
        }
        self.count += 1;
        self.max = self.max.max(duration);
    }

    /// How many were counted.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The longest one.
    pub const fn max(&self) -> Duration {
        self.max
    }

    /// The duration that this share (0 to 1) of all do not exceed; zero where there are none.
    pub fn percentile(&self, share: f64) -> Duration {
        let wanted = ((self.count as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_micros(middle_of(bucket as u64)).min(self.max);
            }
        }
        self.max
    }
}

fn bucket_of(micros: u64) -> usize {
    let bucket = if micros < PER_DOUBLING {
        micros
    } else {
        let doublings = u64::from(micros.ilog2()) - u64::from(PER_DOUBLING.ilog2());
        doublings * PER_DOUBLING + (micros >> doublings)
    };
    usize::try_from(bucket).unwrap_or(usize::MAX)
}

fn middle_of(bucket: u64) -> u64 {
    if bucket < PER_DOUBLING {
        return bucket;
    }
    let doublings = bucket / PER_DOUBLING - 1;
    let start = (bucket - doublings * PER_DOUBLING) << doublings;
    start + (1 << doublings) / 2
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
    fn every_duration_has_a_bucket_that_lies_around_it() {
        for micros in [0, 1, 63, 64, 65, 127, 128, 1_000, 123_456_789, 1 << 40] {
            let middle = middle_of(bucket_of(micros) as u64) as f64;
            assert!(
                (middle - micros as f64).abs() <= micros as f64 * 0.01,
                "{micros} became {middle}"
            );
        }
    }

    #[test]
    fn an_empty_one_says_zero() {
        assert_eq!(Histogram::default().percentile(0.5), Duration::ZERO);
    }
}
