//! How a record is written: its key, and its headers.

use std::fmt::Write;

use rdkafka::message::{Header, OwnedHeaders};

use crate::{
    engine::outputs::{RecordKey, RecordKind},
    wire::{envelope::ce_headers, status, suppression, task},
};

/// Where CloudEvents of ours come from.
const SOURCE: &str = "/lacuna";

/// The longest key as text: a digest in hexadecimal.
pub(super) const KEY_BYTES: usize = 64;

/// A key as it is written: a UUID with hyphens, or a digest in hexadecimal.
pub(super) fn key_text<'a>(key: &RecordKey, room: &'a mut [u8; KEY_BYTES]) -> &'a str {
    match key {
        RecordKey::Request(id) => id.0.hyphenated().encode_lower(room),
        RecordKey::Suppression(digest) => {
            // Half as many bytes as there is room, so that neither can fail.
            hex::encode_to_slice(digest, room).unwrap_or_default();
            std::str::from_utf8(room).unwrap_or_default()
        }
    }
}

/// `text` is room for an id.
pub(super) fn headers(kind: &RecordKind, text: &mut String) -> OwnedHeaders {
    text.clear();
    let mut room = [0; KEY_BYTES];
    // Writing to a `String` cannot fail.
    match kind {
        RecordKind::Task {
            id,
            generation,
            attempt,
        } => {
            text.push_str(id.0.hyphenated().encode_lower(&mut room));
            write!(text, ":{generation}:{attempt}").unwrap_or_default();
            event_headers(text, task::EVENT_TYPE)
        }
        RecordKind::Status { id, revision } => {
            text.push_str(id.0.hyphenated().encode_lower(&mut room));
            write!(text, ":{revision}").unwrap_or_default();
            event_headers(text, status::EVENT_TYPE)
        }
        RecordKind::Suppression { key, since } => {
            let key = key_text(&RecordKey::Suppression(*key), &mut room);
            write!(text, "{key}:{since}").unwrap_or_default();
            event_headers(text, suppression::EVENT_TYPE)
        }
        RecordKind::Tombstone => OwnedHeaders::new_with_capacity(0),
        RecordKind::DeadLetter { headers: own } => {
            own.pairs()
                .into_iter()
                .fold(OwnedHeaders::new_with_capacity(5), |headers, (key, value)| {
                    headers.insert(Header {
                        key,
                        value: Some(value),
                    })
                })
        }
    }
}

fn event_headers(event_id: &str, kind: &'static str) -> OwnedHeaders {
    ce_headers(event_id, SOURCE, kind).into_iter().fold(
        OwnedHeaders::new_with_capacity(5),
        |headers, (key, value)| {
            headers.insert(Header {
                key,
                value: Some(value),
            })
        },
    )
}
