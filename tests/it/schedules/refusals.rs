//! What is not taken, and why: every refusal is a dead letter that opens to the original bytes, and changes nothing.

use std::time::Duration;

use lacuna::{
    domain::{
        calendar::{Length, Terms},
        command::Decision,
        ids::{Label, RegimeName},
        words::{DeadLetterReason, ExtensionReason},
    },
    engine::{intake::Verdict, settlement::AckVerdict},
    store::DeadLetterFilter,
};
use serde_json::json;
use uuid::Uuid;

use super::world::{CANARY, Sent, World, answer, cancel, command_from, erase, id, origin_at, start};
use crate::store::fixture::Fixture;

on_both_stores!(
    another_region,
    a_regime_that_is_there_no_more,
    nobody_is_concerned,
    a_cancel_of_nothing,
    a_cancel_of_another_tenants_request,
    a_cancel_that_comes_too_late,
    a_cancel_in_time_and_once_more,
    a_cancel_in_the_batch_of_its_request,
    acks_that_prove_nothing,
    refused_messages_are_kept_sealed,
);

fn reason(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Rejected(refusal) => refusal.reason.as_str(),
        Verdict::Taken(_) => "taken",
        Verdict::Duplicate(_) => "duplicate",
        Verdict::Waiting(_) => "waiting",
    }
}

async fn another_region(fixture: Fixture) {
    let mut world = World::new(fixture).await;
    world.settings.region = Some(Label::new("eu").unwrap());
    let engine = world.worker().await;
    let mut command = erase(1);
    command["region"] = json!("us");
    let (verdict, sent) = world.take_in(&engine, &command).await;
    assert_eq!(
        (reason(&verdict), sent.reasons()),
        ("wrong_region", vec!["wrong_region"])
    );
    assert!(world.stored(1).await.is_none());
    // It is no duplicate of itself: another cell, or a corrected configuration, may take it.
    assert_eq!(reason(&world.take_in(&engine, &command).await.0), "wrong_region");
    for (n, region) in [(2, json!("eu")), (3, json!(null))] {
        let mut command = erase(n);
        command["region"] = region;
        assert_eq!(reason(&world.take_in(&engine, &command).await.0), "taken");
    }
    world.check().await;
}

/// A controller's own regime is removed: what was taken under it stays, and nothing new comes under it.
async fn a_regime_that_is_there_no_more(fixture: Fixture) {
    let mut world = World::new(fixture).await;
    let without = world.settings.rules.regimes.clone();
    let month = Length::Months(1);
    let terms = Terms {
        extend_to: Some(Length::Months(2)),
        pauses_for_identity: true,
        ..Terms::within(month)
    };
    world
        .settings
        .rules
        .regimes
        .insert(RegimeName::new("acme").unwrap(), terms);
    let (with, under_acme) = (world.worker().await, |n| {
        let mut command = erase(n);
        command["regime"] = json!("acme");
        command
    });
    let (verdict, opened) = world.take_in(&with, &under_acme(1)).await;
    assert_eq!(
        (reason(&verdict), &opened.status()["regime"]),
        ("taken", &json!("acme"))
    );
    let before = world.request(1).await;

    world.settings.rules.regimes = without;
    let engine = world.worker().await;
    assert_eq!(
        reason(&world.take_in(&engine, &under_acme(1)).await.0),
        "duplicate"
    );
    let (verdict, sent) = world.take_in(&engine, &under_acme(2)).await;
    assert_eq!((reason(&verdict), sent.reasons()), ("schema", vec!["schema"]));
    let Verdict::Rejected(refusal) = verdict else {
        panic!("{verdict:?}")
    };
    assert!(
        refusal
            .detail
            .contains("ccpa, drop, gdpr, indiana, kentucky, lgpd, rhode_island, uk_gdpr, or days:N"),
        "{refusal}"
    );
    // Shape goes before state: also where the request is there already.
    let mut again = under_acme(3);
    again["request_id"] = json!(id(1));
    assert_eq!(reason(&world.take_in(&engine, &again).await.0), "schema");

    let extend = Decision::Extend {
        reason: ExtensionReason::Complexity,
    };
    let refused = engine
        .operations()
        .decide_request(id(1), &extend, "clerk", None)
        .await
        .unwrap_err();
    assert!(
        refused
            .to_string()
            .ends_with("its regime is not configured any more"),
        "{refused}"
    );
    let after = world.request(1).await;
    assert_eq!(after, before, "every date stays");
    for processor in ["crm", "stats"] {
        let (verdict, _) = world
            .settle(&engine, &answer(opened.task(processor), "erased"))
            .await;
        assert!(matches!(verdict, AckVerdict::Counted { .. }), "{verdict:?}");
    }
    world.check().await;
}

