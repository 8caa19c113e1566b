//! How an effect is written: its key, its headers and its value.

use std::fmt::Write;

use rdkafka::message::{Header, OwnedHeaders};

use super::{json_buffer::JsonBuffer, routing::Topics};
use crate::{
    domain::{identity::SuppressionDigest, ids::RequestId},
    engine::effects::Effect,
    store::CompactedKey,
    wire::{dead_letter::DeadLetterHeaders, envelope::ce_headers, status, suppression, task},
};

/// Where CloudEvents of ours come from.
const SOURCE: &str = "/lacuna";

/// The longest key as text: a digest in hexadecimal.
pub(super) const KEY_BYTES: usize = 64;

/// What the message of an effect is found by; `None`: it has no key.
pub(super) fn key_of(effect: &Effect) -> Option<CompactedKey> {
    match effect {
        Effect::Task(task) => Some(CompactedKey::Status(task.request())),
        Effect::Status(status) => Some(CompactedKey::Status(status.id)),
        Effect::Suppression(suppressed) => Some(CompactedKey::Suppression(suppressed.key)),
        Effect::Tombstone(key) => Some(*key),
        Effect::DeadLetter(_) => None,
    }
}

/// A key as it is written: a UUID with hyphens, or a digest in hexadecimal.
pub(super) fn key_text(key: CompactedKey, room: &mut [u8; KEY_BYTES]) -> &str {
    match key {
        CompactedKey::Status(RequestId(id)) => id.hyphenated().encode_lower(room),
        CompactedKey::Suppression(digest) => digest_text(&digest, room),
    }
}

fn digest_text<'a>(digest: &SuppressionDigest, room: &'a mut [u8; KEY_BYTES]) -> &'a str {
    // Half as many bytes as there is room, so that neither can fail.
    hex::encode_to_slice(digest, room).unwrap_or_default();
    std::str::from_utf8(room).unwrap_or_default()
}

/// The value; `None`: the message has none at all, which is something else than an empty one.
pub(super) fn value<'a>(
    effect: &'a Effect,
    topics: &Topics,
    buffer: &'a mut JsonBuffer,
) -> Result<Option<&'a [u8]>, serde_json::Error> {
    match effect {
        Effect::Task(task) => buffer.write(&task.message(&topics.acks, topics.ack_url.as_deref())),
        Effect::Status(status) => buffer.write(&status.message),
        Effect::Suppression(suppressed) => buffer.write(&suppressed.message()),
        Effect::Tombstone(_) => return Ok(None),
        Effect::DeadLetter(letter) => Ok(&*letter.sealed),
    }
    .map(Some)
}

/// `text` is room for an id.
pub(super) fn headers(effect: &Effect, text: &mut String) -> OwnedHeaders {
    text.clear();
    let mut room = [0; KEY_BYTES];
    // Writing to a `String` cannot fail.
    match effect {
        Effect::Task(task) => {
            text.push_str(task.id.0.hyphenated().encode_lower(&mut room));
            write!(text, ":{}:{}", task.generation, task.attempt).unwrap_or_default();
            event_headers(text, task::EVENT_TYPE, task.trace.as_deref())
        }
        Effect::Status(status) => {
            text.push_str(status.id.0.hyphenated().encode_lower(&mut room));
            write!(text, ":{}", status.revision).unwrap_or_default();
            event_headers(text, status::EVENT_TYPE, status.trace.as_deref())
        }
        Effect::Suppression(suppressed) => {
            let key = digest_text(&suppressed.key, &mut room);
            write!(text, "{key}:{}", suppressed.since).unwrap_or_default();
            event_headers(text, suppression::EVENT_TYPE, None)
        }
        Effect::Tombstone(_) => OwnedHeaders::new_with_capacity(0),
        Effect::DeadLetter(letter) => {
            let origin = &letter.origin;
            let own = DeadLetterHeaders::new(
                letter.reason,
                &origin.topic,
                origin.partition,
                origin.offset,
                letter.at,
            );
            collected(own.pairs())
        }
    }
}

fn event_headers(event_id: &str, kind: &'static str, trace: Option<&str>) -> OwnedHeaders {
    let trace = trace.map(|parent| ("traceparent", parent));
    collected(ce_headers(event_id, SOURCE, kind).into_iter().chain(trace))
}

fn collected<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> OwnedHeaders {
    let add = |headers: OwnedHeaders, (key, value)| {
        headers.insert(Header {
            key,
            value: Some(value),
        })
    };
    pairs.into_iter().fold(OwnedHeaders::new_with_capacity(6), add)
}
