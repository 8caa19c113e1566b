//! The same thing twice, and two workers at once: invariants 1, 6 and 7.

use lacuna::{
    domain::words::DeadLetterReason,
    engine::{intake::Verdict, settlement::AckVerdict},
};
use serde_json::{Value, json};

use super::world::{ACKS, COMMANDS, Sent, World, ack_from, answer, command_from, erase, id, origin_at};
use crate::store::fixture::Fixture;

on_both_stores!(
    a_zombie_worker_is_fenced,
    two_workers_take_one_batch_at_once,
    two_workers_settle_acks_of_one_request_at_once,
    the_same_command_over_kafka_and_http_at_once,
    a_duplicate_inside_one_batch,
    a_duplicate_after_a_long_time,
    a_conflicting_duplicate,
    another_spelling_is_no_conflict,
    another_command_for_the_same_request,
    every_kind_of_ack_twice_in_one_batch,
);

fn reason(verdict: &Verdict) -> Option<DeadLetterReason> {
    match verdict {
        Verdict::Rejected(refusal) => Some(refusal.reason),
        Verdict::Taken(_) | Verdict::Duplicate(_) | Verdict::Waiting(_) => None,
    }
}

async fn a_zombie_worker_is_fenced(fixture: Fixture) {
    let world = World::new(fixture).await;
    let (zombie, successor) = (world.worker().await, world.worker().await);
    let batch =
        |engine| [0, 1].map(|n| command_from(engine, Some(origin_at(COMMANDS, 0, n)), &erase(7).to_string()));
    let sent = Sent::of(
        &successor
            .intake()
            .take_in(&batch(&successor))
            .await
            .unwrap()
            .emission,
    );
    let before = world.request(7).await;
    assert!(
        zombie
            .intake()
            .take_in(&batch(&zombie))
            .await
            .unwrap_err()
            .is_fenced()
    );
    // A part of it is fenced as well.
    assert!(
        zombie
            .intake()
            .take_in(&batch(&zombie)[1..])
            .await
            .unwrap_err()
            .is_fenced()
    );

    let acks = |engine| {
        [ack_from(
            engine,
            Some(origin_at(ACKS, 0, 0)),
            &answer(sent.task("crm"), "failed"),
        )]
    };
    successor.settlement().settle(&acks(&successor)).await.unwrap();
    assert!(
        zombie
            .settlement()
            .settle(&acks(&zombie))
            .await
            .unwrap_err()
            .is_fenced()
    );
    assert_eq!(world.request(7).await.revision, before.revision + 1);
    assert_eq!(world.request(7).await.tasks[0].counted, 1);
    world.check().await;
}

async fn two_workers_take_one_batch_at_once(fixture: Fixture) {
    let world = World::new(fixture).await;
    let (one, two) = (world.worker().await, world.worker().await);
    for round in 0..10_u128 {
        let offset = i64::try_from(round).unwrap() * 20;
        let batch = |engine| {
            (0..20)
                .map(|n: i64| {
                    let request = erase(round * 100 + u128::try_from(n).unwrap() + 1);
                    command_from(
                        engine,
                        Some(origin_at(COMMANDS, 0, offset + n)),
                        &request.to_string(),
                    )
                })
                .collect::<Vec<_>>()
        };
        let (ours, theirs) = (batch(&one), batch(&two));
        let (first, second) = tokio::join!(one.intake().take_in(&ours), two.intake().take_in(&theirs));
        let (winner, loser) = if first.is_ok() {
            (first, second)
        } else {
            (second, first)
        };
        assert_eq!(Sent::of(&winner.unwrap().emission).tasks.len(), 40);
        assert!(loser.unwrap_err().is_fenced());
    }
    world.check().await;
}

