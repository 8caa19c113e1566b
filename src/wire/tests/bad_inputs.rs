//! Bad inputs by table: each with its reason, and none of them repeated in the detail.

use serde_json::{Value, json};

use super::{example, tenant};
use crate::{
    domain::words::DeadLetterReason::{self, NotAllowed, NotJson, NotUtf8, Schema, TooLarge, UnknownType},
    wire::{Channel, Envelope, Rejection, parse_ack, parse_backup, parse_command},
};

/// An example, where it is changed and into what (nothing: removed), the reason, and what the detail says.
type Case = (
    &'static str,
    &'static str,
    Option<Value>,
    DeadLetterReason,
    &'static str,
);

/// The same, after the parser or the channel that it is for.
type DoorCase = (
    &'static str,
    &'static str,
    &'static str,
    Option<Value>,
    DeadLetterReason,
    &'static str,
);

/// What no detail may repeat.
const CANARY: &str = "canary@example.org";

fn rejection(kind: &str, bytes: &[u8]) -> Rejection {
    let tenant = tenant();
    let bare = Envelope::bare(&tenant);
    let result = match kind {
        "ack" => parse_ack(bytes, &bare).map(drop),
        "backup" => parse_backup(bytes, &bare).map(drop),
        "control" => parse_command(bytes, &bare, Channel::Control).map(drop),
        "http" => parse_command(bytes, &bare, Channel::Http).map(drop),
        _ => parse_command(bytes, &bare, Channel::Commands).map(drop),
    };
    result.expect_err("this is bad")
}

fn assert_refused(kind: &str, bytes: &[u8], reason: DeadLetterReason, says: &str) {
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]);
    let rejection = rejection(kind, bytes);
    assert_eq!(rejection.reason, reason, "{rejection} for {kind} {start}");
    assert!(
        rejection.detail.contains(says),
        "`{}` does not say `{says}` for {start}",
        rejection.detail
    );
    assert!(
        !rejection.detail.contains("canary"),
        "{rejection} repeats the message"
    );
}

#[test]
fn bytes_and_syntax() {
    let nested = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels)).into_bytes();
    let many_keys = |twice: &str| {
        let keys: Vec<_> = (0..100)
            .map(|n| format!("\"canary{n}\":0"))
            .chain([format!("\"{twice}\":1")])
            .collect();
        format!("{{{}}}", keys.join(",")).into_bytes()
    };
    #[rustfmt::skip]
    let cases: Vec<(Vec<u8>, DeadLetterReason)> = vec![
        (b"".to_vec(), Schema),
        (vec![b' '; (1 << 20) + 1], TooLarge),
        // Size is looked at before UTF-8, UTF-8 before JSON, JSON before depth, depth before shape.
        (vec![0xff; (1 << 20) + 1], TooLarge),
        (b"\xff\xfe{}".to_vec(), NotUtf8),
        (b"{\"canary\":\"\xc3\x28\"}".to_vec(), NotUtf8),
        (b"{\"canary\":\"\xed\xa0\x80\"}".to_vec(), NotUtf8),
        ("\u{feff}{}".into(), Schema),
        ("\u{feff}{".into(), NotJson),
        ("\u{feff}".into(), NotJson),
        (b"   \n\t".to_vec(), NotJson),
        (b"{".to_vec(), NotJson),
        (b"{}}".to_vec(), NotJson),
        (b"{} {}".to_vec(), NotJson),
        (b"{\"canary\":1,}".to_vec(), NotJson),
        (b"{'canary':1}".to_vec(), NotJson),
        (b"[1,]".to_vec(), NotJson),
        (b"{\"a\" 1}".to_vec(), NotJson),
        (b"{\"a\":}".to_vec(), NotJson),
        (b"{a:1}".to_vec(), NotJson),
        (b"[}".to_vec(), NotJson),
        (b"nul".to_vec(), NotJson),
        (b"NaN".to_vec(), NotJson),
        (b"+1".to_vec(), NotJson),
        (b"01".to_vec(), NotJson),
        (b"1.".to_vec(), NotJson),
        (b"1e".to_vec(), NotJson),
        (b"\"canary".to_vec(), NotJson),
        (b"\"tab\tcanary\"".to_vec(), NotJson),
        (b"\"\\q\"".to_vec(), NotJson),
        (b"\"\\u12g4\"".to_vec(), NotJson),
        (b"\"\\ud800\"".to_vec(), NotJson),
        (b"\"\\udc00\"".to_vec(), NotJson),
        (b"\"\\ud800\\u0041\"".to_vec(), NotJson),
        (b"{\"\\ud800\":1}".to_vec(), NotJson),
        (nested(33), TooLarge),
        (nested(65), TooLarge),
        (nested(129), TooLarge),
        (vec![b'['; 33], NotJson),
        ([vec![b'['; 100_000], vec![b']'; 100_000]].concat(), TooLarge),
        (vec![b'['; 100_000], NotJson),
        ([vec![b'['; 64], b"{\"a\":1]".to_vec(), vec![b']'; 64]].concat(), NotJson),
        (b"{\"canary\":1,\"canary\":2}".to_vec(), Schema),
        (b"{\"a\":{\"canary\":1,\"canary\":1}}".to_vec(), Schema),
        (b"[[{\"\\u0063anary\":1,\"canary\":2}]]".to_vec(), Schema),
        (b"{\"canary\":1,\"canary\":2".to_vec(), NotJson),
        (many_keys("canary7"), Schema),
        (b"{\"a\":\"canary\\u0000\"}".to_vec(), Schema),
        (b"{\"canary\\u0000\":1}".to_vec(), Schema),
        (b"{\"a\":\"\\u0000\"".to_vec(), NotJson),
        (b"[]".to_vec(), Schema),
        (b"null".to_vec(), Schema),
        (b"\"canary\"".to_vec(), Schema),
        (b"1e999".to_vec(), Schema),
    ];
    for (bytes, reason) in &cases {
        for kind in ["commands", "ack", "backup"] {
            assert_refused(kind, bytes, *reason, "expected");
        }
    }
    // As deep as may be, and the same key in neighbours, is no fault of the bytes.
    for bytes in [
        nested(32),
        many_keys("other"),
        b"[{\"a\":1},{\"a\":1}]".to_vec(),
        b"\"\\\\u0000\"".to_vec(),
    ] {
        crate::wire::validate::check(&bytes).unwrap();
    }
}

