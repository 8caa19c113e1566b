//! The same person again: what is merged, what stands alone, what is one too many.

use super::*;
use crate::domain::{
    body::Body,
    command::Exclusion,
    request::duplicates::{Duplicates, Earlier, OverLimit, RepeatLimit},
    words::{RefusalBasis, Status},
};

/// How the second of two requests begins.
#[derive(Debug, PartialEq)]
pub(super) enum Second {
    Merged,
    Alone,
    AwaitsApproval,
    Refused,
}

pub(super) fn registry() -> Vec<Processor> {
    let mut crm = processor("crm");
    crm.purposes = vec![label("marketing")];
    let mut billing = processor("billing");
    billing.purposes = vec![label("contract")];
    vec![crm, billing]
}

/// The same person's next command.
pub(super) fn next(n: u128) -> Opening {
    Opening {
        command_id: CommandId(Uuid::from_u128(100 + n)),
        request_id: RequestId(Uuid::from_u128(200 + n)),
        requested_at: None,
        ..opening()
    }
}

pub(super) fn first() -> Opening {
    next(0)
}

/// Opens `opening` after these, so much later.
pub(super) fn open_after(
    earlier: &[(&Bench, &Opening)],
    opening: &Opening,
    rules: &Rules,
    later: Duration,
) -> (Bench, Second) {
    let bodies: Vec<Body> = earlier
        .iter()
        .map(|(bench, opening)| Body::of(opening, vec![vec![kind("email")]; bench.request.tasks.len()]))
        .collect();
    let earlier: Vec<Earlier<'_>> = earlier
        .iter()
        .zip(&bodies)
        .map(|((bench, _), body)| Earlier {
            request: &bench.request,
            body,
        })
        .collect();
    let admission = Admission {
        earlier: &earlier,
        ..ADMISSION
    };
    let bench = Bench::opened_at(START.plus(later), registry(), opening, rules, admission).unwrap();
    let second = match bench.request.life.status {
        Status::Merged => Second::Merged,
        Status::AwaitingApproval => Second::AwaitsApproval,
        Status::Refused => Second::Refused,
        _ => Second::Alone,
    };
    (bench, second)
}

fn second_of(
    first_opening: &Opening,
    second: &Opening,
    later: Duration,
    change: impl Fn(&mut Bench),
) -> Second {
    let mut one = Bench::opened(registry(), first_opening, &rules(), ADMISSION).unwrap();
    change(&mut one);
    open_after(&[(&one, first_opening)], second, &rules(), later).1
}

#[test]
fn it_is_merged_only_into_one_that_covers_it() {
    let scoped = |purposes: &[&str]| Opening {
        scope: Scope {
            purposes: purposes.iter().map(|p| label(p)).collect(),
            ..Scope::default()
        },
        ..next(1)
    };
    let excluding = |opening: Opening| Opening {
        exclude: vec![Exclusion {
            processor: id("crm"),
            basis: RefusalBasis::IndependentAuthorization,
        }],
        ..opening
    };
    let anchored = |opening: Opening, at| Opening {
        anchors: BTreeMap::from([(
            crate::domain::ids::AnchorName::new("account_closed_at").unwrap(),
            at,
        )]),
        ..opening
    };
    let anonymize = Opening {
        action: Action::Anonymize,
        ..next(1)
    };
    let only = |opening: Opening, processor: &str| Opening {
        scope: Scope {
            processors: vec![id(processor)],
            ..Scope::default()
        },
        ..opening
    };
    let shorter = Opening {
        regime: Some(regime("days:5")),
        ..next(1)
    };
    let longer = Opening {
        regime: Some(regime("days:20")),
        ..next(1)
    };
    let cases = [
        ("the same again", first(), next(1), Second::Merged),
        (
            "narrower in purpose",
            first(),
            scoped(&["marketing"]),
            Second::Merged,
        ),
        ("wider in purpose", scoped(&["marketing"]), next(2), Second::Alone),
        (
            "another purpose",
            scoped(&["marketing"]),
            Opening {
                request_id: next(2).request_id,
                ..scoped(&["contract"])
            },
            Second::Alone,
        ),
        (
            "one processor of all",
            first(),
            only(next(1), "crm"),
            Second::Merged,
        ),
        (
            "all, after one processor",
            only(first(), "crm"),
            next(1),
            Second::Alone,
        ),
        ("excluding more", first(), excluding(next(1)), Second::Merged),
        ("excluding less", excluding(first()), next(1), Second::Alone),
        (
            "excluding the same",
            excluding(first()),
            excluding(next(1)),
            Second::Merged,
        ),
        ("another action", first(), anonymize, Second::Alone),
        ("an earlier deadline", first(), shorter, Second::Alone),
        ("a later deadline", first(), longer, Second::Merged),
        (
            "an anchor that the first has not",
            first(),
            anchored(next(1), START),
            Second::Alone,
        ),
        (
            "the same anchor",
            anchored(first(), START),
            anchored(next(1), START),
            Second::Merged,
        ),
        (
            "another anchor",
            anchored(first(), START),
            anchored(next(1), START.plus(DAY)),
            Second::Alone,
        ),
        ("fewer anchors", anchored(first(), START), next(1), Second::Merged),
    ];
    for (what, one, two, expected) in cases {
        assert_eq!(second_of(&one, &two, HOUR, |_| {}), expected, "{what}");
    }
}

