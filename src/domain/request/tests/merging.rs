//! What becomes of a request that was merged into another one.

use super::{
    duplicates::{Second, first, next, open_after, registry},
    *,
};
use crate::domain::{
    request::{merged::Leader, operate::DecisionError},
    words::Status,
};

fn merged() -> Bench {
    let waiting = Opening {
        not_before: Some(START.plus(DAY * 5)),
        ..first()
    };
    let one = Bench::opened(registry(), &waiting, &rules(), ADMISSION).unwrap();
    let (second, how) = open_after(&[(&one, &waiting)], &next(1), &rules(), HOUR);
    assert_eq!(how, Second::Merged);
    assert!(second.dispatched.is_empty() && second.moves.is_empty());
    second
}

const OPEN: Leader = Leader {
    withdrawn: false,
    completed_at: None,
    was_sent: false,
    is_clean: false,
};

fn follow(bench: &mut Bench, leader: Leader) {
    bench.run(|request, context| ((), request.follow(leader, context).unwrap()));
}

#[test]
fn a_merged_one_closes_and_opens_with_the_one_that_it_follows() {
    let mut second = merged();
    assert!(second.request.bookkeeping.readable, "it may have to stand alone");
    follow(&mut second, OPEN);
    assert_eq!(second.request.life.status, Status::Merged);
    let sent = Leader {
        was_sent: true,
        ..OPEN
    };
    follow(&mut second, sent);
    assert!(
        !second.request.bookkeeping.readable,
        "nobody will be asked for it"
    );
    assert!(second.request.bookkeeping.wake_at.is_some());
    let closed = Leader {
        completed_at: Some(START.plus(DAY)),
        ..sent
    };
    follow(&mut second, closed);
    assert_eq!(second.request.life.completed_at, closed.completed_at);
    assert_eq!(second.request.bookkeeping.wake_at, None);
    follow(&mut second, sent);
    assert_eq!(second.request.life.completed_at, None, "a backup was put back");
    assert_eq!(second.request.life.status, Status::Merged);
}

#[test]
fn merged_request_stands_alone_when_leader_is_withdrawn() {
    let mut second = merged();
    let withdrawn = Leader {
        withdrawn: true,
        completed_at: Some(START.plus(HOUR)),
        ..OPEN
    };
    follow(&mut second, withdrawn);
    assert_eq!(second.request.life.status, Status::InProgress);
    assert_eq!(second.request.life.following, None);
    assert_eq!(second.request.life.completed_at, None);
    assert_eq!(second.dispatched, [0, 1]);
    assert_eq!(
        second.moves.iter().filter(|moved| moved.from.is_none()).count(),
        2
    );
}

fn cancel(bench: &mut Bench) -> Result<(), DecisionError> {
    bench.run(|request, context| match request.clone().cancel(None, context) {
        Ok(trail) => {
            request.cancel(None, context).unwrap();
            (Ok(()), trail)
        }
        Err(refused) => (Err(refused), Trail::default()),
    })
}

#[test]
fn a_merged_one_is_withdrawn_as_long_as_nothing_was_sent() {
    let mut second = merged();
    assert_eq!(cancel(&mut second), Ok(()));
    assert_eq!(second.request.life.status, Status::Cancelled);
    assert!(second.request.life.following.is_none() && !second.request.bookkeeping.readable);

    let mut second = merged();
    follow(
        &mut second,
        Leader {
            was_sent: true,
            ..OPEN
        },
    );
    assert_eq!(cancel(&mut second), Err(DecisionError::TooLate));
    assert_eq!(second.request.life.status, Status::Merged);
}

#[test]
fn nothing_else_is_decided_about_a_merged_one() {
    let mut second = merged();
    for decision in [super::gates::passed(), crate::domain::command::Decision::Approve] {
        assert!(matches!(
            super::gates::decide(&mut second, &decision, "clerk"),
            Err(DecisionError::NotNow(_))
        ));
    }
}

#[test]
fn repeated_request_does_not_bypass_approval() {
    let opening = first();
    let one = Bench::open_under(registry(), &opening, &rules(), true);
    assert_eq!(one.request.life.status, Status::AwaitingApproval);
    let (mut second, how) = open_after(&[(&one, &opening)], &next(1), &rules(), HOUR);
    assert_eq!(how, Second::Merged);
    let refused = Leader {
        withdrawn: true,
        ..OPEN
    };
    follow(&mut second, refused);
    assert_eq!(second.request.life.status, Status::AwaitingApproval);
    assert!(second.dispatched.is_empty());
}

#[test]
fn merged_request_is_forgotten_when_leader_closes_unsent() {
    let mut second = merged();
    let closed = Leader {
        completed_at: Some(START.plus(DAY)),
        ..OPEN
    };
    follow(&mut second, closed);
    assert!(!second.request.bookkeeping.readable);
    assert_eq!(second.request.life.completed_at, closed.completed_at);
    let followed = Entry::Followed {
        completed_at: closed.completed_at,
    };
    assert!(second.entries.contains(&followed), "invariant 9");
}

#[test]
fn a_merged_one_has_its_own_deadline() {
    let mut second = merged();
    let due = second.request.life.clock.due;
    assert!(second.request.bookkeeping.wake_at.unwrap() <= due.plus(SECOND));
    second.now = due.plus(SECOND);
    follow(&mut second, OPEN);
    assert!(second.request.life.overdue);
    let clean = Leader {
        was_sent: true,
        is_clean: true,
        ..OPEN
    };
    follow(&mut second, clean);
    assert!(!second.request.life.overdue);
    assert_eq!(second.count_entries(|entry| *entry == Entry::Overdue), 1);
}
