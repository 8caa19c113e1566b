//! Vendors that accept and say no more: their published term closes a task, apart from what was proved.

use std::time::Duration;

use lacuna::engine::settlement::AckVerdict;
use serde_json::{Value, json};

use super::world::{REGISTRY, Sent, World, answer, erase};
use crate::store::fixture::Fixture;

on_both_stores!(
    a_published_term_completes_a_request_and_its_count_says_so,
    a_probe_is_sent_at_the_term_and_its_answer_counts,
    a_crash_before_the_probe_left_loses_nothing,
    a_proof_after_the_term_is_told_and_completes_it_still,
    a_shorter_term_moves_what_was_accepted,
    a_term_waits_for_the_acks_to_be_read,
    a_vendor_that_has_left_is_not_attested,
);

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The registry, with a term that `stats` has published.
fn with_term(term: &str) -> String {
    REGISTRY.replace(
        "id = \"stats\"\n",
        &format!("id = \"stats\"\ncompletes_by = {term}\n"),
    )
}

/// Erased everywhere, but that `stats` has only accepted.
async fn accepted(world: &World, engine: &lacuna::engine::Engine) -> (Sent, Value) {
    let (_, opened) = world.take_in(engine, &erase(1)).await;
    let (_, next) = world.settle(engine, &answer(opened.task("crm"), "erased")).await;
    world.settle(engine, &answer(next.task("mail"), "erased")).await;
    let task = opened.task("stats").clone();
    let (_, sent) = world.settle(engine, &answer(&task, "accepted")).await;
    (sent, task)
}

async fn a_published_term_completes_a_request_and_its_count_says_so(fixture: Fixture) {
    let world = World::with_registry(fixture, &with_term("{ after = \"7d\" }")).await;
    let engine = world.worker().await;
    let (sent, _) = accepted(&world, &engine).await;
    let status = sent.status();
    assert_eq!(
        status["waiting_for"],
        json!([{
            "processor": "stats", "state": "accepted", "why": "attestation", "until": "2026-11-28T12:00:00Z"
        }])
    );
    let sent = world.pass(&engine, 2 * DAY).await;
    assert!(
        sent.statuses
            .iter()
            .all(|status| status["needs_attention"] == false)
    );
    world.check().await;
    let sent = world.pass(&engine, 5 * DAY).await;
    let status = sent.status();
    assert_eq!(status["status"], "completed");
    assert_eq!(
        status["outcomes"],
        json!({ "erased": 2, "anonymized": 0, "not_found": 0, "attested": 1, "exempt": 0 })
    );
    assert_eq!(status["tasks"]["done"], 3);
    assert!(sent.tasks.is_empty(), "nobody is asked");
    world.check().await;
}

async fn a_probe_is_sent_at_the_term_and_its_answer_counts(fixture: Fixture) {
    let world = World::with_registry(fixture, &with_term("{ after = \"7d\", probe = true }")).await;
    let engine = world.worker().await;
    accepted(&world, &engine).await;
    let probe = world.pass(&engine, 7 * DAY).await;
    let task = probe.task("stats").clone();
    assert_eq!(
        (&task["action"], &task["generation"]),
        (&json!("verify"), &json!(2))
    );
    let (_, again) = world.settle(&engine, &answer(&task, "present")).await;
    let task = again.task("stats").clone();
    assert_eq!(
        (&task["action"], &task["generation"]),
        (&json!("erase"), &json!(3))
    );
    world.settle(&engine, &answer(&task, "accepted")).await;
    world.check().await;
    let probe = world.pass(&engine, 7 * DAY).await;
    let (_, sent) = world
        .settle(&engine, &answer(probe.task("stats"), "absent"))
        .await;
    assert_eq!(sent.status()["status"], "completed");
    assert_eq!(sent.status()["outcomes"]["erased"], 3);
    assert_eq!(sent.status()["outcomes"]["attested"], 0);
    world.check().await;
}

