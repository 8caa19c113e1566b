//! What is read, and as what: defaults, envelopes, ids and times.

use std::borrow::Cow;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::{example, tenant};
use crate::{
    domain::{
        ack::Answer,
        command::{Command, Opening},
        ids::Tenant,
        time::At,
        words::{Action, DeadLetterReason, Reason},
    },
    wire::{
        Channel, Envelope, ParsedCommand, ce_headers, command_id_from_key, dead_letter::DeadLetterHeaders,
        envelope, parse_ack, parse_command,
    },
};

const ID: &str = "018f6f2e-7c1a-7b3e-9a44-000000000003";

fn parse(document: &Value, envelope: &Envelope<'_>, channel: Channel) -> ParsedCommand {
    parse_command(document.to_string().as_bytes(), envelope, channel).unwrap()
}

fn opening(document: &Value, channel: Channel) -> Opening {
    match parse(document, &Envelope::bare(&tenant()), channel).command {
        Command::Open(opening) => *opening,
        other => panic!("no opening: {other:?}"),
    }
}

#[test]
fn a_full_command_keeps_everything() {
    let opening = opening(&example("command.erase"), Channel::Commands);
    assert_eq!(opening.action, Action::Erase);
    assert_eq!(opening.tenant.as_str(), "acme");
    assert_eq!(opening.reason, Reason::AccountClosed);
    assert_eq!(opening.identities.len(), 2);
    assert_eq!(opening.identities[0].value.expose(), "a@example.org");
    assert_eq!(opening.regime.unwrap().to_string(), "gdpr");
    assert_eq!(
        opening.requested_at,
        Some(At::parse("2026-11-21T10:00:00Z").unwrap())
    );
    assert_eq!(opening.not_before, None);
    assert_eq!(opening.anchors.len(), 1);
    assert_eq!(opening.exclude[0].processor.as_str(), "ads");
    assert_eq!(opening.metadata.as_ref().unwrap().expose(), r#"{"ticket":"T-1"}"#);
    assert!(opening.identity_verified);
}

#[test]
fn what_is_absent_or_null_gets_its_default() {
    let mut document = example("command.erase-minimal");
    let minimal = opening(&document, Channel::Commands);
    assert_eq!(minimal.tenant, tenant());
    assert_eq!(minimal.command_id.to_string(), ID);
    assert_eq!(minimal.request_id.0, minimal.command_id.0);
    assert_eq!(minimal.reason, Reason::SubjectRequest);
    assert!(!minimal.identity_verified && minimal.regime.is_none() && minimal.metadata.is_none());
    for field in [
        "request_id",
        "tenant",
        "regime",
        "reason",
        "requested_at",
        "not_before",
        "region",
        "scope",
        "anchors",
        "identity_verified",
        "exclude",
        "metadata",
        "actions_by_processor",
        "actor",
    ] {
        document[field] = json!(null);
    }
    document["unknown"] = json!({"field": [1e300, {"is": "ignored"}]});
    assert_eq!(opening(&document, Channel::Commands), minimal);
}

#[test]
fn ids_are_read_in_either_case_and_written_lowercase() {
    let mut document = example("command.erase-minimal");
    document["command_id"] = json!(ID.to_uppercase());
    assert_eq!(opening(&document, Channel::Commands).command_id.to_string(), ID);
}

#[test]
fn the_body_names_no_actor_over_http() {
    let mut document = example("command.erase-minimal");
    document["actor"] = json!("someone else");
    assert_eq!(
        opening(&document, Channel::Commands).submitter.as_deref(),
        Some("someone else")
    );
    assert_eq!(opening(&document, Channel::Http).submitter, None);
}

#[test]
fn times_are_those_of_rfc_3339() {
    let read = |text: &str| {
        let mut document = example("command.erase-minimal");
        document["requested_at"] = json!(text);
        opening(&document, Channel::Commands)
            .requested_at
            .unwrap()
            .to_string()
    };
    assert_eq!(read("2016-12-31T23:59:60Z"), "2017-01-01T00:00:00Z");
    assert_eq!(read("2017-01-01T00:59:60.5+01:00"), "2017-01-01T00:00:00.5Z");
    assert_eq!(read("2026-11-21t10:00:00.123456789z"), "2026-11-21T10:00:00.123Z");
    assert_eq!(
        read("2026-11-30T03:23:19.1234567890123Z"),
        "2026-11-30T03:23:19.123Z"
    );
    assert_eq!(read("1970-01-01T00:00:00Z"), "1970-01-01T00:00:00Z");
    assert_eq!(read("9999-12-31T23:59:59Z"), "9999-12-30T22:00:00Z");
}

#[test]
fn a_hundred_identities_are_not_too_many() {
    let mut document = example("command.erase-minimal");
    let identities: Vec<_> = (0..100)
        .map(|n| json!({"type": "device_id", "value": format!("d{n}")}))
        .collect();
    document["subject"]["identities"] = json!(identities);
    assert_eq!(opening(&document, Channel::Commands).identities.len(), 100);
}

#[test]
fn a_command_without_an_id_takes_that_of_its_event_or_key() {
    let tenant = tenant();
    let mut document = example("command.erase-minimal");
    document.as_object_mut().unwrap().remove("command_id");
    let id = |ce_id: &'static str, source: &'static str| {
        let mut envelope = Envelope::bare(&tenant);
        envelope.ce_id = Some(Cow::Borrowed(ce_id));
        envelope.ce_source = Some(Cow::Borrowed(source));
        parse(&document, &envelope, Channel::Commands)
            .command
            .command_id()
    };
    // A UUID is unique only as far as its source says so.
    assert_ne!(id(ID, "crm"), id(ID, "shop"));
    assert_eq!(id(ID, "crm"), id(ID.to_uppercase().leak(), "crm"));
    assert_eq!(id("1", "crm"), id("1", "crm"));
    assert_ne!(id("1", "crm"), id("2", "crm"));
    assert_ne!(id("1", "crm"), id("1", "shop"));
    assert_ne!(id("bc", "a"), id("c", "ab"));

    let mut envelope = Envelope::bare(&tenant);
    envelope.ce_id = Some(Cow::Borrowed("1"));
    let alone = parse_command(document.to_string().as_bytes(), &envelope, Channel::Commands).unwrap_err();
    assert_eq!(
        alone.reason,
        DeadLetterReason::Schema,
        "an id without its source is no key"
    );
    envelope.command_id_default = Some(command_id_from_key("order-7"));
    assert_eq!(
        parse(&document, &envelope, Channel::Http).command.command_id(),
        command_id_from_key("order-7")
    );
}

#[test]
fn a_key_has_one_id_however_it_is_quoted() {
    assert_eq!(command_id_from_key("\"order-7\""), command_id_from_key("order-7"));
    assert_eq!(command_id_from_key("\"a\\\"b\""), command_id_from_key("a\"b"));
    assert_ne!(command_id_from_key("order-7"), command_id_from_key("order-8"));
    assert_eq!(command_id_from_key(ID).to_string(), ID);
}

#[test]
fn a_repeat_is_told_from_a_conflict() {
    let document = example("command.erase");
    let tenant = tenant();
    let bare = Envelope::bare(&tenant);
    let canonical = |text: &str| {
        parse_command(text.as_bytes(), &bare, Channel::Commands)
            .unwrap()
            .canonical
    };
    assert_eq!(
        canonical(&document.to_string()),
        canonical(&format!("{document:#}"))
    );
    let mut other = document.clone();
    other["metadata"]["ticket"] = json!("T-2");
    assert_ne!(canonical(&document.to_string()), canonical(&other.to_string()));
}

#[test]
fn a_repeat_may_write_its_ids_in_the_other_case() {
    let tenant = tenant();
    let bare = Envelope::bare(&tenant);
    let id = "018f6f2e-7c1a-7b3e-9a44-0000000000ab";
    let commands = [
        (
            json!({"type": "cancel", "command_id": id, "request_id": id}),
            Channel::Commands,
        ),
        (
            json!({"type": "release", "command_id": id, "hold_id": id, "actor": "legal"}),
            Channel::Control,
        ),
    ];
    for (command, channel) in commands {
        let parse = |text: &str| parse_command(text.as_bytes(), &bare, channel).unwrap();
        let text = command.to_string();
        assert_eq!(parse(&text), parse(&text.replace(id, &id.to_uppercase())));
    }
}

fn open<'a>(
    headers: &[(&'a str, &'a str)],
    value: &'a [u8],
    tenant: &'a Tenant,
) -> Result<envelope::Message<'a>, crate::wire::Rejection> {
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (*name, Some(value.as_bytes())))
        .collect();
    envelope::open(headers, Some(value), tenant)
}

