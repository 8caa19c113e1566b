//! A transaction that is tried again when it loses a race.

use std::time::Duration;

use super::{Lock, Store, StoreError, Transaction};
use crate::clock::Stopwatch;

/// How often a transaction is tried. From the second try on its rows are locked, so only races on unique keys and
/// deadlocks remain; eight in a row are not bad luck.
const TRIES: u32 = 8;
/// The longest delay before the second try; it doubles with each further one.
const FIRST_DELAY: Duration = Duration::from_millis(4);
/// The longest delay of all: about the time that a large batch takes.
const LONGEST_DELAY: Duration = Duration::from_millis(200);

/// An error of a transaction's work that may come from the store.
pub trait HoldsStoreError: From<StoreError> {
    /// The store's error in it, if it is one.
    fn store_error(&self) -> Option<&StoreError>;
}

impl HoldsStoreError for StoreError {
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

/// Begins, works, commits. What lost a race is tried again, with its rows locked; `work` is told which lock to load with.
///
/// `work` can run several times, so it must leave nothing behind but what it writes in the transaction: no sends, no
/// counters. When the commit's answer is lost the outcome is unknown; positions and keys make another try harmless.
pub async fn run<T, E, W>(
    store: &dyn Store,
    name: &'static str,
    observer: &dyn Observer,
    mut work: W,
) -> Result<T, E>
where
    E: HoldsStoreError,
    W: for<'a> AsyncFnMut(&'a mut dyn Transaction, Lock) -> Result<T, E>,
{
    let mut tries = 0;
    loop {
        let lock = if tries == 0 { Lock::None } else { Lock::Rows };
        let stopwatch = Stopwatch::start();
        let done = attempt(store, name, &mut work, lock).await;
        observer.observe(name, stopwatch.elapsed());
        tries += 1;
        match done {
            Err(error) if tries < TRIES && error.store_error().is_some_and(StoreError::is_retryable) => {
                // No due time is waited for here: the delay only spreads those who collided, so it does not have to
                // survive anything and needs no row in the agenda.
                tokio::time::sleep(delay(tries)).await;
            }
            done => return done,
        }
    }
}

async fn attempt<T, E, W>(store: &dyn Store, name: &'static str, work: &mut W, lock: Lock) -> Result<T, E>
where
    E: HoldsStoreError,
    W: for<'a> AsyncFnMut(&'a mut dyn Transaction, Lock) -> Result<T, E>,
{
    let mut transaction = store.begin(name).await?;
    let value = work(&mut *transaction, lock).await?;
    transaction.commit().await?;
    Ok(value)
}

/// Anything between nothing and a bound that doubles with each try.
fn delay(tries: u32) -> Duration {
    let bound = FIRST_DELAY.saturating_mul(1 << tries.min(16)).min(LONGEST_DELAY);
    bound.mul_f64(rand::random::<f64>())
}
