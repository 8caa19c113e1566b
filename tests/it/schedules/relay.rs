//! The relay between the engine and a transport that fails in every way that one can.

use std::{sync::Arc, time::Duration};

use lacuna::{
    delivery::{
        lanes::{LimitsAsked, try_lanes},
        outbox,
        relay::{Delivered, Relay},
    },
    domain::{ids::ProcessorId, time::At},
    engine::{Engine, effects::Effects},
    telemetry::readiness::Readiness,
    transport::Manner,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    transport::{Does, Double},
    world::{Sent, World, answer, erase, id},
};
use crate::store::fixture::Fixture;

on_both_stores!(
    what_arrives_is_sent_once,
    a_missing_destination_delays_no_other_and_is_tried_again,
    a_late_status_is_repeated_until_it_is_confirmed,
    where_everything_is_late_only_open_tasks_are_repeated,
    a_task_too_large_for_its_destination_goes_back,
    tasks_too_large_only_together_all_arrive,
    a_large_dead_letter_goes_without_its_bytes,
    a_shutdown_leaves_unconfirmed_outputs_pending,
    a_status_overtaken_in_flight_is_followed_by_the_later_one,
    an_outbox_row_stays_until_its_outputs_are_confirmed,
);

struct Way {
    relay: Relay,
    double: Arc<Double>,
    readiness: Readiness,
}

impl Way {
    async fn of(world: &World) -> Self {
        let (double, readiness) = (Arc::new(Double::default()), Readiness::default());
        let relay = Relay::new(
            world.worker().await,
            Arc::clone(&double) as _,
            readiness.clone(),
            CancellationToken::new(),
        );
        Self {
            relay,
            double,
            readiness,
        }
    }

    fn engine(&self) -> &Engine {
        &self.relay.engine
    }

    async fn take_in(&self, world: &World, command: &Value) -> Effects {
        let arrivals = [world.command(self.engine(), command)];
        self.engine().intake().take_in(&arrivals).await.unwrap().emission
    }

    async fn deliver(&self, emission: Effects) -> Sent {
        assert_eq!(self.relay.deliver(emission).await.unwrap(), Delivered::Confirmed);
        self.double.arrived()
    }
}

fn crm() -> ProcessorId {
    ProcessorId::new("crm").unwrap()
}

fn why_waits<'a>(sent: &'a Sent, processor: &str) -> &'a Value {
    let waiting = sent.status()["waiting_for"].as_array().unwrap();
    let of_it = waiting.iter().find(|waiting| waiting["processor"] == processor);
    &of_it.unwrap()["why"]
}

async fn what_arrives_is_sent_once(fixture: Fixture) {
    let world = World::new(fixture).await;
    let way = Way::of(&world).await;
    let opened = way.take_in(&world, &erase(1)).await;
    let sent = way.deliver(opened).await;
    assert_eq!((sent.asked(), sent.statuses.len()), (vec!["crm", "stats"], 1));
    assert_eq!(way.double.sends(), [Manner::WithinLimit]);
    world.check().await;
}

async fn a_missing_destination_delays_no_other_and_is_tried_again(fixture: Fixture) {
    let world = World::new(fixture).await;
    let way = Way::of(&world).await;
    way.double.set("crm", Does::IsMissing);
    let opened = way.take_in(&world, &erase(1)).await;
    let sent = way.deliver(opened).await;
    assert_eq!((sent.asked(), sent.statuses.len()), (vec!["stats"], 2));
    assert_eq!(why_waits(&sent, "crm"), "undeliverable");
    assert!(
        way.engine().lane(&crm()).is_some(),
        "nothing is sent to it any more"
    );
    assert!(
        way.readiness.problems().is_empty(),
        "a lane that is shut stops nothing"
    );
    // Tried while it is still missing, then once it is back.
    world.clock.advance(Duration::from_secs(2));
    let mut asked = LimitsAsked::default();
    try_lanes(&way.relay, &mut asked).await.unwrap();
    assert_eq!(way.double.arrived(), Sent::default());
    way.double.set("crm", Does::Takes);
    world.clock.advance(Duration::from_secs(60));
    try_lanes(&way.relay, &mut asked).await.unwrap();
    assert_eq!(way.double.arrived().asked(), ["crm"]);
    assert!(way.engine().lane(&crm()).is_none());
    world.check().await;
}

async fn a_late_status_is_repeated_until_it_is_confirmed(fixture: Fixture) {
    let world = World::new(fixture).await;
    let way = Way::of(&world).await;
    way.double.set("status", Does::IsLate(3));
    let opened = way.take_in(&world, &erase(1)).await;
    let delivering = async {
        let sent = way.deliver(opened).await;
        assert!(way.readiness.problems().is_empty(), "it goes on");
        sent
    };
    let looking = async {
        while way.readiness.problems().is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        way.readiness.problems()
    };
    let limit = Duration::from_secs(20);
    let (sent, problems) = tokio::time::timeout(limit, async { tokio::join!(delivering, looking) })
        .await
        .unwrap();
    assert!(problems[0].1.contains("status"), "{problems:?}");
    assert_eq!(
        (sent.tasks.len(), sent.statuses.len()),
        (2, 1),
        "only what failed is repeated"
    );
    assert_eq!(way.double.sends().len(), 4);
    world.check().await;
}