async fn nobody_is_concerned(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let mut command = erase(1);
    command["scope"] = json!({ "processors": ["unknown"] });
    let (verdict, sent) = world.take_in(&engine, &command).await;
    assert_eq!(
        (reason(&verdict), sent.reasons()),
        ("no_processor", vec!["no_processor"])
    );
    assert!(world.stored(1).await.is_none() && sent.tasks.is_empty() && sent.statuses.is_empty());
    world.check().await;
}

async fn a_cancel_of_nothing(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let (verdict, sent) = world.take_in(&engine, &cancel(1)).await;
    assert_eq!(
        (reason(&verdict), sent.reasons()),
        ("unknown_request", vec!["unknown_request"])
    );
    // The same command again, once there is such a request: it was never taken, so it is taken now.
    let mut command = erase(1);
    command["not_before"] = json!(start().plus(Duration::from_secs(3600)));
    world.take_in(&engine, &command).await;
    assert_eq!(reason(&world.take_in(&engine, &cancel(1)).await.0), "taken");
    world.check().await;
}

async fn a_cancel_of_another_tenants_request(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    world.take_in(&engine, &erase(1)).await;
    let mut foreign = cancel(1);
    foreign["tenant"] = json!("globex");
    assert_eq!(
        reason(&world.take_in(&engine, &foreign).await.0),
        "unknown_request"
    );
    world.check().await;
}

async fn a_cancel_that_comes_too_late(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let (_, opened) = world.take_in(&engine, &erase(1)).await;
    let before = world.request(1).await;
    let (verdict, sent) = world.take_in(&engine, &cancel(1)).await;
    assert_eq!((reason(&verdict), sent.reasons()), ("too_late", vec!["too_late"]));
    assert!(sent.statuses.is_empty());
    assert_eq!(world.request(1).await, before, "work goes on");
    world.settle(&engine, &answer(opened.task("crm"), "erased")).await;
    world.check().await;
}

async fn a_cancel_in_time_and_once_more(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let mut command = erase(1);
    command["not_before"] = json!(start().plus(Duration::from_secs(3600)));
    world.take_in(&engine, &command).await;
    let (verdict, sent) = world.take_in(&engine, &cancel(1)).await;
    assert_eq!(
        (reason(&verdict), &sent.status()["status"]),
        ("taken", &json!("cancelled"))
    );
    assert_eq!(sent.status()["waiting_for"], json!([]));
    assert_eq!(reason(&world.take_in(&engine, &cancel(1)).await.0), "duplicate");
    let mut another = cancel(1);
    another["command_id"] = json!(Uuid::from_u128(77));
    let (verdict, sent) = world.take_in(&engine, &another).await;
    assert_eq!(
        (reason(&verdict), sent.reasons()),
        ("wrong_state", vec!["wrong_state"])
    );
    // Invariant 3: the date comes, and nothing is sent.
    assert_eq!(
        world.pass(&engine, Duration::from_secs(7200)).await,
        Sent::default()
    );
    assert!(
        world.fixture.store.requests(&[id(1)]).await.unwrap()[0]
            .wrapped_key
            .is_none()
    );
    world.check().await;
}

