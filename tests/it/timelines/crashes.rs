//! A worker dies between a fact, its sweep and the forgetting; and several workers do all of it at once.

use std::sync::{Arc, atomic::Ordering};

use lacuna::{
    domain::{request::Request, task::TaskState, time::At},
    engine::{Engine, intake::Verdict},
};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::random::registry_of;
use crate::{
    schedules::{
        faulty::Faulty,
        world::{Sent, World, answer, command_from, control_from, erase, id},
    },
    store::fixture::Fixture,
};

on_both_stores!(
    a_sweep_goes_on_where_it_was_cut_off,
    a_restore_that_is_cut_off_sends_nobody_twice,
    a_fact_holds_before_its_sweep,
    a_forgetting_that_is_cut_off_is_done_once,
    two_sweep_while_a_third_settles,
    a_hold_commits_while_requests_come_in,
);

/// More than one batch of a sweep.
pub(super) const MANY: u128 = 620;

pub(super) async fn world(fixture: Fixture, lines: &[&str]) -> World {
    World::with_registry(fixture, &registry_of(&lines.join("\n"))).await
}

pub(super) fn control(n: u128, kind: &str) -> Value {
    json!({ "command_id": Uuid::from_u128(n), "type": kind, "tenant": "acme", "actor": "legal",
        "hold_id": Uuid::from_u128(0x401d), "basis": "legal_claims", "processor": "hosting" })
}

pub(super) async fn tell(
    world: &World,
    engine: &Engine,
    command: &Value,
) -> Result<(), lacuna::engine::EngineError> {
    let arrival = control_from(engine, world.origin("control"), command);
    let taken = engine.intake().take_in(&[arrival]).await?;
    assert!(matches!(taken.verdicts[..], [Verdict::Taken(_)]), "{taken:?}");
    Ok(())
}

pub(super) async fn tell_backup(world: &World, engine: &Engine, event: &Value) {
    let event = [event.to_string().into_bytes()];
    world.tell_backups(engine, &event, false).await.unwrap();
}

pub(super) fn restored(at: At) -> Value {
    json!({ "event_id": Uuid::from_u128(0xb0), "type": "backup.restored", "processor": "nightly", "set": "nightly",
        "taken_at": at, "restored_into": ["hosting"] })
}

pub(super) async fn open_many(world: &World, engine: &Engine, numbers: std::ops::Range<u128>) -> Sent {
    let batch: Vec<_> = numbers.map(|n| world.command(engine, &erase(n))).collect();
    Sent::of(&engine.intake().take_in(&batch).await.unwrap().emission)
}

async fn all(world: &World) -> Vec<Request> {
    let stored = world.fixture.store.page(None, 1000).await.unwrap();
    stored.into_iter().map(|stored| stored.request).collect()
}

/// Sweeps until nothing is left, and is cut off before and after every second commit.
async fn sweep_with_faults(engine: &Engine, store: &Faulty) {
    for turn in 0u32.. {
        assert!(turn < 500, "it never comes to an end");
        match turn % 3 {
            0 => store.faults.commits.store(1, Ordering::SeqCst),
            1 => store.faults.answers.store(1, Ordering::SeqCst),
            _ => {}
        }
        let swept = engine.fact_sweeps().sweep().await;
        store.faults.commits.store(0, Ordering::SeqCst);
        store.faults.answers.store(0, Ordering::SeqCst);
        match swept {
            Ok(swept) if !swept.busy => {
                let unfinished = engine.store().sweeps(true, 1).await.unwrap();
                assert!(
                    unfinished.is_empty(),
                    "what was cut off is not taken any more: {unfinished:?}"
                );
                return;
            }
            Ok(_) => {}
            Err(error) => assert!(error.is_outage(), "{error}"),
        }
    }
}

