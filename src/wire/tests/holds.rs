//! Holds, releases and backup events: what is read of them, and what a hold over HTTP may leave out.

use serde_json::{Value, json};

use super::{example, tenant};
use crate::{
    domain::{
        backup::BackupChange,
        command::{Command, PlaceHold, ReleaseHold},
        ids::{CommandId, HoldId},
        time::At,
        words::{DeadLetterReason, HoldBasis},
    },
    wire::{Channel, Envelope, Rejection, command_id_from_key, parse_backup, parse_command, parse_hold},
};

const CANARY: &str = "canary@example.org";

fn control(document: &Value) -> Command {
    let tenant = tenant();
    let bare = Envelope::bare(&tenant);
    parse_command(document.to_string().as_bytes(), &bare, Channel::Control)
        .unwrap()
        .command
}

fn held(document: &Value) -> PlaceHold {
    match control(document) {
        Command::Hold(hold) => hold,
        other => panic!("no hold: {other:?}"),
    }
}

fn released(document: &Value) -> ReleaseHold {
    match control(document) {
        Command::Release(release) => release,
        other => panic!("no release: {other:?}"),
    }
}

/// A hold over HTTP whose command is called by the key `k`.
fn placed(document: &Value) -> Result<PlaceHold, Rejection> {
    let tenant = tenant();
    let mut envelope = Envelope::bare(&tenant);
    envelope.command_id_default = Some(command_id_from_key("k"));
    match parse_hold(document.to_string().as_bytes(), &envelope, "the bearer")?.command {
        Command::Hold(hold) => Ok(hold),
        other => panic!("no hold: {other:?}"),
    }
}

#[test]
fn a_hold_keeps_everything() {
    let hold = held(&example("command.hold"));
    assert_eq!(hold.tenant.as_str(), "acme");
    assert_eq!(hold.hold_id.to_string(), "018f6f2e-7c1a-7b3e-9a44-00000000000c");
    assert_eq!((hold.basis, hold.actor.as_str()), (HoldBasis::Regulator, "j.doe"));
    assert_eq!(hold.identities[0].value.expose(), "42");
    assert_eq!(hold.categories[0].as_str(), "invoices");
    assert_eq!((hold.request_id, &hold.processor), (None, &None));
    assert_eq!(
        hold.note.as_ref().map(|note| note.expose()),
        Some("Tax audit of 2025, file 12/345")
    );

    let narrow = held(&example("command.hold-processor"));
    assert_eq!(narrow.processor.unwrap().as_str(), "crm");
    assert!(narrow.request_id.is_some() && narrow.note.is_none());
    assert!(narrow.identities.is_empty() && narrow.categories.is_empty());

    let release = released(&example("command.release"));
    assert_eq!(release.hold_id, hold.hold_id);
    assert_eq!(release.actor, "j.doe");
    assert_eq!(
        release.note.as_ref().map(|note| note.expose()),
        Some("The audit is closed.")
    );
}

#[test]
fn hold_and_release_name_the_same_and_stay_in_order() {
    let hold = control(&example("command.hold-processor"));
    assert!(hold.request_id().is_some());
    assert_eq!(hold.type_name(), "hold");
    let hold = control(&example("command.hold"));
    let release = control(&example("command.release"));
    assert_eq!((hold.request_id(), release.request_id()), (None, None));
    assert_eq!(hold.ordering_key(), release.ordering_key());
    assert_eq!(release.type_name(), "release");
}

#[test]
fn what_a_person_wrote_is_not_shown_by_accident() {
    let mut document = example("command.hold");
    document["note"] = json!(CANARY);
    document["subject"]["identities"][0]["value"] = json!(CANARY);
    assert!(!format!("{:?}", held(&document)).contains("canary"));
    let mut document = example("command.release");
    document["note"] = json!(CANARY);
    assert!(!format!("{:?}", released(&document)).contains("canary"));
}

#[test]
fn over_http_a_hold_is_what_a_person_would_send() {
    let hold = placed(&json!({"basis": "dispute", "processor": "crm"})).unwrap();
    assert_eq!(hold.command_id, command_id_from_key("k"));
    assert_eq!(
        hold.hold_id,
        HoldId(hold.command_id.0),
        "a repeat speaks of the same hold"
    );
    assert_eq!((hold.actor.as_str(), &hold.tenant), ("the bearer", &tenant()));

    let whole = placed(&example("command.hold")).unwrap();
    let topics = held(&example("command.hold"));
    assert_eq!(
        whole,
        PlaceHold {
            actor: "the bearer".into(),
            ..topics
        },
        "the body names no actor over HTTP"
    );

    let mut nulls = json!({"basis": "dispute", "categories": ["invoices"]});
    for field in [
        "type",
        "command_id",
        "hold_id",
        "tenant",
        "actor",
        "subject",
        "request_id",
        "processor",
        "note",
    ] {
        nulls[field] = json!(null);
    }
    assert_eq!(placed(&nulls).unwrap().categories[0].as_str(), "invoices");
}

