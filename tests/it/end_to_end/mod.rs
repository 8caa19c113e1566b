//! The whole way through the real binary: commands on a real Kafka, six processors in another process that know only
//! the contract, the worker killed in the middle, every request proved complete.

mod attested;
mod bulk;
mod clocks;
mod constraints;
mod deferred;
mod denied;
mod early;
mod ends;
mod expiry;
mod failover;
mod gauges;
mod groups;
pub mod kafka;
mod lanes;
mod lost_log;
mod opendsr;
pub mod pages;
mod schema_registry;
mod source_calls;
mod source_redrives;
mod sources;
mod sources_page;
pub mod standby;
mod traces;
mod vendor;
mod webhook;
mod workers;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use uuid::Uuid;

use self::kafka::{Publisher, Statuses, read_all};
use crate::support::{Deployment, Program, StoreKind, repository, service, wait_for};

const REQUESTS: usize = 600;

const CHARACTERS: [(&str, &str); 6] = [
    ("crm", "fast"),
    ("analytics", "slow"),
    ("advertising", "flaky"),
    ("payments", "not_found"),
    ("telecom", "accepted_first"),
    ("support", "fails_once"),
];

fn registry() -> String {
    CHARACTERS
        .iter()
        .map(|(id, _)| {
            let identity = if *id == "telecom" { "phone" } else { "email" };
            format!(
                "[[processor]]\nid = \"{id}\"\nname = \"{id}\"\nkind = \"other\"\ntransport = {{ type = \"kafka\" }}\n\
                 actions = [\"erase\"]\nidentities = [\"{identity}\"]\nack_timeout = \"20s\"\n\
                 retry = {{ initial = \"1s\", multiplier = 1.5, max = \"2s\", jitter = 0.2, attempts = 12 }}\n\
                 {}\n",
                if *id == "support" { "after = [\"crm\"]" } else { "" },
            )
        })
        .collect()
}

fn command(n: usize) -> (Uuid, Value) {
    let id = Uuid::now_v7();
    let command = json!({
        "command_id": id, "type": "erase", "tenant": "acme", "reason": "account_closed",
        "subject": { "identities": [
            { "type": "email", "value": format!("canary-{n}@example.org") },
            { "type": "phone", "value": format!("+4930{:07}", n) },
        ] },
    });
    (id, command)
}

#[test]
fn killed_worker_completes_every_request_on_postgres() {
    run(StoreKind::Postgres);
}

#[test]
fn killed_worker_completes_every_request_on_sqlite() {
    run(StoreKind::Sqlite);
}

fn run(store: StoreKind) {
    let deployment = Deployment::new(store, &registry());
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
    let worker = deployment.serve();
    let mut ids = publish(&deployment, 0..REQUESTS * 2 / 3);
    let mut statuses = Statuses::new(&deployment.topic("status"));
    wait_for("a sixth of them is complete", Duration::from_secs(60), || {
        statuses.read();
        (statuses.completed() > REQUESTS / 6).then_some(())
    });
    worker.kill();
    ids.extend(publish(&deployment, REQUESTS * 2 / 3..REQUESTS));
    let worker = deployment.serve();
    wait_for("all of them are complete", Duration::from_secs(120), || {
        statuses.read();
        (statuses.completed() == REQUESTS).then_some(())
    });
    check_statuses(&statuses, &ids);
    check_what_was_asked(&std::fs::read_to_string(&asked).unwrap(), &ids);
    check_dead_letters(&deployment);
    check_seen_by_operators(&deployment, &ids);
    worker.stop();
    check_log(&deployment);
}

/// Publishes commands. Every tenth comes twice, and now and then one that is no command at all.
fn publish(deployment: &Deployment, numbers: std::ops::Range<usize>) -> BTreeSet<Uuid> {
    let publisher = Publisher::new();
    let topic = deployment.topic("commands");
    let mut ids = BTreeSet::new();
    for n in numbers {
        let (id, command) = command(n);
        ids.insert(id);
        let body = command.to_string();
        for _ in 0..if n % 10 == 0 { 2 } else { 1 } {
            publisher.publish(&topic, Some(&id.to_string()), body.as_bytes());
        }
        if n % 100 == 0 {
            publisher.publish(&topic, None, b"{\"type\":");
        }
    }
    publisher.flush();
    ids
}

