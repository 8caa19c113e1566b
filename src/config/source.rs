//! `[[source]]`: upstreams whose events become commands.

mod command;
mod inlet;
mod map;
mod places;

use std::sync::Arc;

pub use self::inlet::{HttpInlet, Inlet, SchemaRegistry, Scheme, Signature};

use super::{
    kafka::{Topics, same_topic},
    policy::Policy,
    reader::{Entry, Section},
};
use crate::domain::{
    source::{Condition, Format, Place, Source as Definition, Target, Tombstones, Wanted},
    words::CommandKind,
};

/// What a source makes of tombstones, by its name in the configuration.
const TOMBSTONES: [(&str, Tombstones); 2] = [("skip", Tombstones::Skipped), ("only", Tombstones::Only)];

/// More of them in one configuration are a mistake: each topic has a consumer of its own.
const MAX_SOURCES: usize = 100;

/// An upstream: what its events become, and how they come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What its events become.
    pub definition: Arc<Definition>,
    /// How they come in.
    pub inlet: Inlet,
    /// Who has the schemas that its events name.
    pub registry: Option<SchemaRegistry>,
}

impl Source {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.definition.name
    }

    /// The topic that it is read from.
    pub fn topic(&self) -> Option<&str> {
        match &self.inlet {
            Inlet::Topic(topic) => Some(topic),
            Inlet::Http(_) => None,
        }
    }

    /// How it is called over HTTP.
    pub fn http(&self) -> Option<&HttpInlet> {
        match &self.inlet {
            Inlet::Topic(_) => None,
            Inlet::Http(http) => Some(http),
        }
    }
}

impl Source {
    /// Reports a regime that nobody has given a length.
    pub(super) fn check_regime(&self, root: &Section<'_>, policy: &Policy) {
        let Some(regime) = &self.definition.template.regime else {
            return;
        };
        if policy.regimes.terms(regime).is_none() {
            let expected = policy.regimes.expected();
            root.problem(
                "source",
                &format!("source {:?}: command.regime: {expected}", self.name()),
            );
        }
    }
}

/// Reads all of them. `topics`: Lacuna's own, which no source is.
pub(super) fn read(root: &Section<'_>, topics: &Topics) -> Vec<Source> {
    let list = root.get("source");
    let entries = list.as_ref().and_then(Entry::list).unwrap_or_default();
    if entries.len() > MAX_SOURCES {
        root.problem("source", &format!("expected at most {MAX_SOURCES}"));
        return Vec::new();
    }
    let mut sources: Vec<Source> = Vec::new();
    for (n, entry) in entries.iter().enumerate() {
        let prefix = match entry.peek("name") {
            Some(name) if is_name(name) => format!("source {name:?}: "),
            // People count from one.
            _ => format!("source #{}: ", n + 1),
        };
        let read = entry.table_named(&prefix, |section| source(section, topics, &sources));
        sources.extend(read.flatten());
    }
    sources
}

fn is_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    (1..=63).contains(&text.len()) && text.bytes().all(plain)
}

/// Reads one; it is `None` where something is missing that nothing can stand for.
fn source(section: &Section<'_>, topics: &Topics, others: &[Source]) -> Option<Source> {
    let name = name(section, others);
    let inlet = inlet::read(section);
    if let Some(inlet) = &inlet {
        check_place(section, inlet, topics, others);
    }
    let formats: Vec<(&str, Format)> = Format::ALL.to_vec();
    let format = section.need("format").and_then(|e| e.word(&formats));
    let when = section
        .get("when")
        .and_then(|e| conditions(&e))
        .unwrap_or_default();
    let tombstones = section
        .get("tombstones")
        .and_then(|e| e.word(&TOMBSTONES))
        .unwrap_or_default();
    if format == Some(Format::Debezium) && when.is_empty() && tombstones == Tombstones::Skipped {
        section.problem(
            "when",
            "missing: without it every row that is inserted would be an erasure; expected a condition such as \
             when = { \"/op\" = \"d\" }",
        );
    }
    let template = section
        .need("command")
        .and_then(|e| e.table(command::read))
        .flatten();
    let map = section.need("map").and_then(|e| e.table(map::read));
    if let (Some(template), Some(map)) = (&template, &map)
        && !map.is_broken
    {
        check_map(section, template.kind, &map.fields);
    }
    if let Some(inlet) = &inlet {
        let fields = map.as_ref().map_or(&[][..], |map| &map.fields);
        places::check(section, inlet, tombstones, &when, fields);
    }
    let registry = inlet::schema_registry(section, format);
    Some(Source {
        definition: Arc::new(Definition {
            name: name?,
            format: format?,
            tombstones,
            when,
            template: template?,
            map: map?.fields,
        }),
        inlet: inlet?,
        registry,
    })
}

