//! What has been kept for long enough goes, and upstream's copy of it is told, whatever comes in between.

mod kept;

use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use lacuna::{
    delivery::republish::republish,
    domain::{
        entry::{Entry, Leaf},
        identity::{Identity, SubjectData},
        ids::{IdentityType, RequestId, Tenant},
        time::At,
        words::Status,
    },
    engine::{Engine, effects::Effects, intake::Verdict},
    store::{Line, open::open},
};
use serde_json::json;

use super::{
    faulty::Faulty,
    world::{CANARY, Sent, World, answer, cancel, command_from, erase, id, origin_at},
};
use crate::{
    forwarder::Forwarder,
    store::fixture::{Fixture, on_postgres, options},
};

on_both_stores!(
    closed_requests_go_digests_first_rows_later,
    what_is_open_stays,
    records_that_are_kept_shorter_take_the_digests_along,
    a_crash_between_commit_and_produce_loses_no_tombstone,
    a_commit_whose_answer_is_lost_loses_no_tombstone,
    two_workers_purge_everything_once,
    a_very_late_repeat_opens_a_new_request,
    an_old_status_that_arrives_late_is_followed_by_the_tombstone,
    many_go_in_batches,
);

const DAY: Duration = Duration::from_secs(24 * 3600);
const MILLISECOND: Duration = Duration::from_millis(1);

/// Everything of a request is done.
async fn finish(world: &World, engine: &Engine, n: u128) {
    let (_, opened) = world.take_in(engine, &erase(n)).await;
    world
        .settle(engine, &answer(opened.task("stats"), "erased"))
        .await;
    let (_, sent) = world.settle(engine, &answer(opened.task("crm"), "erased")).await;
    let (_, sent) = world.settle(engine, &answer(sent.task("mail"), "erased")).await;
    assert_eq!(sent.status()["status"], "completed");
}

fn email(n: u128) -> Identity {
    Identity {
        kind: IdentityType::new("email").unwrap(),
        value: SubjectData::new(format!("{CANARY}-{n}@EXAMPLE.org")),
    }
}

fn acme() -> Tenant {
    Tenant::new("acme").unwrap()
}

/// The requests that are found by a person's e-mail.
async fn found(world: &World, n: u128) -> Vec<RequestId> {
    let digest = world.vault.lookup_digest(&acme(), &email(n));
    world.fixture.store.of_subject(&[digest], 10).await.unwrap()
}

fn until(world: &World, time: &str) -> Duration {
    At::parse(time).unwrap().since(world.clock.now())
}

async fn unconfirmed(world: &World, engine: &Engine) -> Effects {
    let later = world.clock.now().plus(Duration::from_secs(60));
    engine.unconfirmed_tombstones(later).await.unwrap()
}

async fn closed_requests_go_digests_first_rows_later(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    finish(&world, &engine, 1).await;
    let store = &world.fixture.store;
    let sealed = |leaves: Vec<lacuna::store::StoredLeaf>| leaves.iter().any(|leaf| leaf.sealed.is_some());
    assert!(sealed(store.leaves(id(1)).await.unwrap()));

    world.clock.advance(365 * DAY - MILLISECOND);
    assert!(world.expire(&engine).await.is_empty());
    assert_eq!(found(&world, 1).await, [id(1)]);
    assert!(suppressed(&engine, 1).await.is_some());
    world.clock.advance(MILLISECOND);
    let gone = world.expire(&engine).await;
    assert!(gone.effects.is_empty(), "nobody outside sees a difference");
    assert!(found(&world, 1).await.is_empty());
    assert_eq!(suppressed(&engine, 1).await, None);
    assert_eq!(world.request(1).await.life.status, Status::Completed);
    world.check().await;

    // Three years of the calendar, one of which has 366 days.
    world
        .clock
        .advance(until(&world, "2029-11-21T12:00:00Z") - MILLISECOND);
    assert!(world.expire(&engine).await.is_empty());
    assert!(world.stored(1).await.is_some());
    world.clock.advance(MILLISECOND);
    let purged = world.expire(&engine).await;
    assert_eq!(Sent::of(&purged).tombstones, [id(1).to_string()]);
    assert!(world.stored(1).await.is_none());
    assert!(store.bodies(&[id(1)]).await.unwrap().is_empty());
    let counters = store.counters().await.unwrap();
    assert!(counters.iter().all(|(_, n)| *n == 0), "{counters:?}");
    let leaves = store.leaves(id(1)).await.unwrap();
    let last = Leaf::from_bytes(&leaves.last().unwrap().leaf).unwrap();
    let purge = Entry::Purged {
        status: Status::Completed,
    };
    assert_eq!((last.entries, last.at), (vec![purge], world.clock.now()));
    assert!(!sealed(leaves), "what lay sealed beside the leaves is gone");
    for line in [Line::Lookups, Line::Records] {
        assert!(world.line(line).await.is_empty());
    }
    engine.tombstones_confirmed(&purged.tombstones).await.unwrap();
    assert!(unconfirmed(&world, &engine).await.is_empty());
    assert!(
        Sent::of(&republish(&engine, &[id(1)], &[]).await.unwrap())
            .statuses
            .is_empty()
    );
    world.check().await;
}

