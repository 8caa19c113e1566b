//! How fast commands are published.

use std::{str::FromStr, time::Duration};

/// So many in a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    count: u32,
    seconds: u32,
}

impl FromStr for Rate {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected a number per second, minute or hour, such as 50/s or 1000/h";
        let (count, unit) = text.split_once('/').ok_or(EXPECTED)?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => return Err(EXPECTED),
        };
        let count = count.parse().ok().filter(|count| *count > 0).ok_or(EXPECTED)?;
        Ok(Self { count, seconds })
    }
}

impl Rate {
    /// The time from one to the next.
    pub(super) fn interval(self) -> Duration {
        Duration::from_secs(self.seconds.into()) / self.count
    }

    /// How many go out in a second, at least one.
    pub(super) const fn per_second(self) -> usize {
        let n = self.count / self.seconds;
        if n == 0 { 1 } else { n as usize }
    }

    /// How many go out in an hour.
    pub(super) fn per_hour(self) -> u64 {
        u64::from(self.count) * 3600 / u64::from(self.seconds)
    }

    /// How long so many take.
    pub(super) fn time_for(self, count: u64) -> Duration {
        let seconds = count as f64 * f64::from(self.seconds) / f64::from(self.count);
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_reckoned() {
        let rate: Rate = "50/s".parse().unwrap();
        assert_eq!((rate.per_second(), rate.per_hour()), (50, 180_000));
        assert_eq!(rate.interval(), Duration::from_millis(20));
        assert_eq!(rate.time_for(5_000), Duration::from_secs(100));
        let slow: Rate = "1000/h".parse().unwrap();
        assert_eq!((slow.per_second(), slow.per_hour()), (1, 1000));
        assert_eq!(slow.time_for(500), Duration::from_secs(1800));
        for text in ["", "50", "0/s", "-1/s", "5/d", "x/s", "5 /s"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }
}
