//! What cannot be a command, and the ids of what can.

use super::*;

const CALL: Carrier<'_> = Carrier::Call { headers_count: true };

fn plain() -> Source {
    source(
        Format::Json,
        &[("/type", "account.deleted")],
        &[("identity.customer_id", "/id"), ("identity.email", "/email")],
    )
}

#[test]
fn unmapped_event_names_pointers_and_no_value() {
    let of = |map: &[(&str, &str)]| {
        source(
            Format::Json,
            &[],
            &[&[("identity.customer_id", "/id")], map].concat(),
        )
    };
    let cases = [
        (
            of(&[]),
            r#"{"other":1}"#,
            "unmapped: no identity of the subject: there is nothing at /id",
        ),
        (
            of(&[]),
            r#"{"id":null}"#,
            "unmapped: no identity of the subject: there is nothing at /id",
        ),
        (
            of(&[]),
            r#"{"id":"  "}"#,
            "unmapped: no identity of the subject: there is nothing at /id",
        ),
        (
            of(&[]),
            r#"{"id":{"secret":1}}"#,
            "unmapped: identity.customer_id at /id: expected text or a number, found an object",
        ),
        (
            of(&[]),
            r#"{"id":123456789012345678901234567890}"#,
            "unmapped: identity.customer_id at /id: expected text or a number, found a number that was not kept exactly",
        ),
        (
            of(&[]),
            r#"{"id":"NULL"}"#,
            "unmapped: identity.customer_id at /id: expected an identifier; it is a word for nothing, such as NULL",
        ),
        (
            of(&[("command_id", "/no")]),
            r#"{"id":1}"#,
            "unmapped: command_id: there is nothing at /no",
        ),
        (
            of(&[("scope.purposes", "/p")]),
            r#"{"id":1,"p":[]}"#,
            "unmapped: scope.purposes: there is nothing at /p, and an erasure without it would be of everything",
        ),
        (
            of(&[("requested_at", "/at")]),
            r#"{"id":1,"at":20788}"#,
            "unmapped: requested_at at /at: expected a time of RFC 3339 with its offset, such as 2026-11-21T10:00:00Z, or one in \
             seconds, milliseconds, microseconds or nanoseconds since 1970",
        ),
        (of(&[]), "{", "not_json: expected JSON"),
        (
            of(&[]),
            r#"{"id":1,"id":2}"#,
            "schema: expected each key of an object once",
        ),
        (
            of(&[]),
            "",
            "schema: expected a message, found an empty value or a tombstone",
        ),
    ];
    for (source, text, expected) in cases {
        assert_eq!(detail(&source, text), expected, "{text}");
    }
}

