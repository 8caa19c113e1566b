//! The whole table of states and events.

use super::*;

pub(crate) fn task(state: TaskState) -> Task {
    Task {
        processor: ProcessorId::new("crm").unwrap(),
        action: Action::Erase,
        categories: Vec::new(),
        after: Vec::new(),
        backup: false,
        generation: 1,
        attempt: 0,
        counted: 0,
        answered: None,
        state,
    }
}

const T: At = At::from_millis(1_000);

fn every_state() -> Vec<TaskState> {
    vec![
        TaskState::Blocked,
        TaskState::WithoutIdentity,
        TaskState::Parked { until: T },
        TaskState::Ready { due: T },
        TaskState::Dispatched { at: T, ack_by: T },
        TaskState::Accepted {
            at: T,
            expected_by: T,
        },
        TaskState::Done {
            proof: Proof::Erased,
            at: T,
        },
        TaskState::Exempt {
            basis: Label::new("no_identity").unwrap(),
        },
        TaskState::Abandoned {
            cause: AbandonCause::AttemptsUsed,
        },
        TaskState::Waived,
        TaskState::Cancelled,
    ]
}

fn every_event() -> Vec<TaskEvent> {
    vec![
        TaskEvent::Unblocked { due: T },
        TaskEvent::Woken { due: T },
        TaskEvent::Dispatched { at: T, ack_by: T },
        TaskEvent::Accepted {
            at: T,
            expected_by: T,
        },
        TaskEvent::AskedAgain {
            outcome: Some(Outcome::Failed),
            counts: true,
            due: T,
        },
        TaskEvent::Settled {
            attempt: 1,
            proof: Proof::Erased,
            at: T,
        },
        TaskEvent::Retained { until: T },
        TaskEvent::RetainedForGood {
            basis: Label::new("tax_law").unwrap(),
        },
        TaskEvent::Abandoned {
            cause: AbandonCause::Rejected,
            outcome: Some(Outcome::Rejected),
        },
        TaskEvent::Retried { due: T },
        TaskEvent::Waived,
        TaskEvent::Cancelled,
    ]
}

/// The whole table: a row a state, a column an event, in the orders above.
#[test]
fn only_the_listed_pairs_are_allowed() {
    let table = [
        ("blocked", "x.........xx"),
        ("blocked", "x.........xx"),
        ("parked", ".x...x...xxx"),
        ("ready", "..x..x...xxx"),
        ("dispatched", "...xxxxxxxx."),
        ("accepted", "....xxxxxxx."),
        ("done", "............"),
        ("exempt", "............"),
        ("abandoned", ".....x...xxx"),
        ("waived", "............"),
        ("cancelled", "............"),
    ];
    for (state, (name, row)) in every_state().into_iter().zip(table) {
        assert_eq!(state.name().as_str(), name);
        for (event, mark) in every_event().iter().zip(row.chars()) {
            let mut task = task(state.clone());
            assert_eq!(task.apply(event).is_ok(), mark == 'x', "{state:?} + {event:?}");
            if mark != 'x' {
                assert_eq!(
                    task,
                    super::tests::task(state.clone()),
                    "a refused event changes nothing"
                );
            }
        }
    }
}

#[test]
fn a_retry_starts_a_generation_and_a_partial_costs_no_attempt() {
    let mut task = task(TaskState::Ready { due: T });
    task.apply(&TaskEvent::Dispatched { at: T, ack_by: T }).unwrap();
    task.apply(&TaskEvent::AskedAgain {
        outcome: Some(Outcome::Partial),
        counts: false,
        due: T,
    })
    .unwrap();
    assert_eq!((task.generation, task.attempt, task.counted), (1, 1, 0));
    task.apply(&TaskEvent::Dispatched { at: T, ack_by: T }).unwrap();
    task.apply(&TaskEvent::Abandoned {
        cause: AbandonCause::AttemptsUsed,
        outcome: None,
    })
    .unwrap();
    assert_eq!((task.generation, task.attempt, task.counted), (1, 2, 1));
    task.apply(&TaskEvent::Retried { due: T }).unwrap();
    assert_eq!((task.generation, task.attempt, task.counted), (2, 0, 0));
}
