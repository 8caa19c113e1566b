//! The schema files and the examples: nothing drifts from the code.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{example, examples, parse_as, schemas_directory};
use crate::wire::{read::FIELD_NAMES, schemas, status::StatusMessage, task::TaskMessage};

fn validators() -> BTreeMap<String, jsonschema::Validator> {
    schemas::all()
        .into_iter()
        .map(|(file, text)| {
            let schema: Value = serde_json::from_str(&text).unwrap();
            assert!(jsonschema::meta::is_valid(&schema), "{file} is no schema");
            let validator = jsonschema::options()
                .should_validate_formats(true)
                .build(&schema)
                .unwrap();
            (file.trim_end_matches(".json").to_owned(), validator)
        })
        .collect()
}

#[test]
fn schema_files_are_what_is_generated() {
    for (file, text) in schemas::all() {
        let path = schemas_directory().join(file);
        if std::env::var_os("LACUNA_BLESS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let on_disk = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            on_disk == text,
            "schemas/{file} has drifted: LACUNA_BLESS=1 cargo test schema_files"
        );
    }
}

#[test]
fn examples_are_valid_and_are_read() {
    let validators = validators();
    for example in examples() {
        let validator = &validators[&example.schema];
        let faults: Vec<_> = validator
            .iter_errors(&example.document)
            .map(|e| e.to_string())
            .collect();
        assert!(faults.is_empty(), "{}: {faults:?}", example.name);
        parse_as(&example.schema, &example.document).unwrap_or_else(|e| panic!("{}: {e}", example.name));
    }
}

#[test]
fn every_message_has_an_example() {
    let examples = examples();
    for (file, _) in schemas::all() {
        assert!(
            examples
                .iter()
                .any(|example| format!("{}.json", example.schema) == file),
            "{file}"
        );
    }
}

#[test]
fn outbound_messages_are_written_as_they_are_read() {
    for name in ["task.erase", "task.verify"] {
        let document = example(name).to_string();
        let task: TaskMessage<'_> = serde_json::from_str(&document).unwrap();
        assert_eq!(serde_json::to_value(&task).unwrap(), example(name));
        assert!(
            !format!("{task:?}").contains("a@example.org"),
            "Debug shows an identifier"
        );
        assert!(!format!("{task:?}").contains("bGFjdW5h"), "Debug shows a token");
    }
    for name in [
        "status.in_progress",
        "status.awaiting_approval",
        "status.merged",
        "status.acknowledgement_due",
        "status.extension_due",
        "status.completed",
        "status.refused",
    ] {
        let document = example(name).to_string();
        let status: StatusMessage<'_> = serde_json::from_str(&document).unwrap();
        assert_eq!(serde_json::to_value(&status).unwrap(), example(name));
    }
}

/// Every document that differs from this one in one place.
fn mutations(document: &Value) -> Vec<Value> {
    let replacements = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(2_592_001),
        json!(u64::MAX),
        json!(""),
        json!("x"),
        json!("ÄÖÜ äöü"),
        json!("erase"),
        json!("verify"),
        json!("hold"),
        json!("retained"),
        json!("days:14"),
        json!("2026-02-30T00:00:00Z"),
        json!("2026-01-01 00:00:00Z"),
        json!("1969-12-31T23:59:59Z"),
        json!("2016-12-31T23:59:60Z"),
        json!("2026-01-01T10:00:60Z"),
        json!("2026-01-01T00:00:00+24:00"),
        json!("018F6F2E-7C1A-7B3E-9A44-0000000000AA"),
        json!("018f6f2e7c1a7b3e9a440000000000aa"),
        json!("a".repeat(300)),
        json!("a".repeat(5000)),
        json!([]),
        json!(["x"]),
        json!([[]]),
        json!({}),
        json!({"x": 1}),
        json!({"x": "erase"}),
        json!({"Ä": "2026-01-01T00:00:00Z"}),
        json!(vec![json!({"type":"email","value":"x"}); 101]),
        json!(vec!["x"; 101]),
    ];
    let mut mutated = Vec::new();
    let mut paths = Vec::new();
    collect_paths(document, String::new(), &mut paths);
    for path in paths {
        for replacement in &replacements {
            let mut copy = document.clone();
            *copy.pointer_mut(&path).unwrap() = replacement.clone();
            mutated.push(copy);
        }
        if let Some((parent, key)) = path.rsplit_once('/') {
            let mut copy = document.clone();
            match copy.pointer_mut(parent).unwrap() {
                Value::Object(object) => drop(object.remove(key)),
                Value::Array(array) => drop(array.remove(key.parse().unwrap())),
                _ => unreachable!(),
            }
            mutated.push(copy);
        }
    }
    mutated
}