fn name(section: &Section<'_>, others: &[Source]) -> Option<String> {
    let entry = section.need("name")?;
    let text = entry.text()?;
    if !is_name(text) {
        return entry.refused("expected a name: [a-z0-9_-]{1,63}");
    }
    if others.iter().any(|other| other.name() == text) {
        return entry.refused("another source has this name");
    }
    Some(text.to_owned())
}

/// Refuses a place that is Lacuna's own, or another source's.
fn check_place(section: &Section<'_>, inlet: &Inlet, topics: &Topics, others: &[Source]) {
    match inlet {
        Inlet::Topic(topic) => {
            if let Some((key, _)) = topics.own().iter().find(|(_, own)| same_topic(own, topic)) {
                section.problem(
                    "topic",
                    &format!(
                        "it is Lacuna's own topic kafka.topics.{key}: a source has one of its upstream's"
                    ),
                );
            } else if topic.starts_with(&topics.tasks_prefix) {
                section.problem(
                    "topic",
                    "it begins with kafka.topics.tasks_prefix: it could be a processor's topic",
                );
            }
        }
        Inlet::Http(http) => {
            let same = |other: &&Source| other.http().is_some_and(|other| other.path == http.path);
            if let Some(other) = others.iter().find(same) {
                section.problem("http", &format!("source {:?} has this path", other.name()));
            }
        }
    }
}

/// What an event has to have to be taken.
fn conditions(entry: &Entry<'_>) -> Option<Vec<Condition>> {
    entry.table(|section| {
        section.take_any();
        let read = section.entries().into_iter().filter_map(|(key, entry)| {
            let place = place(&entry, key)?;
            let wanted = if entry.is_table() {
                let present = |section: &Section<'_>| section.need("present").and_then(|e| e.boolean());
                Wanted::Present(entry.table(present).flatten()?)
            } else {
                Wanted::AnyOf(values(&entry)?)
            };
            Some(Condition { place, wanted })
        });
        read.collect()
    })
}

/// One value, or several of which one is wanted.
fn values(entry: &Entry<'_>) -> Option<Vec<String>> {
    if let Some(text) = entry.scalar_text() {
        return Some(vec![text]);
    }
    let list = entry.list_or("text, a whole number, true or false, a list of them, or { present = true }")?;
    let texts = list.iter().filter_map(|element| match element.scalar_text() {
        Some(text) => Some(text),
        None => element.mismatch("text, a whole number, true or false"),
    });
    let any_of: Vec<String> = texts.collect();
    if any_of.is_empty() {
        return entry.refused("expected at least one value");
    }
    Some(any_of)
}

/// Reads a place in an event; what is wrong with it is reported at `entry`.
fn place(entry: &Entry<'_>, text: &str) -> Option<Place> {
    Place::parse(text)
        .map_err(|error| entry.problem(&error.to_string()))
        .ok()
}

/// Whether the commands can be what they have to be.
fn check_map(section: &Section<'_>, kind: CommandKind, map: &[crate::domain::source::Mapping]) {
    let has = |wanted: &dyn Fn(&Target) -> bool| map.iter().any(|mapping| wanted(&mapping.target));
    let has_identity = has(&|target| matches!(target, Target::Identity(_)));
    match kind {
        CommandKind::Cancel if !has(&|target| *target == Target::RequestId) => section.problem(
            "map",
            "no request is mapped: a cancel names the one that it withdraws, as request_id",
        ),
        CommandKind::Cancel => {}
        _ if !has_identity => section.problem(
            "map",
            "no identity is mapped, so nobody would know whose data it is: expected one such as \
             \"identity.customer_id\" = \"/data/customerId\"",
        ),
        CommandKind::Reactivated if !has(&|target| *target == Target::At) => {
            section.problem("map", "no time is mapped: reactivated says since when, as at");
        }
        _ => {}
    }
}
