//! One example of each format, as its documentation shows it.

use super::*;

#[test]
fn contract_example_becomes_its_command() {
    let source = source(
        Format::Json,
        &[("/type", "account.deleted")],
        &[
            ("command_id", "/id"),
            ("requested_at", "/time"),
            ("identity.customer_id", "/data/customerId"),
            ("identity.email", "/data/email"),
            ("anchor.account_closed_at", "/time"),
        ],
    );
    let text = r#"{"id":"0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4d","type":"account.deleted","time":"2026-11-21T10:00:00Z",
        "data":{"customerId":42,"email":"ann@example.org"}}"#;
    let command = command_of(&source, text);
    assert_eq!(command["command_id"], "0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4d");
    assert_eq!(
        (&command["type"], &command["tenant"]),
        (&"erase".into(), &"acme".into())
    );
    assert_eq!(identities(&command), ["customer_id=42", "email=ann@example.org"]);
    assert_eq!(command["requested_at"], "2026-11-21T10:00:00Z");
    assert_eq!(command["anchors"]["account_closed_at"], "2026-11-21T10:00:00Z");
    assert_eq!(
        skip(&source, &text.replace("account.deleted", "account.created")),
        Some(Skip::When {
            place: "/type".to_owned(),
            wanted: "account.deleted".to_owned(),
            found: "another value",
        })
    );
}

/// The example of the specification's Kafka binding, with another type.
#[test]
fn cloud_event_is_read_in_both_modes() {
    let source = source(
        Format::CloudEvents,
        &[("/ce/type", "com.example.account.deleted")],
        &[
            ("command_id", "/ce/id"),
            ("requested_at", "/ce/time"),
            ("identity.customer_id", "/customerId"),
        ],
    );
    let attributes = [
        ("ce_specversion", "1.0"),
        ("ce_type", "com.example.account.deleted"),
        ("ce_source", "/mycontext/subcontext"),
        ("ce_id", "1234-1234-1234"),
        ("ce_time", "2018-04-05T03:56:24Z"),
        ("content-type", "application/json; charset=UTF-8"),
    ];
    let data = br#"{"customerId":"c-1"}"#;
    let binary = command(&read(&source, &record(&attributes, Some(data)), None));
    let structured = r#"{"specversion":"1.0","type":"com.example.account.deleted","source":"/mycontext/subcontext",
        "id":"1234-1234-1234","time":"2018-04-05T03:56:24Z","datacontenttype":"application/json","data":{"customerId":"c-1"}}"#;
    let headers = [("content-type", "application/cloudevents+json; charset=UTF-8")];
    let event = record(&headers, Some(structured.as_bytes()));
    assert_eq!(command(&read(&source, &event, None)), binary);
    // Without its header too: nobody else writes a specversion.
    assert_eq!(command_of(&source, structured), binary);
    let base64 = structured.replace(
        r#""data":{"customerId":"c-1"}"#,
        r#""data_base64":"eyJjdXN0b21lcklkIjoiYy0xIn0=""#,
    );
    assert_eq!(command_of(&source, &base64), binary);
    assert_eq!(identities(&binary), ["customer_id=c-1"]);
    assert_eq!(binary["requested_at"], "2018-04-05T03:56:24Z");
}

#[test]
fn cloud_event_without_data_is_read_by_its_attributes() {
    let source = source(
        Format::CloudEvents,
        &[("/ce/type", "deleted")],
        &[("identity.customer_id", "/ce/subject")],
    );
    let attributes = [
        ("ce_specversion", "1.0"),
        ("ce_type", "deleted"),
        ("ce_subject", "c-9"),
    ];
    let read_so = command(&read(&source, &record(&attributes, None), None));
    assert_eq!(identities(&read_so), ["customer_id=c-9"]);
}

/// The delete event of Debezium's documentation of its PostgreSQL connector.
const DEBEZIUM: &str = r#"{"before":{"id":1,"first_name":"Anne Marie","last_name":"Kretchmar","email":"annek@noanswer.org"},
    "after":null,"source":{"version":"3.3.0.Final","connector":"postgresql","name":"PostgreSQL_server","ts_ms":1559033904863,
    "snapshot":false,"db":"postgres","schema":"public","table":"customers","txId":556,"lsn":46523128,"xmin":null},
    "op":"d","ts_ms":1465581902461}"#;

fn debezium(op: &str) -> Source {
    source(
        Format::Debezium,
        &[("/op", op)],
        &[
            ("identity.customer_id", "/before/id"),
            ("identity.email", "/before/email"),
            ("requested_at", "/source/ts_ms"),
        ],
    )
}

