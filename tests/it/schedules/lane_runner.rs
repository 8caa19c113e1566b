//! Lanes as a worker runs them, with a sender that answers as a test asks it to. Invariants 11 and 12.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use lacuna::{
    clock::Stopwatch,
    delivery::{queues::LaneRunner, relay::Relay},
    domain::{
        ack::{Ack, Answer},
        ids::ProcessorId,
        registry::{Breaker, Processor, Rate, Transport},
        task::TaskState,
    },
    engine::{Engine, effects::TaskDispatch},
    telemetry::readiness::Readiness,
    transport::sender::{Failed, Reply, Sender, Senders},
};
use tokio_util::sync::CancellationToken;

use super::{
    queues::{crm, with_webhook, world},
    transport::Double,
    world::{World, erase},
};
use crate::store::fixture::Fixture;

on_both_stores!(
    queued_tasks_are_sent_and_settled,
    refused_authorisation_stops_the_lane_and_uses_up_no_attempt,
    failing_processor_opens_its_circuit_and_a_probe_closes_it,
    an_open_circuit_survives_a_restart,
    a_hanging_processor_delays_no_other_lane,
    a_shutdown_gives_back_what_was_not_sent,
    two_workers_share_the_lanes_and_take_over,
    patience_asked_for_uses_up_no_attempt,
    a_million_of_one_tenant_delays_no_other,
    a_topic_with_a_rate_gets_its_tasks_at_that_rate,
    a_probe_at_which_the_program_fails_is_followed_by_another,
);

/// What the processor does with a call.
#[derive(Debug, Clone)]
enum Does {
    Erases,
    Fails,
    Refuses,
    AsksForPatience(Duration),
    Hangs,
    Panics,
}

/// Calls nobody, and answers as it was told.
#[derive(Debug, Default)]
struct Script {
    does: Mutex<BTreeMap<ProcessorId, Does>>,
    calls: Mutex<Vec<(ProcessorId, String)>>,
}

impl Script {
    fn set(&self, processor: &ProcessorId, does: Does) {
        self.does.lock().unwrap().insert(processor.clone(), does);
    }

    fn calls(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    fn calls_to(&self, processor: &ProcessorId) -> usize {
        self.calls
            .lock()
            .unwrap()
            .iter()
            .filter(|(id, _)| id == processor)
            .count()
    }

    fn tenants(&self) -> Vec<String> {
        self.calls
            .lock()
            .unwrap()
            .iter()
            .map(|(_, tenant)| tenant.clone())
            .collect()
    }
}

#[async_trait]
impl Sender for Script {
    async fn send(&self, processor: &Processor, task: &TaskDispatch, within: Duration) -> Reply {
        let call = (processor.id.clone(), task.tenant().to_string());
        self.calls.lock().unwrap().push(call);
        let does = self.does.lock().unwrap().get(&processor.id).cloned();
        match does.unwrap_or(Does::Erases) {
            Does::Erases => Reply::Ack(Box::new(erased(task))),
            Does::Fails => Reply::Failed(Failed::new("it answered 500")),
            Does::Refuses => Reply::Unauthorised("it answered 401".into()),
            Does::AsksForPatience(retry_after) => {
                let mut failed = Failed::new("it answered 429").after(Some(retry_after));
                failed.counts = false;
                Reply::Failed(failed)
            }
            Does::Panics => panic!("a sender that fails"),
            Does::Hangs => {
                tokio::time::sleep(within).await;
                Reply::Failed(Failed::new("no answer"))
            }
        }
    }
}

fn erased(task: &TaskDispatch) -> Ack {
    let sent = task.sent();
    Ack {
        request_id: sent.request,
        task_id: sent.task,
        generation: sent.generation,
        attempt: sent.attempt,
        processor: task.processor.clone(),
        token: task.token().to_owned(),
        answer: Answer::Erased,
        evidence: None,
        identities: Vec::new(),
        at: None,
        message: None,
    }
}

/// A worker that runs lanes.
struct Lanes {
    runner: LaneRunner,
    script: Arc<Script>,
    relay: Relay,
    double: Arc<Double>,
}

impl Lanes {
    async fn of(world: &World) -> Self {
        Self::with(world, Arc::default()).await
    }