async fn a_cancel_in_the_batch_of_its_request(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let mut scheduled = erase(1);
    scheduled["not_before"] = json!(start().plus(Duration::from_secs(3600)));
    let batch =
        [&scheduled, &cancel(1), &erase(2), &cancel(2)].map(|command| world.command(&engine, command));
    let taken = engine.intake().take_in(&batch).await.unwrap();
    assert_eq!(
        taken.verdicts.iter().map(reason).collect::<Vec<_>>(),
        ["taken", "taken", "taken", "too_late"]
    );
    let sent = Sent::of(&taken.emission);
    assert_eq!(sent.asked(), ["crm", "stats"]);
    assert_eq!(sent.statuses.len(), 2, "one status a request and transaction");
    assert_eq!(world.request(1).await.life.status.as_str(), "cancelled");
    assert!(
        world.fixture.store.requests(&[id(1)]).await.unwrap()[0]
            .wrapped_key
            .is_none()
    );
    assert_eq!(
        world.pass(&engine, Duration::from_secs(7200)).await.asked().len(),
        0
    );
    world.check().await;
}

async fn acks_that_prove_nothing(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let (_, one) = world.take_in(&engine, &erase(1)).await;
    let (_, two) = world.take_in(&engine, &erase(2)).await;
    let before = [world.request(1).await, world.request(2).await];
    let good = answer(one.task("crm"), "erased");
    let with = |field: &str, value: serde_json::Value| {
        let mut changed = good.clone();
        changed[field] = value;
        changed
    };
    let token_of = |task: &serde_json::Value| task["ack"]["token"].clone();
    let forged = "forged_ack";
    let unknown = "unknown_task";
    let cases = [
        (with("token", json!("")), forged),
        (with("token", json!("AAAA")), forged),
        (with("token", token_of(one.task("stats"))), forged),
        (with("token", token_of(two.task("crm"))), forged),
        (with("generation", json!(2)), forged),
        (with("attempt", json!(2)), forged),
        (with("processor", json!("stats")), forged),
        (with("processor", json!("unknown")), forged),
        (with("task_id", json!(Uuid::from_u128(9))), unknown),
        (with("task_id", two.task("crm")["task_id"].clone()), unknown),
        (with("request_id", json!(Uuid::from_u128(9))), unknown),
        (with("request_id", json!(Uuid::from_u128(2))), unknown),
        (with("outcome", json!("done")), "schema"),
        (with("attempt", json!(0)), "schema"),
        (with("generation", json!(-1)), "schema"),
    ];
    for (ack, expected) in &cases {
        let (verdict, sent) = world.settle(&engine, ack).await;
        let AckVerdict::Rejected(refusal) = verdict else {
            panic!("{ack}: {verdict:?}")
        };
        assert_eq!(refusal.reason.as_str(), *expected, "{ack}");
        assert_eq!(sent.reasons(), [*expected]);
        assert!(sent.tasks.is_empty() && sent.statuses.is_empty());
    }
    assert_eq!(
        [world.request(1).await, world.request(2).await],
        before,
        "invariant 7"
    );
    let (verdict, _) = world.settle(&engine, &good).await;
    assert!(
        matches!(verdict, AckVerdict::Counted { .. }),
        "the real one still counts"
    );
    world.check().await;
}

async fn refused_messages_are_kept_sealed(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let text = format!("{{\"type\": \"erase\", \"subject\": \"{CANARY}\"");
    let batch = [command_from(&engine, Some(origin_at("commands", 3, 41)), &text)];
    let sent = Sent::of(&engine.intake().take_in(&batch).await.unwrap().emission);
    let store = &world.fixture.store;
    let filter = DeadLetterFilter {
        with_payload: false,
        open_only: true,
        after: None,
        limit: 10,
    };
    let listed = store.dead_letters(filter).await.unwrap();
    assert_eq!(listed.len(), 1);
    let letter = store.dead_letter(listed[0].id).await.unwrap().unwrap();
    assert_eq!((letter.reason, letter.at), (DeadLetterReason::NotJson, start()));
    assert_eq!(
        (
            &*letter.origin.topic,
            letter.origin.partition,
            letter.origin.offset
        ),
        ("commands", 3, 41)
    );
    assert!(!letter.detail.contains(CANARY) && !format!("{letter:?}").contains(CANARY));
    for sealed in [letter.sealed.unwrap(), sent.letters[0].1.clone()] {
        assert!(!String::from_utf8_lossy(&sealed).contains(CANARY));
        assert_eq!(
            world.vault.open_dead_letter(&sealed).unwrap().as_slice(),
            text.as_bytes()
        );
    }
    world.check().await;
}
