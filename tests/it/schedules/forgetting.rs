//! Invariant 8: identifiers exist in the vault and in messages to processors, and after the end nowhere.

use std::time::Duration;

use lacuna::{delivery::republish::republish, domain::body::Subject, store::StoredBody};
use serde_json::json;

use super::world::{CANARY, Sent, World, answer, command_from, erase, id};
use crate::store::fixture::{Fixture, Place};

on_both_stores!(
    identifiers_are_unreadable_after_completion,
    identifiers_are_kept_a_while_where_the_policy_says_so,
    identifiers_show_nowhere_but_in_tasks,
    a_subject_that_cannot_be_opened_silences_nobody_else,
);

/// Has everything of a request done.
async fn finish(world: &World, n: u128) {
    let engine = world.worker().await;
    let (_, opened) = world.take_in(&engine, &erase(n)).await;
    world
        .settle(&engine, &answer(opened.task("stats"), "erased"))
        .await;
    let (_, sent) = world.settle(&engine, &answer(opened.task("crm"), "erased")).await;
    let (_, sent) = world.settle(&engine, &answer(sent.task("mail"), "erased")).await;
    assert_eq!(sent.status()["status"], "completed");
}

async fn body(world: &World, n: u128) -> StoredBody {
    world.fixture.store.bodies(&[id(n)]).await.unwrap().pop().unwrap()
}

async fn identifiers_are_unreadable_after_completion(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let (_, opened) = world.take_in(&engine, &erase(1)).await;
    let key = world
        .fixture
        .store
        .requests(&[id(1)])
        .await
        .unwrap()
        .pop()
        .unwrap()
        .wrapped_key
        .unwrap();
    let sealed = body(&world, 1).await.sealed;
    let tenant = &world.request(1).await.head.tenant;
    let plain = world.vault.open_subject(tenant, id(1), &key, &sealed).unwrap();
    assert!(
        Subject::unpack(&plain).unwrap().identities[0]
            .value
            .expose()
            .contains(CANARY)
    );
    // The key opens this request's subject only.
    assert!(world.vault.open_subject(tenant, id(2), &key, &sealed).is_err());

    world
        .settle(&engine, &answer(opened.task("stats"), "erased"))
        .await;
    let (_, sent) = world.settle(&engine, &answer(opened.task("crm"), "erased")).await;
    world.settle(&engine, &answer(sent.task("mail"), "erased")).await;
    let stored = world
        .fixture
        .store
        .requests(&[id(1)])
        .await
        .unwrap()
        .pop()
        .unwrap();
    assert_eq!((stored.request.life.readable, stored.wrapped_key), (false, None));
    assert!(world.vault.open_subject(tenant, id(1), &[], &sealed).is_err());
    // A replay says the status again, and needs no identifiers for it.
    let again = Sent::of(&republish(&engine, &[id(1)], &[]).await.unwrap());
    assert_eq!(
        (again.tasks.len(), &again.status()["status"]),
        (0, &json!("completed"))
    );
    world.check().await;
}

async fn identifiers_are_kept_a_while_where_the_policy_says_so(fixture: Fixture) {
    let mut world = World::new(fixture).await;
    world.settings.keep_after_completion = Duration::from_secs(3 * 24 * 3600);
    finish(&world, 1).await;
    let key = async || {
        world
            .fixture
            .store
            .requests(&[id(1)])
            .await
            .unwrap()
            .pop()
            .unwrap()
            .wrapped_key
    };
    assert!(key().await.is_some());
    let engine = world.worker().await;
    let last = Duration::from_millis(1);
    world
        .pass(&engine, Duration::from_secs(3 * 24 * 3600) - last)
        .await;
    assert!(key().await.is_some());
    let sent = world.pass(&engine, last).await;
    assert!(key().await.is_none());
    assert!(sent.statuses.is_empty(), "outsiders see no difference");
    world.check().await;
}

async fn identifiers_show_nowhere_but_in_tasks(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    finish(&world, 1).await;
    // One that stays open, with a failure whose message says too much, a forged ack, and a message that is refused.
    let (_, opened) = world.take_in(&engine, &erase(2)).await;
    let arrival = world.command(&engine, &erase(3));
    assert!(
        !format!("{arrival:?}").contains(CANARY),
        "raw bytes are no part of what is printed"
    );
    let taken = engine.take_in(&[arrival]).await.unwrap();
    assert!(!format!("{:?}", taken.verdicts).contains(CANARY));
    let ack = world.ack(&engine, &answer(opened.task("crm"), "failed"));
    assert!(
        !format!("{ack:?}").contains(CANARY),
        "what processors write may hold anything"
    );
    let settled = engine.settle(&[ack]).await.unwrap();
    assert!(!format!("{settled:?}").contains(CANARY));
    let mut forged = answer(opened.task("stats"), "erased");
    forged["token"] = json!(CANARY);
    world.settle(&engine, &forged).await;
    let refused = [command_from(
        &engine,
        Some(world.origin("commands")),
        &format!("{{\"{CANARY}\": [}}"),
    )];
    let letters = engine.take_in(&refused).await.unwrap();
    assert!(!format!("{letters:?}").contains(CANARY));
    let stored = world.fixture.store.requests(&[id(2)]).await.unwrap();
    for text in [
        format!("{:?}", engine),
        format!("{stored:?}"),
        format!("{:?}", body(&world, 2).await),
    ] {
        assert!(!text.contains(CANARY));
    }
    // Every task's message holds what its processor declared, and nothing else.
    assert_eq!(
        opened.task("stats")["identities"],
        json!([{ "type": "customer_id", "value": format!("{CANARY}-2") }])
    );
    for status in &opened.statuses {
        assert!(!status.to_string().contains(CANARY));
    }
    world.check().await;
    if let Place::Sqlite(path) = &world.fixture.place {
        for file in std::fs::read_dir(path.parent().unwrap()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            let found = bytes
                .windows(CANARY.len())
                .any(|window| window == CANARY.as_bytes());
            assert!(!found, "an identifier lies in the database's files");
        }
    }
}

async fn a_subject_that_cannot_be_opened_silences_nobody_else(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let (_, one) = world.take_in(&engine, &erase(1)).await;
    let (_, two) = world.take_in(&engine, &erase(2)).await;
    let sql = match &world.fixture.place {
        Place::Postgres(_) => format!("update request set sealed = '\\x00' where id = '{}'", id(1)),
        Place::Sqlite(_) => format!(
            "update request set sealed = x'00' where id = x'{}'",
            id(1).0.simple()
        ),
    };
    world.fixture.execute(&sql).await;
    let acks = [&one, &two].map(|sent| world.ack(&engine, &answer(sent.task("crm"), "erased")));
    let sent = Sent::of(&engine.settle(&acks).await.unwrap().emission);
    assert_eq!(sent.statuses.len(), 2);
    assert_eq!(sent.tasks.len(), 1, "the broken one's task cannot be sent");
    assert_eq!(sent.task("mail")["request_id"], json!(id(2)));
    let again = Sent::of(&republish(&engine, &[id(1), id(2)], &[]).await.unwrap());
    assert_eq!(again.tasks.len(), 2, "stats and mail of the other one");
    // It goes unanswered, and somebody is told.
    world.pass(&engine, Duration::from_secs(3600)).await;
    world.pass(&engine, Duration::from_secs(10)).await;
    world.pass(&engine, Duration::from_secs(3600)).await;
    let request = world.request(1).await;
    assert_eq!(request.tasks[2].state.name().as_str(), "abandoned");
    assert!(request.life.needs_attention);
    world.check().await;
}
