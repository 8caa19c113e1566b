//! What is accepted, and what it means.

use std::{collections::BTreeMap, fs, time::Duration};

use super::*;
use crate::{
    config::{Approval, Brokers, Keyring, OverLimit, Problem, RegistryFile, Secret, StoreUrl, registry_file},
    domain::calendar::Period,
};

#[test]
fn the_printed_default_is_the_default() {
    assert_eq!(config(Config::print_default()), Ok(Config::default()));
    assert_eq!(config(""), Ok(Config::default()));
    assert_eq!(config("\u{feff}"), Ok(Config::default()));
}

#[test]
fn the_printed_default_names_every_key() {
    // An unknown key's problem lists what is known there, so no key can be forgotten here.
    let tables = [
        "zzzzzzzz = 0",
        "[kafka]\nzzzzzzzz = 0",
        "[kafka.topics]\nzzzzzzzz = 0",
        "[store]\nzzzzzzzz = 0",
        "[http]\nzzzzzzzz = 0",
        "[http]\ntls = { cert = 'c', key = 'k', zzzzzzzz = 0 }",
        "[auth]\nzzzzzzzz = 0",
        "[auth]\ntokens = [{ zzzzzzzz = 0 }]",
        "[auth]\noidc = { zzzzzzzz = 0 }",
        "[vault]\nzzzzzzzz = 0",
        "[dispatch]\nzzzzzzzz = 0",
        "[policy]\nzzzzzzzz = 0",
        "[policy]\napproval = { zzzzzzzz = 0 }",
        "[policy]\nduplicates = { zzzzzzzz = 0 }",
        "[policy]\nduplicates = { repeat_limit = { zzzzzzzz = 0 } }",
        "[webhook]\nzzzzzzzz = 0",
        "[registry]\nzzzzzzzz = 0",
        "[telemetry]\nzzzzzzzz = 0",
        "[telemetry]\notlp = { zzzzzzzz = 0 }",
        "[kafka]\npartitions = { zzzzzzzz = 0 }",
        "[[source]]\nzzzzzzzz = 0",
        "[[source]]\nhttp = { zzzzzzzz = 0 }",
        "[[source]]\nhttp = { signature = { zzzzzzzz = 0 } }",
        "[[source]]\ncommand = { zzzzzzzz = 0 }",
    ];
    let mut keys = 0;
    for text in tables {
        let found = lines(config(text));
        let known = found
            .iter()
            .find_map(|line| line.split_once("unknown key; known here: "));
        let (_, known) = known.unwrap_or_else(|| panic!("{text}: {found:?}"));
        for key in known.split(", ") {
            let named = |line: &str| {
                let line = line.trim_start_matches("# ");
                line.starts_with(&format!("{key} = "))
                    || line.contains(&format!(" {key} = "))
                    || line == format!("[{key}]")
                    || line == format!("[[{key}]]")
                    || line.contains(&format!(" {key},"))
                    || line.contains(&format!("({key},"))
                    || line.ends_with(&format!(".{key}]"))
            };
            assert!(Config::print_default().lines().any(named), "{key} of {text}");
            keys += 1;
        }
    }
    assert!(keys > 60, "{keys}");
}

