//! A message that cannot be taken in must not keep its neighbours waiting: the design's "Poison".

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use lacuna::kafka::deciding::{Decider, Intake, Settle};
use tokio_util::sync::CancellationToken;

use super::{
    faulty::Faulty,
    world::{COMMANDS, Sent, World, answer, command_from, erase, id, origin_at},
};
use crate::store::fixture::Fixture;

on_both_stores!(
    a_command_that_fails_for_good_is_buried_and_its_neighbours_go_through,
    an_ack_that_fails_for_good_is_buried_and_its_neighbours_go_through,
    a_replayed_culprit_is_said_again_and_blocks_nobody,
    a_store_that_is_away_is_waited_for,
    a_shutdown_during_an_outage_buries_nothing,
    a_fenced_batch_is_not_halved,
);

struct Stages {
    store: Arc<Faulty>,
    intake: Decider<Intake>,
    settle: Decider<Settle>,
}

impl Stages {
    async fn over(world: &World) -> Self {
        let store = Faulty::over(&world.fixture.store);
        let engine = world.worker_over(Arc::clone(&store) as _).await;
        let shutdown = CancellationToken::new();
        let intake = Intake {
            engine: Arc::clone(&engine),
            control_topic: "control".to_owned(),
        };
        let settle = Settle {
            engine: Arc::clone(&engine),
        };
        Self {
            store,
            intake: Decider {
                work: Arc::new(intake),
                engine: Arc::clone(&engine),
                shutdown: shutdown.clone(),
            },
            settle: Decider {
                work: Arc::new(settle),
                engine,
                shutdown,
            },
        }
    }
}

async fn a_command_that_fails_for_good_is_buried_and_its_neighbours_go_through(fixture: Fixture) {
    let world = World::new(fixture).await;
    let stages = Stages::over(&world).await;
    for culprit in 1..=7 {
        let first = i64::try_from(culprit).unwrap() * 7;
        *stages.store.faults.refused.lock().unwrap() = Some(id(culprit * 10 + culprit));
        let batch: Vec<_> = (1..=7_u128)
            .map(|n| {
                let origin = origin_at(COMMANDS, 0, first + i64::try_from(n).unwrap());
                command_from(
                    &stages.intake.engine,
                    Some(origin),
                    &erase(culprit * 10 + n).to_string(),
                )
            })
            .collect();
        let sent = Sent::of(&stages.intake.decide(&[], &batch).await.unwrap());
        assert_eq!(
            (sent.reasons(), sent.statuses.len(), sent.tasks.len()),
            (vec!["internal"], 6, 12)
        );
        let opened = world.vault.open_dead_letter(&sent.letters[0].1).unwrap();
        assert_eq!(
            opened.as_slice(),
            erase(culprit * 10 + culprit).to_string().as_bytes()
        );
        assert!(world.stored(culprit * 10 + culprit).await.is_none());
        assert_eq!(
            world.fixture.store.positions("test").await.unwrap()[0].next_offset,
            first + 8
        );
        world.check().await;
    }
}

async fn an_ack_that_fails_for_good_is_buried_and_its_neighbours_go_through(fixture: Fixture) {
    let world = World::new(fixture).await;
    let stages = Stages::over(&world).await;
    let batch: Vec<_> = (1..=5)
        .map(|n| world.command(&stages.intake.engine, &erase(n)))
        .collect();
    let opened = Sent::of(&stages.intake.decide(&[], &batch).await.unwrap());
    *stages.store.faults.refused.lock().unwrap() = Some(id(3));
    let acks: Vec<_> = opened
        .tasks
        .iter()
        .filter(|task| task["processor"] == "crm")
        .map(|task| world.ack(&stages.settle.engine, &answer(task, "erased")))
        .collect();
    let sent = Sent::of(&stages.settle.decide(&[], &acks).await.unwrap());
    assert_eq!(
        (sent.reasons(), sent.asked()),
        (vec!["internal"], vec!["mail"; 4])
    );
    assert_eq!(world.request(3).await.revision, 1);
    world.check().await;
}