async fn a_sweep_goes_on_where_it_was_cut_off(fixture: Fixture) {
    let world = world(fixture, &["hosting"]).await;
    let store = Faulty::over(&world.fixture.store);
    let engine = world.worker_over(Arc::clone(&store) as _).await;
    tell(&world, &engine, &control(1_000_001, "hold")).await.unwrap();
    let sent = open_many(&world, &engine, 1..MANY).await;
    assert!(sent.tasks.is_empty());
    sweep_with_faults(&engine, &store).await;
    tell(&world, &engine, &control(1_000_002, "release"))
        .await
        .unwrap();
    sweep_with_faults(&engine, &store).await;
    for request in all(&world).await {
        let task = &request.tasks[0];
        assert!(matches!(task.state, TaskState::Dispatched { .. }), "{request:#?}");
        assert_eq!(
            (task.generation, task.attempt, request.revision),
            (1, 1, 2),
            "nobody is touched twice"
        );
    }
    let sweep = world.fixture.store.sweeps(false, 1).await.unwrap().pop().unwrap();
    assert!(sweep.finished_at.is_some());
    assert_eq!(
        (sweep.done, sweep.total),
        (MANY as u64 - 1, Some(MANY as u64 - 1))
    );
    world.check().await;
}

async fn a_restore_that_is_cut_off_sends_nobody_twice(fixture: Fixture) {
    let world = world(fixture, &["hosting", "nightly of=hosting keep=90d"]).await;
    let store = Faulty::over(&world.fixture.store);
    let engine = world.worker_over(Arc::clone(&store) as _).await;
    let sent = open_many(&world, &engine, 1..MANY).await;
    let acks: Vec<_> = sent.tasks[..300]
        .iter()
        .map(|task| world.ack(&engine, &answer(task, "erased")))
        .collect();
    engine.settlement().settle(&acks).await.unwrap();
    tell_backup(&world, &engine, &restored(world.clock.now())).await;
    sweep_with_faults(&engine, &store).await;
    for request in all(&world).await {
        let (hosting, nightly) = (&request.tasks[0], &request.tasks[1]);
        assert!(matches!(hosting.state, TaskState::Dispatched { .. }));
        assert_eq!((hosting.generation, hosting.attempt), (2, 1));
        assert_eq!((&nightly.state, nightly.generation), (&TaskState::Blocked, 2));
    }
    world.check().await;
}

async fn a_fact_holds_before_its_sweep(fixture: Fixture) {
    let world = world(fixture, &["hosting", "crm after=hosting"]).await;
    let store = Faulty::over(&world.fixture.store);
    let dying = world.worker_over(Arc::clone(&store) as _).await;
    let sent = open_many(&world, &dying, 1..3).await;
    store.faults.answers.store(1, Ordering::SeqCst);
    assert!(
        tell(&world, &dying, &control(1_000_001, "hold"))
            .await
            .unwrap_err()
            .is_outage()
    );
    drop(dying);

    // Nobody has swept, and nobody was told that the hold is committed; yet it holds for every worker.
    let next = world.worker().await;
    assert!(open_many(&world, &next, 3..5).await.tasks.is_empty());
    let (_, sent) = world.settle(&next, &answer(&sent.tasks[0], "failed")).await;
    assert!(sent.tasks.is_empty());
    for n in [1, 3, 4] {
        assert!(
            matches!(world.request(n).await.tasks[0].state, TaskState::Held { .. }),
            "{n}"
        );
    }
    while next.fact_sweeps().sweep().await.unwrap().busy {}
    assert!(matches!(
        world.request(2).await.tasks[0].state,
        TaskState::Dispatched { .. }
    ));
    world.check().await;
}

