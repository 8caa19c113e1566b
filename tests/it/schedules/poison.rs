//! A message that cannot be taken in must not keep its neighbours waiting: the design's "Poison".

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use lacuna::kafka::batch_processor::{BatchProcessor, Intake, Settle};
use tokio_util::sync::CancellationToken;

use lacuna::engine::Engine;

use super::{
    faulty::Faulty,
    world::{COMMANDS, Sent, World, answer, command_from, erase, id, origin_at},
};
use crate::store::fixture::{Fixture, Place};

on_both_stores!(
    failing_command_is_dead_lettered_neighbours_pass,
    failing_ack_is_dead_lettered_neighbours_pass,
    a_replayed_culprit_is_said_again_and_blocks_nobody,
    a_store_that_is_away_is_waited_for,
    a_shutdown_during_an_outage_buries_nothing,
    a_fenced_batch_is_not_halved,
    a_fence_after_an_outage_leaves_the_worker_ready,
    unwritable_table_is_waited_for_without_dead_letters,
    lone_failure_is_dead_lettered_only_if_store_works,
    where_no_neighbour_goes_through_it_is_the_store,
    a_message_alone_is_kept_where_its_twin_is_refused_too,
    a_few_bad_messages_in_a_row_are_found_and_no_others,
);

struct Stages {
    store: Arc<Faulty>,
    intake: BatchProcessor<Intake>,
    settle: BatchProcessor<Settle>,
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
            intake: BatchProcessor {
                work: Arc::new(intake),
                engine: Arc::clone(&engine),
                shutdown: shutdown.clone(),
            },
            settle: BatchProcessor {
                work: Arc::new(settle),
                engine,
                shutdown,
            },
        }
    }
}

