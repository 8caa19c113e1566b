//! Changes to many requests at once: worked off by whoever is there, each change made once, by the same rules as a single one.

use std::{collections::BTreeSet, sync::atomic::Ordering, time::Duration};

use lacuna::{
    domain::{
        command::Command,
        entry::{Entry, Leaf},
        ids::RequestId,
        request::gates::Approval,
        words::{BulkAction, BulkOperation, HoldBasis, Status},
    },
    engine::{
        Engine,
        bulk::{BulkError, Chosen, Claimed, Order},
        lists::Filter,
        stop::{LaneAction, LaneChange},
    },
    store::{BulkJob, BulkOutcome, BulkState},
};
use serde_json::json;
use uuid::Uuid;

use super::{
    control::{control, tell},
    world::{Sent, World, answer, command_from, erase, id},
};
use crate::store::fixture::Fixture;

on_both_stores!(
    a_job_changes_each_request_once_by_two_workers,
    a_worker_that_dies_in_a_job_leaves_nothing_done_twice,
    whoever_submitted_a_request_does_not_approve_it_in_a_job,
    a_hold_placed_while_a_job_runs_keeps_back_what_it_covers,
    a_brake_lets_a_job_approve_and_sends_nothing,
    a_paused_job_goes_on_where_it_stopped,
    a_cancelled_job_changes_nothing_more,
    a_job_of_another_count_is_not_begun,
    given_up_tasks_are_asked_again_and_others_are_not,
    a_job_of_holds_places_one_a_request,
);

const LEASE: Duration = Duration::from_secs(30);

/// As many requests as wait for an approval.
async fn waiting(fixture: Fixture, n: u128) -> World {
    let mut world = World::new(fixture).await;
    world.settings.approval = Approval::Always;
    let engine = world.worker().await;
    for n in 1..=n {
        world.take_in(&engine, &erase(n)).await;
    }
    world
}

fn order(action: BulkAction, filter: Filter) -> Order {
    Order {
        action,
        chosen: Chosen::Filter(Box::new(filter)),
        reason: Some("case 4711".to_owned()),
        basis: None,
    }
}

fn approving() -> Order {
    let filter = Filter::default().with("status", "awaiting_approval").unwrap();
    order(BulkAction::Approve, filter)
}

/// Orders a job; its entry of the ledger belongs to no request.
async fn start(world: &World, engine: &Engine, order: &Order, expected: u64) -> BulkJob {
    world.accepted.fetch_add(1, Ordering::Relaxed);
    engine
        .bulk()
        .start(order, "anna", Some(expected), None)
        .await
        .unwrap()
}

async fn set(world: &World, engine: &Engine, job: &BulkJob, deed: BulkOperation) -> BulkJob {
    world.accepted.fetch_add(1, Ordering::Relaxed);
    engine.bulk().set(job.id, "anna", deed).await.unwrap()
}

/// A turn of a worker: at most so many changes. `concludes`: whether it lives to write what came of them.
async fn turn(engine: &Engine, owner: u128, most: usize, concludes: bool) -> (usize, Vec<Sent>) {
    let now = engine.trusted_now().await.unwrap();
    let claimed = engine
        .bulk()
        .claim(Uuid::from_u128(owner), now, now.plus(LEASE))
        .await
        .unwrap();
    let Some(mut claimed) = claimed else {
        return (0, Vec::new());
    };
    let mut sent = Vec::new();
    while sent.len() < most && claimed.next_request().is_some() {
        let worked = engine.bulk().step(&mut claimed).await.unwrap();
        sent.push(Sent::of(&worked.emission));
    }
    let made = sent.len();
    if concludes {
        engine.bulk().conclude(claimed).await.unwrap();
    }
    (made, sent)
}

async fn work_off(engine: &Engine) -> Vec<Sent> {
    let mut all = Vec::new();
    loop {
        let (made, sent) = turn(engine, 1, 50, true).await;
        all.extend(sent);
        if made == 0 {
            return all;
        }
    }
}

async fn job(engine: &Engine, id: Uuid) -> BulkJob {
    engine.bulk().job(id).await.unwrap().unwrap()
}

