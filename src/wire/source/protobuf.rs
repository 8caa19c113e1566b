//! Events in Protocol Buffers.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use prost_reflect::{
    Cardinality, DynamicMessage, FieldDescriptor, FileDescriptor, Kind, MapKey, MessageDescriptor,
    ReflectMessage as _, Value,
};
use protox::{
    Compiler, Error,
    file::{ChainFileResolver, File, FileResolver, GoogleFileResolver},
};

use super::{
    datum::Datum,
    schema_text::{BadSchema, SchemaText},
    unmapped,
};
use crate::{
    domain::time::At,
    wire::{Rejection, validate::MAX_DEPTH},
};

/// What the file of the schema itself is called; those that it imports have their own names.
const ITSELF: &str = "the-event.proto";

/// A schema of Protocol Buffers: a file with messages.
pub(super) struct ProtobufSchema {
    file: FileDescriptor,
}

/// The texts of files that import each other.
struct Texts(Vec<(String, String)>);

impl FileResolver for Texts {
    fn open_file(&self, name: &str) -> Result<File, Error> {
        let found = self.0.iter().find(|(known, _)| known == name);
        let (_, text) = found.ok_or_else(|| Error::file_not_found(name))?;
        File::from_source(name, text)
    }
}

impl ProtobufSchema {
    pub(super) fn new(schema: &SchemaText) -> Result<Self, BadSchema> {
        let bad = |error: Error| BadSchema(error.to_string());
        let mut texts = schema.references.clone();
        texts.push((ITSELF.to_owned(), schema.text.clone()));
        let mut resolver = ChainFileResolver::new();
        resolver.add(Texts(texts));
        resolver.add(GoogleFileResolver::new());
        let mut compiler = Compiler::with_file_resolver(resolver);
        compiler.open_file(ITSELF).map_err(bad)?;
        let file = compiler.descriptor_pool().get_file_by_name(ITSELF);
        let file = file.ok_or_else(|| BadSchema("it holds no file".to_owned()))?;
        Ok(Self { file })
    }

    pub(super) fn decode<'a>(&self, bytes: &[u8]) -> Result<Datum<'a>, Rejection> {
        let (indexes, bytes) = message_indexes(bytes).ok_or_else(not_by_schema)?;
        let message = self.message(&indexes).ok_or_else(not_by_schema)?;
        let message = DynamicMessage::decode(message, bytes).map_err(|_| not_by_schema())?;
        object(&message, 0)
    }

    /// The message that these indexes lead to: one of the file, one in it, and so on.
    fn message(&self, indexes: &[usize]) -> Option<MessageDescriptor> {
        let (first, rest) = indexes.split_first()?;
        let outermost = self.file.messages().nth(*first)?;
        rest.iter()
            .try_fold(outermost, |message, index| message.child_messages().nth(*index))
    }
}

/// What the library says may repeat the event, so it is not said.
fn not_by_schema() -> Rejection {
    unmapped("the event is not what its Protobuf schema says".to_owned())
}

/// Which message of the file it is, and what follows: numbers in zigzag coding, their count first. A single zero stands for the
/// first message.
fn message_indexes(bytes: &[u8]) -> Option<(Vec<usize>, &[u8])> {
    let (count, mut rest) = zigzag(bytes)?;
    if count == 0 {
        return Some((vec![0], rest));
    }
    let mut indexes = Vec::new();
    for _ in 0..usize::try_from(count).ok().filter(|count| *count <= MAX_DEPTH)? {
        let (index, after) = zigzag(rest)?;
        indexes.push(usize::try_from(index).ok()?);
        rest = after;
    }
    Some((indexes, rest))
}

fn zigzag(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let mut number = 0_u64;
    for (n, byte) in bytes.iter().enumerate().take(5) {
        number |= u64::from(byte & 0x7f) << (7 * n);
        if byte & 0x80 == 0 {
            let signed = i64::try_from(number >> 1).ok()?;
            return Some((
                if number & 1 == 1 { -1 - signed } else { signed },
                &bytes[n + 1..],
            ));
        }
    }
    None
}

