//! The agent's loop: takes tasks, has them carried out, brings the answers out.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{
    answer::Answer,
    place::Place,
    source::{Source, SourceError},
    task::Task,
    turn::Turn,
};
use crate::{
    clock::{Clock, Stopwatch},
    domain::words::Action,
    telemetry::agent_metrics::{AgentMetrics, Retried},
};

/// A worker that is away is asked again after this, and then after more.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// An agent that is to end once there are no tasks does not wait for ever for somebody who is away.
const TRIES_OF_ONE: u32 = 2;
/// A task is announced at the latest when this share of its lease is left, in per cent.
const ANNOUNCED_AT: u32 = 50;
/// Before what was announced is over, the rest is left to the next attempt.
const MARGIN: Duration = Duration::from_secs(60);

/// How an agent goes about its tasks.
#[derive(Debug, Clone)]
pub struct Manner {
    /// How many tasks it takes at a time.
    pub batch: u32,
    /// How long a task may take that outlasts its lease.
    pub longest: Duration,
    /// Whether it ends once there are no tasks.
    pub once: bool,
    /// What is counted.
    pub metrics: Arc<AgentMetrics>,
}

/// Takes tasks and carries them out until it is stopped.
pub async fn run(
    source: &mut dyn Source,
    place: &dyn Place,
    manner: &Manner,
    clock: &Clock,
    stop: &CancellationToken,
) -> Result<(), SourceError> {
    let mut pause = FIRST_PAUSE;
    let mut failures = 0;
    // An agent that never gets through is as silent as one that does not any more.
    manner.metrics.claimed(clock.now().millis() / 1000);
    while !stop.is_cancelled() {
        let tasks = match source.take(manner.batch, stop).await {
            Ok(tasks) => tasks,
            Err(away @ SourceError::Away(_)) if manner.once && failures >= TRIES_OF_ONE => return Err(away),
            Err(SourceError::Away(why)) => {
                failures += 1;
                manner.metrics.retried(Retried::Claim);
                tracing::warn!(why, "no tasks can be taken now");
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = stop.cancelled() => {}
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
                continue;
            }
            Err(refused @ SourceError::Refused(_)) => return Err(refused),
        };
        (pause, failures) = (FIRST_PAUSE, 0);
        manner.metrics.claimed(clock.now().millis() / 1000);
        if tasks.is_empty() {
            // What is no task is passed over for good.
            source.settled().await?;
            if manner.once {
                return Ok(());
            }
            continue;
        }
        let watch = Stopwatch::start();
        let answers = carry_out(source, place, &tasks, (manner, clock), stop).await?;
        manner.metrics.took(watch.elapsed().as_secs_f64());
        let answers: Vec<(&Task, Answer)> = tasks.iter().zip(answers).collect();
        tell(&answers);
        count(&answers, place, &manner.metrics);
        source.answer(&answers, stop).await?;
        source.settled().await?;
    }
    Ok(())
}

/// Has tasks carried out. What outlasts its lease is announced, which keeps it.
async fn carry_out(
    source: &mut dyn Source,
    place: &dyn Place,
    tasks: &[Task],
    (manner, clock): (&Manner, &Clock),
    stop: &CancellationToken,
) -> Result<Vec<Answer>, SourceError> {
    let turn = Turn::until(stop);
    let now = clock.now();
    let first = tasks.iter().map(|task| task.respond_by).min().unwrap_or(now);
    let lease = first.since(now);
    let working = place.carry_out(tasks, &turn);
    tokio::pin!(working);
    let announcing = tokio::time::sleep(lease * ANNOUNCED_AT / 100);
    tokio::select! {
        answers = &mut working => return Ok(answers),
        () = source.keep() => {}
        () = announcing => {}
    }
    let expected_by = clock.now().plus(manner.longest);
    // A question is answered or not: that it will be is no answer to it.
    let accepted: Vec<(&Task, Answer)> = tasks
        .iter()
        .filter(|task| task.action != Action::Verify)
        .map(|task| (task, Answer::accepted(expected_by)))
        .collect();
    tracing::info!(tasks = tasks.len(), %expected_by, "these tasks outlast their lease and are announced");
    {
        let telling = source.answer(&accepted, stop);
        tokio::pin!(telling);
        tokio::select! {
            answers = &mut working => {
                // What was announced halfway is answered at once.
                telling.await?;
                return Ok(answers);
            }
            told = &mut telling => told?,
        }
    }
    let ending = tokio::time::sleep(manner.longest.saturating_sub(MARGIN.min(manner.longest / 10)));
    tokio::pin!(ending);
    loop {
        tokio::select! {
            answers = &mut working => return Ok(answers),
            () = source.keep() => {}
            () = &mut ending, if turn.ended().is_none() => turn.end(),
        }
    }
}

fn count(answers: &[(&Task, Answer)], place: &dyn Place, metrics: &AgentMetrics) {
    for (task, answer) in answers {
        metrics.answered(answer.outcome.as_str());
        if task.action == Action::Verify || !place.names_tables() {
            continue;
        }
        for (table, rows) in answer.evidence.iter().flat_map(|evidence| &evidence.by_table) {
            metrics.changed(table, *rows);
        }
    }
    for (table, tasks) in place.idle() {
        metrics.idle(&table, tasks);
    }
}

/// What came of tasks, for whoever reads the log. Nobody is named in it.
fn tell(answers: &[(&Task, Answer)]) {
    for (task, answer) in answers {
        let records = answer.evidence.as_ref().map_or(0, |evidence| evidence.records);
        let outcome = answer.outcome.as_str();
        match &answer.message {
            Some(why) => tracing::warn!(task = %task.id, outcome, records, why, "a task is answered"),
            None => tracing::debug!(task = %task.id, outcome, records, "a task is answered"),
        }
    }
    tracing::info!(tasks = answers.len(), "tasks are answered");
}
