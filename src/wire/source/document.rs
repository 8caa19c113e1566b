//! Opens an event: finds the document that pointers look into, whatever lies around it.

use std::borrow::Cow;

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::{
    Carrier, Event,
    datum::{Datum, json},
    schema::Schema,
    unmapped,
};
use crate::{
    domain::source::{Format, Place, Pointer},
    wire::Rejection,
};

/// Where pointers find the attributes of an event of CloudEvents.
const ATTRIBUTES: &str = "ce";

/// What a message holds.
#[derive(Debug)]
pub enum Opened<'a> {
    /// Nothing: it only says that its key is gone.
    Tombstone,
    /// An event.
    Document(Document<'a>),
}

/// An event out of what lay around it.
#[derive(Debug)]
pub struct Document<'a> {
    /// What pointers look into.
    data: Datum<'a>,
    /// The attributes of CloudEvents.
    attributes: Option<Datum<'a>>,
    /// Whether those were headers.
    is_binary: bool,
}

/// Of an event without a value.
impl Default for Document<'_> {
    fn default() -> Self {
        Self::plain(Datum::Null)
    }
}

impl<'a> Document<'a> {
    fn plain(data: Datum<'a>) -> Self {
        Self {
            data,
            attributes: None,
            is_binary: false,
        }
    }

    /// What lies at a place of this event.
    pub fn at<'d>(&'d self, place: &Place, event: &'d Event<'_>) -> Option<Cow<'d, Datum<'d>>> {
        match place {
            Place::Pointer(pointer) => self.pointed(pointer).map(Cow::Borrowed),
            Place::Header(name) => {
                let text = event.header(name)?;
                Some(Cow::Owned(Datum::Text(Cow::Borrowed(text))))
            }
            Place::Key(pointer) => {
                let key = key(event.key?, pointer.is_some())?;
                match pointer {
                    Some(pointer) => key.at(pointer).cloned().map(Cow::Owned),
                    None => Some(Cow::Owned(key)),
                }
            }
        }
    }

    /// The header that an attribute of CloudEvents was read from, if a pointer leads to one.
    pub fn header_at(&self, place: &Place) -> Option<String> {
        match place {
            Place::Header(name) => Some(name.clone()),
            Place::Pointer(pointer) if self.is_binary => match pointer.steps() {
                [first, name] if first == ATTRIBUTES => Some(format!("ce_{name}")),
                _ => None,
            },
            Place::Pointer(_) | Place::Key(_) => None,
        }
    }

    /// Whether its attributes were headers, among them its name.
    pub const fn is_binary(&self) -> bool {
        self.is_binary
    }

    fn pointed(&self, pointer: &Pointer) -> Option<&Datum<'a>> {
        match (&self.attributes, pointer.steps()) {
            (Some(attributes), [first, rest @ ..]) if first == ATTRIBUTES => attributes.along(rest),
            _ => self.data.at(pointer),
        }
    }

    /// Whether a snapshot of Debezium has found it: nobody has changed anything. Whoever reads its events by another format
    /// gets the same ones, so it is looked for in all of them, and there by all that Debezium writes around a row.
    pub fn is_of_snapshot(&self, format: Format) -> bool {
        let has = |name: &str| self.data.get(name).is_some();
        let is_change = match format {
            Format::Debezium => has("before") || has("after") || has("source"),
            _ => {
                let source = self.data.get("source");
                let of_debezium =
                    source.is_some_and(|s| s.get("snapshot").is_some() || s.get("connector").is_some());
                of_debezium && (has("before") || has("after"))
            }
        };
        is_change && self.data.get("op").and_then(Datum::text) == Some("r")
    }

    /// Whether it is a change event of Debezium.
    pub fn is_change(&self) -> bool {
        self.data.get("op").is_some()
    }
}

/// Opens a message.
pub fn open<'a>(
    format: Format,
    event: &'a Event<'_>,
    schema: Option<&Schema>,
) -> Result<Opened<'a>, Rejection> {
    if format == Format::CloudEvents {
        return open_cloud_event(event);
    }
    let Some(body) = event.body else {
        return Ok(Opened::Tombstone);
    };
    let data = match format {
        Format::Json | Format::CloudEvents => unpacked(json(body)?),
        Format::ConnectJson | Format::Debezium => match payload(json(body)?) {
            Datum::Null => return Ok(Opened::Tombstone),
            data => unpacked(data),
        },
        Format::RegistryJson | Format::RegistryAvro | Format::RegistryProtobuf => {
            let schema = schema.ok_or_else(|| unmapped("its schema is not known".to_owned()))?;
            match schema.decode(format, body)? {
                Datum::Null => return Ok(Opened::Tombstone),
                data => data,
            }
        }
    };
    Ok(Opened::Document(Document::plain(data)))
}