/// The example with one change: a pointer and what stands there, nothing for removal.
fn changed(name: &str, pointer: &str, value: Option<Value>) -> Vec<u8> {
    let mut document = example(name);
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = document.pointer_mut(parent).unwrap();
    match (parent, value) {
        (Value::Object(object), Some(value)) => drop(object.insert(key.to_owned(), value)),
        (Value::Object(object), None) => drop(object.remove(key)),
        (parent, value) => parent[key.parse::<usize>().unwrap()] = value.unwrap(),
    }
    document.to_string().into_bytes()
}

#[test]
fn shapes_of_commands() {
    let e = "command.erase";
    let identity = json!({"type": "email", "value": CANARY});
    let anchors = (0..33)
        .map(|n| (format!("a{n}"), json!("2026-11-20T00:00:00Z")))
        .collect();
    #[rustfmt::skip]
    let cases: Vec<Case> = vec![
        (e, "/type", None, Schema, "missing field `type`"),
        (e, "/type", Some(json!(7)), Schema, "type: expected"),
        (e, "/type", Some(json!(CANARY)), UnknownType, "type:"),
        (e, "/command_id", Some(json!(CANARY)), Schema, "command_id: expected a UUID"),
        (e, "/command_id", Some(json!("018f6f2e7c1a7b3e9a44000000000001")), Schema, "command_id"),
        (e, "/command_id", Some(json!("{018f6f2e-7c1a-7b3e-9a44-000000000001}")), Schema, "command_id"),
        (e, "/command_id", None, Schema, "command_id"),
        (e, "/request_id", Some(json!(987_654)), Schema, "request_id"),
        (e, "/tenant", Some(json!("acme canary")), Schema, "tenant"),
        (e, "/actor", Some(json!("")), Schema, "actor"),
        (e, "/actor", Some(json!("canary".repeat(50))), Schema, "actor"),
        (e, "/subject", None, Schema, "missing field `subject`"),
        (e, "/subject", Some(json!([[identity]])), Schema, "subject: expected an object"),
        (e, "/subject/identities", Some(json!([])), Schema, "subject.identities"),
        (e, "/subject/identities", Some(json!(vec![identity.clone(); 101])), TooLarge, "at most 100"),
        (e, "/subject/identities/0", Some(json!(["email", CANARY])), Schema, "subject.identities[0]"),
        (e, "/subject/identities/1/value", Some(json!("")), Schema, "subject.identities[1].value"),
        (e, "/subject/identities/1/value", Some(json!(42)), Schema, "expected a text of 1 to 1024 characters"),
        (e, "/subject/identities/1/value", Some(json!("ä".repeat(1025))), Schema, "1024 characters"),
        (e, "/subject/identities/1/value", Some(json!("\u{feff} ")), Schema, "identities[1].value: expected an identifier; it is blank"),
        (e, "/subject/identities/1/value", Some(json!("(Null)")), Schema, "identities[1].value: expected an identifier; it is a word"),
        (e, "/subject/identities/1/value", Some(json!("{00000000-0000-0000-0000-000000000000}")), Schema, "identities[1].value: expected"),
        (e, "/subject/identities/1/value", Some(json!("1.23457E+15")), Schema, "identities[1].value: expected"),
        (e, "/subject/identities/1/value", Some(json!("canary\r")), Schema, "identities[1].value: expected an identifier without control"),
        (e, "/subject/identities/0", Some(json!({"value": "canary@a@b", "type": "email"})), Schema, "identities[0].value: expected an e-mail"),
        (e, "/subject/identities/0", Some(json!({"type": "phone", "value": "canary"})), Schema, "identities[0].value: expected a phone"),
        (e, "/subject/identities/0/type", Some(json!("E-Mail canary")), Schema, "identities[0].type"),
        (e, "/regime", Some(json!(CANARY)), Schema, "regime: expected the name of a regime, such as gdpr"),
        (e, "/reason", Some(json!(CANARY)), Schema, "reason: expected one of: subject_request"),
        (e, "/requested_at", Some(json!("canary")), Schema, "requested_at: expected a time of RFC 3339"),
        (e, "/requested_at", Some(json!("1969-12-31T23:59:59Z")), Schema, "requested_at"),
        (e, "/requested_at", Some(json!("+010000-01-01T00:00:00Z")), Schema, "requested_at"),
        (e, "/requested_at", Some(json!("9999-12-31T23:59:59-01:00")), Schema, "requested_at"),
        (e, "/requested_at", Some(json!("2026-11-21 10:00:00Z")), Schema, "requested_at"),
        (e, "/requested_at", Some(json!("2026-11-21T10:00:60Z")), Schema, "requested_at"),
        (e, "/requested_at", Some(json!("2026-11-21T10:00:00")), Schema, "requested_at"),
        (e, "/not_before", Some(json!(1_700_000_000)), Schema, "not_before"),
        (e, "/region", Some(json!("eu west canary")), Schema, "region"),
        (e, "/scope", Some(json!([])), Schema, "scope: expected an object"),
        (e, "/scope/purposes", Some(json!(vec!["x"; 101])), Schema, "scope.purposes"),
        (e, "/scope/processors", Some(json!([CANARY])), Schema, "scope.processors[0]"),
        (e, "/anchors/account_closed_at", Some(json!(CANARY)), Schema, "anchors.*"),
        (e, "/anchors/canary@", Some(json!("2026-11-20T00:00:00Z")), Schema, "anchors"),
        (e, "/anchors", Some(anchors), Schema, "32"),
        (e, "/identity_verified", Some(json!("true")), Schema, "identity_verified"),
        (e, "/exclude/0/basis", Some(json!(CANARY)), Schema, "exclude[0].basis"),
        (e, "/exclude/0", Some(json!(["ads", "excessive"])), Schema, "exclude[0]"),
        (e, "/metadata", Some(json!(CANARY)), Schema, "metadata"),
        (e, "/actions_by_processor", Some(json!({"canary": "verify"})), Schema, "actions_by_processor.*"),
        ("command.cancel", "/request_id", None, Schema, "missing field `request_id`"),
        ("command.reactivated", "/at", None, Schema, "missing field `at`"),
        ("command.reactivated", "/subject", None, Schema, "missing field `subject`"),
    ];
    for (name, pointer, value, reason, says) in cases {
        assert_refused("commands", &changed(name, pointer, value), reason, says);
    }
}

