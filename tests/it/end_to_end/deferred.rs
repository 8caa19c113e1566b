//! Deferred jobs the whole way through the real binary, with horizons of seconds: copies grow old, a share is kept, a
//! hold stands in the way, a backup is put back after everything was forgotten, and the worker is killed in between.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    process::{Command, Stdio},
    time::Duration,
};

use lacuna::{
    clock::{Clock, Stopwatch},
    domain::time::At,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    check_log,
    kafka::{Publisher, Statuses},
};
use crate::support::{Deployment, Program, StoreKind, repository, service, wait_for};

const REQUESTS: usize = 120;
const PATIENCE: Duration = Duration::from_secs(60);

/// Two sources; the payments processor keeps invoices for a few seconds; one set proves by events, one by its schedule.
const REGISTRY: &str = r#"
[[processor]]
id = "hosting"
kind = "hosting"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
[[processor]]
id = "payments"
kind = "payments"
transport = { type = "kafka" }
actions = ["erase", "anonymize"]
identities = ["phone"]
categories = ["profile", "invoices"]
[[processor.retention]]
categories = ["invoices"]
basis = "tax_law"
keep = "6s"
[[processor]]
id = "nightly"
kind = "backup"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
backup = { sources = ["hosting", "payments"], set = "all", keep = "2s", confirm_by = "event" }
[[processor]]
id = "archive"
kind = "backup"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
backup = { sources = ["hosting"], set = "yearly", keep = "3s", confirm_by = "schedule" }
"#;

#[test]
fn deferred_jobs_survive_worker_kill_on_postgres() {
    run(StoreKind::Postgres);
}

#[test]
fn deferred_jobs_survive_worker_kill_on_sqlite() {
    run(StoreKind::Sqlite);
}

fn run(store: StoreKind) {
    let deployment = Deployment::new(store, REGISTRY);
    let asked = deployment.path("asked.jsonl");
    let _processors = Program::start(
        Command::new(service("LACUNA_TEST_PYTHON"))
            .arg(repository("tests/support/processors.py"))
            .args([
                service("LACUNA_TEST_KAFKA"),
                format!("{}.tasks.", deployment.prefix),
                "hosting=fast".to_owned(),
                "payments=fast".to_owned(),
            ])
            .stdout(Stdio::from(File::create(&asked).unwrap())),
    );
    let worker = deployment.serve();
    let mut statuses = Statuses::new(&deployment.topic("status"));
    let publisher = Publisher::new();
    let held = hold(&deployment, &publisher);
    let ids = publish(&deployment, &publisher);
    wait_for("all but one are clean", PATIENCE, || {
        statuses.read();
        (count(&statuses, |status| status["live_clean_at"].is_string()) == REQUESTS - 1).then_some(())
    });
    // A copy from before the confirmations is still there, so this proves nothing.
    rotate(&deployment, &publisher, start_of(&statuses));
    worker.kill();
    let worker = deployment.serve();
    wait_for("shares that were kept are erased", PATIENCE, || {
        statuses.read();
        (count(&statuses, |status| done(status, 5)) == REQUESTS - 1).then_some(())
    });
    assert_eq!(statuses.completed(), 0, "no rotation has proved anything");
    release(&deployment, &publisher, held);
    wait_for("the hold is gone", PATIENCE, || {
        statuses.read();
        (count(&statuses, |status| done(status, 5)) == REQUESTS).then_some(())
    });
    prove_all(&deployment, &publisher, &mut statuses);
    let restored_from = At::from_millis(0);
    tell(
        &deployment,
        &publisher,
        &json!({
            "event_id": Uuid::now_v7(), "type": "backup.restored", "processor": "nightly", "set": "all",
            "taken_at": restored_from, "restored_into": ["hosting"],
        }),
    );
    wait_for("a part is done again", PATIENCE, || {
        statuses.read();
        (count(&statuses, |status| status["notice"] == "restored") > REQUESTS / 10).then_some(())
    });
    worker.kill();
    let worker = deployment.serve();
    wait_for("all of them are asked again", PATIENCE, || {
        (generations(&std::fs::read_to_string(&asked).unwrap(), "hosting", 2).len() == REQUESTS).then_some(())
    });
    prove_all(&deployment, &publisher, &mut statuses);
    check_what_was_asked(&std::fs::read_to_string(&asked).unwrap(), &ids);
    // Their week is not over, so a restore could still ask for them by their capsules.
    deployment.gauge_shows("lacuna_vault_sealed_requests", REQUESTS as f64);
    deployment.gauge_shows("lacuna_deferred{reason=\"backup_rotation\"}", 0.0);
    worker.stop();
    check_log(&deployment);
}

