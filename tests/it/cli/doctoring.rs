//! `lacuna doctor`, on real services that are well and on such that are not; partitions that grow under a worker.

use std::{process::Command, time::Duration};

use serde_json::Value;

use crate::support::{Deployment, StoreKind, service, wait_for};

const REGISTRY: &str = r#"
[[processor]]
id = "crm"
kind = "crm"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
"#;

/// What the doctor says, and with which code it ends.
fn doctor(deployment: &Deployment, variables: &[(&str, &str)]) -> (i32, Value) {
    let output = deployment
        .command(&["doctor", "--json"])
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let said = serde_json::from_str(&text).unwrap_or_else(|_| {
        panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr));
    });
    (output.status.code().unwrap(), said)
}

/// The findings of a level that have this in their words.
fn found<'a>(said: &'a Value, level: &str, words: &str) -> Vec<&'a Value> {
    let all = said["findings"].as_array().unwrap().iter();
    all.filter(|one| one["level"] == level && one["what"].as_str().unwrap().contains(words))
        .collect()
}

#[test]
fn doctor_names_what_is_wrong_with_the_work() {
    let deployment = Deployment::new(StoreKind::Sqlite, REGISTRY);
    let worker = deployment.serve();
    let (code, said) = doctor(&deployment, &[]);
    assert_eq!((code, &said["healthy"]), (0, &Value::Bool(true)), "{said:#}");
    for fine in [
        "clock",
        "store",
        "keyring",
        "positions",
        "dead letters",
        "registry",
        "requests",
    ] {
        let all = said["findings"].as_array().unwrap();
        assert!(
            all.iter()
                .any(|one| one["part"] == fine && one["level"] == "fine"),
            "{fine}: {said:#}"
        );
    }
    // A command that cannot be taken in, and a lane that somebody has stopped.
    deployment.write("command.json", "{\"type\":\"erase\"}");
    deployment.lacuna_ok(&[
        "processors",
        "pause",
        "crm",
        "--actor",
        "j.doe",
        "--reason",
        "moves",
    ]);
    let kafka = service("LACUNA_TEST_KAFKA");
    let publish = format!(
        "from confluent_kafka import Producer\np = Producer({{'bootstrap.servers': '{kafka}'}})\n\
         p.produce('{}', b'{{\"type\":\"erase\"}}')\np.flush(20)",
        deployment.topic("commands")
    );
    let sent = Command::new(service("LACUNA_TEST_PYTHON"))
        .args(["-c", &publish])
        .status();
    assert!(sent.unwrap().success());
    wait_for("it is dead-lettered", Duration::from_secs(30), || {
        let (_, said) = doctor(&deployment, &[]);
        (!found(
            &said,
            "wrong",
            "1 erase or anonymize commands could not be taken in",
        )
        .is_empty())
        .then_some(())
    });
    let (code, said) = doctor(&deployment, &[]);
    assert_eq!((code, &said["healthy"]), (1, &Value::Bool(false)));
    assert_eq!(found(&said, "warning", "crm is stopped").len(), 1, "{said:#}");
    worker.stop();
}

#[test]
fn doctor_says_what_cannot_be_reached() {
    let deployment = Deployment::new(StoreKind::Sqlite, REGISTRY);
    deployment.lacuna_ok(&["migrate"]);
    // There is no keyring yet either, which is no reason to say nothing.
    let (code, said) = doctor(&deployment, &[]);
    assert_eq!((code, found(&said, "wrong", "keyring").len()), (1, 1), "{said:#}");
    let nowhere = ("LACUNA_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1");
    let (code, said) = doctor(&deployment, &[nowhere]);
    assert_eq!(code, 3, "{said:#}");
    assert_eq!(found(&said, "away", "").len(), 1, "{said:#}");
    let unset = ("LACUNA_KAFKA__BOOTSTRAP_SERVER", "127.0.0.1:1");
    let output = deployment.command(&["doctor"]).envs([unset]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said.starts_with("LACUNA_KAFKA__BOOTSTRAP_SERVER: kafka.bootstrap_server: unknown key; did you mean"),
        "{said}"
    );
}

