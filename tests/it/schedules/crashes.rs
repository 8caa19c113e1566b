//! A worker dies between two steps: invariants 1, 6 and 12.

use lacuna::{
    delivery::republish::republish,
    engine::{intake::Verdict, settle::AckVerdict},
};
use serde_json::json;

use super::{
    faulty::Faulty,
    world::{ACKS, COMMANDS, Sent, World, ack_from, answer, command_from, erase, id, origin_at, start},
};
use crate::store::fixture::Fixture;
use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

on_both_stores!(
    a_crash_between_commit_and_produce_of_commands,
    a_crash_between_commit_and_produce_of_acks,
    a_crash_between_produce_and_offset,
    a_crash_after_wakes_and_decisions_without_input,
    a_status_that_was_overtaken_is_caught_up,
    an_outage_before_the_commit_loses_nothing,
    an_outage_after_the_commit_doubles_nothing,
    an_outage_after_a_commit_over_http_leaves_an_outbox_row,
);

async fn a_crash_between_commit_and_produce_of_commands(fixture: Fixture) {
    let world = World::new(fixture).await;
    let first = world.worker().await;
    let origins = [0, 1, 2].map(|offset| origin_at(COMMANDS, 0, offset));
    let batch = [
        command_from(&first, Some(origins[0].clone()), &erase(1).to_string()),
        command_from(&first, Some(origins[1].clone()), "{ not json"),
        command_from(&first, Some(origins[2].clone()), &erase(1).to_string()),
    ];
    let lost = Sent::of(&first.take_in(&batch).await.unwrap().emission);
    assert_eq!(
        (lost.asked(), lost.reasons()),
        (vec!["crm", "stats"], vec!["not_json"])
    );
    drop(first);

    // The next worker reads the same offsets, which lie before the position: replays.
    let second = world.worker().await;
    assert_eq!(
        world.fixture.store.positions("test").await.unwrap()[0].next_offset,
        3
    );
    world.clock.advance(Duration::from_secs(60));
    let again = Sent::of(&republish(&second, &[id(1)], &origins).await.unwrap());
    assert_eq!(again, lost, "the same tasks, tokens, statuses and dead letters");

    let (verdict, sent) = world.settle(&second, &answer(again.task("crm"), "erased")).await;
    assert!(matches!(verdict, AckVerdict::Counted { .. }));
    assert_eq!(sent.asked(), ["mail"], "the token is as good as it was");
    let opened = world.vault.open_dead_letter(&again.letters[0].1).unwrap();
    assert_eq!(opened.as_slice(), b"{ not json");
    world.check().await;
}

async fn a_crash_between_commit_and_produce_of_acks(fixture: Fixture) {
    let world = World::new(fixture).await;
    let first = world.worker().await;
    let (_, opened) = world.take_in(&first, &erase(1)).await;
    let forged = json!({ "token": "x".repeat(43) });
    let mut bad = answer(opened.task("stats"), "erased");
    bad["token"] = forged["token"].clone();
    let origins = [0, 1].map(|offset| origin_at(ACKS, 0, offset));
    let batch = [
        ack_from(
            &first,
            Some(origins[0].clone()),
            &answer(opened.task("crm"), "erased"),
        ),
        ack_from(&first, Some(origins[1].clone()), &bad),
    ];
    let lost = Sent::of(&first.settle(&batch).await.unwrap().emission);
    assert_eq!((lost.asked(), lost.reasons()), (vec!["mail"], vec!["forged_ack"]));
    drop(first);

    let second = world.worker().await;
    let again = Sent::of(&republish(&second, &[id(1)], &origins).await.unwrap());
    assert_eq!(again.status(), lost.status());
    assert_eq!(again.letters, lost.letters);
    assert_eq!(again.task("mail"), lost.task("mail"));
    assert_eq!(
        again.task("stats"),
        opened.task("stats"),
        "whatever is dispatched is republished"
    );
    assert_eq!(again.asked(), ["mail", "stats"], "and nothing that is done");
    world.check().await;
}

