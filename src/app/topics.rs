//! The topics that a configuration and a registry need.

use crate::{
    config::Topics,
    domain::registry::{Registry, Transport},
    kafka::admin::Topic,
};

/// Every topic that there has to be.
pub fn needed(topics: &Topics, registry: &Registry) -> Vec<Topic> {
    let topic = |name: &str, purpose, writers, readers, partitions| Topic {
        name: name.to_owned(),
        purpose,
        writers,
        readers,
        partitions,
        compacted: false,
        large: false,
    };
    // A flush writes one batch a topic-partition, so few partitions are cheaper; six let commands and acks spread over
    // that many workers.
    let mut needed = vec![
        topic(&topics.commands, "commands", "upstream services", "lacuna", 6),
        topic(
            &topics.control,
            "control commands",
            "compliance tools",
            "lacuna",
            1,
        ),
        topic(&topics.acks, "acks", "processors", "lacuna", 6),
        topic(&topics.backups, "backup events", "backup systems", "lacuna", 1),
        Topic {
            compacted: true,
            ..topic(&topics.status, "statuses", "lacuna", "upstream services", 1)
        },
        Topic {
            large: true,
            ..topic(&topics.dead_letters, "dead letters", "lacuna", "operators", 1)
        },
    ];
    if let Some(name) = &topics.suppression {
        needed.push(Topic {
            compacted: true,
            ..topic(name, "suppressed identities", "lacuna", "importers", 1)
        });
    }
    for processor in &registry.processors {
        let Transport::Kafka { topic: named } = &processor.transport;
        let name = named
            .clone()
            .unwrap_or_else(|| format!("{}{}", topics.tasks_prefix, processor.id));
        if needed.iter().all(|topic| topic.name != name) {
            needed.push(topic(&name, "tasks", "lacuna", "the processor", 1));
        }
    }
    needed
}
