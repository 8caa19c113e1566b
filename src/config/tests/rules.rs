//! Retention, backup sets and second looks in `processors.toml`: what they mean, and every mistake in them.

use super::bad_registry::{GOOD, check, read};
use crate::{
    config::registry_file::{self, warnings},
    domain::{
        calendar::Period,
        ids::{Label, ProcessorId},
        registry::{CompletesBy, ConfirmBy, Processor, Registry},
        words::Action,
    },
};

/// A backup set of the good processor, to which its other keys are added.
const BACKUP: &str = "[[processor]]\nid = 'b'\nkind = 'backup'\ntransport = { type = 'kafka' }\nactions = ['erase']\nidentities = ['email']\n";

fn registry(text: &str) -> Registry {
    registry_file::read_text("processors.toml", text).unwrap_or_else(|problems| panic!("{problems}"))
}

fn labels(names: &[&str]) -> Vec<Label> {
    names.iter().map(|name| Label::new(name).unwrap()).collect()
}

/// The good processor with these lines.
fn good(lines: &str) -> Processor {
    registry(&format!("{GOOD}{lines}\n")).processors.remove(0)
}

/// The backup set beside the good processor, with these keys of its table.
fn backup(keys: &str) -> Processor {
    registry(&format!(
        "{GOOD}{BACKUP}backup = {{ sources = ['crm'], set = 'n', keep = '35d'{keys} }}\n"
    ))
    .processors
    .remove(1)
}

#[test]
fn what_is_absent_gets_its_default() {
    let plain = good("");
    assert!(plain.retention.is_empty() && plain.backup.is_none());
    assert_eq!((plain.verify_after, plain.sweep_after), (None, None));
    assert!(good("retention = []").retention.is_empty());

    let rules =
        good("retention = [{ categories = ['a', 'b'], basis = 'tax_law', keep = '1y6mo' }]").retention;
    assert_eq!(
        (&rules[0].categories, rules[0].then),
        (&labels(&["a", "b"]), Action::Erase)
    );
    assert_eq!(
        (rules[0].keep.to_string().as_str(), &rules[0].from),
        ("1y6mo", &None)
    );

    let set = backup("").backup.unwrap();
    assert_eq!(set.sources, [ProcessorId::new("crm").unwrap()]);
    assert_eq!((set.confirm_by, set.erase_by_key), (ConfirmBy::Event, false));
    assert_eq!((set.keep, set.overdue_after), (Period::days(35), Period::days(2)));
}

#[test]
fn every_key_is_heard() {
    let processor = good(
        "verify = { after = '7d' }\nsweep = { after = '24h' }\ncategories = ['a', 'b', 'other']\n\
         [[processor.retention]]\ncategories = ['a']\nbasis = 'x'\nkeep = '5y'\nthen = 'erase'\nfrom = 'paid_at'\n\
         [[processor.retention]]\ncategories = ['other']\nbasis = 'y'\nkeep = '1s'",
    );
    assert_eq!(
        (processor.verify_after, processor.sweep_after),
        (Some(Period::days(7)), Some(Period::days(1)))
    );
    let bases: Vec<&str> = processor
        .retention
        .iter()
        .map(|rule| rule.basis.as_str())
        .collect();
    assert_eq!(bases, ["x", "y"]);
    assert_eq!(processor.retention[0].from.as_ref().unwrap().as_str(), "paid_at");
    let found = processor.retention_of(&labels(&["other"]));
    assert_eq!(found.map(|rule| rule.keep), Some(Period::seconds(1)));

    let both = GOOD.replace("['erase']", "['anonymize', 'erase']");
    let rule = "retention = [{ categories = ['a'], basis = 'x', keep = '5y', then = 'anonymize' }]";
    assert_eq!(
        registry(&format!("{both}{rule}")).processors[0].retention[0].then,
        Action::Anonymize
    );

    for (word, proof) in [
        ("event", ConfirmBy::Event),
        ("ack", ConfirmBy::Ack),
        ("schedule", ConfirmBy::Schedule),
    ] {
        let keys = format!(", confirm_by = '{word}', overdue_after = '0d', erase_by = 'key'");
        let set = backup(&keys).backup.unwrap();
        assert_eq!(
            (set.confirm_by, set.overdue_after, set.erase_by_key),
            (proof, Period::ZERO, true)
        );
    }
}