async fn a_crash_between_produce_and_offset(fixture: Fixture) {
    let world = World::new(fixture).await;
    let first = world.worker().await;
    let origin = origin_at(COMMANDS, 0, 0);
    let batch = [command_from(&first, Some(origin.clone()), &erase(1).to_string())];
    let once = Sent::of(&first.take_in(&batch).await.unwrap().emission);
    drop(first);
    let second = world.worker().await;
    let twice = Sent::of(&republish(&second, &[id(1)], &[origin]).await.unwrap());

    // The processor has both copies, and answers both.
    let (verdict, _) = world.settle(&second, &answer(once.task("crm"), "erased")).await;
    assert!(matches!(verdict, AckVerdict::Counted { .. }));
    let before = world.request(1).await;
    let (verdict, sent) = world.settle(&second, &answer(twice.task("crm"), "erased")).await;
    assert_eq!((verdict, sent), (AckVerdict::Repeated, Sent::default()));
    assert_eq!(world.request(1).await, before, "a duplicate changes nothing");
    // And failures as well.
    world.settle(&second, &answer(once.task("stats"), "failed")).await;
    let (verdict, _) = world
        .settle(&second, &answer(twice.task("stats"), "failed"))
        .await;
    assert_eq!(verdict, AckVerdict::Repeated);
    assert_eq!(world.request(1).await.tasks[1].counted, 1);
    world.check().await;
}

async fn a_crash_after_wakes_and_decisions_without_input(fixture: Fixture) {
    let world = World::new(fixture).await;
    let first = world.worker().await;
    world.take_in(&first, &erase(1)).await;
    world.clock.advance(Duration::from_secs(3600));
    world.read_acks().await;
    world.wake(&first).await;
    world.clock.advance(Duration::from_secs(10));
    let lost = world.wake(&first).await;
    assert_eq!(lost.asked(), ["crm", "stats"]);
    drop(first);

    // No offset remembers it, so the outbox does.
    let second = world.worker().await;
    assert!(
        second.unproduced(world.clock.now()).await.unwrap().is_empty(),
        "not old enough"
    );
    world.clock.advance(Duration::from_secs(30));
    let remembered = second.unproduced(world.clock.now()).await.unwrap();
    assert_eq!(remembered, [id(1)]);
    let again = republish(&second, &remembered, &[]).await.unwrap();
    assert_eq!(Sent::of(&again), lost);
    world.fixture.store.outbox_done(&again.revisions).await.unwrap();
    assert!(second.unproduced(world.clock.now()).await.unwrap().is_empty());
    world.check().await;
}

async fn a_status_that_was_overtaken_is_caught_up(fixture: Fixture) {
    let world = World::new(fixture).await;
    let (first, second) = (world.worker().await, world.worker().await);
    let opened = first
        .take_in(&[world.command(&first, &erase(1))])
        .await
        .unwrap()
        .emission;
    let sent = Sent::of(&opened);
    let (_, later) = world.settle(&second, &answer(sent.task("crm"), "erased")).await;
    // The first worker's status arrives after the second one's: it looks again and says what is true now.
    let caught_up = first.newer_statuses(&opened.revisions).await.unwrap();
    assert_eq!(Sent::of(&caught_up).status(), later.status());
    assert!(
        first
            .newer_statuses(&caught_up.revisions)
            .await
            .unwrap()
            .is_empty()
    );
    world.check().await;
}