/// On a busy machine a transaction that was dropped is rolled back a little later than the next look comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_that_came_too_early_keeps_nothing_from_the_next_one() {
    on_postgres(|fixture: Fixture| async move {
        let forwarder = Forwarder::to(fixture.place.port());
        forwarder.hold_up("rollback", Duration::from_millis(500));
        let store = open(&fixture.place.through(&forwarder), &options())
            .await
            .unwrap();
        let world = World::new(Fixture { store, ..fixture }).await;
        let engine = world.worker().await;
        finish(&world, &engine, 1).await;
        let due = [
            (Line::Lookups, world.clock.now().plus(365 * DAY)),
            (Line::Records, At::parse("2029-11-21T12:00:00Z").unwrap()),
        ];
        for (line, due) in due {
            world.clock.advance(due.since(world.clock.now()) - MILLISECOND);
            let early = engine.retention().expire(line, world.clock.now()).await.unwrap();
            assert!(!early.busy);
            world.clock.advance(MILLISECOND);
            let looked = engine.retention().expire(line, world.clock.now()).await.unwrap();
            assert!(looked.busy, "{line:?}");
        }
        assert!(world.stored(1).await.is_none());
    })
    .await;
}

async fn suppressed(engine: &Engine, n: u128) -> Option<At> {
    engine.suppressed_since(&acme(), &[email(n)]).await.unwrap()[0]
}

async fn what_is_open_stays(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    world.take_in(&engine, &erase(1)).await;
    world.clock.advance(5 * 366 * DAY);
    assert!(world.expire(&engine).await.is_empty());
    assert!(world.stored(1).await.is_some());
    assert_eq!(found(&world, 1).await, [id(1)]);
    world.check().await;
}

async fn records_that_are_kept_shorter_take_the_digests_along(fixture: Fixture) {
    let mut world = World::new(fixture).await;
    world.settings.keeps.records = lacuna::domain::calendar::Period::days(30);
    let engine = world.worker().await;
    finish(&world, &engine, 1).await;
    world.clock.advance(30 * DAY);
    let gone = Sent::of(&world.expire(&engine).await);
    assert_eq!(gone.tombstones, [id(1).to_string()]);
    assert!(found(&world, 1).await.is_empty());
    world.check().await;
}

async fn a_crash_between_commit_and_produce_loses_no_tombstone(fixture: Fixture) {
    let world = World::new(fixture).await;
    let first = world.worker().await;
    finish(&world, &first, 1).await;
    world.clock.advance(3 * 366 * DAY);
    let lost = world.expire(&first).await;
    assert_eq!(lost.tombstones.gone, [id(1)]);
    drop((first, lost));

    let second = world.worker().await;
    let fresh = second.unconfirmed_tombstones(world.clock.now()).await.unwrap();
    assert!(fresh.is_empty(), "whoever has just committed it says it himself");
    let again = unconfirmed(&world, &second).await;
    assert_eq!(Sent::of(&again).tombstones, [id(1).to_string()]);
    // A crash after the produce, too: it is said until it is confirmed.
    let twice = unconfirmed(&world, &second).await;
    assert_eq!(twice.tombstones, again.tombstones);
    second.tombstones_confirmed(&again.tombstones).await.unwrap();
    assert!(unconfirmed(&world, &second).await.is_empty());
    world.check().await;
}

async fn a_commit_whose_answer_is_lost_loses_no_tombstone(fixture: Fixture) {
    let world = World::new(fixture).await;
    let faulty = Faulty::over(&world.fixture.store);
    let engine = world.worker_over(faulty.clone()).await;
    finish(&world, &engine, 1).await;
    world.clock.advance(3 * 366 * DAY);
    let now = world.clock.now();
    engine.retention().expire(Line::Lookups, now).await.unwrap();
    faulty.faults.commits.store(1, Ordering::SeqCst);
    engine.retention().expire(Line::Records, now).await.unwrap_err();
    assert!(world.stored(1).await.is_some(), "nothing has happened");
    faulty.faults.answers.store(1, Ordering::SeqCst);
    engine.retention().expire(Line::Records, now).await.unwrap_err();
    assert!(
        world.stored(1).await.is_none(),
        "it has happened, and nobody knows"
    );
    let again = engine.retention().expire(Line::Records, now).await.unwrap();
    assert!(!again.busy);
    let said = unconfirmed(&world, &engine).await;
    world.note_purged(&said);
    assert_eq!(Sent::of(&said).tombstones, [id(1).to_string()]);
    world.check().await;
}