#[test]
fn shapes_and_doors_of_control_commands() {
    let removed = |name: &str, field: &str| {
        assert_refused(
            "control",
            &changed(name, &format!("/{field}"), None),
            Schema,
            field,
        );
    };
    removed("command.verify_identity", "request_id");
    removed("command.verify_identity", "method");
    removed("command.verify_identity", "result");
    removed("command.approve", "request_id");
    removed("command.approve", "actor");
    removed("command.refuse", "basis");
    removed("command.extend", "reason");
    removed("command.hold", "hold_id");
    removed("command.hold", "basis");
    removed("command.hold", "actor");
    removed("command.release", "hold_id");
    removed("command.release", "actor");
    removed("command.supply_identities", "identities");
    let too_many = json!(vec![json!({"type": "email", "value": CANARY}); 101]);
    #[rustfmt::skip]
    let cases: Vec<DoorCase> = vec![
        ("control", "command.verify_identity", "/result", Some(json!(CANARY)), Schema, "result"),
        ("control", "command.verify_identity", "/method", Some(json!("a passport of canary")), Schema, "method"),
        ("control", "command.refuse", "/basis", Some(json!("regulator")), Schema, "basis"),
        ("control", "command.extend", "/reason", Some(json!("account_closed")), Schema, "reason"),
        ("control", "command.hold", "/basis", Some(json!({"regulator": null})), Schema, "basis"),
        ("control", "command.hold", "/categories", Some(json!([])), Schema, "categories"),
        ("control", "command.hold", "/categories/0", Some(json!("a canary")), Schema, "categories[0]"),
        ("control", "command.hold", "/subject", Some(json!({"identities": []})), Schema, "subject.identities"),
        ("control", "command.hold", "/subject/identities", Some(too_many.clone()), TooLarge, "100"),
        ("control", "command.hold", "/hold_id", Some(json!(null)), Schema, "missing field `hold_id`"),
        ("control", "command.hold", "/hold_id", Some(json!(CANARY)), Schema, "hold_id: expected a UUID"),
        ("control", "command.hold", "/request_id", Some(json!(CANARY)), Schema, "request_id: expected a UUID"),
        ("control", "command.hold", "/processor", Some(json!("a canary")), Schema, "processor: a processor id"),
        ("control", "command.hold", "/note", Some(json!("canary ".repeat(600))), Schema, "note: expected a text of 0 to 4096"),
        ("control", "command.hold", "/note", Some(json!([CANARY])), Schema, "note"),
        ("control", "command.release", "/hold_id", Some(json!([CANARY])), Schema, "hold_id"),
        ("control", "command.release", "/note", Some(json!("canary ".repeat(600))), Schema, "note"),
        ("control", "command.supply_identities", "/identities", Some(too_many), TooLarge, "100"),
        // Shape goes before type and channel.
        ("commands", "command.hold", "/basis", Some(json!(CANARY)), Schema, "basis"),
        ("commands", "command.hold", "/tenant", None, NotAllowed, "control topic"),
        ("commands", "command.approve", "/actor", None, NotAllowed, "control topic"),
        ("http", "command.hold", "/basis", Some(json!(CANARY)), Schema, "basis"),
        ("http", "command.hold", "/tenant", None, NotAllowed, "/v1/holds"),
        ("http", "command.release", "/tenant", None, NotAllowed, "/v1/holds"),
        ("http", "command.release", "/hold_id", None, Schema, "missing field `hold_id`"),
        ("commands", "command.release", "/tenant", None, NotAllowed, "control topic"),
        ("commands", "command.release", "/note", Some(json!(7)), Schema, "note"),
        ("control", "command.supply_identities", "/request_id", None, Schema, "request_id"),
        ("http", "command.supply_identities", "/tenant", None, NotAllowed, "control topic"),
        ("http", "command.extend", "/tenant", None, NotAllowed, "/v1/requests/{id}"),
        ("http", "command.refuse", "/basis", Some(json!(CANARY)), Schema, "basis"),
        ("http", "command.approve", "/tenant", None, NotAllowed, "/v1/requests/{id}"),
        ("control", "command.erase", "/actor", Some(json!("j.doe")), NotAllowed, "commands topic"),
        ("control", "command.anonymize", "/actor", Some(json!("j.doe")), NotAllowed, "commands topic"),
        ("control", "command.cancel", "/actor", Some(json!("j.doe")), NotAllowed, "commands topic"),
        ("control", "command.erase", "/tenant", None, Schema, "actor"),
    ];
    for (kind, name, pointer, value, reason, says) in cases {
        assert_refused(kind, &changed(name, pointer, value), reason, says);
    }
    let empty_hold = json!({"command_id": "018f6f2e-7c1a-7b3e-9a44-000000000001", "type": "hold", "actor": "j.doe",
        "hold_id": "018f6f2e-7c1a-7b3e-9a44-000000000002", "basis": "dispute"});
    assert_refused(
        "control",
        empty_hold.to_string().as_bytes(),
        Schema,
        "one or more of subject",
    );
}

