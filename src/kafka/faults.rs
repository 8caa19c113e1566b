//! What is to be done about messages that were not confirmed: whose fault it is, and so who has to wait.
//!
//! Invariant 11: a topic of one processor delays nobody else. Only the topics that are Lacuna's own stop a stage, and a
//! cluster that takes nothing at all.

use std::{collections::BTreeMap, sync::Arc};

use rdkafka::error::RDKafkaErrorCode as Code;

use super::outlet::Failure;
use crate::{
    domain::ids::RequestId,
    engine::{
        outputs::{Record, RecordKey, RecordKind},
        undeliverable::SentTask,
    },
};

/// How often what was not confirmed in time is said again before its topic is held to be at fault although nothing shows
/// that the rest of the cluster is well.
const ROUNDS: u32 = 2;
/// The same while the broker throttles this worker: then nearly everything takes long.
const ROUNDS_THROTTLED: u32 = 5;

/// Whose fault it is that a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Its own, or that of a message in the same batch.
    Size,
    /// Its topic's.
    Topic,
    /// It was not confirmed in time, whatever the reason.
    Late,
    /// The cluster's, or the producer's.
    Cluster,
}

const fn fault_of(code: Code) -> Fault {
    match code {
        Code::MessageSizeTooLarge | Code::MessageBatchTooLarge => Fault::Size,
        Code::UnknownTopic
        | Code::UnknownPartition
        | Code::UnknownTopicOrPartition
        | Code::UnknownTopicId
        | Code::InvalidTopic
        | Code::TopicAuthorizationFailed
        | Code::LeaderNotAvailable
        | Code::NotLeaderForPartition
        | Code::NotEnoughReplicas
        | Code::NotEnoughReplicasAfterAppend
        | Code::PolicyViolation
        | Code::InvalidRecord
        | Code::KafkaStorageError => Fault::Topic,
        Code::MessageTimedOut | Code::RequestTimedOut | Code::TimedOutQueue => Fault::Late,
        _ => Fault::Cluster,
    }
}

/// What is known when it is decided whose fault it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Circumstances {
    /// Each message went in a batch of its own, so what was too large is too large itself.
    pub(super) alone: bool,
    /// How often these messages were said before.
    pub(super) rounds: u32,
    /// Whether the broker has throttled this worker lately.
    pub(super) throttled: bool,
}

/// What is to be done about each message that was not confirmed.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    /// Tried again, each in a batch of its own: its neighbours may be what is too large.
    pub(super) apart: Vec<Record>,
    /// Tasks that are too large for their topics.
    pub(super) too_large: Vec<(SentTask, Record)>,
    /// Tasks that their topics did not take; whether it is certain that they did not leave.
    pub(super) refused: Vec<(SentTask, bool)>,
    /// The topics at fault, each with what was said.
    pub(super) topics: BTreeMap<Arc<str>, Code>,
    /// Tasks that are said again as they are, if they are still out.
    pub(super) tasks: Vec<(SentTask, Record)>,
    /// Requests whose status is said again as it is then.
    pub(super) statuses: Vec<RequestId>,
    /// Whether last words of keys are said again.
    pub(super) words: bool,
    /// Dead letters, as they are.
    pub(super) letters: Vec<Record>,
    /// Whether a dead letter was too large.
    pub(super) large_letter: bool,
    /// What was said of the topics that are Lacuna's own.
    pub(super) own: BTreeMap<Arc<str>, Code>,
}

impl Verdicts {
    /// Whether something has to be said again that a stage waits for.
    pub(super) fn is_waited_for(&self) -> bool {
        !(self.tasks.is_empty() && self.statuses.is_empty() && self.letters.is_empty()) || self.words
    }

    /// Decides about the failures of a flight. Records that were confirmed are dropped.
    pub(super) fn of(records: Vec<Record>, failures: &[Failure], circumstances: Circumstances) -> Self {
        let mut verdicts = Self::default();
        let is_of_task = |place: usize| {
            let record = records.get(place);
            record.is_none_or(|record| matches!(record.kind, RecordKind::Task { .. }))
        };
        let own = records
            .iter()
            .filter(|record| !matches!(record.kind, RecordKind::Task { .. }))
            .count();
        let own_failed = failures
            .iter()
            .any(|failure| !is_of_task(failure.place) && fault_of(failure.code) != Fault::Size);
        let cluster_is_well = own > 0 && !own_failed && !circumstances.throttled;
        let most = if circumstances.throttled {
            ROUNDS_THROTTLED
        } else {
            ROUNDS
        };
        let is_late_by_topic = cluster_is_well || (!own_failed && circumstances.rounds >= most);
        let mut failures = failures.iter().peekable();
        for (place, record) in records.into_iter().enumerate() {
            if let Some(failure) = failures.next_if(|failure| failure.place == place) {
                verdicts.add(record, *failure, circumstances, is_late_by_topic);
            }
        }
        verdicts
    }

