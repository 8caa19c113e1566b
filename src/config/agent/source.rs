//! `[source]`: where an agent takes its tasks from.

use std::{collections::BTreeMap, path::PathBuf};

use crate::{
    config::{
        kafka_properties,
        reader::{Entry, Section},
        secret::Secret,
    },
    domain::ids::ProcessorId,
};

/// Where tasks come from.
#[derive(Debug, Clone, PartialEq)]
pub enum AgentSource {
    /// A worker's API.
    Http(HttpSource),
    /// The processor's topic.
    Kafka(KafkaSource),
}

/// A worker's API.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpSource {
    /// Where it is, without a slash at its end.
    pub url: String,
    /// The token of the processor; `None`: the worker has no `[auth]`.
    pub token: Option<Secret>,
    /// A file of certificates that are trusted instead of the system's.
    pub ca: Option<PathBuf>,
}

/// The processor's topic.
#[derive(Debug, Clone, PartialEq)]
pub struct KafkaSource {
    /// `host:port,…`.
    pub bootstrap_servers: String,
    /// The consumer group.
    pub group_id: String,
    /// The topic of tasks.
    pub topic: String,
    /// Passed to librdkafka.
    pub properties: BTreeMap<String, Secret>,
}

pub(super) fn read(section: &Section<'_>, processor: Option<&ProcessorId>) -> Option<AgentSource> {
    let (http, kafka) = (section.get("http"), section.get("kafka"));
    match (http, kafka) {
        (Some(http), None) => http.table(self::http).flatten().map(AgentSource::Http),
        (None, Some(kafka)) => kafka
            .table(|section| self::kafka(section, processor))
            .flatten()
            .map(AgentSource::Kafka),
        (Some(_), Some(kafka)) => kafka.refused("expected http or kafka, not both"),
        (None, None) => {
            section.problem(
                "http",
                "missing: expected http = { url, token } or kafka = { bootstrap_servers }",
            );
            None
        }
    }
}

fn http(section: &Section<'_>) -> Option<HttpSource> {
    let url = section.need("url").and_then(|e| address(&e));
    let token = section.get("token").and_then(|e| {
        let source = e.secret_source()?;
        e.resolved(&source)
    });
    let ca = section.get("ca").and_then(|e| e.path());
    Some(HttpSource { url: url?, token, ca })
}

fn address(entry: &Entry<'_>) -> Option<String> {
    const EXPECTED: &str = "expected the address of a worker, such as https://lacuna.internal:8080";
    let text = entry.line_of_text()?;
    let parsed: Result<hyper::Uri, _> = text.parse();
    let is_good = parsed.is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.authority().is_some_and(|host| !host.as_str().contains('@'))
            && uri.query().is_none()
    });
    if is_good {
        Some(text.trim_end_matches('/').to_owned())
    } else {
        entry.refused(EXPECTED)
    }
}

fn kafka(section: &Section<'_>, processor: Option<&ProcessorId>) -> Option<KafkaSource> {
    let servers = section.need("bootstrap_servers").and_then(|e| e.line_of_text());
    let default = |prefix: &str| processor.map_or_else(String::new, |id| format!("{prefix}{id}"));
    let group_id = section.text_or("group_id", &default("lacuna-agent-"));
    let topic = section.text_or("topic", &default("lacuna.tasks."));
    let properties = section
        .get("properties")
        .map(|e| kafka_properties::read(&e))
        .unwrap_or_default();
    Some(KafkaSource {
        bootstrap_servers: servers?.to_owned(),
        group_id,
        topic,
        properties,
    })
}
