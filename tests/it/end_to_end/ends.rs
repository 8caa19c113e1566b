//! Where the ack topic ends, the whole way through the real binary: behind markers of transactions, behind what was aborted,
//! in partitions that were added while it ran. An answer that nobody has read is not missing, and nobody else's time-outs
//! wait for a partition that has been read to its end.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use rdkafka::{
    Offset, TopicPartitionList,
    admin::{AdminOptions, NewPartitions},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::kafka::{Publisher, Reader, Statuses, Transactions, admin, answer};
use crate::support::{Deployment, StoreKind, wait_for};

const PATIENCE: Duration = Duration::from_secs(60);
const PARTITIONS: i32 = 6;

/// One answers, and one does not.
const REGISTRY: &str = r#"
[[processor]]
id = "crm"
kind = "crm"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
[[processor]]
id = "mute"
kind = "other"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
ack_timeout = "2s"
retry = { initial = "1s", multiplier = 1.5, max = "2s", jitter = 0.0, attempts = 50 }
"#;

/// The tasks of one processor, as it reads them.
struct Tasks {
    reader: Reader,
    all: Vec<Value>,
}

impl Tasks {
    fn of(deployment: &Deployment, processor: &str) -> Self {
        Self {
            reader: Reader::new(&deployment.topic(&format!("tasks.{processor}"))),
            all: Vec::new(),
        }
    }

    fn read(&mut self) {
        let new = self.reader.read();
        self.all.extend(
            new.iter()
                .map(|record| serde_json::from_slice::<Value>(&record.value).unwrap()),
        );
    }

    /// The first task of each of these requests.
    fn wait_for(&mut self, ids: &BTreeSet<Uuid>) -> Vec<Value> {
        wait_for("they are asked", PATIENCE, || {
            self.read();
            let mut first: BTreeMap<Uuid, Value> = BTreeMap::new();
            for task in &self.all {
                let id: Uuid = task["request_id"].as_str().unwrap().parse().unwrap();
                if ids.contains(&id) {
                    first.entry(id).or_insert_with(|| task.clone());
                }
            }
            (first.len() == ids.len()).then(|| first.into_values().collect())
        })
    }

    /// The highest attempt of each request.
    fn attempts(&self) -> BTreeMap<Uuid, u64> {
        let mut attempts = BTreeMap::new();
        for task in &self.all {
            let id: Uuid = task["request_id"].as_str().unwrap().parse().unwrap();
            let attempt = task["attempt"].as_u64().unwrap();
            let highest = attempts.entry(id).or_insert(attempt);
            *highest = attempt.max(*highest);
        }
        attempts
    }

    /// Waits until each of these was asked once more than before.
    fn wait_until_asked_again(&mut self, what: &str, ids: &BTreeSet<Uuid>) {
        self.read();
        let before = self.attempts();
        wait_for(what, Duration::from_secs(40), || {
            self.read();
            let attempts = self.attempts();
            ids.iter()
                .all(|id| attempts.get(id) > before.get(id))
                .then_some(())
        });
    }
}

fn publish(deployment: &Deployment, publisher: &Publisher, count: usize) -> BTreeSet<Uuid> {
    let ids: BTreeSet<Uuid> = (0..count).map(|_| Uuid::now_v7()).collect();
    for id in &ids {
        let command = json!({
            "command_id": id, "type": "erase", "tenant": "acme", "reason": "account_closed",
            "subject": { "identities": [{ "type": "email", "value": format!("canary-{id}@example.org") }] },
        });
        let body = command.to_string();
        publisher.publish(
            &deployment.topic("commands"),
            Some(&id.to_string()),
            body.as_bytes(),
        );
    }
    publisher.flush();
    ids
}

fn keyed(tasks: &[Value]) -> Vec<(Result<&str, i32>, String)> {
    let ack = |task| (Ok(task_id(task)), answer(task, "erased").to_string());
    tasks.iter().map(ack).collect()
}

fn task_id(task: &Value) -> &str {
    task["request_id"].as_str().unwrap()
}

/// One record for each partition.
fn everywhere() -> Vec<(Result<&'static str, i32>, String)> {
    (0..PARTITIONS).map(|n| (Err(n), "{}".to_owned())).collect()
}

fn wait_until_read(deployment: &Deployment, partitions: i32) {
    let acks = deployment.topic("acks");
    wait_for("nothing is left to be read", PATIENCE, || {
        let lag = |n| {
            deployment.metric(&format!(
                "lacuna_consumer_lag{{partition=\"{n}\",topic=\"{acks}\"}}"
            ))
        };
        (0..partitions).all(|n| lag(n) == Some(0.0)).then_some(())
    });
}

#[test]
fn transactional_acks_freeze_no_time_outs_on_postgres() {
    transactions(StoreKind::Postgres);
}

#[test]
fn transactional_acks_freeze_no_time_outs_on_sqlite() {
    transactions(StoreKind::Sqlite);
}