/// How often somebody has acted on a request.
async fn acts(world: &World, n: u128) -> usize {
    let leaves = world.fixture.store.leaves(id(n)).await.unwrap();
    let entries = leaves
        .iter()
        .flat_map(|leaf| Leaf::from_bytes(&leaf.leaf).unwrap().entries);
    entries
        .filter(|entry| matches!(entry, Entry::ActedBy { actor } if actor == "anna"))
        .count()
}

async fn a_job_changes_each_request_once_by_two_workers(fixture: Fixture) {
    let world = waiting(fixture, 60).await;
    let (one, other) = (world.worker().await, world.worker().await);
    let job = start(&world, &one, &approving(), 60).await;
    assert_eq!((job.state, job.matched, job.total), (BulkState::Running, 60, 60));
    // One is not heard of for longer than its lease, and believes that the job is its own still.
    let claim = async |engine: &Engine, owner: u128| {
        let now = engine.trusted_now().await.unwrap();
        let owner = Uuid::from_u128(owner);
        engine
            .bulk()
            .claim(owner, now, now.plus(LEASE))
            .await
            .unwrap()
            .unwrap()
    };
    let mut first = claim(&one, 1).await;
    world.clock.advance(LEASE + Duration::from_secs(1));
    let mut second = claim(&other, 2).await;
    let all = async |engine: &Engine, claimed: &mut Claimed| {
        let mut asked = 0;
        while claimed.next_request().is_some() {
            let worked = engine.bulk().step(claimed).await.unwrap();
            asked += Sent::of(&worked.emission).asked().len();
        }
        asked
    };
    let (by_one, by_other) = tokio::join!(all(&one, &mut first), all(&other, &mut second));
    assert_eq!(
        by_one + by_other,
        100,
        "each of fifty requests asks two processors, once"
    );
    one.bulk().conclude(first).await.unwrap();
    assert_eq!(
        self::job(&one, job.id).await.done,
        0,
        "it is another worker's by now"
    );
    other.bulk().conclude(second).await.unwrap();
    assert_eq!(self::job(&one, job.id).await.done, 50);
    assert_eq!(turn(&other, 2, 50, true).await.0, 10);
    let job = self::job(&one, job.id).await;
    assert_eq!((job.state, job.done, job.refused), (BulkState::Finished, 60, 0));
    for n in 1..=60 {
        assert_eq!(world.request(n).await.life.status, Status::InProgress);
        assert_eq!(acts(&world, n).await, 1, "request {n}");
    }
    world.check().await;
}

async fn a_worker_that_dies_in_a_job_leaves_nothing_done_twice(fixture: Fixture) {
    let world = waiting(fixture, 30).await;
    let (dying, next) = (world.worker().await, world.worker().await);
    let job = start(&world, &dying, &approving(), 30).await;
    // It has made eleven changes and dies before it writes that down.
    let (made, _) = turn(&dying, 1, 11, false).await;
    assert_eq!(made, 11);
    drop(dying);
    assert_eq!(turn(&next, 2, 50, true).await.0, 0, "the dead one has it still");
    world.clock.advance(LEASE + Duration::from_secs(1));
    let (made, sent) = turn(&next, 2, 50, true).await;
    assert_eq!(made, 30);
    let again = sent.iter().filter(|sent| sent.asked().is_empty()).count();
    assert_eq!(again, 11, "what was made is not made again");
    let job = self::job(&next, job.id).await;
    assert_eq!((job.state, job.done, job.refused), (BulkState::Finished, 30, 0));
    for n in 1..=30 {
        assert_eq!(acts(&world, n).await, 1, "request {n}");
    }
    world.check().await;
}