async fn a_forgetting_that_is_cut_off_is_done_once(fixture: Fixture) {
    let world = world(fixture, &["hosting", "nightly of=hosting keep=1d by=schedule"]).await;
    let store = Faulty::over(&world.fixture.store);
    let engine = world.worker_over(Arc::clone(&store) as _).await;
    let sent = open_many(&world, &engine, 1..3).await;
    for task in &sent.tasks {
        world.settle(&engine, &answer(task, "erased")).await;
    }
    assert_eq!(
        world.fixture.store.capsules(&[id(1), id(2)]).await.unwrap().len(),
        2
    );
    world
        .pass(&engine, std::time::Duration::from_secs(20 * 24 * 3600))
        .await;
    let facts = || async { world.fixture.store.facts_since(0).await.unwrap().len() };
    let before = facts().await;
    for (fault, left) in [(&store.faults.commits, 2), (&store.faults.answers, 0)] {
        fault.store(1, Ordering::SeqCst);
        assert!(
            engine
                .retention()
                .forget_old_capsules(world.clock.now())
                .await
                .unwrap_err()
                .is_outage()
        );
        assert_eq!(
            world.fixture.store.capsules(&[id(1), id(2)]).await.unwrap().len(),
            left
        );
    }
    engine
        .retention()
        .forget_old_capsules(world.clock.now())
        .await
        .unwrap();
    assert_eq!(facts().await, before + 1, "one fact says it");
    world.check().await;
}

async fn two_sweep_while_a_third_settles(fixture: Fixture) {
    let world = world(fixture, &["hosting", "nightly of=hosting keep=90d"]).await;
    let (one, two, three) = (world.worker().await, world.worker().await, world.worker().await);
    let sent = open_many(&world, &one, 1..MANY).await;
    tell_backup(&world, &one, &restored(world.clock.now())).await;
    let sweep = |engine: Arc<Engine>| async move {
        let mut sent = 0;
        loop {
            let swept = engine.fact_sweeps().sweep().await.unwrap();
            sent += Sent::of(&swept.emission).tasks.len();
            if !swept.busy {
                return sent;
            }
        }
    };
    let settle = async {
        let mut sent_again = 0;
        for chunk in sent.tasks.chunks(40) {
            let acks: Vec<_> = chunk
                .iter()
                .map(|task| world.ack(&three, &answer(task, "erased")))
                .collect();
            sent_again += Sent::of(&three.settlement().settle(&acks).await.unwrap().emission)
                .tasks
                .len();
        }
        sent_again
    };
    let (a, b, c) = tokio::join!(sweep(Arc::clone(&one)), sweep(Arc::clone(&two)), settle);
    // A worker that found the sweep taken has nothing left to do; whatever is left is done now.
    let rest = sweep(three.clone()).await;
    assert_eq!(
        a + b + c + rest,
        MANY as usize - 1,
        "everybody is sent again, and once"
    );
    for request in all(&world).await {
        let hosting = &request.tasks[0];
        assert!(
            matches!(hosting.state, TaskState::Dispatched { .. }),
            "{hosting:?}"
        );
        assert_eq!((hosting.generation, hosting.attempt), (2, 1));
    }
    world.check().await;
}

async fn a_hold_commits_while_requests_come_in(fixture: Fixture) {
    let world = world(fixture, &["hosting"]).await;
    let (one, two, legal) = (world.worker().await, world.worker().await, world.worker().await);
    let before = world.fixture.store.facts_since(0).await.unwrap().len();
    let batch = |n: u128| {
        let engine = Arc::clone(if n.is_multiple_of(2) { &one } else { &two });
        // Over HTTP: their order is nobody's.
        let commands: Vec<_> = (n * 10 + 1..n * 10 + 11)
            .map(|n| command_from(&engine, None, &erase(n).to_string()))
            .collect();
        async move { engine.intake().take_in(&commands).await.unwrap() }
    };
    let mut running = JoinSet::new();
    for n in 0..10 {
        running.spawn(batch(n));
    }
    tell(&world, &legal, &control(1_000_000, "hold")).await.unwrap();
    for n in 10..16 {
        let taken = batch(n).await;
        assert!(
            Sent::of(&taken.emission).tasks.is_empty(),
            "the hold has committed"
        );
    }
    running.join_all().await;
    // Whoever was sent was taken in before the fact; whoever knew the fact was not sent.
    for request in all(&world).await {
        let sent = matches!(request.tasks[0].state, TaskState::Dispatched { .. });
        assert_eq!(
            sent,
            request.bookkeeping.facts as usize == before,
            "{:?}",
            request.life
        );
    }
    while legal.fact_sweeps().sweep().await.unwrap().busy {}
    world.check().await;
}
