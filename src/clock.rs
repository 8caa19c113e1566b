//! The only place that reads a clock. Everything else is handed a time.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::domain::time::At;

/// Where times come from: the machine, or a test's hand.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// A clock that stands still until it is moved: tests and simulated timelines.
    Manual(ManualClock),
}

impl Clock {
    /// Now.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the wall clock"
    )]
    pub fn now(&self) -> At {
        match self {
            Self::System => jiff::Timestamp::now().into(),
            Self::Manual(manual) => manual.now(),
        }
    }

    /// Whether time passes by itself, so that it can be compared with the database's.
    pub const fn is_system(&self) -> bool {
        matches!(self, Self::System)
    }
}

/// A clock that moves only when told to. Clones share the time.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<Mutex<At>>);

impl ManualClock {
    /// Starts at a time.
    pub fn starting_at(at: At) -> Self {
        Self(Arc::new(Mutex::new(at)))
    }

    /// Its time.
    pub fn now(&self) -> At {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves it forward.
    pub fn advance(&self, by: Duration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = now.plus(by);
    }
}

/// Measures a duration on the monotonic clock, for metrics and reports; never for decisions.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(std::time::Instant);

impl Stopwatch {
    /// Starts measuring.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the monotonic clock"
    )]
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// The time since the start.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