async fn failing_command_is_dead_lettered_neighbours_pass(fixture: Fixture) {
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

async fn failing_ack_is_dead_lettered_neighbours_pass(fixture: Fixture) {
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

/// A worker that was frozen in the middle of a transaction wakes: the store has ended that, and another worker has taken the
/// batch in. It may be the last one for hours.
async fn a_fence_after_an_outage_leaves_the_worker_ready(fixture: Fixture) {
    let world = World::new(fixture).await;
    let stages = Stages::over(&world).await;
    let engine = &stages.intake.engine;
    let command = erase(1).to_string();
    let batch = [command_from(engine, Some(origin_at(COMMANDS, 0, 0)), &command)];
    stages.intake.decide(&[], &batch).await.unwrap();
    stages.store.faults.begins.store(1, Ordering::SeqCst);
    let fenced = stages.intake.decide(&[], &batch).await.unwrap_err();
    assert!(fenced.to_string().contains("another worker"), "{fenced}");
    assert_eq!(engine.troubles.problems(), [], "nobody waits any more");
    world.check().await;
}

/// Waits until the worker says that it waits, and why.
async fn trouble(engine: &Engine) -> String {
    for _ in 0..600 {
        if let Some((_, why)) = engine.troubles.problems().pop() {
            return why;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the worker says nothing");
}

/// What keeps rows of `request` away, and what ends it: all of them, or those that a condition of PostgreSQL or SQLite names.
fn refusing(place: &Place, which: Option<(&str, &str)>) -> [String; 2] {
    match place {
        Place::Postgres(_) => {
            let allowed = which.map_or("false".to_owned(), |(postgres, _)| format!("not ({postgres})"));
            [
                format!("alter table request add constraint refusing check ({allowed}) not valid"),
                "alter table request drop constraint refusing".to_owned(),
            ]
        }
        Place::Sqlite(_) => {
            let when = which.map_or(String::new(), |(_, sqlite)| format!("when {sqlite}"));
            [
                format!(
                    "create trigger refusing before insert on request {when} begin select raise(abort, 'no'); end"
                ),
                "drop trigger refusing".to_owned(),
            ]
        }
    }
}

async fn unwritable_table_is_waited_for_without_dead_letters(fixture: Fixture) {
    let world = World::new(fixture).await;
    let away = [
        "alter table request rename to request_away".to_owned(),
        "alter table request_away rename to request".to_owned(),
    ];
    let column = [
        "alter table state rename column packed to packed_away".to_owned(),
        "alter table state rename column packed_away to packed".to_owned(),
    ];
    let constraint = refusing(&world.fixture.place, None);
    for (n, [breaks, mends]) in (0..).zip([away, column, constraint]) {
        let stages = Stages::over(&world).await;
        let engine = Arc::clone(&stages.intake.engine);
        let batch: Vec<_> = (1..=8)
            .map(|m| world.command(&engine, &erase(n * 10 + m)))
            .collect();
        world.fixture.execute(&breaks).await;
        let deciding = tokio::spawn(async move { stages.intake.decide(&[], &batch).await.unwrap() });
        let why = trouble(&engine).await;
        assert!(why.starts_with("the store"), "{why}");
        assert!(!deciding.is_finished(), "it waits");
        // Over HTTP the caller is told to come again.
        let over_http = command_from(&engine, None, &erase(n * 10 + 9).to_string());
        let refused = engine.intake().take_in(&[over_http]).await.unwrap_err();
        assert!(n == 2 || refused.is_outage(), "{refused}");
        world.fixture.execute(&mends).await;
        let sent = Sent::of(&deciding.await.unwrap());
        assert_eq!((sent.statuses.len(), sent.letters.len()), (8, 0), "{breaks}");
        assert!(engine.troubles.problems().is_empty(), "ready again");
    }
    assert!(world.fixture.store.open_dead_letters().await.unwrap().is_empty());
    assert!(world.stored(9).await.is_none(), "a dry run leaves nothing either");
    assert_eq!(world.fixture.store.page(None, 100).await.unwrap().len(), 24);
    world.check().await;
}

/// What PostgreSQL says where no message can be at fault, and what nobody knows.
const STATES: [&str; 19] = [
    "42501", "42P01", "42703", "26000", "42P05", "0A000", "58P01", "58030", "XX000", "XX001", "28P01",
    "28000", "53100", "53300", "25006", "22021", "22P05", "P0001", "Q9999",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_state_that_no_message_can_be_blamed_for_is_waited_for() {
    crate::store::fixture::on_postgres(|fixture: Fixture| async move {
        let world = World::new(fixture).await;
        for (n, state) in (0..).zip(STATES) {
            world
                .fixture
                .execute(&format!(
                    "create or replace function refuse() returns trigger language plpgsql as \
                     $$ begin raise exception 'refused' using errcode = '{state}'; end $$"
                ))
                .await;
            world
                .fixture
                .execute(
                    "create trigger refusing before insert on request for each row execute function refuse()",
                )
                .await;
            let stages = Stages::over(&world).await;
            let engine = Arc::clone(&stages.intake.engine);
            let batch: Vec<_> = (1..=4)
                .map(|m| world.command(&engine, &erase(n * 10 + m)))
                .collect();
            let deciding = tokio::spawn(async move { stages.intake.decide(&[], &batch).await.unwrap() });
            let why = trouble(&engine).await;
            assert!(why.contains("refused"), "{state}: {why}");
            assert!(!deciding.is_finished(), "{state}");
            world.fixture.execute("drop trigger refusing on request").await;
            let sent = Sent::of(&deciding.await.unwrap());
            assert_eq!((sent.statuses.len(), sent.letters.len()), (4, 0), "{state}");
            assert!(engine.troubles.problems().is_empty(), "{state}: ready again");
        }
        world.check().await;
    })
    .await;
}

async fn lone_failure_is_dead_lettered_only_if_store_works(fixture: Fixture) {
    let world = World::new(fixture).await;
    let stages = Stages::over(&world).await;
    let engine = &stages.intake.engine;
    let one = format!("id = '{}'", id(3));
    let same = format!("new.id = x'{}'", id(3).0.simple());
    let [breaks, _] = refusing(&world.fixture.place, Some((&one, &same)));
    world.fixture.execute(&breaks).await;
    let sent = Sent::of(
        &stages
            .intake
            .decide(&[], &[world.command(engine, &erase(3))])
            .await
            .unwrap(),
    );
    assert_eq!((sent.reasons(), sent.statuses.len()), (vec!["internal"], 0));
    assert!(engine.troubles.problems().is_empty());
    let sent = Sent::of(
        &stages
            .intake
            .decide(&[], &[world.command(engine, &erase(4))])
            .await
            .unwrap(),
    );
    assert_eq!((sent.letters.len(), sent.statuses.len()), (0, 1));
    world.check().await;
}

async fn where_no_neighbour_goes_through_it_is_the_store(fixture: Fixture) {
    of_another_tenant_only(fixture, 8).await;
}

async fn a_message_alone_is_kept_where_its_twin_is_refused_too(fixture: Fixture) {
    of_another_tenant_only(fixture, 1).await;
}

async fn of_another_tenant_only(fixture: Fixture, messages: u128) {
    let world = World::new(fixture).await;
    let stages = Stages::over(&world).await;
    let engine = Arc::clone(&stages.intake.engine);
    // What is tried beside them is of another tenant, and goes through.
    let [breaks, mends] = refusing(
        &world.fixture.place,
        Some(("tenant = 'acme'", "new.tenant = 'acme'")),
    );
    world.fixture.execute(&breaks).await;
    let batch: Vec<_> = (1..=messages)
        .map(|n| world.command(&engine, &erase(n)))
        .collect();
    let deciding = tokio::spawn(async move { stages.intake.decide(&[], &batch).await.unwrap() });
    let why = trouble(&engine).await;
    let on_postgres = matches!(world.fixture.place, Place::Postgres(_));
    assert!(
        !on_postgres || why.contains("refusing"),
        "it says which constraint: {why}"
    );
    assert!(!deciding.is_finished());
    world.fixture.execute(&mends).await;
    let sent = Sent::of(&deciding.await.unwrap());
    assert_eq!((sent.statuses.len() as u128, sent.letters.len()), (messages, 0));
    assert!(engine.troubles.problems().is_empty());
    world.check().await;
}

async fn a_few_bad_messages_in_a_row_are_found_and_no_others(fixture: Fixture) {
    let world = World::new(fixture).await;
    let stages = Stages::over(&world).await;
    let engine = Arc::clone(&stages.intake.engine);
    let postgres = format!("id in ('{}', '{}')", id(3), id(4));
    let sqlite = format!("new.id in (x'{}', x'{}')", id(3).0.simple(), id(4).0.simple());
    let [breaks, _] = refusing(&world.fixture.place, Some((&postgres, &sqlite)));
    world.fixture.execute(&breaks).await;
    let mut batch: Vec<_> = (1..=6).map(|n| world.command(&engine, &erase(n))).collect();
    // What cannot be read is dead-lettered in between, for what it is.
    batch.insert(3, command_from(&engine, Some(world.origin(COMMANDS)), "{"));
    for (offset, arrival) in (0..).zip(&mut batch) {
        arrival.origin = Some(origin_at(COMMANDS, 0, offset));
    }
    let sent = Sent::of(&stages.intake.decide(&[], &batch).await.unwrap());
    let mut reasons = sent.reasons();
    reasons.sort_unstable();
    assert_eq!(
        (reasons, sent.statuses.len()),
        (vec!["internal", "internal", "not_json"], 4)
    );
    assert_eq!(
        world.fixture.store.positions("test").await.unwrap()[0].next_offset,
        7
    );
    assert!(engine.troubles.problems().is_empty());
    world.check().await;
}
