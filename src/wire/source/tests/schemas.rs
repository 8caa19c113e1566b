//! Events behind the ids of schemas.

use super::*;

fn schema(format: Format, text: &str, references: &[(&str, &str)]) -> Schema {
    let references = references
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    let text = SchemaText {
        text: text.to_owned(),
        references: references.collect(),
    };
    Schema::new(format, &text).unwrap()
}

fn with_id(id: u32, rest: &[u8]) -> Vec<u8> {
    [&[0], id.to_be_bytes().as_slice(), rest].concat()
}

#[test]
fn avro_is_read_by_its_schema() {
    let text = r#"{"type":"record","name":"AccountDeleted","fields":[
        {"name":"customer_id","type":"long"},
        {"name":"email","type":["null","string"]},
        {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
        {"name":"why","type":{"type":"enum","name":"Why","symbols":["left","banned"]}}]}"#;
    let schema = schema(Format::RegistryAvro, text, &[]);
    let source = source(
        Format::RegistryAvro,
        &[("/why", "left")],
        &[
            ("identity.customer_id", "/customer_id"),
            ("identity.email", "/email"),
            ("requested_at", "/at"),
        ],
    );
    // 42, the second of the union, its 5 letters, 1,000,000,000,000 ms, the first symbol.
    let mut event = vec![0x54, 0x02, 0x0a];
    event.extend_from_slice(b"a@b.c");
    event.extend_from_slice(&[0x80, 0xc0, 0xa8, 0xca, 0x9a, 0x3a, 0x00]);
    let body = with_id(7, &event);
    let read_so = command(&read(&source, &record(&[], Some(&body)), Some(&schema)));
    assert_eq!(identities(&read_so), ["customer_id=42", "email=a@b.c"]);
    assert_eq!(read_so["requested_at"], "2001-09-09T01:46:40Z");
    // It ends early, wherever that is, or something follows it.
    let ends = (0..event.len()).map(|end| with_id(7, &event[..end]));
    for wrong in ends.chain([[body.clone(), vec![0]].concat()]) {
        let Outcome::Refused(refused) = read(&source, &record(&[], Some(&wrong)), Some(&schema)) else {
            panic!("it was read");
        };
        assert_eq!(refused.detail, "the event is not what its Avro schema says");
    }
}

#[test]
fn protobuf_is_read_by_message_index_and_imports() {
    let text = r#"syntax = "proto3"; package shop; import "google/protobuf/timestamp.proto"; import "common/person.proto";
        message Created { string id = 1; }
        message Events { message Deleted { common.Person person = 1; google.protobuf.Timestamp at = 2; Why why = 3; } }
        enum Why { UNKNOWN = 0; LEFT = 1; }"#;
    let person =
        r#"syntax = "proto3"; package common; message Person { int64 customer_id = 1; string email = 2; }"#;
    let schema = schema(Format::RegistryProtobuf, text, &[("common/person.proto", person)]);
    let source = source(
        Format::RegistryProtobuf,
        &[("/why", "LEFT")],
        &[
            ("identity.customer_id", "/person/customer_id"),
            ("identity.email", "/person/email"),
            ("requested_at", "/at"),
        ],
    );
    // The second message of the file, and in it the first: 2 indexes, 1 and 0, in zigzag coding.
    let mut event = vec![4, 2, 0];
    event.extend_from_slice(&[0x0a, 0x02, 0x08, 0x2a]);
    event.extend_from_slice(&[0x12, 0x06, 0x08, 0x80, 0x94, 0xeb, 0xdc, 0x03]);
    event.extend_from_slice(&[0x18, 0x01]);
    let body = with_id(1, &event);
    let read_so = command(&read(&source, &record(&[], Some(&body)), Some(&schema)));
    assert_eq!(identities(&read_so), ["customer_id=42"]);
    assert_eq!(read_so["requested_at"], "2001-09-09T01:46:40Z");
}

/// Each kind of value that the library would take for nothing where an event ends before it.
#[test]
fn avro_that_ends_before_a_value_is_no_event() {
    let cases = [
        (r#""string""#, &[0x06, b'a', b'b', b'c'][..]),
        (r#"["null","string"]"#, &[0x02, 0x02, b'a']),
        (r#""boolean""#, &[0x01]),
        (r#"{"type":"array","items":"string"}"#, &[0x02, 0x02, b'a', 0x00]),
        (
            r#"{"type":"map","values":"boolean"}"#,
            &[0x02, 0x02, b'a', 0x01, 0x00],
        ),
    ];
    for (kind, last) in cases {
        let text = format!(
            r#"{{"type":"record","name":"Gone","fields":[{{"name":"id","type":"long"}},{{"name":"last","type":{kind}}}]}}"#
        );
        let schema = schema(Format::RegistryAvro, &text, &[]);
        let source = source(Format::RegistryAvro, &[], &[("identity.customer_id", "/id")]);
        let read_so = |event: &[u8]| {
            let body = with_id(7, event);
            read(&source, &record(&[], Some(&body)), Some(&schema))
        };
        let whole = [&[0x54], last].concat();
        assert_eq!(
            identities(&command(&read_so(&whole))),
            ["customer_id=42"],
            "{kind}"
        );
        for end in 0..whole.len() {
            assert!(
                matches!(read_so(&whole[..end]), Outcome::Refused(_)),
                "{kind}: {end}"
            );
        }
    }
}

#[test]
fn protobuf_without_what_its_schema_requires_is_no_event() {
    let text = r#"syntax = "proto2"; message Gone { required int64 id = 1; required string email = 2; optional string why = 3; }"#;
    let schema = schema(Format::RegistryProtobuf, text, &[]);
    let source = source(Format::RegistryProtobuf, &[], &[("identity.customer_id", "/id")]);
    let event = [0x08, 0x2a, 0x12, 0x03, b'a', b'@', b'b'];
    let read_so = |event: &[u8]| {
        let body = with_id(1, &[&[0], event].concat());
        read(&source, &record(&[], Some(&body)), Some(&schema))
    };
    assert_eq!(identities(&command(&read_so(&event))), ["customer_id=42"]);
    for end in 0..event.len() {
        let Outcome::Refused(refused) = read_so(&event[..end]) else {
            panic!("it was read: {end}");
        };
        assert_eq!(refused.detail, "the event is not what its Protobuf schema says");
    }
}

#[test]
fn registry_json_is_json_behind_an_id() {
    let schema = schema(Format::RegistryJson, "{}", &[]);
    let source = source(Format::RegistryJson, &[], &[("identity.customer_id", "/id")]);
    let body = with_id(3, br#"{"id":"c-1"}"#);
    let read_so = command(&read(&source, &record(&[], Some(&body)), Some(&schema)));
    assert_eq!(identities(&read_so), ["customer_id=c-1"]);
    let Outcome::Refused(refused) = read(&source, &record(&[], Some(br#"{"id":1}"#)), Some(&schema)) else {
        panic!("it was read");
    };
    assert!(refused.detail.contains("schema registry"), "{}", refused.detail);
}
