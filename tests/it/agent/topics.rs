//! Topics of Kafka: tombstones that are read back, and records that go by age.

use std::{path::Path, time::Duration};

use lacuna::{
    agent::{Answer, Place, Task, Turn, open},
    clock::{Clock, ManualClock},
    config::Agent,
    domain::{time::At, words::Outcome},
};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
    producer::{BaseProducer, BaseRecord, Producer as _},
};

use super::task;
use crate::support::{service, unique};

fn config() -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", service("LACUNA_TEST_KAFKA"));
    config
}

async fn topic(settings: &[(&str, &str)]) -> String {
    let name = unique("agent-");
    let admin: AdminClient<DefaultClientContext> = config().create().unwrap();
    let mut new = NewTopic::new(&name, 3, TopicReplication::Fixed(1));
    for (key, value) in settings {
        new = new.set(key, value);
    }
    let made = admin.create_topics([&new], &AdminOptions::new()).await.unwrap();
    assert!(made.iter().all(Result::is_ok), "{made:?}");
    name
}

/// Writes as somebody with a partitioner of its own would: everything into partition 2.
fn write(topic: &str, records: &[(&str, Option<&str>)]) {
    let producer: BaseProducer = config().create().unwrap();
    for (key, value) in records {
        let mut record = BaseRecord::to(topic).key(*key).partition(2);
        record.payload = *value;
        producer.send(record).unwrap();
    }
    producer.flush(Duration::from_secs(20)).unwrap();
}

/// The last record of a key in partition 2; `None`: a tombstone.
fn last(topic: &str, key: &str) -> Option<String> {
    let consumer: BaseConsumer = config().set("group.id", unique("look")).create().unwrap();
    let (low, high) = consumer
        .fetch_watermarks(topic, 2, Duration::from_secs(20))
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 2, Offset::Offset(low)).unwrap();
    consumer.assign(&list).unwrap();
    let mut found = None;
    let mut at = low;
    while at < high {
        let message = consumer.poll(Duration::from_secs(20)).expect("a record").unwrap();
        at = message.offset() + 1;
        if message.key() == Some(key.as_bytes()) {
            found = message
                .payload()
                .map(|payload| String::from_utf8(payload.to_vec()).unwrap());
        }
    }
    found
}

async fn agent(topics: &str, clock: &Clock) -> Result<Box<dyn Place>, String> {
    let text = format!(
        "processor = 'topics'\n[source]\nhttp = {{ url = 'http://127.0.0.1:1' }}\n[kafka_topics]\nbootstrap_servers = '{}'\n{topics}",
        service("LACUNA_TEST_KAFKA")
    );
    let agent =
        Agent::read_text("agent.toml", Path::new(""), &text, &|_| None).map_err(|error| error.to_string())?;
    open(&agent, clock).await.map_err(|error| error.to_string())
}

async fn answers(place: &dyn Place, tasks: &[Task]) -> Vec<Answer> {
    place.carry_out(tasks, &Turn::default()).await
}

