//! The plan: which processors a command concerns, what each is asked, and what has to come first.

use super::*;
use crate::domain::{
    command::Exclusion,
    plan::{KEPT_AT_SOURCE, NO_IDENTITY, NoPlan, PlannedTask, Start, plan},
    registry::UNNAMED_CATEGORY,
    task_ids::MAX_TASKS,
    words::{AbandonCause, RefusalBasis},
};

fn start() -> Start<'static> {
    Start {
        at: START,
        requested_at: START,
        zone: const { &TimeZone::UTC },
    }
}

#[test]
fn the_words_of_plans_are_labels() {
    for word in [NO_IDENTITY, KEPT_AT_SOURCE, UNNAMED_CATEGORY] {
        assert!(Label::new(word).is_ok());
    }
}

fn planned(processors: &[Processor], opening: &Opening) -> Vec<PlannedTask> {
    plan(
        opening,
        &Registry {
            processors: processors.to_vec(),
        },
        start(),
    )
    .unwrap()
}

fn concerned(processors: &[Processor], opening: &Opening) -> Vec<String> {
    match plan(
        opening,
        &Registry {
            processors: processors.to_vec(),
        },
        start(),
    ) {
        Ok(planned) => planned
            .iter()
            .map(|planned| planned.task.processor.to_string())
            .collect(),
        Err(no_plan) => {
            assert_eq!(no_plan, NoPlan::NoProcessor);
            Vec::new()
        }
    }
}

const UNSUPPORTED: TaskState = TaskState::Abandoned {
    cause: AbandonCause::Unsupported,
};
const READY: TaskState = TaskState::Ready { due: START };

#[test]
fn each_is_asked_what_it_can_do() {
    use Action::{Anonymize, Erase};
    let refuse = AnonymizeFallback::Refuse;
    let erase = AnonymizeFallback::Erase;
    // wanted, actions, anonymize_fallback, accept_anonymized → asked, state
    let table = [
        (Erase, vec![Erase], refuse, false, Erase, READY),
        (Erase, vec![Erase, Anonymize], erase, true, Erase, READY),
        (Erase, vec![Anonymize], refuse, false, Erase, UNSUPPORTED),
        (Erase, vec![Anonymize], erase, false, Erase, UNSUPPORTED),
        (Erase, vec![Anonymize], refuse, true, Anonymize, READY),
        (Anonymize, vec![Anonymize], refuse, false, Anonymize, READY),
        (Anonymize, vec![Erase, Anonymize], erase, false, Anonymize, READY),
        (Anonymize, vec![Erase], refuse, false, Anonymize, UNSUPPORTED),
        (Anonymize, vec![Erase], refuse, true, Anonymize, UNSUPPORTED),
        (Anonymize, vec![Erase], erase, false, Erase, READY),
    ];
    for (wanted, actions, anonymize_fallback, accept_anonymized, asked, state) in table {
        let registered = Processor {
            actions,
            anonymize_fallback,
            accept_anonymized,
            ..processor("a")
        };
        let case = format!("{wanted} to {registered:?}");
        let plan = planned(
            &[registered],
            &Opening {
                action: wanted,
                ..opening()
            },
        );
        assert_eq!(
            (plan[0].task.action, &plan[0].task.state),
            (asked, &state),
            "{case}"
        );
    }
}

#[test]
fn one_command_can_mix_both_actions() {
    let opening = Opening {
        actions_by_processor: BTreeMap::from([(id("stats"), Action::Anonymize)]),
        ..opening()
    };
    let plan = planned(&[processor("crm"), processor("stats")], &opening);
    assert_eq!(
        plan.iter().map(|planned| planned.task.action).collect::<Vec<_>>(),
        [Action::Erase, Action::Anonymize]
    );
}

#[test]
fn each_is_sent_what_it_declared_and_nothing_else() {
    let both = planned(&[processor("a")], &opening());
    assert_eq!(
        both[0].identities,
        [kind("email")],
        "the subject has no customer_id"
    );
    let other = Processor {
        identities: vec![kind("phone")],
        ..processor("b")
    };
    let blocked = planned(&[processor("a"), other.clone()], &opening());
    assert_eq!(
        (&blocked[1].task.state, blocked[1].identities.len()),
        (&TaskState::WithoutIdentity, 0)
    );
    let exempting = Processor {
        missing_identity: MissingIdentity::Exempt,
        ..other
    };
    let exempt = planned(&[processor("a"), exempting], &opening());
    assert_eq!(
        exempt[1].task.state,
        TaskState::Exempt {
            basis: label(NO_IDENTITY)
        }
    );
}

