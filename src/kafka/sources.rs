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
    domain::{command::Command, ids::Tenant},
    engine::{
        Engine, EngineError,
        dry_run::DryRun,
        effects::Effects,
        intake::Verdict,
        prepare::{Arrival, PreparedCommand},
    },
    transport::event_reader::{EventReader, EventSource, Heard},
    wire::{
        Envelope, KeptHeaders, Rejection,
        source::{Carrier, Event},
    },
};

/// The sources of one topic.
#[derive(Debug)]
pub struct Sources {
    engine: Arc<Engine>,
    reader: EventReader,
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
    pub fn new(engine: Arc<Engine>, topic: &str, reader: EventReader) -> Self {
        // Sources are read once, when the worker starts, so that this is a handful of texts.
        let leaked = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
        Self {
            engine,
            reader,
            names: Names {
                stage: leaked(format!("source {topic}")),
                registry: leaked(format!("schema registry of {topic}")),
            },
            runtime: Handle::current(),
            waits: AtomicBool::new(false),
        }
    }

    /// What the sources make of an event; `None`: a schema is needed that nobody gives just now.
    fn hear(&self, event: &Event<'_>) -> Option<Heard<'_>> {
        loop {
            let needed = match self.reader.read_known(event) {
                Ok(heard) => {
                    // Only now is nothing missing any more: one registry that answers says nothing of another one.
                    if self.waits.swap(false, Ordering::Relaxed) {
                        self.engine.troubles.over(self.names.registry);
                    }
                    return Some(heard);
                }
                Err(needed) => needed,
            };
            if let Err(away) = self.runtime.block_on(needed.fetch()) {
                if !self.waits.swap(true, Ordering::Relaxed) {
                    tracing::warn!(stage = self.names.stage, %away, "waiting: no event is read meanwhile");
                }
                self.engine.troubles.waits(self.names.registry, away.to_string());
                return None;
            }
        }
    }

    fn count(&self, source: &str, result: &str) {
        self.engine.metrics.source_event(source, result);
    }

    fn prepared(
        &self,
        source: &EventSource,
        command: Result<Vec<u8>, Rejection>,
        event: &Event<'_>,
        tenant_default: &Tenant,
    ) -> Result<PreparedCommand, Rejection> {
        let mut envelope = Envelope::bare(tenant_default);
        envelope.traceparent = event.header("traceparent");
        self.engine
            .intake()
            .prepare_mapped(&command?, &envelope, &source.name)
            .map_err(|rejection| rejection.asking(source.definition.template.kind))
    }
}

/// A record of an upstream's topic.
fn event_of<M: Message>(record: &M, incarnation: u32) -> Event<'_> {
    let carrier = Carrier::Record {
        topic: record.topic(),
        partition: record.partition(),
        offset: record.offset(),
        incarnation,
    };
    Event::new(headers_of(record), record.payload(), carrier).with_key(record.key())
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

    fn read<M: Message>(
        &self,
        record: &M,
        incarnation: u32,
        tenant_default: &Tenant,
    ) -> Reading<PreparedCommand> {
        let event = event_of(record, incarnation);
        let Some(heard) = self.hear(&event) else {
            return Reading::NotNow;
        };
        for (source, _) in &heard.skipped {
            self.count(&source.name, "skipped");
        }
        let Some((source, command)) = heard.taken else {
            return Reading::Nothing;
        };
        let content = self.prepared(source, command, &event, tenant_default);
        if content.is_err() {
            self.count(&source.name, "dead_lettered");
        }
        Reading::Message(content)
    }

    fn kept_headers<M: Message>(&self, record: &M) -> KeptHeaders {
        let reads = |name: &str| {
            let sources = self.reader.sources().iter();
            let mut read = sources.flat_map(|source| source.definition.headers());
            read.any(|known| known.eq_ignore_ascii_case(name))
        };
        KeptHeaders::of_event(
            headers_of(record),
            reads,
            record.key(),
            record.payload().is_some(),
        )
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
