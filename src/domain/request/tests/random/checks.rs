//! What has to hold after every step.

use super::{super::*, Life};
use crate::domain::{
    task::{Task, TaskEvent},
    words::{Proof, Status},
};

/// The task as it was planned: its entries have to lead from there to where it is.
pub(super) fn initial(task: &Task, bench: &Bench, registry: &Registry) -> Task {
    let mut initial = task.clone();
    (
        initial.generation,
        initial.attempt,
        initial.counted,
        initial.answered,
        initial.sent,
    ) = (1, 0, 0, None, None);
    let registered = registry.get(&task.processor).unwrap();
    let start = bench.request.head.not_before.unwrap_or(START);
    initial.state = match &task.state {
        TaskState::Exempt { .. } | TaskState::WithoutIdentity | TaskState::Abandoned { .. } => {
            task.state.clone()
        }
        _ if registered.after.is_empty() => TaskState::Ready { due: start },
        _ => TaskState::Blocked,
    };
    initial
}

fn closed(state: &TaskState) -> bool {
    matches!(
        state,
        TaskState::Done { .. } | TaskState::Exempt { .. } | TaskState::Waived | TaskState::Cancelled
    )
}

/// The status by the contract's words, found independently.
fn status_by_contract(bench: &Bench) -> Status {
    let request = &bench.request;
    let tasks = &request.tasks;
    let all = |is: &dyn Fn(&TaskState) -> bool| tasks.iter().all(|task| is(&task.state));
    let sent = bench.count_entries(|entry| {
        matches!(
            entry,
            Entry::Task {
                event: TaskEvent::Dispatched { .. },
                ..
            }
        )
    }) > 0;
    if request.life.status == Status::Cancelled {
        return Status::Cancelled;
    }
    if all(&|state| matches!(state, TaskState::Done { .. })) && !request.head.excludes {
        return Status::Completed;
    }
    let exempt_from_the_start = tasks
        .iter()
        .all(|task| task.attempt == 0 && matches!(task.state, TaskState::Exempt { .. }));
    if !sent
        && request
            .head
            .not_before
            .is_some_and(|gate| gate > last_conclusion(bench))
    {
        Status::Scheduled
    } else if all(&closed) && !exempt_from_the_start {
        Status::ClosedWithExceptions
    } else if all(&|state| closed(state) || matches!(state, TaskState::Parked { .. }))
        && !exempt_from_the_start
    {
        Status::Deferred
    } else {
        Status::InProgress
    }
}

/// A status follows the time only when something looks at it; the gate's own wake-up does.
fn last_conclusion(bench: &Bench) -> At {
    if bench.request.life.status == Status::Scheduled {
        At::default()
    } else {
        bench.now
    }
}

pub(super) fn check_step(before: &Bench, life: &Life) {
    let (bench, request) = (&life.bench, &life.bench.request);
    let (entries, moves) = (
        &bench.entries[before.entries.len()..],
        &bench.moves[before.moves.len()..],
    );

    // The revision grows with each change, and only with one.
    assert!(request.revision >= before.request.revision);
    assert_eq!(
        request.revision == before.request.revision,
        *request == before.request,
        "a change without a revision"
    );

    // Invariant 2.
    assert_eq!(request.life.status, status_by_contract(bench));
    assert_eq!(
        request.life.completed_at.is_some(),
        request.life.status.is_final()
    );
    let by_term = |task: &Task| {
        let proof = Proof::Attested;
        matches!(task.state, TaskState::Done { proof: of, .. } if of == proof)
    };
    if before.request.life.status.is_final() {
        // What a term alone has closed may be contradicted by its processor, and nothing else.
        let contradicted =
            before.request.tasks.iter().zip(&request.tasks).any(|(old, new)| {
                by_term(old) && !new.state.is_closed() && new.generation == old.generation + 1
            });
        assert!(
            contradicted || request.life.status == before.request.life.status,
            "nothing opens a closed request by itself"
        );
        let better = before
            .request
            .tasks
            .iter()
            .zip(&request.tasks)
            .any(|(old, new)| by_term(old) && !by_term(new));
        assert!(better || moves.is_empty());
    }
    // What a term has closed had been accepted, by a processor that has published one.
    for (ordinal, (old, new)) in (0..).zip(before.request.tasks.iter().zip(&request.tasks)) {
        if by_term(new) && !by_term(old) {
            let accepted = bench.entries.iter().any(|entry| {
                matches!(
                    entry,
                    Entry::Task { ordinal: at, event: TaskEvent::Accepted { .. }, .. } if *at == ordinal
                )
            });
            let registered = bench.registry.get(&new.processor);
            assert!(
                accepted && registered.is_some_and(|one| one.completes_by.is_some()),
                "{new:?}"
            );
        }
    }
    // Invariant 12: between two sends of the same to one that must not have it twice, it was answered, or asked about.
    check_doubts(bench, entries);

    // Invariant 3.
    let gated = request.head.not_before.is_some_and(|gate| bench.now < gate);
    let sends = entries
        .iter()
        .filter(|e| {
            matches!(
                e,
                Entry::Task {
                    event: TaskEvent::Dispatched { .. },
                    ..
                }
            )
        })
        .count();
    assert!(sends == 0 || !gated, "sent before its date");
    assert!(
        sends == 0 || before.request.life.status != Status::Cancelled,
        "sent after a cancel"
    );
    assert!(
        sends == 0 || before.request.bookkeeping.readable,
        "sent without identifiers"
    );
    let ever_sent = request.tasks.iter().any(Task::was_sent);
    assert!(
        request.life.status != Status::Cancelled || !ever_sent,
        "cancelled after it was sent"
    );
    for entry in entries {
        if let Entry::Task {
            ordinal,
            event: TaskEvent::Unblocked { .. },
            ..
        } = entry
        {
            for earlier in &request.task(*ordinal).after {
                let state = bench.state(*earlier);
                assert!(
                    closed(state) || matches!(state, TaskState::Parked { .. }),
                    "sent before {state:?}"
                );
            }
        }
    }

    // Invariant 9: every change has its entry.
    let mut status = before.request.life.status;
    for entry in entries {
        if let Entry::Status { from, to } = entry {
            assert_eq!(*from, status);
            status = *to;
        }
    }
    assert_eq!(status, request.life.status);
    assert_eq!(
        before.request.bookkeeping.readable && !request.bookkeeping.readable,
        entries.contains(&Entry::Shredded)
    );
    assert_eq!(
        !before.request.life.overdue && request.life.overdue,
        entries.contains(&Entry::Overdue)
    );
}