async fn where_everything_is_late_only_open_tasks_are_repeated(fixture: Fixture) {
    let world = World::new(fixture).await;
    let way = Way::of(&world).await;
    for destination in ["status", "crm", "stats"] {
        way.double.set(destination, Does::IsLate(1));
    }
    let opened = way.take_in(&world, &erase(1)).await;
    let asked = Sent::of(&opened);
    let in_flight = way.relay.send(opened).await.unwrap();
    // Nobody has confirmed it, and yet it has arrived: it is answered, to another worker.
    let other = world.worker().await;
    world.settle(&other, &answer(asked.task("stats"), "erased")).await;
    assert_eq!(way.relay.confirm(in_flight).await.unwrap(), Delivered::Confirmed);
    let again = way.double.arrived();
    assert_eq!(again.tasks, [asked.task("crm").clone()]);
    assert_eq!(again.status()["revision"], 2);
    assert!(way.engine().lane(&crm()).is_none(), "no destination is to blame");
    world.check().await;
}

async fn a_task_too_large_for_its_destination_goes_back(fixture: Fixture) {
    let world = World::new(fixture).await;
    let way = Way::of(&world).await;
    way.double.set("crm", Does::TakesUpTo(100));
    let opened = way.take_in(&world, &erase(1)).await;
    let sent = way.deliver(opened).await;
    assert_eq!(sent.asked(), ["stats"]);
    assert_eq!(sent.status()["needs_attention"], true);
    assert_eq!(
        way.double.sends(),
        [Manner::WithinLimit, Manner::EachAlone, Manner::AtOnce],
        "its neighbours might have been too large"
    );
    // The limit is asked for, and raised.
    way.double.set("crm", Does::TakesUpTo(10_000));
    world.clock.advance(Duration::from_secs(3600));
    try_lanes(&way.relay, &mut LimitsAsked::default()).await.unwrap();
    assert_eq!(way.double.arrived().asked(), ["crm"]);
    world.check().await;
}

async fn tasks_too_large_only_together_all_arrive(fixture: Fixture) {
    let world = World::new(fixture).await;
    let way = Way::of(&world).await;
    way.double.set("crm", Does::TakesUpTo(1_000));
    let arrivals: Vec<_> = (1..=4).map(|n| world.command(way.engine(), &erase(n))).collect();
    let opened = way.engine().intake().take_in(&arrivals).await.unwrap().emission;
    let sent = way.deliver(opened).await;
    assert_eq!(sent.tasks.len(), 8);
    assert_eq!(sent.statuses.len(), 4, "nothing has gone back");
    world.check().await;
}

async fn a_large_dead_letter_goes_without_its_bytes(fixture: Fixture) {
    let world = World::new(fixture).await;
    let way = Way::of(&world).await;
    way.double.set("letters", Does::TakesUpTo(70_000));
    let garbage = json!({ "type": "erase", "padding": "x".repeat(100_000) });
    let refused = way.take_in(&world, &garbage).await;
    let sent = way.deliver(refused).await;
    assert_eq!(sent.letters.len(), 1);
    assert!(sent.letters[0].1.is_empty(), "the store has them");
    world.check().await;
}

async fn a_shutdown_leaves_unconfirmed_outputs_pending(fixture: Fixture) {
    let world = World::new(fixture).await;
    let way = Way::of(&world).await;
    way.double.set("status", Does::IsLate(u32::MAX));
    let opened = way.take_in(&world, &erase(1)).await;
    way.relay.shutdown.cancel();
    assert_eq!(way.relay.deliver(opened).await.unwrap(), Delivered::Pending);
}

async fn a_status_overtaken_in_flight_is_followed_by_the_later_one(fixture: Fixture) {
    let world = World::new(fixture).await;
    let way = Way::of(&world).await;
    let opened = way.take_in(&world, &erase(1)).await;
    let asked = Sent::of(&opened);
    let in_flight = way.relay.send(opened).await.unwrap();
    let other = world.worker().await;
    world.settle(&other, &answer(asked.task("crm"), "erased")).await;
    assert_eq!(way.relay.confirm(in_flight).await.unwrap(), Delivered::Confirmed);
    let revisions: Vec<u64> = way
        .double
        .arrived()
        .statuses
        .iter()
        .map(|status| status["revision"].as_u64().unwrap())
        .collect();
    assert_eq!(revisions, [1, 2]);
    world.check().await;
}

async fn an_outbox_row_stays_until_its_outputs_are_confirmed(fixture: Fixture) {
    let world = World::new(fixture).await;
    let way = Way::of(&world).await;
    let opened = way.take_in(&world, &erase(1)).await;
    way.deliver(opened).await;
    world.clock.advance(Duration::from_secs(5));
    let (_, cancelled) = way
        .engine()
        .operations()
        .decide_task(
            world.request(1).await.task_id(2),
            lacuna::engine::operations::TaskDecision::Waive,
            "ops",
            Some("the contract has ended"),
        )
        .await
        .unwrap();
    assert!(cancelled.outboxed);
    let far = At::from_millis(i64::MAX);
    let remembered = || async { world.fixture.store.outbox(far, 10).await.unwrap() };
    assert_eq!(remembered().await, [id(1)]);
    // The worker dies before anything is confirmed; another one finds it when it is old enough.
    drop(cancelled);
    way.double.arrived();
    world.clock.advance(2 * outbox::AGE);
    outbox::republish_requests(&way.relay, world.clock.now())
        .await
        .unwrap();
    let sent = way.double.arrived();
    assert_eq!(sent.statuses.len(), 1);
    assert_eq!(sent.asked(), ["crm", "stats"], "whatever is dispatched");
    assert!(remembered().await.is_empty());
    world.check().await;
}
