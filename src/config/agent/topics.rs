//! `[kafka_topics]`: topics that hold personal data.

use std::collections::BTreeMap;

use crate::{
    config::{
        kafka_properties,
        reader::{Entry, Section},
        secret::Secret,
    },
    domain::{identity_template::Template, ids::Label},
};

/// Topics that hold personal data.
#[derive(Debug, Clone, PartialEq)]
pub struct KafkaTopics {
    /// `host:port,…`.
    pub bootstrap_servers: String,
    /// Passed to librdkafka.
    pub properties: BTreeMap<String, Secret>,
    /// The topics of which each key keeps its last record only.
    pub compacted: Vec<CompactedTopic>,
    /// The topics whose records go by age only.
    pub expiring: Vec<String>,
    /// The legal basis that is given for what goes by age only.
    pub basis: Label,
    /// The category of its data. Without one, tasks that are limited to categories are not carried out.
    pub category: Option<Label>,
}

/// A topic of which each key keeps its last record only.
#[derive(Debug, Clone, PartialEq)]
pub struct CompactedTopic {
    /// The topic.
    pub topic: String,
    /// The key of a person's record.
    pub key: Template,
}

pub(super) fn read(section: &Section<'_>) -> Option<KafkaTopics> {
    let servers = section.need("bootstrap_servers").and_then(|e| e.line_of_text());
    let properties = section
        .get("properties")
        .map(|e| kafka_properties::read(&e))
        .unwrap_or_default();
    let compacted = list(section, "compacted", |section| {
        let topic = section.need("topic").and_then(|e| e.line_of_text());
        let key = section.need("key").and_then(|e| e.checked(Template::parse));
        Some(CompactedTopic {
            topic: topic?.to_owned(),
            key: key?,
        })
    });
    let expiring = list(section, "expiring", |section| {
        let topic = section.need("topic").and_then(|e| e.line_of_text());
        topic.map(str::to_owned)
    });
    if compacted.is_empty() && expiring.is_empty() {
        section.problem("compacted", "expected at least one topic, here or in expiring");
        return None;
    }
    let basis = section.get("basis").and_then(|e| e.checked(Label::new));
    let basis = basis.or_else(|| Label::new("topic_retention").ok());
    Some(KafkaTopics {
        bootstrap_servers: servers?.to_owned(),
        properties,
        compacted,
        expiring,
        basis: basis?,
        category: section.get("category").and_then(|e| e.checked(Label::new)),
    })
}

fn list<T>(section: &Section<'_>, key: &'static str, read: impl Fn(&Section<'_>) -> Option<T>) -> Vec<T> {
    let entries: Vec<Entry<'_>> = section.get(key).and_then(|e| e.list()).unwrap_or_default();
    entries
        .iter()
        .filter_map(|entry| entry.table(&read).flatten())
        .collect()
}
