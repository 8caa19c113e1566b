//! The sources that there are.

use std::sync::Arc;

use super::{
    http::HttpTasks,
    kafka::KafkaTasks,
    source::{Source, SourceError},
};
use crate::{
    clock::Clock, config::AgentSource, domain::ids::ProcessorId, telemetry::agent_metrics::AgentMetrics,
};

/// The source of a configuration.
pub fn open(
    source: &AgentSource,
    processor: &ProcessorId,
    clock: &Clock,
    metrics: &Arc<AgentMetrics>,
) -> Result<Box<dyn Source>, SourceError> {
    Ok(match source {
        AgentSource::Http(http) => Box::new(HttpTasks::open(http, processor, clock, metrics)?),
        AgentSource::Kafka(kafka) => Box::new(KafkaTasks::open(kafka)?),
    })
}