    fn add(
        &mut self,
        record: Record,
        failure: Failure,
        circumstances: Circumstances,
        is_late_by_topic: bool,
    ) {
        let fault = fault_of(failure.code);
        // The client knows a message's own size.
        if fault == Fault::Size && !(circumstances.alone || failure.certain) {
            self.apart.push(record);
            return;
        }
        if let Some(sent) = sent_task(&record) {
            match fault {
                Fault::Size => self.too_large.push((sent, record)),
                Fault::Topic => self.refuse(sent, &record, failure),
                Fault::Late if is_late_by_topic => self.refuse(sent, &record, failure),
                Fault::Late | Fault::Cluster => self.tasks.push((sent, record)),
            }
            return;
        }
        self.own.insert(Arc::clone(&record.topic), failure.code);
        match &record.kind {
            RecordKind::Status { id, .. } => self.statuses.push(*id),
            RecordKind::DeadLetter { .. } => {
                self.large_letter |= fault == Fault::Size;
                self.letters.push(record);
            }
            RecordKind::Task { .. } | RecordKind::Suppression { .. } | RecordKind::Tombstone => {
                self.words = true
            }
        }
    }

    fn refuse(&mut self, sent: SentTask, record: &Record, failure: Failure) {
        self.topics.insert(Arc::clone(&record.topic), failure.code);
        self.refused.push((sent, failure.certain));
    }

    /// Adds what was decided about messages that were tried apart.
    pub(super) fn append(&mut self, mut other: Self) {
        self.too_large.append(&mut other.too_large);
        self.refused.append(&mut other.refused);
        self.topics.append(&mut other.topics);
        self.tasks.append(&mut other.tasks);
        self.statuses.append(&mut other.statuses);
        self.words |= other.words;
        self.letters.append(&mut other.letters);
        self.large_letter |= other.large_letter;
        self.own.append(&mut other.own);
    }
}

/// The task that a record is the message of.
fn sent_task(record: &Record) -> Option<SentTask> {
    match (&record.kind, &record.key) {
        (
            RecordKind::Task {
                id,
                generation,
                attempt,
            },
            Some(RecordKey::Request(request)),
        ) => Some(SentTask {
            request: *request,
            task: *id,
            generation: *generation,
            attempt: *attempt,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::TaskId;

    fn record(topic: &str, is_task: bool) -> Record {
        let id = uuid::Uuid::nil();
        Record {
            topic: Arc::from(topic),
            key: Some(RecordKey::Request(RequestId(id))),
            kind: if is_task {
                RecordKind::Task {
                    id: TaskId(id),
                    generation: 1,
                    attempt: 1,
                }
            } else {
                RecordKind::Status {
                    id: RequestId(id),
                    revision: 1,
                }
            },
            payload: bytes::Bytes::from_static(b"{}"),
        }
    }

    fn decide(failed: &[(usize, Code)], circumstances: Circumstances) -> Verdicts {
        let records = vec![record("status", false), record("crm", true), record("ads", true)];
        let failures: Vec<Failure> = failed
            .iter()
            .map(|(place, code)| Failure {
                place: *place,
                code: *code,
                certain: false,
            })
            .collect();
        Verdicts::of(records, &failures, circumstances)
    }

    const FIRST: Circumstances = Circumstances {
        alone: false,
        rounds: 0,
        throttled: false,
    };

    #[test]
    fn one_topic_that_takes_nothing_is_its_own_fault_and_nobody_waits_for_it() {
        for code in [
            Code::UnknownTopic,
            Code::TopicAuthorizationFailed,
            Code::MessageTimedOut,
        ] {
            let verdicts = decide(&[(1, code)], FIRST);
            assert_eq!(verdicts.refused.len(), 1, "{code}");
            assert_eq!(
                verdicts.topics.keys().map(AsRef::as_ref).collect::<Vec<&str>>(),
                ["crm"]
            );
            assert!(!verdicts.is_waited_for(), "{code}");
        }
    }

    #[test]
    fn where_nothing_is_taken_everything_is_said_again() {
        let all = [0, 1, 2].map(|place| (place, Code::MessageTimedOut));
        let verdicts = decide(&all, FIRST);
        assert_eq!((verdicts.statuses.len(), verdicts.tasks.len()), (1, 2));
        assert!(verdicts.refused.is_empty());
        let verdicts = decide(&[(1, Code::PurgeInflight), (2, Code::Fatal)], FIRST);
        assert_eq!((verdicts.tasks.len(), verdicts.refused.len()), (2, 0));
    }

    #[test]
    fn a_throttled_producer_repeats_only_what_failed_and_blames_no_topic_soon() {
        let throttled = Circumstances {
            throttled: true,
            ..FIRST
        };
        let late = [(2, Code::MessageTimedOut)];
        let verdicts = decide(&late, throttled);
        assert_eq!((verdicts.tasks.len(), verdicts.statuses.len()), (1, 0));
        let verdicts = decide(
            &late,
            Circumstances {
                rounds: 5,
                ..throttled
            },
        );
        assert_eq!((verdicts.tasks.len(), verdicts.refused.len()), (0, 1));
    }

    #[test]
    fn a_batch_that_is_too_large_is_tried_apart_before_anything_is_too_large() {
        let too_large = [(1, Code::MessageSizeTooLarge)];
        let verdicts = decide(&too_large, FIRST);
        assert_eq!((verdicts.apart.len(), verdicts.too_large.len()), (1, 0));
        let verdicts = decide(&too_large, Circumstances { alone: true, ..FIRST });
        assert_eq!((verdicts.apart.len(), verdicts.too_large.len()), (0, 1));
        assert!(!verdicts.is_waited_for());
    }
}