#[test]
fn shapes_of_acks_and_backup_events() {
    let a = "ack.erased";
    #[rustfmt::skip]
    let cases: Vec<DoorCase> = vec![
        ("ack", a, "/generation", Some(json!(0)), Schema, "generation"),
        ("ack", a, "/attempt", Some(json!(0)), Schema, "attempt"),
        ("ack", a, "/attempt", Some(json!(-987_654)), Schema, "attempt"),
        ("ack", a, "/attempt", Some(json!(4_294_967_296_u64)), Schema, "attempt"),
        ("ack", a, "/generation", Some(json!("1")), Schema, "generation"),
        ("ack", a, "/outcome", Some(json!(CANARY)), Schema, "outcome: expected one of: accepted"),
        ("ack", a, "/outcome", Some(json!("retained")), Schema, "retained: required"),
        ("ack", a, "/outcome", None, Schema, "missing field `outcome`"),
        ("ack", a, "/token", None, Schema, "missing field `token`"),
        ("ack", a, "/token", Some(json!(null)), Schema, "token"),
        ("ack", a, "/processor", Some(json!("Canary")), Schema, "processor"),
        ("ack", a, "/task_id", Some(json!(CANARY)), Schema, "task_id: expected a UUID"),
        ("ack", a, "/request_id", None, Schema, "missing field `request_id`"),
        ("ack", a, "/retry_after_seconds", Some(json!(2_592_001)), Schema, "retry_after_seconds"),
        ("ack", a, "/retry_after_seconds", Some(json!(-1)), Schema, "retry_after_seconds"),
        ("ack", a, "/message", Some(json!("canary".repeat(700))), Schema, "message: expected a text of 0 to 4096"),
        ("ack", a, "/evidence", Some(json!([CANARY])), Schema, "evidence"),
        ("ack", a, "/evidence/method", Some(json!("canary".repeat(90))), Schema, "evidence.method"),
        ("ack", a, "/evidence/records", Some(json!(-1)), Schema, "evidence.records"),
        ("ack", a, "/evidence/by_category", Some(json!({"canary": "x"})), Schema, "evidence.by_category.*"),
        ("ack", a, "/at", Some(json!(CANARY)), Schema, "at: expected a time"),
        ("ack", "ack.retained", "/retained/until", None, Schema, "retained: missing field `until`"),
        ("ack", "ack.retained", "/retained/basis", None, Schema, "retained: missing field `basis`"),
        ("ack", "ack.retained", "/retained/categories", Some(json!(["a canary"])), Schema, "retained.categories[0]"),
        ("ack", "ack.retained", "/retained", Some(json!(null)), Schema, "retained: required"),
        ("backup", "backup.taken", "/taken_at", None, Schema, "taken_at"),
        ("backup", "backup.taken", "/taken_at", Some(json!("1969-12-31T23:59:59Z")), Schema, "taken_at: expected a time"),
        ("backup", "backup.taken", "/at", Some(json!("1969-12-31T23:59:59Z")), Schema, "at: expected a time"),
        ("backup", "backup.taken", "/lock_until", Some(json!("1969-12-31T23:59:59Z")), Schema, "lock_until: expected a time"),
        ("backup", "backup.taken", "/lock_until", Some(json!("2026-11-21T01:59:59Z")), Schema, "lock_until: expected a time that is not before taken_at"),
        ("backup", "backup.taken", "/lock_until", Some(json!(CANARY)), Schema, "lock_until: expected a time"),
        ("backup", "backup.rotated", "/oldest_retained_at", Some(json!("1969-12-31T23:59:59Z")), Schema, "oldest_retained_at: expected a time"),
        ("backup", "backup.restored", "/taken_at", Some(json!("1969-12-31T23:59:59Z")), Schema, "taken_at: expected a time"),
        ("backup", "backup.restored", "/restored_into", Some(json!(["a canary"])), Schema, "restored_into[0]"),
        ("backup", "backup.rotated", "/oldest_retained_at", None, Schema, "oldest_retained_at"),
        ("backup", "backup.restored", "/restored_into", Some(json!([])), Schema, "restored_into"),
        ("backup", "backup.restored", "/restored_into", None, Schema, "restored_into"),
        ("backup", "backup.taken", "/event_id", None, Schema, "event_id"),
        ("backup", "backup.taken", "/set", Some(json!("a canary")), Schema, "set"),
        ("backup", "backup.taken", "/type", Some(json!(CANARY)), UnknownType, "type"),
        ("backup", "backup.taken", "/type", None, Schema, "missing field `type`"),
    ];
    for (kind, name, pointer, value, reason, says) in cases {
        assert_refused(kind, &changed(name, pointer, value), reason, says);
    }
}