#[test]
fn events_come_in_three_modes() {
    let tenant = tenant();
    let data = example("command.erase-minimal");
    let text = data.to_string();
    let bare = open(&[], text.as_bytes(), &tenant).unwrap();
    assert!(matches!(bare.payload, Cow::Borrowed(_)) && bare.envelope.ce_id.is_none());

    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers: Vec<_> = ce_headers("7", "crm", "t")
        .into_iter()
        .chain([("traceparent", trace)])
        .collect();
    let binary = open(&headers, text.as_bytes(), &tenant).unwrap();
    assert_eq!(binary.envelope.ce_id.as_deref(), Some("7"));
    assert_eq!(binary.envelope.ce_source.as_deref(), Some("crm"));
    assert_eq!(binary.envelope.traceparent, Some(trace));
    assert_eq!(&*binary.payload, text.as_bytes());

    let mut event = json!({"specversion": "1.0", "id": "7", "source": "crm", "type": "t", "data": data});
    let whole = event.to_string();
    let mode = [("Content-Type", "Application/CloudEvents+json; charset=UTF-8")];
    let structured = open(&mode, whole.as_bytes(), &tenant).unwrap();
    assert!(matches!(structured.payload, Cow::Borrowed(_)));
    assert_eq!(
        serde_json::from_slice::<Value>(&structured.payload).unwrap(),
        data
    );
    assert_eq!(structured.envelope.event_id(), binary.envelope.event_id());

    event.as_object_mut().unwrap().remove("data");
    event["data_base64"] = json!(BASE64_STANDARD.encode(&text));
    let whole = event.to_string();
    assert_eq!(
        &*open(&mode, whole.as_bytes(), &tenant).unwrap().payload,
        text.as_bytes()
    );
}

