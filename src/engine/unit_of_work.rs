//! The one way in which the engine changes the store: a unit of work is a transaction that passes the gate, reads, decides and
//! writes, and that is run again where it loses a race.
//!
//! A use case says what it loads, what it decides and what it answers ([`UnitOfWork`]). Everything else is done here, and
//! nowhere else: retries, the gate, panics, capsules, the write and the commit. What has to be produced is left in
//! [`Committed::finished`] and built by whoever asked, once the transaction has committed.
//!
//! A decision that panics leaves nothing behind. Where it is about rows that nobody is waiting for ([`UnitOfWork::SETS_ASIDE`]),
//! each of them is then tried alone, in memory; those that fail are set aside, loudly, and the others go on. So a row at which
//! the program fails stops no worker, and a restart does not find it due once more. A batch of messages is halved by whoever
//! reads their log instead, because each of them has to be answered.

use std::pin::Pin;

use async_trait::async_trait;

use super::{
    Engine, EngineError,
    batch::{Batch, Finished},
    catch_panic::catch_panic,
    counter_slot::CounterSlot,
    decision_inputs::DecisionInputs,
};
use crate::{
    domain::ids::RequestId,
    store::{Attempts, Gate, Lock, Observer, Store, StoreFailure, StoredRequest, Transaction},
};

/// What a use case does in its transaction.
///
/// All of it may run several times, so it leaves nothing behind but what it returns: no sends, no counters.
#[async_trait]
pub(super) trait UnitOfWork<'a>: Send + Sync {
    /// What is read besides the requests.
    type Loaded: Send;
    /// What the use case answers.
    type Output: Send;
    /// What can go wrong.
    type Error: StoreFailure + From<EngineError> + Send;

    /// The row of the counters that it writes to.
    const SLOT: CounterSlot = CounterSlot::Other;
    /// Under which name requests at which the program fails are set aside, and the others decided about without them;
    /// `None`: all fails then.
    const SETS_ASIDE: Option<&'static str> = None;

    /// What the transaction is called in metrics.
    fn name(&self) -> &'static str;

    /// How it passes the gate.
    fn gate(&self) -> Gate {
        Gate::Shared
    }

    /// Whether outbox rows remember what has to be produced, because no message of Kafka does.
    fn is_outboxed(&self) -> bool {
        true
    }

    /// Reads, in the order of locks, what the decision needs. `lock`: how requests are read.
    async fn load(
        &self,
        tx: &mut dyn Transaction,
        inputs: &mut DecisionInputs,
        lock: Lock,
    ) -> Result<Load<Self::Loaded, Self::Output>, Self::Error>;

    /// Decides, without any input or output. Where requests are set aside it may be asked several times, each time about
    /// other rows, so it must leave what was loaded as it is.
    fn decide(
        &self,
        loaded: &mut Self::Loaded,
        inputs: &DecisionInputs,
        batch: &mut Batch<'a>,
    ) -> Result<Decision<Self::Output>, Self::Error>;

    /// Writes what the changes have no place for, and adds to them what depends on which requests were set aside.
    async fn conclude(
        &self,
        _answer: &mut Self::Output,
        _finished: &mut Finished<'a>,
        _inputs: &DecisionInputs,
        _tx: &mut dyn Transaction,
    ) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// What was loaded.
pub(super) enum Load<L, A> {
    /// These requests, and what else the decision needs.
    Ready(Vec<StoredRequest>, L),
    /// There is nothing to decide: nothing is written, and this is the answer.
    Nothing(A),
}

/// What was decided.
pub(super) enum Decision<A> {
    /// The batch is written, and this is the answer.
    Write(A),
    /// Nothing is written, and this is the answer.
    Nothing(A),
}

/// A unit of work that is over.
#[derive(Debug)]
pub(super) struct Committed<'a, A> {
    pub(super) answer: A,
    /// What was written, and what has to be produced of it.
    pub(super) finished: Finished<'a>,
}

/// What a decision leaves to be written; without [`Finished`]: nothing.
type Decided<'a, A> = (A, Option<Finished<'a>>);

/// A unit of work that runs. In a box, one for each transaction: what awaits it could not be spawned otherwise, because of the
/// lifetime in the trait.
type Boxed<'e, T> = Pin<Box<dyn Future<Output = T> + Send + 'e>>;

/// Runs a unit of work until it is committed, or fails for good.
pub(super) fn run<'e, 'a: 'e, U: UnitOfWork<'a>>(
    engine: &'e Engine,
    unit: &'e U,
) -> Boxed<'e, Result<Committed<'a, U::Output>, U::Error>> {
    Box::pin(async move {
        let mut attempts = Attempts::new(engine.store.as_ref(), &*engine.metrics, unit.name());
        loop {
            let done = run_once(engine, unit, &mut attempts).await;
            if let Some(done) = attempts.conclude(done).await {
                return done;
            }
        }
    })
}

async fn run_once<'a, U: UnitOfWork<'a>>(
    engine: &Engine,
    unit: &U,
    attempts: &mut Attempts<'_>,
) -> Result<Committed<'a, U::Output>, U::Error> {
    let lock = attempts.lock();
    let mut tx = attempts.begin().await?;
    let (answer, finished) = write(engine, unit, &mut *tx, lock).await?;
    match finished {
        Some(finished) => {
            tx.commit().await?;
            // Counted once it is so: what loses a race is decided again.
            if let Some(name) = U::SETS_ASIDE {
                for id in &finished.aside {
                    engine.report_set_aside(*id, name);
                }
            }
            Ok(Committed { answer, finished })
        }
        None => Ok(Committed {
            answer,
            finished: Finished::nothing(engine.clock.now()),
        }),
    }
}

