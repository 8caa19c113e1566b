//! One turn of an agent: the tasks in hand, and for how long they may be.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio_util::sync::CancellationToken;

/// For how long the tasks in hand may be worked on. A place looks between two steps, and leaves the rest to the next attempt.
#[derive(Debug, Clone, Default)]
pub struct Turn {
    stop: CancellationToken,
    is_late: Arc<AtomicBool>,
}

/// Why the rest is left to the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The agent stops.
    Stopping,
    /// The time by which it was to be done has come.
    Late,
}

impl Ended {
    /// For people.
    pub const fn says(self) -> &'static str {
        match self {
            Self::Stopping => "the agent stops; the rest follows with the next attempt",
            Self::Late => "it takes longer than was announced; the rest follows with the next attempt",
        }
    }
}

impl Turn {
    /// One that ends when this is cancelled.
    pub fn until(stop: &CancellationToken) -> Self {
        Self {
            stop: stop.clone(),
            is_late: Arc::default(),
        }
    }

    /// The time has come.
    pub fn end(&self) {
        self.is_late.store(true, Ordering::Relaxed);
    }

    /// Whether it is over.
    pub fn ended(&self) -> Option<Ended> {
        if self.stop.is_cancelled() {
            return Some(Ended::Stopping);
        }
        self.is_late.load(Ordering::Relaxed).then_some(Ended::Late)
    }

    /// Waits, no longer than until the agent stops.
    pub async fn rest(&self, pause: Duration) {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.stop.cancelled() => {}
        }
    }

    /// Resolves once the agent stops.
    pub async fn stopping(&self) {
        self.stop.cancelled().await;
    }
}
