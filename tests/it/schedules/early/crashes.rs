//! Crashes and outages at every step, and two workers at once.

use std::sync::{Arc, atomic::Ordering};

use lacuna::domain::words::Status;

use super::{WAIT, expire, left_to_say, patient, settled};
use crate::{
    schedules::{
        faulty::Faulty,
        world::{COMMANDS, Sent, cancel, command_from, erase, origin_at},
    },
    store::fixture::Fixture,
};

on_both_stores!(
    a_crash_before_the_dead_letter_was_produced,
    an_outage_at_every_step,
    the_opening_and_the_cancel_at_once,
);

async fn a_crash_before_the_dead_letter_was_produced(fixture: Fixture) {
    let world = patient(fixture).await;
    let first = world.worker().await;
    world.take_in(&first, &cancel(1)).await;
    world.clock.advance(WAIT);
    let lost = Sent::of(
        &first
            .retention()
            .expire_early(world.clock.now())
            .await
            .unwrap()
            .emission,
    );
    assert_eq!(lost.reasons(), ["unknown_request"]);
    drop(first);
    let second = world.worker().await;
    // What came too late for it is taken for itself.
    world.take_in(&second, &erase(1)).await;
    assert_eq!(world.request(1).await.life.status, Status::InProgress);
    assert_eq!(left_to_say(&world, &second).await, lost);
    settled(&world, &["unknown_request"]).await;
}

/// The connection breaks before and after each commit; whoever reads the batch again loses and doubles nothing.
async fn an_outage_at_every_step(fixture: Fixture) {
    let world = patient(fixture).await;
    let faulty = Faulty::over(&world.fixture.store);
    let engine = world.worker_over(Arc::<Faulty>::clone(&faulty)).await;
    for (n, command) in (0..).zip([cancel(1), erase(1)]) {
        let batch = [command_from(
            &engine,
            Some(origin_at(COMMANDS, 0, n)),
            &command.to_string(),
        )];
        faulty.faults.commits.store(1, Ordering::SeqCst);
        assert!(engine.intake().take_in(&batch).await.unwrap_err().is_outage());
        assert!(world.stored(1).await.is_none());
        faulty.faults.answers.store(1, Ordering::SeqCst);
        assert!(engine.intake().take_in(&batch).await.unwrap_err().is_outage());
        assert!(
            engine.intake().take_in(&batch).await.unwrap_err().is_fenced(),
            "it was taken in"
        );
    }
    assert_eq!(world.request(1).await.life.status, Status::Cancelled);
    let origin = origin_at(COMMANDS, 0, 9);
    let batch = [command_from(&engine, Some(origin), &cancel(2).to_string())];
    engine.intake().take_in(&batch).await.unwrap();
    world.clock.advance(WAIT);
    for faults in [&faulty.faults.commits, &faulty.faults.answers] {
        faults.store(1, Ordering::SeqCst);
        assert!(
            engine
                .retention()
                .expire_early(world.clock.now())
                .await
                .unwrap_err()
                .is_outage()
        );
    }
    // Its transaction has committed although nobody heard of it: the letter is said later.
    assert_eq!(expire(&world, &engine).await, Sent::default());
    assert_eq!(left_to_say(&world, &engine).await.reasons(), ["unknown_request"]);
    settled(&world, &["unknown_request"]).await;
}

/// Two workers, the opening and the cancel in two transactions at the same time: they must not pass each other.
async fn the_opening_and_the_cancel_at_once(fixture: Fixture) {
    const ROUNDS: u128 = 40;
    let mut world = patient(fixture).await;
    world.settings.early.most = 1_000;
    let (opener, canceller) = (world.worker().await, world.worker().await);
    let mut cancelled: usize = 0;
    for n in 1..=ROUNDS {
        let opening = [command_from(
            &opener,
            Some(origin_at(COMMANDS, 0, n as i64)),
            &erase(n).to_string(),
        )];
        let cancel = [command_from(
            &canceller,
            Some(origin_at(COMMANDS, 1, n as i64)),
            &cancel(n).to_string(),
        )];
        let (opened, refused) = if n % 2 == 0 {
            tokio::join!(
                opener.intake().take_in(&opening),
                canceller.intake().take_in(&cancel)
            )
        } else {
            let (refused, opened) = tokio::join!(
                canceller.intake().take_in(&cancel),
                opener.intake().take_in(&opening)
            );
            (opened, refused)
        };
        let tasks = Sent::of(&opened.unwrap().emission).tasks.len();
        let too_late = Sent::of(&refused.unwrap().emission).reasons() == ["too_late"];
        let is_cancelled = world.request(n).await.life.status == Status::Cancelled;
        assert_eq!(too_late, !is_cancelled, "round {n}: lost");
        assert_eq!(tasks == 0, is_cancelled, "round {n}");
        cancelled += usize::from(is_cancelled);
    }
    let late = usize::try_from(ROUNDS).unwrap() - cancelled;
    settled(&world, &vec!["too_late"; late]).await;
}
