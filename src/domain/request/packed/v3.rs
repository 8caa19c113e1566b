//! Rows of version 3: what may be seen and what is bookkeeping lie among each other in them, in the order in which the fields
//! came. Tuples have no length of their own in a row, so theirs are only for reading.

use super::super::{Bookkeeping, Check, Following, Head, LegalClock, Life, Request};
use crate::domain::{
    backup::Week,
    fact::FactVersion,
    ids::HoldId,
    task::Task,
    time::At,
    words::{Notice, RefusalBasis, Status},
};

/// The first and the second half of what moves.
type Moving<Clock, Holds, Followed> = (
    (
        Clock,
        Check,
        Check,
        Option<RefusalBasis>,
        Status,
        Option<At>,
        Option<At>,
        bool,
        bool,
        bool,
        Option<Notice>,
    ),
    (
        bool,
        Option<Week>,
        Holds,
        FactVersion,
        Option<At>,
        Option<At>,
        Followed,
        u32,
        u32,
        Option<At>,
        Option<At>,
    ),
);

/// A row that is written.
type Packing<'a> = (
    &'a Head,
    Moving<&'a LegalClock, &'a [HoldId], Option<&'a Following>>,
    &'a [Task],
);

/// A row that was read.
type Packed = (
    Head,
    Moving<LegalClock, Vec<HoldId>, Option<Box<Following>>>,
    Vec<Task>,
);

pub(super) fn packing(request: &Request) -> Packing<'_> {
    let (life, kept) = (&request.life, &request.bookkeeping);
    let first = (
        &life.clock,
        life.verification,
        life.approval,
        life.refused,
        life.status,
        life.completed_at,
        life.live_clean_at,
        life.overdue,
        life.at_risk,
        life.needs_attention,
        life.notice,
    );
    let second = (
        kept.readable,
        kept.capsule,
        life.subject_holds.as_slice(),
        kept.facts,
        life.reactivated_at,
        life.restored_at,
        life.following.as_deref(),
        kept.followers,
        kept.leaves,
        kept.wake_at,
        life.set_aside_at,
    );
    (&request.head, (first, second), &request.tasks)
}

pub(super) fn into_parts((head, (first, second), tasks): Packed) -> (Head, (Life, Bookkeeping), Vec<Task>) {
    let (clock, verification, approval, refused, status, completed_at, live_clean_at, ..) = first;
    let (.., overdue, at_risk, needs_attention, notice) = first;
    let (readable, capsule, subject_holds, facts, reactivated_at, restored_at, following, ..) = second;
    let (.., followers, leaves, wake_at, set_aside_at) = second;
    let life = Life {
        clock,
        verification,
        approval,
        refused,
        status,
        completed_at,
        live_clean_at,
        overdue,
        at_risk,
        needs_attention,
        notice,
        subject_holds,
        reactivated_at,
        restored_at,
        following,
        set_aside_at,
    };
    let bookkeeping = Bookkeeping {
        readable,
        capsule,
        facts,
        followers,
        leaves,
        wake_at,
    };
    (head, (life, bookkeeping), tasks)
}
