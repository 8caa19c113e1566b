//! What is known of copies, and what may be forgotten of it.

use super::*;

const fn day(n: i64) -> At {
    At::from_millis(n * 24 * 3600 * 1000)
}

#[test]
fn a_rotation_proves_what_it_says_and_the_latest_says_most() {
    let mut copies = Copies::default();
    assert_eq!(copies.gone_before(), None);
    copies.rotated(day(10), day(45));
    copies.rotated(day(8), day(43));
    assert_eq!(copies.gone_before(), Some(day(10)));
    assert_eq!(copies.rotations.len(), 1, "what was outdone is not kept");
}

#[test]
fn a_lock_is_never_undercut_in_whatever_order_it_becomes_known() {
    for late in [false, true] {
        let mut copies = Copies::default();
        if !late {
            copies.locked(day(5), day(100));
        }
        copies.rotated(day(10), day(45));
        if late {
            copies.locked(day(5), day(100));
        }
        assert_eq!(copies.gone_before(), Some(day(5)));
        assert_eq!(copies.locked_until(day(6)), Some(day(100)));
        assert_eq!(copies.locked_until(day(4)), None);
        copies.rotated(day(70), day(101));
        assert_eq!(copies.gone_before(), Some(day(70)));
    }
}

#[test]
fn a_lock_that_another_outlasts_is_not_kept() {
    let mut copies = Copies::default();
    for n in 0..10_000 {
        copies.locked(day(20_000 - n), day(30_000));
    }
    assert_eq!(copies.locks.len(), 1);
    copies.locked(day(15_000), day(29_999));
    assert_eq!(copies.locks.len(), 1);
    assert_eq!(copies.locked_until(day(20_000)), Some(day(30_000)));
    assert_eq!(copies.locked_until(day(10_000)), None);
}

#[test]
fn a_lock_is_dropped_once_no_rotation_can_meet_it() {
    let mut copies = Copies::default();
    for n in 0..100 {
        copies.locked(day(n), day(n + 30));
    }
    copies.rotated(day(60), day(95));
    assert_eq!(copies.locks.len(), 40);
    assert!(copies.is_settled(day(59), Some(day(89))));
    assert!(!copies.is_settled(day(60), None), "it is not said to be gone");
    // Told earlier than another that says less, and while a copy was locked: it may count again.
    let mut copies = Copies::default();
    copies.locked(day(5), day(50));
    copies.rotated(day(20), day(45));
    copies.rotated(day(10), day(60));
    assert_eq!(copies.gone_before(), Some(day(10)));
    assert!(
        !copies.is_settled(day(5), Some(day(50))),
        "the first rotation would prove more without it"
    );
    copies.rotated(day(20), day(61));
    assert!(copies.is_settled(day(5), Some(day(50))));
}

/// Whoever never heard of the copies that were settled decides as whoever did.
#[test]
fn what_is_settled_makes_no_difference_whatever_is_told_later() {
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut below = |n: i64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        i64::try_from(random % n.cast_unsigned()).unwrap()
    };
    for _ in 0..2_000 {
        let mut told: Vec<(BackupChange, At)> = Vec::new();
        for now in 1..14 {
            let change = match below(3) {
                0 => BackupChange::Rotated {
                    oldest_retained_at: day(below(now + 1)),
                },
                n => BackupChange::Taken {
                    taken_at: day(below(now + 1)),
                    lock_until: (n == 1).then(|| day(now + below(6) - 2)),
                },
            };
            told.push((change, day(now)));
        }
        let (before, after) = told.split_at(7);
        let learn = |copies: &mut Copies, told: &[(BackupChange, At)]| {
            told.iter().for_each(|(change, at)| copies.learn(change, *at));
        };
        let mut all = Copies::default();
        learn(&mut all, before);
        let mut left = Copies::default();
        let is_left = |change: &BackupChange| !matches!(change, BackupChange::Taken { taken_at, lock_until } if all.is_settled(*taken_at, *lock_until));
        let kept: Vec<_> = before
            .iter()
            .filter(|(change, _)| is_left(change))
            .cloned()
            .collect();
        learn(&mut left, &kept);
        for (change, at) in after {
            assert_eq!(left.contradicts(change, *at), all.contradicts(change, *at));
            left.learn(change, *at);
            all.learn(change, *at);
            assert_eq!(left.gone_before(), all.gone_before(), "{told:?}");
            assert_eq!(left.gone_before(), gone_before_by_all(&told, *at), "{told:?}");
            // A lock that has ended holds nothing up any more.
            let holds_up =
                |copies: &Copies, taken| copies.locked_until(day(taken)).filter(|until| until > at);
            for taken in 0..15 {
                assert_eq!(holds_up(&left, taken), holds_up(&all, taken), "{told:?}");
            }
        }
    }
}

/// The same from every event that was ever told, with nothing dropped.
fn gone_before_by_all(told: &[(BackupChange, At)], until: At) -> Option<At> {
    let told = || told.iter().filter(|(_, at)| *at <= until);
    told()
        .filter_map(|(change, at)| match change {
            BackupChange::Rotated { oldest_retained_at } => Some((*oldest_retained_at, *at)),
            _ => None,
        })
        .map(|(oldest, told_at)| {
            told()
                .filter_map(|(change, _)| match change {
                    BackupChange::Taken {
                        taken_at,
                        lock_until: Some(until),
                    } if *until > told_at => Some(*taken_at),
                    _ => None,
                })
                .fold(oldest, At::min)
        })
        .max()
}

#[test]
fn contradictions_are_found() {
    let mut copies = Copies::default();
    copies.locked(day(5), day(100));
    copies.rotated(day(4), day(40));
    let rotated = |oldest| BackupChange::Rotated {
        oldest_retained_at: day(oldest),
    };
    let taken = |at, lock: Option<i64>| BackupChange::Taken {
        taken_at: day(at),
        lock_until: lock.map(day),
    };
    let restored = |at| BackupChange::Restored {
        taken_at: day(at),
        restored_into: Vec::new(),
    };
    for (news, contradiction) in [
        (rotated(6), Some(Contradiction::Locked)),
        (rotated(3), Some(Contradiction::Backwards)),
        (rotated(5), None),
        (taken(3, None), Some(Contradiction::Gone)),
        (taken(3, Some(41)), Some(Contradiction::Locked)),
        // It was free again when it was said to be gone.
        (taken(3, Some(39)), Some(Contradiction::Gone)),
        (taken(4, None), None),
        (taken(4, Some(90)), None),
        (restored(3), Some(Contradiction::Gone)),
        (restored(4), None),
    ] {
        assert_eq!(copies.contradicts(&news, day(50)), contradiction, "{news:?}");
    }
}

#[test]
fn a_week_ends_where_the_next_one_begins() {
    let at = day(20_000);
    assert!(at < end_of(week_of(at)));
    assert_eq!(week_of(end_of(week_of(at))), week_of(at) + 1);
}