async fn an_outage_before_the_commit_loses_nothing(fixture: Fixture) {
    let world = World::new(fixture).await;
    let store = Faulty::over(&world.fixture.store);
    let engine = world.worker_over(Arc::clone(&store) as _).await;
    let batch = [
        world.command(&engine, &erase(1)),
        world.command(&engine, &erase(2)),
    ];
    for fault in [&store.faults.begins, &store.faults.commits] {
        fault.store(1, Ordering::SeqCst);
        let error = engine.take_in(&batch).await.unwrap_err();
        assert!(error.is_outage() && !error.is_fenced(), "{error}");
        assert!(world.stored(1).await.is_none());
        assert!(world.fixture.store.positions("test").await.unwrap().is_empty());
        world.check().await;
    }
    let sent = Sent::of(&engine.take_in(&batch).await.unwrap().emission);
    assert_eq!(sent.asked(), ["crm", "stats", "crm", "stats"]);

    let ack = [world.ack(&engine, &answer(sent.task("crm"), "erased"))];
    store.faults.commits.store(1, Ordering::SeqCst);
    assert!(engine.settle(&ack).await.unwrap_err().is_outage());
    assert_eq!(
        Sent::of(&engine.settle(&ack).await.unwrap().emission).asked(),
        ["mail"]
    );
    world.check().await;
}

async fn an_outage_after_the_commit_doubles_nothing(fixture: Fixture) {
    let world = World::new(fixture).await;
    let store = Faulty::over(&world.fixture.store);
    let engine = world.worker_over(Arc::clone(&store) as _).await;
    let batch = [world.command(&engine, &erase(1))];
    store.faults.answers.store(1, Ordering::SeqCst);
    assert!(engine.take_in(&batch).await.unwrap_err().is_outage());
    // Trying again finds that somebody has taken it in, as it happens oneself.
    assert!(engine.take_in(&batch).await.unwrap_err().is_fenced());
    let origin = batch[0].origin.clone().unwrap();
    let sent = Sent::of(&republish(&engine, &[id(1)], &[origin]).await.unwrap());
    assert_eq!(
        (sent.asked(), sent.status()["revision"].clone()),
        (vec!["crm", "stats"], json!(1))
    );

    store.faults.answers.store(1, Ordering::SeqCst);
    let ack = [world.ack(&engine, &answer(sent.task("stats"), "failed"))];
    assert!(engine.settle(&ack).await.unwrap_err().is_outage());
    assert!(engine.settle(&ack).await.unwrap_err().is_fenced());
    assert_eq!(world.request(1).await.tasks[1].counted, 1);

    world.clock.advance(Duration::from_secs(10));
    store.faults.answers.store(1, Ordering::SeqCst);
    assert!(engine.wake_due(world.clock.now()).await.unwrap_err().is_outage());
    assert!(
        world.wake(&engine).await.tasks.is_empty(),
        "it was sent by the turn whose answer was lost"
    );
    assert_eq!(world.request(1).await.tasks[1].attempt, 2);
    world.clock.advance(Duration::from_secs(31));
    assert_eq!(
        engine.unproduced(world.clock.now()).await.unwrap(),
        [id(1)],
        "so the outbox says it"
    );
    world.check().await;
}

async fn an_outage_after_a_commit_over_http_leaves_an_outbox_row(fixture: Fixture) {
    let world = World::new(fixture).await;
    let store = Faulty::over(&world.fixture.store);
    let engine = world.worker_over(Arc::clone(&store) as _).await;
    let over_http = || [command_from(&engine, None, &erase(1).to_string())];
    store.faults.answers.store(1, Ordering::SeqCst);
    assert!(engine.take_in(&over_http()).await.unwrap_err().is_outage());
    // The caller, who was told nothing, asks again.
    let again = engine.take_in(&over_http()).await.unwrap();
    assert_eq!(again.verdicts, [Verdict::Duplicate(id(1))]);
    assert!(again.emission.is_empty());
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(engine.unproduced(world.clock.now()).await.unwrap(), [id(1)]);
    let sent = Sent::of(&republish(&engine, &[id(1)], &[]).await.unwrap());
    assert_eq!(sent.asked(), ["crm", "stats"]);
    assert_eq!(world.request(1).await.head.received_at, start());
    world.check().await;
}