#[test]
fn a_missing_identity_needs_attention() {
    let other = Processor {
        identities: vec![kind("phone")],
        ..processor("b")
    };
    let mut bench = Bench::open(vec![processor("a"), other]);
    assert!(bench.request.life.needs_attention);
    bench.answer(0, Answer::Erased).unwrap();
    assert_eq!(
        bench.request.life.status.as_str(),
        "in_progress",
        "never silently complete"
    );
}

#[test]
fn scope_and_region_say_whom_it_concerns() {
    let marketing = Processor {
        purposes: vec![label("marketing"), label("ads")],
        ..processor("marketing")
    };
    let invoices = Processor {
        categories: vec![label("invoices")],
        ..processor("invoices")
    };
    let eu = Processor {
        regions: vec![label("eu")],
        ..processor("eu")
    };
    let all = [marketing, invoices, eu, processor("any")];
    let with = |scope: Scope, region: Option<&str>| {
        concerned(
            &all,
            &Opening {
                scope,
                region: region.map(label),
                ..opening()
            },
        )
    };
    let purposes = |names: &[&str]| Scope {
        purposes: names.iter().map(|n| label(n)).collect(),
        ..Scope::default()
    };
    let categories = |names: &[&str]| Scope {
        categories: names.iter().map(|n| label(n)).collect(),
        ..Scope::default()
    };

    assert_eq!(
        with(Scope::default(), None),
        ["marketing", "invoices", "eu", "any"]
    );
    // A purpose has to be named: withdrawing one consent leaves alone what is processed for others.
    assert_eq!(with(purposes(&["marketing"]), None), ["marketing"]);
    assert_eq!(with(purposes(&["billing", "ads"]), None), ["marketing"]);
    assert!(with(purposes(&["billing"]), None).is_empty());
    // Who names no categories or regions may hold any.
    assert_eq!(
        with(categories(&["invoices"]), None),
        ["marketing", "invoices", "eu", "any"]
    );
    assert_eq!(with(categories(&["messages"]), None), ["marketing", "eu", "any"]);
    assert_eq!(
        with(Scope::default(), Some("eu")),
        ["marketing", "invoices", "eu", "any"]
    );
    assert_eq!(
        with(Scope::default(), Some("us")),
        ["marketing", "invoices", "any"]
    );
    let one = Scope {
        processors: vec![id("eu"), id("unknown")],
        ..Scope::default()
    };
    assert_eq!(with(one.clone(), None), ["eu"]);
    assert!(with(one, Some("us")).is_empty());
}

#[test]
fn nothing_to_erase_anywhere_is_no_plan() {
    let scope = Scope {
        processors: vec![id("unknown")],
        ..Scope::default()
    };
    let refused = Bench::try_open(vec![processor("a")], &Opening { scope, ..opening() });
    assert!(matches!(refused, Err(CannotOpen::NoPlan(NoPlan::NoProcessor))));
    assert!(matches!(
        Bench::try_open(Vec::new(), &opening()),
        Err(CannotOpen::NoPlan(NoPlan::NoProcessor))
    ));
}

#[test]
fn a_plan_has_a_limit() {
    let processors = |n: u16| (0..n).map(|n| processor(&format!("p{n}"))).collect::<Vec<_>>();
    assert_eq!(
        planned(&processors(MAX_TASKS), &opening()).len(),
        usize::from(MAX_TASKS)
    );
    let registry = Registry {
        processors: processors(MAX_TASKS + 1),
    };
    assert_eq!(plan(&opening(), &registry, start()), Err(NoPlan::TooManyTasks));
}

#[test]
fn an_exclusion_comes_first() {
    let other = Processor {
        identities: vec![kind("phone")],
        ..processor("b")
    };
    for registered in [
        processor("b"),
        other,
        Processor {
            actions: vec![Action::Anonymize],
            ..processor("b")
        },
    ] {
        let exclude = vec![Exclusion {
            processor: id("b"),
            basis: RefusalBasis::LegalClaims,
        }];
        let plan = planned(&[processor("a"), registered], &Opening { exclude, ..opening() });
        assert_eq!(
            plan[1].task.state,
            TaskState::Exempt {
                basis: label("legal_claims")
            }
        );
    }
}

