//! What settles and what does not: late successes, proofs of another kind, evidence, retention.

use super::*;
use crate::domain::{
    registry::EvidenceField,
    task::Deferral,
    words::{AbandonCause, Proof},
};

fn done(bench: &Bench) -> Option<Proof> {
    match bench.state(0) {
        TaskState::Done { proof, .. } => Some(*proof),
        _ => None,
    }
}

#[test]
fn a_late_success_of_an_earlier_attempt_settles() {
    let mut bench = Bench::open(vec![processor("crm")]);
    bench.sleep();
    bench.sleep();
    assert_eq!(bench.numbers(0), (1, 2, 1));
    bench.ack(0, 1, 1, Answer::Erased).unwrap();
    assert_eq!(done(&bench), Some(Proof::Erased));
    assert_eq!(bench.request.life.status.as_str(), "completed");
}

#[test]
fn what_the_first_copy_erased_the_second_does_not_find() {
    let mut bench = Bench::open(vec![processor("crm"), processor("ads")]);
    bench.sleep();
    bench.sleep();
    bench.ack(0, 1, 1, Answer::Erased).unwrap();
    let before = bench.request.clone();
    assert_eq!(
        bench.ack(0, 1, 2, Answer::NotFound),
        Ok(Taken::Repeated),
        "both are true"
    );
    assert_eq!(bench.ack(0, 1, 2, accepted(None)), Ok(Taken::Repeated));
    assert_eq!(
        bench.ack(0, 1, 2, failed()),
        Err(AckRejection::Stale),
        "a failure contradicts the success"
    );
    assert_eq!(bench.request, before);
}

#[test]
fn one_attempt_that_says_two_things_contradicts_itself() {
    let mut bench = Bench::open(vec![processor("crm"), processor("ads")]);
    bench.answer(0, accepted(None)).unwrap();
    bench.answer(0, Answer::Erased).unwrap();
    assert_eq!(bench.answer(0, Answer::NotFound), Err(AckRejection::Stale));
    assert_eq!(bench.answer(0, Answer::Erased), Ok(Taken::Repeated));
    assert_eq!(done(&bench), Some(Proof::Erased));
}

#[test]
fn a_late_success_settles_what_was_abandoned() {
    let mut bench = Bench::open(vec![processor("crm")]);
    for _ in 0..5 {
        bench.sleep();
    }
    assert_eq!(
        *bench.state(0),
        TaskState::Abandoned {
            cause: AbandonCause::AttemptsUsed
        }
    );
    bench.ack(0, 1, 2, Answer::NotFound).unwrap();
    assert_eq!(done(&bench), Some(Proof::NotFound));
    assert!(!bench.request.life.needs_attention);
    assert_eq!(bench.request.life.status.as_str(), "completed");
}

#[test]
fn accepted_waits_until_named_date_or_ack_timeout() {
    for (named, expected) in [
        (Some(START.plus(5 * DAY)), START.plus(5 * DAY)),
        (None, START.plus(ACK_TIMEOUT)),
    ] {
        let mut bench = Bench::open(vec![processor("crm")]);
        bench.answer(0, accepted(named)).unwrap();
        assert_eq!(
            *bench.state(0),
            TaskState::Accepted {
                at: START,
                expected_by: expected
            }
        );
        bench.pass(ACK_TIMEOUT / 2);
        bench.wake();
        assert!(
            matches!(bench.state(0), TaskState::Accepted { .. }),
            "an accepted task is not asked again"
        );
        assert_eq!(bench.answer(0, accepted(named)), Ok(Taken::Repeated), "twice");
    }
}

#[test]
fn accepted_after_a_success_is_ignored() {
    let mut bench = Bench::open(vec![processor("crm"), processor("ads")]);
    bench.answer(0, Answer::Erased).unwrap();
    let before = bench.request.clone();
    assert_eq!(
        bench.answer(0, accepted(Some(START.plus(DAY)))),
        Ok(Taken::Repeated)
    );
    assert_eq!(bench.request, before);
}

#[test]
fn anonymized_settles_erase_only_if_registry_allows() {
    let mut bench = Bench::open(vec![processor("crm")]);
    bench.answer(0, Answer::Anonymized).unwrap();
    assert_eq!(
        *bench.state(0),
        TaskState::Abandoned {
            cause: AbandonCause::Rejected
        }
    );
    assert_eq!(bench.answer(0, Answer::Anonymized), Ok(Taken::Repeated));

    let mut bench = Bench::open(vec![Processor {
        accept_anonymized: true,
        ..processor("crm")
    }]);
    bench.answer(0, Answer::Anonymized).unwrap();
    assert_eq!(done(&bench), Some(Proof::Anonymized));
}

#[test]
fn either_settles_an_anonymize_task() {
    for (answer, proof) in [
        (Answer::Erased, Proof::Erased),
        (Answer::Anonymized, Proof::Anonymized),
    ] {
        let mut bench = Bench::open_with(
            vec![processor("crm")],
            &Opening {
                action: Action::Anonymize,
                ..opening()
            },
        );
        bench.answer(0, answer).unwrap();
        assert_eq!(done(&bench), Some(proof));
    }
}

