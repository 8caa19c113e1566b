//! Reads events of upstreams: finds the schemas that they name, opens each event once however many sources read it, and asks
//! those in their order. The first that takes an event has it.

use std::sync::Arc;

use super::schema_registry::{Away, SchemaRegistry};
use crate::{
    domain::{
        source::{Source, Tombstones},
        words::DeadLetterReason,
    },
    wire::{
        Rejection,
        source::{Event, Opened, Outcome, Skip, framed, judge, open},
    },
};

/// A source, as its events are read.
#[derive(Debug)]
pub struct EventSource {
    /// What its events become.
    pub definition: Arc<Source>,
    /// Its name, for its commands.
    pub name: Arc<str>,
    /// Who has the schemas that its events name.
    pub registry: Option<Arc<SchemaRegistry>>,
}

/// The sources of one topic, or the one of a path.
#[derive(Debug)]
pub struct EventReader {
    sources: Vec<EventSource>,
}

/// What came of an event.
#[derive(Debug, Default)]
pub struct Heard<'r> {
    /// Those that have left it out, in their order, and why.
    pub skipped: Vec<(&'r EventSource, Skip)>,
    /// Whose it is, and the command that it becomes, or why it becomes none; `None`: nobody takes it.
    pub taken: Option<(&'r EventSource, Result<Vec<u8>, Rejection>)>,
}

/// A schema that has to be known before an event can be read.
#[derive(Debug, Clone, Copy)]
pub struct Needed<'r> {
    registry: &'r SchemaRegistry,
    id: u32,
}

impl Needed<'_> {
    /// Asks for it. Whether there is one is known then.
    pub async fn fetch(&self) -> Result<(), Away> {
        self.registry.schema(self.id).await.map(drop)
    }
}

impl EventReader {
    /// For sources in the order in which they are asked.
    pub const fn new(sources: Vec<EventSource>) -> Self {
        Self { sources }
    }

    /// The sources.
    pub fn sources(&self) -> &[EventSource] {
        &self.sources
    }

    /// Reads an event, and asks for what it needs.
    pub async fn read<'r>(&'r self, event: &Event<'_>) -> Result<Heard<'r>, Away> {
        loop {
            match self.read_known(event) {
                Ok(heard) => return Ok(heard),
                Err(needed) => needed.fetch().await?,
            }
        }
    }

    /// Reads an event by what is known; otherwise, what is to be asked for first. Nothing was done with the event then.
    pub fn read_known<'r>(&'r self, event: &Event<'_>) -> Result<Heard<'r>, Needed<'r>> {
        let mut heard = Heard::default();
        let mut unreadable = None;
        let mut opened: Vec<(&EventSource, Result<Opened<'_>, Rejection>)> = Vec::with_capacity(1);
        for source in &self.sources {
            let at = match opened.iter().position(|(other, _)| other.opens_like(source)) {
                Some(at) => at,
                None => {
                    opened.push((source, source.open(event)?));
                    opened.len() - 1
                }
            };
            let document = &opened[at].1;
            match judge(&source.definition, event, document) {
                Outcome::Skipped(skip) => heard.skipped.push((source, skip)),
                Outcome::Command(command) => {
                    heard.taken = Some((source, Ok(command)));
                    return Ok(heard);
                }
                Outcome::Refused(rejection) => {
                    let refused = (source, Err(source.asking(rejection)));
                    // What `when` takes is this source's. What cannot be read may be written as another one reads it.
                    if document.is_ok() {
                        heard.taken = Some(refused);
                        return Ok(heard);
                    }
                    unreadable.get_or_insert(refused);
                }
            }
        }
        heard.taken = unreadable;
        Ok(heard)
    }
}

impl EventSource {
    /// Whether an event that the other one has opened is opened for this one.
    fn opens_like(&self, other: &Self) -> bool {
        let registry = |source: &Self| source.registry.as_ref().map(Arc::as_ptr);
        let of = |source: &Self| (source.definition.format, source.definition.tombstones);
        of(self) == of(other) && registry(self) == registry(other)
    }

    fn open<'a>(&self, event: &'a Event<'_>) -> Result<Result<Opened<'a>, Rejection>, Needed<'_>> {
        let format = self.definition.format;
        let (Some(registry), Some(body)) = (&self.registry, event.body) else {
            return Ok(open(format, event, None));
        };
        if self.definition.tombstones == Tombstones::Only {
            // It has a value, so that nothing of it is looked at.
            return Ok(Ok(Opened::Document(Default::default())));
        }
        let id = match framed(body) {
            Ok(framed) => framed.id,
            Err(rejection) => return Ok(Err(rejection)),
        };
        match registry.known_schema(id) {
            Some(Ok(schema)) => Ok(open(format, event, Some(&schema))),
            Some(Err(rejection)) => Ok(Err(rejection)),
            None => Err(Needed { registry, id }),
        }
    }

    /// What `when` takes asks for something; of what cannot even be read nobody knows.
    fn asking(&self, rejection: Rejection) -> Rejection {
        match rejection.reason {
            DeadLetterReason::Unmapped => rejection.asking(self.definition.template.kind),
            _ => rejection,
        }
    }
}