fn transactions(store: StoreKind) {
    let deployment = Deployment::new(store, REGISTRY);
    let (publisher, transactions) = (Publisher::new(), Transactions::new());
    let acks = deployment.topic("acks");
    let worker = deployment.serve();
    let (mut crm, mut mute) = (Tasks::of(&deployment, "crm"), Tasks::of(&deployment, "mute"));

    let ids = publish(&deployment, &publisher, 30);
    let asked = crm.wait_for(&ids);
    transactions.begin(&acks, &keyed(&asked));
    transactions.commit();
    wait_until_read(&deployment, PARTITIONS);
    mute.wait_until_asked_again("a commit is the last record of each partition", &ids);

    // Nothing of it is given to anybody, and all the same the log is longer.
    transactions.begin(&acks, &everywhere());
    transactions.abort();
    wait_until_read(&deployment, PARTITIONS);
    mute.wait_until_asked_again("an abort is the last record of each partition", &ids);

    // Nothing behind its first record can be read, for as long as it is open.
    transactions.begin(&acks, &everywhere());
    let later = publish(&deployment, &publisher, 1);
    let asked = crm.wait_for(&later);
    for (place, ack) in keyed(&asked) {
        publisher.publish(&acks, place.ok(), ack.as_bytes());
    }
    publisher.flush();
    mute.wait_until_asked_again("a transaction stays open", &ids);
    let open = |n: i32| {
        deployment.metric(&format!(
            "lacuna_open_transaction_seconds{{partition=\"{n}\",topic=\"{acks}\"}}"
        ))
    };
    assert!(
        (0..PARTITIONS).all(|n| open(n) >= Some(5.0)),
        "how long it has been open shows"
    );
    transactions.abort();
    wait_until_read(&deployment, PARTITIONS);
    wait_for("none is open any more", PATIENCE, || {
        (0..PARTITIONS).all(|n| open(n) == Some(0.0)).then_some(())
    });
    let mut statuses = Statuses::new(&deployment.topic("status"));
    wait_for("what was answered behind it counts", PATIENCE, || {
        statuses.read();
        later
            .iter()
            .all(|id| {
                statuses
                    .last
                    .get(id)
                    .is_some_and(|status| status["tasks"]["done"] == 1)
            })
            .then_some(())
    });
    crm.read();
    assert!(
        crm.attempts().values().all(|attempt| *attempt == 1),
        "whoever answered is left alone"
    );
    assert_no_dead_letters(&deployment);
    worker.stop();
    retention_takes_markers(&deployment, &publisher, &mut crm, &mut statuses);
}

/// The log begins behind the last marker now: no message was lost, and reading goes on.
fn retention_takes_markers(
    deployment: &Deployment,
    publisher: &Publisher,
    crm: &mut Tasks,
    statuses: &mut Statuses,
) {
    let acks = deployment.topic("acks");
    let mut until = TopicPartitionList::new();
    for n in 0..PARTITIONS {
        until.add_partition_offset(&acks, n, Offset::End).unwrap();
    }
    let deleted = block_on(admin().delete_records(&until, &AdminOptions::new())).unwrap();
    assert!(
        deleted.elements().iter().all(|element| element.error().is_ok()),
        "{deleted:?}"
    );
    let worker = deployment.serve();
    let last = publish(deployment, publisher, 1);
    let asked = crm.wait_for(&last);
    // To each partition, so that each is looked at; all but one are repeats.
    for n in 0..PARTITIONS {
        publisher.publish_to(&acks, n, answer(&asked[0], "erased").to_string().as_bytes());
    }
    wait_for("the answer counts", PATIENCE, || {
        statuses.read();
        last.iter()
            .all(|id| {
                statuses
                    .last
                    .get(id)
                    .is_some_and(|status| status["tasks"]["done"] == 1)
            })
            .then_some(())
    });
    wait_until_read(deployment, PARTITIONS);
    assert_eq!(deployment.get("/readyz").unwrap().0, 200);
    worker.stop();
    let log = std::fs::read_to_string(deployment.path("serve.log")).unwrap();
    assert!(!log.contains("messages were lost"), "{log}");
}

fn assert_no_dead_letters(deployment: &Deployment) {
    assert_eq!(deployment.lacuna_ok(&["dead-letters", "list", "--json"]), "");
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// Its answer counts although nobody knew the partition when it was asked.
const HASTY: &str = r#"
[[processor]]
id = "crm"
kind = "crm"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
ack_timeout = "2s"
retry = { initial = "1s", multiplier = 1.0, max = "1s", jitter = 0.0, attempts = 2 }
"#;

#[test]
fn ack_in_added_partition_is_read_and_not_missed() {
    let deployment = Deployment::new(StoreKind::Postgres, HASTY);
    let publisher = Publisher::new();
    let (acks, commands) = (deployment.topic("acks"), deployment.topic("commands"));
    let worker = deployment.serve();
    let mut crm = Tasks::of(&deployment, "crm");
    wait_until_read(&deployment, PARTITIONS);
    let ids = publish(&deployment, &publisher, 1);
    let asked = crm.wait_for(&ids);
    let added = [NewPartitions::new(&acks, 8), NewPartitions::new(&commands, 8)];
    for result in block_on(admin().create_partitions(&added, &AdminOptions::new())).unwrap() {
        result.unwrap();
    }
    Publisher::new().publish_to(&acks, 7, answer(&asked[0], "erased").to_string().as_bytes());
    let mut statuses = Statuses::new(&deployment.topic("status"));
    wait_for("the answer counts", PATIENCE, || {
        statuses.read();
        (statuses.completed() == 1).then_some(())
    });
    crm.read();
    assert_eq!(
        crm.attempts().into_values().collect::<Vec<_>>(),
        [1],
        "it had answered"
    );
    // A command in a new partition is taken in as well.
    let id = Uuid::now_v7();
    let command = json!({
        "command_id": id, "type": "erase", "tenant": "acme",
        "subject": { "identities": [{ "type": "email", "value": "canary-new@example.org" }] },
    });
    Publisher::new().publish_to(&commands, 6, command.to_string().as_bytes());
    wait_for("it is opened", PATIENCE, || {
        statuses.read();
        statuses.last.contains_key(&id).then_some(())
    });
    worker.stop();
}
