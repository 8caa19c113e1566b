//! Topics: which there must be, which there are, and making those that are missing.

use std::{collections::BTreeMap, time::Duration};

use rdkafka::{
    admin::{
        AdminClient, AdminOptions, NewPartitions, NewTopic, OwnedResourceSpecifier, ResourceSpecifier,
        TopicReplication,
    },
    error::RDKafkaErrorCode,
    metadata::MetadataPartition,
};

use super::{
    KafkaError,
    client::{Cluster, PATIENCE, Quiet, session_of},
    while_doing,
};
use crate::clock::Stopwatch;

/// New topics have their leaders within seconds; a broker that takes longer has another trouble.
const LEADERS_WITHIN: Duration = Duration::from_secs(60);

/// A topic that Lacuna reads or writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub purpose: &'static str,
    /// Who writes it, for the ACLs.
    pub writers: &'static str,
    /// Who reads it, for the ACLs.
    pub readers: &'static str,
    /// How many partitions it is made with.
    pub partitions: i32,
    /// Whether only the last record of a key is kept.
    pub compacted: bool,
    /// Whether it has to take dead letters; the others take 2 MiB.
    pub large: bool,
}

impl Topic {
    /// What it has to be set to.
    pub fn settings(&self) -> Vec<(&'static str, &'static str)> {
        let mut settings = Vec::new();
        if self.compacted {
            settings.push(("cleanup.policy", "compact"));
        }
        // Whatever comes in has to come in, so that what is too large gets its dead letter: the default limit lies below
        // the contract's 1 MiB and what a record adds to it.
        settings.push((
            "max.message.bytes",
            if self.large {
                super::LARGEST_MESSAGE
            } else {
                "2097152"
            },
        ));
        settings
    }
}

/// What happened to a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Made {
    /// It was made.
    Created,
    /// It was there.
    Existed,
}

/// A topic as the cluster has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// How many partitions it has.
    pub partitions: i32,
    /// How many of them have no leader.
    pub without_leader: usize,
    /// How many brokers keep it: of the partition that is on the fewest.
    pub replicas: usize,
    /// What it is set to; `None`: this client may not ask.
    pub settings: Option<BTreeMap<String, String>>,
}

/// Asks and changes a cluster.
pub struct Admin {
    client: AdminClient<Quiet>,
    cluster: Cluster,
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin")
            .field("servers", &self.cluster.servers)
            .finish_non_exhaustive()
    }
}

impl Admin {
    /// Connects.
    pub fn new(cluster: &Cluster) -> Result<Self, KafkaError> {
        let client = cluster
            .config()
            .create_with_context(Quiet)
            .map_err(while_doing("creating a client"))?;
        Ok(Self {
            client,
            cluster: cluster.clone(),
        })
    }

    /// The topics of the cluster with their partitions. Blocks.
    pub fn list(&self) -> Result<BTreeMap<String, i32>, KafkaError> {
        self.list_within(PATIENCE)
    }

