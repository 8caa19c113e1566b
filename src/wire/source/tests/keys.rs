//! Keys of records, and tombstones that are events.

use super::*;

fn only_tombstones(map: &[(&str, &str)]) -> Source {
    Source {
        tombstones: Tombstones::Only,
        ..source(Format::Json, &[], map)
    }
}

fn by_key<'a>(key: &'a [u8], body: Option<&'a [u8]>) -> Event<'a> {
    record(&[], body).with_key(Some(key))
}

#[test]
fn key_is_text_as_it_stands_or_json() {
    let whole = source(Format::Json, &[], &[("identity.customer_id", "key:")]);
    let within = source(Format::Json, &[], &[("identity.customer_id", "key:/id")]);
    let cases: [(&Source, &[u8], Option<&str>); 11] = [
        (&whole, b"c-1", Some("customer_id=c-1")),
        (&whole, b"0042", Some("customer_id=0042")),
        (
            &whole,
            b"12345678901234567890123",
            Some("customer_id=12345678901234567890123"),
        ),
        (&whole, br#""c-1""#, Some("customer_id=c-1")),
        (
            &whole,
            br#"{"schema":{"type":"int64"},"payload":42}"#,
            Some("customer_id=42"),
        ),
        (&whole, br#"{"id":42}"#, None),
        (&whole, b"\xff", None),
        (&within, br#"{"id":42}"#, Some("customer_id=42")),
        (
            &within,
            br#"{"schema":{"type":"struct"},"payload":{"id":42}}"#,
            Some("customer_id=42"),
        ),
        (&within, b"42", None),
        (&within, &[0, 0, 0, 0, 1, 84], None),
    ];
    for (source, key, expected) in cases {
        let read_so = read(source, &by_key(key, Some(b"{}")), None);
        match (expected, &read_so) {
            (Some(expected), _) => assert_eq!(identities(&command(&read_so)), [expected], "{key:?}"),
            (None, Outcome::Refused(refused)) => {
                assert!(refused.detail.contains("key:"), "{}", refused.detail)
            }
            (None, other) => panic!("{key:?}: {other:?}"),
        }
    }
    let without = read(&whole, &record(&[], Some(b"{}")), None);
    assert!(matches!(without, Outcome::Refused(_)));
}

#[test]
fn tombstone_is_an_event_where_its_source_says_so() {
    let gone = only_tombstones(&[("identity.customer_id", "key:/id")]);
    // As Debezium writes it after a deletion.
    let event = by_key(br#"{"id":1004}"#, None);
    let read_so = command(&read(&gone, &event, None));
    assert_eq!(identities(&read_so), ["customer_id=1004"]);
    assert_eq!(
        command(&read(&gone, &event, None))["command_id"],
        read_so["command_id"]
    );
    // What has a value is none, whatever it says, and whether or not it can be read.
    for value in [&b"{\"id\":1}"[..], b"{", b""] {
        let other = read(&gone, &by_key(b"1", Some(value)), None);
        assert_eq!(other, Outcome::Skipped(Skip::Value), "{value:?}");
    }
    let Outcome::Refused(refused) = read(&gone, &record(&[], None), None) else {
        panic!("a tombstone without a key is nobody's");
    };
    assert_eq!(
        refused.detail,
        "no identity of the subject: there is nothing at key:/id"
    );
}