#[test]
fn holds_over_http_that_are_none_are_refused() {
    #[rustfmt::skip]
    let cases = [
        (json!({}), "missing field `basis`"),
        (json!([CANARY]), "expected an object"),
        (json!({"basis": "dispute"}), "one or more of subject"),
        (json!({"basis": CANARY, "processor": "crm"}), "basis: expected one of: legal_claims"),
        (json!({"basis": "dispute", "processor": "a canary"}), "processor"),
        (json!({"basis": "dispute", "processor": "crm", "type": "release"}), "type: expected hold"),
        (json!({"basis": "dispute", "processor": "crm", "type": CANARY}), "type: expected hold"),
        (json!({"basis": "dispute", "processor": "crm", "hold_id": CANARY}), "hold_id: expected a UUID"),
        (json!({"basis": "dispute", "processor": "crm", "command_id": 7}), "command_id: expected a UUID"),
        (json!({"basis": "dispute", "processor": "crm", "actor": ""}), "actor"),
        (json!({"basis": "dispute", "processor": "crm", "note": "canary ".repeat(600)}), "note"),
        (json!({"basis": "dispute", "subject": {"identities": []}}), "subject.identities"),
    ];
    for (document, says) in cases {
        let rejection = placed(&document).unwrap_err();
        assert_eq!(rejection.reason, DeadLetterReason::Schema, "{document}");
        assert!(
            rejection.detail.contains(says),
            "`{}` for {document}",
            rejection.detail
        );
        assert!(!rejection.detail.contains("canary"), "{rejection}");
    }
    let tenant = tenant();
    let anonymous = br#"{"basis":"dispute","processor":"crm"}"#;
    let rejection = parse_hold(anonymous, &Envelope::bare(&tenant), "x").unwrap_err();
    assert!(rejection.detail.starts_with("command_id:"), "{rejection}");
}

#[test]
fn a_hold_is_told_from_another_one() {
    let tenant = tenant();
    let mut envelope = Envelope::bare(&tenant);
    envelope.command_id_default = Some(CommandId(uuid::Uuid::from_u128(7)));
    let canonical = |text: &str| parse_hold(text.as_bytes(), &envelope, "x").unwrap().canonical;
    let one = canonical(r#"{"basis":"dispute","processor":"crm"}"#);
    assert_eq!(one, canonical(r#"{ "processor": "crm", "basis": "dispute" }"#));
    assert_ne!(one, canonical(r#"{"basis":"dispute","processor":"ads"}"#));
}

#[test]
fn backup_events_say_what_they_say() {
    let tenant = tenant();
    let read = |document: &Value| {
        parse_backup(document.to_string().as_bytes(), &Envelope::bare(&tenant))
            .unwrap()
            .event
    };
    let at = |text: &str| At::parse(text).unwrap();
    let taken = read(&example("backup.taken"));
    assert_eq!(taken.event_id.to_string(), "018f6f2e-7c1a-7b3e-9a44-000000000040");
    assert_eq!(
        (taken.processor.as_str(), taken.set.as_str()),
        ("nightly-backup", "nightly")
    );
    assert_eq!(taken.at, Some(at("2026-11-21T02:40:00Z")));
    let taken_at = at("2026-11-21T02:00:00Z");
    let change = |lock_until| BackupChange::Taken { taken_at, lock_until };
    assert_eq!(taken.change, change(None));
    let mut locked = example("backup.taken-locked");
    assert_eq!(read(&locked).change, change(Some(at("2026-12-26T02:00:00Z"))));
    for (text, until) in [("2026-11-21T03:00:00+01:00", Some(taken_at)), ("", None)] {
        locked["lock_until"] = if text.is_empty() { Value::Null } else { json!(text) };
        assert_eq!(
            read(&locked).change,
            change(until),
            "it may end at once, or be none"
        );
    }
    assert_eq!(
        read(&example("backup.rotated")).change,
        BackupChange::Rotated {
            oldest_retained_at: at("2026-10-17T02:00:00Z")
        }
    );
    let BackupChange::Restored { restored_into, .. } = read(&example("backup.restored")).change else {
        panic!("no restore");
    };
    assert_eq!(restored_into[0].as_str(), "hosting");
}
