//! Claims of anonymization that are pseudonymisation by their method (WP216), and methods that the registry demands.

use super::*;
use crate::domain::words::{AbandonCause, Proof, Status};

fn says(bench: &mut Bench, ordinal: u16, answer: Answer, method: &str) -> Result<Taken, AckRejection> {
    let task = bench.request.task(ordinal);
    let mut ack = bench.ack_of(ordinal, task.generation, task.attempt, answer);
    ack.evidence = Some(Evidence {
        method: Some(method.to_owned()),
        ..Evidence::default()
    });
    bench.take(&ack, true)
}

fn anonymize() -> Opening {
    Opening {
        action: Action::Anonymize,
        ..opening()
    }
}

fn given_up(cause: AbandonCause) -> TaskState {
    TaskState::Abandoned { cause }
}

#[test]
fn pseudonymisation_does_not_pass_for_anonymization() {
    for opening in [opening(), anonymize()] {
        let registered = Processor {
            accept_anonymized: true,
            ..processor("stats")
        };
        let mut bench = Bench::open_with(vec![registered], &opening);
        says(&mut bench, 0, Answer::Anonymized, "HMAC-SHA256").unwrap();
        assert_eq!(*bench.state(0), given_up(AbandonCause::Pseudonymised));
        assert_eq!(bench.request.task(0).outcome(), Some("pseudonymised"));
        assert!(bench.request.life.needs_attention, "loudly");
        assert_eq!(
            says(&mut bench, 0, Answer::Anonymized, "HMAC-SHA256"),
            Ok(Taken::Repeated)
        );
        // It was done properly after all.
        says(&mut bench, 0, Answer::Anonymized, "k-anonymity").unwrap();
        assert_eq!(bench.request.life.status, Status::Completed);
        assert_eq!(bench.request.task(0).outcome(), Some("anonymized"));
    }
}

#[test]
fn pseudonymisation_allowed_by_registry_is_done_and_named() {
    for opening in [opening(), anonymize()] {
        let registered = Processor {
            accept_anonymized: true,
            accept_pseudonymised: true,
            ..processor("stats")
        };
        let mut bench = Bench::open_with(vec![registered], &opening);
        says(&mut bench, 0, Answer::Anonymized, "tokenise").unwrap();
        let state = TaskState::Done {
            proof: Proof::Pseudonymised,
            at: START,
        };
        assert_eq!(*bench.state(0), state);
        let counts = bench.request.counts();
        assert_eq!((counts.done, counts.anonymized, counts.pseudonymised), (1, 0, 1));
        assert_eq!(bench.request.life.status, Status::Completed);
    }
}

#[test]
fn pseudonymisation_never_settles_an_erasure() {
    let registered = Processor {
        accept_pseudonymised: true,
        ..processor("stats")
    };
    let mut bench = Bench::open(vec![registered]);
    says(&mut bench, 0, Answer::Anonymized, "mask").unwrap();
    assert_eq!(*bench.state(0), given_up(AbandonCause::Rejected));
}

#[test]
fn who_says_erased_is_believed_whatever_its_method() {
    // It claims no anonymization: a method that must not count is for `require_method` to say.
    let mut bench = Bench::open(vec![processor("stats")]);
    says(&mut bench, 0, Answer::Erased, "hash").unwrap();
    assert_eq!(bench.request.life.status, Status::Completed);
}

#[test]
fn only_the_methods_that_the_registry_names_settle() {
    let registered = || Processor {
        require_method: vec![label("purge"), label("crypto_erase")],
        ..processor("desk")
    };
    for (method, settles) in [
        ("Purge", true),
        ("crypto-erase", true),
        ("hide", false),
        ("", false),
    ] {
        let mut bench = Bench::open(vec![registered()]);
        says(&mut bench, 0, Answer::Erased, method).unwrap();
        assert_eq!(
            bench.request.life.status == Status::Completed,
            settles,
            "{method:?}"
        );
        assert_eq!(
            bench.numbers(0).2,
            u32::from(!settles),
            "asked again, and it counts"
        );
    }
    let mut bench = Bench::open(vec![registered()]);
    bench.answer(0, Answer::Erased).unwrap();
    assert!(
        matches!(bench.state(0), TaskState::Ready { .. }),
        "no method at all"
    );
    let mut bench = Bench::open(vec![registered()]);
    bench.answer(0, Answer::NotFound).unwrap();
    assert_eq!(
        bench.request.life.status,
        Status::Completed,
        "nothing was there to be erased"
    );
}