async fn two_workers_settle_acks_of_one_request_at_once(fixture: Fixture) {
    let world = World::new(fixture).await;
    let (one, two) = (world.worker().await, world.worker().await);
    for n in 0..20_i64 {
        let request = u128::try_from(n).unwrap() + 1;
        let (_, sent) = world.take_in(&one, &erase(request)).await;
        let before = world.request(request).await.revision;
        let first = [ack_from(
            &one,
            Some(origin_at(ACKS, 0, n)),
            &answer(sent.task("crm"), "erased"),
        )];
        let second = [ack_from(
            &two,
            Some(origin_at(ACKS, 1, n)),
            &answer(sent.task("stats"), "not_found"),
        )];
        let (first, second) = tokio::join!(one.settlement().settle(&first), two.settlement().settle(&second));
        let (first, second) = (first.unwrap(), second.unwrap());
        for settled in [&first, &second] {
            assert!(
                matches!(settled.verdicts[..], [AckVerdict::Counted { .. }]),
                "{:?}",
                settled.verdicts
            );
        }
        let after = world.request(request).await;
        assert_eq!(after.revision, before + 2, "no update was lost");
        assert_eq!(after.counts().done, 2);
        let revisions =
            [&first, &second].map(|settled| Sent::of(&settled.emission).status()["revision"].clone());
        assert_ne!(revisions[0], revisions[1]);
        let asked = [&first, &second].map(|settled| Sent::of(&settled.emission).tasks.len());
        assert_eq!(asked, [1, 0], "mail is asked once, by whoever settled crm");
    }
    world.check().await;
}

async fn the_same_command_over_kafka_and_http_at_once(fixture: Fixture) {
    let world = World::new(fixture).await;
    let (kafka, http) = (world.worker().await, world.worker().await);
    for n in 1..=20 {
        let from_topic = [world.command(&kafka, &erase(n))];
        let over_http = [command_from(&http, None, &erase(n).to_string())];
        let (first, second) = tokio::join!(
            kafka.intake().take_in(&from_topic),
            http.intake().take_in(&over_http)
        );
        let (first, second) = (first.unwrap(), second.unwrap());
        let mut verdicts = [first.verdicts, second.verdicts].concat();
        verdicts.sort_by_key(|verdict| matches!(verdict, Verdict::Duplicate(_)));
        assert_eq!(verdicts, [Verdict::Taken(id(n)), Verdict::Duplicate(id(n))]);
        let sent = [Sent::of(&first.emission).tasks, Sent::of(&second.emission).tasks].concat();
        assert_eq!(sent.len(), 2, "asked once");
        assert_eq!(world.request(n).await.revision, 1);
    }
    world.check().await;
}

async fn a_duplicate_inside_one_batch(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let batch = [1, 2, 1, 1].map(|n| world.command(&engine, &erase(n)));
    let taken = engine.intake().take_in(&batch).await.unwrap();
    let expected = [
        Verdict::Taken(id(1)),
        Verdict::Taken(id(2)),
        Verdict::Duplicate(id(1)),
        Verdict::Duplicate(id(1)),
    ];
    assert_eq!(taken.verdicts, expected);
    let sent = Sent::of(&taken.emission);
    assert_eq!(
        (sent.tasks.len(), sent.statuses.len(), sent.letters.len()),
        (4, 2, 0)
    );
    world.check().await;
}

async fn a_duplicate_after_a_long_time(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    world.take_in(&engine, &erase(1)).await;
    let before = world.request(1).await;
    world
        .clock
        .advance(std::time::Duration::from_secs(90 * 24 * 3600));
    let (verdict, sent) = world.take_in(&engine, &erase(1)).await;
    assert_eq!((verdict, sent), (Verdict::Duplicate(id(1)), Sent::default()));
    assert_eq!(world.request(1).await, before);
    world.check().await;
}

fn changed(n: u128) -> Value {
    let mut command = erase(n);
    command["reason"] = json!("objection");
    command
}

