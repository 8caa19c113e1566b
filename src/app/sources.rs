//! The sources of a configuration, put together with what they need of this machine.

use std::{path::Path, sync::Arc};

use crate::{
    config::{Config, Problem, Problems, SchemaRegistry as SchemaRegistrySettings, UpstreamSource},
    domain::source::Format,
    http::HttpSource,
    kafka::{
        client::Cluster,
        redriver::{Inputs, Redriver},
    },
    transport::{
        event_reader::{EventReader, EventSource},
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

/// The registries of a configuration: sources that name the same one share what is known of its schemas.
#[derive(Default)]
struct Registries(Vec<(SchemaRegistrySettings, Format, Arc<SchemaRegistry>)>);

impl Registries {
    fn of(
        &mut self,
        config: &Config,
        source: &UpstreamSource,
    ) -> Result<Option<Arc<SchemaRegistry>>, Problems> {
        let Some(settings) = &source.registry else {
            return Ok(None);
        };
        let format = source.definition.format;
        let mut known = self.0.iter();
        if let Some((.., registry)) = known.find(|(of, kind, _)| of == settings && *kind == format) {
            return Ok(Some(Arc::clone(registry)));
        }
        let registry = schema_registry(config, source)?;
        let named = registry
            .iter()
            .map(|registry| (settings.clone(), format, Arc::clone(registry)));
        self.0.extend(named);
        Ok(registry)
    }
}

fn event_source(
    config: &Config,
    source: &UpstreamSource,
    registries: &mut Registries,
) -> Result<EventSource, Problems> {
    Ok(EventSource {
        definition: Arc::clone(&source.definition),
        name: Arc::from(source.name()),
        registry: registries.of(config, source)?,
    })
}

/// The topics of sources, each with those that read it, in the order in which they are written down.
pub fn by_topic(config: &Config) -> Result<Vec<(String, EventReader)>, Problems> {
    let mut registries = Registries::default();
    let mut topics: Vec<(String, Vec<EventSource>)> = Vec::new();
    for source in &config.sources {
        let Some(topic) = source.topic() else { continue };
        let read = event_source(config, source, &mut registries)?;
        match topics.iter_mut().find(|(known, _)| known == topic) {
            Some((_, sources)) => sources.push(read),
            None => topics.push((topic.to_owned(), vec![read])),
        }
    }
    let readers = topics
        .into_iter()
        .map(|(topic, sources)| (topic, EventReader::new(sources)));
    Ok(readers.collect())
}

/// What redriving has to know of this configuration.
pub fn redriver(config: &Config, cluster: Cluster) -> Result<Redriver, Problems> {
    let topics = &config.kafka.topics;
    let own = [&topics.commands, &topics.control, &topics.acks, &topics.backups];
    let inputs = Inputs {
        own: own.into_iter().cloned().collect(),
        upstream: by_topic(config)?,
        commands: topics.commands.clone(),
    };
    Ok(Redriver::new(cluster, inputs))
}

/// Those that call.
pub fn over_http(config: &Config) -> Result<Vec<Arc<HttpSource>>, Problems> {
    let mut registries = Registries::default();
    let mut calling = Vec::new();
    for source in &config.sources {
        let Some(http) = source.http() else { continue };
        let read = event_source(config, source, &mut registries)?;
        calling.push(Arc::new(HttpSource {
            name: Arc::clone(&read.name),
            path: http.path.clone(),
            signature: http.signature.clone(),
            reader: EventReader::new(vec![read]),
        }));
    }
    Ok(calling)
}