#[test]
fn every_basis_is_a_label() {
    for basis in RefusalBasis::ALL {
        let exclude = vec![Exclusion {
            processor: id("a"),
            basis: *basis,
        }];
        let plan = planned(&[processor("a")], &Opening { exclude, ..opening() });
        assert_eq!(
            plan[0].task.state,
            TaskState::Exempt {
                basis: label(basis.as_str())
            }
        );
    }
}

#[test]
fn after_names_the_places_of_those_that_come_first() {
    let c = Processor {
        after: vec![id("b"), id("a"), id("gone")],
        ..processor("c")
    };
    let b = Processor {
        after: vec![id("a")],
        ..processor("b")
    };
    let plan = planned(&[c, b, processor("a")], &opening());
    assert_eq!(
        plan.iter()
            .map(|planned| planned.task.after.clone())
            .collect::<Vec<_>>(),
        [vec![1, 2], vec![2], vec![]]
    );
    assert_eq!(
        plan.iter()
            .map(|planned| planned.task.state.clone())
            .collect::<Vec<_>>(),
        [TaskState::Blocked, TaskState::Blocked, READY]
    );
}

#[test]
fn one_goes_after_the_other() {
    let b = Processor {
        after: vec![id("a")],
        ..processor("b")
    };
    let c = Processor {
        after: vec![id("b")],
        ..processor("c")
    };
    let mut bench = Bench::open(vec![processor("a"), b, c]);
    assert_eq!(bench.dispatched, [0]);
    for answer in [accepted(None), failed()] {
        bench.answer(0, answer).unwrap();
        assert_eq!(
            *bench.state(1),
            TaskState::Blocked,
            "only what is done opens the next one"
        );
    }
    bench.answer(0, Answer::Erased).unwrap();
    assert_eq!(bench.dispatched, [1]);
    // Parts that are parked, perhaps for years, are never waited for.
    bench.answer(1, retained(Some(START.plus(100 * DAY)))).unwrap();
    assert_eq!(bench.dispatched, [2]);
    bench.answer(2, Answer::Erased).unwrap();
    assert_eq!(bench.request.life.status.as_str(), "deferred");
}

#[test]
fn whoever_is_not_concerned_is_not_waited_for() {
    let phantom = Processor {
        after: vec![id("gone")],
        ..processor("a")
    };
    assert_eq!(Bench::open(vec![phantom]).dispatched, [0]);
    // b is out of scope, so c, which comes after it, goes at once.
    let b = Processor {
        after: vec![id("a")],
        ..processor("b")
    };
    let c = Processor {
        after: vec![id("b")],
        ..processor("c")
    };
    let scope = Scope {
        processors: vec![id("a"), id("c")],
        ..Scope::default()
    };
    let bench = Bench::open_with(vec![processor("a"), b, c], &Opening { scope, ..opening() });
    assert_eq!(bench.dispatched, [0, 1]);
}

#[test]
fn whoever_is_exempt_is_not_waited_for() {
    let exempt = Processor {
        identities: vec![kind("phone")],
        missing_identity: MissingIdentity::Exempt,
        ..processor("a")
    };
    let b = Processor {
        after: vec![id("a")],
        ..processor("b")
    };
    let mut bench = Bench::open(vec![exempt, b]);
    assert_eq!(bench.dispatched, [1]);
    bench.answer(1, Answer::Erased).unwrap();
    assert_eq!(bench.request.life.status.as_str(), "closed_with_exceptions");
}

#[test]
fn a_time_at_which_nobody_can_have_asked_is_refused() {
    let at = |requested_at: At| {
        let opening = Opening {
            requested_at: Some(requested_at),
            ..opening()
        };
        Bench::try_open(vec![processor("crm")], &opening)
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    assert_eq!(at(START.plus(SKEW)), Ok(()), "clocks differ a little");
    assert_eq!(
        at(START.plus(SKEW + SECOND)),
        Err("requested_at: lies in the future".to_owned())
    );
    let years = |n: u32| At::from_millis(START.millis() - i64::from(n) * 365 * 86_400_000);
    assert_eq!(at(years(10)), Ok(()));
    assert_eq!(
        at(years(11)),
        Err("requested_at: lies more than ten years back".to_owned())
    );
    assert_eq!(
        at(At::from_millis(0)),
        Err("requested_at: lies more than ten years back".to_owned())
    );
}