#[test]
fn events_that_are_none_are_refused() {
    let tenant = tenant();
    let mode = [("content-type", "application/cloudevents+json")];
    let refused = |headers: &[(&'static str, &'static str)], value: &str| {
        let rejection = match open(headers, value.as_bytes(), &tenant) {
            Err(rejection) => rejection,
            Ok(message) => panic!("{message:?}"),
        };
        assert!(!rejection.detail.contains("canary"), "{rejection}");
        rejection.reason
    };
    let event = |rest: &str| format!(r#"{{"specversion":"1.0","id":"7","source":"crm","type":"t"{rest}}}"#);
    let deep = format!(r#","data":{}{}"#, "[".repeat(32), "]".repeat(32));
    assert_eq!(refused(&mode, &event("")), DeadLetterReason::Schema);
    assert_eq!(
        refused(&mode, &event(r#","data":{},"data_base64":"e30=""#)),
        DeadLetterReason::Schema
    );
    assert_eq!(
        refused(&mode, &event(r#","data_base64":"canary!""#)),
        DeadLetterReason::Schema
    );
    assert_eq!(
        refused(&mode, &event(r#","data":{"a":1,"a":2}"#)),
        DeadLetterReason::Schema
    );
    assert_eq!(refused(&mode, &event(&deep)), DeadLetterReason::TooLarge);
    assert_eq!(
        refused(&mode, r#"{"specversion":"0.3canary"}"#),
        DeadLetterReason::Schema
    );
    assert_eq!(refused(&mode, ""), DeadLetterReason::Schema);
    assert_eq!(refused(&mode, "canary"), DeadLetterReason::NotJson);
    assert_eq!(
        refused(&[("ce_specversion", "0.3")], "{}"),
        DeadLetterReason::Schema
    );
    assert_eq!(
        refused(&[("content-type", "application/cloudevents-batch+json")], "[]"),
        DeadLetterReason::Schema
    );
    let tombstone = envelope::open([], None, &tenant).unwrap();
    assert!(parse_ack(&tombstone.payload, &tombstone.envelope).is_err());
}

#[test]
fn only_valid_trace_contexts_are_kept() {
    let tenant = tenant();
    let kept = |text: &str| {
        open(&[("traceparent", text)], b"{}", &tenant)
            .unwrap()
            .envelope
            .traceparent
            .is_some()
    };
    let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    assert!(kept(&format!("00-{trace}-{span}-01")));
    assert!(kept(&format!("01-{trace}-{span}-01-more")));
    assert!(!kept(&format!("00-{trace}-{span}-01-more")));
    assert!(!kept(&format!("ff-{trace}-{span}-01")));
    assert!(!kept(&format!("00-{}-{span}-01", "0".repeat(32))));
    assert!(!kept(&format!("00-{}-{span}-01", trace.to_uppercase())));
    assert!(!kept("00"));
}

#[test]
fn acks_say_what_they_say() {
    let tenant = tenant();
    let answer = |name: &str| {
        parse_ack(example(name).to_string().as_bytes(), &Envelope::bare(&tenant))
            .unwrap()
            .answer
    };
    assert_eq!(
        answer("ack.accepted"),
        Answer::Accepted {
            expected_by: Some(At::parse("2026-11-23T10:00:00Z").unwrap())
        }
    );
    assert_eq!(
        answer("ack.partial"),
        Answer::Partial {
            retry_after_seconds: Some(60)
        }
    );
    assert!(
        matches!(answer("ack.retained-for-good"), Answer::Retained(retained) if retained.until.is_none())
    );
    for (name, outcome) in [
        ("ack.erased", "erased"),
        ("ack.absent", "absent"),
        ("ack.unsupported", "unsupported"),
    ] {
        assert_eq!(answer(name).outcome().as_str(), outcome);
    }
    let mut empty_token = example("ack.erased");
    empty_token["token"] = json!("");
    empty_token["identities"] = json!([{ "type": "phone", "value": "+49 30 901820" }]);
    let ack = parse_ack(empty_token.to_string().as_bytes(), &Envelope::bare(&tenant)).unwrap();
    assert_eq!(ack.token, "");
    assert_eq!(ack.identities[0].kind.as_str(), "phone");
    assert!(!format!("{ack:?}").contains("901820"));
    assert_eq!(ack.evidence.unwrap().records, Some(12));
}

#[test]
fn headers_of_a_dead_letter_are_read_back() {
    let at = At::parse("2026-11-21T10:00:00Z").unwrap();
    let headers = DeadLetterHeaders::new(DeadLetterReason::NotJson, "lacuna.commands", 3, 41, at);
    let pairs = headers.pairs();
    let read = |pairs: &[(&'static str, &str)]| {
        DeadLetterHeaders::read(pairs.iter().map(|(name, value)| (*name, Some(value.as_bytes()))))
    };
    assert_eq!(read(&pairs), Some(headers.clone()));
    assert_eq!(read(&pairs[1..]), None);
    assert_eq!(
        serde_json::to_value(&headers).unwrap(),
        example("dead_letter.headers")
    );
}
