//! The store changes its server under load: a real primary and a real standby, and an address that follows.

use std::{
    collections::BTreeSet,
    fs::File,
    process::{Command, Stdio},
    time::Duration,
};

use lacuna::clock::Stopwatch;
use serde_json::json;
use uuid::Uuid;

use super::{
    kafka::{Publisher, Statuses},
    standby::Pair,
};
use crate::{
    forwarder::Forwarder,
    support::{Deployment, Program, repository, service, wait_for},
};

/// How long things may take that take a second or two on a machine that has nothing else to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// Within this the worker is ready again once the address leads to a primary.
const READY_WITHIN: Duration = Duration::from_secs(10);

const CHARACTERS: [&str; 2] = ["crm=fast", "payments=not_found"];

/// A worker over a pair of servers, with processors that answer.
struct Scene {
    deployment: Deployment,
    address: Forwarder,
    pair: Pair,
    publisher: Publisher,
    statuses: Statuses,
    ids: BTreeSet<Uuid>,
    _processors: Program,
}

impl Scene {
    fn set(pair: Pair) -> Self {
        let address = Forwarder::to(pair.primary.port);
        let registry: String = ["crm", "payments"]
            .map(|id| {
                format!(
                    "[[processor]]\nid = \"{id}\"\nkind = \"other\"\ntransport = {{ type = \"kafka\" }}\n\
                     actions = [\"erase\"]\nidentities = [\"email\"]\nack_timeout = \"20s\"\n\
                     retry = {{ initial = \"1s\", max = \"2s\", attempts = 12 }}\n"
                )
            })
            .concat();
        let deployment = Deployment::at(&pair.url(address.port()), &registry);
        let processors = Program::start(
            Command::new(service("LACUNA_TEST_PYTHON"))
                .arg(repository("tests/support/processors.py"))
                .args([
                    service("LACUNA_TEST_KAFKA"),
                    format!("{}.tasks.", deployment.prefix),
                ])
                .args(CHARACTERS)
                .stdout(Stdio::from(File::create(deployment.path("asked.jsonl")).unwrap())),
        );
        Self {
            statuses: Statuses::new(&deployment.topic("status")),
            deployment,
            address,
            pair,
            publisher: Publisher::new(),
            ids: BTreeSet::new(),
            _processors: processors,
        }
    }

    /// Publishes so many commands.
    fn publish(&mut self, count: usize) {
        let topic = self.deployment.topic("commands");
        for _ in 0..count {
            let (id, n) = (Uuid::now_v7(), self.ids.len());
            let command = json!({
                "command_id": id, "type": "erase", "tenant": "acme",
                "subject": { "identities": [{ "type": "email", "value": format!("canary-{n}@example.org") }] },
            });
            self.publisher
                .publish(&topic, Some(&id.to_string()), command.to_string().as_bytes());
            self.ids.insert(id);
        }
        self.publisher.flush();
    }

    /// Waits until so many of them are complete, as the status topic says.
    fn completed(&mut self, count: usize) {
        wait_for(&format!("{count} are complete"), PATIENCE, || {
            self.statuses.read();
            (self.statuses.completed() >= count).then_some(())
        });
    }

    fn readiness(&self) -> Option<u16> {
        self.deployment.get("/readyz").map(|(status, _)| status)
    }

    /// The worker is not ready while there is no server that takes writes.
    fn is_not_ready(&self) {
        wait_for("the worker is not ready", PATIENCE, || {
            (self.readiness() == Some(503)).then_some(())
        });
    }

    /// The worker is ready again, soon.
    fn is_ready_again(&self) {
        wait_for("the worker is ready again", READY_WITHIN, || {
            (self.readiness() == Some(200)).then_some(())
        });
    }

    /// Everything that was asked for is in the store, and complete.
    fn nothing_is_lost(&self) {
        let count = self.ids.len() as f64;
        wait_for("the store has all of them, complete", PATIENCE, || {
            let completed = self.deployment.metric("lacuna_requests{status=\"completed\"}");
            (completed == Some(count)).then_some(())
        });
        // The gauge may still be one that was read from the server before.
        for id in &self.ids {
            wait_for(&format!("{id} is complete"), PATIENCE, || {
                let (code, body) = self.deployment.get(&format!("/v1/requests/{id}"))?;
                (code == 200 && body.contains("\"completed\"")).then_some(())
            });
        }
    }

    /// What could not be taken in, a line each.
    fn put_aside(&self) -> String {
        self.deployment.lacuna_ok(&["dead-letters", "list", "--json"])
    }
}

#[test]
fn standby_address_for_eight_seconds_costs_nothing() {
    let mut scene = Scene::set(Pair::start());
    let worker = scene.deployment.serve();
    scene.publish(60);
    scene.completed(60);
    scene.publish(60);
    scene.address.lead_to(scene.pair.standby.port);
    let away = Stopwatch::start();
    scene.publish(60);
    scene.is_not_ready();
    wait_for("eight seconds are over", PATIENCE, || {
        (away.elapsed() >= Duration::from_secs(8)).then_some(())
    });
    let log = std::fs::read_to_string(&worker.log).unwrap();
    assert!(log.contains("leads to a standby"), "{log}");
    scene.address.lead_to(scene.pair.primary.port);
    scene.is_ready_again();
    scene.publish(60);
    scene.completed(240);
    scene.nothing_is_lost();
    assert_eq!(scene.put_aside(), "");
    worker.stop();
}

#[test]
fn synchronous_failover_under_load_loses_nothing() {
    let pair = Pair::start();
    pair.follow_synchronously();
    let mut scene = Scene::set(pair);
    let worker = scene.deployment.serve();
    scene.publish(400);
    scene.completed(50);
    scene.pair.kill_primary();
    scene.address.lead_nowhere();
    scene.publish(100);
    scene.is_not_ready();
    scene.pair.promote();
    scene.address.lead_to(scene.pair.standby.port);
    scene.is_ready_again();
    scene.publish(100);
    scene.completed(600);
    scene.nothing_is_lost();
    assert_eq!(scene.put_aside(), "");
    for (id, status) in &scene.statuses.last {
        let highest = &scene.statuses.highest[id];
        assert_eq!(
            &status["revision"], highest,
            "{id}: the last record is the highest"
        );
    }
    worker.stop();
}

/// What the standby had not received is gone with the primary: requests that were complete, and half-way ones. Kafka still
/// has the commands, so they are taken in again.
#[test]
fn asynchronous_failover_loses_nothing_kafka_still_has() {
    let mut scene = Scene::set(Pair::start());
    let worker = scene.deployment.serve();
    scene.publish(50);
    scene.completed(50);
    scene.pair.replication.lead_nowhere();
    scene.publish(100);
    scene.completed(150);
    scene.publish(200);
    scene.completed(160);
    scene.pair.kill_primary();
    scene.address.lead_nowhere();
    scene.pair.promote();
    scene.address.lead_to(scene.pair.standby.port);
    // Nothing new arrives that would show the gap.
    scene.nothing_is_lost();
    scene.publish(50);
    scene.nothing_is_lost();
    // Acks of tasks that the standby never had are none of ours. No command is put aside.
    let acks = format!("\"topic\":\"{}\"", scene.deployment.topic("acks"));
    let put_aside = scene.put_aside();
    assert!(
        put_aside.lines().all(|letter| letter.contains(&acks)),
        "{put_aside}"
    );
    worker.stop();
}