    async fn with(world: &World, script: Arc<Script>) -> Self {
        let double = Arc::new(Double::default());
        let relay = Relay::new(
            world.worker().await,
            Arc::clone(&double) as _,
            Readiness::default(),
            CancellationToken::new(),
        );
        let sender = Arc::clone(&script) as Arc<dyn Sender>;
        let senders = Senders::default().with("webhook", sender);
        Self {
            runner: LaneRunner::new(relay.clone(), senders),
            script,
            relay,
            double,
        }
    }

    /// Runs so many turns.
    async fn turns(&mut self, turns: u32) {
        for _ in 0..turns {
            self.runner.turn().await.unwrap();
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// Runs until something is so.
macro_rules! until {
    ($lanes:ident, $what:literal, $is_so:expr) => {
        let waited = Stopwatch::start();
        loop {
            $lanes.runner.turn().await.unwrap();
            if $is_so {
                break;
            }
            assert!(waited.elapsed() < Duration::from_secs(20), "never so: {}", $what);
            $lanes.runner.rest().await;
        }
    };
}

async fn is_done(world: &World, n: u128) -> bool {
    world.request(n).await.tasks[0].state.name().as_str() == "done"
}

async fn all_done(world: &World, requests: u128) -> bool {
    for n in 1..=requests {
        if !is_done(world, n).await {
            return false;
        }
    }
    true
}

async fn take_in(world: &World, lanes: &Lanes, requests: u128) {
    for n in 1..=requests {
        world.take_in(&lanes.relay.engine, &erase(n)).await;
    }
}

/// Takes so many requests in, of which the lane of `crm` does this, until its circuit is open.
async fn until_open(world: &World, does: Does, requests: u128) -> (Lanes, Arc<Engine>) {
    let mut lanes = Lanes::of(world).await;
    lanes.script.set(&crm(), does);
    take_in(world, &lanes, requests).await;
    let engine = Arc::clone(&lanes.relay.engine);
    until!(
        lanes,
        "the circuit is open",
        engine.open_circuits().contains_key(&crm())
    );
    (lanes, engine)
}

async fn queued_tasks_are_sent_and_settled(fixture: Fixture) {
    let world = world(fixture).await;
    let mut lanes = Lanes::of(&world).await;
    take_in(&world, &lanes, 30).await;
    until!(lanes, "everything is erased", all_done(&world, 30).await);
    assert_eq!(lanes.script.calls(), 30, "each is sent once");
    lanes.runner.end().await.unwrap();
    world.check().await;
}

async fn refused_authorisation_stops_the_lane_and_uses_up_no_attempt(fixture: Fixture) {
    let world = world(fixture).await;
    let (mut lanes, engine) = until_open(&world, Does::Refuses, 40).await;
    lanes.turns(20).await;
    let calls = lanes.script.calls();
    assert!(calls <= 16, "what was claimed already: {calls}");
    assert!(engine.open_circuits()[&crm()].unauthorised);
    for n in 1..=40 {
        let task = world.request(n).await.tasks[0].clone();
        assert_eq!(task.counted, 0, "nobody's attempts are used up");
        assert!(matches!(task.state, TaskState::Queued { .. }), "{:?}", task.state);
    }
    lanes.script.set(&crm(), Does::Erases);
    // After the pause one task tries, and the others follow its answer.
    world.clock.advance(Duration::from_secs(61));
    until!(lanes, "everything is erased", all_done(&world, 40).await);
    assert!(engine.open_circuits().is_empty());
    world.check().await;
}

async fn failing_processor_opens_its_circuit_and_a_probe_closes_it(fixture: Fixture) {
    let world = world(fixture).await;
    let mut registry = with_webhook();
    registry.processors[0].breaker = Breaker {
        min_requests: 4,
        ..Breaker::default()
    };
    registry.processors[0].concurrency = 1;
    world.harness.apply(&registry).await.unwrap();
    let (mut lanes, _) = until_open(&world, Does::Fails, 12).await;
    lanes.turns(10).await;
    let calls = lanes.script.calls();
    assert!((4..=6).contains(&calls), "{calls}");
    // Still failing: one task tries, and no more.
    world.clock.advance(Duration::from_secs(61));
    until!(lanes, "one has tried", lanes.script.calls() > calls);
    lanes.turns(10).await;
    assert_eq!(lanes.script.calls(), calls + 1);
    lanes.script.set(&crm(), Does::Erases);
    world.clock.advance(Duration::from_secs(61));
    until!(lanes, "everything is erased", all_done(&world, 12).await);
    world.check().await;
}

async fn an_open_circuit_survives_a_restart(fixture: Fixture) {
    let world = world(fixture).await;
    let (mut lanes, _) = until_open(&world, Does::Refuses, 5).await;
    lanes.runner.end().await.unwrap();
    let mut next = Lanes::of(&world).await;
    world.clock.advance(Duration::from_secs(30));
    next.turns(10).await;
    assert_eq!(next.script.calls(), 0, "the circuit is still open");
    assert!(next.relay.engine.open_circuits().contains_key(&crm()));
    world.clock.advance(Duration::from_secs(31));
    until!(next, "everything is erased", all_done(&world, 5).await);
    world.check().await;
}

async fn a_hanging_processor_delays_no_other_lane(fixture: Fixture) {
    let world = world(fixture).await;
    let mut registry = with_webhook();
    let mut healthy = registry.processors[0].clone();
    healthy.id = ProcessorId::new("ads").unwrap();
    registry.processors.push(healthy.clone());
    world.harness.apply(&registry).await.unwrap();
    let mut lanes = Lanes::of(&world).await;
    lanes.script.set(&crm(), Does::Hangs);
    take_in(&world, &lanes, 60).await;
    until!(
        lanes,
        "the healthy lane is through",
        lanes.script.calls_to(&healthy.id) == 60
    );
    assert_eq!(lanes.script.calls_to(&crm()), 8, "its own calls, and no more");
    lanes.relay.shutdown.cancel();
}

async fn a_shutdown_gives_back_what_was_not_sent(fixture: Fixture) {
    let world = world(fixture).await;
    let mut registry = with_webhook();
    registry.processors[0].concurrency = 2;
    if let Transport::Webhook(webhook) = &mut registry.processors[0].transport {
        webhook.timeout = Duration::from_millis(300);
    }
    world.harness.apply(&registry).await.unwrap();
    let mut lanes = Lanes::of(&world).await;
    lanes.script.set(&crm(), Does::Hangs);
    take_in(&world, &lanes, 10).await;
    until!(lanes, "two hang", lanes.script.calls() == 2);
    lanes.runner.end().await.unwrap();
    let mut counted = 0;
    for n in 1..=10 {
        let task = world.request(n).await.tasks[0].clone();
        assert!(matches!(task.state, TaskState::Queued { .. }), "{:?}", task.state);
        counted += task.counted;
    }
    assert_eq!(counted, 2, "those that were sent");
    world.check().await;
}

async fn two_workers_share_the_lanes_and_take_over(fixture: Fixture) {
    let world = world(fixture).await;
    let mut registry = with_webhook();
    registry.processors[0].rate = Some(Rate {
        tasks: 20,
        per: Duration::from_secs(1),
    });
    world.harness.apply(&registry).await.unwrap();
    let script = Arc::new(Script::default());
    let mut one = Lanes::with(&world, Arc::clone(&script)).await;
    let mut other = Lanes::with(&world, Arc::clone(&script)).await;
    take_in(&world, &one, 30).await;
    let started = Stopwatch::start();
    while script.calls() < 30 {
        one.runner.turn().await.unwrap();
        other.runner.turn().await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let took = started.elapsed();
    assert!(
        took > Duration::from_millis(1200),
        "both together keep the rate: {took:?}"
    );
    // One leaves, and the other goes on with its lanes.
    one.runner.end().await.unwrap();
    for n in 31..=35 {
        world.take_in(&other.relay.engine, &erase(n)).await;
    }
    until!(other, "the other has taken over", script.calls() == 35);
    until!(other, "everything is erased", all_done(&world, 35).await);
    world.check().await;
}

async fn patience_asked_for_uses_up_no_attempt(fixture: Fixture) {
    let world = world(fixture).await;
    let mut lanes = Lanes::of(&world).await;
    lanes
        .script
        .set(&crm(), Does::AsksForPatience(Duration::from_secs(120)));
    take_in(&world, &lanes, 40).await;
    until!(lanes, "it was called", lanes.script.calls() > 0);
    lanes.turns(20).await;
    let calls = lanes.script.calls();
    assert!(calls <= 16, "the lane is quiet: {calls}");
    assert!(lanes.relay.engine.open_circuits().is_empty());
    lanes.script.set(&crm(), Does::Erases);
    world.clock.advance(Duration::from_secs(121));
    until!(lanes, "everything is erased", all_done(&world, 40).await);
    for n in 1..=40 {
        assert_eq!(world.request(n).await.tasks[0].counted, 0);
    }
    world.check().await;
}

async fn a_million_of_one_tenant_delays_no_other(fixture: Fixture) {
    let world = world(fixture).await;
    let mut registry = with_webhook();
    registry.processors[0].concurrency = 2;
    world.harness.apply(&registry).await.unwrap();
    let mut lanes = Lanes::of(&world).await;
    take_in(&world, &lanes, 100).await;
    let mut command = erase(101);
    command["tenant"] = "beta".into();
    world.take_in(&lanes.relay.engine, &command).await;
    until!(
        lanes,
        "the other tenant was served",
        lanes.script.tenants().contains(&"beta".to_owned())
    );
    let before = lanes
        .script
        .tenants()
        .iter()
        .position(|tenant| tenant == "beta")
        .unwrap();
    assert!(before < 10, "after {before} of the other one's");
    lanes.runner.end().await.unwrap();
}

async fn a_topic_with_a_rate_gets_its_tasks_at_that_rate(fixture: Fixture) {
    let world = world(fixture).await;
    let mut registry = with_webhook();
    registry.processors[0].transport = Transport::Kafka { topic: None };
    registry.processors[0].rate = Some(Rate {
        tasks: 20,
        per: Duration::from_secs(1),
    });
    world.harness.apply(&registry).await.unwrap();
    let mut lanes = Lanes::of(&world).await;
    take_in(&world, &lanes, 30).await;
    let waited = Stopwatch::start();
    let mut arrived = 0;
    until!(lanes, "everything has arrived", {
        let sent = lanes.double.arrived();
        arrived += sent.asked().iter().filter(|asked| **asked == "crm").count();
        arrived == 30
    });
    let took = waited.elapsed();
    assert!(took > Duration::from_millis(1200), "{took:?}");
    assert_eq!(lanes.script.calls(), 0);
    lanes.runner.end().await.unwrap();
    world.check().await;
}

async fn a_probe_at_which_the_program_fails_is_followed_by_another(fixture: Fixture) {
    let world = world(fixture).await;
    let (mut lanes, engine) = until_open(&world, Does::Refuses, 40).await;
    lanes.turns(20).await;
    let calls = lanes.script.calls();
    lanes.script.set(&crm(), Does::Panics);
    world.clock.advance(Duration::from_secs(61));
    until!(lanes, "one has tried", lanes.script.calls() > calls);
    lanes.script.set(&crm(), Does::Erases);
    world.clock.advance(Duration::from_secs(61));
    // All but the one that was lost, which is asked again when its answer is missing.
    until!(
        lanes,
        "the others are sent",
        lanes.script.calls() >= calls + 1 + 39
    );
    assert!(engine.open_circuits().is_empty());
    lanes.runner.end().await.unwrap();
    world.check().await;
}
