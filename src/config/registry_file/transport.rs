//! How a processor is asked.

use super::{manual::manual, opendsr, webhook::webhook};
use crate::{
    config::{
        kafka, not_built,
        reader::{Entry, Section},
    },
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
pub(super) fn read(processor: &Section<'_>) -> Option<Transport> {
    let entry = processor.need("transport")?;
    let before = entry.source.count();
    let found = entry.table(|section| {
        let Some(kind) = section.need("type").and_then(|e| e.word(KINDS)) else {
            // Without a type, nobody knows which keys belong here.
            section.take_any();
            return None;
        };
        of_kind(kind, (section, &entry), processor)
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
    (section, entry): (&Section<'_>, &Entry<'_>),
    processor: &Section<'_>,
) -> Option<Transport> {
    match kind {
        Kind::Kafka => {
            return Some(Transport::Kafka {
                topic: section.get("topic").and_then(|e| kafka::topic(&e)),
            });
        }
        Kind::Webhook => return webhook(section).map(Transport::Webhook),
        Kind::OpenDsr => return opendsr::read(section, processor).map(Transport::OpenDsr),
        Kind::Vendor => {
            section.need("connector").and_then(|e| e.line_of_text());
            // The other keys are the connector's settings, which only the connector knows.
            section.take_any();
            not_built::refuse(entry, "transport.vendor");
        }
        Kind::Manual => return manual(section).map(Transport::Manual),
        Kind::Agent => return Some(Transport::Agent),
    }
    None
}