async fn a_crash_before_the_probe_left_loses_nothing(fixture: Fixture) {
    let world = World::with_registry(fixture, &with_term("{ after = \"7d\", probe = true }")).await;
    let engine = world.worker().await;
    accepted(&world, &engine).await;
    // The probe is decided, and the worker dies before it has produced it.
    let lost = world.pass(&engine, 7 * DAY).await;
    assert_eq!(lost.asked(), vec!["stats"]);
    drop(engine);
    let engine = world.worker().await;
    let again = world.pass(&engine, Duration::from_secs(3600)).await;
    assert!(
        again.tasks.is_empty(),
        "its answer is missing, and it waits for its turn"
    );
    let again = world.pass(&engine, Duration::from_secs(10)).await;
    assert_eq!(again.task("stats")["attempt"], 2);
    // Both attempts were used, and nobody has said anything.
    let sent = world.pass(&engine, Duration::from_secs(3600)).await;
    assert_eq!(sent.status()["outcomes"]["attested"], 1);
    assert_eq!(sent.status()["status"], "completed");
    world.check().await;
}

async fn a_proof_after_the_term_is_told_and_completes_it_still(fixture: Fixture) {
    let world = World::with_registry(fixture, &with_term("{ after = \"7d\" }")).await;
    let engine = world.worker().await;
    let (_, task) = accepted(&world, &engine).await;
    world.pass(&engine, 7 * DAY).await;
    let (verdict, sent) = world.settle(&engine, &answer(&task, "erased")).await;
    assert!(matches!(verdict, AckVerdict::Counted { .. }), "{verdict:?}");
    assert_eq!(sent.status()["status"], "completed");
    assert_eq!(sent.status()["outcomes"]["erased"], 3);
    let (verdict, sent) = world.settle(&engine, &answer(&task, "erased")).await;
    assert_eq!((verdict, sent), (AckVerdict::Repeated, Sent::default()));
    world.check().await;
}

async fn a_shorter_term_moves_what_was_accepted(fixture: Fixture) {
    let world = World::with_registry(fixture, &with_term("{ after = \"70d\" }")).await;
    let engine = world.worker().await;
    accepted(&world, &engine).await;
    world.apply(&with_term("{ after = \"3d\" }")).await;
    engine.load_registry().await.unwrap();
    while engine.fact_sweeps().sweep().await.unwrap().busy {}
    let waiting = world.request(1).await;
    let waiting = waiting.waiting_for();
    assert_eq!(waiting[0].until.unwrap().to_string(), "2026-11-24T12:00:00Z");
    let sent = world.pass(&engine, 3 * DAY).await;
    assert_eq!(sent.status()["outcomes"]["attested"], 1);
    world.check().await;
}

async fn a_term_waits_for_the_acks_to_be_read(fixture: Fixture) {
    let world = World::with_registry(fixture, &with_term("{ after = \"7d\" }")).await;
    let engine = world.worker().await;
    let (_, task) = accepted(&world, &engine).await;
    // The proof lies unread while nobody settles.
    world.clock.advance(30 * DAY);
    world.wake(&engine).await;
    assert_eq!(world.request(1).await.counts().attested, 0);
    let (_, sent) = world.settle(&engine, &answer(&task, "erased")).await;
    assert_eq!(sent.status()["outcomes"]["erased"], 3);
    world.check().await;
}

async fn a_vendor_that_has_left_is_not_attested(fixture: Fixture) {
    let world = World::with_registry(fixture, &with_term("{ after = \"7d\" }")).await;
    let engine = world.worker().await;
    accepted(&world, &engine).await;
    let left: String = REGISTRY
        .split("[[processor]]")
        .skip(1)
        .filter(|part| !part.contains("id = \"stats\""))
        .map(|part| format!("[[processor]]{part}"))
        .collect();
    world.apply(&left).await;
    engine.load_registry().await.unwrap();
    while engine.fact_sweeps().sweep().await.unwrap().busy {}
    assert!(world.request(1).await.life.needs_attention);
    world.pass(&engine, 30 * DAY).await;
    let request = world.request(1).await;
    assert_eq!(request.counts().attested, 0);
    assert!(!request.life.status.is_final());
    world.check().await;
}
