//! The sources that there are.

use super::{
    http::HttpTasks,
    kafka::KafkaTasks,
    source::{Source, SourceError},
};
use crate::{clock::Clock, config::AgentSource, domain::ids::ProcessorId};

/// The source of a configuration.
pub fn open(
    source: &AgentSource,
    processor: &ProcessorId,
    clock: &Clock,
) -> Result<Box<dyn Source>, SourceError> {
    Ok(match source {
        AgentSource::Http(http) => Box::new(HttpTasks::open(http, processor, clock)?),
        AgentSource::Kafka(kafka) => Box::new(KafkaTasks::open(kafka)?),
    })
}
