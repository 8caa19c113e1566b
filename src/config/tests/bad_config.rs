//! Mistakes in `lacuna.toml`, each with the exact words that a user reads.

use super::*;

/// Each text, and what is found wrong with it.
pub(super) fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(
            lines(config(text)).join("\n"),
            format!("lacuna.toml:{expected}"),
            "{text}"
        );
    }
}

#[test]
fn syntax() {
    check(&[
        (
            "a = ",
            "1: no valid TOML: string values must be quoted, expected literal string",
        ),
        ("\n\n[kafka", "3: no valid TOML: unclosed table, expected `]`"),
        (
            "[http]\nlisten = 'a'\nlisten = 'b'",
            "3: listen: given more than once",
        ),
        ("[http]\n[store]\n[http]", "3: http: given more than once"),
        (
            "region = 'eu'\n\"region\" = 'eu'",
            "2: region: given more than once",
        ),
        (
            "store = { url = 'sqlite:a', url = 'sqlite:b' }",
            "1: url: given more than once",
        ),
        ("\u{0}", "1: no valid TOML: key with no value, expected `=`"),
    ]);
    let large = format!("# {}", "x".repeat(1024 * 1024));
    assert_eq!(
        lines(config(&large)),
        ["lacuna.toml: larger than 1 MiB, which no configuration needs"]
    );
}

#[test]
fn unknown_keys() {
    check(&[
        (
            "[kafka]\ngroupid = 'a'",
            "2: kafka.groupid: unknown key; did you mean \"group_id\"?",
        ),
        (
            "tenant = 'a'",
            "1: tenant: unknown key; did you mean \"tenants\"?",
        ),
        (
            "[smtp]",
            "1: smtp: unknown key; known here: auth, connectors, dispatch, http, kafka, opendsr, policy, region, registry, shutdown_timeout, source, store, telemetry, tenant_default, tenants, vault, webhook",
        ),
        ("[stroe]", "1: stroe: unknown key; did you mean \"store\"?"),
        (
            "[kafka.topics]\nack = 'a'",
            "2: kafka.topics.ack: unknown key; did you mean \"acks\"?",
        ),
        (
            "[http]\n'a b' = 1",
            "2: http.\"a b\": unknown key; known here: listen, public_url, tls",
        ),
        (
            "[http]\n\"a\\nb\" = 1",
            "2: http.\"a\\nb\": unknown key; known here: listen, public_url, tls",
        ),
        (
            "[policy.duplicates]\nmerge_open = false\nmerge = 1",
            "3: policy.duplicates.merge: unknown key; did you mean \"merge_open\"?",
        ),
        (
            "kafka.topic.acks = 'a'",
            "1: kafka.topic: unknown key; did you mean \"topics\"?",
        ),
    ]);
}

#[test]
fn types() {
    check(&[
        (
            "[kafka]\ngroup_id = 1",
            "2: kafka.group_id: expected text, found an integer",
        ),
        (
            "[kafka]\ngroup_id = ' '",
            "2: kafka.group_id: expected a text that is not empty",
        ),
        (
            "[kafka]\ngroup_id = \"a\\tb\"",
            "2: kafka.group_id: expected a text without control characters",
        ),
        ("kafka = 1", "1: kafka: expected a table, found an integer"),
        ("[[kafka]]", "1: kafka: expected a table, found a list"),
        (
            "[dispatch]\nmax_in_flight = '1'",
            "2: dispatch.max_in_flight: expected a whole number from 1 to 1000000, found text",
        ),
        (
            "[dispatch]\nmax_in_flight = 0",
            "2: dispatch.max_in_flight: expected a whole number from 1 to 1000000",
        ),
        (
            "[dispatch]\nmax_in_flight = -1",
            "2: dispatch.max_in_flight: expected a whole number from 1 to 1000000",
        ),
        (
            "[dispatch]\nmax_in_flight = 1.5",
            "2: dispatch.max_in_flight: expected a whole number from 1 to 1000000, found a number with a fraction",
        ),
        (
            "[webhook]\nallow_private = 'yes'",
            "2: webhook.allow_private: expected true or false, found text",
        ),
        (
            "[policy]\nat_risk = 1.1",
            "2: policy.at_risk: expected a number from 0 to 1",
        ),
        (
            "[policy]\nat_risk = nan",
            "2: policy.at_risk: expected a number from 0 to 1",
        ),
        (
            "[policy]\nat_risk = true",
            "2: policy.at_risk: expected a number from 0 to 1, found a boolean",
        ),
        (
            "[policy]\nholidays = '2026-12-25'",
            "2: policy.holidays: expected a list of dates, such as [\"2026-12-25\"], or the name of a file with one date a line",
        ),
        (
            "tenants = ['acme']\ntenant_default = 'other'",
            "2: tenant_default: expected one of tenants: a command that names no tenant would be refused",
        ),
        (
            "tenant_default = 'acme'\ntenants = ['acme', 'a b']",
            "2: tenants[1]: a tenant must match [A-Za-z0-9._-]{1,64}",
        ),
        (
            "tenant_default = 'a b'",
            "1: tenant_default: a tenant must match [A-Za-z0-9._-]{1,64}",
        ),
        (
            "region = ''",
            "1: region: a category, purpose or region must match [A-Za-z0-9._-]{1,64}",
        ),
    ]);
}

