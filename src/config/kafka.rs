//! `[kafka]`: where the brokers are, and which topics are whose.

use std::collections::BTreeMap;

use super::{
    kafka_properties,
    reader::{Entry, Section},
    secret::Secret,
};
use crate::domain::registry::Processor;

/// How Kafka is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kafka {
    /// The brokers.
    pub bootstrap_servers: Brokers,
    /// The consumer group of every worker of one deployment.
    pub group_id: String,
    /// Passed to librdkafka. Any of them may be a password, so none is shown.
    pub properties: BTreeMap<String, Secret>,
    /// The topics.
    pub topics: Topics,
}

/// Where the brokers are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Brokers {
    /// An in-process broker for development, in memory only.
    Embedded,
    /// `host:port`, separated by commas.
    Servers(String),
}

impl Kafka {
    /// The consumer group that reads acks: in one group with commands, every start and end of either reader would halt
    /// the other on all workers.
    pub fn ack_group(&self) -> String {
        format!("{}.acks", self.group_id)
    }

    /// The consumer group that reads a topic of an upstream, for the same reason.
    pub fn source_group(&self, topic: &str) -> String {
        format!("{}.source.{topic}", self.group_id)
    }

    /// The consumer group that reads backup events, for the same reason.
    pub fn backup_group(&self) -> String {
        format!("{}.backups", self.group_id)
    }
}

/// The names of the topics. They are valid, and no two are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    /// Commands from upstream.
    pub commands: String,
    /// Commands of the few who may do more.
    pub control: String,
    /// Answers of processors.
    pub acks: String,
    /// Events of backup systems.
    pub backups: String,
    /// The status of every request.
    pub status: String,
    /// What could not be taken in.
    pub dead_letters: String,
    /// Who is suppressed; `None`: nobody is told.
    pub suppression: Option<String>,
    /// What a processor's topic begins with, unless its transport names one.
    pub tasks_prefix: String,
    /// How many partitions they are made with.
    pub partitions: Partitions,
}

/// How many partitions topics are made with. The others have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partitions {
    /// Of the commands topic.
    pub commands: i32,
    /// Of the acks topic.
    pub acks: i32,
    /// Of each topic of tasks.
    pub tasks: i32,
}

impl Default for Partitions {
    /// A flush writes one batch a topic-partition, so few partitions are cheaper; six let commands and acks spread over
    /// that many workers.
    fn default() -> Self {
        Self {
            commands: 6,
            acks: 6,
            tasks: 1,
        }
    }
}

impl Topics {
    /// Lacuna's own topics, each with its key.
    pub fn own(&self) -> Vec<(&'static str, &str)> {
        let mut own: Vec<(&'static str, &str)> = vec![
            ("commands", &self.commands),
            ("control", &self.control),
            ("acks", &self.acks),
            ("backups", &self.backups),
            ("status", &self.status),
            ("dead_letters", &self.dead_letters),
        ];
        own.extend(self.suppression.as_deref().map(|name| ("suppression", name)));
        own
    }

    /// The topic that a processor's tasks go to.
    pub fn tasks_of(&self, processor: &Processor) -> Option<String> {
        processor.task_topic(&self.tasks_prefix)
    }
}

/// Kafka's own limit for a topic's name.
const MAX_TOPIC: usize = 249;

/// A processor's id has up to 63 characters, which the prefix leaves room for.
const MAX_PREFIX: usize = MAX_TOPIC - 63;

pub(super) fn read(section: &Section<'_>) -> Kafka {
    Kafka {
        bootstrap_servers: brokers(section),
        group_id: section.text_or("group_id", "lacuna"),
        properties: section
            .get("properties")
            .map(|e| kafka_properties::read(&e))
            .unwrap_or_default(),
        topics: Topics {
            partitions: section.section("partitions", partitions),
            ..section.section("topics", topics)
        },
    }
}