fn publish(deployment: &Deployment, publisher: &Publisher) -> BTreeSet<Uuid> {
    let ids = (0..REQUESTS).map(|n| {
        let id = Uuid::now_v7();
        let command = json!({
            "command_id": id, "type": "erase", "tenant": "acme", "reason": "account_closed",
            "subject": { "identities": [
                { "type": "email", "value": format!("canary-{n}@example.org") },
                { "type": "phone", "value": format!("+4930{n:07}") },
            ] },
        });
        publisher.publish(
            &deployment.topic("commands"),
            Some(&id.to_string()),
            command.to_string().as_bytes(),
        );
        id
    });
    let ids = ids.collect();
    publisher.flush();
    ids
}

/// A hold on the first subject, before the request is there.
fn hold(deployment: &Deployment, publisher: &Publisher) -> Uuid {
    let id = Uuid::now_v7();
    control(
        deployment,
        publisher,
        &json!({
            "command_id": Uuid::now_v7(), "type": "hold", "tenant": "acme", "actor": "legal", "hold_id": id,
            "basis": "dispute", "subject": { "identities": [{ "type": "email", "value": "canary-0@example.org" }] },
        }),
    );
    wait_for("the hold stands", PATIENCE, || {
        let text = deployment.get("/metrics").map(|(_, text)| text)?;
        text.contains("lacuna_commands_total{result=\"accepted\",type=\"hold\"} 1")
            .then_some(())
    });
    id
}

fn release(deployment: &Deployment, publisher: &Publisher, hold: Uuid) {
    control(
        deployment,
        publisher,
        &json!({
            "command_id": Uuid::now_v7(), "type": "release", "tenant": "acme", "actor": "legal", "hold_id": hold,
        }),
    );
}

fn control(deployment: &Deployment, publisher: &Publisher, command: &Value) {
    publisher.publish(&deployment.topic("control"), None, command.to_string().as_bytes());
    publisher.flush();
}

fn tell(deployment: &Deployment, publisher: &Publisher, event: &Value) {
    // Twice, because that is what happens.
    for _ in 0..2 {
        publisher.publish(&deployment.topic("backups"), None, event.to_string().as_bytes());
    }
    publisher.flush();
}

fn rotate(deployment: &Deployment, publisher: &Publisher, oldest: At) {
    tell(
        deployment,
        publisher,
        &json!({
            "event_id": Uuid::now_v7(), "type": "backup.rotated", "processor": "nightly", "set": "all",
            "oldest_retained_at": oldest,
        }),
    );
}

/// Rotations as they come, two a second, until every request is proved complete.
fn prove_all(deployment: &Deployment, publisher: &Publisher, statuses: &mut Statuses) {
    let mut last: Option<Stopwatch> = None;
    wait_for("all of them are complete", PATIENCE, || {
        if last.is_none_or(|last| last.elapsed() >= Duration::from_millis(500)) {
            rotate(deployment, publisher, Clock::System.now());
            last = Some(Stopwatch::start());
        }
        statuses.read();
        (statuses.completed() == REQUESTS).then_some(())
    });
}

fn start_of(statuses: &Statuses) -> At {
    let first = statuses
        .last
        .values()
        .filter_map(|status| status["received_at"].as_str());
    At::parse(first.min().unwrap()).unwrap()
}

fn count(statuses: &Statuses, is: impl Fn(&Value) -> bool) -> usize {
    statuses.last.values().filter(|status| is(status)).count()
}

/// Whether so many tasks are not open: hosting, two shares of payments, the archive's copies of hosting, …
fn done(status: &Value, n: u64) -> bool {
    let tasks = &status["tasks"];
    let rotation = status["waiting_for"]
        .as_array()
        .is_some_and(|waiting| waiting.iter().all(|entry| entry["why"] == "backup_rotation"));
    tasks["total"] == n + 1 && rotation && tasks["done"].as_u64() >= Some(n - 1)
}

fn generations(asked: &str, processor: &str, generation: u64) -> BTreeSet<String> {
    asked
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|task| task["processor"] == processor && task["generation"] == generation)
        .map(|task| task["request_id"].to_string())
        .collect()
}

/// Nobody but the sources was ever asked, each for its own identifiers, and only what came back was done again.
fn check_what_was_asked(asked: &str, ids: &BTreeSet<Uuid>) {
    let mut highest: BTreeMap<(String, String), u64> = BTreeMap::new();
    for line in asked.lines() {
        let task: Value = serde_json::from_str(line).unwrap();
        let processor = task["processor"].as_str().unwrap().to_owned();
        let wanted = if processor == "payments" { "phone" } else { "email" };
        let identities = task["identities"].as_array().unwrap();
        assert!(identities.len() == 1 && identities[0]["type"] == wanted, "{task}");
        let known = highest
            .entry((task["task_id"].to_string(), processor))
            .or_default();
        *known = (*known).max(task["generation"].as_u64().unwrap());
    }
    let of = |processor: &str| -> Vec<u64> {
        highest
            .iter()
            .filter(|((_, of), _)| of == processor)
            .map(|(_, generation)| *generation)
            .collect()
    };
    assert_eq!(of("hosting"), vec![2; ids.len()]);
    assert_eq!(of("payments"), vec![1; 2 * ids.len()]);
    assert_eq!(highest.len(), 3 * ids.len());
}
