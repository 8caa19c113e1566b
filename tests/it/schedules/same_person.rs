//! The same person again: merged, standing alone again, one too many; also when two workers look at once.

use std::{sync::Arc, time::Duration};

use lacuna::{
    domain::{
        ids::RequestId,
        request::{
            duplicates::{Duplicates, OverLimit, RepeatLimit},
            gates::Approval,
        },
        words::{RefusalBasis, Status},
    },
    engine::{Engine, intake::Verdict},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    control::{control, tell},
    world::{COMMANDS, Sent, World, answer, cancel, command_from, erase, id, origin_at},
};
use crate::store::fixture::Fixture;

on_both_stores!(
    a_merged_request_asks_nobody_and_closes_with_the_other,
    a_merged_request_stands_alone_when_the_other_is_cancelled,
    a_merged_request_that_stands_alone_is_held_and_found,
    a_flood_for_one_person_is_one_erasure,
    a_flood_for_one_person_delays_nobody_else,
    an_overlap_joins_nobody,
    too_many_are_refused_as_excessive,
    too_many_wait_for_an_approval,
    a_merge_and_the_others_end_at_once,
    a_cancelled_leader_in_the_same_batch,
    a_share_that_is_done_covers_nothing_that_was_given_since,
    a_kept_share_and_a_restored_one_cover_what_was_given_since,
);

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The n-th command, for the person of the first one.
fn again(n: u128) -> Value {
    let mut command = erase(1);
    command["command_id"] = json!(Uuid::from_u128(n));
    command
}

fn later(mut command: Value) -> Value {
    command["not_before"] = json!("2026-11-26T12:00:00Z");
    command
}

/// Answers what was sent, and what comes after it, until nobody is asked any more.
async fn answer_all(world: &World, engine: &Engine, sent: &Sent) {
    let mut open = sent.tasks.clone();
    while let Some(task) = open.pop() {
        let (_, next) = world.settle(engine, &answer(&task, "erased")).await;
        open.extend(next.tasks);
    }
}

async fn found(world: &World, engine: &Engine, n: u128) -> Vec<RequestId> {
    let identity = lacuna::domain::identity::Identity {
        kind: lacuna::domain::ids::IdentityType::new("email").unwrap(),
        value: lacuna::domain::identity::SubjectData::new(
            erase(n)["subject"]["identities"][0]["value"].as_str().unwrap(),
        ),
    };
    let tenant = lacuna::domain::ids::Tenant::new("acme").unwrap();
    let digest = engine.vault.lookup_digest(&tenant, &identity);
    let mut found = world.fixture.store.of_subject(&[digest], 100).await.unwrap();
    found.sort_unstable();
    found
}

async fn a_merged_request_asks_nobody_and_closes_with_the_other(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let (_, first) = world.take_in(&engine, &again(1)).await;
    let (verdict, second) = world.take_in(&engine, &again(2)).await;
    assert_eq!(verdict, Verdict::Taken(id(2)));
    assert!(second.tasks.is_empty());
    let status = second.status();
    assert_eq!(
        (
            &status["status"],
            &status["merged_into"],
            &status["completed_at"],
            &status["tasks"]["total"]
        ),
        (&json!("merged"), &json!(id(1)), &Value::Null, &json!(0))
    );
    assert!(
        !world.request(2).await.bookkeeping.readable,
        "what was sent cannot be withdrawn"
    );
    assert_eq!(found(&world, &engine, 1).await, [id(1), id(2)]);
    let (verdict, _) = world.take_in(&engine, &again(2)).await;
    assert_eq!(verdict, Verdict::Duplicate(id(2)));

    answer_all(&world, &engine, &first).await;
    assert_eq!(world.request(1).await.life.status, Status::Completed);
    let sent = world.wake(&engine).await;
    assert_eq!(sent.status()["request_id"], json!(id(2)));
    assert_eq!(
        sent.status()["completed_at"],
        json!(world.request(1).await.life.completed_at)
    );
    world.check().await;
    let (_, third) = world.take_in(&engine, &again(3)).await;
    assert_eq!(third.asked(), ["crm", "stats"], "what is closed covers nothing");
}

async fn a_merged_request_stands_alone_when_the_other_is_cancelled(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    world.take_in(&engine, &later(again(1))).await;
    let (_, second) = world.take_in(&engine, &again(2)).await;
    assert_eq!(second.status()["status"], "merged");
    assert!(world.request(2).await.bookkeeping.readable);
    world.check().await;

    world.clock.advance(HOUR);
    world.take_in(&engine, &cancel(1)).await;
    assert_eq!(world.request(1).await.life.status, Status::Cancelled);
    let sent = world.wake(&engine).await;
    assert_eq!(sent.status()["request_id"], json!(id(2)));
    assert_eq!(sent.status()["status"], "in_progress");
    assert_eq!(sent.asked(), ["crm", "stats"]);
    assert_eq!(found(&world, &engine, 1).await, [id(1), id(2)]);
    answer_all(&world, &engine, &sent).await;
    assert_eq!(world.request(2).await.life.status, Status::Completed);
    world.check().await;
}

