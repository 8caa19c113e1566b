//! Lengths of time: their quantiles by nearest rank, exactly, and how many fall into how many days.

use std::time::Duration;

/// Many lengths of time. Most are shorter than 49 days and take four bytes each, so that a million requests with all their
/// answers fit into memory, and nothing is rounded.
#[derive(Debug, Default)]
pub struct Durations {
    /// In milliseconds.
    short: Vec<u32>,
    /// In milliseconds: those that don't fit there, so each of them is longer than all of those.
    long: Vec<u64>,
    is_sorted: bool,
}

impl Durations {
    /// One more.
    pub fn push(&mut self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        match u32::try_from(millis) {
            Ok(millis) => self.short.push(millis),
            Err(_) => self.long.push(millis),
        }
        self.is_sorted = false;
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        (self.short.len() + self.long.len()) as u64
    }

    /// The one that so many of a hundred do not exceed, by nearest rank: the one at ⌈percent · count / 100⌉, counted from 1.
    /// `None`: there are none.
    pub fn percentile(&mut self, percent: u64) -> Option<Duration> {
        if !self.is_sorted {
            self.short.sort_unstable();
            self.long.sort_unstable();
            self.is_sorted = true;
        }
        let rank = (self.count() * percent).div_ceil(100).max(1);
        let place = usize::try_from(rank - 1).ok()?;
        let short = self.short.get(place).copied().map(u64::from);
        let millis = short.or_else(|| self.long.get(place.checked_sub(self.short.len())?).copied());
        millis.map(Duration::from_millis)
    }

    /// The longest.
    pub fn longest(&mut self) -> Option<Duration> {
        self.percentile(100)
    }
}

/// How far the columns of a histogram go, in days: the terms of the regimes are among them.
pub const UP_TO_DAYS: [u16; 9] = [1, 3, 7, 10, 15, 30, 45, 60, 90];

/// How many lengths of time fall into which column of [`UP_TO_DAYS`]; the last one has what is longer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Days(pub [u64; UP_TO_DAYS.len() + 1]);

impl Days {
    /// One more.
    pub fn push(&mut self, time: Duration) {
        const DAY: u64 = 24 * 3600;
        let is_in = |days: &u16| time <= Duration::from_secs(u64::from(*days) * DAY);
        let column = UP_TO_DAYS.iter().position(is_in).unwrap_or(UP_TO_DAYS.len());
        self.0[column] += 1;
    }

    /// Each column: up to how many days, and how many there are. `None`: more than all others.
    pub fn columns(&self) -> impl Iterator<Item = (Option<u16>, u64)> + '_ {
        let ends = UP_TO_DAYS.iter().copied().map(Some).chain([None]);
        ends.zip(self.0.iter().copied())
    }
}
