//! A row at which the program panics is set aside, and everything else goes on.

use std::time::Duration;

use lacuna::{
    delivery::republish::republish,
    domain::{
        fact::Fact,
        ids::Label,
        request::Request,
        task::{Share, TaskState},
        time::At,
        words::{AbandonCause, Status},
    },
    engine::Engine,
    store::{Changes, Line, MovedRow, StateRow},
};
use serde_json::json;
use uuid::Uuid;

use super::{
    control::{control, tell},
    world::{Sent, World, answer, erase, id},
};
use crate::store::fixture::Fixture;

on_both_stores!(
    panic_in_wake_up_sets_row_aside_and_rest_goes_on,
    panic_in_sweep_sets_row_aside_and_sweep_ends,
    a_panic_while_a_row_expires_sets_it_aside_and_the_rest_goes,
    a_panic_while_a_row_is_said_again_silences_no_neighbour,
);

const HOUR: Duration = Duration::from_secs(3600);

/// Writes a request as no version would: whatever looks at it closely panics.
async fn break_row(world: &World, n: u128, wake_at: Option<At>, how: impl FnOnce(&mut Request)) {
    let mut request = world.request(n).await;
    let from_revision = request.revision;
    request.revision += 1;
    request.bookkeeping.wake_at = wake_at;
    how(&mut request);
    let changes = Changes {
        moved: vec![MovedRow {
            state: StateRow::of(&request).unwrap(),
            from_revision,
            shred: false,
            rewake: true,
        }],
        at: world.clock.now(),
        ..Changes::default()
    };
    let mut tx = world.fixture.store.begin("test").await.unwrap();
    tx.write(&changes).await.unwrap();
    tx.commit().await.unwrap();
}

/// It waits for a task that its plan does not have.
fn waits_for_nobody(request: &mut Request) {
    let task = request.tasks.last_mut().unwrap();
    (task.after, task.state) = (vec![99], TaskState::Blocked);
}

fn set_aside(engine: &Engine) -> String {
    let text = engine.metrics.text().unwrap();
    text.lines()
        .filter(|line| line.starts_with("lacuna_requests_set_aside_total"))
        .collect::<Vec<_>>()
        .join("\n")
}

async fn panic_in_wake_up_sets_row_aside_and_rest_goes_on(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    for n in 1..=5 {
        world.take_in(&engine, &erase(n)).await;
    }
    break_row(&world, 3, Some(world.clock.now()), waits_for_nobody).await;
    let sent = world.pass(&engine, HOUR + Duration::from_secs(1)).await;
    let said: Vec<&str> = sent
        .statuses
        .iter()
        .filter_map(|s| s["request_id"].as_str())
        .collect();
    for n in [1, 2, 4, 5] {
        assert!(
            said.contains(&id(n).to_string().as_str()),
            "request {n}: {said:?}"
        );
    }
    let aside = world.request(3).await;
    assert!(aside.life.needs_attention && aside.life.set_aside_at.is_some());
    assert_eq!(
        aside.bookkeeping.wake_at,
        Some(world.clock.now().plus(HOUR)),
        "tried again later"
    );
    assert_eq!(
        set_aside(&engine),
        "lacuna_requests_set_aside_total{use_case=\"agenda\"} 1"
    );

    // Another worker does not fail at it anew, and what is due goes on.
    let restarted = world.worker().await;
    let sent = world.pass(&restarted, Duration::from_secs(10)).await;
    assert_eq!(sent.tasks.len(), 8, "asked again");
    assert_eq!(set_aside(&restarted), "");

    // Once the program is mended, it goes on by itself.
    break_row(&world, 3, aside.bookkeeping.wake_at, |request| {
        request.tasks.last_mut().unwrap().after = vec![0];
    })
    .await;
    world.pass(&restarted, HOUR).await;
    let mended = world.request(3).await;
    assert!(mended.life.set_aside_at.is_none() && !mended.life.needs_attention);
}

