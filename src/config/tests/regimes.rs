//! The table of regimes, the user's own regimes, and holidays from a file.

use std::fs;

use super::*;
use crate::{
    config::regimes::{BUILT_IN, add},
    domain::calendar::{Regime, Regimes},
};

fn own() -> Regimes {
    add("regimes.toml", BUILT_IN, &Regimes::default()).unwrap()
}

/// What is wrong with a file of the user's regimes.
fn faults(text: &str) -> Vec<String> {
    lines(add("mine.toml", text, &own()))
}

#[test]
fn lacunas_own_table() {
    // name, acknowledge by, respond by, extended to, whether doubt about the identity stops the clock
    let table = [
        ("gdpr", None, "months:1", Some("months:3"), true),
        ("uk_gdpr", None, "months:1", Some("months:3"), true),
        ("ccpa", Some("working_days:10"), "days:45", Some("days:90"), false),
        ("drop", None, "days:45", None, false),
        ("lgpd", None, "days:15", None, false),
        ("days:30", None, "days:30", None, false),
        ("working_days:20", None, "working_days:20", None, false),
        ("months:2", None, "months:2", None, false),
    ];
    let own = own();
    for (name, acknowledge, respond, extended, pauses) in table {
        let terms = own.terms(&Regime::parse(name).unwrap()).unwrap();
        let shown = (
            terms.acknowledge_by.map(|length| length.to_string()),
            terms.respond_by.to_string(),
            terms.extend_to.map(|length| length.to_string()),
            terms.pauses_for_identity,
        );
        let wanted = (
            acknowledge.map(str::to_owned),
            respond.to_owned(),
            extended.map(str::to_owned),
            pauses,
        );
        assert_eq!(shown, wanted, "{name}");
    }
    assert_eq!(own.terms(&Regime::parse("hippa").unwrap()), None);
}

#[test]
fn regimes_of_ones_own_stand_beside_lacunas() {
    let folder = tempfile::tempdir().unwrap();
    let mine = "[acme]\nrespond_by = 'working_days:20'\nacknowledge_by = 'working_days:2'\nextend_to = 'months:2'\n\
                pauses_for_identity = true\n[\"quick\"]\nrespond_by = \"days:7\"\n";
    fs::write(folder.path().join("mine.toml"), mine).unwrap();
    let text = "[policy]\nregime = 'acme'\nregimes = 'mine.toml'\n";
    let read = Config::read_text("lacuna.toml", folder.path(), text, &environment).unwrap();
    assert_eq!(read.policy.regime.to_string(), "acme");
    let terms = read.policy.regimes.terms(&read.policy.regime).unwrap();
    assert_eq!(terms.extend_to.unwrap().to_string(), "months:2");
    assert!(terms.pauses_for_identity);
    for name in ["gdpr", "lgpd", "quick", "days:3"] {
        assert!(
            read.policy.regimes.terms(&Regime::parse(name).unwrap()).is_some(),
            "{name}"
        );
    }
    let grace = format!("{text}grace = '26d'\n");
    // The user's other one leaves the least.
    let name = "lacuna.toml:4: policy.grace: expected less than the period of every regime that a command can name, which \
                the grace window consumes: at most 6d, because of quick";
    assert_eq!(
        lines(Config::read_text(
            "lacuna.toml",
            folder.path(),
            &grace,
            &environment
        )),
        [name]
    );
}

