//! Whose fault it is that a message does not go through: its own, or the store's.
//!
//! Nothing is decided about a message before that is known. It is its own where the store takes something like it and refuses it
//! once more afterwards: its twin, under other ids and of nobody, or a neighbour's, which are written and rolled back. A message
//! that has no twin is dead-lettered in the very transaction in which one like it, that came after it, goes through. Otherwise it
//! is the store's fault: everything waits, loudly, and goes through once somebody has mended it.

use std::time::Duration;

use super::{BatchProcessor, Job, Tried, Work, is_passing};
use crate::{
    clock::Stopwatch,
    domain::words::DeadLetterReason,
    engine::{EngineError, dry_run::DryRun, effects::Effects, prepare::Arrival, schedule::Pauses},
    store::StoreError,
    telemetry::logs::chain,
    wire::Rejection,
};

/// So many messages in a row may be at fault together. Where the store refuses one more, it is the store.
const CULPRITS: usize = 3;

/// A transaction takes so many messages in, whatever they are.
const TOGETHER: usize = 50;

/// A message is blamed on less evidence after this, unless a constraint refuses it: Lacuna has none that a message could break.
const DOUBT: Duration = Duration::from_secs(60);

/// What has been gone past.
pub(super) struct Passed {
    pub(super) messages: usize,
    pub(super) emission: Effects,
}

/// Whose fault it seems to be.
enum Evidence {
    /// The message's own: the store takes what is like it.
    AtFault,
    /// Nobody can tell without a neighbour that really goes through.
    Neighbours,
    /// The store's, and why.
    Store(String),
}

impl<W: Work> BatchProcessor<W> {
    /// Goes past the first of these messages, which fails for good where it stands alone, and past those with it that turn out
    /// to be at fault as well.
    pub(super) async fn pass_culprits(
        &self,
        rest: &[Arrival<W::Item>],
        mut error: EngineError,
    ) -> Result<Passed, EngineError> {
        let (mut pauses, since) = (Pauses::default(), Stopwatch::start());
        let first = &rest[..1];
        loop {
            let evidence = self.evidence(rest, &error, since.elapsed()).await;
            if self.shutdown.is_cancelled() && !matches!(evidence, Evidence::AtFault) {
                return Err(error);
            }
            if let Evidence::Store(why) = &evidence {
                self.wait_for_the_store(why.clone(), &error, &mut pauses).await;
            }
            // Once more in any case: the store may have been mended just before something else went through.
            error = match self.patiently(Job::Decide(first)).await {
                Ok(emission) => {
                    return Ok(Passed {
                        messages: 1,
                        emission,
                    });
                }
                Err(error) if is_passing(&error) => return Err(error),
                Err(error) => error,
            };
            match evidence {
                Evidence::AtFault => {
                    let emission = self.patiently(Job::Decide(&to_dead_letter(first))).await?;
                    report_dead_lettered::<W>(1, &error);
                    return Ok(Passed {
                        messages: 1,
                        emission,
                    });
                }
                Evidence::Neighbours => {
                    if let Some(passed) = self.try_neighbours(rest, &error).await? {
                        return Ok(passed);
                    }
                    self.wait_for_the_store(chain(&error), &error, &mut pauses).await;
                }
                Evidence::Store(_) => {}
            }
        }
    }

    /// What speaks for the store, or against it, now. Nothing of it is committed.
    async fn evidence(
        &self,
        rest: &[Arrival<W::Item>],
        error: &EngineError,
        tried_for: Duration,
    ) -> Evidence {
        let is_of_a_constraint = store_error(error).is_some_and(StoreError::is_of_a_constraint);
        let why = match self.dry_run(&rest[0]).await {
            Ok(DryRun::Twin) => return Evidence::AtFault,
            Ok(DryRun::Anything) if !is_of_a_constraint => {
                // Where neighbours fail too it may be the store, for a while.
                let has_neighbours = !self.neighbours(rest).is_empty();
                let is_doubted = store_error(error).is_some() && has_neighbours && tried_for < DOUBT;
                return if is_doubted {
                    Evidence::Neighbours
                } else {
                    Evidence::AtFault
                };
            }
            Ok(DryRun::Anything) if !self.neighbours(rest).is_empty() => return Evidence::Neighbours,
            Ok(DryRun::Anything) => chain(error),
            // The program fails at what is in it: that is not the store's affair.
            Err(refused)
                if store_error(error).is_none()
                    && store_error(&refused).is_none()
                    && self.engine.dry_run().await.is_ok() =>
            {
                return Evidence::AtFault;
            }
            Err(refused) => chain(&refused),
        };
        for n in self.neighbours(rest) {
            if matches!(self.dry_run(&rest[n]).await, Ok(DryRun::Twin)) {
                return Evidence::AtFault;
            }
        }
        // What is in the message may be what the store refuses of its twin as well.
        if !is_of_a_constraint && tried_for >= DOUBT && self.engine.dry_run().await.is_ok() {
            return Evidence::AtFault;
        }
        Evidence::Store(why)
    }

