//! A flood of garbage: it stops nothing, fills nothing, and pushes out no erasure.

use lacuna::{
    domain::{calendar::Period, words::CommandKind},
    engine::{Engine, dead_letters::DeadLetterLimits},
    store::{DeadLetter, DeadLetterFilter},
};

use super::world::{COMMANDS, Sent, World, command_from};
use crate::store::fixture::Fixture;

on_both_stores!(
    flood_keeps_latest_letters_count_and_every_erasure,
    beyond_byte_limit_only_origin_of_garbage_is_kept,
    garbage_payload_expires_erasure_payload_stays,
);

/// A message of its own, which nobody can take in.
const GARBAGE: &str = "{\"type\": \"cancel\", \"padding\": \"0123456789012345678901234567890123456789\"";
/// An erasure that nobody can take in.
const BROKEN_ERASURE: &str = "{\"type\": \"erase\", \"command_id\": \"00000000-0000-4000-8000-00000000e7a5\"";

async fn world(fixture: Fixture, letters: DeadLetterLimits) -> World {
    let mut world = World::new(fixture).await;
    world.settings.dead_letters = letters;
    world
}

async fn refuse(world: &World, engine: &Engine, texts: &[&str]) -> Sent {
    // Letters of one moment stand in no order.
    world.clock.advance(std::time::Duration::from_millis(1));
    let batch: Vec<_> = texts
        .iter()
        .map(|text| command_from(engine, Some(world.origin(COMMANDS)), text))
        .collect();
    Sent::of(&engine.intake().take_in(&batch).await.unwrap().emission)
}

async fn letters(world: &World) -> Vec<DeadLetter> {
    let filter = DeadLetterFilter {
        with_payload: true,
        limit: 1_000,
        ..DeadLetterFilter::default()
    };
    world.fixture.store.dead_letters(filter).await.unwrap()
}

async fn flood_keeps_latest_letters_count_and_every_erasure(fixture: Fixture) {
    let limits = DeadLetterLimits {
        count: 10,
        ..DeadLetterLimits::default()
    };
    let world = world(fixture, limits).await;
    let engine = world.worker().await;
    refuse(&world, &engine, &[BROKEN_ERASURE]).await;
    for _ in 0..5 {
        refuse(&world, &engine, &[GARBAGE; 10]).await;
    }
    refuse(&world, &engine, &[BROKEN_ERASURE]).await;
    engine
        .retention()
        .prune_dead_letters(world.clock.now())
        .await
        .unwrap();
    let left = letters(&world).await;
    let (erasures, garbage): (Vec<_>, Vec<_>) = left
        .iter()
        .partition(|letter| letter.kind == Some(CommandKind::Erase));
    assert_eq!((erasures.len(), garbage.len()), (2, 10));
    assert!(erasures.iter().all(|letter| letter.sealed.is_some()));
    let mut latest: Vec<i64> = garbage.iter().map(|letter| letter.origin.offset).collect();
    latest.sort_unstable();
    assert_eq!(latest, (41..=50).collect::<Vec<_>>());
    let dropped = world.fixture.store.dropped_letters().await.unwrap();
    assert_eq!(
        (dropped.len(), dropped[0].count, &*dropped[0].topic),
        (1, 40, COMMANDS)
    );
    let metrics = engine.metrics.text().unwrap();
    assert!(
        metrics.contains("lacuna_dead_letters_dropped_total{topic=\"commands\"} 40"),
        "{metrics}"
    );
}

async fn beyond_byte_limit_only_origin_of_garbage_is_kept(fixture: Fixture) {
    let limits = DeadLetterLimits {
        bytes: 1_000,
        ..DeadLetterLimits::default()
    };
    let world = world(fixture, limits).await;
    let engine = world.worker().await;
    let sent = refuse(&world, &engine, &[GARBAGE; 20]).await;
    assert!(
        sent.letters.iter().all(|(_, sealed)| !sealed.is_empty()),
        "the topic of dead letters has them all"
    );
    let kept = letters(&world).await;
    let with_payload = kept.iter().filter(|letter| letter.sealed.is_some()).count();
    assert_eq!(kept.len(), 20, "no place is lost");
    assert!((1..12).contains(&with_payload), "{with_payload}");
    let stored = world.fixture.store.letters_by_topic().await.unwrap();
    assert!(stored[0].bytes <= 1_000, "{stored:?}");
    refuse(&world, &engine, &[BROKEN_ERASURE]).await;
    let erasure = letters(&world).await.pop().unwrap();
    assert_eq!(erasure.kind, Some(CommandKind::Erase));
    assert!(erasure.sealed.is_some(), "garbage pushes no erasure out");
    // Another worker finds the same, and room that somebody has made is used.
    let other = world.worker().await;
    other.retention().measure_dead_letters().await.unwrap();
    refuse(&world, &other, &[GARBAGE]).await;
    assert!(letters(&world).await.pop().unwrap().sealed.is_none());
    for letter in kept {
        let how = lacuna::store::DeadLetterState::Closed;
        let closed = world
            .fixture
            .store
            .close_dead_letter(letter.id, how, "a test", world.clock.now());
        closed.await.unwrap();
    }
    other.retention().measure_dead_letters().await.unwrap();
    refuse(&world, &other, &[GARBAGE]).await;
    assert!(letters(&world).await.pop().unwrap().sealed.is_some());
    let metrics = engine.metrics.text().unwrap();
    let line = format!(
        "lacuna_dead_letter_payloads_not_kept_total{{topic=\"commands\"}} {}",
        20 - with_payload
    );
    assert!(metrics.contains(&line), "{line}\n{metrics}");
}

async fn garbage_payload_expires_erasure_payload_stays(fixture: Fixture) {
    let limits = DeadLetterLimits {
        keep: Period::days(10),
        ..DeadLetterLimits::default()
    };
    let world = world(fixture, limits).await;
    let engine = world.worker().await;
    refuse(&world, &engine, &[GARBAGE]).await;
    refuse(&world, &engine, &[BROKEN_ERASURE]).await;
    let kept = async || -> Vec<bool> {
        let letters = letters(&world).await;
        letters.iter().map(|letter| letter.sealed.is_some()).collect()
    };
    world.clock.advance(std::time::Duration::from_secs(9 * 86_400));
    engine
        .retention()
        .prune_dead_letters(world.clock.now())
        .await
        .unwrap();
    assert_eq!(kept().await, [true, true]);
    world.clock.advance(std::time::Duration::from_secs(2 * 86_400));
    engine
        .retention()
        .prune_dead_letters(world.clock.now())
        .await
        .unwrap();
    assert_eq!(kept().await, [false, true]);
    let erasure = letters(&world).await.pop().unwrap();
    assert_eq!(
        erasure.ids,
        [uuid::Uuid::from_u128(0x0000_0000_0000_4000_8000_0000_0000_e7a5)],
        "upstream's lists find it"
    );
}
