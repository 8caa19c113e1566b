//! `[kafka] properties`: what is passed to librdkafka. What Lacuna's guarantees rest on is its own to set, under every name that
//! the library has for it; whatever else is set is shown to the library, which knows its names and its values.

use std::collections::BTreeMap;

use rdkafka::{ClientConfig, error::KafkaError};

use super::{
    reader::{Entry, Node},
    secret::Secret,
};

/// Properties that are no one else's to set, each with the reason, or with the key that sets it.
const OWNED: &[(&[&str], &str)] = &[
    (
        &["bootstrap.servers", "metadata.broker.list"],
        "it is kafka.bootstrap_servers",
    ),
    (&["group.id"], "it is kafka.group_id"),
    (
        &["session.timeout.ms"],
        "it is 0.7 of dispatch.lease, within which the work of a dead worker is taken over; set dispatch.lease",
    ),
    (
        &["heartbeat.interval.ms"],
        "it follows from dispatch.lease; set dispatch.lease",
    ),
    (
        &["max.poll.interval.ms"],
        "it is five minutes, or the session's length where dispatch.lease makes that longer",
    ),
    (
        &[
            "partition.assignment.strategy",
            "group.protocol",
            "group.protocol.type",
            "group.remote.assignor",
        ],
        "all workers of a group have to share it, and this version's are cooperative-sticky",
    ),
    (
        &["group.instance.id"],
        "a worker is known by its session, so that another takes over within dispatch.lease",
    ),
    (
        &[
            "enable.auto.commit",
            "auto.commit.enable",
            "auto.commit.interval.ms",
            "enable.auto.offset.store",
            "offset.store.method",
            "offset.store.path",
            "offset.store.sync.interval.ms",
        ],
        "Lacuna commits an offset only after the database has taken the message in",
    ),
    (
        &["auto.offset.reset"],
        "Lacuna starts at the earliest message, so that no command is skipped",
    ),
    (
        &["isolation.level"],
        "an answer in a transaction that was aborted is none, so Lacuna reads what is committed",
    ),
    (
        &["enable.partition.eof"],
        "Lacuna knows by its own position where a partition ends",
    ),
    (
        &["topic.metadata.refresh.interval.ms"],
        "partitions that are added have to be read within a minute",
    ),
    (
        &["topic.blacklist", "allow.auto.create.topics"],
        "which topics there have to be follows from kafka.topics and the registry",
    ),
    (
        &[
            "queued.max.messages.kbytes",
            "fetch.queue.backoff.ms",
            "fetch.message.max.bytes",
            "max.partition.fetch.bytes",
        ],
        "it bounds the memory of a worker that falls behind",
    ),
    (
        &[
            "enable.idempotence",
            "acks",
            "request.required.acks",
            "enable.gapless.guarantee",
            "max.in.flight.requests.per.connection",
            "max.in.flight",
            "message.send.max.retries",
            "retries",
            "queuing.strategy",
            "delivery.report.only.error",
        ],
        "Lacuna counts a message as sent only when every replica has it, once",
    ),
    (
        &["transactional.id", "transaction.timeout.ms"],
        "Lacuna's outputs are no transactions: what was not confirmed is decided again",
    ),
    (
        &["message.timeout.ms", "delivery.timeout.ms"],
        "what is not confirmed within 15 s is decided again, so that nothing old is sent under a hold",
    ),
    (
        &["linger.ms", "queue.buffering.max.ms"],
        "it is measured together with the size of a batch",
    ),
    (
        &["compression.type", "compression.codec"],
        "it is lz4; a topic's own compression.type is kept by the broker",
    ),
    (
        &["message.max.bytes"],
        "dead letters have to fit, with the message that they hold",
    ),
    (
        &["queue.buffering.max.messages", "queue.buffering.max.kbytes"],
        "how many messages may be unconfirmed is dispatch.max_in_flight",
    ),
    (
        &["enabled_events", "log.queue", "test.mock.num.brokers"],
        "it belongs to the program, not to its configuration",
    ),
];

pub(super) fn read(entry: &Entry<'_>) -> BTreeMap<String, Secret> {
    let mut found = BTreeMap::new();
    collect(entry, "", &mut found);
    found
}

/// Collects them from nested tables too: TOML reads an unquoted `security.protocol` as one.
fn collect(entry: &Entry<'_>, prefix: &str, found: &mut BTreeMap<String, Secret>) {
    entry.table(|section| {
        for (key, entry) in section.entries() {
            let name = format!("{prefix}{key}");
            if entry.is_table() {
                collect(&entry, &format!("{name}."), found);
            } else if let Some((_, why)) = OWNED.iter().find(|(owned, _)| owned.contains(&name.as_str())) {
                entry.problem(&format!("not yours to set: {why}"));
            } else if let Some(value) = property(&entry) {
                if let Some(refused) = refusal(&name, value.expose()) {
                    entry.problem(&refused);
                }
                if found.insert(name, value).is_some() {
                    entry.problem("given more than once");
                }
            }
        }
        section.take_any();
    });
}

fn property(entry: &Entry<'_>) -> Option<Secret> {
    use toml_edit::Value;
    match entry.node {
        Node::Value(Value::Integer(n)) => Some(Secret::new(n.value().to_string())),
        Node::Value(Value::Float(n)) => Some(Secret::new(n.value().to_string())),
        Node::Value(Value::Boolean(b)) => Some(Secret::new(b.value().to_string())),
        Node::Value(Value::String(text)) => match text.value().as_str() {
            // Only these two are notations here: a property may be empty, and may begin with anything else.
            text if text.starts_with("env:") || text.starts_with("file:") => {
                entry.secret_source().and_then(|source| entry.resolved(&source))
            }
            text => Some(Secret::new(text)),
        },
        _ => entry.mismatch("text, a number or a boolean"),
    }
}

/// What the library has against a property. Its own words repeat the value, which may be a secret in the wrong place.
fn refusal(name: &str, value: &str) -> Option<String> {
    let mut config = ClientConfig::new();
    config.set(name, value);
    match config.create_native_config() {
        Ok(_) => None,
        Err(KafkaError::ClientConfig(_, words, _, _)) if words.starts_with("No such configuration") => {
            Some("librdkafka knows no such property".to_owned())
        }
        Err(KafkaError::ClientConfig(_, words, _, _)) if !value.is_empty() => Some(format!(
            "librdkafka does not take this value: {}",
            words.replace(value, "…")
        )),
        // A text with a zero byte never gets to the library.
        Err(_) => Some("librdkafka does not take this value".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owned_properties_exist_in_library_and_are_listed_once() {
        let mut names: Vec<&str> = OWNED
            .iter()
            .flat_map(|(names, _)| names.iter().copied())
            .collect();
        for name in &names {
            let words = refusal(name, "no value of any property");
            assert_ne!(
                words.as_deref(),
                Some("librdkafka knows no such property"),
                "{name}"
            );
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn what_the_library_does_not_take_is_refused_without_the_value() {
        assert_eq!(refusal("security.protocol", "ssl"), None);
        assert_eq!(refusal("sasl.password", "hunter2"), None);
        assert_eq!(
            refusal("sasl.pasword", "hunter2").as_deref(),
            Some("librdkafka knows no such property")
        );
        for (name, value) in [("security.protocol", "hunter2"), ("socket.timeout.ms", "hunter2")] {
            let words = refusal(name, value).unwrap();
            assert!(
                words.starts_with("librdkafka does not take") && !words.contains("hunter2"),
                "{words}"
            );
        }
    }
}