    /// The same, for no longer than `patience`.
    pub fn list_within(&self, patience: Duration) -> Result<BTreeMap<String, i32>, KafkaError> {
        let metadata = self
            .cluster
            .ask(|client| client.fetch_metadata(None, patience.min(PATIENCE)).ok())?;
        Ok(metadata
            .topics()
            .iter()
            .map(|topic| {
                (
                    topic.name().to_owned(),
                    i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX),
                )
            })
            .collect())
    }

    /// The topics of the cluster, each with whether all of its partitions have a leader. Blocks, for no longer than
    /// `patience`.
    pub fn serving_within(&self, patience: Duration) -> Result<BTreeMap<String, bool>, KafkaError> {
        let metadata = self
            .cluster
            .ask(|client| client.fetch_metadata(None, patience.min(PATIENCE)).ok())?;
        let serves = |partitions: &[MetadataPartition]| {
            !partitions.is_empty() && partitions.iter().all(|partition| partition.leader() >= 0)
        };
        let topics = metadata.topics().iter();
        Ok(topics
            .map(|topic| (topic.name().to_owned(), serves(topic.partitions())))
            .collect())
    }

    /// How many bytes a message of this topic may have; `None`: the broker does not say.
    pub async fn max_message_bytes(&self, topic: &str) -> Result<Option<u32>, KafkaError> {
        let options = AdminOptions::new().request_timeout(Some(PATIENCE));
        let described = self
            .client
            .describe_configs([&ResourceSpecifier::Topic(topic)], &options)
            .await
            .map_err(while_doing("asking for a topic's configuration"))?;
        let limit = described
            .iter()
            .filter_map(|resource| resource.as_ref().ok())
            .find_map(|resource| resource.get("max.message.bytes")?.value.as_ref()?.parse().ok());
        Ok(limit)
    }

    /// Refuses a session that the group's coordinator would refuse for ever. A cluster that does not say what it takes is not
    /// asked again: whether a stage has joined its group shows later.
    pub async fn check_session(&self, lease: Duration) -> Result<(), KafkaError> {
        let Some((min, max)) = self.session_limits().await else {
            return Ok(());
        };
        let session = session_of(lease);
        if (min..=max).contains(&session) {
            return Ok(());
        }
        Err(KafkaError::SessionRefused {
            lease,
            session: session.as_millis(),
            min: min.as_millis(),
            max: max.as_millis(),
        })
    }

    /// The shortest and the longest session that brokers take, as one of them says.
    async fn session_limits(&self) -> Option<(Duration, Duration)> {
        let metadata = self.client.inner().fetch_metadata(None, PATIENCE).ok()?;
        let broker = ResourceSpecifier::Broker(metadata.brokers().first()?.id());
        let options = AdminOptions::new().request_timeout(Some(PATIENCE));
        let described = self.client.describe_configs([&broker], &options).await;
        let settings = described
            .inspect_err(|error| tracing::debug!(%error, "the brokers' settings"))
            .ok()?
            .into_iter()
            .find_map(Result::ok)?;
        let millis = |name: &str| -> Option<Duration> {
            let value = settings.get(name)?.value.as_deref()?;
            Some(Duration::from_millis(value.parse().ok()?))
        };
        Some((
            millis("group.min.session.timeout.ms")?,
            millis("group.max.session.timeout.ms")?,
        ))
    }

    /// Makes those of these topics that do not exist. Existing ones are left as they are.
    pub async fn create(
        &self,
        topics: &[Topic],
        replication: i32,
    ) -> Result<Vec<(String, Made)>, KafkaError> {
        let new: Vec<NewTopic<'_>> = topics
            .iter()
            .map(|topic| {
                topic.settings().into_iter().fold(
                    NewTopic::new(
                        &topic.name,
                        topic.partitions,
                        TopicReplication::Fixed(replication),
                    ),
                    |new, (name, value)| new.set(name, value),
                )
            })
            .collect();
        let options = AdminOptions::new()
            .operation_timeout(Some(PATIENCE))
            .request_timeout(Some(PATIENCE));
        let results = self
            .client
            .create_topics(&new, &options)
            .await
            .map_err(while_doing("creating topics"))?;
        let mut made = Vec::new();
        for result in results {
            match result {
                Ok(name) => made.push((name, Made::Created)),
                Err((name, RDKafkaErrorCode::TopicAlreadyExists)) => made.push((name, Made::Existed)),
                Err((_, code)) => {
                    return Err(KafkaError::Client {
                        doing: "creating a topic",
                        source: rdkafka::error::KafkaError::AdminOp(code),
                    });
                }
            }
        }
        Ok(made)
    }

    /// What the cluster has of these topics, or why it does not show one. What is left out does not exist.
    pub async fn describe(
        &self,
        topics: &[String],
    ) -> Result<BTreeMap<String, Result<Described, String>>, KafkaError> {
        let cluster = self.cluster.clone();
        let wanted = topics.to_vec();
        let asked = tokio::task::spawn_blocking(move || seen(&cluster, &wanted)).await;
        let mut found = asked.map_err(|_| KafkaError::Ended("listing topics"))??;
        let there: Vec<&str> = found.keys().map(String::as_str).collect();
        let asked: Vec<ResourceSpecifier<'_>> =
            there.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
        let options = AdminOptions::new().request_timeout(Some(PATIENCE));
        let described = match self.client.describe_configs(&asked, &options).await {
            Ok(described) => described,
            Err(error) => {
                tracing::debug!(%error, "what topics are set to is not said");
                Vec::new()
            }
        };
        for resource in described.into_iter().filter_map(Result::ok) {
            let OwnedResourceSpecifier::Topic(name) = &resource.specifier else {
                continue;
            };
            if let Some(Ok(topic)) = found.get_mut(name) {
                let settings = resource.entries.iter();
                let settings = settings.filter_map(|entry| Some((entry.name.clone(), entry.value.clone()?)));
                topic.settings = Some(settings.collect());
            }
        }
        Ok(found)
    }

    /// Gives a topic more partitions. What it holds stays where it is.
    pub async fn grow(&self, topic: &str, partitions: i32) -> Result<(), KafkaError> {
        let count = usize::try_from(partitions).unwrap_or_default();
        let options = AdminOptions::new()
            .operation_timeout(Some(PATIENCE))
            .request_timeout(Some(PATIENCE));
        let results = self
            .client
            .create_partitions(&[NewPartitions::new(topic, count)], &options)
            .await
            .map_err(while_doing("adding partitions"))?;
        for result in results {
            if let Err((_, code)) = result {
                return Err(KafkaError::Client {
                    doing: "adding partitions",
                    source: rdkafka::error::KafkaError::AdminOp(code),
                });
            }
        }
        Ok(())
    }

    /// Waits until every partition of these topics answers: right after a topic was made its leader may not know yet that it
    /// leads. Blocks.
    pub fn await_leaders(&self, topics: &[Topic]) -> Result<(), KafkaError> {
        let since = Stopwatch::start();
        let partitions = topics
            .iter()
            .flat_map(|topic| (0..topic.partitions).map(move |n| (topic.name.as_str(), n)));
        for (topic, partition) in partitions {
            let ask = || self.client.inner().fetch_watermarks(topic, partition, PATIENCE);
            while let Err(source) = ask() {
                if since.elapsed() > LEADERS_WITHIN {
                    return Err(while_doing("waiting for the leaders of new topics")(source));
                }
                std::thread::park_timeout(Duration::from_millis(100));
            }
        }
        Ok(())
    }

    /// Deletes these topics with everything in them. For benchmarks and tests, which make topics of their own.
    pub async fn delete(&self, topics: &[String]) -> Result<(), KafkaError> {
        if topics.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        let options = AdminOptions::new()
            .operation_timeout(Some(PATIENCE))
            .request_timeout(Some(PATIENCE));
        let results = self
            .client
            .delete_topics(&names, &options)
            .await
            .map_err(while_doing("deleting topics"))?;
        for result in results {
            if let Err((_, code)) = result {
                let source = rdkafka::error::KafkaError::AdminOp(code);
                return Err(KafkaError::Client {
                    doing: "deleting a topic",
                    source,
                });
            }
        }
        Ok(())
    }
}

/// What the metadata say of topics. Blocks.
fn seen(
    cluster: &Cluster,
    wanted: &[String],
) -> Result<BTreeMap<String, Result<Described, String>>, KafkaError> {
    let metadata = cluster.ask(|client| client.fetch_metadata(None, PATIENCE).ok())?;
    let topics = metadata.topics().iter();
    let wanted = topics.filter(|topic| wanted.iter().any(|name| name == topic.name()));
    Ok(wanted
        .map(|topic| {
            let partitions = topic.partitions();
            let described = match topic.error() {
                Some(error) => Err(RDKafkaErrorCode::from(error).to_string()),
                None => Ok(Described {
                    partitions: i32::try_from(partitions.len()).unwrap_or(i32::MAX),
                    without_leader: partitions.iter().filter(|one| one.leader() < 0).count(),
                    replicas: partitions
                        .iter()
                        .map(|one| one.replicas().len())
                        .min()
                        .unwrap_or(0),
                    settings: None,
                }),
            };
            (topic.name().to_owned(), described)
        })
        .collect())
}