/// The key of a record: text as it is, or JSON. `by_pointer`: only JSON is meant.
fn key<'a>(bytes: &'a [u8], by_pointer: bool) -> Option<Datum<'a>> {
    let is_json = by_pointer || matches!(bytes.first(), Some(b'"' | b'{'));
    if is_json {
        return json(bytes).ok().map(payload);
    }
    // A text that looks like a number is somebody's id as it stands.
    let text = std::str::from_utf8(bytes).ok()?;
    Some(Datum::Text(Cow::Borrowed(text)))
}

/// The payload of an envelope of Kafka Connect, where there is one.
fn payload(mut data: Datum<'_>) -> Datum<'_> {
    let is_envelope = data.get("schema").is_some() && data.get("payload").is_some();
    if is_envelope && let Some(payload) = data.take("payload") {
        return payload;
    }
    data
}

/// Text that is a document itself: an outbox's column of JSON is handed on as text.
fn unpacked(data: Datum<'_>) -> Datum<'_> {
    let Datum::Text(text) = &data else { return data };
    match json(text.trim_start().as_bytes()) {
        Ok(inner @ Datum::Object(_)) => inner.into_owned(),
        _ => data,
    }
}

fn open_cloud_event<'a>(event: &'a Event<'_>) -> Result<Opened<'a>, Rejection> {
    const STRUCTURED: &str = "application/cloudevents";
    let content_type = event.header("content-type").unwrap_or_default();
    let is_structured = content_type
        .trim_start()
        .get(..STRUCTURED.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(STRUCTURED));
    if is_structured && content_type.to_ascii_lowercase().contains("-batch") {
        return Err(unmapped(
            "expected one event of CloudEvents, not a batch".to_owned(),
        ));
    }
    if !is_structured && event.header("ce_specversion").is_some() {
        return match event.carrier {
            Carrier::Call { headers_count: false } => Err(unmapped(
                "expected an event of CloudEvents in structured mode: in binary mode its attributes are headers, which the \
                 signature does not cover"
                    .to_owned(),
            )),
            _ => open_binary(event, content_type),
        };
    }
    let Some(body) = event.body else {
        return Ok(Opened::Tombstone);
    };
    let mut attributes = json(body)?;
    if attributes.get("specversion").is_none() {
        return Err(unmapped(
            "expected an event of CloudEvents: there is no header ce_specversion, and no specversion in the document"
                .to_owned(),
        ));
    }
    let data = match (attributes.take("data"), attributes.take("data_base64")) {
        (Some(data), _) => data,
        (None, Some(Datum::Text(text))) => {
            let bytes = BASE64_STANDARD
                .decode(text.as_bytes())
                .map_err(|_| unmapped("data_base64: expected base64".to_owned()))?;
            json(&bytes)?.into_owned()
        }
        (None, _) => Datum::Null,
    };
    Ok(Opened::Document(Document {
        data: unpacked(data),
        attributes: Some(attributes),
        is_binary: false,
    }))
}

/// An event whose attributes are headers.
fn open_binary<'a>(event: &'a Event<'_>, content_type: &str) -> Result<Opened<'a>, Rejection> {
    let attributes = event.headers.iter().filter_map(|(name, value)| {
        let name = name.strip_prefix("ce_")?;
        let text = std::str::from_utf8(value).ok()?;
        Some((Cow::Borrowed(name), Datum::Text(Cow::Borrowed(text))))
    });
    let attributes = Datum::Object(attributes.collect());
    let media = content_type.split(';').next().unwrap_or_default().trim();
    let media = media.to_ascii_lowercase();
    let is_json = media.is_empty() || media.ends_with("/json") || media.ends_with("+json");
    let data = match event.body {
        // Its attributes may say all that there is to say.
        None => Datum::Null,
        Some([]) => Datum::Null,
        Some(body) if is_json => unpacked(json(body)?),
        Some(_) => return Err(unmapped("content-type: expected data in JSON".to_owned())),
    };
    Ok(Opened::Document(Document {
        data,
        attributes: Some(attributes),
        is_binary: true,
    }))
}
