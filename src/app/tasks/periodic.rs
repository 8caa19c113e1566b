//! What is done again and again until the shutdown: one way to rest, to fail, and to say how it stands.

use std::{convert::Infallible, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    telemetry::{logs::chain, metrics::Metrics, readiness::Readiness},
};

/// Something that is done again and again.
#[async_trait]
pub(in crate::app) trait Periodic: Send + 'static {
    /// What can go wrong in a turn. The next one tries again.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Its name in `/readyz`, metrics and logs.
    fn name(&self) -> &'static str;

    /// The part of the worker that is not ready while it fails; `None`: the worker does its work without it.
    fn part(&self) -> Option<&'static str> {
        Some(self.name())
    }

    /// Does it once.
    async fn turn(&mut self) -> Result<Next, Self::Error>;

    /// How long it rests.
    fn every(&self) -> Duration;

    /// Ends it, at the shutdown.
    async fn end(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Rests.
    async fn rest(&mut self) {
        // A look now and then: no due time of the domain.
        tokio::time::sleep(self.every()).await;
    }
}

/// What comes after a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::app) enum Next {
    /// A rest.
    Rest,
    /// Another turn: there is more to do.
    GoOn,
}

/// Where periodic tasks say how they stand.
#[derive(Debug, Clone)]
pub(in crate::app) struct Reports {
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    pub readiness: Readiness,
}

impl Reports {
    fn succeeded(&self, name: &'static str, part: Option<&'static str>) {
        let now = self.clock.now();
        self.metrics.task_succeeded(name, now);
        if self.readiness.task_succeeded(name, now) {
            tracing::info!(task = name, "it works again");
        }
        if let Some(part) = part {
            self.readiness.ready(part);
        }
    }

    fn failed(
        &self,
        name: &'static str,
        part: Option<&'static str>,
        error: &(dyn std::error::Error + 'static),
    ) {
        let why = chain(error);
        // Once, until it says something else.
        if self.readiness.task_failed(name, &why) {
            tracing::warn!(task = name, why, "a turn failed, and is tried again");
        }
        if let Some(part) = part {
            self.readiness.not_ready(part, why);
        }
    }
}

/// Runs a task until the shutdown.
pub(in crate::app) async fn periodic<P: Periodic>(
    mut task: P,
    reports: Reports,
    shutdown: CancellationToken,
) -> Result<(), Infallible> {
    while !shutdown.is_cancelled() {
        let next = match task.turn().await {
            Ok(next) => {
                reports.succeeded(task.name(), task.part());
                next
            }
            Err(error) => {
                reports.failed(task.name(), task.part(), &error);
                Next::Rest
            }
        };
        if next == Next::Rest {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = task.rest() => {}
            }
        }
    }
    if let Err(error) = task.end().await {
        reports.failed(task.name(), task.part(), &error);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails in its second turn, and asks for the end in its fourth.
    struct Counting {
        turns: u32,
        rests: u32,
        seen: Vec<(usize, Option<String>)>,
        reports: Reports,
        shutdown: CancellationToken,
    }

    #[async_trait]
    impl Periodic for Counting {
        type Error = std::io::Error;

        fn name(&self) -> &'static str {
            "counting"
        }

        async fn turn(&mut self) -> Result<Next, std::io::Error> {
            self.turns += 1;
            match self.turns {
                1 => Ok(Next::GoOn),
                2 => Err(std::io::Error::other("no")),
                3 => Ok(Next::Rest),
                _ => {
                    self.shutdown.cancel();
                    assert_eq!(self.rests, 2, "after the failure, and after the third turn");
                    assert_eq!(self.seen, [(1, Some("no".to_owned())), (0, None)]);
                    Ok(Next::Rest)
                }
            }
        }

        fn every(&self) -> Duration {
            Duration::ZERO
        }

        async fn rest(&mut self) {
            self.rests += 1;
            let tasks = self.reports.readiness.tasks();
            let failing = tasks["counting"].failing.clone();
            self.seen.push((self.reports.readiness.problems().len(), failing));
        }
    }

    #[tokio::test]
    async fn failing_task_is_not_ready_until_a_turn_succeeds() {
        let reports = Reports {
            clock: Clock::System,
            metrics: Arc::new(Metrics::new().unwrap()),
            readiness: Readiness::default(),
        };
        let shutdown = CancellationToken::new();
        let task = Counting {
            turns: 0,
            rests: 0,
            seen: Vec::new(),
            reports: reports.clone(),
            shutdown: shutdown.clone(),
        };
        periodic(task, reports.clone(), shutdown).await.unwrap();
        let text = reports.metrics.text().unwrap();
        assert!(
            text.contains("lacuna_task_last_success_timestamp_seconds{task=\"counting\"} "),
            "{text}"
        );
    }
}
