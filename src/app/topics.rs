//! The topics that a configuration and a registry need.

use std::time::Duration;

use crate::{
    config::Topics,
    domain::registry::Registry,
    kafka::{
        KafkaError,
        admin::{Admin, Topic},
        client::Cluster,
    },
};

/// Every topic that there has to be.
pub fn needed(topics: &Topics, registry: &Registry) -> Vec<Topic> {
    let mut needed = own(topics);
    for name in registry.processors.iter().filter_map(|p| topics.tasks_of(p)) {
        if needed.iter().all(|topic| topic.name != name) {
            needed.push(topic(
                &name,
                "tasks",
                "lacuna",
                "the processor",
                topics.partitions.tasks,
            ));
        }
    }
    needed
}

/// The topics of processors that are missing, each with whose it is.
pub async fn missing_tasks(
    topics: &Topics,
    registry: &Registry,
    cluster: &Cluster,
    patience: Duration,
) -> Result<Vec<(String, Topic)>, KafkaError> {
    let cluster = cluster.clone();
    let there = tokio::task::spawn_blocking(move || Admin::new(&cluster)?.list_within(patience))
        .await
        .map_err(|_| KafkaError::Ended("listing topics"))??;
    let wanted = registry.processors.iter().filter_map(|processor| {
        let name = topics.tasks_of(processor)?;
        let whose = format!("{name} (processor {:?})", processor.id.as_str());
        let partitions = topics.partitions.tasks;
        Some((
            whose,
            topic(&name, "tasks", "lacuna", "the processor", partitions),
        ))
    });
    Ok(wanted
        .filter(|(_, topic)| !there.contains_key(&topic.name))
        .collect())
}

/// Refuses a registry with a processor whose topic does not exist. The embedded broker makes a topic that is asked for.
pub async fn check_tasks(
    topics: &Topics,
    registry: &Registry,
    cluster: &Cluster,
    patience: Duration,
) -> Result<(), KafkaError> {
    if cluster.embedded {
        return Ok(());
    }
    let missing = missing_tasks(topics, registry, cluster, patience).await?;
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|(whose, _)| whose.as_str()).collect();
    Err(KafkaError::MissingTopics(names.join(", ")))
}

fn topic(
    name: &str,
    purpose: &'static str,
    writers: &'static str,
    readers: &'static str,
    partitions: i32,
) -> Topic {
    Topic {
        name: name.to_owned(),
        purpose,
        writers,
        readers,
        partitions,
        compacted: false,
        large: false,
    }
}

/// Those that are Lacuna's own: without them nothing goes.
pub fn own(topics: &Topics) -> Vec<Topic> {
    let partitions = topics.partitions;
    let mut needed = vec![
        topic(
            &topics.commands,
            "commands",
            "upstream services",
            "lacuna",
            partitions.commands,
        ),
        topic(
            &topics.control,
            "control commands",
            "compliance tools",
            "lacuna",
            1,
        ),
        topic(&topics.acks, "acks", "processors", "lacuna", partitions.acks),
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
    needed
}
