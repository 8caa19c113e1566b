//! Events behind the id of a schema, as the clients of schema registries write them: a zero byte, the id in four bytes, for
//! Protocol Buffers which message of the file it is, then the event.
//!
//! Where a schema comes from is not known here.

use std::fmt;

use super::{
    avro::AvroSchema,
    datum::{Datum, json},
    protobuf::ProtobufSchema,
    schema_text::{BadSchema, SchemaText},
    unmapped,
};
use crate::{
    domain::{source::Format, words::DeadLetterReason},
    wire::{Rejection, validate::MAX_BYTES},
};

/// What the first byte has to be.
const MAGIC: u8 = 0;

/// A schema, ready to read events by.
pub struct Schema(Kind);

enum Kind {
    Json,
    Avro(AvroSchema),
    Protobuf(ProtobufSchema),
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Json => "Schema(json)",
            Kind::Avro(_) => "Schema(avro)",
            Kind::Protobuf(_) => "Schema(protobuf)",
        })
    }
}

impl Schema {
    /// Reads a schema for events of this format.
    pub fn new(format: Format, schema: &SchemaText) -> Result<Self, BadSchema> {
        match format {
            Format::RegistryAvro => AvroSchema::new(schema).map(Kind::Avro),
            Format::RegistryProtobuf => ProtobufSchema::new(schema).map(Kind::Protobuf),
            // An event says itself how it is built; whoever wrote it has checked it against its schema.
            _ => Ok(Kind::Json),
        }
        .map(Self)
    }

    /// What a registry calls schemas of this format.
    pub const fn kind_of(format: Format) -> &'static str {
        match format {
            Format::RegistryAvro => "AVRO",
            Format::RegistryProtobuf => "PROTOBUF",
            _ => "JSON",
        }
    }

    /// Reads an event with what stands before it.
    pub(super) fn decode<'a>(&self, format: Format, body: &'a [u8]) -> Result<Datum<'a>, Rejection> {
        let Framed { rest, .. } = framed(body)?;
        match (&self.0, format) {
            (Kind::Json, Format::RegistryJson) => json(rest),
            (Kind::Avro(schema), Format::RegistryAvro) => schema.decode(rest),
            (Kind::Protobuf(schema), Format::RegistryProtobuf) => schema.decode(rest),
            _ => Err(unmapped("its schema is of another format".to_owned())),
        }
    }
}

/// An event and the id of its schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framed<'a> {
    /// The id that the registry knows the schema by.
    pub id: u32,
    /// What follows it.
    pub rest: &'a [u8],
}

/// Takes the id of the schema off.
pub fn framed(body: &[u8]) -> Result<Framed<'_>, Rejection> {
    if body.len() > MAX_BYTES {
        return Err(Rejection::new(
            DeadLetterReason::TooLarge,
            "expected at most 1048576 bytes",
        ));
    }
    match body {
        [MAGIC, a, b, c, d, rest @ ..] => Ok(Framed {
            id: u32::from_be_bytes([*a, *b, *c, *d]),
            rest,
        }),
        _ => Err(unmapped(
            "expected a zero byte and the id of a schema in four bytes before the event: it was not written by a client of a \
             schema registry"
                .to_owned(),
        )),
    }
}
