//! A worker that has no share of its group's partitions reads nothing: it is not ready, and says why.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use lacuna::{
    clock::Stopwatch,
    kafka::{KafkaError, admin::Admin, client::Cluster},
};
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer},
    mocking::MockCluster,
    producer::{BaseProducer, BaseRecord, Producer},
    types::{RDKafkaApiKey, RDKafkaRespErr},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::kafka::Publisher;
use crate::support::{Deployment, StoreKind, get, service, wait_for};

const PATIENCE: Duration = Duration::from_secs(60);

const REGISTRY: &str = r#"
[[processor]]
id = "crm"
kind = "crm"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
"#;

/// Another program in a group, as a console consumer is: with the client's usual assignors.
struct Stranger {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Stranger {
    /// Joins, and waits until it has partitions.
    fn join(group: &str, topic: &str) -> Self {
        Self::join_with("range,roundrobin", group, topic)
    }

    fn join_with(assignors: &str, group: &str, topic: &str) -> Self {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", service("LACUNA_TEST_KAFKA"))
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("partition.assignment.strategy", assignors)
            .create()
            .unwrap();
        consumer.subscribe(&[topic]).unwrap();
        wait_for("the stranger has partitions", PATIENCE, || {
            drop(consumer.poll(Duration::from_millis(100)));
            (consumer.assignment().unwrap().count() > 0).then_some(())
        });
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                drop(consumer.poll(Duration::from_millis(100)));
            }
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

#[test]
fn worker_outside_its_group_is_not_ready_and_names_stage() {
    let deployment = Deployment::new(StoreKind::Sqlite, REGISTRY);
    let stranger = Stranger::join(&deployment.prefix, &deployment.topic("commands"));
    let worker = deployment.start();
    let said = wait_for("the worker says why it is not ready", PATIENCE, || {
        let (status, body) = deployment.get("/readyz")?;
        assert_eq!(status, 503, "it has nothing to read: {body}");
        let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
        let of_intake = problem["errors"]
            .as_array()?
            .iter()
            .find(|error| error["field"] == "intake");
        of_intake?["detail"]
            .as_str()
            .filter(|detail| detail.contains("kafka.group_id"))
            .map(str::to_owned)
    });
    assert!(said.contains(&deployment.prefix), "{said}");
    drop(stranger);
    wait_for("it joins by itself", PATIENCE, || {
        deployment.get("/readyz").filter(|(status, _)| *status == 200)
    });
    worker.stop();
}

fn says_of(deployment: &Deployment, part: &str, expected: &[&str]) {
    wait_for(&format!("{part}: {expected:?}"), PATIENCE, || {
        let (status, body) = deployment.get("/readyz")?;
        let problem: Value = serde_json::from_str(&body).ok()?;
        let errors = problem["errors"].as_array()?;
        let detail = errors.iter().find(|error| error["field"] == part)?["detail"].as_str()?;
        (status == 503 && expected.iter().all(|expected| detail.contains(expected))).then_some(())
    });
}

fn lags(deployment: &Deployment) -> Vec<f64> {
    let topic = deployment.topic("commands");
    let lag = |n| {
        deployment.metric(&format!(
            "lacuna_consumer_lag{{partition=\"{n}\",topic=\"{topic}\"}}"
        ))
    };
    (0..6).filter_map(lag).collect()
}

/// It speaks the worker's own assignor, so the group gives it a share without any error, and nobody takes that in.
#[test]
fn stranger_with_our_assignor_is_named_until_it_leaves() {
    let deployment = Deployment::new(StoreKind::Sqlite, REGISTRY);
    let worker = deployment.serve();
    wait_for("each partition has its lag", PATIENCE, || {
        (lags(&deployment) == [0.0; 6]).then_some(())
    });
    let commands = deployment.topic("commands");
    let stranger = Stranger::join_with("cooperative-sticky", &deployment.prefix, &commands);
    let publisher = Publisher::new();
    for partition in 0..6 {
        publisher.publish_to(&commands, partition, b"{}");
    }
    let group = format!("consumer group {} ", deployment.prefix);
    says_of(
        &deployment,
        "kafka.groups",
        &[&group, "client.id rdkafka", &commands],
    );
    let theirs = lags(&deployment).into_iter().filter(|lag| *lag > 0.0).count();
    assert!(
        theirs > 0,
        "what nobody takes in is no lag of 0: {:?}",
        lags(&deployment)
    );
    drop(stranger);
    deployment.wait_until_ready(deployment.http);
    wait_for("all is taken in", PATIENCE, || {
        (lags(&deployment) == [0.0; 6]).then_some(())
    });
    worker.stop();
}

/// Two workers may call themselves what they like: both work for the store.
#[test]
fn worker_of_another_client_id_is_no_stranger() {
    let deployment = Deployment::new(StoreKind::Postgres, REGISTRY);
    let worker = deployment.serve();
    let config = std::fs::read_to_string(deployment.path("lacuna.toml")).unwrap();
    let named = format!("{config}\n[kafka.properties]\n\"client.id\" = \"eraser-2\"\n");
    deployment.write("lacuna.toml", &named);
    let (other, port) = deployment.serve_another();
    wait_for("they share the partitions", PATIENCE, || {
        (1..6).contains(&lags(&deployment).len()).then_some(())
    });
    let watched = Stopwatch::start();
    wait_for("longer than a standstill would take", PATIENCE, || {
        for port in [deployment.http, port] {
            let (_, body) = get(port, "/readyz")?;
            assert!(!body.contains("another program"), "{body}");
        }
        (watched.elapsed() > Duration::from_secs(25)).then_some(())
    });
    other.stop();
    worker.stop();
}

#[test]
fn topic_that_is_deleted_under_a_worker_is_named() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for (name, part) in [
        ("control", "kafka.topics"),
        ("acks", "kafka.topics"),
        ("commands", "kafka.topics"),
    ] {
        let deployment = Deployment::new(StoreKind::Sqlite, REGISTRY);
        let worker = deployment.serve();
        let cluster = Cluster {
            servers: service("LACUNA_TEST_KAFKA"),
            properties: [].into(),
            embedded: false,
        };
        let topic = deployment.topic(name);
        let admin = Admin::new(&cluster).unwrap();
        runtime
            .block_on(admin.delete(std::slice::from_ref(&topic)))
            .unwrap();
        says_of(&deployment, part, &["deleted under this worker", &topic]);
        deployment.lacuna_ok(&["topics", "create"]);
        wait_for("it is not named any more", PATIENCE, || {
            let (_, body) = deployment.get("/readyz")?;
            (!body.contains("deleted under this worker")).then_some(())
        });
        worker.stop();
    }
}

#[tokio::test]
async fn session_below_broker_minimum_is_found_by_asking() {
    let cluster = Cluster {
        servers: service("LACUNA_TEST_KAFKA"),
        properties: [].into(),
        embedded: false,
    };
    let admin = Admin::new(&cluster).unwrap();
    admin.check_session(Duration::from_secs(9)).await.unwrap();
    for lease in [Duration::from_secs(8), Duration::from_secs(3600)] {
        let refused = admin.check_session(lease).await;
        let Err(KafkaError::SessionRefused { min, max, .. }) = &refused else {
            panic!("{refused:?}")
        };
        assert_eq!((*min, *max), (6000, 1_800_000), "a broker's own settings");
        let words = refused.unwrap_err().to_string();
        assert!(
            words.contains("dispatch.lease") && words.contains("group.min.session.timeout.ms"),
            "{words}"
        );
    }
}

/// A broker in this process, which can be told to fail, and the worker's own client library at the other end.
#[test]
fn a_consumer_that_has_failed_for_good_is_replaced_by_a_new_one() {
    let mock = MockCluster::new(1).unwrap();
    let deployment = Deployment::new(StoreKind::Sqlite, REGISTRY);
    for name in [
        "commands",
        "control",
        "acks",
        "backups",
        "status",
        "dead-letters",
        "tasks.crm",
    ] {
        mock.create_topic(&deployment.topic(name), 2, 1).unwrap();
    }
    let config = std::fs::read_to_string(deployment.path("lacuna.toml")).unwrap();
    let config = config.replace(&service("LACUNA_TEST_KAFKA"), &mock.bootstrap_servers());
    deployment.write("mock.toml", &config);
    let worker = deployment.start_with("mock.toml");
    deployment.wait_until_ready(deployment.http);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", mock.bootstrap_servers())
        .create()
        .unwrap();
    let take_in = |n: usize| {
        let id = Uuid::now_v7();
        let command = json!({
            "command_id": id, "type": "erase", "tenant": "acme",
            "subject": { "identities": [{ "type": "email", "value": format!("canary-{n}@example.org") }] },
        })
        .to_string();
        let topic = deployment.topic("commands");
        let record = BaseRecord::<str, str>::to(&topic).payload(&command);
        producer.send(record).map_err(|(error, _)| error).unwrap();
        producer.flush(PATIENCE).unwrap();
        wait_for("the command is taken in", PATIENCE, || {
            deployment
                .get(&format!("/v1/requests/{id}"))
                .filter(|(status, _)| *status == 200)
        });
    };
    take_in(1);
    // Each of the worker's three consumers is told so at one of its next heartbeats.
    mock.request_errors(
        RDKafkaApiKey::Heartbeat,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID; 3],
    );
    wait_for("they have failed", PATIENCE, || {
        let log = std::fs::read_to_string(deployment.path("serve.log")).unwrap();
        (log.matches("the consumer cannot go on").count() >= 3).then_some(())
    });
    take_in(2);
    deployment.wait_until_ready(deployment.http);
    worker.stop();
}

