//! Looks at the logs of a consumer's partitions now and then: whether they are still those that are being taken in, and whether
//! those that are not read can be read again.
//!
//! A client notices when its offset is no longer there. It does not notice when a topic was made anew and has grown past it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{
    KafkaError,
    assignment::Assignment,
    log_reader::{Held, Question},
    partition_states::PartitionState,
    positions::{Finding, Known},
    types::Partition,
};
use crate::store::{Mark, Noted, Position, PositionNote};

/// How often. What is accepted by an operator goes on within this time, and a log that was swapped is noticed.
const EVERY: Duration = Duration::from_secs(3);

/// Records that were compared and have not moved since are read again after so many looks: once a minute.
const READ_AGAIN_AFTER: u32 = 20;

/// Looks after one life of a consumer.
#[derive(Debug)]
pub struct LogMonitor {
    assignment: Arc<Assignment>,
    /// What was compared last, and how many looks ago.
    compared: HashMap<Partition, (Option<Mark>, u32)>,
}

impl LogMonitor {
    /// For these partitions.
    pub fn new(assignment: Arc<Assignment>) -> Self {
        Self {
            assignment,
            compared: HashMap::new(),
        }
    }

    /// Runs until this life of the consumer ends, and ends it where it finds that something is wrong, or right again.
    pub async fn run(mut self) {
        let stop = self.assignment.stop.clone();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                // A look now and then: no due time of the domain.
                () = tokio::time::sleep(EVERY) => {}
            }
            match self.look().await {
                Ok(None) => {}
                Ok(Some(why)) => return self.assignment.start_again(&why),
                Err(error) => tracing::warn!(
                    stage = self.assignment.stage,
                    error = &error as &dyn std::error::Error,
                    "the logs could not be looked at"
                ),
            }
        }
    }

    /// Why the consumer has to start again, if it has to.
    async fn look(&mut self) -> Result<Option<String>, KafkaError> {
        let states = self.assignment.states.assigned();
        if states.is_empty() {
            return Ok(None);
        }
        let engine = &self.assignment.engine;
        let known = Known::of_engine(engine).await?;
        for (key, state) in &states {
            if let Some(why) = has_gone_back(state, known.position(key)) {
                return Ok(Some(format!("{}/{}: {why}", key.0, key.1)));
            }
        }
        let questions = states
            .iter()
            .map(|(key, state)| self.question(&known, key, state))
            .collect();
        let is_stopped = states.iter().any(|(_, state)| state.stopped.is_some());
        let assignment = Arc::clone(&self.assignment);
        let looked = tokio::task::spawn_blocking(move || {
            if is_stopped {
                assignment.forget_connection();
            }
            let held = assignment.look_at_logs(questions)?;
            let other = if is_stopped {
                assignment.other_brokers()
            } else {
                None
            };
            Ok::<_, KafkaError>((held, other))
        });
        let (held, other) = looked.await.map_err(|_| KafkaError::Ended("looking at logs"))??;
        let mut notes = Vec::new();
        for (key, state) in &states {
            let held = held.get(key);
            let judged = match &other {
                Some(other) => Err(Finding::OtherBrokers(other.clone())),
                None => known.judge(key, held),
            };
            match (&state.stopped, &judged) {
                (None, Err(finding)) if finding.says_nothing() => drop(self.compared.remove(key)),
                (None, Err(finding)) => return Ok(Some(format!("{}/{}: {finding}", key.0, key.1))),
                (Some(_), Ok(())) => {
                    return Ok(Some(format!("{}/{} can be read again", key.0, key.1)));
                }
                (Some(before), Err(now)) if !before.is_like(now) && !now.says_nothing() => {
                    return Ok(Some(format!("{}/{}: {now}", key.0, key.1)));
                }
                (Some(_), Err(_)) => {}
                (None, Ok(())) => notes.extend(self.note(key, known.position(key), held)),
            }
        }
        if !notes.is_empty() {
            self.assignment.engine.note_positions(&notes).await?;
        }
        Ok(None)
    }

    /// What is asked about a log: where nothing has moved since the last look, only where it begins and ends.
    fn question(&mut self, known: &Known, key: &Partition, state: &PartitionState) -> Question {
        let question = known.question(key);
        let last = known.position(key).and_then(|position| position.last);
        let (compared, looks) = self
            .compared
            .entry(key.clone())
            .or_insert((None, READ_AGAIN_AFTER));
        *looks += 1;
        if state.stopped.is_none() && *compared == last && *looks < READ_AGAIN_AFTER {
            return Question {
                offsets: Vec::new(),
                ..question
            };
        }
        (*compared, *looks) = (last, 0);
        question
    }

    /// The record before the position was found where it should be: from now on it is the one that shows whether the log was
    /// swapped and read on.
    fn note(
        &self,
        (topic, partition): &Partition,
        position: Option<&Position>,
        held: Option<&Held>,
    ) -> Option<PositionNote> {
        let (position, held) = (position?, held?);
        let last = position.last?;
        let was_read = held.records.iter().any(|record| record.is_same(&last));
        (was_read && position.checked != Some(last)).then(|| PositionNote {
            cluster: Arc::clone(self.assignment.engine.cluster()),
            topic: Arc::clone(topic),
            partition: *partition,
            incarnation: position.incarnation,
            noted: Noted::Checked(last),
        })
    }
}

/// Why what the store says does not follow from what this worker has read.
fn has_gone_back(state: &PartitionState, position: Option<&Position>) -> Option<&'static str> {
    if state.stopped.is_some() {
        return None;
    }
    match position {
        Some(position) if position.incarnation != state.incarnation => {
            Some("an operator has accepted another log")
        }
        Some(position) if state.has_position && position.next_offset < state.next => {
            Some("the store has gone back: it was put back from a copy, or has lost commits")
        }
        None if state.has_position => Some("the store does not know it any more"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::At;

    fn position(next_offset: i64, incarnation: u32) -> Position {
        Position {
            topic: "commands".to_owned(),
            partition: 0,
            next_offset,
            seen_until: At::default(),
            incarnation,
            last: None,
            checked: None,
            stray: None,
        }
    }

    #[test]
    fn a_store_that_went_back_under_a_running_worker_is_noticed() {
        let state = PartitionState {
            start: 0,
            next: 10,
            has_position: true,
            incarnation: 0,
            stopped: None,
            is_assigned: true,
        };
        assert_eq!(has_gone_back(&state, Some(&position(10, 0))), None);
        assert_eq!(has_gone_back(&state, Some(&position(12, 0))), None);
        assert!(has_gone_back(&state, Some(&position(9, 0))).is_some());
        assert!(has_gone_back(&state, Some(&position(12, 1))).is_some());
        assert!(has_gone_back(&state, None).is_some());
        let new = PartitionState {
            has_position: false,
            ..state
        };
        assert_eq!(has_gone_back(&new, None), None);
    }
}