fn check_statuses(statuses: &Statuses, ids: &BTreeSet<Uuid>) {
    let known: BTreeSet<Uuid> = statuses.last.keys().copied().collect();
    assert_eq!(known, *ids, "one request a command, and no other");
    for (id, status) in &statuses.last {
        assert_eq!(
            status["tasks"],
            json!({ "total": 6, "done": 6, "parked": 0, "abandoned": 0 }),
            "{id}"
        );
        assert_eq!(
            status["outcomes"],
            json!({ "erased": 5, "anonymized": 0, "not_found": 1, "attested": 0, "exempt": 0 }),
            "{id}"
        );
        assert_eq!(status["waiting_for"], json!([]), "{id}");
        assert!(
            status["completed_at"].is_string() && status["live_clean_at"].is_string(),
            "{id}"
        );
        assert_eq!(
            Some(&status["revision"]),
            statuses.highest.get(id),
            "{id}: the last record is the highest"
        );
    }
}

/// Every processor was asked for every request, with its own identity types and no others; a task that came twice
/// kept its id and generation.
fn check_what_was_asked(asked: &str, ids: &BTreeSet<Uuid>) {
    let mut tasks: BTreeMap<(Uuid, String), BTreeSet<String>> = BTreeMap::new();
    for line in asked.lines() {
        let task: Value = serde_json::from_str(line).unwrap();
        let request = task["request_id"].as_str().unwrap().parse().unwrap();
        let processor = task["processor"].as_str().unwrap().to_owned();
        let wanted = if processor == "telecom" { "phone" } else { "email" };
        let sent: Vec<&str> = task["identities"]
            .as_array()
            .unwrap()
            .iter()
            .map(|i| i["type"].as_str().unwrap())
            .collect();
        assert_eq!(sent, [wanted], "{processor}");
        assert_eq!(task["generation"], 1);
        tasks
            .entry((request, processor))
            .or_default()
            .insert(task["task_id"].as_str().unwrap().to_owned());
    }
    assert_eq!(tasks.len(), ids.len() * 6);
    assert!(tasks.values().all(|task_ids| task_ids.len() == 1));
}

fn check_dead_letters(deployment: &Deployment) {
    let letters = read_all(&deployment.topic("dead-letters"));
    let places: BTreeSet<(String, String)> = letters
        .iter()
        .map(|letter| {
            assert_eq!(letter.headers["lacuna_reason"], "not_json");
            assert_eq!(letter.headers["lacuna_topic"], deployment.topic("commands"));
            assert!(letter.key.is_none());
            assert!(
                !letter.value.windows(6).any(|w| w == b"{\"type"),
                "a dead letter is sealed"
            );
            (
                letter.headers["lacuna_partition"].clone(),
                letter.headers["lacuna_offset"].clone(),
            )
        })
        .collect();
    assert_eq!(
        places.len(),
        REQUESTS / 100,
        "each bad message once, however often it was said"
    );
    let listed = deployment.lacuna_ok(&["dead-letters", "list", "--json"]);
    assert_eq!(listed.lines().count(), REQUESTS / 100, "{listed}");
}

fn check_seen_by_operators(deployment: &Deployment, ids: &BTreeSet<Uuid>) {
    let of = |status: &str| format!("lacuna_requests{{status=\"{status}\"}}");
    deployment.gauge_shows(&of("completed"), REQUESTS as f64);
    // A drained series reports zero.
    deployment.gauge_shows(&of("in_progress"), 0.0);
    // Identifiers are forgotten at completion.
    deployment.gauge_shows("lacuna_vault_sealed_requests", 0.0);
    deployment.gauge_shows("lacuna_tasks{processor=\"crm\",state=\"done\"}", REQUESTS as f64);
    let id = ids.first().unwrap().to_string();
    let status: Value = serde_json::from_str(&deployment.lacuna_ok(&["status", &id, "--json"])).unwrap();
    assert_eq!(status["status"], "completed");
    let (code, body) = deployment.get(&format!("/v1/requests/{id}")).unwrap();
    assert_eq!(code, 200);
    let detail: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(detail["task_list"].as_array().unwrap().len(), 6);
}

/// Invariant 8: identifiers never reach the log.
fn check_log(deployment: &Deployment) {
    let log = std::fs::read_to_string(deployment.path("serve.log")).unwrap();
    assert!(
        !log.contains("canary-") && !log.contains("+4930"),
        "the log holds identifiers"
    );
    assert!(!log.contains("panicked"), "{log}");
}
