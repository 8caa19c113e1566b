//! Mistakes in `processors.toml`, each with the exact words that a user reads.

use super::*;
use crate::config::registry_file;

/// A processor without mistakes, to which lines are added.
pub(super) const GOOD: &str = "[[processor]]\nid = 'crm'\nkind = 'crm'\ntransport = { type = 'kafka' }\nactions = ['erase']\nidentities = ['email']\n";

pub(super) fn read(text: &str) -> String {
    lines(registry_file::read_text("processors.toml", text)).join("\n")
}

/// Lines that are added to a good processor, and what is found wrong with them, in line 7 unless it says another.
pub(super) fn check(cases: &[(&str, &str)]) {
    for (line, expected) in cases {
        let expected: Vec<String> = expected
            .lines()
            .map(|e| format!("processors.toml:7: processor \"crm\": {e}"))
            .collect();
        assert_eq!(read(&format!("{GOOD}{line}\n")), expected.join("\n"), "{line}");
    }
}

#[test]
fn whole_files() {
    let cases = [
        (
            "",
            "processors.toml: processor: expected at least one [[processor]]",
        ),
        (
            "processor = []",
            "processors.toml:1: processor: expected at least one [[processor]]",
        ),
        (
            "processor = 1",
            "processors.toml:1: processor: expected a list, found an integer\nprocessors.toml:1: processor: expected at least one [[processor]]",
        ),
        (
            "[processor]\nid = 'a'",
            "processors.toml:1: processor: expected a list, found a table\nprocessors.toml:1: processor: expected at least one [[processor]]",
        ),
        (
            "processor = [1]",
            "processors.toml:1: processor[0]: expected a table, found an integer",
        ),
        (
            "[[procesor]]",
            "processors.toml: processor: expected at least one [[processor]]\nprocessors.toml:1: procesor: unknown key; did you mean \"processor\"?",
        ),
        (
            "[[processor]\n",
            "processors.toml:1: no valid TOML: unclosed array table, expected `]`",
        ),
        (
            "[[processor]]\nid = 'a'\nid = 'b'",
            "processors.toml:3: id: given more than once",
        ),
        (
            "\n[[processor]]",
            "processors.toml:2: processor #1: actions: missing\n\
             processors.toml:2: processor #1: id: missing\n\
             processors.toml:2: processor #1: identities: missing\n\
             processors.toml:2: processor #1: kind: missing\n\
             processors.toml:2: processor #1: transport: missing",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(read(text), expected, "{text}");
    }
    let many = GOOD.repeat(1001);
    assert_eq!(read(&many), "processors.toml:1: processor: expected at most 512");
}

#[test]
fn required_keys() {
    let cases = [
        (
            "id = 'crm'",
            "id = 'CRM'",
            "2: processor #1: id: a processor id must match [a-z0-9-]{1,63}",
        ),
        (
            "id = 'crm'",
            "id = 7",
            "2: processor #1: id: expected text, found an integer",
        ),
        (
            "kind = 'crm'",
            "kind = 'mail'",
            "3: processor \"crm\": kind: expected one of: hosting, analytics, advertising, crm, payments, telecom, support, messaging, backup, other",
        ),
        (
            "['erase']",
            "[]",
            "5: processor \"crm\": actions: expected at least one element",
        ),
        (
            "['erase']",
            "['erase', 'verify']",
            "5: processor \"crm\": actions[1]: expected one of: erase, anonymize",
        ),
        (
            "['erase']",
            "['erase', 'erase']",
            "5: processor \"crm\": actions[1]: listed twice",
        ),
        (
            "['erase']",
            "'erase'",
            "5: processor \"crm\": actions: expected a list, found text",
        ),
        (
            "['email']",
            "[]",
            "6: processor \"crm\": identities: expected at least one element",
        ),
        (
            "['email']",
            "['E-Mail']",
            "6: processor \"crm\": identities[0]: an identity type must match [a-z0-9_]{1,64}",
        ),
    ];
    for (good, bad, expected) in cases {
        assert_eq!(
            read(&GOOD.replace(good, bad)),
            format!("processors.toml:{expected}"),
            "{bad}"
        );
    }
    assert_eq!(
        read(&GOOD.repeat(2)),
        "processors.toml:8: processor \"crm\": id: another processor has the same id"
    );
}

#[test]
fn optional_keys() {
    check(&[
        ("name = ''", "name: expected a text that is not empty"),
        ("Name = 'a'", "Name: unknown key; did you mean \"name\"?"),
        (
            "attempts = 3",
            "attempts: unknown key; known here: accept_anonymized, accept_pseudonymised, ack_timeout, actions, after, anonymize_fallback, backup, breaker, categories, completes_by, concurrency, honours_cutoff, id, idempotent, identities, kind, missing_identity, name, provides, purposes, rate, regions, replaces, require_evidence, require_method, retention, retry, sweep, transport, verify",
        ),
        (
            "missing_identity = 'ignore'",
            "missing_identity: expected one of: block, exempt",
        ),
        (
            "honours_cutoff = 1",
            "honours_cutoff: expected true or false, found an integer",
        ),
        (
            "idempotent = 'no'",
            "idempotent: expected true or false, found text",
        ),
        (
            "anonymize_fallback = 'drop'",
            "anonymize_fallback: expected one of: refuse, erase",
        ),
        (
            "require_evidence = ['proof']",
            "require_evidence[0]: expected one of: method, records, reference, digest",
        ),
        (
            "purposes = ['a b']",
            "purposes[0]: a category, purpose or region must match [A-Za-z0-9._-]{1,64}",
        ),
        ("categories = ['a', 'a']", "categories[1]: listed twice"),
        ("regions = 'eu'", "regions: expected a list, found text"),
        (
            "ack_timeout = '0s'",
            "ack_timeout: expected a duration longer than zero",
        ),
        (
            "ack_timeout = '1y'",
            "ack_timeout: expected a duration without months and years, whose length depends on the calendar",
        ),
        (
            "concurrency = 0",
            "concurrency: expected a whole number from 1 to 100000",
        ),
        (
            "retry = { attempts = 0 }",
            "retry.attempts: expected a whole number from 1 to 1000",
        ),
        (
            "retry.attempts = 1001",
            "retry.attempts: expected a whole number from 1 to 1000",
        ),
        (
            "retry = { jitter = 1.5 }",
            "retry.jitter: expected a number from 0 to 1",
        ),
        (
            "retry = { multiplier = 0.5 }",
            "retry.multiplier: expected a number from 1 to 100",
        ),
        (
            "retry = { initial = '0s' }",
            "retry.initial: expected a duration longer than zero",
        ),
        (
            "retry = { initial = '2h' }",
            "retry.max: expected a duration that is not shorter than initial",
        ),
        (
            "retry = { delay = '2h' }",
            "retry.delay: unknown key; known here: attempts, initial, jitter, max, multiplier",
        ),
        (
            "breaker = { failure_ratio = 2 }",
            "breaker.failure_ratio: expected a number from 0.01 to 1",
        ),
        (
            "breaker = { window = '0s', probe_after = 5 }",
            "breaker.probe_after: expected text, found an integer\nbreaker.window: expected a duration longer than zero",
        ),
        (
            "breaker = { min_requests = 0 }",
            "breaker.min_requests: expected a whole number from 1 to 1000000",
        ),
    ]);
}

#[test]
fn order_of_processors() {
    let processor = |id: &str, after: &str| {
        format!(
            "{}after = {after}\n",
            GOOD.replace("id = 'crm'", &format!("id = '{id}'"))
        )
    };
    check(&[
        (
            "after = ['billing']",
            "after[0]: there is no processor \"billing\"",
        ),
        (
            "after = ['Billing']",
            "after[0]: a processor id must match [a-z0-9-]{1,63}",
        ),
        (
            "after = ['crm']",
            "after: a circle that never begins: crm waits for crm",
        ),
    ]);
    let circles = [
        processor("a", "['b']"),
        processor("b", "['c']"),
        processor("c", "['a']"),
        processor("d", "['e', 'a']"),
        processor("e", "['d']"),
        processor("f", "['a']"),
    ];
    let expected = "processors.toml:7: processor \"a\": after: a circle that never begins: a waits for b waits for c waits for a\n\
                    processors.toml:28: processor \"d\": after: a circle that never begins: d waits for e waits for d";
    assert_eq!(read(&circles.concat()), expected);
    let twice = [processor("a", "['a']"), processor("a", "['a']")].concat();
    assert!(
        read(&twice).contains("a waits for a"),
        "a repeated id ends the search too"
    );
}
