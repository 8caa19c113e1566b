//! Each phrase, where it is so and where it is not.

use super::*;
use crate::config::Config;

fn words(phrase: &str) -> Vec<&str> {
    phrase.split_whitespace().collect()
}

/// Whether a phrase is so of what is shown; `None`: it is no phrase.
fn so(phrase: &str, of_task: bool) -> Option<bool> {
    let request = json!({
        "status": "in_progress", "deadline": "2026-04-01T21:59:59Z", "overdue": false, "needs_attention": true,
        "live_clean_at": null, "notice": "extended",
            "refusal": { "processors": [{ "processor": "ads", "basis": "legal_claims" }] }, "tasks": { "total": 3 }, "refused_on": "excessive",
        "merged_into": id_of("ann"), "identifiers": "capsule",
        "waiting_for": [
            { "why": "approval", "until": null },
            { "processor": "crm", "why": "retry", "until": "2026-03-02T15:00:00Z" }
        ],
    });
    let task = json!({
        "processor": "crm", "state": "done", "outcome": "erased", "why": null, "until": null,
        "evidence": { "records": 7 }, "generation": 2,
    });
    let message = json!({
        "action": "erase", "generation": 1, "attempt": 2, "scope": { "categories": ["a", "b"] },
        "identities": [{ "type": "email", "value": "x" }, { "type": "customer_id", "value": "y" }],
    });
    let caller = Caller::new("127.0.0.1:1".parse().unwrap(), &Config::default(), &[]);
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let news = Observed::default();
    let checks = Checks {
        caller: &caller,
        start: At::parse("2026-03-02T09:00:00Z").unwrap(),
        zone: &zone,
        exact: true,
        opened: &[],
        observed: &news,
        statuses: &BTreeMap::new(),
        views: BTreeMap::new(),
        named_tasks: BTreeSet::new(),
        named_calls: BTreeSet::new(),
        named_letters: BTreeSet::new(),
        named_verdicts: BTreeSet::new(),
    };
    let found = if of_task {
        checks.task_is(&[&message], Some(&task), &words(phrase))
    } else {
        checks.request_is(&request, &words(phrase))
    };
    found.map(|found| found.is_ok())
}

#[test]
fn a_claim_about_a_request_is_so_or_not() {
    for (right, wrong) in [
        ("in_progress", "completed"),
        ("deadline 2026-04-01", "deadline 2026-04-02"),
        ("deadline 2026-04-01T21:59:59Z", "deadline 2026-04-01T21:59:58Z"),
        ("not overdue", "overdue"),
        ("needs_attention", "not needs_attention"),
        ("not live_clean", "live_clean"),
        ("waits for approval", "waits for grace"),
        ("tasks 3", "tasks 2"),
        ("refused on excessive", "refused on trade_secret"),
        ("merged into ann", "merged into ben"),
        ("notice extended", "notice overdue"),
        ("refusal of ads on legal_claims", "refusal of crm on legal_claims"),
        ("tasks total 3", "tasks total 4"),
        ("identifiers capsule", "identifiers forgotten"),
    ] {
        assert_eq!(
            (so(right, false), so(wrong, false)),
            (Some(true), Some(false)),
            "{right}"
        );
    }
    // What only a processor waits for is no gate of the request.
    assert_eq!(so("waits for retry", false), Some(false));
    for unknown in ["", "nonsense", "not nonsense", "nonsense 3"] {
        assert_eq!(so(unknown, false), None, "{unknown}");
    }
}

#[test]
fn a_claim_about_a_task_is_so_or_not() {
    for (right, wrong) in [
        ("asked to erase again", "asked to erase"),
        ("asked to erase again", "asked to anonymize again"),
        ("by email and customer_id", "by email"),
        ("about b and a", "about a"),
        ("done erased", "done anonymized"),
        ("done erased", "exempt erased"),
        ("done erased gen2", "done erased gen3"),
        ("done", "held"),
        ("by email,customer_id", "by customer_id,email"),
        ("evidence records 7", "evidence records 8"),
        ("evidence records 7", "waits for ack"),
        ("evidence records 7", "accepted"),
    ] {
        assert_eq!(
            (so(right, true), so(wrong, true)),
            (Some(true), Some(false)),
            "{right} / {wrong}"
        );
    }
    for unknown in ["", "nonsense", "asked", "evidence records"] {
        assert_eq!(so(unknown, true), None, "{unknown}");
    }
}

