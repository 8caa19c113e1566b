//! Topics of upstreams: their events become commands before anything is decided, and go the way of commands from there.
//!
//! Each topic has a consumer of its own: a registry of schemas that is away keeps the events waiting that need it, and nobody
//! else's.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use rdkafka::Message;
use tokio::runtime::Handle;

use super::{
    batch_processor::{Reading, Work, headers_of},
    batch_window::Window,
};
use crate::{
    domain::{command::Command, ids::Tenant, source::Source, words::DeadLetterReason},
    engine::{
        Engine, EngineError,
        dry_run::DryRun,
        effects::Effects,
        intake::Verdict,
        prepare::{Arrival, PreparedCommand},
    },
    transport::schema_registry::SchemaRegistry,
    wire::{
        Envelope, KeptHeaders, Rejection,
        source::{Carrier, Event, Outcome, Schema, framed, read},
    },
};

/// A source, as it is read here.
#[derive(Debug)]
pub struct ReadSource {
    /// What its events become.
    pub definition: Arc<Source>,
    /// Its name, for its commands.
    pub name: Arc<str>,
    /// Who has the schemas that its events name.
    pub registry: Option<Arc<SchemaRegistry>>,
}

/// The sources of one topic. The first that takes an event has it.
#[derive(Debug)]
pub struct Sources {
    engine: Arc<Engine>,
    sources: Vec<ReadSource>,
    names: Names,
    runtime: Handle,
    waits: AtomicBool,
}

/// What this stage, and what it waits for, are called where people read it. They are known for as long as the process lives.
#[derive(Debug, Clone, Copy)]
struct Names {
    stage: &'static str,
    registry: &'static str,
}

impl Sources {
    /// The sources of this topic, within the runtime that calls are made in.
    pub fn new(engine: Arc<Engine>, topic: &str, sources: Vec<ReadSource>) -> Self {
        // Sources are read once, when the worker starts, so that this is a handful of texts.
        let leaked = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
        Self {
            engine,
            sources,
            names: Names {
                stage: leaked(format!("source {topic}")),
                registry: leaked(format!("schema registry of {topic}")),
            },
            runtime: Handle::current(),
            waits: AtomicBool::new(false),
        }
    }

    /// The schema of an event; `None`: nobody says just now.
    fn schema_of(
        &self,
        source: &ReadSource,
        body: Option<&[u8]>,
    ) -> Option<Result<Option<Arc<Schema>>, Rejection>> {
        let (Some(registry), Some(body)) = (&source.registry, body) else {
            return Some(Ok(None));
        };
        let kind = source.definition.template.kind;
        let id = match framed(body) {
            Ok(framed) => framed.id,
            Err(rejection) => return Some(Err(rejection)),
        };
        match self.runtime.block_on(registry.schema(id, kind)) {
            Ok(schema) => {
                if self.waits.swap(false, Ordering::Relaxed) {
                    self.engine.troubles.over(self.names.registry);
                }
                Some(schema.map(Some))
            }
            Err(away) => {
                if !self.waits.swap(true, Ordering::Relaxed) {
                    tracing::warn!(stage = self.names.stage, %away, "waiting: no event is read meanwhile");
                }
                self.engine.troubles.waits(self.names.registry, away.to_string());
                None
            }
        }
    }

    fn count(&self, source: &str, result: &str) {
        self.engine.metrics.source_event(source, result);
    }

    fn read_by(
        &self,
        source: &ReadSource,
        event: &Event<'_>,
        tenant_default: &Tenant,
    ) -> Reading<PreparedCommand> {
        let outcome = match self.schema_of(source, event.body) {
            None => return Reading::NotNow,
            Some(Err(rejection)) => Outcome::Refused(rejection),
            Some(Ok(schema)) => read(&source.definition, event, schema.as_deref()),
        };
        let content = match outcome {
            Outcome::Skipped(_) => {
                self.count(&source.name, "skipped");
                return Reading::Nothing;
            }
            // What `when` takes asks for something; of what cannot even be read nobody knows.
            Outcome::Refused(rejection) if rejection.reason == DeadLetterReason::Unmapped => {
                Err(rejection.asking(source.definition.template.kind))
            }
            Outcome::Refused(rejection) => Err(rejection),
            Outcome::Command(command) => {
                let mut envelope = Envelope::bare(tenant_default);
                envelope.traceparent = event.header("traceparent");
                self.engine
                    .intake()
                    .prepare_mapped(&command, &envelope, &source.name)
                    .map_err(|rejection| rejection.asking(source.definition.template.kind))
            }
        };
        if content.is_err() {
            self.count(&source.name, "dead_lettered");
        }
        Reading::Message(content)
    }
}

#[async_trait]
impl Work for Sources {
    type Item = PreparedCommand;
    const NAME: &'static str = "sources";
    const WINDOW: Window = Window::COMMANDS;
    const LEAVES_TRACES: bool = false;

    fn name(&self) -> &'static str {
        self.names.stage
    }

    fn read<M: Message>(&self, record: &M, tenant_default: &Tenant) -> Reading<PreparedCommand> {
        let carrier = Carrier::Record {
            topic: record.topic(),
            partition: record.partition(),
            offset: record.offset(),
        };
        let event = Event::new(headers_of(record), record.payload(), carrier);
        for source in &self.sources {
            match self.read_by(source, &event, tenant_default) {
                Reading::Nothing => {}
                read => return read,
            }
        }
        Reading::Nothing
    }

    fn kept_headers<M: Message>(&self, record: &M) -> KeptHeaders {
        let reads = |name: &str| {
            let mut read = self.sources.iter().flat_map(|source| source.definition.headers());
            read.any(|known| known.eq_ignore_ascii_case(name))
        };
        KeptHeaders::of_event(headers_of(record), reads)
    }

    async fn decide(&self, arrivals: &[Arrival<PreparedCommand>]) -> Result<Effects, EngineError> {
        let taken = self.engine.intake().take_in(arrivals).await?;
        for (arrival, verdict) in arrivals.iter().zip(&taken.verdicts) {
            // One that could not be read was counted when that was seen.
            let Some(source) = arrival.content.as_ref().ok().and_then(|p| p.source.as_deref()) else {
                continue;
            };
            let result = match verdict {
                Verdict::Rejected(_) => "dead_lettered",
                Verdict::Taken(_) | Verdict::Duplicate(_) | Verdict::Waiting(_) => "taken",
            };
            self.count(source, result);
        }
        Ok(taken.emission)
    }

    fn are_alike(&self, one: &PreparedCommand, other: &PreparedCommand) -> bool {
        use std::mem::discriminant;
        // The news of a return has a transaction of its own.
        let shares = matches!(one.command, Command::Open(_) | Command::Cancel(_));
        shares && discriminant(&one.command) == discriminant(&other.command)
    }

    async fn dry_run(&self, engine: &Engine, item: &PreparedCommand) -> Result<DryRun, EngineError> {
        engine.intake().dry_run_command(item).await
    }
}