#[test]
fn debezium_delete_is_read_with_and_without_its_schema() {
    let bare = command_of(&debezium("d"), DEBEZIUM);
    assert_eq!(identities(&bare), ["customer_id=1", "email=annek@noanswer.org"]);
    assert_eq!(bare["requested_at"], "2019-05-28T08:58:24.863Z");
    let wrapped =
        format!(r#"{{"schema":{{"type":"struct","fields":[],"optional":false}},"payload":{DEBEZIUM}}}"#);
    assert_eq!(command_of(&debezium("d"), &wrapped), bare);
}

#[test]
fn debezium_snapshot_is_skipped_unless_when_names_it() {
    let row = DEBEZIUM.replace(r#""op":"d""#, r#""op":"r""#);
    let by_column = source(
        Format::Debezium,
        &[("/before/last_name", "Kretchmar")],
        &[("identity.customer_id", "/before/id")],
    );
    assert_eq!(skip(&by_column, &row), Some(Skip::Snapshot));
    let skipped = skip(&debezium("d"), &row).unwrap().to_string();
    assert_eq!(skipped, "`when` asks for d at /op, and there is another value");
    assert_eq!(identities(&command_of(&debezium("d|r"), &row)).len(), 2);
    // An update of that column is no snapshot.
    let update = DEBEZIUM.replace(r#""op":"d""#, r#""op":"u""#);
    assert_eq!(identities(&command_of(&by_column, &update)), ["customer_id=1"]);
}

/// The same events read by another format, with or without their schema.
#[test]
fn debezium_snapshot_is_skipped_whatever_reads_it() {
    let row = DEBEZIUM.replace(r#""op":"d""#, r#""op":"r""#);
    let wrapped = format!(r#"{{"schema":{{"type":"struct"}},"payload":{row}}}"#);
    for (format, text) in [
        (Format::Json, &row),
        (Format::ConnectJson, &row),
        (Format::ConnectJson, &wrapped),
    ] {
        let by_column = source(
            format,
            &[("/before/last_name", "Kretchmar")],
            &[("identity.customer_id", "/before/id")],
        );
        assert_eq!(skip(&by_column, text), Some(Skip::Snapshot), "{format:?}");
        let update = text.replace(r#""op":"r""#, r#""op":"u""#);
        assert_eq!(identities(&command_of(&by_column, &update)), ["customer_id=1"]);
    }
    // An event of somebody who calls something `op`, too.
    let own = source(Format::Json, &[], &[("identity.customer_id", "/id")]);
    let text = r#"{"op":"r","source":"web","before":1,"id":7}"#;
    assert_eq!(identities(&command_of(&own, text)), ["customer_id=7"]);
}

#[test]
fn tombstone_is_skipped_in_every_format() {
    for (name, format) in Format::ALL {
        let source = source(format, &[("/op", "d")], &[("identity.customer_id", "/id")]);
        let read_so = read(&source, &record(&[], None), None);
        assert_eq!(read_so, Outcome::Skipped(Skip::Tombstone), "{name}");
    }
    for text in [r#"{"schema":null,"payload":null}"#, "null"] {
        assert_eq!(skip(&debezium("d"), text), Some(Skip::Tombstone), "{text}");
    }
}

#[test]
fn connect_payload_is_where_pointers_look() {
    let source = source(
        Format::ConnectJson,
        &[("/status", "closed")],
        &[("identity.customer_id", "/id")],
    );
    let wrapped = r#"{"schema":{"type":"struct","name":"customer","fields":[{"field":"id","type":"int64"}]},
        "payload":{"id":9007199254740993,"status":"closed"}}"#;
    assert_eq!(
        identities(&command_of(&source, wrapped)),
        ["customer_id=9007199254740993"]
    );
    assert_eq!(
        identities(&command_of(&source, r#"{"id":7,"status":"closed"}"#)),
        ["customer_id=7"]
    );
}

/// Debezium's outbox event router hands the column `payload` on: as text, as text in an envelope, or as it is.
#[test]
fn outbox_payload_is_read_in_all_its_shapes() {
    let inner = r#"{\"type\":\"AccountDeleted\",\"customerId\":\"c-1\"}"#;
    for format in [Format::Json, Format::ConnectJson] {
        let source = source(
            format,
            &[("/type", "AccountDeleted")],
            &[
                ("command_id", "header:id"),
                ("identity.customer_id", "/customerId"),
            ],
        );
        let shapes = [
            format!("\"{inner}\""),
            inner.replace('\\', ""),
            format!(r#"{{"schema":{{"type":"string"}},"payload":"{inner}"}}"#),
        ];
        let id = "0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4d";
        let in_envelope = usize::from(format == Format::ConnectJson);
        for shape in shapes.iter().take(2 + in_envelope) {
            let read_so = command(&read(
                &source,
                &record(&[("id", id)], Some(shape.as_bytes())),
                None,
            ));
            assert_eq!(read_so["command_id"], id, "{shape}");
            assert_eq!(identities(&read_so), ["customer_id=c-1"], "{shape}");
        }
    }
}
