//! CloudEvents 1.0: reads an event in binary mode, in structured mode or bare, and writes the headers of binary mode.
//!
//! It must never look into the data, and never let an attribute stand in for a field of the message other than
//! the idempotency key.

use std::borrow::Cow;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{
    fields::{Text, uuid},
    read::read,
    rejection::Rejection,
    validate::{self, MAX_BYTES},
};
use crate::domain::ids::{CommandId, Tenant};

/// The only version of CloudEvents that exists.
const SPEC_VERSION: &str = "1.0";

/// Names ids that are derived from an event's source and id. Chosen once, by chance; never to change.
const EVENTS: Uuid = Uuid::from_u128(0x5d0c_6f3e_8a51_4b7e_9d27_1c3f_60ab_24e8);

/// What came around a message.
#[derive(Debug, Clone)]
pub struct Envelope<'a> {
    /// CloudEvents `id`.
    pub ce_id: Option<Cow<'a, str>>,
    /// CloudEvents `source`.
    pub ce_source: Option<Cow<'a, str>>,
    /// CloudEvents `type`.
    pub ce_type: Option<Cow<'a, str>>,
    /// Serves as `command_id` where the message has none: over HTTP, from the `Idempotency-Key`.
    pub command_id_default: Option<CommandId>,
    /// The tenant of a message that names none.
    pub tenant_default: &'a Tenant,
    /// W3C Trace Context, where it is valid.
    pub traceparent: Option<&'a str>,
}

impl<'a> Envelope<'a> {
    /// A message that came without attributes.
    pub fn bare(tenant_default: &'a Tenant) -> Self {
        Self {
            ce_id: None,
            ce_source: None,
            ce_type: None,
            command_id_default: None,
            tenant_default,
            traceparent: None,
        }
    }

    /// The id that the event's `id` and `source` give. Both count: what one source calls an event says nothing of what
    /// another one calls so.
    pub fn event_id(&self) -> Option<Uuid> {
        event_id(self.ce_id.as_deref()?, self.ce_source.as_deref())
    }

    /// The id that earlier versions gave the event, where it was another one: the `id` alone, where it is a UUID.
    pub fn former_event_id(&self) -> Option<Uuid> {
        uuid(self.ce_id.as_deref()?).filter(|_| self.ce_source.is_some())
    }
}

/// The id that an event's `id` and `source` give.
pub(super) fn event_id(id: &str, source: Option<&str>) -> Option<Uuid> {
    let Some(source) = source else {
        // No event of CloudEvents is without one. A UUID may be taken for the name of one event all the same.
        return uuid(id);
    };
    // A UUID is one in either case.
    let id = uuid(id).map_or_else(|| id.to_owned(), |uuid| uuid.to_string());
    // The length keeps the pairs (`a`, `bc`) and (`ab`, `c`) apart.
    Some(Uuid::new_v5(
        &EVENTS,
        format!("{}:{source}{id}", source.len()).as_bytes(),
    ))
}

/// A message out of its envelope.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    /// What came around it.
    pub envelope: Envelope<'a>,
    /// Its own bytes, not looked at yet.
    pub payload: Cow<'a, [u8]>,
}

/// Takes a Kafka record apart. `None` is a tombstone.
pub fn open<'a>(
    headers: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>,
    value: Option<&'a [u8]>,
    tenant_default: &'a Tenant,
) -> Result<Message<'a>, Rejection> {
    let mut envelope = Envelope::bare(tenant_default);
    let (mut structured, mut spec_version) = (None, None);
    for (name, value) in headers {
        // An attribute that is not text cannot be used; whether it is missed shows later.
        let text = value
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .filter(|text| !text.is_empty());
        match name {
            "ce_id" => envelope.ce_id = text.map(Cow::Borrowed),
            "ce_source" => envelope.ce_source = text.map(Cow::Borrowed),
            "ce_type" => envelope.ce_type = text.map(Cow::Borrowed),
            "ce_specversion" => spec_version = text,
            "traceparent" => envelope.traceparent = text.filter(|text| is_traceparent(text.as_bytes())),
            name if name.eq_ignore_ascii_case("content-type") => structured = text.and_then(structured_mode),
            _ => {}
        }
    }
    let value = value.unwrap_or_default();
    match structured {
        Some(Structured::Batch) => Err(Rejection::schema("content-type: expected one event, not a batch")),
        Some(Structured::Single) => open_structured(value, envelope),
        None if spec_version.is_some_and(|version| version != SPEC_VERSION) => {
            Err(Rejection::schema("ce_specversion: expected 1.0"))
        }
        None => Ok(Message {
            envelope,
            payload: Cow::Borrowed(value),
        }),
    }
}