#[test]
fn every_key_of_the_configuration_is_heard() {
    let text = r#"
        tenant_default = "acme"
        shutdown_timeout = "1m"
        [kafka]
        bootstrap_servers = "SSL://a:1, [::1]:9093,b"
        group_id = "g"
        properties = { security.protocol = "SSL", "socket.max.fails" = 5, "socket.keepalive.enable" = true, "client.rack" = 0.5, "sasl.password" = "env:CRM_TOKEN", "ssl.key.password" = "" }
        topics.tasks_prefix = "t-"
        topics.acks = "acks"
        topics.suppression = "lacuna.suppression"
        [store]
        url = "env:DATABASE_URL"
        [http]
        listen = "localhost:0"
        [[auth.tokens]]
        name = "ops"
        role = "operator"
        token = "plain-and-long-enough"
        [[auth.tokens]]
        name = "law"
        role = "compliance"
        token = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
        [vault]
        epoch = "1mo"
        own_backups_keep = "0d"
        lookups_keep = "1y"
        records_keep = "1y6mo"
        keyring = "file:/keys"
        keep_after_completion = "2w"
        [dispatch]
        lease = "1m30s"
        max_in_flight = 1
        clock_skew = "0s"
        [policy]
        regime = "working_days:30"
        time_zone = "America/New_York"
        holidays = ["2026-12-25", 2027-01-01]
        require_identity_verification = false
        approval = "never"
        grace = "0s"
        at_risk = 1
        duplicates = { merge_open = false }
        [webhook]
        allow_private = false
        [registry]
        path = "r/processors.toml"
    "#;
    let read = Config::read_text("lacuna.toml", Path::new("/etc/lacuna"), text, &environment).unwrap();
    assert_eq!(read.tenant_default.as_str(), "acme");
    assert_eq!(read.shutdown_timeout, Duration::from_secs(60));
    assert_eq!(
        read.kafka.bootstrap_servers,
        Brokers::Servers("SSL://a:1,[::1]:9093,b".into())
    );
    let properties: BTreeMap<&str, &str> = read
        .kafka
        .properties
        .iter()
        .map(|(key, value)| (key.as_str(), value.expose()))
        .collect();
    let expected = [
        ("client.rack", "0.5"),
        ("sasl.password", "from-the-environment"),
        ("security.protocol", "SSL"),
        ("socket.keepalive.enable", "true"),
        ("socket.max.fails", "5"),
        ("ssl.key.password", ""),
    ];
    assert_eq!(properties, expected.into());
    assert_eq!(
        (&*read.kafka.topics.tasks_prefix, &*read.kafka.topics.acks),
        ("t-", "acks")
    );
    assert_eq!(
        read.kafka.topics.suppression.as_deref(),
        Some("lacuna.suppression")
    );
    assert_eq!(
        config("kafka.topics.suppression = ''")
            .unwrap()
            .kafka
            .topics
            .suppression,
        None
    );
    assert_eq!(
        read.store.url,
        StoreUrl::Postgres(Secret::new("postgres://lacuna:hunter2@db/lacuna"))
    );
    assert_eq!(read.http.listen.to_string(), "127.0.0.1:0");
    let tokens = read.auth.as_ref().unwrap().tokens.as_slice();
    assert_eq!(
        tokens.iter().map(|t| t.role.as_str()).collect::<Vec<_>>(),
        ["operator", "compliance"]
    );
    assert!(tokens[0].digest.matches("plain-and-long-enough") && tokens[1].digest.matches("test"));
    assert_eq!(read.vault.epoch.to_string(), "1mo");
    assert_eq!(read.vault.own_backups_keep, Period::ZERO);
    assert_eq!(read.vault.lookups_keep, Period::years(1));
    assert_eq!(read.vault.records_keep.to_string(), "1y6mo");
    assert_eq!(read.vault.keyring, Keyring::File("/keys".into()));
    assert_eq!(read.vault.keep_after_completion, Period::days(14));
    assert_eq!(read.dispatch.lease, Duration::from_secs(90));
    assert_eq!(
        (read.dispatch.max_in_flight, read.dispatch.clock_skew),
        (1, Duration::ZERO)
    );
    assert_eq!(read.policy.regime.to_string(), "working_days:30");
    assert_eq!(read.policy.calendar.zone.iana_name(), Some("America/New_York"));
    assert_eq!(read.policy.calendar.holidays.len(), 2);
    assert_eq!(
        (read.policy.approval, read.policy.at_risk),
        (Approval::Never, 1.0)
    );
    assert!(!read.policy.duplicates.merge_open);
    let refusing = config("[policy]\nduplicates = 'refuse'").unwrap();
    assert_eq!(refusing.policy.duplicates.repeat_limit.then, OverLimit::Refuse);
    assert!(!read.webhook.allow_private);
    assert_eq!(read.registry.path, Path::new("/etc/lacuna/r/processors.toml"));
    let shown = format!("{read:?}");
    for secret in ["hunter2", "from-the-environment", "plain-and-long-enough", "9f86"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

#[test]
fn private_addresses_are_closed_once_others_can_call() {
    let open = "[http]\nlisten = '0.0.0.0:80'\n[auth]\ntokens = [{ name = 'a', role = 'auditor', token = 'sixteen-letters-x' }]";
    assert!(!config(open).unwrap().webhook.allow_private);
    assert!(
        config("[http]\nlisten = '[::1]:80'")
            .unwrap()
            .webhook
            .allow_private
    );
}

#[test]
fn a_file_is_read_from_its_own_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lacuna.toml");
    fs::write(folder.path().join("token"), "a-secret-of-a-file\n").unwrap();
    for name in ["cert.pem", "key.pem"] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    let text = "http.tls = { cert = 'cert.pem', key = 'key.pem' }\n\
                auth.tokens = [{ name = 'a', role = 'submitter', token = 'file:token' }]";
    fs::write(&path, text).unwrap();
    let read = Config::load(&path).unwrap();
    assert!(read.auth.unwrap().tokens[0].digest.matches("a-secret-of-a-file"));
    assert_eq!(read.http.tls.unwrap().key, folder.path().join("key.pem"));
    assert_eq!(
        read.vault.keyring,
        Keyring::File(folder.path().join("lacuna.keys"))
    );
    assert_eq!(read.store.url, StoreUrl::Sqlite(folder.path().join("lacuna.db")));

    fs::write(
        &path,
        "# \u{feff}\n\n"
            .as_bytes()
            .iter()
            .chain(b"\xff")
            .copied()
            .collect::<Vec<u8>>(),
    )
    .unwrap();
    let name = path.display();
    assert_eq!(
        lines(Config::load(&path)),
        [format!("{name}:3: expected UTF-8, found other bytes")]
    );
    let missing = folder.path().join("missing.toml");
    let name = missing.display();
    assert_eq!(
        lines(Config::load(&missing)),
        [format!("{name}: cannot be read: there is no such file")]
    );
    let name_of_folder = folder.path().display();
    assert_eq!(
        lines(Config::load(folder.path())),
        [format!(
            "{name_of_folder}: cannot be read: it is a folder, not a file"
        )]
    );
    assert_eq!(
        lines(registry_file::read(&RegistryFile::at(&missing))),
        [format!("{name}: cannot be read: there is no such file")]
    );
}

#[test]
fn a_processors_topic_is_nobody_elses() {
    let one = |id: &str, topic: &str| {
        format!(
            "[[processor]]\nid = '{id}'\nkind = 'crm'\nactions = ['erase']\nidentities = ['email']\n\
             transport = {{ type = 'kafka', topic = '{topic}' }}\n"
        )
    };
    let text = [
        one("a", "lacuna.commands"),
        one("b", "t"),
        one("c", "t"),
        one("d", "lacuna_acks"),
    ]
    .concat();
    let registry = registry_file::read_text("processors.toml", &text).unwrap();
    let expected = [
        r#"processors.toml: processor "a": transport.topic: the same topic as kafka.topics.commands"#,
        r#"processors.toml: processor "c": transport.topic: the same topic as that of processor "b""#,
        r#"processors.toml: processor "d": transport.topic: the same topic as kafka.topics.acks"#,
    ];
    assert_eq!(lines(Config::default().check_registry(&registry)), expected);
}

#[test]
fn problems_are_shown_by_file_and_line_with_their_count() {
    let problem = |file: &str, line, key: &str| Problem {
        file: file.into(),
        line,
        key: key.into(),
        message: "wrong".into(),
    };
    let some = Problems::new(vec![
        problem("b", Some(2), "k"),
        problem("b", Some(10), ""),
        problem("b", None, "x"),
    ]);
    let all = some
        .unwrap()
        .and(Problems::new(vec![problem("a", Some(3), "k")]).unwrap());
    assert_eq!(
        all.to_string(),
        "a:3: k: wrong\nb: x: wrong\nb:2: k: wrong\nb:10: wrong\n4 problems"
    );
    assert_eq!(
        Problems::new(vec![problem("a", None, "")]).unwrap().to_string(),
        "a: wrong\n1 problem"
    );
    assert_eq!(Problems::new(Vec::new()), None);
}
