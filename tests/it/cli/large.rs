//! Messages that are unpacked to far more than anybody can want.

use std::time::Duration;

use lacuna::clock::Stopwatch;
use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    deferring::serving,
    services::from_its_start,
    worker::{signal, until},
    workspace::{Done, PATIENCE, REGISTRY, service},
};

fn command(metadata: &str) -> Value {
    json!({ "command_id": Uuid::now_v7(), "type": "erase", "metadata": { "canary": metadata },
            "subject": { "identities": [{ "type": "email", "value": "ann@example.org" }] } })
}

/// The broker takes a few KB that become 5 MiB. Its dead letter was refused by the producer again and again, and nothing
/// else was taken in meanwhile.
#[tokio::test]
async fn message_too_large_when_unpacked_stops_nothing() {
    let (workspace, worker, _, prefix) = serving(REGISTRY, "").await;
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", service("LACUNA_TEST_KAFKA"))
        .set("compression.type", "gzip")
        .set("message.max.bytes", "20000000")
        .create()
        .unwrap();
    let topic = format!("{prefix}.commands");
    let bomb = command(&"x".repeat(5 << 20)).to_string();
    let largest = command(&"x".repeat((4 << 20) - 200)).to_string();
    let small = command("");
    assert!(bomb.len() > 4 << 20 && largest.len() <= 4 << 20);
    for payload in [&bomb, &largest, &small.to_string()] {
        producer
            .send(BaseRecord::<str, str>::to(&topic).payload(payload).partition(0))
            .unwrap();
    }
    tokio::task::spawn_blocking(move || producer.flush(Duration::from_secs(20)).unwrap())
        .await
        .unwrap();
    let list = ["dead-letters", "list", "--json"];
    let Done { stdout, .. } = until(&workspace, &list, |done| done.stdout.lines().count() == 2).await;
    let letters: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(
        letters.iter().all(|letter| letter["reason"] == "too_large"),
        "{letters:?}"
    );
    let id = small["command_id"].as_str().unwrap();
    until(&workspace, &["status", id], |done| done.code == 0).await;
    // Their dead letters stand on the topic: the first one without what it cannot have.
    let dead_letters = format!("{prefix}.dead-letters");
    let lengths = tokio::task::spawn_blocking(move || lengths_of(&dead_letters))
        .await
        .unwrap();
    assert!(lengths[0] == 0 && lengths[1] > largest.len(), "{lengths:?}");
    // Those of one batch stand in any order.
    let mut ids: Vec<&str> = letters
        .iter()
        .map(|letter| letter["id"].as_str().unwrap())
        .collect();
    let Done { stdout, .. } = workspace.run(&["dead-letters", "show", ids[0]]).await.expect(0);
    if stdout.contains("sealed") {
        ids.reverse();
    }
    let [id, kept] = ids[..] else { panic!("{ids:?}") };
    let Done { stdout, .. } = workspace.run(&["dead-letters", "show", id]).await.expect(0);
    assert!(
        stdout.contains("not kept: of a message, 4 MiB are kept at the most"),
        "{stdout}"
    );
    let Done { stdout, .. } = workspace
        .run(&["dead-letters", "show", kept, "--reveal"])
        .await
        .expect(0);
    assert_eq!(stdout.len(), largest.len());
    let Done { stderr, .. } = workspace.run(&["dead-letters", "redrive", id]).await.expect(1);
    assert!(stderr.contains("4 MiB are kept at the most"), "{stderr}");
    signal(&worker, "-TERM").await;
    let output = worker.wait_with_output().await.unwrap();
    assert!(output.status.success());
}

/// How long the first two records of a topic are, the shorter one first.
fn lengths_of(topic: &str) -> [usize; 2] {
    let consumer = from_its_start(topic);
    let (mut lengths, watch) = (Vec::new(), Stopwatch::start());
    while lengths.len() < 2 {
        if let Some(record) = consumer.poll(Duration::from_secs(1)) {
            lengths.push(record.unwrap().payload_len());
        }
        assert!(watch.elapsed() < PATIENCE, "{topic} has {lengths:?} only");
    }
    lengths.sort_unstable();
    [lengths[0], lengths[1]]
}