async fn panic_in_sweep_sets_row_aside_and_sweep_ends(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    for n in 1..=3 {
        world.take_in(&engine, &erase(n)).await;
    }
    let later = world.clock.now().plus(HOUR);
    break_row(&world, 2, Some(later), waits_for_nobody).await;
    let hold = json!({
        "type": "hold", "hold_id": Uuid::from_u128(7), "basis": "dispute", "processor": "mail",
    });
    tell(&world, &engine, &control(1, hold)).await;
    for _ in 0..10 {
        if !engine.fact_sweeps().sweep().await.unwrap().busy {
            break;
        }
    }
    assert!(
        world.fixture.store.sweeps(true, 10).await.unwrap().is_empty(),
        "it has ended"
    );
    assert!(world.request(2).await.life.set_aside_at.is_some());
    assert_eq!(
        set_aside(&engine),
        "lacuna_requests_set_aside_total{use_case=\"sweep\"} 1"
    );
    // The hold covers the neighbours, of course.
    let (_, sent) = world.take_in(&engine, &erase(4)).await;
    let (_, sent) = world.settle(&engine, &answer(sent.task("crm"), "erased")).await;
    assert!(sent.tasks.is_empty(), "{sent:?}");
    assert!(matches!(
        world
            .fixture
            .store
            .facts_since(0)
            .await
            .unwrap()
            .last()
            .unwrap()
            .fact,
        Fact::Hold(_)
    ));
}

async fn a_panic_while_a_row_expires_sets_it_aside_and_the_rest_goes(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    for n in 1..=3 {
        let (_, opened) = world.take_in(&engine, &erase(n)).await;
        world
            .settle(&engine, &answer(opened.task("stats"), "erased"))
            .await;
        let (_, sent) = world.settle(&engine, &answer(opened.task("crm"), "erased")).await;
        world.settle(&engine, &answer(sent.task("mail"), "erased")).await;
    }
    world.clock.advance(Duration::from_secs(366 * 24 * 3600));
    world.expire(&engine).await;
    // A wave of a share that is not there, in the way of whoever looks for what a restore could need.
    break_row(&world, 2, None, |request| {
        broken_wave(request);
        request.tasks.last_mut().unwrap().state = TaskState::Abandoned {
            cause: AbandonCause::Rejected,
        };
    })
    .await;
    world.clock.advance(Duration::from_secs(3 * 366 * 24 * 3600));
    world.expire(&engine).await;
    for n in [1, 3] {
        assert!(world.stored(n).await.is_none(), "request {n} was purged");
    }
    let aside = world.request(2).await;
    assert!(aside.life.set_aside_at.is_some() && aside.life.needs_attention);
    assert_eq!(world.line(Line::Records).await, [id(2)], "looked at again later");
}

fn broken_wave(request: &mut Request) {
    let task = request.tasks.last_mut().unwrap();
    let sources = vec![99];
    task.share = Share::Wave { sources, key: false };
    task.state = TaskState::Exempt {
        basis: Label::new("trade_secret").unwrap(),
    };
    task.sent = None;
    request.bookkeeping.capsule = Some(1);
}

async fn a_panic_while_a_row_is_said_again_silences_no_neighbour(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    for n in 1..=3 {
        world.take_in(&engine, &erase(n)).await;
    }
    break_row(&world, 2, Some(world.clock.now().plus(HOUR)), broken_wave).await;
    let emission = republish(&engine, &[id(1), id(2), id(3)], &[]).await.unwrap();
    let named: Vec<_> = emission.revisions.iter().map(|(id, _)| *id).collect();
    assert_eq!(
        named.len(),
        3,
        "its outbox row goes, or it would be failed at for ever"
    );
    let sent = Sent::of(&emission);
    assert_eq!(sent.statuses.len(), 2);
    let aside = world.request(2).await;
    assert_eq!(aside.life.status, Status::InProgress);
    assert!(aside.life.set_aside_at.is_some() && aside.life.needs_attention);
    let sent = Sent::of(&republish(&engine, &[id(1), id(3)], &[]).await.unwrap());
    assert_eq!(sent.statuses.len(), 2);
}