fn brokers(section: &Section<'_>) -> Brokers {
    let default = Brokers::Servers("localhost:9092".to_owned());
    let Some(entry) = section.get("bootstrap_servers") else {
        return default;
    };
    match entry.text() {
        Some("embedded") => Brokers::Embedded,
        Some(text) => {
            let servers: Vec<&str> = text.split(',').map(str::trim).collect();
            if servers.iter().all(|server| is_server(server)) {
                return Brokers::Servers(servers.join(","));
            }
            entry.problem("expected host:port, several of them separated by commas, or \"embedded\"");
            default
        }
        None => default,
    }
}

fn is_server(text: &str) -> bool {
    // librdkafka takes a protocol before the host, and 9092 where there is no port.
    let address = text.split_once("://").map_or(text, |(_, address)| address);
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !address.ends_with(']') => (host, port.parse().ok()),
        _ => (address, Some(9092)),
    };
    let plain = host
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b));
    plain && !host.is_empty() && port.is_some_and(|port: u16| port > 0)
}

fn topics(section: &Section<'_>) -> Topics {
    let topic = |key, default: &str| {
        section
            .get(key)
            .and_then(|e| topic_name(&e, MAX_TOPIC))
            .unwrap_or_else(|| default.to_owned())
    };
    let prefix = section
        .get("tasks_prefix")
        .and_then(|e| topic_name(&e, MAX_PREFIX));
    let topics = Topics {
        commands: topic("commands", "lacuna.commands"),
        control: topic("control", "lacuna.control"),
        acks: topic("acks", "lacuna.acks"),
        backups: topic("backups", "lacuna.backups"),
        status: topic("status", "lacuna.status"),
        dead_letters: topic("dead_letters", "lacuna.dead-letters"),
        suppression: section.get("suppression").and_then(|e| optional_topic(&e)),
        tasks_prefix: prefix.unwrap_or_else(|| "lacuna.tasks.".to_owned()),
        partitions: Partitions::default(),
    };
    let own = topics.own();
    for (n, (key, name)) in own.iter().enumerate() {
        if let Some((other, _)) = own.iter().take(n).find(|(_, other)| same_topic(other, name)) {
            section.problem(
                key,
                &format!("the same topic as {other} (Kafka takes . and _ for the same)"),
            );
        }
        if name.starts_with(&topics.tasks_prefix) {
            section.problem(key, "begins with tasks_prefix: it could be a processor's topic");
        }
    }
    topics
}

/// More than that in one topic is a mistake: each costs memory in every broker and every worker.
const MAX_PARTITIONS: u32 = 1_000;

fn partitions(section: &Section<'_>) -> Partitions {
    let default = Partitions::default();
    let count = |key, default: i32| {
        let read = section
            .get(key)
            .and_then(|entry| entry.integer(1..=MAX_PARTITIONS));
        read.and_then(|n| i32::try_from(n).ok()).unwrap_or(default)
    };
    Partitions {
        commands: count("commands", default.commands),
        acks: count("acks", default.acks),
        tasks: count("tasks", default.tasks),
    }
}

/// Whether Kafka takes two names for one: its metrics do not tell `.` from `_`, so it refuses the second.
pub(super) fn same_topic(left: &str, right: &str) -> bool {
    left.replace('_', ".") == right.replace('_', ".")
}

/// A name that Kafka takes for a topic.
pub(super) fn topic_name(entry: &Entry<'_>, max: usize) -> Option<String> {
    let text = entry.text()?;
    let plain = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if plain && (1..=max).contains(&text.len()) && text != "." && text != ".." {
        return Some(text.to_owned());
    }
    entry.refused(&format!("expected a topic's name: [a-zA-Z0-9._-]{{1,{max}}}"))
}

/// A topic that there need not be: an empty name is none.
fn optional_topic(entry: &Entry<'_>) -> Option<String> {
    if entry.text()?.is_empty() {
        return None;
    }
    topic_name(entry, MAX_TOPIC)
}

/// The topic of a processor, where its transport names one.
pub(super) fn topic(entry: &Entry<'_>) -> Option<String> {
    topic_name(entry, MAX_TOPIC)
}