    /// Dead-letters the first messages together with a neighbour that goes through after them, or nothing at all.
    async fn try_neighbours(
        &self,
        rest: &[Arrival<W::Item>],
        error: &EngineError,
    ) -> Result<Option<Passed>, EngineError> {
        for (refused, n) in self.neighbours(rest).into_iter().enumerate() {
            let mut together = to_dead_letter(&rest[..n]);
            together.push(rest[n].clone());
            match self.patiently(Job::Decide(&together)).await {
                Ok(emission) => {
                    report_dead_lettered::<W>(refused + 1, error);
                    let messages = n + 1;
                    return Ok(Some(Passed { messages, emission }));
                }
                Err(error) if is_passing(&error) => return Err(error),
                Err(_) => {}
            }
        }
        Ok(None)
    }

    /// Where those next ones are that the first one can be compared with. What cannot be read goes along: it is dead-lettered
    /// in any case.
    fn neighbours(&self, rest: &[Arrival<W::Item>]) -> Vec<usize> {
        let Ok(first) = &rest[0].content else {
            return Vec::new();
        };
        let is_near = |arrival: &Arrival<W::Item>| {
            let item = arrival.content.as_ref();
            item.map_or(true, |item| self.work.are_alike(first, item))
        };
        (1..rest.len().min(TOGETHER))
            .take_while(|n| is_near(&rest[*n]))
            .filter(|n| rest[*n].content.is_ok())
            .take(CULPRITS)
            .collect()
    }

    async fn dry_run(&self, arrival: &Arrival<W::Item>) -> Result<DryRun, EngineError> {
        match &arrival.content {
            Ok(item) => self.work.dry_run(&self.engine, item).await,
            Err(_) => self.engine.dry_run().await,
        }
    }

    /// Says again what is about one message, until the store takes nothing else either.
    pub(super) async fn republish_alone(
        &self,
        job: Job<'_, W::Item>,
        mut error: EngineError,
    ) -> Result<Tried, EngineError> {
        let mut pauses = Pauses::default();
        loop {
            let why = match self.engine.dry_run().await {
                Ok(_) => {
                    self.engine.troubles.over(W::NAME);
                    return Ok(Tried::AtFault(error));
                }
                Err(refused) => chain(&refused),
            };
            if self.shutdown.is_cancelled() {
                return Err(error);
            }
            self.wait_for_the_store(why, &error, &mut pauses).await;
            error = match self.patiently(job).await {
                Ok(emission) => return Ok(Tried::Through(emission)),
                Err(error) if is_passing(&error) => return Err(error),
                Err(error) => error,
            };
        }
    }

    async fn wait_for_the_store(&self, why: String, error: &EngineError, pauses: &mut Pauses) {
        tracing::warn!(
            stage = W::NAME,
            why,
            error = error as &dyn std::error::Error,
            "no message goes through: waiting for the store"
        );
        self.engine.troubles.waits(W::NAME, why);
        tokio::time::sleep(pauses.longer()).await;
    }
}

/// The same messages, to be dead-lettered: no transaction can take them in. One that cannot be read says so itself.
fn to_dead_letter<T: Clone>(culprits: &[Arrival<T>]) -> Vec<Arrival<T>> {
    let mut letters = culprits.to_vec();
    for arrival in &mut letters {
        if arrival.content.is_ok() || culprits.len() == 1 {
            arrival.content = Err(Rejection::new(
                DeadLetterReason::Internal,
                "it failed for good".to_owned(),
            ));
        }
    }
    letters
}

fn report_dead_lettered<W: Work>(messages: usize, why: &EngineError) {
    tracing::error!(
        stage = W::NAME,
        error = why as &dyn std::error::Error,
        messages,
        "dead-lettered as internal"
    );
}

fn store_error(error: &EngineError) -> Option<&StoreError> {
    match error {
        EngineError::Store(error) => Some(error),
        _ => None,
    }
}
