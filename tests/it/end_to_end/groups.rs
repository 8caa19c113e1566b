//! A worker that has no share of its group's partitions reads nothing: it is not ready, and says why.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use lacuna::kafka::{KafkaError, admin::Admin, client::Cluster};
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer},
    mocking::MockCluster,
    producer::{BaseProducer, BaseRecord, Producer},
    types::{RDKafkaApiKey, RDKafkaRespErr},
};
use serde_json::json;
use uuid::Uuid;

use crate::support::{Deployment, StoreKind, service, wait_for};

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
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", service("LACUNA_TEST_KAFKA"))
            .set("group.id", group)
            .set("enable.auto.commit", "false")
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
fn a_worker_that_cannot_join_its_group_is_not_ready_and_names_the_stage() {
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

#[tokio::test]
async fn a_session_that_the_brokers_would_refuse_is_found_by_asking_them() {
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
fn check_names_what_is_not_for_a_user_to_set_and_what_the_client_library_does_not_take() {
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