#[derive(Debug, Clone, Copy)]
enum Structured {
    Single,
    Batch,
}

fn structured_mode(content_type: &str) -> Option<Structured> {
    const PREFIX: &str = "application/cloudevents";
    const BATCH: &str = "-batch";
    let (start, rest) = content_type.trim_start().split_at_checked(PREFIX.len())?;
    let batch = rest
        .get(..BATCH.len())
        .is_some_and(|text| text.eq_ignore_ascii_case(BATCH));
    start.eq_ignore_ascii_case(PREFIX).then_some(if batch {
        Structured::Batch
    } else {
        Structured::Single
    })
}

/// An event in structured mode.
#[derive(Debug, Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    id: Text<'a, 1, MAX_BYTES>,
    #[serde(borrow)]
    source: Text<'a, 1, MAX_BYTES>,
    #[serde(borrow)]
    specversion: Text<'a, 1, MAX_BYTES>,
    #[serde(rename = "type", borrow)]
    kind: Text<'a, 1, MAX_BYTES>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    data_base64: Option<Text<'a, 1, MAX_BYTES>>,
}

/// The limits hold for the whole event, so all of it is checked; the data is checked again as a message of its own.
fn open_structured<'a>(value: &'a [u8], envelope: Envelope<'a>) -> Result<Message<'a>, Rejection> {
    let event: Event<'a> = read(validate::check(value)?)?;
    if event.specversion.0 != SPEC_VERSION {
        return Err(Rejection::schema("specversion: expected 1.0"));
    }
    let payload = match (event.data, event.data_base64) {
        (Some(data), None) => Cow::Borrowed(data.get().as_bytes()),
        (None, Some(encoded)) => Cow::Owned(
            BASE64_STANDARD
                .decode(encoded.0.as_bytes())
                .map_err(|_| Rejection::schema("data_base64: expected base64"))?,
        ),
        _ => return Err(Rejection::schema("expected one of data and data_base64")),
    };
    let envelope = Envelope {
        ce_id: Some(event.id.0),
        ce_source: Some(event.source.0),
        ce_type: Some(event.kind.0),
        ..envelope
    };
    Ok(Message { envelope, payload })
}

/// Whether this is a `traceparent` of W3C Trace Context, of version 00 or a later one that begins like it.
fn is_traceparent(text: &[u8]) -> bool {
    const FORM: &[u8; 55] = b"hh-hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh-hhhhhhhhhhhhhhhh-hh";
    let Some((start, rest)) = text.split_at_checked(FORM.len()) else {
        return false;
    };
    let formed = FORM.iter().zip(start).all(|(form, byte)| match form {
        b'h' => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        dash => byte == dash,
    });
    let version = &start[..2];
    let extended = version != b"00" && rest.first() == Some(&b'-');
    let all_zero = |part: &[u8]| part.iter().all(|byte| *byte == b'0');
    formed
        && version != b"ff"
        && (rest.is_empty() || extended)
        && !all_zero(&start[3..35])
        && !all_zero(&start[36..52])
}

/// The headers of an event in binary mode.
pub fn ce_headers<'a>(id: &'a str, source: &'a str, kind: &'a str) -> [(&'static str, &'a str); 5] {
    [
        ("ce_id", id),
        ("ce_source", source),
        ("ce_specversion", SPEC_VERSION),
        ("ce_type", kind),
        ("content-type", "application/json"),
    ]
}