/// Does all that a unit of work does, once, and rolls it back. What it would have written; `None`: nothing.
pub(super) fn dry_run<'e, 'a: 'e, U: UnitOfWork<'a>>(
    engine: &'e Engine,
    unit: &'e U,
) -> Boxed<'e, Result<Option<Finished<'a>>, U::Error>> {
    Box::pin(async move {
        let mut tx = engine.store.begin("rehearsal").await?;
        let ended = tx.ended();
        let written = write(engine, unit, &mut *tx, Lock::None).await;
        drop(tx);
        // The next one does not meet its rows.
        ended.wait().await;
        Ok(written?.1)
    })
}

/// All but the end of the transaction. Without [`Finished`] there is nothing to commit.
async fn write<'a, U: UnitOfWork<'a>>(
    engine: &Engine,
    unit: &U,
    tx: &mut dyn Transaction,
    lock: Lock,
) -> Result<Decided<'a, U::Output>, U::Error> {
    let mut inputs = engine.pass_gate(tx, unit.gate()).await?;
    let (rows, mut loaded) = match unit.load(tx, &mut inputs, lock).await? {
        Load::Ready(rows, loaded) => (rows, loaded),
        Load::Nothing(answer) => return Ok((answer, None)),
    };
    let ids: Vec<RequestId> = rows.iter().map(|row| row.request.id).collect();
    let (mut answer, finished) = match decide(engine, unit, &mut loaded, &inputs, rows, Vec::new()) {
        Ok(decided) => decided?,
        Err(panicked) => {
            U::SETS_ASIDE.ok_or(panicked)?;
            // Within the transaction: another one would find the rows locked, and pass them over.
            let rows = tx.load(&ids, Lock::Rows).await?;
            decide_without_unfit(engine, unit, &mut loaded, &inputs, rows)?
        }
    };
    let Some(mut finished) = finished else {
        return Ok((answer, None));
    };
    unit.conclude(&mut answer, &mut finished, &inputs, tx).await?;
    engine.seal_capsules(&mut finished, tx).await?;
    tx.write(&finished.changes).await?;
    Ok((answer, Some(finished)))
}

/// Decides about these rows, and sets others aside. The outer error: the program has failed at one of them.
fn decide<'a, U: UnitOfWork<'a>>(
    engine: &Engine,
    unit: &U,
    loaded: &mut U::Loaded,
    inputs: &DecisionInputs,
    rows: Vec<StoredRequest>,
    unfit: Vec<StoredRequest>,
) -> Result<Result<Decided<'a, U::Output>, U::Error>, EngineError> {
    catch_panic(|| {
        let mut batch = Batch::with_loaded(rows, engine.clock_skew);
        let answer = match unit.decide(loaded, inputs, &mut batch)? {
            Decision::Write(answer) => answer,
            Decision::Nothing(answer) => return Ok((answer, None)),
        };
        for row in unfit {
            batch.set_aside(row, inputs.now);
        }
        let finished = batch.finish(engine, U::SLOT, inputs.now, unit.is_outboxed())?;
        Ok((answer, Some(finished)))
    })
}

/// Tries each row alone, and decides about all at which the program does not fail.
fn decide_without_unfit<'a, U: UnitOfWork<'a>>(
    engine: &Engine,
    unit: &U,
    loaded: &mut U::Loaded,
    inputs: &DecisionInputs,
    rows: Vec<StoredRequest>,
) -> Result<Decided<'a, U::Output>, U::Error> {
    let is_fit =
        |row: &StoredRequest| decide(engine, unit, loaded, inputs, vec![row.clone()], Vec::new()).is_ok();
    let (fit, unfit): (Vec<_>, Vec<_>) = rows.into_iter().partition(is_fit);
    decide(engine, unit, loaded, inputs, fit, unfit)?
}

/// What is done in a transaction that decides about no request, and that whoever has a store and nothing else can run.
#[async_trait]
pub(super) trait StoreWork: Send + Sync {
    /// What it comes to.
    type Output: Send;

    /// Reads and writes.
    async fn work(&self, tx: &mut dyn Transaction) -> Result<Decision<Self::Output>, EngineError>;
}

/// Runs it until it is committed, or fails for good.
pub(super) async fn run_on_store<W: StoreWork>(
    store: &dyn Store,
    observer: &dyn Observer,
    name: &'static str,
    work: &W,
) -> Result<W::Output, EngineError> {
    let mut attempts = Attempts::new(store, observer, name);
    loop {
        let done = run_on_store_once(work, &mut attempts).await;
        if let Some(done) = attempts.conclude(done).await {
            return done;
        }
    }
}

async fn run_on_store_once<W: StoreWork>(
    work: &W,
    attempts: &mut Attempts<'_>,
) -> Result<W::Output, EngineError> {
    let mut tx = attempts.begin().await?;
    match work.work(&mut *tx).await? {
        Decision::Write(answer) => {
            tx.commit().await?;
            Ok(answer)
        }
        Decision::Nothing(answer) => Ok(answer),
    }
}
