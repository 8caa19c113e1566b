//! Reads a checked document into one of our types, and says what is wrong with it where it has another shape.
//!
//! A detail names a field of our own schema and what was expected there, never a value or a key of the message.

use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_path_to_error::{Path, Segment};

use super::{
    fields::{MAX_IDENTITIES, Object},
    rejection::Rejection,
    validate::Checked,
};
use crate::domain::words::DeadLetterReason;

/// Every field name that a detail may show. A name that is not here could be a key that the sender made up.
pub(super) const FIELD_NAMES: &[&str] = &[
    "action",
    "actions_by_processor",
    "actor",
    "anchors",
    "api_version",
    "at",
    "attempt",
    "basis",
    "by_category",
    "by_table",
    "categories",
    "command_id",
    "data",
    "data_base64",
    "digest",
    "dry_run",
    "event_id",
    "evidence",
    "exclude",
    "expected_by",
    "expected_count",
    "filter",
    "generation",
    "hold_id",
    "id",
    "identities",
    "identity",
    "identity_format",
    "identity_type",
    "identity_value",
    "identity_verified",
    "ids",
    "limit",
    "lock_until",
    "message",
    "metadata",
    "method",
    "not_before",
    "note",
    "oldest_retained_at",
    "outcome",
    "processor",
    "processors",
    "purposes",
    "reason",
    "records",
    "reference",
    "regime",
    "region",
    "regulation",
    "request_id",
    "requested_at",
    "restored_into",
    "result",
    "retained",
    "retry_after_seconds",
    "scope",
    "set",
    "since",
    "source",
    "specversion",
    "status_callback_urls",
    "subject",
    "subject_identities",
    "subject_request_id",
    "subject_request_type",
    "submitted_time",
    "taken_at",
    "task_id",
    "tenant",
    "token",
    "type",
    "until",
    "value",
    "wait_seconds",
];

/// Before the fault of an identifier's value, which is found once its type is known.
pub(super) const VALUE: &str = "value: ";

/// Reads a document whose outermost value is an object.
pub(super) fn read<'de, T: Deserialize<'de>>(document: Checked<'de>) -> Result<T, Rejection> {
    // The path to a fault costs time on every field, so it is looked for only once a fault is known.
    match serde_json::from_str::<Object<T>>(document.text()) {
        Ok(Object(value)) => Ok(value),
        Err(_) => Err(explain::<T>(document)),
    }
}

#[cold]
fn explain<'de, T: Deserialize<'de>>(document: Checked<'de>) -> Rejection {
    if count_identities(document) > MAX_IDENTITIES {
        return Rejection::new(
            DeadLetterReason::TooLarge,
            "identities: expected at most 100 of them",
        );
    }
    let mut deserializer = serde_json::Deserializer::from_str(document.text());
    match serde_path_to_error::deserialize::<_, Object<T>>(&mut deserializer) {
        Ok(_) => Rejection::schema("expected another shape"),
        Err(error) => {
            let expected = expectation(&error.inner().to_string());
            let path = shown_path(error.path());
            let expected = if path.contains('*') {
                format!("{expected} (* is a name of the sender's own, which is not repeated)")
            } else {
                expected
            };
            // An identifier is judged as a whole, and its fault is that of its value.
            if let Some(expected) = expected.strip_prefix(VALUE) {
                return Rejection::schema(format!("{path}.{VALUE}{expected}"));
            }
            Rejection::schema(if path.is_empty() {
                expected
            } else {
                format!("{path}: {expected}")
            })
        }
    }
}

/// How many identities a message brings: too many is `too_large`, whatever else is wrong with it.
fn count_identities(document: Checked<'_>) -> usize {
    #[derive(Deserialize)]
    struct Holder {
        identities: Option<Vec<IgnoredAny>>,
    }
    #[derive(Deserialize)]
    struct Outer {
        subject: Option<Holder>,
    }
    fn peek<T: DeserializeOwned>(document: Checked<'_>) -> Option<T> {
        serde_json::from_str(document.text()).ok()
    }
    let inner = peek::<Outer>(document).and_then(|outer| outer.subject?.identities);
    let outer = peek::<Holder>(document).and_then(|holder| holder.identities);
    inner
        .map_or(0, |list| list.len())
        .max(outer.map_or(0, |list| list.len()))
}

/// The path to a field, as far as its names are ours.
fn shown_path(path: &Path) -> String {
    let mut shown = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => shown.push_str(&format!("[{index}]")),
            Segment::Map { key } | Segment::Enum { variant: key } => {
                if !shown.is_empty() {
                    shown.push('.');
                }
                shown.push_str(if FIELD_NAMES.contains(&key.as_str()) {
                    key
                } else {
                    "*"
                });
            }
            Segment::Unknown => {}
        }
    }
    shown
}

/// What an error of serde says was expected. All of its forms quote what was found before that, or not at all.
fn expectation(message: &str) -> String {
    // serde_json appends the place, which is of no use beside the path.
    let message = message.rsplit_once(" at line ").map_or(message, |(said, _)| said);
    let quotes = [
        "invalid type: ",
        "invalid value: ",
        "invalid length ",
        "unknown variant ",
    ];
    if quotes.iter().any(|form| message.starts_with(form)) {
        // No text of ours holds this separator, so its last occurrence is serde's and what follows is ours.
        return match message.rsplit_once(", expected ") {
            Some((_, expected)) => format!("expected {expected}"),
            None => "expected another value".to_owned(),
        };
    }
    let ours = message.starts_with("expected ")
        || message.starts_with(VALUE)
        || message.starts_with("missing field `")
        || message.contains(" must match [");
    if message == "number out of range" {
        "expected a number within range".to_owned()
    } else if ours {
        message.trim_end().to_owned()
    } else {
        "expected another value".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_never_repeated() {
        let cases = [
            (
                "invalid type: string \"ann, expected x\", expected u32 at line 1 column 9",
                "expected u32",
            ),
            (
                "unknown variant `ann`, expected one of `a`, `b`",
                "expected one of `a`, `b`",
            ),
            (
                "invalid length 101, expected a list of 1 to 9 entries",
                "expected a list of 1 to 9 entries",
            ),
            ("missing field `type` at line 1 column 2", "missing field `type`"),
            ("ann said something", "expected another value"),
            ("invalid value: ann", "expected another value"),
        ];
        for (message, expected) in cases {
            assert_eq!(expectation(message), expected);
        }
    }
}
