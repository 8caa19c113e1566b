//! The whole table of states and events.

mod table;

use super::*;
use crate::domain::ids::HoldId;

pub(crate) fn task(state: TaskState) -> Task {
    Task {
        processor: ProcessorId::new("crm").unwrap(),
        action: Action::Erase,
        categories: Vec::new(),
        after: Vec::new(),
        share: Share::Live,
        purpose: Purpose::Asked,
        generation: 1,
        attempt: 0,
        counted: 0,
        answered: None,
        state,
        sent: None,
    }
}

const T: At = At::from_millis(1_000);

fn every_state() -> Vec<TaskState> {
    vec![
        TaskState::Blocked,
        TaskState::WithoutIdentity,
        TaskState::Parked {
            why: Deferral::Retention,
            until: T,
        },
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
        TaskState::Held { due: T },
        TaskState::Verifying { until: T },
        TaskState::Undeliverable {
            due: T,
            why: Undelivered::Refused,
        },
        TaskState::Queued {
            due: T,
            why: Queued::Turn,
        },
        TaskState::Attesting {
            at: T,
            expected_by: T,
            until: T,
        },
    ]
}

fn every_event() -> Vec<TaskEvent> {
    vec![
        TaskEvent::Unblocked { due: T },
        TaskEvent::Woken {
            action: Action::Erase,
            due: T,
        },
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
        TaskEvent::Parked {
            why: Deferral::Rotation,
            until: T,
            outcome: None,
        },
        TaskEvent::Moved { from: T, to: T },
        TaskEvent::Held {
            hold: HoldId(uuid::Uuid::nil()),
        },
        TaskEvent::Released { due: T },
        TaskEvent::SecondLook {
            attempt: 1,
            purpose: Purpose::Verify(Proof::Erased),
            until: T,
        },
        TaskEvent::Found { due: T },
        TaskEvent::Restored { due: T },
        TaskEvent::Reopened,
        TaskEvent::Rewaved { sources: vec![1] },
        TaskEvent::Exempted {
            basis: Label::new("kept_at_source").unwrap(),
        },
        TaskEvent::Refused {
            basis: Label::new("trade_secret").unwrap(),
        },
        TaskEvent::Identified,
        TaskEvent::Undeliverable {
            due: T,
            why: Undelivered::Refused,
            certain: true,
        },
        TaskEvent::Queued {
            due: T,
            why: Queued::Turn,
        },
        TaskEvent::Unqueued { due: T },
        TaskEvent::Unsent {
            due: T,
            why: Queued::Paused,
        },
        TaskEvent::TermSet { until: Some(T) },
        TaskEvent::ProbeDue { due: T },
        TaskEvent::ResultUnknown { sends: 1, due: T },
        TaskEvent::HandedOver {
            from: ProcessorId::new("crm").unwrap(),
            to: ProcessorId::new("new").unwrap(),
            action: Some(Action::Erase),
            named: true,
            due: T,
        },
    ]
}

const WAVE: fn() -> Share = || Share::Wave {
    sources: vec![0],
    key: false,
};

/// The whole table: a row a state, a column an event, in the orders above. What only a wave may do is a `w`, and what
/// only others may an `l`.
#[test]
fn only_the_listed_pairs_are_allowed() {
    let table = [
        ("blocked", "x.........xxw......wwwx........l"),
        ("blocked", "x.........xx.......wwlxx.......l"),
        ("parked", ".x...x...xxx.x..x.xw..x........l"),
        ("ready", "..x..x...xxx..x.x.xw..x.xx.....l"),
        ("dispatched", "...xxxxxxxx.w...xxxw....x..x..xl"),
        ("accepted", "....xxxxxxx.w...xxxw........x.xl"),
        ("done", "..................xw............"),
        ("exempt", "..................xw............"),
        ("abandoned", ".....x...xxx....x.xww.x.......xl"),
        ("waived", "................................"),
        ("cancelled", "................................"),
        ("held", ".....x....xx...xx.xw..x........l"),
        ("verifying", ".x........x.......x............l"),
        ("ready", "..xxxxxxxxxxw.x.xxxw..x..xx....l"),
        ("ready", "..xxxxxxxxxxw.x.xxxw..x.xxx....l"),
        ("accepted", "....xxxxxxx.....xxxw........xxxl"),
    ];
    for (state, (name, row)) in every_state().into_iter().zip(table) {
        assert_eq!(state.name().as_str(), name);
        assert_eq!(row.len(), every_event().len());
        for (event, mark) in every_event().iter().zip(row.chars()) {
            for share in [Share::Live, WAVE()] {
                let before = Task {
                    share,
                    ..task(state.clone())
                };
                let allowed = match mark {
                    'w' => before.share == WAVE(),
                    'l' => before.share != WAVE(),
                    mark => mark == 'x',
                };
                let mut after = before.clone();
                assert_eq!(after.apply(event).is_ok(), allowed, "{before:?} + {event:?}");
                if !allowed {
                    assert_eq!(after, before, "a refused event changes nothing");
                }
            }
        }
    }
}

#[test]
fn second_look_is_own_generation_with_own_action() {
    let mut task = task(TaskState::Ready { due: T });
    task.apply(&TaskEvent::Dispatched { at: T, ack_by: T }).unwrap();
    let purpose = Purpose::Verify(Proof::Erased);
    task.apply(&TaskEvent::SecondLook {
        attempt: 1,
        purpose,
        until: T,
    })
    .unwrap();
    assert_eq!((task.generation, task.answered), (1, Some(Outcome::Erased)));
    let woken = TaskEvent::Woken {
        action: Action::Erase,
        due: T,
    };
    task.apply(&woken).unwrap();
    assert_eq!(
        (task.generation, task.attempt, task.asks()),
        (2, 0, Action::Verify)
    );
    task.apply(&TaskEvent::Dispatched { at: T, ack_by: T }).unwrap();
    task.apply(&TaskEvent::Found { due: T }).unwrap();
    assert_eq!(
        (task.generation, task.attempt, task.asks()),
        (3, 0, Action::Erase)
    );
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