#[test]
fn what_has_happened_to_the_first_counts() {
    let nothing = |_: &mut Bench| {};
    assert_eq!(second_of(&first(), &next(1), HOUR * 23, nothing), Second::Merged);
    assert_eq!(
        second_of(&first(), &next(1), DAY, nothing),
        Second::Alone,
        "the window"
    );
    let done = |bench: &mut Bench| {
        for ordinal in [0, 1] {
            bench.answer(ordinal, Answer::Erased).unwrap();
        }
        assert_eq!(bench.request.life.status, Status::Completed);
    };
    assert_eq!(
        second_of(&first(), &next(1), HOUR, done),
        Second::Alone,
        "completed"
    );
    let waived = |bench: &mut Bench| {
        bench.run(|request, context| ((), request.waive(0, "ann", context).unwrap()));
    };
    assert_eq!(
        second_of(&first(), &next(1), HOUR, waived),
        Second::Alone,
        "a share was waived"
    );
    let back = |bench: &mut Bench| {
        bench.run(|request, context| ((), request.reactivate(START, context).unwrap()));
    };
    assert_eq!(
        second_of(&first(), &next(1), HOUR, back),
        Second::Alone,
        "the person is back"
    );
}

/// One share is proved, the other is out.
fn half_done(bench: &mut Bench) {
    bench.answer(0, Answer::Erased).unwrap();
    assert_eq!(bench.request.life.status, Status::InProgress);
}

#[test]
fn a_share_that_is_done_covers_nothing_that_was_given_since() {
    assert_eq!(second_of(&first(), &next(1), HOUR, half_done), Second::Alone);
    // Asked before the first was sent, and only taken in late: what was given until then is gone.
    let late = Opening {
        requested_at: Some(At::from_millis(START.millis() - 3_600_000)),
        ..next(1)
    };
    let before = Opening {
        requested_at: late.requested_at,
        ..first()
    };
    assert_eq!(second_of(&before, &late, HOUR, half_done), Second::Merged);
    // What is out, or waits for its turn, is answered for what is there then.
    assert_eq!(second_of(&first(), &next(1), HOUR, |_| {}), Second::Merged);
    let tried = |bench: &mut Bench| {
        bench.answer(0, failed()).unwrap();
    };
    assert_eq!(second_of(&first(), &next(1), HOUR, tried), Second::Merged);
}

#[test]
fn verified_share_covers_nothing_new_swept_share_does() {
    for (sweeps, expected) in [(false, Second::Alone), (true, Second::Merged)] {
        let looked_at = |bench: &mut Bench| {
            let after = Some(Period::days(1));
            let processor = &mut bench.registry.processors[0];
            (processor.sweep_after, processor.verify_after) =
                if sweeps { (after, None) } else { (None, after) };
            half_done(bench);
            assert!(matches!(bench.state(0), TaskState::Verifying { .. }));
        };
        assert_eq!(
            second_of(&first(), &next(1), HOUR, looked_at),
            expected,
            "{sweeps}"
        );
    }
}

#[test]
fn share_reopened_by_restore_covers_later_data() {
    let restored = |bench: &mut Bench| {
        half_done(bench);
        // Nobody is there to be asked, so it waits.
        bench.registry.processors.remove(0);
        let news = crate::domain::fact::Fact::Backup(crate::domain::backup::BackupEvent {
            event_id: crate::domain::ids::EventId(Uuid::from_u128(9)),
            processor: id("nightly"),
            set: label("nightly"),
            change: crate::domain::backup::BackupChange::Restored {
                taken_at: START,
                restored_into: vec![id("crm")],
            },
            at: None,
        });
        bench.facts.learn(1, bench.now, &news);
        bench.run(|request, context| ((), request.review(context).unwrap()));
        assert!(matches!(bench.state(0), TaskState::Ready { .. }));
    };
    assert_eq!(second_of(&first(), &next(1), HOUR, restored), Second::Merged);
}

#[test]
fn cut_off_processor_covers_nothing_given_later() {
    for (later, expected) in [(HOUR, Second::Alone), (Duration::ZERO, Second::Merged)] {
        let one = Bench::opened(registry(), &first(), &rules(), ADMISSION).unwrap();
        let mut honours = registry();
        honours[1].honours_cutoff = true;
        let body = Body::of(&first(), vec![vec![kind("email")]; 2]);
        let admission = Admission {
            earlier: &[Earlier {
                request: &one.request,
                body: &body,
            }],
            ..ADMISSION
        };
        let bench = Bench::opened_at(START.plus(later), honours, &next(1), &rules(), admission).unwrap();
        let is_merged = bench.request.life.status == Status::Merged;
        assert_eq!(is_merged, expected == Second::Merged);
    }
}