fn check_doubts(bench: &Bench, entries: &[Entry]) {
    for (place, entry) in entries.iter().enumerate() {
        let Entry::Task {
            ordinal,
            event: TaskEvent::Dispatched { .. },
            ..
        } = entry
        else {
            continue;
        };
        let task = bench.request.task(*ordinal);
        let registered = bench.registry.get(&task.processor);
        if registered.is_none_or(|one| one.idempotent) {
            continue;
        }
        let until_here = bench.entries.len() - entries.len() + place;
        let sent_before = bench.entries[..until_here]
            .iter()
            .rev()
            .find_map(|entry| match entry {
                Entry::Task {
                    ordinal: at, event, ..
                } if at == ordinal => Some(event),
                _ => None,
            });
        let lost = matches!(sent_before, Some(TaskEvent::AskedAgain { outcome: None, .. }));
        assert!(
            !lost || task.asks() == Action::Verify,
            "sent again unasked: {task:?}"
        );
    }
}

pub(super) fn check_whole(life: &Life) {
    let (bench, request) = (&life.bench, &life.bench.request);

    // The counters' moves lead to the states.
    let mut states = vec![None; request.tasks.len()];
    for moved in &bench.moves {
        assert_eq!(states[usize::from(moved.ordinal)], moved.from);
        states[usize::from(moved.ordinal)] = Some(moved.to);
    }
    let found: Vec<_> = request.tasks.iter().map(|task| Some(task.state.name())).collect();
    assert_eq!(states, found);

    // The ledger's entries, played again through the one transition function, lead to the same tasks.
    let mut tasks = life.planned.clone();
    for entry in &bench.entries {
        if let Entry::Task {
            ordinal,
            generation,
            attempt,
            event,
        } = entry
        {
            let task = &mut tasks[usize::from(*ordinal)];
            task.apply(event).unwrap();
            assert_eq!((task.generation, task.attempt), (*generation, *attempt));
        }
    }
    assert_eq!(tasks, request.tasks);

    // The agenda: an open request, and one that still has its key, always has its row.
    let over = request.life.status.is_final() && !request.bookkeeping.readable;
    assert_eq!(request.bookkeeping.wake_at.is_none(), over);
    // What a processor is found to have still, although its published term had closed it, may be overdue once more.
    let found = |entry: &Entry| {
        matches!(
            entry,
            Entry::Task {
                event: TaskEvent::Found { .. },
                ..
            }
        )
    };
    let overdue = bench.count_entries(|entry| *entry == Entry::Overdue);
    assert!(overdue <= 1 + bench.count_entries(found), "{overdue}");
    assert!(bench.count_entries(|entry| *entry == Entry::Shredded) <= 1);

    let read = Request::unpack(request.id, request.revision, &request.pack().unwrap()).unwrap();
    assert_eq!(read, *request);
}
