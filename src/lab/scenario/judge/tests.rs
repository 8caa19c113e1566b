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
        "evidence": { "records": 7 },
    });
    let message = json!({
        "action": "erase", "generation": 1, "attempt": 2, "scope": { "categories": ["a", "b"] },
        "identities": [{ "type": "email", "value": "x" }, { "type": "customer_id", "value": "y" }],
    });
    let caller = Caller::new("127.0.0.1:1".parse().unwrap(), &Config::default(), &[]);
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let judge = Judge {
        caller: &caller,
        start: At::parse("2026-03-02T09:00:00Z").unwrap(),
        zone: &zone,
        opened: &[],
        news: &[],
        letters: &[],
        answer: None,
        statuses: &BTreeMap::new(),
        named_news: BTreeSet::new(),
        named_letters: BTreeSet::new(),
    };
    let found = if of_task {
        judge.task_is(&[&message], Some(&task), &words(phrase))
    } else {
        judge.request_is(&request, &words(phrase))
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
