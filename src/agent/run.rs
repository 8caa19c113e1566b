//! The agent's loop: takes tasks, has them carried out, brings the answers out.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{
    answer::Answer,
    place::Place,
    source::{Source, SourceError},
    task::Task,
    turn::Turn,
};
use crate::{clock::Clock, domain::words::Action};

/// A worker that is away is asked again after this, and then after more.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
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
    while !stop.is_cancelled() {
        let tasks = match source.take(manner.batch, stop).await {
            Ok(tasks) => tasks,
            Err(SourceError::Away(why)) => {
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
        pause = FIRST_PAUSE;
        if tasks.is_empty() {
            // What is no task is passed over for good.
            source.settled().await?;
            if manner.once {
                return Ok(());
            }
            continue;
        }
        let answers = carry_out(source, place, &tasks, (manner, clock), stop).await?;
        let answers: Vec<(&Task, Answer)> = tasks.iter().zip(answers).collect();
        tell(&answers);
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