async fn a_merged_request_that_stands_alone_is_held_and_found(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    world.take_in(&engine, &later(again(1))).await;
    world.take_in(&engine, &again(2)).await;
    let hold = json!({
        "type": "hold", "hold_id": Uuid::from_u128(0xbbbb), "basis": "dispute", "subject": again(1)["subject"],
    });
    tell(&world, &engine, &control(1, hold)).await;
    world.take_in(&engine, &cancel(1)).await;
    let sent = world.wake(&engine).await;
    assert!(sent.tasks.is_empty(), "held: {sent:?}");
    let held = world.request(2).await;
    assert_eq!(held.life.status, Status::InProgress);
    assert!(held.tasks.iter().all(|task| task.attempt == 0));
    world.check().await;
}

async fn a_flood_for_one_person_is_one_erasure(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let mut asked = 0;
    for batch in 0..4_u128 {
        let arrivals: Vec<_> = (1..=250)
            .map(|n| world.command(&engine, &again(batch * 250 + n)))
            .collect();
        let taken = engine.intake().take_in(&arrivals).await.unwrap();
        assert!(taken.verdicts.iter().all(|v| matches!(v, Verdict::Taken(_))));
        asked += Sent::of(&taken.emission).tasks.len();
    }
    assert_eq!(asked, 2, "crm and stats, once");
    assert_eq!(world.request(1).await.bookkeeping.followers, 999);
    world.check().await;
}

async fn a_flood_for_one_person_delays_nobody_else(fixture: Fixture) {
    let mut world = World::new(fixture).await;
    world.settings.approval = Approval::AbovePerHour(3);
    let engine = world.worker().await;
    for n in 1..=6 {
        world.take_in(&engine, &again(n)).await;
    }
    for n in [11, 12] {
        let (_, sent) = world.take_in(&engine, &erase(n)).await;
        assert_eq!(sent.asked(), ["crm", "stats"], "request {n}");
    }
    let (_, sent) = world.take_in(&engine, &erase(13)).await;
    assert_eq!(sent.status()["status"], "awaiting_approval");
    world.check().await;
}

async fn an_overlap_joins_nobody(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let of = |n: u128, email: &str, customer: &str| {
        let mut command = again(n);
        command["subject"]["identities"] =
            json!([{"type": "email", "value": email}, {"type": "customer_id", "value": customer}]);
        command
    };
    world.take_in(&engine, &of(1, "a@example.org", "1")).await;
    let (_, sent) = world.take_in(&engine, &of(2, "b@example.org", "1")).await;
    assert_eq!(sent.asked(), ["crm", "stats"]);
    let (_, sent) = world.take_in(&engine, &of(3, " A@Example.org", "1")).await;
    assert_eq!(
        sent.status()["merged_into"],
        json!(id(1)),
        "one spelling of one address"
    );
    let mut other = of(4, "a@example.org", "1");
    other["tenant"] = json!("other");
    let (_, sent) = world.take_in(&engine, &other).await;
    assert_eq!(sent.asked(), ["crm", "stats"], "another tenant's");
    world.check().await;
}

async fn limited(fixture: Fixture, then: OverLimit) -> (World, Arc<Engine>) {
    let mut world = World::new(fixture).await;
    world.settings.rules.duplicates = Duplicates {
        repeat_limit: RepeatLimit {
            then,
            ..Duplicates::default().repeat_limit
        },
        ..Duplicates::default()
    };
    let engine = world.worker().await;
    for n in 1..=3 {
        let (_, sent) = world.take_in(&engine, &again(n)).await;
        assert_eq!(sent.asked(), ["crm", "stats"]);
        answer_all(&world, &engine, &sent).await;
        world.clock.advance(DAY);
    }
    (world, engine)
}

async fn too_many_are_refused_as_excessive(fixture: Fixture) {
    let (world, engine) = limited(fixture, OverLimit::Refuse).await;
    let (verdict, sent) = world.take_in(&engine, &again(4)).await;
    assert_eq!(verdict, Verdict::Taken(id(4)));
    assert!(sent.tasks.is_empty());
    assert_eq!(
        (&sent.status()["status"], &sent.status()["refused_on"]),
        (&json!("refused"), &json!("excessive"))
    );
    let refused = world.request(4).await;
    assert_eq!(refused.life.refused, Some(RefusalBasis::Excessive));
    assert!(!refused.bookkeeping.readable);
    world.clock.advance(DAY * 365);
    let (_, sent) = world.take_in(&engine, &again(5)).await;
    assert_eq!(sent.asked(), ["crm", "stats"], "the year is over");
    world.check().await;
}

async fn too_many_wait_for_an_approval(fixture: Fixture) {
    let (world, engine) = limited(fixture, OverLimit::Approval).await;
    let (_, sent) = world.take_in(&engine, &again(4)).await;
    assert!(sent.tasks.is_empty());
    assert_eq!(sent.status()["status"], "awaiting_approval");
    world.check().await;
}

