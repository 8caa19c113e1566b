//! The sources of a configuration, put together with what they need of this machine.

use std::{path::Path, sync::Arc};

use crate::{
    config::{Config, Problem, Problems, UpstreamSource},
    http::HttpSource,
    kafka::sources::ReadSource,
    transport::{
        local::{Reader, Unusable},
        schema_registry::SchemaRegistry,
    },
};

/// Who has the schemas that the events of a source name; `None`: they name none.
pub fn schema_registry(
    config: &Config,
    source: &UpstreamSource,
) -> Result<Option<Arc<SchemaRegistry>>, Problems> {
    let Some(settings) = &source.registry else {
        return Ok(None);
    };
    let file = config.file.as_deref();
    let folder = file.and_then(Path::parent).unwrap_or(Path::new(""));
    let registry = SchemaRegistry::new(settings, source.definition.format, &mut Reader::new(folder));
    match registry {
        Ok(registry) => Ok(Some(Arc::new(registry))),
        Err(unusable) => Err(problems_of(config, source, &unusable)),
    }
}

fn problems_of(config: &Config, source: &UpstreamSource, unusable: &Unusable) -> Problems {
    let problem = Problem {
        file: config
            .file
            .as_ref()
            .map(|file| file.display().to_string())
            .unwrap_or_default(),
        line: None,
        key: format!("source {:?}: schema_registry.{}", source.name(), unusable.key),
        message: unusable.why.clone(),
    };
    Problems::of(problem)
}

/// Finds what sources name and this machine does not have.
pub fn check(config: &Config) -> Result<(), Problems> {
    for source in &config.sources {
        schema_registry(config, source)?;
    }
    Ok(())
}

/// The topics of sources, each with those that read it, in the order in which they are written down.
pub fn by_topic(config: &Config) -> Result<Vec<(String, Vec<ReadSource>)>, Problems> {
    let mut topics: Vec<(String, Vec<ReadSource>)> = Vec::new();
    for source in &config.sources {
        let Some(topic) = source.topic() else { continue };
        let read = ReadSource {
            definition: Arc::clone(&source.definition),
            name: Arc::from(source.name()),
            registry: schema_registry(config, source)?,
        };
        match topics.iter_mut().find(|(known, _)| known == topic) {
            Some((_, sources)) => sources.push(read),
            None => topics.push((topic.to_owned(), vec![read])),
        }
    }
    Ok(topics)
}

/// Those that call.
pub fn over_http(config: &Config) -> Result<Vec<Arc<HttpSource>>, Problems> {
    let mut calling = Vec::new();
    for source in &config.sources {
        let Some(http) = source.http() else { continue };
        calling.push(Arc::new(HttpSource {
            definition: Arc::clone(&source.definition),
            name: Arc::from(source.name()),
            path: http.path.clone(),
            signature: http.signature.clone(),
            registry: schema_registry(config, source)?,
        }));
    }
    Ok(calling)
}
