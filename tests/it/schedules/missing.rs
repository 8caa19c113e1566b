//! Answers that do not come, come late, or come for what was asked before.

use std::time::Duration;

use lacuna::{domain::words::DeadLetterReason, engine::settlement::AckVerdict, store::Seen};
use serde_json::json;
use std::sync::Arc;

use super::world::{ACKS, Sent, World, ack_from, answer, erase, id, start};
use crate::store::fixture::Fixture;

on_both_stores!(
    acks_that_were_not_read_are_not_missing,
    a_partition_that_never_reported_may_hold_anything,
    a_partition_that_was_added_may_hold_an_answer_at_once,
    a_slow_partition_holds_up_only_what_may_be_answered_there,
    a_retry_has_its_own_number_and_token,
    the_old_tokens_success_settles,
    the_last_attempt_abandons_and_a_late_success_still_settles,
    retry_after_is_kept_to_the_second,
    a_retention_wakes_by_itself,
    nothing_is_sent_before_its_date,
    a_deadline_passes_once,
    a_long_agenda_is_walked_in_batches,
);

const HOUR: Duration = Duration::from_secs(3600);

fn refused(verdict: &AckVerdict) -> Option<DeadLetterReason> {
    match verdict {
        AckVerdict::Rejected(refusal) => Some(refusal.reason),
        AckVerdict::Counted { .. } | AckVerdict::Repeated => None,
    }
}

async fn acks_that_were_not_read_are_not_missing(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let (_, opened) = world.take_in(&engine, &erase(1)).await;
    world.read_acks().await;
    // Settling stands still for a week, while the agenda goes on.
    for _ in 0..7 {
        world.clock.advance(24 * HOUR);
        assert!(world.wake(&engine).await.tasks.is_empty());
    }
    assert!(
        world
            .request(1)
            .await
            .tasks
            .iter()
            .all(|task| (task.attempt, task.counted) < (2, 1))
    );
    // Then it reads on, and what was answered in time counts.
    let (verdict, _) = world.settle(&engine, &answer(opened.task("crm"), "erased")).await;
    assert!(matches!(verdict, AckVerdict::Counted { .. }));
    let sent = world.pass(&engine, Duration::from_secs(2)).await;
    assert!(
        sent.tasks.is_empty(),
        "stats is late now, and waits for its next attempt"
    );
    assert_eq!(world.request(1).await.tasks[1].counted, 1);
    assert_eq!(
        world.pass(&engine, Duration::from_secs(10)).await.asked(),
        ["stats"]
    );
    world.check().await;
}

async fn a_partition_that_never_reported_may_hold_anything(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    engine.set_ack_partitions(2);
    world.take_in(&engine, &erase(1)).await;
    world.pass(&engine, 2 * HOUR).await;
    assert_eq!(world.request(1).await.tasks[0].counted, 0);
    let second = |at| Seen {
        cluster: Arc::from("test"),
        topic: Arc::from(ACKS),
        partition: 1,
        next: 0,
        at,
    };
    // The slowest partition counts.
    world
        .fixture
        .store
        .seen(&[second(start().plus(HOUR))])
        .await
        .unwrap();
    world.pass(&engine, Duration::from_secs(60)).await;
    assert_eq!(world.request(1).await.tasks[0].counted, 0);
    world
        .fixture
        .store
        .seen(&[second(world.clock.now())])
        .await
        .unwrap();
    world.pass(&engine, Duration::from_secs(60)).await;
    assert_eq!(world.request(1).await.tasks[0].counted, 1);
    world.check().await;
}

async fn a_partition_that_was_added_may_hold_an_answer_at_once(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    engine.know_ack_partitions(1, world.clock.now());
    world.take_in(&engine, &erase(1)).await;
    world.clock.advance(2 * HOUR);
    world.read_acks().await;
    // Since then somebody may have added one, and answered there.
    world.wake(&engine).await;
    assert_eq!(world.request(1).await.tasks[0].counted, 0);
    engine.know_ack_partitions(2, world.clock.now());
    world.pass(&engine, Duration::from_secs(60)).await;
    assert_eq!(
        world.request(1).await.tasks[0].counted,
        0,
        "nobody has read the second one"
    );
    engine.know_ack_partitions(1, world.clock.now());
    world.pass(&engine, Duration::from_secs(60)).await;
    assert_eq!(world.request(1).await.tasks[0].counted, 1);
    world.check().await;
}

/// Where librdkafka puts a key.
fn partition_of(n: u128, partitions: u32) -> i32 {
    let crc = !id(n).to_string().bytes().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 }
        })
    });
    i32::try_from(crc % partitions).unwrap()
}

