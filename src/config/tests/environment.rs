//! Settings from the environment: they win over the file, and a mistake names its variable.

use super::{super::environment::OUTSIDE_OF_SECTIONS, *};
use crate::config::{Approval, Brokers, read, reader::Source};

/// Reads a text under these variables.
fn with(text: &str, variables: &[(&str, &str)]) -> Result<Config, Problems> {
    let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
    Source::new("lacuna.toml", Path::new(""), text, &environment)
        .with(Settings::of(variables))
        .read(read)
}

#[test]
fn variable_wins_over_the_file_and_its_default() {
    let text = "region = 'eu'\n[kafka]\nbootstrap_servers = 'a:1'\ngroup_id = 'of-the-file'\n[policy.duplicates]\nmerge_open = true";
    let read = with(
        text,
        &[
            ("LACUNA_REGION", "us"),
            ("LACUNA_KAFKA__BOOTSTRAP_SERVERS", "b:2,c:3"),
            ("LACUNA_KAFKA__TOPICS__ACKS", "acks"),
            ("LACUNA_KAFKA__PROPERTIES__SECURITY__PROTOCOL", "SSL"),
            ("LACUNA_POLICY__DUPLICATES__MERGE_OPEN", "false"),
            ("LACUNA_POLICY__DUPLICATES__REPEAT_LIMIT__COUNT", "7"),
            ("LACUNA_POLICY__AT_RISK", "0.5"),
            ("LACUNA_POLICY__APPROVAL", "{ above_per_hour = 12 }"),
            ("LACUNA_POLICY__HOLIDAYS", "[\"2026-12-25\"]"),
            ("LACUNA_DISPATCH__LEASE", "1m"),
            ("LACUNA_TENANTS", "[\"default\", \"acme\"]"),
            ("LACUNA_VAULT__DEAD_LETTERS_COUNT", "5"),
            ("LACUNA_STORE__URL", "env:DATABASE_URL"),
        ],
    )
    .unwrap();
    assert_eq!(read.region.unwrap().as_str(), "us");
    assert_eq!(read.kafka.bootstrap_servers, Brokers::Servers("b:2,c:3".into()));
    assert_eq!(read.kafka.group_id, "of-the-file");
    assert_eq!(read.kafka.topics.acks, "acks");
    assert_eq!(read.kafka.properties["security.protocol"].expose(), "SSL");
    assert!(!read.policy.duplicates.merge_open);
    assert_eq!(read.policy.duplicates.repeat_limit.count, 7);
    assert!((read.policy.at_risk - 0.5).abs() < 1e-9);
    assert_eq!(read.policy.approval, Approval::AbovePerHour(12));
    assert_eq!(read.policy.calendar.holidays.len(), 1);
    assert_eq!(read.dispatch.lease.as_secs(), 60);
    assert_eq!(read.tenants.len(), 2);
    assert_eq!(read.vault.dead_letters_count, 5);
    assert_eq!(read.store.url.to_string(), "postgres://db/lacuna");
}

#[test]
fn mistake_in_a_variable_names_it_and_no_value() {
    let cases = [
        (
            ("LACUNA_KAFKA__GROUPID", "hunter2"),
            "LACUNA_KAFKA__GROUPID: kafka.groupid: unknown key; did you mean \"group_id\"?",
        ),
        (
            ("LACUNA_STROE__URL", "hunter2"),
            "LACUNA_STROE__URL: stroe: unknown key; did you mean \"store\"?",
        ),
        (
            ("LACUNA_KAFKA__", "hunter2"),
            "LACUNA_KAFKA__: expected LACUNA_SECTION__KEY, such as LACUNA_KAFKA__GROUP_ID",
        ),
        (
            ("LACUNA_KAFKA_GROUP_ID", "hunter2"),
            "LACUNA_KAFKA_GROUP_ID: no setting: kafka.group_id is LACUNA_KAFKA__GROUP_ID",
        ),
        (
            ("LACUNA_POLICY__DUPLICATES__MERGE_OPEN", "hunter2"),
            "LACUNA_POLICY__DUPLICATES__MERGE_OPEN: policy.duplicates.merge_open: expected true or false",
        ),
        (
            ("LACUNA_VAULT__DEAD_LETTERS_MIB", "hunter2"),
            "LACUNA_VAULT__DEAD_LETTERS_MIB: vault.dead_letters_mib: expected a whole number from 1 to 1000000",
        ),
        (
            ("LACUNA_POLICY__AT_RISK", "hunter2"),
            "LACUNA_POLICY__AT_RISK: policy.at_risk: expected a number from 0 to 1",
        ),
        (
            ("LACUNA_AUTH__TOKENS", "[{ name = 'crm' }]"),
            "LACUNA_AUTH__TOKENS: auth.tokens[0].role: missing\nLACUNA_AUTH__TOKENS: auth.tokens[0].token: missing",
        ),
    ];
    for ((name, value), expected) in cases {
        let found = lines(with("", &[(name, value)])).join("\n");
        assert_eq!(found, expected, "{name}");
        assert!(!found.contains("hunter2"), "{found}");
    }
    let found = lines(with("", &[("LACUNA_TENANTS", "[hunter2")])).join("\n");
    assert!(
        found.starts_with("LACUNA_TENANTS: no valid value of TOML: ") && !found.contains("hunter2"),
        "{found}"
    );
}

#[test]
fn lines_of_the_file_stay_what_they_were() {
    let text = "region = 'eu'\n[kafka]\ngroup_id = 'a'\n\n[http]\nlisten = 'nowhere'";
    let found = lines(with(text, &[("LACUNA_KAFKA__TOPICS__ACKS", "acks")])).join("\n");
    assert!(found.starts_with("lacuna.toml:6: http.listen: "), "{found}");
}

#[test]
fn variables_of_others_are_left_alone() {
    let others = [
        ("LACUNA_CRM_TOKEN", "sixteen-letters-x"),
        ("LACUNA_URL", "https://lacuna.example.org"),
        ("LACUNA_SERVICE_HOST", "10.0.0.1"),
        ("KAFKA__GROUP_ID", "x"),
    ];
    assert_eq!(with("", &others), Ok(Config::default()));
}

#[test]
fn keys_outside_of_sections_are_all_known() {
    let found = lines(config("zzzzzzzz = 0"));
    let (_, known) = found[0].split_once("known here: ").unwrap();
    let sections: Vec<&str> = Config::print_default()
        .lines()
        .filter_map(|line| line.trim_start_matches("# ").strip_prefix('[')?.strip_suffix(']'))
        .map(|name| name.trim_matches(['[', ']']))
        .collect();
    let outside: Vec<&str> = known.split(", ").filter(|key| !sections.contains(key)).collect();
    assert_eq!(outside, OUTSIDE_OF_SECTIONS);
}
