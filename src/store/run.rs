//! A transaction that is tried again when it loses a race.

use std::time::Duration;

use super::{
    ended::Ended,
    error::StoreError,
    port::{Store, Transaction},
    requests::Lock,
};
use crate::clock::Stopwatch;

/// How often a transaction is tried. From the second try on its rows are locked, so only races on unique keys and
/// deadlocks remain; eight in a row are not bad luck.
const TRIES: u32 = 8;
/// The longest delay before the second try; it doubles with each further one.
const FIRST_DELAY: Duration = Duration::from_millis(4);
/// The longest delay of all: about the time that a large batch takes.
const LONGEST_DELAY: Duration = Duration::from_millis(200);

/// An error of a transaction's work that may come from the store.
pub trait StoreFailure: From<StoreError> {
    /// The store's error in it, if it is one.
    fn store_error(&self) -> Option<&StoreError>;
}

impl StoreFailure for StoreError {
    fn store_error(&self) -> Option<&StoreError> {
        Some(self)
    }
}

/// Who is told about transactions.
pub trait Observer: Send + Sync {
    /// One try of a transaction has taken this long, whatever its outcome.
    fn observe(&self, name: &'static str, took: Duration);
}

/// Nobody.
impl Observer for () {
    fn observe(&self, _: &'static str, _: Duration) {}
}

/// The tries of one transaction: it is begun again when it loses a race, with its rows locked from the second try on.
///
/// ```text
/// let mut attempts = Attempts::new(store, observer, "name");
/// loop {
///     let done = work_once(&mut attempts).await;      // begins, works, commits
///     if let Some(done) = attempts.conclude(done).await { return done; }
/// }
/// ```
///
/// The work can run several times, so it must leave nothing behind but what it writes in the transaction: no sends, no
/// counters. When the commit's answer is lost the outcome is unknown; positions and keys make another try harmless.
/// (A loop, and not a function that takes a closure: a task that borrows through an async closure cannot be spawned.)
pub struct Attempts<'a> {
    store: &'a dyn Store,
    observer: &'a dyn Observer,
    name: &'static str,
    tries: u32,
    stopwatch: Stopwatch,
    ended: Ended,
}

impl std::fmt::Debug for Attempts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attempts")
            .field("name", &self.name)
            .field("tries", &self.tries)
            .finish_non_exhaustive()
    }
}

impl<'a> Attempts<'a> {
    /// Prepares a transaction of this name.
    pub fn new(store: &'a dyn Store, observer: &'a dyn Observer, name: &'static str) -> Self {
        Self {
            store,
            observer,
            name,
            tries: 0,
            stopwatch: Stopwatch::start(),
            ended: Ended::default(),
        }
    }

    /// Begins the next try.
    pub async fn begin(&mut self) -> Result<Box<dyn Transaction>, StoreError> {
        self.stopwatch = Stopwatch::start();
        let transaction = self.store.begin(self.name).await?;
        self.ended = transaction.ended();
        Ok(transaction)
    }

    /// How this try has to load what it changes.
    pub const fn lock(&self) -> Lock {
        if self.tries == 0 { Lock::None } else { Lock::Rows }
    }

    /// Takes what a try came to; `None`: it has to be tried again. A try that did not commit has let go of its rows by
    /// then: the next look must not pass over them as if another worker had them.
    pub async fn conclude<T, E: StoreFailure>(&mut self, done: Result<T, E>) -> Option<Result<T, E>> {
        self.observer.observe(self.name, self.stopwatch.elapsed());
        self.tries += 1;
        std::mem::take(&mut self.ended).wait().await;
        let again = done
            .as_ref()
            .is_err_and(|error| error.store_error().is_some_and(StoreError::is_retryable));
        if !again || self.tries >= TRIES {
            return Some(done);
        }
        // No due time is waited for here: the delay only spreads those who collided, so it does not have to survive
        // anything and needs no row in the agenda.
        tokio::time::sleep(delay(self.tries)).await;
        None
    }
}

/// Anything between nothing and a bound that doubles with each try.
fn delay(tries: u32) -> Duration {
    let bound = FIRST_DELAY.saturating_mul(1 << tries.min(16)).min(LONGEST_DELAY);
    bound.mul_f64(rand::random::<f64>())
}