async fn a_slow_partition_holds_up_only_what_may_be_answered_there(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    engine.set_ack_partitions(2);
    // The CRM answers where the request's key puts it, as the contract has it. Nobody has heard of the statistics yet.
    for n in 1..=20 {
        let (_, opened) = world.take_in(&engine, &erase(n)).await;
        let mut origin = world.origin(ACKS);
        origin.partition = partition_of(n, 2);
        let ack = ack_from(&engine, Some(origin), &answer(opened.task("crm"), "erased"));
        let settled = engine.settlement().settle(&[ack]).await.unwrap();
        assert!(matches!(settled.verdicts[..], [AckVerdict::Counted { .. }]));
    }
    let [quick, slow] = [0, 1].map(|partition| (21..).find(|n| partition_of(*n, 2) == partition).unwrap());
    for n in [quick, slow] {
        world.take_in(&engine, &erase(n)).await;
    }
    // The second partition is read no further.
    let counted = async || {
        let (quick, slow) = (world.request(quick).await, world.request(slow).await);
        [&quick, &slow].map(|request| [0, 1].map(|ordinal| request.tasks[ordinal].counted))
    };
    // Another worker knows it from the store.
    let other = world.worker().await;
    other.set_ack_partitions(2);
    world.pass(&other, 2 * HOUR).await;
    assert_eq!(counted().await, [[1, 0], [0, 0]]);
    // One answer somewhere else, and it may come from anywhere.
    let (_, opened) = world.take_in(&engine, &erase(900)).await;
    let mut origin = world.origin(ACKS);
    origin.partition = 1 - partition_of(900, 2);
    let stray = ack_from(&engine, Some(origin), &answer(opened.task("crm"), "erased"));
    engine.settlement().settle(&[stray]).await.unwrap();
    world.pass(&other, 2 * HOUR).await;
    assert_eq!(counted().await, [[1, 0], [0, 0]]);
    world.check().await;
}

async fn a_retry_has_its_own_number_and_token(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let (_, opened) = world.take_in(&engine, &erase(1)).await;
    let first = opened.task("crm").clone();
    world.settle(&engine, &answer(&first, "failed")).await;
    let again = world.pass(&engine, Duration::from_secs(10)).await;
    let second = again.task("crm").clone();
    assert_eq!(
        (&second["task_id"], &second["generation"]),
        (&first["task_id"], &first["generation"])
    );
    assert_eq!((&first["attempt"], &second["attempt"]), (&json!(1), &json!(2)));
    assert_ne!(first["ack"]["token"], second["ack"]["token"]);
    assert_eq!(first["identities"], second["identities"]);

    // The first token says nothing about the second attempt, and the other way round.
    for (token, attempt) in [(&first, 2), (&second, 1)] {
        let mut mixed = answer(token, "erased");
        mixed["attempt"] = json!(attempt);
        let (verdict, sent) = world.settle(&engine, &mixed).await;
        assert_eq!(refused(&verdict), Some(DeadLetterReason::ForgedAck));
        assert_eq!(sent.reasons(), ["forged_ack"]);
    }
    // A failure of the first attempt says nothing about the second one.
    let (verdict, _) = world.settle(&engine, &answer(&first, "failed")).await;
    assert_eq!(refused(&verdict), Some(DeadLetterReason::StaleAck));
    assert_eq!(world.request(1).await.tasks[0].counted, 1);
    world.check().await;
}

async fn the_old_tokens_success_settles(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let (_, opened) = world.take_in(&engine, &erase(1)).await;
    world.pass(&engine, HOUR).await;
    let again = world.pass(&engine, Duration::from_secs(10)).await;
    assert_eq!(again.asked(), ["crm", "stats"]);
    let (verdict, sent) = world.settle(&engine, &answer(opened.task("crm"), "erased")).await;
    assert!(matches!(verdict, AckVerdict::Counted { .. }));
    assert_eq!(sent.asked(), ["mail"]);
    // The second copy was done as well, and found nothing any more.
    let (verdict, sent) = world
        .settle(&engine, &answer(again.task("crm"), "not_found"))
        .await;
    assert_eq!((verdict, sent), (AckVerdict::Repeated, Sent::default()));
    assert_eq!(world.request(1).await.counts().erased, 1);
    world.check().await;
}