/// A message by the names that stand in its file. A field that has its default is not there: nobody can tell it from one that
/// was never set.
fn object<'a>(message: &DynamicMessage, depth: usize) -> Result<Datum<'a>, Rejection> {
    if depth > MAX_DEPTH {
        return Err(unmapped("expected at most 32 levels of nesting".to_owned()));
    }
    if let Some(time) = well_known_time(message) {
        return Ok(time);
    }
    // Protocol Buffers do not show where a message ends: one that was cut off between two fields is whole. Only what its schema
    // requires is missed.
    let lacks =
        |field: &FieldDescriptor| field.cardinality() == Cardinality::Required && !message.has_field(field);
    if message.descriptor().fields().any(|field| lacks(&field)) {
        return Err(not_by_schema());
    }
    let mut members = Vec::new();
    for (field, value) in message.fields() {
        members.push((
            field.name().to_owned().into(),
            datum(value, &field.kind(), depth + 1)?,
        ));
    }
    Ok(Datum::Object(members))
}

fn well_known_time<'a>(message: &DynamicMessage) -> Option<Datum<'a>> {
    if message.descriptor().full_name() != "google.protobuf.Timestamp" {
        return None;
    }
    let seconds = message.get_field_by_name("seconds")?.as_i64()?;
    let nanos = message.get_field_by_name("nanos")?.as_i32()?;
    let millis = seconds
        .checked_mul(1_000)?
        .checked_add(i64::from(nanos) / 1_000_000)?;
    Some(Datum::Text(At::from_millis(millis).to_string().into()))
}

fn datum<'a>(value: &Value, kind: &Kind, depth: usize) -> Result<Datum<'a>, Rejection> {
    Ok(match value {
        Value::Bool(value) => Datum::Bool(*value),
        Value::I32(number) => Datum::integer(*number),
        Value::I64(number) => Datum::integer(*number),
        Value::U32(number) => Datum::integer(*number),
        Value::U64(number) => Datum::integer(*number),
        Value::F32(number) => Datum::float((*number).into()),
        Value::F64(number) => Datum::float(*number),
        Value::String(text) => Datum::Text(text.clone().into()),
        Value::Bytes(bytes) => Datum::Text(BASE64_STANDARD.encode(bytes).into()),
        Value::EnumNumber(number) => {
            let name = kind.as_enum().and_then(|kind| kind.get_value(*number));
            name.map_or_else(
                || Datum::integer(*number),
                |value| Datum::Text(value.name().to_owned().into()),
            )
        }
        Value::Message(message) => object(message, depth)?,
        Value::List(items) => Datum::List(
            items
                .iter()
                .map(|item| datum(item, kind, depth + 1))
                .collect::<Result<_, _>>()?,
        ),
        Value::Map(members) => {
            let entry = kind
                .as_message()
                .map(|entry| entry.map_entry_value_field().kind());
            let kind = entry.as_ref().unwrap_or(kind);
            Datum::Object(
                members
                    .iter()
                    .map(|(key, value)| Ok((key_text(key).into(), datum(value, kind, depth + 1)?)))
                    .collect::<Result<_, Rejection>>()?,
            )
        }
    })
}

fn key_text(key: &MapKey) -> String {
    match key {
        MapKey::Bool(key) => key.to_string(),
        MapKey::I32(key) => key.to_string(),
        MapKey::I64(key) => key.to_string(),
        MapKey::U32(key) => key.to_string(),
        MapKey::U64(key) => key.to_string(),
        MapKey::String(key) => key.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_index_is_read_as_the_clients_write_it() {
        type Read = Option<(Vec<usize>, &'static [u8])>;
        let cases: [(&[u8], Read); 6] = [
            (&[0, 9], Some((vec![0], &[9]))),
            (&[2, 2, 9], Some((vec![1], &[9]))),
            (&[4, 2, 0, 9], Some((vec![1, 0], &[9]))),
            (&[1, 9], None),
            (&[], None),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff], None),
        ];
        for (bytes, expected) in cases {
            assert_eq!(message_indexes(bytes), expected, "{bytes:?}");
        }
    }
}