#[test]
fn doctor_names_topics_and_indexes_that_are_not_right() {
    let deployment = Deployment::new(StoreKind::Postgres, REGISTRY);
    deployment.execute("drop index agenda_parked");
    let kafka = service("LACUNA_TEST_KAFKA");
    let alter = format!(
        "from confluent_kafka.admin import AdminClient, ConfigResource, ConfigEntry, AlterConfigOpType\n\
         a = AdminClient({{'bootstrap.servers': '{kafka}'}})\n\
         def alter(topic, name, value):\n\
         \x20   e = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)\n\
         \x20   r = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[e])\n\
         \x20   [f.result() for f in a.incremental_alter_configs([r]).values()]\n\
         alter('{status}', 'cleanup.policy', 'delete')\n\
         alter('{commands}', 'retention.ms', '-1')\n",
        status = deployment.topic("status"),
        commands = deployment.topic("commands"),
    );
    let altered = Command::new(service("LACUNA_TEST_PYTHON"))
        .args(["-c", &alter])
        .status();
    assert!(altered.unwrap().success());
    let (code, said) = doctor(&deployment, &[("LACUNA_KAFKA__PARTITIONS__ACKS", "9")]);
    assert_eq!(code, 1);
    let expected = [
        ("wrong", "the index agenda_parked is missing"),
        ("wrong", ".status has cleanup.policy=delete, and needs compact"),
        ("wrong", ".commands keeps messages for ever"),
        ("warning", ".acks has 6 partitions, and the configuration says 9"),
    ];
    for (level, words) in expected {
        assert_eq!(found(&said, level, words).len(), 1, "{words}: {said:#}");
    }
}

#[test]
fn partitions_are_added_while_a_worker_runs() {
    let deployment = Deployment::new(StoreKind::Sqlite, REGISTRY);
    let worker = deployment.serve();
    let text = deployment.lacuna_ok(&["topics", "create", "--partitions", "8", "--grow"]);
    for topic in ["commands", "acks"] {
        let line = format!("grown    {}  ", deployment.topic(topic));
        assert!(
            text.lines()
                .any(|one| one.starts_with(&line) && one.ends_with("8 partitions)")),
            "{text}"
        );
    }
    assert!(
        deployment
            .lacuna_ok(&["topics", "create", "--grow"])
            .lines()
            .all(|line| !line.starts_with("grown"))
    );
    // Enough of them that each partition has one.
    let commands: String = (0..60)
        .map(|n| {
            format!(
                "{{\"command_id\":\"{}\",\"type\":\"erase\",\"reason\":\"subject_request\",\
                 \"subject\":{{\"identities\":[{{\"type\":\"email\",\"value\":\"p{n}@example.org\"}}]}}}}\n",
                uuid::Uuid::now_v7()
            )
        })
        .collect();
    deployment.write("commands.jsonl", &commands);
    deployment.lacuna_ok(&["submit", "commands.jsonl"]);
    let taken = "lacuna_requests{status=\"in_progress\"}";
    wait_for(
        "the worker reads the new partitions",
        Duration::from_secs(90),
        || (deployment.metric(taken) == Some(60.0)).then_some(()),
    );
    worker.stop();
}

#[test]
fn check_says_what_comes_from_the_environment() {
    let deployment = Deployment::new(StoreKind::Sqlite, REGISTRY);
    let output = deployment
        .command(&["check"])
        .env("LACUNA_KAFKA__GROUP_ID", "from-outside")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    assert!(said.contains("(group from-outside)"), "{said}");
    assert!(
        said.contains("environment    kafka.group_id is set by LACUNA_KAFKA__GROUP_ID"),
        "{said}"
    );
}
