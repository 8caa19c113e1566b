//! Whose fault it is that a message does not go through: its own, or the store's.
//!
//! Nothing is decided about a message before that is known. It is its own where the store takes a neighbour: the message is
//! dead-lettered in the very transaction in which one like it, that came after it, goes through. Where there is no neighbour, or
//! those are refused as well, a twin of it is tried, under other ids and of nobody, and rolled back. Otherwise it is the store's
//! fault: everything waits, loudly, and goes through once somebody has mended it.

use std::time::Duration;

use super::{BatchProcessor, Job, Tried, Work, is_passing};
use crate::{
    clock::Stopwatch,
    domain::words::DeadLetterReason,
    engine::{EngineError, effects::Emission, prepare::Arrival, rehearsal::Rehearsed, schedule::Pauses},
    store::StoreError,
    telemetry::logs::chain,
    wire::Refusal,
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
    pub(super) emission: Emission,
}

/// What trying neighbours has come to.
enum Neighbours {
    Through(Passed),
    /// So many were refused as well.
    Refused(usize),
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
            let refused = match self.try_neighbours(rest, &error).await? {
                Neighbours::Through(passed) => return Ok(passed),
                Neighbours::Refused(n) => n,
            };
            let rehearsed = self.rehearse(&first[0]).await;
            if self
                .is_at_fault(&error, &rehearsed, refused, since.elapsed())
                .await
            {
                let emission = self.patiently(Job::Decide(&buried(first))).await?;
                report_dead_lettered::<W>(1, &error);
                return Ok(Passed {
                    messages: 1,
                    emission,
                });
            }
            let why = rehearsed
                .err()
                .map_or_else(|| chain(&error), |refused| chain(&refused));
            self.warn_of_waiting(why, &error);
            if self.shutdown.is_cancelled() {
                return Err(error);
            }
            tokio::time::sleep(pauses.longer()).await;
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
        }
    }

    /// Dead-letters the first messages together with a neighbour that goes through after them, or nothing at all.
    async fn try_neighbours(
        &self,
        rest: &[Arrival<W::Item>],
        error: &EngineError,
    ) -> Result<Neighbours, EngineError> {
        let Ok(first) = &rest[0].content else {
            return Ok(Neighbours::Refused(0));
        };
        let mut refused = 0;
        for (n, neighbour) in rest.iter().enumerate().take(TOGETHER).skip(1) {
            match &neighbour.content {
                // It goes along: what cannot be read is dead-lettered in any case.
                Err(_) => continue,
                Ok(item) if self.work.are_alike(first, item) => {}
                Ok(_) => break,
            }
            let mut together = buried(&rest[..n]);
            together.push(neighbour.clone());
            match self.patiently(Job::Decide(&together)).await {
                Ok(emission) => {
                    report_dead_lettered::<W>(refused + 1, error);
                    let messages = n + 1;
                    return Ok(Neighbours::Through(Passed { messages, emission }));
                }
                Err(error) if is_passing(&error) => return Err(error),
                Err(_) => refused += 1,
            }
            if refused == CULPRITS {
                break;
            }
        }
        Ok(Neighbours::Refused(refused))
    }

    async fn rehearse(&self, arrival: &Arrival<W::Item>) -> Result<Rehearsed, EngineError> {
        match &arrival.content {
            Ok(item) => self.work.rehearse(&self.engine, item).await,
            Err(_) => self.engine.rehearse().await,
        }
    }

    /// Whether a message is at fault that no neighbour has told from the store. `refused`: how many neighbours were refused too.
    async fn is_at_fault(
        &self,
        error: &EngineError,
        rehearsed: &Result<Rehearsed, EngineError>,
        refused: usize,
        tried_for: Duration,
    ) -> bool {
        if store_error(error).is_some_and(StoreError::is_of_a_constraint) {
            return matches!(rehearsed, Ok(Rehearsed::Twin));
        }
        let is_doubted = store_error(error).is_some() && refused > 0;
        match rehearsed {
            Ok(Rehearsed::Twin) => true,
            Ok(Rehearsed::Anything) => !is_doubted || tried_for >= DOUBT,
            // What is in it may be what the store refuses of the twin as well.
            Err(_) => tried_for >= DOUBT && self.engine.rehearse().await.is_ok(),
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
            let why = match self.engine.rehearse().await {
                Ok(_) => {
                    self.engine.troubles.over(W::NAME);
                    return Ok(Tried::AtFault(error));
                }
                Err(refused) => chain(&refused),
            };
            self.warn_of_waiting(why, &error);
            if self.shutdown.is_cancelled() {
                return Err(error);
            }
            tokio::time::sleep(pauses.longer()).await;
            error = match self.patiently(job).await {
                Ok(emission) => return Ok(Tried::Through(emission)),
                Err(error) if is_passing(&error) => return Err(error),
                Err(error) => error,
            };
        }
    }

    fn warn_of_waiting(&self, why: String, error: &EngineError) {
        tracing::warn!(
            stage = W::NAME,
            why,
            error = error as &dyn std::error::Error,
            "no message goes through: waiting for the store"
        );
        self.engine.troubles.waits(W::NAME, why);
    }
}

/// The same messages, to be dead-lettered: no transaction can take them in. One that cannot be read says so itself.
fn buried<T: Clone>(culprits: &[Arrival<T>]) -> Vec<Arrival<T>> {
    let mut buried = culprits.to_vec();
    for arrival in &mut buried {
        if arrival.content.is_ok() || culprits.len() == 1 {
            arrival.content = Err(Refusal::new(
                DeadLetterReason::Internal,
                "it failed for good".to_owned(),
            ));
        }
    }
    buried
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
