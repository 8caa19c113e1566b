//! A plain Kafka client for the tests.

use std::{
    collections::{BTreeMap, HashMap},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use rdkafka::{
    ClientConfig, ClientContext, Message, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, CommitMode, Consumer},
    message::{DeliveryResult, Headers},
    producer::{BaseProducer, BaseRecord, Producer, ProducerContext},
};
use serde_json::Value;
use uuid::Uuid;

use crate::support::service;

const PATIENCE: Duration = Duration::from_secs(20);

fn config() -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", service("LACUNA_TEST_KAFKA"));
    config
}

/// Counts what was not delivered: without that, a test would wait in vain for what it believes to have published.
#[derive(Default)]
struct Undelivered(AtomicUsize);

impl ClientContext for Undelivered {}

impl ProducerContext for Undelivered {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            eprintln!("not delivered: {error}");
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Writes messages.
pub struct Publisher(BaseProducer<Undelivered>);

impl Publisher {
    pub fn new() -> Self {
        let mut config = config();
        config.set("linger.ms", "5");
        Self(config.create_with_context(Undelivered::default()).unwrap())
    }

    pub fn publish(&self, topic: &str, key: Option<&str>, value: &[u8]) {
        let mut record = BaseRecord::<str, [u8]>::to(topic).payload(value);
        if let Some(key) = key {
            record = record.key(key);
        }
        self.0.send(record).map_err(|(error, _)| error).unwrap();
        self.0.poll(Duration::ZERO);
    }

    /// The same, to a partition of its choice.
    /// With a `traceparent`.
    pub fn publish_traced(&self, topic: &str, value: &[u8], parent: &str) {
        let header = rdkafka::message::Header {
            key: "traceparent",
            value: Some(parent),
        };
        let headers = rdkafka::message::OwnedHeaders::new().insert(header);
        let record = BaseRecord::<str, [u8]>::to(topic).payload(value).headers(headers);
        self.0.send(record).map_err(|(error, _)| error).unwrap();
        self.flush();
    }

    pub fn publish_to(&self, topic: &str, partition: i32, value: &[u8]) {
        let record = BaseRecord::<str, [u8]>::to(topic)
            .partition(partition)
            .payload(value);
        self.0.send(record).map_err(|(error, _)| error).unwrap();
        self.flush();
    }

    /// A record with headers, or a tombstone.
    pub fn publish_record(&self, topic: &str, headers: &[(&str, &str)], value: Option<&[u8]>) {
        let headers = headers
            .iter()
            .fold(rdkafka::message::OwnedHeaders::new(), |headers, (key, value)| {
                headers.insert(rdkafka::message::Header {
                    key,
                    value: Some(*value),
                })
            });
        let mut record = BaseRecord::<str, [u8]>::to(topic).key("key").headers(headers);
        if let Some(value) = value {
            record = record.payload(value);
        }
        self.0.send(record).map_err(|(error, _)| error).unwrap();
        self.0.poll(Duration::ZERO);
    }

    pub fn flush(&self) {
        self.0.flush(PATIENCE).unwrap();
        assert_eq!(self.0.context().0.load(Ordering::Relaxed), 0, "not delivered");
    }
}

/// A client that changes topics.
pub fn admin() -> AdminClient<DefaultClientContext> {
    config().create().unwrap()
}

/// The ack that a plain processor sends for a task.
pub fn answer(task: &Value, outcome: &str) -> Value {
    let mut ack = serde_json::json!({
        "token": task["ack"]["token"], "outcome": outcome, "evidence": { "method": "delete", "records": 1 },
    });
    for name in ["request_id", "task_id", "generation", "attempt", "processor"] {
        ack[name] = task[name].clone();
    }
    ack
}

/// Writes messages in transactions.
pub struct Transactions(BaseProducer);

impl Transactions {
    pub fn new() -> Self {
        let id = crate::support::unique("tests-");
        let producer: BaseProducer = config().set("transactional.id", id).create().unwrap();
        producer.init_transactions(PATIENCE).unwrap();
        Self(producer)
    }

    /// Begins one, with these records of a topic: each with a key, or for a partition.
    pub fn begin(&self, topic: &str, records: &[(Result<&str, i32>, String)]) {
        self.0.begin_transaction().unwrap();
        for (place, value) in records {
            let record = BaseRecord::<str, str>::to(topic).payload(value);
            let record = match place {
                Ok(key) => record.key(key),
                Err(partition) => record.partition(*partition),
            };
            self.0.send(record).map_err(|(error, _)| error).unwrap();
        }
        self.0.flush(PATIENCE).unwrap();
    }

    pub fn commit(&self) {
        self.0.commit_transaction(PATIENCE).unwrap();
    }

    pub fn abort(&self) {
        self.0.abort_transaction(PATIENCE).unwrap();
    }
}

/// A record as it was read.
pub struct Record {
    pub key: Option<Vec<u8>>,
    pub value: Vec<u8>,
    /// A tombstone has none, which is something else than an empty one.
    pub has_value: bool,
    pub headers: HashMap<String, String>,
}

/// A reader of a whole topic, from its start.
pub struct Reader {
    consumer: BaseConsumer,
    topic: String,
}

impl Reader {
    pub fn new(topic: &str) -> Self {
        let consumer: BaseConsumer = config().set("group.id", "tests").create().unwrap();
        let metadata = consumer
            .fetch_metadata(Some(topic), Duration::from_secs(10))
            .unwrap();
        let mut all = TopicPartitionList::new();
        for partition in metadata.topics()[0].partitions() {
            all.add_partition_offset(topic, partition.id(), Offset::Beginning)
                .unwrap();
        }
        consumer.assign(&all).unwrap();
        Self {
            consumer,
            topic: topic.to_owned(),
        }
    }