#[test]
fn every_mistake_in_a_file_of_regimes_is_found_at_once() {
    let text = "\
[gdpr]
respond_by = 'months:2'
[Acme]
respond_by = 'days:3'
[a]
acknowledge_by = 'days:3'
[b]
respond_by = 'days:0'
extend_to = '90d'
pauses_for_identity = 'yes'
pause = true
[c]
respond_by = 'days:30'
acknowledge_by = 'days:30'
extend_to = 'months:1'
[d]
respond_by = 30
[e]
respond_by = 'months:121'
[f]
respond_by = 'months:3'
extend_to = 'months:1'
";
    const LENGTH: &str =
        "expected days:N or working_days:N (N from 1 to 3650), or months:N (N from 1 to 120)";
    let expected = [
        "1: gdpr: one of Lacuna's own regimes, which cannot be changed: give yours another name".to_owned(),
        "3: Acme: a regime must match [a-z0-9_]{1,32}".to_owned(),
        "5: a.respond_by: missing".to_owned(),
        format!("8: b.respond_by: {LENGTH}"),
        format!("9: b.extend_to: {LENGTH}"),
        "10: b.pauses_for_identity: expected true or false, found text".to_owned(),
        "11: b.pause: unknown key; did you mean \"pauses_for_identity\"?".to_owned(),
        "14: c.acknowledge_by: expected a shorter time than respond_by, from the same start".to_owned(),
        "15: c.extend_to: expected a longer time than respond_by: an extension counts from the same start"
            .to_owned(),
        "17: d.respond_by: expected text, found an integer".to_owned(),
        format!("19: e.respond_by: {LENGTH}"),
        "22: f.extend_to: expected a longer time than respond_by: an extension counts from the same start"
            .to_owned(),
    ];
    let expected: Vec<String> = expected
        .into_iter()
        .map(|line| format!("mine.toml:{line}"))
        .collect();
    assert_eq!(faults(text), expected);
    assert_eq!(
        faults("a = 1"),
        ["mine.toml:1: a: expected a table, found an integer"]
    );
    assert_eq!(faults("[a]\n[a]"), ["mine.toml:2: a: given more than once"]);
}

#[test]
fn mistakes_of_every_file_are_said_together() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    fs::write(folder.path().join("mine.toml"), "[acme]\nrespond_by = 'soon'\n").unwrap();
    fs::write(
        folder.path().join("holidays.txt"),
        "\u{feff}# ours\r\n2026-12-25   # Christmas\r\n\r\n25.12.2026\n2026-02-30\n20261226\n2026-12-25\n",
    )
    .unwrap();
    let text = "[policy]\nregime = 'acme'\nregimes = 'mine.toml'\nholidays = 'holidays.txt'\nat_risk = 2\ngrace = '5y'\n";
    const DATE: &str = "expected a date such as 2026-12-25, with a comment after # if you like";
    let expected = [
        format!("{}:4: {DATE}", file("holidays.txt")),
        format!("{}:5: {DATE}", file("holidays.txt")),
        format!("{}:6: {DATE}", file("holidays.txt")),
        format!(
            "{}:2: acme.respond_by: expected days:N or working_days:N (N from 1 to 3650), or months:N (N from 1 to 120)",
            file("mine.toml")
        ),
        "lacuna.toml:5: policy.at_risk: expected a number from 0 to 1".to_owned(),
        "lacuna.toml:6: policy.grace: expected less than the period of every regime that a command can name, which the \
         grace window consumes: at most 14d, because of lgpd"
            .to_owned(),
    ];
    let found = lines(Config::read_text(
        "lacuna.toml",
        folder.path(),
        text,
        &environment,
    ));
    let mut sorted = expected.clone();
    sorted.sort();
    let mut shown = found.clone();
    shown.sort();
    assert_eq!(
        shown, sorted,
        "a regime whose entry is broken is no unknown regime besides"
    );

    let missing = "[policy]\nregimes = 'no.toml'\nholidays = 'no.txt'\n";
    let mut found = lines(Config::read_text(
        "lacuna.toml",
        folder.path(),
        missing,
        &environment,
    ));
    found.sort();
    assert_eq!(
        found,
        [
            format!("{}: cannot be read: there is no such file", file("no.toml")),
            format!("{}: cannot be read: there is no such file", file("no.txt")),
        ]
    );
}

#[test]
fn holidays_come_from_a_file_with_a_date_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let dates = "# North Rhine-Westphalia\n2026-12-25 # Christmas\n 2026-12-26\n2026-12-25\n\n";
    fs::write(folder.path().join("holidays.txt"), dates).unwrap();
    let text = "[policy]\nholidays = 'holidays.txt'\n";
    let read = Config::read_text("lacuna.toml", folder.path(), text, &environment).unwrap();
    let listed = config("[policy]\nholidays = ['2026-12-25', '2026-12-26', '2026-12-25']").unwrap();
    assert_eq!(read.policy.calendar.holidays, listed.policy.calendar.holidays);
    assert_eq!(read.policy.calendar.holidays.len(), 2);
}