#[test]
fn check_names_owned_and_unknown_kafka_properties() {
    let deployment = Deployment::new(StoreKind::Sqlite, REGISTRY);
    let good = std::fs::read_to_string(deployment.path("lacuna.toml")).unwrap();
    let lease = "lease = \"9s\"";
    let cases = [
        ("lease = \"5s\"", "", "dispatch.lease: expected 9s to 42m"),
        (lease, "\"session.timeout.ms\" = 10000", "set dispatch.lease"),
        (lease, "\"sesion.timeout.ms\" = 10000", "knows no such property"),
        // Each is right, together they are not.
        (
            lease,
            "\"security.protocol\" = \"ssl\"\n\"ssl.ca.location\" = \"/nowhere.pem\"",
            "ssl.ca.location",
        ),
    ];
    for (lines, properties, named) in cases {
        let config = format!(
            "{}\n[kafka.properties]\n{properties}\n",
            good.replace(lease, lines)
        );
        deployment.write("lacuna.toml", &config);
        for command in [&["check"][..], &["serve", "--wait", "1s"]] {
            let output = deployment.lacuna(command);
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert_eq!(
                output.status.code(),
                Some(2),
                "{command:?} {lines} {properties}: {stderr}"
            );
            assert!(
                stderr.contains(named),
                "{command:?} {lines} {properties}: {stderr}"
            );
        }
    }
}