async fn a_conflicting_duplicate(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let batch = [
        world.command(&engine, &erase(1)),
        world.command(&engine, &changed(1)),
    ];
    let inside = engine.intake().take_in(&batch).await.unwrap();
    assert_eq!(
        reason(&inside.verdicts[1]),
        Some(DeadLetterReason::ConflictingDuplicate)
    );
    let before = world.request(1).await;
    let (across, sent) = world.take_in(&engine, &changed(1)).await;
    assert_eq!(reason(&across), Some(DeadLetterReason::ConflictingDuplicate));
    assert_eq!(sent.reasons(), ["conflicting_duplicate"]);
    // Over HTTP the answer says it, and nothing is dead-lettered.
    let over_http = [command_from(&engine, None, &changed(1).to_string())];
    let answered = engine.intake().take_in(&over_http).await.unwrap();
    assert_eq!(
        reason(&answered.verdicts[0]),
        Some(DeadLetterReason::ConflictingDuplicate)
    );
    assert!(answered.emission.is_empty());
    assert_eq!(world.request(1).await, before);
    assert_eq!(world.fixture.store.open_dead_letters().await.unwrap()[0].count, 2);
    world.check().await;
}

async fn another_spelling_is_no_conflict(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let request = id(0xab);
    let command = erase(0xab);
    world.take_in(&engine, &command).await;
    let pretty = serde_json::to_string_pretty(&command).unwrap();
    // `serde_json` sorts keys, so a reversed document is written by hand.
    let members: Vec<String> = command
        .as_object()
        .unwrap()
        .iter()
        .rev()
        .map(|(key, value)| format!("\"{key}\" :\t{value}"))
        .collect();
    let reversed = format!("{{\r\n{}\n}}", members.join(" ,\n"));
    let upper = request.to_string().to_uppercase();
    let other_case = command.to_string().replace(&request.to_string(), &upper);
    assert_ne!(pretty, reversed);
    assert_ne!(other_case, command.to_string());
    for text in [pretty, reversed, other_case] {
        let batch = [command_from(&engine, Some(world.origin(COMMANDS)), &text)];
        assert_eq!(
            engine.intake().take_in(&batch).await.unwrap().verdicts,
            [Verdict::Duplicate(request)]
        );
    }
    world.check().await;
}

async fn another_command_for_the_same_request(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let again = |n: u128, command: u128| {
        let mut again = erase(n);
        again["request_id"] = json!(uuid::Uuid::from_u128(n));
        again["command_id"] = json!(uuid::Uuid::from_u128(command));
        again
    };
    let batch = [
        world.command(&engine, &erase(1)),
        world.command(&engine, &again(1, 50)),
    ];
    let inside = engine.intake().take_in(&batch).await.unwrap();
    assert_eq!(
        reason(&inside.verdicts[1]),
        Some(DeadLetterReason::ConflictingDuplicate)
    );
    let (across, sent) = world.take_in(&engine, &again(1, 51)).await;
    assert_eq!(reason(&across), Some(DeadLetterReason::ConflictingDuplicate));
    assert_eq!(sent.reasons(), ["conflicting_duplicate"]);
    assert_eq!(world.request(1).await.revision, 1);
    world.check().await;
}

async fn every_kind_of_ack_twice_in_one_batch(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let outcomes = [
        "accepted",
        "erased",
        "not_found",
        "absent",
        "partial",
        "failed",
        "rejected",
        "unsupported",
        "present",
        "retained",
        "anonymized",
    ];
    for (n, outcome) in (1..).zip(outcomes) {
        let (_, sent) = world.take_in(&engine, &erase(n)).await;
        let mut ack = answer(sent.task("stats"), outcome);
        if outcome == "retained" {
            ack["retained"] = json!({ "basis": "tax_law", "until": "2031-11-20T00:00:00Z" });
        }
        let settled = engine
            .settlement()
            .settle(&[world.ack(&engine, &ack), world.ack(&engine, &ack)])
            .await
            .unwrap();
        assert!(
            matches!(
                settled.verdicts[..],
                [AckVerdict::Counted { .. }, AckVerdict::Repeated]
            ),
            "{outcome}"
        );
        let after = world.request(n).await;
        assert_eq!(after.revision, 2, "{outcome}");
        let (verdict, sent) = world.settle(&engine, &ack).await;
        assert_eq!(
            (verdict, sent),
            (AckVerdict::Repeated, Sent::default()),
            "{outcome} in a later batch"
        );
        assert_eq!(world.request(n).await, after);
    }
    world.check().await;
}