async fn the_last_attempt_abandons_and_a_late_success_still_settles(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let (_, opened) = world.take_in(&engine, &erase(1)).await;
    world.pass(&engine, HOUR).await;
    world.pass(&engine, Duration::from_secs(10)).await;
    let given_up = world.pass(&engine, HOUR).await;
    let status = given_up.status();
    assert_eq!(
        (&status["tasks"]["abandoned"], &status["needs_attention"]),
        (&json!(2), &json!(true))
    );
    assert_eq!(status["waiting_for"][0]["why"], "abandoned");
    world
        .settle(&engine, &answer(opened.task("stats"), "erased"))
        .await;
    let (_, sent) = world.settle(&engine, &answer(opened.task("crm"), "erased")).await;
    assert_eq!(sent.status()["needs_attention"], json!(false));
    let (_, sent) = world.settle(&engine, &answer(sent.task("mail"), "erased")).await;
    assert_eq!(sent.status()["status"], "completed");
    world.check().await;
}

async fn retry_after_is_kept_to_the_second(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let (_, opened) = world.take_in(&engine, &erase(1)).await;
    let mut ack = answer(opened.task("crm"), "partial");
    ack["retry_after_seconds"] = json!(777);
    let (_, sent) = world.settle(&engine, &ack).await;
    let until = start().plus(Duration::from_secs(777));
    assert_eq!(sent.status()["waiting_for"][0]["until"], json!(until));
    assert!(
        world
            .pass(&engine, Duration::from_secs(776))
            .await
            .tasks
            .is_empty()
    );
    assert_eq!(world.pass(&engine, Duration::from_secs(1)).await.asked(), ["crm"]);
    world.check().await;
}

async fn a_retention_wakes_by_itself(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let (_, opened) = world.take_in(&engine, &erase(1)).await;
    let until = start().plus(400 * 24 * HOUR);
    let mut ack = answer(opened.task("crm"), "retained");
    ack["retained"] = json!({ "basis": "tax_law", "until": until });
    let (_, sent) = world.settle(&engine, &ack).await;
    assert_eq!(sent.asked(), ["mail"], "what comes after does not wait for years");
    world.settle(&engine, &answer(sent.task("mail"), "erased")).await;
    let (_, sent) = world
        .settle(&engine, &answer(opened.task("stats"), "erased"))
        .await;
    assert_eq!(sent.status()["status"], "deferred");
    let asked = world.pass(&engine, 400 * 24 * HOUR).await;
    assert_eq!(asked.task("crm")["attempt"], 2);
    assert_eq!(asked.status()["overdue"], json!(false));
    let (_, sent) = world.settle(&engine, &answer(asked.task("crm"), "erased")).await;
    assert_eq!(sent.status()["status"], "completed");
    world.check().await;
}

async fn nothing_is_sent_before_its_date(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let mut command = erase(1);
    command["not_before"] = json!(start().plus(24 * HOUR));
    let (_, sent) = world.take_in(&engine, &command).await;
    assert_eq!(
        (sent.tasks.len(), &sent.status()["status"]),
        (0, &json!("scheduled"))
    );
    assert_eq!(
        world.pass(&engine, 24 * HOUR - Duration::from_millis(1)).await,
        Sent::default()
    );
    let sent = world.pass(&engine, Duration::from_millis(1)).await;
    assert_eq!(sent.asked(), ["crm", "stats"]);
    assert_eq!(sent.status()["status"], "in_progress");
    world.check().await;
}

async fn a_deadline_passes_once(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let (_, opened) = world.take_in(&engine, &erase(1)).await;
    for processor in ["crm", "stats"] {
        world
            .settle(&engine, &answer(opened.task(processor), "rejected"))
            .await;
    }
    let mut told = 0;
    for _ in 0..60 {
        let sent = world.pass(&engine, 24 * HOUR).await;
        told += sent.statuses.len();
        assert!(sent.statuses.len() <= 1);
    }
    assert_eq!(told, 2, "at risk, overdue, and nothing else in two months");
    assert!(world.request(1).await.life.overdue);
    world.check().await;
}

async fn a_long_agenda_is_walked_in_batches(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let batch: Vec<_> = (1..=700).map(|n| world.command(&engine, &erase(n))).collect();
    engine.intake().take_in(&batch).await.unwrap();
    world.clock.advance(HOUR);
    world.read_acks().await;
    let mut woken = Vec::new();
    loop {
        let turn = engine.agenda().wake_due(world.clock.now()).await.unwrap();
        woken.push(turn.count);
        if !turn.more {
            break;
        }
    }
    assert_eq!(woken, [500, 200]);
    assert_eq!(world.request(700).await.tasks[0].counted, 1);
    assert_eq!(
        engine
            .agenda()
            .unproduced(world.clock.now().plus(HOUR))
            .await
            .unwrap()
            .len(),
        500
    );
    assert!(world.stored(701).await.is_none(), "{}", id(701));
    world.check().await;
}
