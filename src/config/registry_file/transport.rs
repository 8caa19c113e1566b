//! How a processor is asked.

use std::path::Path;

use super::{manual::manual, opendsr, vendor, webhook::webhook};
use crate::{
    config::{kafka, reader::Section},
    domain::registry::Transport,
};

/// The transports of the grammar.
#[derive(Clone, Copy)]
enum Kind {
    Kafka,
    Webhook,
    OpenDsr,
    Vendor,
    Manual,
    Agent,
}

const KINDS: &[(&str, Kind)] = &[
    ("kafka", Kind::Kafka),
    ("webhook", Kind::Webhook),
    ("opendsr", Kind::OpenDsr),
    ("vendor", Kind::Vendor),
    ("manual", Kind::Manual),
    ("agent", Kind::Agent),
];

/// Reads the transport. Where there is none, a problem says why.
pub(super) fn read(processor: &Section<'_>, connectors: Option<&Path>) -> Option<Transport> {
    let entry = processor.need("transport")?;
    let before = entry.source.count();
    let found = entry.table(|section| {
        let Some(kind) = section.need("type").and_then(|e| e.word(KINDS)) else {
            // Without a type, nobody knows which keys belong here.
            section.take_any();
            return None;
        };
        of_kind(kind, section, processor, connectors)
    });
    let found = found.flatten();
    if found.is_none() && entry.source.count() == before {
        // Should a refusal be lifted before there is a transport to return, it still fails closed.
        entry.problem("this transport cannot be carried out");
    }
    found
}

fn of_kind(
    kind: Kind,
    section: &Section<'_>,
    processor: &Section<'_>,
    connectors: Option<&Path>,
) -> Option<Transport> {
    match kind {
        Kind::Kafka => Some(Transport::Kafka {
            topic: section.get("topic").and_then(|e| kafka::topic(&e)),
        }),
        Kind::Webhook => webhook(section).map(Transport::Webhook),
        Kind::OpenDsr => opendsr::read(section, processor).map(Transport::OpenDsr),
        Kind::Vendor => vendor::read(section, connectors).map(Transport::Vendor),
        Kind::Manual => manual(section).map(Transport::Manual),
        Kind::Agent => Some(Transport::Agent),
    }
}