#[test]
fn several_systems_may_call_their_sets_the_same() {
    let set = "backup = { sources = ['crm'], set = 'nightly', keep = '35d' }\n";
    let other = BACKUP.replace("'b'", "'c'");
    let both = registry(&format!("{GOOD}{BACKUP}{set}{other}{set}"));
    assert!(both.processors[1..].iter().all(|p| p.backup.is_some()));
}

#[test]
fn second_looks() {
    check(&[
        ("verify = {}", "verify.after: missing"),
        (
            "verify = { after = '0s' }",
            "verify.after: expected a duration longer than zero",
        ),
        (
            "verify = { after = '7d', by = 'x' }",
            "verify.by: unknown key; known here: after",
        ),
        (
            "sweep = { after = 'later' }",
            "sweep.after: expected a duration such as 30s, 24h, 14d or 1y6mo",
        ),
        (
            "sweep = { after = '1001y' }",
            "sweep.after: expected a duration of at most 1000 years",
        ),
        ("sweep = '24h'", "sweep: expected a table, found text"),
    ]);
}

#[test]
fn mistakes_in_retention() {
    check(&[
        ("retention = 1", "retention: expected a list, found an integer"),
        (
            "retention = [1]",
            "retention[0]: expected a table, found an integer",
        ),
        (
            "retention = [{ categories = [], basis = 'a b', keep = 'ever', then = 'keep', from = 'A' }]",
            "retention[0].basis: a category, purpose or region must match [A-Za-z0-9._-]{1,64}\n\
             retention[0].categories: expected at least one element\n\
             retention[0].from: an anchor must match [a-z0-9_]{1,64}\n\
             retention[0].keep: expected a duration such as 30s, 24h, 14d or 1y6mo\n\
             retention[0].then: expected one of: erase, anonymize",
        ),
        (
            "retention = [{}]",
            "retention[0].basis: missing\nretention[0].categories: missing\nretention[0].keep: missing",
        ),
        (
            "retention = [{ categories = ['a'], basis = 'b', keep = '0d' }, { categories = ['c'], basis = 'b', keep = '1000y1mo' }]",
            "retention[0].keep: expected a duration longer than zero\n\
             retention[1].keep: expected a duration of at most 1000 years",
        ),
        (
            "retention = [{ categories = ['a'], basis = 'b', keep = '1y' }, { categories = ['a'], basis = 'b', keep = '2y' }]",
            "retention[1].categories: another rule keeps \"a\": which one holds?",
        ),
        (
            "retention = [{ categories = ['other'], basis = 'b', keep = '1y' }]",
            "retention[0].categories: \"other\" is what the share that no rule keeps is called here; name the processor's categories",
        ),
        (
            "retention = [{ categories = ['a'], basis = 'b', keep = '1y', then = 'anonymize' }]",
            "retention[0].then: the processor's actions don't have \"anonymize\", which would be done then",
        ),
    ]);
    let unlisted = format!(
        "{GOOD}categories = ['a']\n[[processor.retention]]\ncategories = ['b']\nbasis = 'b'\nkeep = '1y'\n"
    );
    assert_eq!(
        read(&unlisted),
        "processors.toml:9: processor \"crm\": retention[0].categories: \"b\" is none of the processor's categories"
    );
    // The default counts as if it had been written.
    let anonymizes = GOOD.replace("['erase']", "['anonymize']");
    assert_eq!(
        read(&format!(
            "{anonymizes}[[processor.retention]]\ncategories = ['b']\nbasis = 'b'\nkeep = '1y'\n"
        )),
        "processors.toml:7: processor \"crm\": retention[0].then: the processor's actions don't have \"erase\", which would be done then"
    );
    // What is wrong with the actions is said once.
    let none = GOOD.replace("['erase']", "[]");
    let rule = "retention = [{ categories = ['a'], basis = 'b', keep = '1y' }]";
    assert_eq!(
        read(&format!("{none}{rule}")),
        "processors.toml:5: processor \"crm\": actions: expected at least one element"
    );
}

