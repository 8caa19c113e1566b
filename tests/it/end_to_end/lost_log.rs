//! The log is not what the store remembers: the real binary on a real Kafka, whose topics are cut, made anew and moved under it.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};
use uuid::Uuid;

use super::kafka::{Operator, Publisher};
use crate::support::{Deployment, StoreKind, wait_for};

const PATIENCE: Duration = Duration::from_secs(60);

/// As `lacuna topics create` makes it.
const PARTITIONS: i32 = 6;

const REGISTRY: &str = r#"
[[processor]]
id = "crm"
kind = "crm"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
"#;

struct Scene {
    deployment: Deployment,
    publisher: Publisher,
    operator: Operator,
    topic: String,
}

impl Scene {
    fn new(store: StoreKind) -> Self {
        let deployment = Deployment::new(store, REGISTRY);
        let topic = deployment.topic("commands");
        Self {
            deployment,
            publisher: Publisher::new(),
            operator: Operator::new(),
            topic,
        }
    }

    /// Publishes so many new commands to each of these partitions.
    fn publish(&self, partitions: impl IntoIterator<Item = i32>, each: usize) {
        for partition in partitions {
            for _ in 0..each {
                let id = Uuid::now_v7();
                let command = json!({
                    "command_id": id, "type": "erase", "tenant": "acme",
                    "subject": { "identities": [{ "type": "email", "value": format!("canary-{id}@example.org") }] },
                });
                self.publisher
                    .publish_to(&self.topic, partition, command.to_string().as_bytes());
            }
        }
        self.publisher.flush();
    }

    /// How many requests the store has.
    fn taken_in(&self) -> usize {
        let series = "lacuna_requests{status=\"in_progress\"}";
        self.deployment.metric(series).unwrap_or_default() as usize
    }

    fn await_taken_in(&self, count: usize) {
        wait_for(&format!("{count} are taken in"), PATIENCE, || {
            (self.taken_in() >= count).then_some(())
        });
        assert_eq!(self.taken_in(), count);
    }

    /// What `lacuna positions list` says of the stopped partitions of the commands' topic.
    fn stopped(&self) -> Vec<(i32, String)> {
        let listed = self.deployment.lacuna(&["positions", "list", "--json"]);
        let stdout = String::from_utf8(listed.stdout).unwrap();
        let lines: Vec<Value> = stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert!(!lines.is_empty(), "{}", String::from_utf8_lossy(&listed.stderr));
        let stopped: Vec<(i32, String)> = lines
            .iter()
            .filter(|line| line["state"] == "stopped")
            .map(|line| {
                assert_eq!(line["topic"], self.topic, "{line}");
                let partition = line["partition"].as_i64().unwrap();
                (
                    i32::try_from(partition).unwrap(),
                    line["why"].as_str().unwrap().to_owned(),
                )
            })
            .collect();
        let code = i32::from(!stopped.is_empty());
        assert_eq!(listed.status.code(), Some(code), "{stdout}");
        stopped
    }

    /// Waits until exactly these partitions are stopped, loudly.
    fn await_stopped(&self, partitions: impl IntoIterator<Item = i32>, why: &str) {
        let wanted: BTreeSet<i32> = partitions.into_iter().collect();
        let gauge = |partition: i32| {
            let topic = &self.topic;
            self.deployment.metric(&format!(
                "lacuna_partition_stopped{{partition=\"{partition}\",topic=\"{topic}\"}}"
            ))
        };
        wait_for("they are stopped", PATIENCE, || {
            let stopped = (0..PARTITIONS).filter(|partition| gauge(*partition) == Some(1.0));
            (stopped.collect::<BTreeSet<i32>>() == wanted).then_some(())
        });
        let (status, ready) = self.deployment.get("/readyz").unwrap();
        assert_eq!(status, 503, "{ready}");
        for partition in &wanted {
            for part in [format!("{}/{partition}: ", self.topic), why.to_owned()] {
                assert!(ready.contains(&part), "{part:?} is missing in {ready}");
            }
        }
        // The way on is said once, however many there are.
        let which = match wanted.iter().collect::<Vec<_>>()[..] {
            [one] => one.to_string(),
            _ => "--all-stopped".to_owned(),
        };
        let way_on = format!("lacuna positions accept {} {which} --actor", self.topic);
        assert_eq!(ready.matches("lacuna positions accept").count(), 1, "{ready}");
        assert!(ready.contains(&way_on), "{way_on:?} is missing in {ready}");
        let listed = self.stopped();
        assert_eq!(
            listed
                .iter()
                .map(|(partition, _)| *partition)
                .collect::<BTreeSet<_>>(),
            wanted
        );
        assert!(listed.iter().all(|(_, said)| said.contains(why)), "{listed:?}");
        let log = std::fs::read_to_string(self.deployment.path("serve.log")).unwrap();
        assert!(
            log.contains("a partition is not read") && !log.contains("canary-"),
            "{log}"
        );
    }

