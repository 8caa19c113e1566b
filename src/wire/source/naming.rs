//! The ids of commands whose events have none that is a UUID: the same event always has the same one.

use uuid::Uuid;

use super::{Carrier, Event, document::Document};
use crate::domain::source::Source;

/// Names ids that are derived from events. Chosen once, by chance; never to change.
const COMMANDS: Uuid = Uuid::from_u128(0x3f1c_9a52_7d0e_4c86_b1f4_52d9_07ae_6c13);

/// The id of an event that calls itself so.
pub(super) fn named(source: &Source, name: &str) -> Uuid {
    derived(source, &["id", name], &[])
}

/// The id of an event that says nothing of the kind: that of its place, or of what a call says.
pub(super) fn unnamed(source: &Source, event: &Event<'_>, document: &Document<'_>) -> Uuid {
    match event.carrier {
        Carrier::Record {
            topic,
            partition,
            offset,
            incarnation,
        } => {
            let (partition, offset) = (partition.to_string(), offset.to_string());
            let mut parts = vec!["record", topic, &partition, &offset];
            // The first log of a name needs no more than the place in it.
            let incarnation = (incarnation > 0).then(|| incarnation.to_string());
            parts.extend(incarnation.as_deref());
            derived(source, &parts, &[])
        }
        Carrier::Call { .. } => of_call(source, event, document),
    }
}

/// The id of a call: what its body says, and what is read of its headers. Two events may differ in those alone.
fn of_call(source: &Source, event: &Event<'_>, document: &Document<'_>) -> Uuid {
    let mut names: Vec<String> = source
        .places()
        .filter_map(|place| document.header_at(place))
        .collect();
    if document.is_binary() {
        names.extend(["ce_id".to_owned(), "ce_source".to_owned()]);
    }
    names.sort_unstable();
    names.dedup();
    let read = names
        .iter()
        .filter_map(|name| Some([name.as_str(), event.header(name)?]));
    let read: Vec<&str> = read.flatten().collect();
    // Before headers counted, this was the name of every call.
    let kind = if read.is_empty() { "body" } else { "call" };
    let parts = [&[kind], read.as_slice()].concat();
    derived(source, &parts, event.body.unwrap_or_default())
}

/// The id that these parts give. Each has its length before it, so that no two lists of parts are the same.
fn derived(source: &Source, parts: &[&str], rest: &[u8]) -> Uuid {
    let mut name = Vec::with_capacity(64 + rest.len());
    for part in [source.name.as_str()].iter().chain(parts) {
        name.extend_from_slice(format!("{}:", part.len()).as_bytes());
        name.extend_from_slice(part.as_bytes());
    }
    name.extend_from_slice(rest);
    Uuid::new_v5(&COMMANDS, &name)
}
