//! Events in Avro.

use std::{
    collections::{HashMap, HashSet},
    io::Read,
};

use apache_avro::{
    Schema,
    reader::datum::GenericDatumReader,
    schema::{Name, RecordSchema},
    types::Value,
    util::max_allocation_bytes,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::{
    datum::Datum,
    schema_text::{BadSchema, SchemaText},
    unmapped,
};
use crate::{
    domain::time::At,
    wire::{Rejection, validate::MAX_DEPTH},
};

/// The most that one value of an event may ask for: an event of 1 MiB holds nothing larger.
const MOST_BYTES: usize = 8 << 20;

/// A schema of Avro.
pub(super) struct AvroSchema {
    schema: Schema,
    named: Vec<Schema>,
}

impl AvroSchema {
    pub(super) fn new(schema: &SchemaText) -> Result<Self, BadSchema> {
        // Once for the process; whoever was first has set the same.
        max_allocation_bytes(MOST_BYTES);
        let named = schema.references.iter().map(|(_, text)| text.as_str());
        let (schema, named) =
            Schema::parse_str_with_list(&schema.text, named).map_err(|error| BadSchema(error.to_string()))?;
        let schema = Self { schema, named };
        schema.check_nesting()?;
        schema.reader().map_err(|error| BadSchema(error.to_string()))?;
        Ok(schema)
    }

    /// The library reads as deep as a schema lets an event go, and the stack ends before that: so a schema must not contain itself.
    fn check_nesting(&self) -> Result<(), BadSchema> {
        let mut nesting = Nesting::default();
        let all = || self.named.iter().chain([&self.schema]);
        all().for_each(|schema| nesting.collect(schema));
        all().try_for_each(|schema| nesting.check(schema))
    }

    fn reader(&self) -> Result<GenericDatumReader<'_>, apache_avro::Error> {
        let mut all: Vec<&Schema> = self.named.iter().collect();
        all.push(&self.schema);
        GenericDatumReader::builder(&self.schema)
            .writer_schemata(all)?
            .build()
    }

    /// Reads an event. What the library says of one that it cannot read may repeat it, so it is not said.
    pub(super) fn decode<'a>(&self, bytes: &[u8]) -> Result<Datum<'a>, Rejection> {
        let wrong = || unmapped("the event is not what its Avro schema says".to_owned());
        let reader = self.reader().map_err(|_| wrong())?;
        let mut left = Whole {
            left: bytes,
            ended_early: false,
        };
        let value = reader.read_value(&mut left).map_err(|_| wrong())?;
        if left.ended_early || !left.left.is_empty() {
            return Err(wrong());
        }
        datum(value, 0)
    }
}

/// The bytes of an event. The library takes a text, a union or a boolean that the event ends before for nothing, as if the
/// writer had left it out; Avro leaves nothing out, so that such an event was cut off.
struct Whole<'b> {
    left: &'b [u8],
    ended_early: bool,
}

impl Read for Whole<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.left.read(buffer)?;
        self.ended_early |= read == 0 && !buffer.is_empty();
        Ok(read)
    }
}

/// Finds a schema that contains itself.
#[derive(Default)]
struct Nesting<'s> {
    records: HashMap<&'s Name, &'s RecordSchema>,
    open: Vec<&'s Name>,
    done: HashSet<&'s Name>,
}

impl<'s> Nesting<'s> {
    fn collect(&mut self, schema: &'s Schema) {
        match schema {
            Schema::Record(record) => {
                self.records.insert(&record.name, record);
                record.fields.iter().for_each(|field| self.collect(&field.schema));
            }
            Schema::Array(array) => self.collect(&array.items),
            Schema::Map(map) => self.collect(&map.types),
            Schema::Union(union) => union.variants().iter().for_each(|schema| self.collect(schema)),
            _ => {}
        }
    }

    fn check(&mut self, schema: &'s Schema) -> Result<(), BadSchema> {
        match schema {
            Schema::Record(record) => self.record(record),
            Schema::Ref { name } => match self.records.get(name) {
                Some(record) => self.record(record),
                // Of enums and fixed bytes, which contain nothing.
                None => Ok(()),
            },
            // Items without bytes would let an event of some bytes ask for any memory.
            Schema::Array(array) if matches!(*array.items, Schema::Null) => {
                Err(BadSchema("it has a list of nothing".to_owned()))
            }
            Schema::Array(array) => self.check(&array.items),
            Schema::Map(map) => self.check(&map.types),
            Schema::Union(union) => union.variants().iter().try_for_each(|schema| self.check(schema)),
            _ => Ok(()),
        }
    }

    fn record(&mut self, record: &'s RecordSchema) -> Result<(), BadSchema> {
        if self.open.contains(&&record.name) {
            return Err(BadSchema("it contains itself".to_owned()));
        }
        if !self.done.contains(&record.name) {
            self.open.push(&record.name);
            record
                .fields
                .iter()
                .try_for_each(|field| self.check(&field.schema))?;
            self.open.pop();
            self.done.insert(&record.name);
        }
        Ok(())
    }
}

fn datum<'a>(value: Value, depth: usize) -> Result<Datum<'a>, Rejection> {
    if depth > MAX_DEPTH {
        return Err(unmapped("expected at most 32 levels of nesting".to_owned()));
    }
    let inner = |value| datum(value, depth + 1);
    Ok(match value {
        Value::Null => Datum::Null,
        Value::Boolean(value) => Datum::Bool(value),
        Value::Int(number) => Datum::integer(number),
        Value::Long(number) => Datum::integer(number),
        Value::Float(number) => Datum::float(number.into()),
        Value::Double(number) => Datum::float(number),
        Value::String(text) | Value::Enum(_, text) => Datum::Text(text.into()),
        Value::Bytes(bytes) | Value::Fixed(_, bytes) => Datum::Text(BASE64_STANDARD.encode(bytes).into()),
        Value::Uuid(id) => Datum::Text(id.to_string().into()),
        Value::Union(_, value) => return inner(*value),
        Value::Array(items) => Datum::List(items.into_iter().map(inner).collect::<Result<_, _>>()?),
        Value::Map(members) => Datum::Object(
            members
                .into_iter()
                .map(|(name, value)| Ok((name.into(), inner(value)?)))
                .collect::<Result<_, Rejection>>()?,
        ),
        Value::Record(fields) => Datum::Object(
            fields
                .into_iter()
                .map(|(name, value)| Ok((name.into(), inner(value)?)))
                .collect::<Result<_, Rejection>>()?,
        ),
        Value::TimestampMillis(millis) => time(millis),
        Value::TimestampMicros(micros) => time(micros.div_euclid(1_000)),
        Value::TimestampNanos(nanos) => time(nanos.div_euclid(1_000_000)),
        Value::BigDecimal(number) => Datum::Number(number.to_plain_string().into()),
        // Neither a point in time nor anybody's id.
        Value::Date(_)
        | Value::Decimal(_)
        | Value::TimeMillis(_)
        | Value::TimeMicros(_)
        | Value::LocalTimestampMillis(_)
        | Value::LocalTimestampMicros(_)
        | Value::LocalTimestampNanos(_)
        | Value::Duration(_) => Datum::Rounded,
    })
}

fn time<'a>(millis: i64) -> Datum<'a> {
    Datum::Text(At::from_millis(millis).to_string().into())
}