#[test]
fn known_identity_does_not_wait_for_unknown_one() {
    let rules = Rules {
        require_verification: true,
        ..rules()
    };
    let unverified = |opening: Opening| Opening {
        identity_verified: false,
        ..opening
    };
    let one = Bench::opened(registry(), &unverified(first()), &rules, ADMISSION).unwrap();
    let opening = unverified(first());
    let (_, second) = open_after(&[(&one, &opening)], &next(1), &rules, HOUR);
    assert_eq!(second, Second::Alone);
    let (_, second) = open_after(&[(&one, &opening)], &unverified(next(1)), &rules, HOUR);
    assert_eq!(second, Second::Merged);
}

#[test]
fn the_fourth_within_the_limit_is_one_too_many() {
    let limited = |then| Rules {
        duplicates: Duplicates {
            merge_open: false,
            repeat_limit: RepeatLimit {
                then,
                ..Duplicates::default().repeat_limit
            },
            ..Duplicates::default()
        },
        ..rules()
    };
    let openings: Vec<Opening> = (0..4).map(next).collect();
    let benches: Vec<Bench> = openings[..3]
        .iter()
        .map(|opening| Bench::opened(registry(), opening, &rules(), ADMISSION).unwrap())
        .collect();
    let earlier: Vec<(&Bench, &Opening)> = benches.iter().zip(&openings).collect();
    let fourth = |count: usize, opening: &Opening, then, later| {
        open_after(&earlier[..count], opening, &limited(then), later).1
    };
    let person = &openings[3];
    assert_eq!(fourth(2, person, OverLimit::Refuse, DAY), Second::Alone);
    assert_eq!(fourth(3, person, OverLimit::Refuse, DAY), Second::Refused);
    assert_eq!(
        fourth(3, person, OverLimit::Approval, DAY),
        Second::AwaitsApproval
    );
    assert_eq!(
        fourth(3, person, OverLimit::Refuse, DAY * 365),
        Second::Alone,
        "the time is over"
    );
    let controller = Opening {
        reason: Reason::RetentionExpired,
        ..person.clone()
    };
    assert_eq!(fourth(3, &controller, OverLimit::Refuse, DAY), Second::Alone);
    let (refused, _) = open_after(&earlier, person, &limited(OverLimit::Refuse), DAY);
    assert_eq!(refused.request.life.refused, Some(RefusalBasis::Excessive));
    assert!(refused.dispatched.is_empty() && !refused.request.bookkeeping.readable);
    assert!(refused.entries.contains(&Entry::Repeated { earlier: 3 }));
}

#[test]
fn request_without_an_identifier_covers_nobody_who_has_it() {
    // It came later, from an ack or a person, and reached only those who came after.
    let mut phone = registry();
    phone[0].identities = vec![kind("email"), kind("phone")];
    let one = Bench::opened(phone.clone(), &first(), &rules(), ADMISSION).unwrap();
    let mut second = next(1);
    second.identities.push(Identity {
        kind: kind("phone"),
        value: SubjectData::new("+4930901820"),
    });
    for (told, expected) in [
        (vec![kind("email")], Status::InProgress),
        (vec![kind("email"), kind("phone")], Status::Merged),
    ] {
        let body = Body::of(&first(), vec![told, vec![kind("email")]]);
        let admission = Admission {
            earlier: &[Earlier {
                request: &one.request,
                body: &body,
            }],
            ..ADMISSION
        };
        let bench = Bench::opened_at(START.plus(HOUR), phone.clone(), &second, &rules(), admission).unwrap();
        assert_eq!(bench.request.life.status, expected);
    }
}

#[test]
fn copies_of_what_is_left_out_of_both_do_not_part_them() {
    let shop = Processor {
        identities: vec![kind("phone")],
        missing_identity: MissingIdentity::Exempt,
        ..processor("shop")
    };
    let copies = Processor {
        kind: ProcessorKind::Backup,
        backup: Some(crate::domain::registry::BackupSet {
            sources: vec![id("shop")],
            set: label("nightly"),
            keep: Period::days(35),
            confirm_by: crate::domain::registry::ConfirmBy::Ack,
            overdue_after: Period::days(2),
            erase_by_key: false,
        }),
        ..processor("nightly")
    };
    let processors = vec![processor("crm"), shop, copies];
    let one = Bench::opened(processors.clone(), &first(), &rules(), ADMISSION).unwrap();
    let body = Body::of(&first(), vec![vec![kind("email")]; one.request.tasks.len()]);
    let earlier = [Earlier {
        request: &one.request,
        body: &body,
    }];
    let admission = Admission {
        earlier: &earlier,
        ..ADMISSION
    };
    let bench = Bench::opened_at(START.plus(HOUR), processors, &next(1), &rules(), admission).unwrap();
    assert_eq!(bench.request.life.status, Status::Merged);
}