#[test]
fn tenant_that_is_mapped_and_missing_is_nobody_elses() {
    let mut source = source(
        Format::Json,
        &[],
        &[("identity.customer_id", "/id"), ("tenant", "/shop")],
    );
    source.template.tenant = None;
    assert_eq!(
        detail(&source, r#"{"id":1}"#),
        "unmapped: tenant: there is nothing at /shop"
    );
    assert_eq!(command_of(&source, r#"{"id":1,"shop":"blue"}"#)["tenant"], "blue");
    source.template.tenant = Some(Tenant::new("acme").unwrap());
    assert_eq!(command_of(&source, r#"{"id":1}"#)["tenant"], "acme");
}

#[test]
fn what_is_missing_is_left_out_where_others_are_there() {
    let text = r#"{"type":"account.deleted","id":null,"email":"ann@example.org"}"#;
    assert_eq!(identities(&command_of(&plain(), text)), ["email=ann@example.org"]);
    let lists = r#"{"type":"account.deleted","id":[1,null,"b"]}"#;
    assert_eq!(
        identities(&command_of(&plain(), lists)),
        ["customer_id=1", "customer_id=b"]
    );
}

#[test]
fn same_event_is_the_same_command_and_its_place_another() {
    let text = br#"{"type":"account.deleted","id":1}"#;
    let in_log = |incarnation, topic, partition, offset| {
        let carrier = Carrier::Record {
            topic,
            partition,
            offset,
            incarnation,
        };
        Event::new([], Some(text), carrier)
    };
    let at = |topic, partition, offset| in_log(0, topic, partition, offset);
    let id = |event: &Event<'_>| command(&read(&plain(), event, None))["command_id"].clone();
    let first = id(&at("a", 1, 11));
    assert_eq!(id(&at("a", 1, 11)), first);
    // A topic that was deleted and made anew has other events at the same offsets.
    for other in [
        at("a", 11, 1),
        at("a", 1, 12),
        at("b", 1, 11),
        in_log(1, "a", 1, 11),
    ] {
        assert_ne!(id(&other), first);
    }
    let call = |text| id(&Event::new([], Some(text), CALL));
    assert_eq!(call(text), call(text));
    assert_ne!(call(text), call(br#"{"type":"account.deleted","id":2}"#));
}

#[test]
fn id_that_is_no_uuid_names_its_event_all_the_same() {
    let source = source(
        Format::Json,
        &[],
        &[("command_id", "/event"), ("identity.customer_id", "/id")],
    );
    let id = |text: &str| command_of(&source, text)["command_id"].clone();
    let first = id(r#"{"event":"evt_1","id":1}"#);
    assert_eq!(id(r#"{"event":"evt_1","id":1,"more":true}"#), first);
    assert_ne!(id(r#"{"event":"evt_2","id":1}"#), first);
    assert_eq!(
        id(r#"{"event":"0192F3C1-7A10-7C4E-9D5B-0E6F3A1C2B4D","id":1}"#),
        "0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4d"
    );
}

#[test]
fn condition_compares_texts_numbers_and_booleans() {
    let with = |place, wanted| {
        source(
            Format::Json,
            &[(place, wanted)],
            &[("identity.customer_id", "/id")],
        )
    };
    let text = r#"{"id":1,"deleted":true,"status":3,"kind":"closed"}"#;
    for (place, wanted, taken) in [
        ("/deleted", "true", true),
        ("/status", "3", true),
        ("/status", "4|3", true),
        ("/kind", "closed", true),
        ("/kind", "Closed", false),
        ("/missing", "", false),
        ("/id", "2", false),
    ] {
        let is_taken = matches!(outcome(&with(place, wanted), text), Outcome::Command(_));
        assert_eq!(is_taken, taken, "{place} = {wanted}");
    }
}

#[test]
fn calls_that_differ_in_read_headers_are_two_events() {
    let with_headers = source(
        Format::Json,
        &[("header:topic", "gone|deleted")],
        &[("identity.customer_id", "/id"), ("metadata.shop", "header:shop")],
    );
    let id = |headers: &[(&'static str, &'static str)]| {
        let headers = headers
            .iter()
            .map(|(name, value)| (*name, Some(value.as_bytes())));
        let event = Event::new(headers, Some(br#"{"id":1}"#), CALL);
        command(&read(&with_headers, &event, None))["command_id"].clone()
    };
    let first = id(&[("topic", "gone"), ("shop", "a")]);
    // In another order, and with what nobody reads, which differs between two tries.
    assert_eq!(id(&[("Shop", "a"), ("x-try", "2"), ("Topic", "gone")]), first);
    for other in [
        &[("topic", "gone"), ("shop", "b")][..],
        &[("topic", "deleted"), ("shop", "a")],
        &[("topic", "gone")],
    ] {
        assert_ne!(id(other), first, "{other:?}");
    }
}

#[test]
fn calls_of_binary_cloud_events_are_named_by_their_attributes() {
    let by_attributes = source(
        Format::CloudEvents,
        &[("/ce/type", "deleted")],
        &[("identity.customer_id", "/ce/subject")],
    );
    let id = |id: &'static str, subject: &'static str, carrier| {
        let headers = [
            ("ce-specversion", "1.0"),
            ("ce-type", "deleted"),
            ("ce-source", "/shop"),
            ("ce-id", id),
            ("ce-subject", subject),
        ];
        let headers = headers.map(|(name, value)| (name, Some(value.as_bytes())));
        read(&by_attributes, &Event::new(headers, Some(b""), carrier), None)
    };
    let named = |event, subject| command(&id(event, subject, CALL))["command_id"].clone();
    assert_eq!(named("1", "c-1"), named("1", "c-1"));
    assert_ne!(named("1", "c-1"), named("2", "c-1"));
    assert_ne!(named("1", "c-1"), named("1", "c-2"));
    // Where a signature covers the body alone, whoever has seen a call could write attributes of their own.
    let unsigned = id("1", "c-1", Carrier::Call { headers_count: false });
    let Outcome::Refused(refused) = unsigned else {
        panic!("{unsigned:?}");
    };
    assert!(refused.detail.contains("structured mode"), "{}", refused.detail);
}

#[test]
fn condition_asks_whether_anything_is_there() {
    let asks = |wanted| {
        source(
            Format::Json,
            &[("/x", wanted)],
            &[("identity.customer_id", "/id")],
        )
    };
    for (text, there) in [
        (r#"{"id":1,"x":[]}"#, true),
        (r#"{"id":1,"x":false}"#, true),
        (r#"{"id":1,"x":""}"#, true),
        (r#"{"id":1,"x":null}"#, false),
        (r#"{"id":1}"#, false),
    ] {
        let taken = |wanted| matches!(outcome(&asks(wanted), text), Outcome::Command(_));
        assert_eq!(
            (taken("(anything)"), taken("(nothing)")),
            (there, !there),
            "{text}"
        );
    }
}

#[test]
fn skipped_event_is_told_what_was_asked_for_and_no_value() {
    let asks = |wanted| {
        source(
            Format::Json,
            &[("/x", wanted)],
            &[("identity.customer_id", "/id")],
        )
    };
    for (wanted, text, told) in [
        (
            "a|b",
            r#"{"x":"secret"}"#,
            "`when` asks for a or b at /x, and there is another value",
        ),
        ("a", "{}", "`when` asks for a at /x, and there is nothing"),
        (
            "a",
            r#"{"x":null}"#,
            "`when` asks for a at /x, and there is nothing",
        ),
        (
            "a",
            r#"{"x":["secret"]}"#,
            "`when` asks for a at /x, and there is a list",
        ),
        (
            "(nothing)",
            r#"{"x":"secret"}"#,
            "`when` asks for nothing at /x, and there is another value",
        ),
        (
            "(anything)",
            "{}",
            "`when` asks for anything at /x, and there is nothing",
        ),
    ] {
        assert_eq!(skip(&asks(wanted), text).unwrap().to_string(), told);
    }
}