/// Tables of a backup set that stands after the good processor, and what is found wrong with them.
fn check_backups(cases: &[(&str, &str)]) {
    for (lines, expected) in cases {
        let expected: Vec<String> = expected
            .lines()
            .map(|e| format!("processors.toml:13: processor \"b\": {e}"))
            .collect();
        assert_eq!(
            read(&format!("{GOOD}{BACKUP}{lines}\n")),
            expected.join("\n"),
            "{lines}"
        );
    }
}

#[test]
fn mistakes_in_backup_sets() {
    check_backups(&[
        ("backup = 'nightly'", "backup: expected a table, found text"),
        (
            "backup = { sources = ['hosting'], set = 'n', keep = '35d', confirm_by = 'event' }",
            "backup.sources[0]: there is no processor \"hosting\"",
        ),
        (
            "backup = { sources = ['crm', 'b'], set = 'n', keep = '35d' }",
            "backup.sources[1]: a backup is no source of itself",
        ),
        (
            "backup = { sources = ['crm', 'crm'], set = 'n', keep = '35d' }",
            "backup.sources[1]: listed twice",
        ),
        (
            "backup = { sources = [], set = 'n', keep = '0d' }",
            "backup.keep: expected a duration longer than zero\nbackup.sources: expected at least one element",
        ),
        (
            "backup = { sources = ['crm'], set = 'n', keep = '13000mo' }",
            "backup.keep: expected a duration of at most 1000 years",
        ),
        (
            "backup = { confirm_by = 'hope', overdue_after = 48, erase_by = 'fire', key = 1 }",
            "backup.confirm_by: expected one of: event, ack, schedule\n\
             backup.erase_by: expected one of: key\n\
             backup.keep: missing\n\
             backup.key: unknown key; known here: confirm_by, erase_by, keep, overdue_after, set, sources\n\
             backup.overdue_after: expected text, found an integer\n\
             backup.set: missing\n\
             backup.sources: missing",
        ),
    ]);
    let set = "backup = { sources = ['crm'], set = 'n', keep = '35d' }\n";
    let retention = "retention = [{ categories = ['a'], basis = 'b', keep = '1y' }]\n";
    let at =
        |line: usize, id: &str, said: &str| format!("processors.toml:{line}: processor \"{id}\": {said}");
    let cases = [
        (
            format!("{GOOD}{}{set}", BACKUP.replace("'backup'", "'hosting'")),
            at(13, "b", "backup: expected kind = \"backup\" beside it"),
        ),
        (
            format!("{GOOD}{}{set}", BACKUP.replace("'backup'", "'tape'")),
            at(
                9,
                "b",
                "kind: expected one of: hosting, analytics, advertising, crm, payments, telecom, support, messaging, backup, other",
            ),
        ),
        (
            format!("{GOOD}{BACKUP}{set}{retention}"),
            at(
                14,
                "b",
                "retention: expected none beside backup, whose keep says how long its copies live",
            ),
        ),
        (
            format!("{GOOD}{BACKUP}{set}completes_by = {{ after = '30d' }}\n"),
            at(
                14,
                "b",
                "completes_by: expected none beside backup: copies are gone by proof alone; a published schedule is confirm_by = \"schedule\"",
            ),
        ),
        (
            format!("{GOOD}{BACKUP}{set}idempotent = false\n"),
            at(
                14,
                "b",
                "idempotent: expected true beside backup: proving that copies are gone, or destroying a key, twice harms nobody",
            ),
        ),
        (
            format!("{GOOD}{BACKUP}{set}replaces = 'old'\n"),
            at(
                14,
                "b",
                "replaces: expected none beside backup: copies stay with the set that they are in",
            ),
        ),
        // A copy of a copy, named before or after the one that it copies.
        (
            format!(
                "{GOOD}{BACKUP}{set}{}{}",
                BACKUP.replace("'b'", "'c'"),
                set.replace("'crm'", "'crm', 'b'")
            ),
            at(
                20,
                "c",
                "backup.sources[1]: \"b\" is a backup set itself: name the sources of that one",
            ),
        ),
        (
            format!(
                "{GOOD}{BACKUP}{}{}{set}",
                set.replace("'crm'", "'c'"),
                BACKUP.replace("'b'", "'c'")
            ),
            at(
                13,
                "b",
                "backup.sources[0]: \"c\" is a backup set itself: name the sources of that one",
            ),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(read(&text), expected, "{text}");
    }
}

#[test]
fn what_is_probably_not_meant_is_a_warning() {
    let rule = "retention = [{ categories = ['a'], basis = 'b', keep = '1y' }]\n";
    let set = "backup = { sources = ['crm'], set = 'n', keep = '35d' }\n";
    let cases: &[(String, &[&str])] = &[
        (format!("{GOOD}{BACKUP}{set}"), &[]),
        (format!("{GOOD}categories = ['a', 'c']\n{rule}"), &[]),
        (
            format!("{GOOD}{rule}"),
            &[
                "crm: retention without categories: the share that no rule keeps is called \"other\" in its tasks; name its categories",
            ],
        ),
        (
            BACKUP.to_owned(),
            &[
                "b: kind = \"backup\" without a backup table: it is asked at once, and no horizon is waited for",
            ],
        ),
        (
            format!("{GOOD}accept_pseudonymised = true\n"),
            &[
                "crm: accept_pseudonymised: what is hashed, tokenised, masked or encrypted counts as done, and is still personal data",
            ],
        ),
        (
            format!("{GOOD}provides = ['phone']\n"),
            &["crm: provides \"phone\", which no processor that comes after it is sent"],
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(warnings(&registry(text)), *expected, "{text}");
    }
}

#[test]
fn a_published_term_and_what_must_not_be_sent_twice_are_read() {
    let of = good;
    assert!(of("").idempotent && of("").completes_by.is_none());
    assert!(!of("idempotent = false").idempotent);
    let term = |after, probe| Some(CompletesBy { after, probe });
    assert_eq!(
        of("completes_by = { after = '30d', probe = true }").completes_by,
        term(Period::days(30), true)
    );
    assert_eq!(
        of("completes_by = { after = '72h' }")
            .completes_by
            .map(|term| term.probe),
        Some(false)
    );
    check(&[
        (
            "completes_by = '30d'",
            "completes_by: expected a table, found text",
        ),
        (
            "completes_by = { probe = 1, aftr = '3d' }",
            "completes_by.after: missing\n\
             completes_by.aftr: unknown key; did you mean \"after\"?\n\
             completes_by.probe: expected true or false, found an integer",
        ),
        (
            "completes_by = { after = '0d' }",
            "completes_by.after: expected a duration longer than zero",
        ),
        (
            "idempotent = 'no'",
            "idempotent: expected true or false, found text",
        ),
    ]);
}

#[test]
fn a_successor_names_one_that_is_gone_and_nobody_else_does() {
    assert_eq!(
        good("replaces = 'old-crm'").replaces.map(|id| id.to_string()),
        Some("old-crm".to_owned())
    );
    let other = GOOD.replace("id = 'crm'", "id = 'ads'");
    let cases = [
        (
            format!("{GOOD}replaces = 'crm'\n"),
            "processors.toml:7: processor \"crm\": replaces: a processor does not replace itself",
        ),
        (
            format!("{GOOD}replaces = 'ads'\n{other}"),
            "processors.toml:7: processor \"crm\": replaces: \"ads\" is still in the file: its tasks are taken over when it is removed",
        ),
        (
            format!("{GOOD}replaces = 'old'\n{other}replaces = 'old'\n"),
            "processors.toml:7: processor \"crm\": replaces: several processors replace \"old\": expected one\n\
             processors.toml:14: processor \"ads\": replaces: several processors replace \"old\": expected one",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(read(&text), expected, "{text}");
    }
}