#[test]
fn a_success_without_the_required_evidence_fails() {
    let strict = Processor {
        require_evidence: vec![EvidenceField::Method],
        ..processor("crm")
    };
    let empty = Some(Evidence {
        method: Some(String::new()),
        records: Some(3),
        ..Evidence::default()
    });
    for evidence in [None, empty] {
        let mut bench = Bench::open(vec![strict.clone()]);
        let ack = Ack {
            evidence,
            ..bench.ack_of(0, 1, 1, Answer::Erased)
        };
        bench.take(&ack, true).unwrap();
        assert!(matches!(bench.state(0), TaskState::Ready { .. }));
        assert_eq!(bench.numbers(0), (1, 1, 1));
        assert_eq!(bench.take(&ack, true), Ok(Taken::Repeated));
        // The proof is handed in later, by the same attempt.
        let proved = Ack {
            evidence: evidence_with_method(),
            ..ack
        };
        bench.take(&proved, true).unwrap();
        assert_eq!(done(&bench), Some(Proof::Erased));
    }
}

#[test]
fn a_processor_that_has_nothing_needs_no_evidence() {
    for answer in [Answer::NotFound, Answer::Absent] {
        let strict = Processor {
            require_evidence: vec![EvidenceField::Method],
            ..processor("crm")
        };
        let mut bench = Bench::open(vec![strict]);
        bench.answer(0, answer).unwrap();
        assert_eq!(done(&bench), Some(Proof::NotFound));
    }
}

#[test]
fn every_field_of_evidence_can_be_required() {
    let all = Evidence {
        method: Some("delete".into()),
        records: Some(0),
        reference: Some("job-77".into()),
        digest: Some("sha256:00".into()),
        by_category: BTreeMap::new(),
        by_table: BTreeMap::new(),
    };
    let without = [
        (
            EvidenceField::Method,
            Evidence {
                method: None,
                ..all.clone()
            },
        ),
        (
            EvidenceField::Records,
            Evidence {
                records: None,
                ..all.clone()
            },
        ),
        (
            EvidenceField::Reference,
            Evidence {
                reference: None,
                ..all.clone()
            },
        ),
        (
            EvidenceField::Digest,
            Evidence {
                digest: None,
                ..all.clone()
            },
        ),
    ];
    for (field, lacking) in without {
        let strict = Processor {
            require_evidence: vec![field],
            ..processor("crm")
        };
        for (evidence, settles) in [(&lacking, false), (&all, true)] {
            let mut bench = Bench::open(vec![strict.clone()]);
            let ack = Ack {
                evidence: Some(evidence.clone()),
                ..bench.ack_of(0, 1, 1, Answer::Erased)
            };
            bench.take(&ack, true).unwrap();
            assert_eq!(done(&bench).is_some(), settles, "{field:?}");
        }
    }
}

#[test]
fn retained_until_date_is_parked_and_asked_again_then() {
    let until = START.plus(400 * DAY);
    let mut bench = Bench::open(vec![processor("crm")]);
    bench.answer(0, retained(Some(until))).unwrap();
    assert_eq!(
        *bench.state(0),
        TaskState::Parked {
            why: Deferral::Retention,
            until
        }
    );
    assert_eq!(bench.request.life.status.as_str(), "deferred");
    assert_eq!(bench.request.life.live_clean_at, Some(START));
    assert_eq!(bench.request.bookkeeping.wake_at, Some(until));
    bench.sleep();
    assert_eq!(bench.now, until);
    assert_eq!(bench.numbers(0), (1, 2, 0));
    assert_eq!(bench.request.life.status.as_str(), "in_progress");
    bench.answer(0, Answer::Erased).unwrap();
    assert_eq!(bench.request.life.status.as_str(), "completed");
}

#[test]
fn deferral_past_deadline_makes_nothing_overdue() {
    let mut bench = Bench::open(vec![processor("crm")]);
    bench.answer(0, retained(Some(START.plus(400 * DAY)))).unwrap();
    bench.sleep();
    assert!(matches!(bench.state(0), TaskState::Dispatched { .. }));
    assert!(
        !bench.request.life.overdue && !bench.request.life.at_risk,
        "slipped deferrals are counted elsewhere"
    );
    assert_eq!(
        bench.request.life.live_clean_at,
        Some(START),
        "live systems were clean on time"
    );
    assert_eq!(bench.count_entries(|entry| matches!(entry, Entry::Overdue)), 0);
}

#[test]
fn a_retention_that_has_ended_is_asked_again_after_a_pause() {
    let mut bench = Bench::open(vec![processor("crm")]);
    for attempt in 1..=5 {
        bench.answer(0, retained(Some(START))).unwrap();
        assert_eq!(
            *bench.state(0),
            TaskState::Parked {
                why: Deferral::Retention,
                until: bench.now.plus(10 * SECOND * attempt)
            }
        );
        bench.sleep();
        assert_eq!(bench.numbers(0), (1, attempt + 1, 0));
    }
}

#[test]
fn what_is_retained_for_good_closes_with_an_exception() {
    let mut bench = Bench::open(vec![processor("crm"), processor("ads")]);
    bench.answer(0, retained(None)).unwrap();
    assert_eq!(
        *bench.state(0),
        TaskState::Exempt {
            basis: label("tax_law")
        }
    );
    bench.answer(1, Answer::Erased).unwrap();
    assert_eq!(bench.request.life.status.as_str(), "closed_with_exceptions");
}
