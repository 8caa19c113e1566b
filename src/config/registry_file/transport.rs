//! How a processor is asked.

use super::{http_options::url, webhook::webhook};
use crate::{
    config::{
        kafka, not_built,
        reader::{Entry, Section},
        values::Zero,
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
}

const KINDS: &[(&str, Kind)] = &[
    ("kafka", Kind::Kafka),
    ("webhook", Kind::Webhook),
    ("opendsr", Kind::OpenDsr),
    ("vendor", Kind::Vendor),
    ("manual", Kind::Manual),
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
        of_kind(kind, section, &entry)
    });
    let found = found.flatten();
    if found.is_none() && entry.source.count() == before {
        // Should a refusal be lifted before there is a transport to return, it still fails closed.
        entry.problem("this transport cannot be carried out");
    }
    found
}

fn of_kind(kind: Kind, section: &Section<'_>, entry: &Entry<'_>) -> Option<Transport> {
    match kind {
        Kind::Kafka => {
            return Some(Transport::Kafka {
                topic: section.get("topic").and_then(|e| kafka::topic(&e)),
            });
        }
        Kind::Webhook => return webhook(section).map(Transport::Webhook),
        Kind::OpenDsr => {
            opendsr(section);
            not_built::refuse(entry, "transport.opendsr");
        }
        Kind::Vendor => {
            section.need("connector").and_then(|e| e.line_of_text());
            // The other keys are the connector's settings, which only the connector knows.
            section.take_any();
            not_built::refuse(entry, "transport.vendor");
        }
        Kind::Manual => {
            section.need("assignee").and_then(|e| e.line_of_text());
            not_built::refuse(entry, "transport.manual");
        }
    }
    None
}

fn opendsr(section: &Section<'_>) {
    section.need("url").and_then(|e| url(&e));
    section.get("version").and_then(|e| e.word(&[("2.0", ())]));
    section.get("processor_domain").and_then(|e| e.line_of_text());
    section.get("ca").and_then(|e| e.path());
    section.get("poll").and_then(|e| e.duration(Zero::Refused));
    section.get("auth").and_then(|e| e.table(auth));
}

/// The fields of each kind of authentication, and which of them are secrets.
const AUTH: &[(&str, &[(&str, bool)])] = &[
    ("none", &[]),
    ("basic", &[("username", false), ("password", true)]),
    ("bearer", &[("token", true)]),
    ("header", &[("name", false), ("value", true)]),
];

fn auth(section: &Section<'_>) {
    let Some(fields) = section.need("type").and_then(|e| e.word(AUTH)) else {
        section.take_any();
        return;
    };
    for (key, is_secret) in fields {
        let Some(entry) = section.need(key) else { continue };
        if *is_secret {
            entry.secret_source();
        } else {
            entry.line_of_text();
        }
    }
}