#[test]
fn durations() {
    check(&[
        (
            "shutdown_timeout = 30",
            "1: shutdown_timeout: expected text, found an integer",
        ),
        (
            "shutdown_timeout = '30'",
            "1: shutdown_timeout: expected a duration such as 30s, 24h, 14d or 1y6mo",
        ),
        (
            "shutdown_timeout = '30sec'",
            "1: shutdown_timeout: expected a duration with the units s m h d w mo y (m is minutes, mo is months), such as 24h or 1y6mo",
        ),
        (
            "shutdown_timeout = '0s'",
            "1: shutdown_timeout: expected a duration longer than zero",
        ),
        (
            "[dispatch]\nlease = '1mo'",
            "2: dispatch.lease: expected a duration without months and years, whose length depends on the calendar",
        ),
        (
            "[dispatch]\nlease = '8s'",
            "2: dispatch.lease: expected 9s to 42m: the session.timeout.ms of a worker is 0.7 of it, and Kafka takes 6 s to 30 min (group.min.session.timeout.ms and group.max.session.timeout.ms of the brokers)",
        ),
        (
            "[dispatch]\nlease = '1h'",
            "2: dispatch.lease: expected 9s to 42m: the session.timeout.ms of a worker is 0.7 of it, and Kafka takes 6 s to 30 min (group.min.session.timeout.ms and group.max.session.timeout.ms of the brokers)",
        ),
        (
            "[vault]\nrecords_keep = '1001y'",
            "2: vault.records_keep: expected a duration of at most 1000 years",
        ),
        (
            "[vault]\nepoch = '0d'",
            "2: vault.epoch: expected a duration longer than zero",
        ),
    ]);
}

#[test]
fn eleven_mistakes_are_found_at_once() {
    let text = "region = 5\n[kafka]\ngroup_id = ''\ngroup = 'a'\nproperties = { acks = 1 }\n[store]\nurl = 'oracle:x'\n\
                [http]\nlisten = '0.0.0.0:80'\n[dispatch]\nlease = 'soon'\nmax_in_flight = 0\n\
                [policy]\ngrace = 'a while'\nregime = 'x'\n[webhok]\n";
    let read = config(text);
    let shown = read.unwrap_err().to_string();
    let expected = "\
lacuna.toml:1: region: expected text, found an integer
lacuna.toml:3: kafka.group_id: expected a text that is not empty
lacuna.toml:4: kafka.group: unknown key; did you mean \"group_id\"?
lacuna.toml:5: kafka.properties.acks: not yours to set: Lacuna counts a message as sent only when every replica has it, once
lacuna.toml:7: store.url: expected sqlite:PATH or postgres://user:password@host:port/database
lacuna.toml:9: http.listen: expected a loopback address, such as 127.0.0.1:8080: there is no [auth], so everyone who reaches it would have every role
lacuna.toml:11: dispatch.lease: expected a duration such as 30s, 24h, 14d or 1y6mo
lacuna.toml:12: dispatch.max_in_flight: expected a whole number from 1 to 1000000
lacuna.toml:14: policy.grace: expected a duration such as 30s, 24h, 14d or 1y6mo
lacuna.toml:15: policy.regime: expected one of: ccpa, drop, gdpr, indiana, kentucky, lgpd, rhode_island, uk_gdpr, or days:N, working_days:N (N from 1 to 3650) or months:N (N from 1 to 120)
lacuna.toml:16: webhok: unknown key; did you mean \"webhook\"?
11 problems";
    assert_eq!(shown, expected);
}

#[test]
fn no_problem_shows_a_secret() {
    let secret = "hunter2";
    let texts = [
        "[[auth.tokens]]\nname = 1\nrole = 'hunter2'\nprocessor = 'HUNTER hunter2'\ntoken = 'a hunter2'\n",
        "[store]\nurl = 'postgres://u:hunter2@db:port/x'",
        "[store]\nurl = 'hunter2'",
        "[kafka]\nbootstrap_servers = 'u:hunter2'\nproperties = { 'group.id' = 'hunter2' }",
        "[auth]\ntokens = ['hunter2']",
        "[vault]\nkeyring = 'hunter2'\nepoch = 'hunter2'",
        "token = hunter2",
        "token = \"hunter2",
    ];
    for text in texts {
        let problems = config(text).unwrap_err();
        assert!(!problems.to_string().contains(secret), "{problems}");
        assert!(!format!("{problems:?}").contains(secret), "{problems:?}");
    }
}
