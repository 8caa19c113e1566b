//! Values that are nobody's, and types that nobody knows, over every channel.

use lacuna::{
    domain::{identity::Placeholders, words::DeadLetterReason},
    engine::intake::Verdict,
};
use serde_json::json;
use uuid::Uuid;

use super::{
    control::{control, tell},
    identifying::{erase_of, world_of},
    world::{ack_from, answer, erase, id, origin_at, start},
};
use crate::store::fixture::Fixture;

on_both_stores!(
    what_stands_for_nobody_is_refused_through_every_door,
    hold_on_unknown_type_is_refused_and_names_near_ones,
);

async fn what_stands_for_nobody_is_refused_through_every_door(fixture: Fixture) {
    let mut world = world_of(fixture).await;
    world.settings.placeholders = Placeholders::new(&["guest".to_owned(), "test@example.org".to_owned()]);
    let engine = world.worker().await;
    let (_, sent) = world
        .take_in(&engine, &erase_of(1, "email", "ann@example.org"))
        .await;
    for (kind, value) in [
        ("device_id", "00000000-0000-0000-0000-000000000000"),
        ("device_id", "(null)"),
        ("device_id", "9.87654E+11"),
        ("device_id", "GUEST"),
        ("device_id", "a\u{1}b"),
        ("device_id", "\u{feff}"),
        ("phone", "unknown"),
        ("email", "Test@example.org."),
        ("email", "a@b.c,d@e.f"),
    ] {
        let bad = json!({ "type": kind, "value": value });
        let good = json!({ "type": "email", "value": "ann@example.org" });
        let both = json!([good, bad]);
        let subject = json!({ "identities": both });
        let refused = |verdict: &Verdict, field: &str| {
            let Verdict::Rejected(refusal) = verdict else {
                panic!("taken: {kind} {value:?}")
            };
            assert_eq!(refusal.reason, DeadLetterReason::Schema, "{refusal}");
            assert!(
                refusal.detail.starts_with(&format!("{field}: expected")),
                "{value:?}: {refusal}"
            );
            assert!(
                !refusal.detail.contains("ann@") && (value.len() < 4 || !refusal.detail.contains(value)),
                "{refusal}"
            );
        };
        let mut opening = erase(2);
        opening["subject"] = subject.clone();
        refused(
            &world.take_in(&engine, &opening).await.0,
            "subject.identities[1].value",
        );
        let back = json!({ "command_id": id(3), "type": "reactivated", "tenant": "acme", "at": start(), "subject": subject });
        refused(
            &world.take_in(&engine, &back).await.0,
            "subject.identities[1].value",
        );
        let hold = control(
            0,
            json!({ "type": "hold", "command_id": id(4), "hold_id": id(4), "basis": "dispute", "subject": subject }),
        );
        refused(
            &tell(&world, &engine, &hold).await.0,
            "subject.identities[1].value",
        );
        let supply = control(
            0,
            json!({ "type": "supply_identities", "command_id": id(5), "request_id": id(1), "identities": both }),
        );
        refused(&tell(&world, &engine, &supply).await.0, "identities[1].value");
        let mut ack = answer(sent.task("telecom"), "erased");
        ack["identities"] = both;
        let arrival = ack_from(&engine, Some(origin_at("acks", 0, 0)), &ack);
        let refusal = arrival.content.unwrap_err();
        assert_eq!(refusal.reason, DeadLetterReason::Schema);
        assert!(
            refusal.detail.starts_with("identities[1].value: expected"),
            "{refusal}"
        );
    }
}

async fn hold_on_unknown_type_is_refused_and_names_near_ones(fixture: Fixture) {
    let world = world_of(fixture).await;
    let engine = world.worker().await;
    let hold = |n: u128, kind: &str| {
        let subject = json!({ "identities": [{ "type": "email", "value": "ann@example.org" }, { "type": kind, "value": "x" }] });
        control(
            0,
            json!({ "type": "hold", "command_id": Uuid::from_u128(n), "hold_id": Uuid::from_u128(n), "basis": "dispute", "subject": subject }),
        )
    };
    let (verdict, sent) = tell(&world, &engine, &hold(50, "mail")).await;
    let Verdict::Rejected(refusal) = verdict else {
        panic!("taken")
    };
    assert!(
        refusal.detail.starts_with("subject.identities[1].type: ")
            && refusal.detail.contains("did you mean email?"),
        "{refusal}"
    );
    assert_eq!(sent.reasons(), ["schema"]);
    // A request knows it.
    let mut command = erase_of(1, "email", "ann@example.org");
    command["subject"]["identities"] =
        json!([{ "type": "email", "value": "ann@example.org" }, { "type": "mail", "value": "x" }]);
    world.take_in(&engine, &command).await;
    assert!(matches!(
        tell(&world, &engine, &hold(51, "mail")).await.0,
        Verdict::Taken(_)
    ));
    assert!(
        matches!(
            tell(&world, &engine, &hold(52, "device_id")).await.0,
            Verdict::Taken(_)
        ),
        "one that is provided"
    );
}