    fn accept(&self, partition: i32) {
        let partition = partition.to_string();
        let arguments = [
            "positions",
            "accept",
            &self.topic,
            &partition,
            "--actor",
            "j.doe",
            "--reason",
            "ticket T-17",
        ];
        let said = self.deployment.lacuna_ok(&arguments);
        assert!(said.contains("accepted") && said.contains("reconcile"), "{said}");
        // What is accepted is not stopped any more.
        let again = self.deployment.lacuna(&arguments);
        assert_eq!(again.status.code(), Some(1));
    }

    /// Accepts all that are stopped at once.
    fn accept_all(&self, count: usize) {
        let arguments = [
            "positions",
            "accept",
            &self.topic,
            "--all-stopped",
            "--actor",
            "j.doe",
            "--reason",
            "ticket T-17",
        ];
        let said = self.deployment.lacuna_ok(&arguments);
        assert_eq!(said.matches("accepted").count(), count, "{said}");
        assert_eq!(said.matches("reconcile").count(), 1, "{said}");
        let again = self.deployment.lacuna(&arguments);
        assert_eq!(again.status.code(), Some(1), "none is stopped any more");
    }

    fn await_ready(&self) {
        wait_for("it is ready again", PATIENCE, || {
            self.deployment
                .get("/readyz")
                .filter(|(status, _)| *status == 200)
        });
        assert_eq!(self.stopped(), []);
    }

    /// The guard has looked at what was taken in, so that a log that is swapped later is noticed.
    fn await_checked(&self) {
        let unchecked = "select count(*) from position where last_offset is not null and \
                         (checked_offset is null or checked_offset < last_offset)";
        wait_for("the last records are checked", PATIENCE, || {
            (self.deployment.number(unchecked) == 0).then_some(())
        });
    }

    /// The next offset of a partition, and those of its log's beginning and end.
    fn position(&self, partition: i32) -> (i64, i64, i64) {
        let listed = self.deployment.lacuna(&["positions", "list", "--json"]);
        let stdout = String::from_utf8(listed.stdout).unwrap();
        let of = stdout
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .find(|line| line["topic"] == self.topic && line["partition"] == partition)
            .unwrap();
        let number = |name: &str| of[name].as_i64().unwrap_or_default();
        (number("next_offset"), number("low"), number("high"))
    }
}

/// The group's offsets are moved forward: what lies between is taken in nevertheless.
#[test]
fn offsets_moved_forward_skip_nothing_on_postgres() {
    let scene = Scene::new(StoreKind::Postgres);
    let worker = scene.deployment.serve();
    scene.publish(0..PARTITIONS, 5);
    scene.await_taken_in(30);
    worker.stop();
    scene.publish(0..PARTITIONS, 8);
    let group = &scene.deployment.prefix;
    scene
        .operator
        .move_offsets(group, &scene.topic, PARTITIONS, |_, high| high);
    let worker = scene.deployment.serve();
    scene.publish(0..PARTITIONS, 2);
    scene.await_taken_in(30 + 48 + 12);
    scene.await_ready();
    worker.stop();
}

#[test]
fn restored_store_takes_log_in_again_on_postgres() {
    put_back(StoreKind::Postgres);
}

#[test]
fn restored_store_takes_log_in_again_on_sqlite() {
    put_back(StoreKind::Sqlite);
}

fn put_back(store: StoreKind) {
    let scene = Scene::new(store);
    let worker = scene.deployment.serve();
    scene.publish(0..PARTITIONS, 3);
    scene.await_taken_in(18);
    worker.stop();
    scene.deployment.copy_store();
    let worker = scene.deployment.serve();
    scene.publish(0..PARTITIONS, 2);
    scene.await_taken_in(30);
    worker.stop();
    scene.deployment.put_store_back();
    let worker = scene.deployment.serve();
    scene.await_taken_in(30);
    scene.publish(0..PARTITIONS, 1);
    scene.await_taken_in(36);
    scene.await_ready();
    // And once more, under the running worker: a failover that loses commits.
    scene.deployment.execute(
        "update position set next_offset = next_offset - 1, last_offset = null where topic like '%.commands'",
    );
    wait_for("the worker goes back to the store's position", PATIENCE, || {
        let log = std::fs::read_to_string(scene.deployment.path("serve.log")).unwrap();
        log.contains("the store has gone back").then_some(())
    });
    scene.publish(0..PARTITIONS, 1);
    scene.await_taken_in(42);
    worker.stop();
}

