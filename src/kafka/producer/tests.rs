//! The producer against brokers that fail it.

use rdkafka::{
    mocking::MockCluster,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};

use super::*;
use crate::{
    domain::{time::At, words::DeadLetterReason},
    engine::effects::DeadLetterNotice,
    kafka::{embedded::EmbeddedBroker, routing::Topics},
    store::Origin,
};

const TOPIC: &str = "dead-letters";
const PATIENCE: Duration = Duration::from_secs(40);

fn letter(bytes: usize) -> Effect {
    Effect::DeadLetter(DeadLetterNotice {
        reason: DeadLetterReason::Schema,
        origin: Origin {
            cluster: Arc::from("here"),
            topic: Arc::from("commands"),
            partition: 0,
            offset: 7,
            incarnation: 0,
        },
        at: At::default(),
        sealed: vec![b'x'; bytes].into(),
    })
}

fn letters(count: usize) -> Vec<Effect> {
    vec![letter(2); count]
}

fn producer(servers: &str, max_in_flight: u32) -> Producer {
    let topics = Topics {
        acks: Arc::from("acks"),
        ack_url: None,
        status: Arc::from("statuses"),
        dead_letters: Arc::from(TOPIC),
        suppression: None,
        tasks_prefix: "tasks.".to_owned(),
    };
    let routing = Routing::new(topics, || None);
    Producer::new(&Cluster::embedded(servers), routing, max_in_flight).unwrap()
}

async fn send(producer: &Producer, effects: &[Effect], manner: Manner) -> Vec<Failure> {
    let sent = producer.send(effects, manner).await.unwrap();
    tokio::time::timeout(PATIENCE, sent.failures()).await.unwrap()
}

/// Confirming what had waited for room once stood behind sending, which waited for what stood behind the confirming.
#[tokio::test]
async fn what_is_sent_again_does_not_wait_for_room() {
    let broker = EmbeddedBroker::start(vec![(TOPIC.to_owned(), 1)]).unwrap();
    let producer = Arc::new(producer(broker.servers(), 10));
    let holds_the_room = producer.send(&letters(8), Manner::WithinLimit).await.unwrap();
    let waits_for_room = {
        let producer = Arc::clone(&producer);
        tokio::spawn(async move { send(&producer, &letters(8), Manner::WithinLimit).await })
    };
    assert_eq!(send(&producer, &letters(8), Manner::AtOnce).await, []);
    assert!(!waits_for_room.is_finished(), "there is no room yet");
    assert_eq!(holds_the_room.failures().await, []);
    assert_eq!(waits_for_room.await.unwrap(), []);
}

/// A broker that answers the next request of a kind with an error that ends an idempotent producer.
async fn goes_on_after(kind: RDKafkaApiKey, error: RDKafkaRespErr, before: usize) {
    let broker = MockCluster::new(1).unwrap();
    broker.create_topic(TOPIC, 1, 1).unwrap();
    let producer = producer(&broker.bootstrap_servers(), 100);
    if before > 0 {
        assert_eq!(send(&producer, &letters(before), Manner::WithinLimit).await, []);
    }
    broker.request_errors(kind, &[error]);
    let failures = send(&producer, &letters(3), Manner::WithinLimit).await;
    let places: Vec<usize> = failures.iter().map(|failure| failure.place).collect();
    assert_eq!(places, [0, 1, 2], "what was in flight counts as failed");
    assert!(failures.iter().all(|failure| failure.fault == Fault::Transport));
    becomes_well(&producer).await;
}

async fn becomes_well(producer: &Producer) {
    let watch = crate::clock::Stopwatch::start();
    while !send(producer, &letters(3), Manner::WithinLimit).await.is_empty() {
        assert!(watch.elapsed() < PATIENCE, "the producer is dead");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_producer_that_may_not_produce_is_replaced_by_one_that_may() {
    let forbidden = RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
    goes_on_after(RDKafkaApiKey::InitProducerId, forbidden, 0).await;
}

#[tokio::test]
async fn a_producer_whose_sequence_is_lost_is_replaced() {
    let lost = RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    goes_on_after(RDKafkaApiKey::Produce, lost, 5).await;
}

/// A broker that forgot who the producer is: the client itself asks to be known again, or ends.
#[tokio::test]
async fn forgotten_producer_is_known_again_or_replaced() {
    let broker = MockCluster::new(1).unwrap();
    broker.create_topic(TOPIC, 1, 1).unwrap();
    let producer = producer(&broker.bootstrap_servers(), 100);
    assert_eq!(send(&producer, &letters(5), Manner::WithinLimit).await, []);
    let forgot = RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID;
    broker.request_errors(RDKafkaApiKey::Produce, &[forgot]);
    becomes_well(&producer).await;
}

/// A message that the client refuses does not take those behind it down.
#[tokio::test]
async fn what_cannot_be_queued_fails_alone() {
    let broker = EmbeddedBroker::start(vec![(TOPIC.to_owned(), 1)]).unwrap();
    let producer = producer(broker.servers(), 10);
    let mut three = letters(3);
    three[1] = letter(5_000_000);
    let failures = send(&producer, &three, Manner::WithinLimit).await;
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert_eq!((failures[0].place, failures[0].certain), (1, true));
    assert!(
        matches!(failures[0].fault, Fault::TooLarge { bytes: 5_000_000, .. }),
        "{failures:?}"
    );
}
