//! Properties: nothing panics, and the scanner agrees with serde_json on what is JSON.

use proptest::prelude::*;
use serde_json::Value;

use super::{examples, tenant};
use crate::{
    domain::words::DeadLetterReason,
    wire::{
        Channel, Envelope, canonical::canonical, envelope, parse_ack, parse_backup, parse_command, validate,
    },
};

fn parse_with_all(bytes: &[u8]) {
    let tenant = tenant();
    let bare = Envelope::bare(&tenant);
    for channel in [Channel::Commands, Channel::Control, Channel::Http] {
        drop(parse_command(bytes, &bare, channel));
    }
    drop(parse_ack(bytes, &bare));
    drop(parse_backup(bytes, &bare));
    let structured = [("content-type", Some(b"application/cloudevents+json".as_slice()))];
    drop(envelope::open(structured, Some(bytes), &tenant));
}

/// Texts that are nearly JSON: pieces of it in any order.
fn nearly_json() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        " ",
        "\n",
        "\"a\"",
        "\"b\"",
        "\"\\u0061\"",
        "\"\\ud83d\\ude00\"",
        "\"\\ud83d\"",
        "\"\\u0000\"",
        "\"\\x\"",
        "\"",
        "\\",
        "1",
        "-0",
        "01",
        "1.5",
        "1.",
        ".5",
        "1e5",
        "1e",
        "-",
        "true",
        "nul",
        "null",
        "\u{1}",
        "\"ä\"",
        "{\"a\":1}",
        "[1,2]",
        "\u{feff}",
    ]);
    prop::collection::vec(pieces, 0..12).prop_map(|pieces| pieces.concat())
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e18..1e18f64).prop_map(Value::from),
        "[ -~äöü\n\"\\\\]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[a-e\"ä]{0,3}", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        parse_with_all(&bytes);
    }

    #[test]
    fn scanner_and_serde_json_agree(text in nearly_json()) {
        let parsed = serde_json::from_str::<Value>(&text);
        // Of a number beyond f64, which is JSON all the same, serde_json's tree says nothing about what follows it.
        prop_assume!(!parsed.as_ref().is_err_and(|error| error.to_string().starts_with("number out of range")));
        let known = parsed.is_ok();
        match validate::check(text.as_bytes()) {
            Ok(_) => prop_assert!(known, "{text}"),
            Err(refusal) if refusal.reason == DeadLetterReason::NotJson => prop_assert!(!known, "{text}"),
            Err(refusal) => prop_assert_eq!(refusal.reason, DeadLetterReason::Schema),
        }
    }

    #[test]
    fn one_document_has_one_spelling(value in json()) {
        let (short, long) = (value.to_string(), format!("{value:#}"));
        let spelled = canonical(validate::check(short.as_bytes()).unwrap());
        prop_assert_eq!(&spelled, &canonical(validate::check(long.as_bytes()).unwrap()));
        // It is a fixed point, and still the same document but for the spelling of whole numbers.
        prop_assert_eq!(&spelled, &canonical(validate::check(&spelled).unwrap()));
        prop_assert!(serde_json::from_slice::<Value>(&spelled).is_ok());
    }
}

#[test]
fn mutated_examples_never_panic() {
    let texts: Vec<Vec<u8>> = examples()
        .iter()
        .map(|example| example.document.to_string().into_bytes())
        .collect();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 3000,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4u8), 1..4);
    runner
        .run(&(prop::sample::select(texts), edits), |(mut bytes, edits)| {
            for (index, byte, edit) in edits {
                let at = index.index(bytes.len().max(1));
                match edit {
                    0 if !bytes.is_empty() => bytes[at] = byte,
                    1 if !bytes.is_empty() => drop(bytes.remove(at)),
                    2 => bytes.insert(at, byte),
                    _ => bytes.truncate(at),
                }
            }
            parse_with_all(&bytes);
            Ok(())
        })
        .unwrap();
}