#[test]
fn retention_overtaking_worker_stops_that_partition_only() {
    let scene = Scene::new(StoreKind::Sqlite);
    let worker = scene.deployment.serve();
    scene.publish(0..PARTITIONS, 5);
    scene.await_taken_in(30);
    worker.signal("-STOP");
    scene.publish(0..PARTITIONS, 40);
    scene.operator.remove_before(&scene.topic, 2, 30);
    worker.signal("-CONT");
    // One or the other was on its way already.
    let (next, ..) = scene.position(2);
    let lost = format!("up to {} messages were removed before they were read", 30 - next);
    scene.await_stopped([2], &lost);
    // The others go on.
    scene.publish(0..PARTITIONS, 1);
    let others = 5 * 46;
    scene.await_taken_in(others + usize::try_from(next).unwrap());
    // Nobody else may be accepted, and a restart changes nothing.
    let other = [
        "positions",
        "accept",
        &scene.topic,
        "3",
        "--actor",
        "j.doe",
        "--reason",
        "x",
    ];
    assert_eq!(scene.deployment.lacuna(&other).status.code(), Some(1));
    worker.stop();
    let worker = scene.deployment.start();
    scene.await_stopped([2], &lost);
    scene.accept(2);
    scene.await_taken_in(others + usize::try_from(next).unwrap() + 16);
    scene.await_ready();
    worker.stop();
}

#[test]
fn a_topic_made_anew_while_running_is_no_replay() {
    let scene = Scene::new(StoreKind::Postgres);
    let worker = scene.deployment.serve();
    scene.publish(0..PARTITIONS, 20);
    scene.await_taken_in(120);
    scene.operator.make_anew(&scene.topic, PARTITIONS);
    scene.publish(0..PARTITIONS, 10);
    scene.await_stopped(0..PARTITIONS, "the log ends at");
    assert_eq!(scene.taken_in(), 120);
    for partition in 0..PARTITIONS {
        scene.accept(partition);
    }
    scene.await_taken_in(180);
    scene.await_ready();
    scene.publish(0..PARTITIONS, 1);
    scene.await_taken_in(186);
    worker.stop();
}

#[test]
fn recreated_topic_past_position_is_noticed_while_running() {
    let scene = Scene::new(StoreKind::Sqlite);
    let worker = scene.deployment.serve();
    scene.publish(0..PARTITIONS, 5);
    scene.await_taken_in(30);
    scene.await_checked();
    // The client must not see the topic while it is short.
    worker.signal("-STOP");
    scene.operator.make_anew(&scene.topic, PARTITIONS);
    scene.publish(0..PARTITIONS, 9);
    worker.signal("-CONT");
    scene.await_stopped(0..PARTITIONS, "is not the one that was taken in");
    for partition in 0..PARTITIONS {
        scene.accept(partition);
    }
    scene.await_taken_in(30 + 54);
    scene.await_ready();
    worker.stop();
}

#[test]
fn recreated_topic_past_position_is_noticed_at_start() {
    let scene = Scene::new(StoreKind::Postgres);
    let worker = scene.deployment.serve();
    scene.publish(0..PARTITIONS, 5);
    scene.await_taken_in(30);
    worker.stop();
    scene.operator.make_anew(&scene.topic, PARTITIONS);
    scene.publish(0..PARTITIONS, 9);
    let worker = scene.deployment.start();
    scene.await_stopped(0..PARTITIONS, "is not the one that was taken in");
    assert_eq!(scene.taken_in(), 30);
    scene.accept_all(6);
    scene.await_taken_in(30 + 54);
    scene.await_ready();
    worker.stop();
}

#[test]
fn a_replay_that_the_store_does_not_know_stops_its_partition() {
    let scene = Scene::new(StoreKind::Postgres);
    let worker = scene.deployment.serve();
    scene.publish([0, 1], 5);
    scene.await_taken_in(10);
    worker.stop();
    // Everything is read again as replays, and of one partition nobody has heard.
    let group = &scene.deployment.prefix;
    scene
        .operator
        .move_offsets(group, &scene.topic, PARTITIONS, |low, _| low);
    scene.publish([3], 1);
    scene.deployment.execute(&format!(
        "insert into position (cluster, topic, part, next_offset, seen_until) \
         select cluster, topic, 3, 1, 0 from position where topic = '{}' and part = 0 \
         on conflict (cluster, topic, part) do update set next_offset = 1, last_offset = null",
        scene.topic
    ));
    let worker = scene.deployment.start();
    scene.await_stopped([3], "the store does not know it");
    scene.publish([1], 1);
    scene.await_taken_in(11);
    scene.accept(3);
    scene.await_taken_in(12);
    scene.await_ready();
    worker.stop();
}

#[test]
fn other_cluster_is_not_read_until_accepted() {
    let scene = Scene::new(StoreKind::Sqlite);
    let worker = scene.deployment.serve();
    scene.publish([0, 1], 3);
    scene.await_taken_in(6);
    worker.stop();
    scene
        .deployment
        .execute("update position set cluster = 'the-cluster-before'");
    scene.publish([0], 2);
    let worker = scene.deployment.start();
    scene.await_stopped([0, 1], "from cluster the-cluster-before");
    // A partition that was empty there is read.
    scene.publish([4], 1);
    scene.await_taken_in(7);
    scene.accept(0);
    scene.accept(1);
    scene.await_taken_in(9);
    scene.await_ready();
    worker.stop();
}