async fn two_workers_purge_everything_once(fixture: Fixture) {
    let world = Arc::new(World::new(fixture).await);
    let engine = world.worker().await;
    // A row of the line each.
    for n in 1..=12 {
        finish(&world, &engine, n).await;
    }
    world.clock.advance(3 * 366 * DAY);
    let (one, two) = (world.worker().await, world.worker().await);
    let purge = |engine: Arc<Engine>| {
        let world = Arc::clone(&world);
        tokio::spawn(async move { world.expire(&engine).await.tombstones.gone })
    };
    let (one, two) = (purge(one), purge(two));
    let mut gone = [one.await.unwrap(), two.await.unwrap()].concat();
    gone.extend(world.expire(&engine).await.tombstones.gone);
    gone.sort_unstable();
    assert_eq!(gone, (1..=12).map(id).collect::<Vec<_>>());
    world.check().await;
}

async fn a_very_late_repeat_opens_a_new_request(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    finish(&world, &engine, 1).await;
    world.take_in(&engine, &erase(2)).await;
    world.clock.advance(3 * 366 * DAY);
    let (verdict, _) = world.take_in(&engine, &erase(1)).await;
    assert_eq!(
        verdict,
        Verdict::Duplicate(id(1)),
        "as long as its rows are there"
    );
    world.expire(&engine).await;
    let before = world.fixture.store.leaves(id(1)).await.unwrap().len();

    // With one that was never seen, which must not suffer.
    let batch = [1, 3].map(|n| world.command(&engine, &erase(n)));
    let taken = engine.intake().take_in(&batch).await.unwrap();
    assert_eq!(taken.verdicts, [Verdict::Taken(id(1)), Verdict::Taken(id(3))]);
    let leaves = world.fixture.store.leaves(id(1)).await.unwrap();
    assert_eq!(leaves.len(), before + 1, "the ledger goes on where it ended");
    assert_eq!(found(&world, 1).await, [id(1)]);
    // Nobody has confirmed the tombstone yet: what is true now is said in its place.
    let said = unconfirmed(&world, &engine).await;
    let sent = Sent::of(&said);
    assert_eq!(
        (sent.tombstones.len(), &sent.status()["status"]),
        (0, &json!("in_progress"))
    );
    // And where it was on its way already, the status follows it.
    let words = lacuna::engine::effects::Tombstones {
        gone: vec![id(1)],
        ..said.tombstones
    };
    let corrected = engine.corrections(&words).await.unwrap();
    assert_eq!(Sent::of(&corrected).status()["revision"], 1);
    world.check().await;
}

async fn an_old_status_that_arrives_late_is_followed_by_the_tombstone(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    finish(&world, &engine, 1).await;
    let said = vec![(id(1), world.request(1).await.revision)];
    world.clock.advance(3 * 366 * DAY);
    world.expire(&engine).await;
    let newer = engine.newer_statuses(&said).await.unwrap();
    assert_eq!(Sent::of(&newer).tombstones, [id(1).to_string()]);
}

async fn many_go_in_batches(fixture: Fixture) {
    let mut world = World::new(fixture).await;
    world.settings.approval = lacuna::domain::request::gates::Approval::Always;
    let engine = world.worker().await;
    const COUNT: u128 = 1_300;
    let opening: Vec<_> = (1..=COUNT)
        .map(|n| {
            command_from(
                &engine,
                Some(origin_at("commands", 0, n as i64)),
                &erase(n).to_string(),
            )
        })
        .collect();
    engine.intake().take_in(&opening).await.unwrap();
    let cancelling: Vec<_> = (1..=COUNT)
        .map(|n| {
            let offset = (COUNT + n) as i64;
            command_from(
                &engine,
                Some(origin_at("commands", 0, offset)),
                &cancel(n).to_string(),
            )
        })
        .collect();
    for chunk in cancelling.chunks(100) {
        engine.intake().take_in(chunk).await.unwrap();
    }
    world.clock.advance(3 * 366 * DAY);
    let now = world.clock.now();
    engine.retention().expire(Line::Lookups, now).await.unwrap();
    assert_eq!(world.line(Line::Records).await.len(), 500, "a batch, and no more");
    let gone = world.expire(&engine).await.tombstones.gone;
    assert_eq!(gone.len(), COUNT as usize);
    let counters = world.fixture.store.counters().await.unwrap();
    assert!(counters.iter().all(|(_, n)| *n == 0), "{counters:?}");
}