async fn whoever_submitted_a_request_does_not_approve_it_in_a_job(fixture: Fixture) {
    let world = waiting(fixture, 2).await;
    let engine = world.worker().await;
    let mut command = command_from(&engine, None, &erase(3).to_string());
    let Command::Open(opening) = &mut command.content.as_mut().unwrap().command else {
        panic!("it opens a request");
    };
    opening.submitter = Some("ANNA".to_owned());
    engine.intake().take_in(&[command]).await.unwrap();
    let forecast = engine.bulk().foresee(&approving(), "anna").await.unwrap();
    assert_eq!((forecast.matched, forecast.will), (3, 2));
    let why = "whoever submitted a request neither approves nor refuses it";
    assert_eq!(forecast.refusals[why].examples, [id(3)]);
    let job = start(&world, &engine, &approving(), 3).await;
    work_off(&engine).await;
    let job = self::job(&engine, job.id).await;
    assert_eq!((job.state, job.done, job.refused), (BulkState::Finished, 2, 1));
    assert_eq!(world.request(3).await.life.status, Status::AwaitingApproval);
    let refusals = engine.bulk().refusals(job.id).await.unwrap();
    assert_eq!(refusals, [(why.to_owned(), 1)]);
}

async fn a_hold_placed_while_a_job_runs_keeps_back_what_it_covers(fixture: Fixture) {
    let world = waiting(fixture, 4).await;
    let engine = world.worker().await;
    start(&world, &engine, &approving(), 4).await;
    let (_, before) = turn(&engine, 1, 2, true).await;
    assert!(before.iter().all(|sent| sent.asked() == ["crm", "stats"]));
    let hold = json!({
        "type": "hold", "hold_id": Uuid::from_u128(9), "basis": "dispute", "processor": "crm",
    });
    tell(&world, &engine, &control(9, hold)).await;
    let after = work_off(&engine).await;
    assert_eq!(after.len(), 2);
    assert!(after.iter().all(|sent| sent.asked() == ["stats"]), "{after:?}");
    world.check().await;
}

async fn a_brake_lets_a_job_approve_and_sends_nothing(fixture: Fixture) {
    let world = waiting(fixture, 3).await;
    let engine = world.worker().await;
    start(&world, &engine, &approving(), 3).await;
    let brake = LaneChange {
        lane: None,
        action: LaneAction::Stop,
        actor: "ops",
        reason: Some("look first"),
        once: None,
    };
    engine.change_lane(&brake).await.unwrap();
    let sent = work_off(&engine).await;
    assert!(
        sent.len() == 3 && sent.iter().all(|sent| sent.asked().is_empty()),
        "{sent:?}"
    );
    for n in 1..=3 {
        assert_eq!(world.request(n).await.life.status, Status::InProgress);
    }
    world.check().await;
}

async fn a_paused_job_goes_on_where_it_stopped(fixture: Fixture) {
    let world = waiting(fixture, 10).await;
    let engine = world.worker().await;
    let job = start(&world, &engine, &approving(), 10).await;
    assert_eq!(turn(&engine, 1, 4, true).await.0, 4);
    let paused = set(&world, &engine, &job, BulkOperation::Pause).await;
    assert_eq!((paused.state, paused.done), (BulkState::Paused, 4));
    assert_eq!(turn(&engine, 1, 50, true).await.0, 0);
    // Whoever asks for what is so already is content, and it is no second entry.
    engine
        .bulk()
        .set(job.id, "anna", BulkOperation::Pause)
        .await
        .unwrap();
    set(&world, &engine, &job, BulkOperation::Resume).await;
    assert_eq!(work_off(&engine).await.len(), 6);
    let job = self::job(&engine, job.id).await;
    assert_eq!((job.state, job.done), (BulkState::Finished, 10));
    let error = engine
        .bulk()
        .set(job.id, "anna", BulkOperation::Cancel)
        .await
        .unwrap_err();
    assert!(matches!(error, BulkError::WrongState("finished")), "{error:?}");
    world.check().await;
}

