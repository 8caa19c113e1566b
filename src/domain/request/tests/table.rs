//! The table of `transitions.md`: one example of each status, and everything that can happen to it.

use super::{
    gates::{gated, unverified},
    *,
};
use crate::domain::{
    command::Decision,
    generated_table,
    request::operate::DecisionError,
    words::{ExtensionReason, RefusalBasis, Status, VerificationResult},
};

const HEAD: &str = "\
## Every status and everything that can happen

Made by a test that lets each happen to an example of each status: a request with one processor, whose answer decides.
`=`: it happens, and the status stays. A word in italics refuses it: nothing changes, and the sender is told so
(*closed* is `wrong_state` on a topic). Two columns stand for `in_progress`, because what was sent cannot be taken back.

";

/// The name of a column and its example.
type Example = (&'static str, Bench);

fn examples() -> Vec<Example> {
    let gated = |opening: &Opening, approval| {
        Bench::open_under(vec![processor("crm")], opening, &gated("gdpr"), approval)
    };
    let under_gdpr = |processor| {
        let rules = Rules {
            regime: regime("gdpr"),
            ..rules()
        };
        Bench::open_under(vec![processor], &opening(), &rules, false)
    };
    let sent = || under_gdpr(processor("crm"));
    let answered = |answer| {
        let mut bench = sent();
        bench.answer(0, answer).unwrap();
        bench
    };
    let nameless = Processor {
        identities: vec![kind("phone")],
        ..processor("crm")
    };
    let mut merged = gated(&opening(), true);
    merged.request.life.status = Status::Merged;
    let mut refused = gated(&opening(), true);
    happen(&mut refused, &Happening::Refuse(None)).unwrap();
    let mut cancelled = gated(&opening(), true);
    happen(&mut cancelled, &Happening::Cancel).unwrap();
    vec![
        ("awaiting_verification", gated(&unverified(), false)),
        ("awaiting_approval", gated(&opening(), true)),
        ("scheduled", gated(&opening(), false)),
        ("in_progress, nothing sent", under_gdpr(nameless)),
        ("in_progress, sent", sent()),
        ("deferred", answered(retained(Some(START.plus(400 * DAY))))),
        ("completed", answered(Answer::Erased)),
        ("closed_with_exceptions", answered(retained(None))),
        ("refused", refused),
        ("cancelled", cancelled),
        ("merged", merged),
    ]
}

#[derive(Debug)]
enum Happening {
    Cancel,
    Verify(VerificationResult),
    Approve(&'static str),
    Refuse(Option<&'static str>),
    Extend,
    Retry,
    Waive,
    Supply,
    Reactivated,
    Ack(Answer),
    NextDate,
    DeadlinePasses,
}

fn happenings() -> Vec<(&'static str, Happening)> {
    vec![
        ("cancel", Happening::Cancel),
        (
            "verify_identity: passed",
            Happening::Verify(VerificationResult::Passed),
        ),
        (
            "verify_identity: failed",
            Happening::Verify(VerificationResult::Failed),
        ),
        ("approve", Happening::Approve("boss")),
        ("approve, by its submitter", Happening::Approve("submitter")),
        ("refuse", Happening::Refuse(None)),
        ("refuse the processor's share", Happening::Refuse(Some("crm"))),
        ("extend", Happening::Extend),
        ("retry of its task", Happening::Retry),
        ("waive of its task", Happening::Waive),
        ("supply_identities", Happening::Supply),
        ("reactivated", Happening::Reactivated),
        ("ack: erased", Happening::Ack(Answer::Erased)),
        ("ack: accepted", Happening::Ack(accepted(None))),
        ("ack: failed", Happening::Ack(failed())),
        ("ack: rejected", Happening::Ack(Answer::Rejected)),
        (
            "ack: retained until a date",
            Happening::Ack(retained(Some(START.plus(400 * DAY)))),
        ),
        ("ack: retained for good", Happening::Ack(retained(None))),
        ("its next date comes", Happening::NextDate),
        ("its deadline passes", Happening::DeadlinePasses),
    ]
}

/// Lets it happen, or says in the contract's word why not.
fn happen(bench: &mut Bench, what: &Happening) -> Result<(), &'static str> {
    match what {
        Happening::Cancel => decided(bench, |request, context| request.cancel(None, context)),
        Happening::Verify(result) => {
            let result = *result;
            decision(
                bench,
                Decision::VerifyIdentity {
                    method: label("passport"),
                    result,
                },
                "clerk",
            )
        }
        Happening::Approve(actor) => decision(bench, Decision::Approve, actor),
        Happening::Refuse(processor) => {
            let basis = RefusalBasis::TradeSecret;
            decision(
                bench,
                Decision::Refuse {
                    basis,
                    processor: processor.map(id),
                },
                "clerk",
            )
        }
        Happening::Extend => {
            let reason = ExtensionReason::Complexity;
            decision(bench, Decision::Extend { reason }, "clerk")
        }
        Happening::Retry => decided(bench, |request, context| request.retry(0, "bob", context)),
        Happening::Waive => decided(bench, |request, context| request.waive(0, "bob", context)),
        Happening::Supply => decided(bench, |request, context| {
            request
                .supply(&[kind("phone")], &[], "bob", context)
                .map(|(trail, _)| trail)
        }),
        Happening::Reactivated => decided(bench, |request, context| {
            request.reactivate(START, context).map_err(Into::into)
        }),
        Happening::Ack(answer) => {
            let attempt = bench.request.task(0).attempt.max(1);
            bench
                .ack(0, bench.request.task(0).generation, attempt, answer.clone())
                .map(|_| ())
                .map_err(|_| "stale_ack")
        }
        Happening::NextDate => {
            if bench.request.bookkeeping.wake_at.is_some() {
                bench.sleep();
            }
            Ok(())
        }
        Happening::DeadlinePasses => {
            bench.now = bench.request.life.clock.due.plus(SECOND);
            bench.wake();
            Ok(())
        }
    }
}

fn decision(bench: &mut Bench, decision: Decision, actor: &str) -> Result<(), &'static str> {
    let rules = rules();
    let rulebook = rules.rulebook();
    decided(bench, |request, context| {
        request.decide(&decision, actor, Some("submitter"), rulebook, context)
    })
}

fn decided(
    bench: &mut Bench,
    decision: impl FnOnce(&mut Request, &Context<'_>) -> Result<Trail, DecisionError>,
) -> Result<(), &'static str> {
    let refused = bench.run(|request, context| {
        let mut tried = request.clone();
        match decision(&mut tried, context) {
            Ok(trail) => {
                *request = tried;
                (None, trail)
            }
            Err(refused) => (Some(refused), Trail::default()),
        }
    });
    match refused {
        None => Ok(()),
        Some(DecisionError::TooLate) => Err("too_late"),
        Some(DecisionError::Closed) => Err("closed"),
        Some(DecisionError::Submitter) => Err("not_allowed"),
        Some(DecisionError::WrongState | DecisionError::NotNow(_)) => Err("wrong_state"),
    }
}

fn cell(example: &Bench, what: &Happening) -> String {
    let mut bench = example.clone();
    let before = bench.request.clone();
    match happen(&mut bench, what) {
        Err(word) => {
            assert_eq!(bench.request, before, "a refusal changes nothing");
            format!("*{word}*")
        }
        Ok(()) if bench.request.life.status == before.life.status => "=".to_owned(),
        Ok(()) => bench.request.life.status.to_string(),
    }
}

#[test]
fn the_documented_transitions_are_the_codes() {
    let examples = examples();
    for (name, bench) in &examples {
        assert_eq!(Some(bench.request.life.status.as_str()), name.split(',').next());
    }
    let statuses = |status: &&Status| {
        examples
            .iter()
            .any(|(_, bench)| bench.request.life.status == **status)
    };
    assert_eq!(
        Status::ALL.iter().filter(statuses).count(),
        Status::ALL.len(),
        "each has its example"
    );
    let head: Vec<String> = std::iter::once("")
        .chain(examples.iter().map(|(name, _)| *name))
        .map(str::to_owned)
        .collect();
    let rows: Vec<Vec<String>> = happenings()
        .iter()
        .map(|(name, what)| {
            let cells = examples.iter().map(|(_, bench)| cell(bench, what));
            std::iter::once((*name).to_owned()).chain(cells).collect()
        })
        .collect();
    generated_table::check(
        "request/transitions.md",
        &format!("{HEAD}{}", generated_table::table(&head, &rows)),
    );
}