fn collect_paths(value: &Value, path: String, paths: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            object
                .iter()
                .for_each(|(key, value)| collect_paths(value, format!("{path}/{key}"), paths));
        }
        Value::Array(array) => {
            array
                .iter()
                .enumerate()
                .for_each(|(n, value)| collect_paths(value, format!("{path}/{n}"), paths));
        }
        _ => {}
    }
    paths.push(path);
}

#[test]
fn what_a_schema_rejects_the_parser_rejects() {
    let validators = validators();
    let (mut rejected, mut stricter) = (0, 0);
    for example in examples() {
        if !["command", "ack", "backup"].contains(&example.schema.as_str()) {
            continue;
        }
        for document in mutations(&example.document) {
            let valid = validators[&example.schema].is_valid(&document);
            let parsed = parse_as(&example.schema, &document);
            assert!(
                valid || parsed.is_err(),
                "{}: the parser takes {document}",
                example.name
            );
            rejected += u32::from(!valid);
            stricter += u32::from(valid && parsed.is_err());
        }
    }
    assert!(rejected > 5000, "only {rejected} documents were rejected");
    // Where only the parser rejects: times out of range, lengths in bytes, a leap second, a hold that covers null.
    assert!(
        stricter < rejected / 10,
        "the parser alone rejects {stricter}, both {rejected}"
    );
}

#[test]
fn details_know_every_field_name_and_no_other() {
    fn names(value: &Value, found: &mut Vec<String>) {
        if let Some(properties) = value.get("properties").and_then(Value::as_object) {
            found.extend(properties.keys().cloned());
        }
        match value {
            Value::Object(object) => object.values().for_each(|value| names(value, found)),
            Value::Array(array) => array.iter().for_each(|value| names(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    for (file, text) in schemas::all() {
        if ["command.json", "ack.json", "backup.json"].contains(&file) {
            names(&serde_json::from_str(&text).unwrap(), &mut found);
        }
    }
    for name in &found {
        assert!(
            FIELD_NAMES.contains(&name.as_str()),
            "{name} is missing from FIELD_NAMES"
        );
    }
    // Those of CloudEvents are read, but described by CloudEvents; `identity` belongs to a search over HTTP.
    let foreign = ["data", "data_base64", "id", "identity", "source", "specversion"];
    // Those of OpenDSR are described by OpenDSR.
    let opendsr = [
        "api_version",
        "identity_format",
        "identity_type",
        "identity_value",
        "regulation",
        "status_callback_urls",
        "subject_identities",
        "subject_request_id",
        "subject_request_type",
        "submitted_time",
    ];
    // Those of a change to many requests belong to its call over HTTP.
    let bulk = ["action", "dry_run", "expected_count", "filter", "ids"];
    // Those of other calls over HTTP: what an agent asks for, and from when on a backfill looks.
    let calls = ["limit", "since", "wait_seconds"];
    for name in FIELD_NAMES {
        let elsewhere = [&foreign[..], &opendsr, &bulk, &calls].concat();
        assert!(
            found.iter().any(|known| known == name) || elsewhere.contains(name),
            "{name} is no field"
        );
    }
}

/// A text of the sender at any place, also as a key, is never repeated.
#[test]
fn details_hold_nothing_of_the_message() {
    const CANARY: &str = "ann.canary@example.org, expected x";
    for example in examples() {
        if !["command", "ack", "backup"].contains(&example.schema.as_str()) {
            continue;
        }
        let mut paths = Vec::new();
        collect_paths(&example.document, String::new(), &mut paths);
        for path in paths {
            for replacement in [
                json!(CANARY),
                json!({ CANARY: CANARY }),
                json!([CANARY]),
                json!({ CANARY: 1 }),
            ] {
                let mut copy = example.document.clone();
                *copy.pointer_mut(&path).unwrap() = replacement;
                if let Err(rejection) = parse_as(&example.schema, &copy) {
                    assert!(!rejection.to_string().contains("canary"), "{path}: {rejection}");
                    assert!(!rejection.detail.is_empty());
                }
            }
        }
    }
}