async fn a_cancelled_job_changes_nothing_more(fixture: Fixture) {
    let world = waiting(fixture, 10).await;
    let engine = world.worker().await;
    let job = start(&world, &engine, &approving(), 10).await;
    let now = engine.trusted_now().await.unwrap();
    let mut claimed = engine
        .bulk()
        .claim(Uuid::from_u128(1), now, now.plus(LEASE))
        .await
        .unwrap()
        .unwrap();
    engine.bulk().step(&mut claimed).await.unwrap();
    set(&world, &engine, &job, BulkOperation::Cancel).await;
    assert!(!engine.bulk().goes_on(&claimed).await.unwrap());
    engine.bulk().conclude(claimed).await.unwrap();
    assert_eq!(turn(&engine, 2, 50, true).await.0, 0);
    let job = self::job(&engine, job.id).await;
    assert_eq!(
        (job.state, job.done),
        (BulkState::Cancelled, 1),
        "what was made is counted"
    );
    let waits = engine
        .bulk()
        .items(job.id, 0, Some(BulkOutcome::Waiting), 100)
        .await
        .unwrap();
    assert_eq!(waits.len(), 9);
    world.check().await;
}

async fn a_job_of_another_count_is_not_begun(fixture: Fixture) {
    let world = waiting(fixture, 3).await;
    let engine = world.worker().await;
    let error = engine
        .bulk()
        .start(&approving(), "anna", Some(2), None)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            BulkError::CountDiffers {
                found: 3,
                expected: 2
            }
        ),
        "{error:?}"
    );
    assert!(engine.bulk().jobs(None, None, 10).await.unwrap().is_empty());
    // The same call made twice is one job.
    world.accepted.fetch_add(1, Ordering::Relaxed);
    let key = Some((Uuid::from_u128(77), [7; 16]));
    for _ in 0..2 {
        let job = engine
            .bulk()
            .start(&approving(), "anna", Some(3), key)
            .await
            .unwrap();
        assert_eq!(job.id, Uuid::from_u128(77));
    }
    let other = Some((Uuid::from_u128(77), [8; 16]));
    let error = engine
        .bulk()
        .start(&approving(), "anna", Some(3), other)
        .await
        .unwrap_err();
    assert!(matches!(error, BulkError::Conflicting), "{error:?}");
    world.check().await;
}

async fn given_up_tasks_are_asked_again_and_others_are_not(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    for n in 1..=3 {
        let (_, opened) = world.take_in(&engine, &erase(n)).await;
        if n < 3 {
            world
                .settle(&engine, &answer(opened.task("crm"), "rejected"))
                .await;
        }
    }
    let failing = Filter::default().with("failing", "true").unwrap();
    let retry = order(BulkAction::Retry, failing);
    let forecast = engine.bulk().foresee(&retry, "anna").await.unwrap();
    assert_eq!((forecast.matched, forecast.will, forecast.changes), (2, 2, 2));
    start(&world, &engine, &retry, 2).await;
    let sent = work_off(&engine).await;
    assert!(
        sent.len() == 2 && sent.iter().all(|sent| sent.asked() == ["crm"]),
        "{sent:?}"
    );
    let ids = (1..=3).map(id).collect();
    let named = Order {
        chosen: Chosen::Ids {
            ids,
            tenant: None,
            processor: None,
        },
        ..order(BulkAction::Retry, Filter::default())
    };
    let forecast = engine.bulk().foresee(&named, "anna").await.unwrap();
    assert_eq!(
        (forecast.matched, forecast.will),
        (3, 0),
        "nothing is given up any more"
    );
    let waive = Order {
        action: BulkAction::Waive,
        reason: None,
        ..named
    };
    assert!(matches!(waive.check(), Err(BulkError::Missing(_))));
    world.check().await;
}

async fn a_job_of_holds_places_one_a_request(fixture: Fixture) {
    let world = waiting(fixture, 3).await;
    let engine = world.worker().await;
    let hold = Order {
        action: BulkAction::Hold,
        basis: Some(HoldBasis::Dispute),
        ..approving()
    };
    start(&world, &engine, &hold, 3).await;
    // The first turn places two and dies.
    assert_eq!(turn(&engine, 1, 2, false).await.0, 2);
    world.clock.advance(LEASE + Duration::from_secs(1));
    work_off(&engine).await;
    let facts = engine.refresh_facts().await.unwrap();
    let held: BTreeSet<RequestId> = facts.holds().iter().filter_map(|hold| hold.request_id).collect();
    assert_eq!(held, (1..=3).map(id).collect());
    assert_eq!(facts.holds().iter().count(), 3);
    assert!(facts.holds().iter().all(|hold| hold.actor == "anna"));
}
