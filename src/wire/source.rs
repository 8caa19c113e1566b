//! Sources: an event of an upstream, as it writes it, becomes a command, or is left out, or is said to be unmapped and why.
//!
//! Pure: an event and the definition of its source are all that it looks at, so the same event is the same command whenever it
//! is read. What it says about an event names pointers of the configuration, and never holds a value of the event.

mod avro;
mod datum;
mod document;
mod mapping;
mod naming;
mod protobuf;
mod schema;
mod schema_text;
#[cfg(test)]
mod tests;
mod written;

use std::fmt;

use super::rejection::Rejection;
use crate::domain::{
    source::{Source, Tombstones, Wanted},
    words::DeadLetterReason,
};

use self::document::Document;
pub use self::{
    document::{Opened, open},
    schema::{Framed, Schema, framed},
    schema_text::{BadSchema, SchemaText},
};

/// A message of a source.
#[derive(Clone)]
pub struct Event<'a> {
    /// Its headers, by their names in lower case; attributes of CloudEvents begin with `ce_`, however the carrier writes them.
    pub headers: Vec<(String, &'a [u8])>,
    /// The key of its record.
    pub key: Option<&'a [u8]>,
    /// What it holds; `None` is a tombstone.
    pub body: Option<&'a [u8]>,
    /// Where it came from.
    pub carrier: Carrier<'a>,
}

/// Where an event came from: what its command is named by, where the event itself has no name.
#[derive(Debug, Clone, Copy)]
pub enum Carrier<'a> {
    /// A record of Kafka.
    Record {
        /// The topic.
        topic: &'a str,
        /// The partition.
        partition: i32,
        /// The offset.
        offset: i64,
        /// Which log of the topic's name: one that was deleted and made anew counts its offsets from the beginning.
        incarnation: u32,
    },
    /// A call over HTTP, which has no place: what it says names it.
    Call {
        /// Whether its headers are as certain as its body. Whoever has seen one call can send it again with others where its
        /// signature does not cover them.
        headers_count: bool,
    },
}

/// Without what it holds.
impl fmt::Debug for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("carrier", &self.carrier)
            .finish_non_exhaustive()
    }
}

impl<'a> Event<'a> {
    /// An event with the headers of its carrier, as far as they say something.
    pub fn new<'h>(
        headers: impl IntoIterator<Item = (&'h str, Option<&'a [u8]>)>,
        body: Option<&'a [u8]>,
        carrier: Carrier<'a>,
    ) -> Self {
        let headers = headers.into_iter().filter_map(|(name, value)| {
            let mut name = name.to_ascii_lowercase();
            if name.starts_with("ce-") {
                name.replace_range(..3, "ce_");
            }
            Some((name, value?))
        });
        Self {
            headers: headers.collect(),
            key: None,
            body,
            carrier,
        }
    }

    /// The same with the key of its record.
    pub fn with_key(self, key: Option<&'a [u8]>) -> Self {
        Self { key, ..self }
    }

    /// The text of a header, whose name is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.and_then(|(_, value)| std::str::from_utf8(value).ok())
    }
}

/// What becomes of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A command, as JSON.
    Command(Vec<u8>),
    /// It is none of those that are taken.
    Skipped(Skip),
    /// It is to be taken, and cannot be.
    Refused(Rejection),
}

/// Why an event is left out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Skip {
    /// It holds nothing.
    #[error(
        "it is a tombstone, which says nothing but that its key is gone; only `tombstones = \"only\"` takes those"
    )]
    Tombstone,
    /// It holds something.
    #[error("it is no tombstone, and `tombstones = \"only\"` takes nothing else")]
    Value,
    /// A condition does not hold.
    #[error("`when` asks for {wanted} at {place}, and there is {found}")]
    When {
        /// Where.
        place: String,
        /// What the configuration asks for.
        wanted: String,
        /// What is there, in words; never the value.
        found: &'static str,
    },
    /// A snapshot has found it.
    #[error(
        "it is a row that a snapshot has read (op = r), which nobody has deleted; only `when = {{ \"/op\" = … }}` takes those"
    )]
    Snapshot,
}

/// Whether there is a place in an event that a field is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The field of the command.
    pub target: String,
    /// Where it is looked for.
    pub place: String,
    /// What lies there, in words; never the value.
    pub what: &'static str,
}

/// Reads an event of a source. `schema`: the one that the event names, for formats that name schemas.
pub fn read(source: &Source, event: &Event<'_>, schema: Option<&Schema>) -> Outcome {
    judge(source, event, &open(source.format, event, schema))
}

/// What becomes of an event that was opened, as its source's format says. Several sources of one format share what was opened.
pub fn judge(source: &Source, event: &Event<'_>, opened: &Result<Opened<'_>, Rejection>) -> Outcome {
    let no_value = Document::default();
    let document = match (opened, source.tombstones) {
        (Ok(Opened::Tombstone), Tombstones::Skipped) => return Outcome::Skipped(Skip::Tombstone),
        (Ok(Opened::Tombstone), Tombstones::Only) => &no_value,
        // Whatever a value says, and whether it can be read: it is none of those that are meant.
        (_, Tombstones::Only) => return Outcome::Skipped(Skip::Value),
        (Ok(Opened::Document(document)), Tombstones::Skipped) => document,
        (Err(rejection), Tombstones::Skipped) => return Outcome::Refused(rejection.clone()),
    };
    if let Some(skip) = left_out(source, event, document) {
        return Outcome::Skipped(skip);
    }
    match mapping::command(source, event, document) {
        Ok(command) => Outcome::Command(command),
        Err(rejection) => Outcome::Refused(rejection),
    }
}

/// What lies where the fields of a command are looked for, to show somebody who writes a mapping.
pub fn found(source: &Source, event: &Event<'_>, opened: &Result<Opened<'_>, Rejection>) -> Vec<Found> {
    let no_value = Document::default();
    let document = match opened {
        Ok(Opened::Document(document)) => document,
        Ok(Opened::Tombstone) if source.tombstones == Tombstones::Only => &no_value,
        _ => return Vec::new(),
    };
    let looked_at = |mapping: &crate::domain::source::Mapping| Found {
        target: mapping.target.to_string(),
        place: mapping.place.to_string(),
        what: document
            .at(&mapping.place, event)
            .map_or("nothing", |found| found.name()),
    };
    source.map.iter().map(looked_at).collect()
}

/// Why an event is none of those that are taken.
fn left_out(source: &Source, event: &Event<'_>, document: &Document<'_>) -> Option<Skip> {
    for condition in &source.when {
        let found = document.at(&condition.place, event);
        let text = found.as_ref().and_then(|found| found.text());
        let is_there = found.as_ref().is_some_and(|found| !found.is_null());
        let holds = match &condition.wanted {
            Wanted::AnyOf(_) => text.is_some_and(|text| condition.wanted.names(text)),
            Wanted::Present(wanted) => *wanted == is_there,
        };
        if !holds {
            return Some(Skip::When {
                place: condition.place.to_string(),
                wanted: condition.wanted.to_string(),
                found: match (text, is_there) {
                    (_, false) => "nothing",
                    (Some(_), true) => "another value",
                    (None, true) => found.as_ref().map_or("nothing", |found| found.name()),
                },
            });
        }
    }
    (document.is_of_snapshot(source.format) && !source.takes_snapshots()).then_some(Skip::Snapshot)
}

/// Refuses an event that is to be taken and is no command. The detail must not hold anything of the event.
fn unmapped(detail: String) -> Rejection {
    Rejection::new(DeadLetterReason::Unmapped, detail)
}