async fn a_replayed_culprit_is_said_again_and_blocks_nobody(fixture: Fixture) {
    let world = World::new(fixture).await;
    let stages = Stages::over(&world).await;
    let engine = &stages.intake.engine;
    let commands: Vec<_> = (1..=4).map(|n| world.command(engine, &erase(n))).collect();
    let opened = Sent::of(&stages.intake.decide(&[], &commands).await.unwrap());
    *stages.store.faults.refused.lock().unwrap() = Some(id(2));
    let acks: Vec<_> = opened
        .tasks
        .iter()
        .filter(|task| task["processor"] == "stats")
        .map(|task| world.ack(engine, &answer(task, "erased")))
        .collect();
    let first = Sent::of(&stages.settle.decide(&[], &acks).await.unwrap());
    // The worker dies before the offset is stored, and the row is as broken as before.
    let again = Sent::of(&stages.settle.decide(&acks, &[]).await.unwrap());
    assert_eq!(again.letters, first.letters);
    assert_eq!(again.statuses.len(), 3);
    assert_eq!(again.asked(), ["crm"; 3]);
    world.check().await;
}

async fn a_store_that_is_away_is_waited_for(fixture: Fixture) {
    let world = World::new(fixture).await;
    let stages = Stages::over(&world).await;
    let faults = &stages.store.faults;
    faults.begins.store(2, Ordering::SeqCst);
    faults.commits.store(1, Ordering::SeqCst);
    let commands: Vec<_> = (1..=3)
        .map(|n| world.command(&stages.intake.engine, &erase(n)))
        .collect();
    let sent = Sent::of(&stages.intake.decide(&[], &commands).await.unwrap());
    assert_eq!((sent.tasks.len(), sent.letters.len()), (6, 0));
    faults.begins.store(2, Ordering::SeqCst);
    let again = Sent::of(&stages.intake.decide(&commands, &[]).await.unwrap());
    assert_eq!(again.tasks, sent.tasks);
    world.check().await;
}

async fn a_shutdown_during_an_outage_buries_nothing(fixture: Fixture) {
    let world = World::new(fixture).await;
    let stages = Stages::over(&world).await;
    let commands: Vec<_> = (1..=4)
        .map(|n| world.command(&stages.intake.engine, &erase(n)))
        .collect();
    // The store is away for a while, and comes back in the very moment of the shutdown.
    stages.store.faults.begins.store(3, Ordering::SeqCst);
    stages.intake.shutdown.cancel();
    let given_up = stages.intake.decide(&[], &commands).await;
    assert!(given_up.is_err(), "{given_up:?}");
    assert!(
        world.fixture.store.open_dead_letters().await.unwrap().is_empty(),
        "no message was at fault"
    );
    assert!(
        world.fixture.store.positions("test").await.unwrap().is_empty(),
        "all of them are read again"
    );
    world.check().await;
}

async fn a_fenced_batch_is_not_halved(fixture: Fixture) {
    let world = World::new(fixture).await;
    let stages = Stages::over(&world).await;
    let engine = &stages.intake.engine;
    let batch = |from: i64, to: i64| {
        (from..to)
            .map(|n| {
                let command = erase(u128::try_from(n).unwrap() + 1).to_string();
                command_from(engine, Some(origin_at(COMMANDS, 0, n)), &command)
            })
            .collect::<Vec<_>>()
    };
    stages.intake.decide(&[], &batch(0, 4)).await.unwrap();
    let fenced = stages.intake.decide(&[], &batch(2, 8)).await;
    assert!(fenced.is_err());
    assert!(world.stored(7).await.is_none(), "nothing of it is taken in");
    assert!(world.fixture.store.open_dead_letters().await.unwrap().is_empty());
    world.clock.advance(Duration::from_secs(1));
    world.check().await;
}