fn of(customer: &str, action: &str) -> Task {
    task(action, &[("customer_id", customer)])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_a_person_get_a_tombstone_where_they_lie() {
    let topic = topic(&[("cleanup.policy", "compact")]).await;
    write(
        &topic,
        &[
            ("c-1", Some("a")),
            ("c-2", Some("b")),
            ("c-1", Some("c")),
            ("c-3", Some("d")),
            ("c-3", None),
        ],
    );
    let agent = agent(
        &format!("compacted = [{{ topic = '{topic}', key = 'c-{{customer_id}}' }}]"),
        &Clock::System,
    )
    .await
    .unwrap();
    let verified = answers(agent.as_ref(), &[of("1", "verify"), of("3", "verify")]).await;
    assert_eq!(
        (verified[0].outcome, verified[1].outcome),
        (Outcome::Present, Outcome::Absent)
    );
    let done = answers(
        agent.as_ref(),
        &[of("1", "erase"), of("3", "erase"), of("9", "erase")],
    )
    .await;
    let outcomes: Vec<Outcome> = done.iter().map(|answer| answer.outcome).collect();
    assert_eq!(
        outcomes,
        [Outcome::Erased, Outcome::NotFound, Outcome::NotFound],
        "{done:?}"
    );
    assert_eq!(done[0].evidence.as_ref().unwrap().by_table[&topic], 1);
    assert_eq!(
        (last(&topic, "c-1"), last(&topic, "c-2")),
        (None, Some("b".to_owned()))
    );
    let verified = answers(agent.as_ref(), &[of("1", "verify")]).await;
    assert_eq!(verified[0].outcome, Outcome::Absent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_go_by_age_are_retained_until_they_went() {
    let topic = topic(&[
        ("cleanup.policy", "delete"),
        ("retention.ms", "3600000"),
        ("segment.ms", "600000"),
    ])
    .await;
    let written = At::parse("2026-11-21T09:00:00Z").unwrap();
    let producer: BaseProducer = config().create().unwrap();
    let record = BaseRecord::to(&topic)
        .key("x")
        .payload("y")
        .partition(1)
        .timestamp(written.millis());
    producer.send(record).unwrap();
    producer.flush(Duration::from_secs(20)).unwrap();
    let clock = Clock::Manual(ManualClock::starting_at(
        At::parse("2026-11-21T10:00:00Z").unwrap(),
    ));
    let agent = agent(
        &format!("expiring = [{{ topic = '{topic}' }}]\nbasis = 'short_logs'"),
        &clock,
    )
    .await
    .unwrap();
    let kept = answers(agent.as_ref(), &[of("1", "erase")]).await.remove(0);
    assert_eq!(kept.outcome, Outcome::Retained, "{kept:?}");
    let (basis, until, _) = kept.retained.unwrap();
    assert_eq!(basis.as_str(), "short_logs");
    // The task's data_before is 10:00.
    assert_eq!(until.unwrap(), At::parse("2026-11-21T11:10:00Z").unwrap());
    let admin: AdminClient<DefaultClientContext> = config().create().unwrap();
    let mut gone = TopicPartitionList::new();
    gone.add_partition_offset(&topic, 1, Offset::End).unwrap();
    admin.delete_records(&gone, &AdminOptions::new()).await.unwrap();
    let done = answers(agent.as_ref(), &[of("1", "erase")]).await.remove(0);
    assert_eq!(done.outcome, Outcome::Erased, "{done:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topic_of_the_wrong_kind_is_a_mistake() {
    let kept = topic(&[("cleanup.policy", "delete"), ("retention.ms", "-1")]).await;
    let error = agent(&format!("expiring = [{{ topic = '{kept}' }}]"), &Clock::System)
        .await
        .unwrap_err();
    assert!(error.contains("keeps its records for ever"), "{error}");
    let error = agent(
        &format!("compacted = [{{ topic = '{kept}', key = '{{customer_id}}' }}]"),
        &Clock::System,
    )
    .await
    .unwrap_err();
    assert!(error.contains("is not compacted"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topic_that_is_not_there_any_more_is_a_failure() {
    let compacted = topic(&[("cleanup.policy", "compact")]).await;
    let expiring = topic(&[("cleanup.policy", "delete"), ("retention.ms", "3600000")]).await;
    let text = format!(
        "compacted = [{{ topic = '{compacted}', key = 'c-{{customer_id}}' }}]\nexpiring = [{{ topic = '{expiring}' }}]"
    );
    let agent = agent(&text, &Clock::System).await.unwrap();
    let admin: AdminClient<DefaultClientContext> = config().create().unwrap();
    for gone in [&expiring, &compacted] {
        admin.delete_topics(&[gone], &AdminOptions::new()).await.unwrap();
        let looking: BaseConsumer = config().create().unwrap();
        crate::support::wait_for("the topic is gone", Duration::from_secs(30), || {
            let known = looking.fetch_metadata(None, Duration::from_secs(20)).unwrap();
            (!known.topics().iter().any(|topic| topic.name() == gone)).then_some(())
        });
        for action in ["erase", "verify"] {
            let answer = answers(agent.as_ref(), &[of("1", action)]).await.remove(0);
            assert_eq!(answer.outcome, Outcome::Failed, "{answer:?}");
        }
    }
}

#[tokio::test]
async fn turn_that_ends_ends_the_reading_of_a_topic() {
    let topic = topic(&[("cleanup.policy", "compact")]).await;
    write(&topic, &[("c-1", Some("a"))]);
    let agent = agent(
        &format!("compacted = [{{ topic = '{topic}', key = 'c-{{customer_id}}' }}]"),
        &Clock::System,
    )
    .await
    .unwrap();
    let turn = Turn::default();
    let tasks = [of("1", "erase")];
    let working = agent.carry_out(&tasks, &turn);
    // On one thread: whoever blocked it would never be told.
    let (done, ()) = tokio::join!(working, async { turn.end() });
    assert_eq!(done[0].outcome, Outcome::Partial, "{done:?}");
    assert_eq!(last(&topic, "c-1"), Some("a".to_owned()));
    let done = answers(agent.as_ref(), &tasks).await;
    assert_eq!(done[0].outcome, Outcome::Erased, "{done:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn task_for_some_categories_buries_no_others() {
    let topic = topic(&[("cleanup.policy", "compact")]).await;
    write(&topic, &[("c-1", Some("a"))]);
    let agent = agent(
        &format!("compacted = [{{ topic = '{topic}', key = 'c-{{customer_id}}' }}]"),
        &Clock::System,
    )
    .await
    .unwrap();
    let mut limited = super::message("erase", &[("customer_id", "1")]);
    limited["scope"]["categories"] = serde_json::json!(["orders"]);
    let done = answers(agent.as_ref(), &[super::read(&limited), of("2", "erase")]).await;
    assert_eq!(
        (done[0].outcome, done[1].outcome),
        (Outcome::Unsupported, Outcome::NotFound)
    );
    assert_eq!(last(&topic, "c-1"), Some("a".to_owned()));
}