    /// What has come since the last call.
    pub fn read(&self) -> Vec<Record> {
        let mut records = Vec::new();
        while let Some(message) = self.consumer.poll(Duration::from_millis(300)) {
            let message = message.unwrap();
            let headers = message.headers().map_or_else(HashMap::new, |headers| {
                headers
                    .iter()
                    .map(|header| {
                        let value = String::from_utf8(header.value.unwrap_or_default().to_vec()).unwrap();
                        (header.key.to_owned(), value)
                    })
                    .collect()
            });
            records.push(Record {
                key: message.key().map(<[u8]>::to_vec),
                has_value: message.payload().is_some(),
                value: message.payload().unwrap_or_default().to_vec(),
                headers,
            });
        }
        records
    }

    /// How many records the topic holds.
    pub fn len(&self) -> i64 {
        let metadata = self
            .consumer
            .fetch_metadata(Some(&self.topic), Duration::from_secs(10))
            .unwrap();
        metadata.topics()[0]
            .partitions()
            .iter()
            .map(|partition| {
                let (low, high) = self
                    .consumer
                    .fetch_watermarks(&self.topic, partition.id(), Duration::from_secs(10))
                    .unwrap();
                high - low
            })
            .sum()
    }
}

/// Everything that a topic holds now.
pub fn read_all(topic: &str) -> Vec<Record> {
    let reader = Reader::new(topic);
    let mut records = Vec::new();
    let wanted = usize::try_from(reader.len()).unwrap();
    crate::support::wait_for("the whole topic is read", Duration::from_secs(20), || {
        records.extend(reader.read());
        (records.len() >= wanted).then_some(())
    });
    records
}

/// An operator's hand on the cluster.
pub struct Operator {
    admin: AdminClient<DefaultClientContext>,
    runtime: tokio::runtime::Runtime,
}

impl Operator {
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Self {
            admin: config().create().unwrap(),
            runtime: runtime.unwrap(),
        }
    }

    /// Deletes a topic and makes it again.
    pub fn make_anew(&self, topic: &str, partitions: i32) {
        let options = AdminOptions::new();
        self.runtime.block_on(async {
            for deleted in self.admin.delete_topics(&[topic], &options).await.unwrap() {
                deleted.unwrap();
            }
        });
        let new = [NewTopic::new(topic, partitions, TopicReplication::Fixed(1))];
        // The deletion takes a moment.
        crate::support::wait_for("the topic is made anew", Duration::from_secs(30), || {
            let made = self.admin.create_topics(&new, &options);
            let made = self.runtime.block_on(made).unwrap();
            made.into_iter().all(|made| made.is_ok()).then_some(())
        });
        crate::support::wait_for("its leaders answer", Duration::from_secs(30), || {
            let answers = |partition| {
                let client = self.admin.inner();
                client.fetch_watermarks(topic, partition, Duration::from_secs(2))
            };
            (0..partitions)
                .all(|partition| answers(partition).is_ok())
                .then_some(())
        });
    }

    /// Makes a topic.
    pub fn make(&self, topic: &str, partitions: i32) {
        let new = [NewTopic::new(topic, partitions, TopicReplication::Fixed(1))];
        let made = self.admin.create_topics(&new, &AdminOptions::new());
        for made in self.runtime.block_on(made).unwrap() {
            made.unwrap();
        }
    }

    /// Removes what lies before an offset, as retention does.
    pub fn remove_before(&self, topic: &str, partition: i32, offset: i64) {
        let mut before = TopicPartitionList::new();
        before
            .add_partition_offset(topic, partition, Offset::Offset(offset))
            .unwrap();
        let removed = self.admin.delete_records(&before, &AdminOptions::new());
        let removed = self.runtime.block_on(removed).unwrap();
        removed.elements()[0].error().unwrap();
    }

    /// Moves a group's offsets, while none of its members runs.
    pub fn move_offsets(&self, group: &str, topic: &str, partitions: i32, to: impl Fn(i64, i64) -> i64) {
        let consumer: BaseConsumer = config().set("group.id", group).create().unwrap();
        let mut moved = TopicPartitionList::new();
        for partition in 0..partitions {
            let (low, high) = consumer
                .fetch_watermarks(topic, partition, Duration::from_secs(10))
                .unwrap();
            moved
                .add_partition_offset(topic, partition, Offset::Offset(to(low, high)))
                .unwrap();
        }
        crate::support::wait_for("the offsets are moved", Duration::from_secs(30), || {
            consumer.commit(&moved, CommitMode::Sync).ok()
        });
    }
}

/// The status topic, as a consumer of it sees it.
pub struct Statuses {
    reader: Reader,
    /// The last record of each key, whatever its revision.
    pub last: BTreeMap<Uuid, Value>,
    /// The highest revision of each key.
    pub highest: BTreeMap<Uuid, Value>,
}

impl Statuses {
    pub fn new(topic: &str) -> Self {
        Self {
            reader: Reader::new(topic),
            last: BTreeMap::new(),
            highest: BTreeMap::new(),
        }
    }

    pub fn read(&mut self) {
        for record in self.reader.read() {
            let status: Value = serde_json::from_slice(&record.value).unwrap();
            let id: Uuid = status["request_id"].as_str().unwrap().parse().unwrap();
            assert_eq!(
                record.key.as_deref(),
                Some(id.to_string().as_bytes()),
                "the key is the request's id"
            );
            let highest = self
                .highest
                .entry(id)
                .or_insert_with(|| status["revision"].clone());
            if highest.as_u64() < status["revision"].as_u64() {
                *highest = status["revision"].clone();
            }
            self.last.insert(id, status);
        }
    }

    pub fn completed(&self) -> usize {
        self.last
            .values()
            .filter(|status| status["status"] == "completed")
            .count()
    }
}
