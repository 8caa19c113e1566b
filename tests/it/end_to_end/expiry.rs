//! What is kept for seconds in place of years: tombstones on a real Kafka, from a worker that is killed in between.

use std::{collections::BTreeMap, process::Command, time::Duration};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use uuid::Uuid;

use super::kafka::{Publisher, Reader, Record};
use crate::support::{Deployment, Program, StoreKind, repository, service, wait_for};

const REGISTRY: &str = "[[processor]]\nid = \"crm\"\nname = \"crm\"\nkind = \"crm\"\ntransport = { type = \"kafka\" }\n\
                        actions = [\"erase\"]\nidentities = [\"email\"]\n";

#[test]
fn rows_go_and_their_keys_get_tombstones_on_postgres() {
    run(StoreKind::Postgres);
}

#[test]
fn rows_go_and_their_keys_get_tombstones_on_sqlite() {
    run(StoreKind::Sqlite);
}

/// The last value of each key; `None`: a tombstone.
#[derive(Default)]
struct Table(BTreeMap<String, Option<Value>>);

impl Table {
    fn take(&mut self, records: Vec<Record>) {
        for record in records {
            let key = String::from_utf8(record.key.unwrap()).unwrap();
            let value = record
                .has_value
                .then(|| serde_json::from_slice(&record.value).unwrap());
            self.0.insert(key, value);
        }
    }

    fn tombstones(&self) -> usize {
        self.0.values().filter(|value| value.is_none()).count()
    }
}

fn run(store: StoreKind) {
    const COUNT: usize = 40;
    let deployment = Deployment::new(store, REGISTRY);
    let config = std::fs::read_to_string(deployment.path("lacuna.toml")).unwrap();
    let topic = deployment.topic("suppression");
    let config = config.replace("topics = {", &format!("topics = {{ suppression = \"{topic}\","));
    let with_years = format!("{config}[vault]\n");
    let with_seconds = format!("{config}[vault]\nlookups_keep = \"1s\"\nrecords_keep = \"2s\"\n");
    deployment.write("lacuna.toml", &with_years);
    let created = deployment.lacuna_ok(&["topics", "create"]);
    assert!(
        created.contains(&format!("created  {topic}  (suppressed identities")),
        "{created}"
    );
    let _processor = Program::start(
        Command::new(service("LACUNA_TEST_PYTHON"))
            .arg(repository("tests/support/processors.py"))
            .args([
                service("LACUNA_TEST_KAFKA"),
                format!("{}.tasks.", deployment.prefix),
            ])
            .arg("crm=fast")
            .stdout(std::process::Stdio::null()),
    );
    assert!(
        created.contains("'User:<importers>'") && created.contains("lacuna keys suppression"),
        "{created}"
    );
    let worker = deployment.serve();
    let key = deployment.lacuna_ok(&["keys", "suppression", "--tenant", "acme"]);
    let key = hex::decode(key.lines().last().unwrap()).unwrap();
    let publisher = Publisher::new();
    let mut expected = BTreeMap::new();
    for n in 0..COUNT {
        let id = Uuid::now_v7();
        let mail = format!("canary-{n}@example.org");
        let command = json!({ "command_id": id, "type": "erase", "tenant": "acme", "requested_at": "2026-11-01T00:00:00Z",
                              "subject": { "identities": [{ "type": "email", "value": mail.to_uppercase() }] } });
        publisher.publish(
            &deployment.topic("commands"),
            None,
            command.to_string().as_bytes(),
        );
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(format!("email\0{mail}").as_bytes());
        expected.insert(hex::encode(mac.finalize().into_bytes()), id.to_string());
    }
    publisher.flush();
    let (statuses, suppressed) = (Reader::new(&deployment.topic("status")), Reader::new(&topic));
    let (mut of_status, mut of_suppression) = (Table::default(), Table::default());
    wait_for("all are complete", Duration::from_secs(60), || {
        of_status.take(statuses.read());
        let done = |value: &&Option<Value>| value.as_ref().is_some_and(|v| v["status"] == "completed");
        (of_status.0.values().filter(done).count() == COUNT).then_some(())
    });
    of_suppression.take(suppressed.read());
    let message = json!({ "tenant": "acme", "identity_type": "email", "recipe": "v2", "since": "2026-11-01T00:00:00Z" });
    let known: BTreeMap<&str, &Option<Value>> = of_suppression
        .0
        .iter()
        .map(|(key, value)| (key.as_str(), value))
        .collect();
    assert_eq!(known.len(), COUNT);
    for key in expected.keys() {
        assert_eq!(known[key.as_str()].as_ref(), Some(&message));
    }
    worker.kill();

    // The first worker that keeps for seconds dies at once; the next one says whatever it has left unsaid.
    deployment.write("lacuna.toml", &with_seconds);
    deployment.serve().kill();
    let worker = deployment.serve();
    wait_for("every key has its tombstone", Duration::from_secs(90), || {
        of_status.take(statuses.read());
        of_suppression.take(suppressed.read());
        (of_status.tombstones() == COUNT && of_suppression.tombstones() == COUNT).then_some(())
    });
    deployment.gauge_shows("lacuna_requests{status=\"completed\"}", 0.0);
    let id = expected.values().next().unwrap();
    assert_eq!(deployment.get(&format!("/v1/requests/{id}")).unwrap().0, 404);
    let (code, events) = deployment.get(&format!("/v1/requests/{id}/events")).unwrap();
    assert_eq!(code, 200, "the ledger stays");
    assert!(events.contains("\"purged\""), "{events}");
    worker.stop();
    let log = std::fs::read_to_string(deployment.path("serve.log")).unwrap();
    assert!(!log.contains("canary-") && !log.contains("panicked"), "{log}");
}
