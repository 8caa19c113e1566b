//! The JSON Schemas of the messages, generated from the types that read and write them.
//!
//! Examples are in `schemas/examples/`. A test compares the files in `schemas/` with what is generated here, so
//! they must never be edited by hand: `LACUNA_BLESS=1 cargo test schemas` writes them.

pub mod bodies;

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Value, json};

use super::{
    ack::AckMessage, backup::BackupFields, command, dead_letter::DeadLetterHeaders, report::Report,
    status::StatusMessage, suppression::SuppressionMessage, task::TaskMessage,
};

/// Every schema: its file name and its text.
pub fn all() -> Vec<(&'static str, String)> {
    let reads = SchemaSettings::draft2020_12;
    let writes = || SchemaSettings::draft2020_12().for_serialize();
    vec![
        (
            "command.json",
            document("command", "Command", reads(), command::schema),
        ),
        (
            "task.json",
            document("task", "Task", writes(), of::<TaskMessage<'_>>),
        ),
        ("ack.json", document("ack", "Ack", reads(), of::<AckMessage<'_>>)),
        (
            "backup.json",
            document("backup", "Backup event", reads(), of::<BackupFields>),
        ),
        (
            "status.json",
            document("status", "Status", writes(), of::<StatusMessage<'_>>),
        ),
        (
            "suppression.json",
            document(
                "suppression",
                "Suppressed identity",
                writes(),
                of::<SuppressionMessage<'_>>,
            ),
        ),
        (
            "report.json",
            document("report", "Report", writes(), of::<Report>),
        ),
        (
            "dead_letter.json",
            document(
                "dead_letter",
                "Dead letter headers",
                writes(),
                of::<DeadLetterHeaders>,
            ),
        ),
    ]
}

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    json!(T::json_schema(generator))
}

fn document(
    name: &str,
    title: &str,
    settings: SchemaSettings,
    build: impl FnOnce(&mut SchemaGenerator) -> Value,
) -> String {
    let mut generator = settings.into_generator();
    let mut schema = build(&mut generator);
    if let Value::Object(schema) = &mut schema {
        schema.insert(
            "$schema".to_owned(),
            json!("https://json-schema.org/draft/2020-12/schema"),
        );
        schema.insert("$id".to_owned(), json!(format!("urn:lacuna:schema:{name}:1")));
        schema.insert("title".to_owned(), json!(title));
        let definitions = generator.take_definitions(true);
        if !definitions.is_empty() {
            schema.insert("$defs".to_owned(), Value::Object(definitions));
        }
    }
    // The alternate form of a document is its pretty text.
    format!("{schema:#}\n")
}
