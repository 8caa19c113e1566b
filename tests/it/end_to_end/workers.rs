//! Two live workers on one deployment: partitions move between them under load, one of them is frozen for longer than its
//! session and wakes up believing that all is as it was. Nothing is lost, and nothing is sent twice as new.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    check_log,
    kafka::{Publisher, Statuses},
};
use crate::support::{Deployment, Program, StoreKind, get, metric, repository, service, wait_for};

const PATIENCE: Duration = Duration::from_secs(120);
const WAVE: usize = 400;

/// None of them ever fails, and none is late: a second attempt would be somebody's mistake.
const CHARACTERS: [(&str, &str); 3] = [
    ("crm", "fast"),
    ("payments", "not_found"),
    ("telecom", "accepted_first"),
];

fn registry() -> String {
    CHARACTERS
        .iter()
        .map(|(id, _)| {
            format!(
                "[[processor]]\nid = \"{id}\"\nkind = \"other\"\ntransport = {{ type = \"kafka\" }}\n\
                 actions = [\"erase\"]\nidentities = [\"email\"]\nack_timeout = \"1h\"\n"
            )
        })
        .collect()
}

/// Publishes a wave of commands, and some of them twice.
fn publish(deployment: &Deployment, ids: &mut BTreeSet<Uuid>) {
    let publisher = Publisher::new();
    for n in 0..WAVE {
        let id = Uuid::now_v7();
        ids.insert(id);
        let command = json!({
            "command_id": id, "type": "erase", "tenant": "acme", "reason": "account_closed",
            "subject": { "identities": [{ "type": "email", "value": format!("canary-{id}@example.org") }] },
        });
        for _ in 0..if n % 20 == 0 { 2 } else { 1 } {
            let body = command.to_string();
            publisher.publish(
                &deployment.topic("commands"),
                Some(&id.to_string()),
                body.as_bytes(),
            );
        }
    }
    publisher.flush();
}

fn wait_until_completed(what: &str, statuses: &mut Statuses, count: usize) {
    wait_for(what, PATIENCE, || {
        statuses.read();
        (statuses.completed() >= count).then_some(())
    });
}

/// How many requests a worker has opened.
fn opened(port: u16) -> f64 {
    metric(port, "lacuna_commands_total{result=\"accepted\",type=\"erase\"}").unwrap_or(0.0)
}

#[test]
fn rebalance_and_frozen_worker_lose_and_repeat_nothing() {
    let deployment = Deployment::new(StoreKind::Postgres, &registry());
    let asked = deployment.path("asked.jsonl");
    let _processors = Program::start(
        Command::new(service("LACUNA_TEST_PYTHON"))
            .arg(repository("tests/support/processors.py"))
            .args([
                service("LACUNA_TEST_KAFKA"),
                format!("{}.tasks.", deployment.prefix),
            ])
            .args(
                CHARACTERS
                    .iter()
                    .map(|(id, character)| format!("{id}={character}")),
            )
            .stdout(Stdio::from(File::create(&asked).unwrap())),
    );
    let mut ids = BTreeSet::new();
    let mut statuses = Statuses::new(&deployment.topic("status"));
    let first = deployment.serve();
    // It joins while the first one is at work, and takes its share.
    publish(&deployment, &mut ids);
    let (second, port) = deployment.serve_another();
    publish(&deployment, &mut ids);
    wait_until_completed("half of them are complete", &mut statuses, ids.len() / 2);
    publish(&deployment, &mut ids);
    wait_for("the second worker takes its share", PATIENCE, || {
        (opened(port) > 0.0).then_some(())
    });
    // It is frozen in the middle of its work. The first one takes all of it over, which it may only once the session is over.
    publish(&deployment, &mut ids);
    second.signal("-STOP");
    publish(&deployment, &mut ids);
    wait_until_completed("all are complete without it", &mut statuses, ids.len());
    second.signal("-CONT");
    // It wakes with a batch in its hands that is no longer its own, and outputs that may have been sent already.
    publish(&deployment, &mut ids);
    wait_until_completed("all are complete with it", &mut statuses, ids.len());
    deployment.wait_until_ready(port);
    assert_eq!(
        opened(deployment.http) + opened(port),
        ids.len() as f64,
        "each was taken in as new once, by one of them"
    );
    // The first one goes, in good order, and the second one is alone.
    publish(&deployment, &mut ids);
    first.stop();
    wait_until_completed(
        "all are complete after the first has gone",
        &mut statuses,
        ids.len(),
    );
    check_statuses(&statuses, &ids);
    check_asked(&std::fs::read_to_string(&asked).unwrap(), &ids);
    assert_eq!(deployment.lacuna_ok(&["dead-letters", "list", "--json"]), "");
    assert_eq!(get(port, "/readyz").unwrap().0, 200);
    second.stop();
    check_log(&deployment);
    let log = std::fs::read_to_string(deployment.path("serve.log")).unwrap();
    assert!(
        log.contains("it has lost its partitions"),
        "it was frozen beyond its session"
    );
}

fn check_statuses(statuses: &Statuses, ids: &BTreeSet<Uuid>) {
    let known: BTreeSet<Uuid> = statuses.last.keys().copied().collect();
    assert_eq!(known, *ids, "one request a command, and no other");
    for (id, status) in &statuses.last {
        assert_eq!(
            status["tasks"],
            json!({ "total": 3, "done": 3, "parked": 0, "abandoned": 0 }),
            "{id}"
        );
        assert_eq!(
            Some(&status["revision"]),
            statuses.highest.get(id),
            "{id}: the last record is the highest"
        );
    }
}

/// Whatever was sent more than once was the same each time.
fn check_asked(asked: &str, ids: &BTreeSet<Uuid>) {
    let mut tasks: BTreeMap<(Uuid, String), BTreeSet<String>> = BTreeMap::new();
    for line in asked.lines() {
        let task: Value = serde_json::from_str(line).unwrap();
        assert_eq!(
            (&task["generation"], &task["attempt"]),
            (&json!(1), &json!(1)),
            "{task}"
        );
        let request = task["request_id"].as_str().unwrap().parse().unwrap();
        let processor = task["processor"].as_str().unwrap().to_owned();
        tasks
            .entry((request, processor))
            .or_default()
            .insert(task["task_id"].as_str().unwrap().to_owned());
    }
    assert_eq!(tasks.len(), ids.len() * CHARACTERS.len());
    assert!(tasks.values().all(|task_ids| task_ids.len() == 1));
}