/// Whoever comes first, the merged one learns of the end.
async fn a_merge_and_the_others_end_at_once(fixture: Fixture) {
    let world = World::new(fixture).await;
    let (one, two) = (world.worker().await, world.worker().await);
    for round in 0..8_u128 {
        let (n, m) = (round * 10 + 1, round * 10 + 2);
        let first = erase(n);
        let mut second = erase(n);
        second["command_id"] = json!(Uuid::from_u128(m));
        let (_, sent) = world.take_in(&one, &first).await;
        world.settle(&one, &answer(sent.task("stats"), "erased")).await;
        let (_, sent) = world.settle(&one, &answer(sent.task("crm"), "erased")).await;
        let last = [world.ack(&one, &answer(sent.task("mail"), "erased"))];
        let offset = 1_000_000 + i64::try_from(round).unwrap();
        let command = [command_from(
            &two,
            Some(origin_at(COMMANDS, 1, offset)),
            &second.to_string(),
        )];
        let (settled, taken) = tokio::join!(one.settlement().settle(&last), two.intake().take_in(&command));
        settled.unwrap();
        let taken = Sent::of(&taken.unwrap().emission);
        world.wake(&one).await;
        let (first, second) = (world.request(n).await, world.request(m).await);
        assert_eq!(first.life.status, Status::Completed);
        if second.life.status == Status::Merged {
            assert_eq!(second.life.completed_at, first.life.completed_at, "round {round}");
        } else {
            assert_eq!(taken.asked(), ["crm", "stats"], "round {round}");
        }
    }
    world.check().await;
}

async fn a_cancelled_leader_in_the_same_batch(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let batch = [later(again(1)), again(2), cancel(1), again(3)].map(|c| world.command(&engine, &c));
    let sent = Sent::of(&engine.intake().take_in(&batch).await.unwrap().emission);
    assert_eq!(
        sent.asked(),
        ["crm", "stats"],
        "the third finds nothing that covers it"
    );
    let sent = world.wake(&engine).await;
    assert_eq!(sent.status()["request_id"], json!(id(2)));
    assert_eq!(sent.asked(), ["crm", "stats"]);
    world.check().await;
}

async fn a_share_that_is_done_covers_nothing_that_was_given_since(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let (_, first) = world.take_in(&engine, &again(1)).await;
    // Out everywhere: the same wish, and whoever answers later answers for both.
    world.clock.advance(HOUR);
    let (_, second) = world.take_in(&engine, &again(2)).await;
    assert_eq!(second.status()["status"], "merged");
    world
        .settle(&engine, &answer(first.task("stats"), "erased"))
        .await;
    assert_eq!(world.request(1).await.life.status, Status::InProgress);
    // The person has gone on using the service, and asks again while the first is still open.
    world.clock.advance(HOUR);
    let (_, third) = world.take_in(&engine, &again(3)).await;
    assert_eq!(third.asked(), ["crm", "stats"], "what was given since is erased");
    assert_eq!(third.status()["status"], "in_progress");
    world.check().await;
}

const KEEPS: &str = r#"
[[processor]]
id = "shop"
kind = "crm"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
[[processor.retention]]
categories = ["invoices"]
basis = "tax_law"
keep = "5y"
then = "erase"
[[processor]]
id = "stats"
kind = "analytics"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
[[processor]]
id = "nightly"
kind = "backup"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
backup = { sources = ["shop"], set = "nightly", keep = "35d", confirm_by = "event" }
"#;

async fn a_kept_share_and_a_restored_one_cover_what_was_given_since(fixture: Fixture) {
    let world = World::with_registry(fixture, KEEPS).await;
    let engine = world.worker().await;
    let (_, first) = world.take_in(&engine, &again(1)).await;
    // What a law keeps is sent later, so it covers; what is done does not.
    world.settle(&engine, &answer(first.task("shop"), "erased")).await;
    world.clock.advance(HOUR);
    let (_, second) = world.take_in(&engine, &again(2)).await;
    assert_eq!(second.asked(), ["shop", "stats"]);
    // A backup is put back: the first is sent anew, and covers again whoever asks before it is proved.
    let event = json!({ "event_id": Uuid::from_u128(5), "type": "backup.restored", "processor": "nightly",
                        "set": "nightly", "taken_at": "2026-11-21T11:00:00Z", "restored_into": ["shop"] });
    let arrival = super::world::backup_from(&engine, &event);
    engine.backup_events().record_backups(&[arrival]).await.unwrap();
    while engine.fact_sweeps().sweep().await.unwrap().busy {}
    assert_eq!(world.request(1).await.task(0).generation, 2);
    let (_, third) = world.take_in(&engine, &again(3)).await;
    assert_eq!(third.status()["merged_into"], json!(id(1)));
    world.check().await;
}