/// Checks of a step in which this was seen.
fn with<T>(news: &Observed, check: impl FnOnce(&mut Checks<'_>) -> T) -> T {
    let caller = Caller::new("127.0.0.1:1".parse().unwrap(), &Config::default(), &[]);
    let opened = ["ann".to_owned(), "ben".to_owned()];
    check(&mut Checks {
        caller: &caller,
        start: At::parse("2026-03-02T09:00:00Z").unwrap(),
        zone: &TimeZone::UTC,
        exact: true,
        opened: &opened,
        observed: news,
        statuses: &BTreeMap::new(),
        views: BTreeMap::new(),
        named_tasks: BTreeSet::new(),
        named_calls: BTreeSet::new(),
        named_letters: BTreeSet::new(),
        named_verdicts: BTreeSet::new(),
    })
}

fn task(request: &str, processor: &str, generation: u32, attempt: u32) -> Value {
    json!({
        "request_id": id_of(request), "processor": processor, "action": "erase", "generation": generation,
        "attempt": attempt, "scope": { "categories": [] }, "identities": [{ "type": "email", "value": "x" }],
    })
}

#[test]
fn what_was_sent_is_compared_to_the_last_task() {
    let news = Observed {
        tasks: vec![task("ben", "crm", 1, 1), task("ann", "crm", 2, 3)],
        ..Observed::default()
    };
    let sent = |wanted: &str| with(&news, |checks| checks.of_sent(&words(wanted)).is_ok());
    assert!(sent("crm@2.3 ben/crm"));
    for wrong in [
        "",
        "crm@2.3",
        "crm@2 ben/crm",
        "crm@2.3 ben/crm ben/mail",
        "ben/crm@2.3 crm",
    ] {
        assert!(!sent(wrong), "{wrong}");
    }
}

#[test]
fn what_no_claim_names_must_not_have_happened() {
    let news = Observed {
        tasks: vec![task("ann", "crm", 1, 1)],
        letters: vec!["schema".to_owned()],
        verdicts: ["taken", "refused schema", "repeated", "contradiction locked"]
            .map(str::to_owned)
            .to_vec(),
        ..Observed::default()
    };
    with(&news, |checks| {
        assert_eq!(checks.unnamed_tasks(), ["crm (asked to erase)"]);
        assert_eq!(checks.unnamed_letters(), ["schema"]);
        assert_eq!(checks.unnamed_verdicts(), ["repeated", "contradiction locked"]);
        assert!(checks.of_letter(&["schema"]).is_ok() && checks.of_letter(&["schema"]).is_err());
        assert!(checks.of_verdict(&["repeated"]).is_ok() && checks.of_verdict(&["duplicate"]).is_err());
        checks.name_tasks(|task| task["processor"] == "crm");
        assert_eq!(
            (checks.unnamed_tasks().len(), checks.unnamed_letters().len()),
            (0, 0)
        );
        assert_eq!(checks.unnamed_verdicts(), ["contradiction locked"]);
    });
}

#[test]
fn entries_of_the_ledger_are_found_by_their_fields() {
    let moved = json!({ "type": "task", "ordinal": 1,
        "event": { "type": "moved", "from": "2026-03-02T09:00:00Z", "to": "2026-03-03T09:00:00Z" } });
    let kept = json!({ "type": "kept", "anchor": null });
    with(&Observed::default(), |checks| {
        let is = |entry: &Value, wanted: &str| checks.entry_is(entry, &words(wanted));
        assert!(is(&moved, "moved from d0 to d1") && is(&moved, "task") && is(&kept, "kept anchor null"));
        for wrong in ["moved from d0 to d2", "moved from", "retried", ""] {
            assert!(!is(&moved, wrong), "{wrong}");
        }
        assert!(!is(&kept, "kept anchor account_closed_at"));
    });
}

#[test]
fn the_last_notice_of_a_step_counts() {
    let news = |statuses: Vec<Value>| Observed {
        statuses,
        ..Observed::default()
    };
    for (statuses, told) in [
        (vec![], "nothing"),
        (
            vec![json!({ "notice": "overdue" }), json!({ "notice": null })],
            "none",
        ),
        (
            vec![json!({ "notice": null }), json!({ "notice": "overdue" })],
            "overdue",
        ),
    ] {
        let is_so = with(&news(statuses), |checks| {
            (checks.of_notice(told).is_ok(), checks.of_notice("merged").is_ok())
        });
        assert_eq!(is_so, (true, false), "{told}");
    }
}
