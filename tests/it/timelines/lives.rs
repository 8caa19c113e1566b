//! Random lives through the real engine, beside the same lives in the pure domain: both have to come to the same, whatever
//! is told twice and however often another worker takes over.
//!
//! What the pure life may come to, `model` says.

use std::sync::Arc;

use lacuna::{
    domain::{ack::Ack, fact::Fact},
    engine::{Engine, settlement::AckVerdict},
    lab::harness::arrivals,
    store::open::open,
};
use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    crashes::tell_backup,
    model::Model,
    ops::{Op, op, rules},
    random::{Bench, essence, registry_of, step},
    recount,
};
use crate::{
    schedules::world::{World, control_from, erase},
    store::fixture::{Fixture, Place, options},
};

/// How something happens.
#[derive(Debug, Clone)]
struct Event {
    op: Op,
    /// Whether its message comes twice.
    twice: bool,
    /// Whether another worker takes over before it, and another one before what follows.
    restart: bool,
}

/// Rules, and what happens by them.
fn life() -> impl Strategy<Value = (String, Vec<Event>)> {
    (rules(), prop::collection::vec(event(), 1..25))
}

fn event() -> impl Strategy<Value = Event> {
    (op(), prop::bool::weighted(0.2), prop::bool::weighted(0.3)).prop_map(|(op, twice, restart)| Event {
        op,
        twice,
        restart,
    })
}

/// A life, in the pure domain and in a store.
struct Life {
    bench: Bench,
    model: Model,
    world: World,
    engine: Arc<Engine>,
    messages: u128,
}

impl Life {
    async fn begin(rules: &str, fixture: Fixture) -> Self {
        let bench = Bench::new(rules);
        let world = World::with_registry(fixture, &registry_of(rules)).await;
        let engine = world.worker().await;
        let mut command = erase(1);
        command["subject"]["identities"] = json!([
            { "type": "email", "value": "a@example.org" }, { "type": "customer_id", "value": "1" }
        ]);
        world.take_in(&engine, &command).await;
        let model = Model::of(&bench);
        Self {
            bench,
            model,
            world,
            engine,
            messages: 0,
        }
    }

    async fn play(&mut self, event: &Event) {
        if event.restart {
            self.engine = self.world.worker().await;
        }
        let ack = match &event.op {
            Op::Ack { task, answer, late } => Some(self.bench.ack(*task, *answer, *late)),
            Op::AckAgain => self.bench.last.clone(),
            Op::Forged { task } => Some(self.bench.ack(*task, 0, false)),
            _ => None,
        };
        let heard = self.bench.heard.len();
        step(&mut self.bench, &mut self.model, &event.op);
        let fact = self.bench.heard.get(heard).cloned();
        let times = if event.twice { 2 } else { 1 };
        let follows = match (&event.op, ack, fact) {
            (Op::Forged { .. }, Some(ack), _) => {
                self.settle(&ack, "forged", times).await;
                false
            }
            (_, Some(mut ack), _) => {
                let token = self
                    .world
                    .vault
                    .token(ack.request_id, ack.task_id, ack.generation, ack.attempt);
                ack.token = token.to_string();
                let token = ack.token.clone();
                self.settle(&ack, &token, times).await
            }
            (_, None, Some(fact)) => {
                self.tell(&fact, times).await;
                // Some sweeps come late, as in the pure life.
                !matches!(event.op, Op::Restored { .. } | Op::Hold { .. })
            }
            (op, None, None) => !matches!(op, Op::Restored { .. } | Op::Hold { .. } | Op::AckAgain),
        };
        let passed = self.bench.now.since(self.world.clock.now());
        self.world.clock.advance(passed);
        if event.restart {
            self.engine = self.world.worker().await;
        }
        if follows {
            self.settle_down(matches!(event.op, Op::Pass { .. })).await;
        }
        let stored = self.world.request(1).await;
        assert!(
            essence(&stored) == essence(&self.bench.request),
            "after {event:?} the store has\n{stored:#?}\nand the pure life is\n{:#?}",
            self.bench.request
        );
    }

    /// Says whether it counted.
    async fn settle(&mut self, ack: &Ack, token: &str, times: u32) -> bool {
        let mut counted = false;
        for nth in 0..times {
            let ack = Ack {
                token: token.to_owned(),
                ..ack.clone()
            };
            let origin = Some(self.world.origin("acks"));
            let arrival = arrivals::arrival(origin, self.engine.settlement().prepare_ack(ack), &[]);
            let settled = self.engine.settlement().settle(&[arrival]).await.unwrap();
            let counts = matches!(settled.verdicts[..], [AckVerdict::Counted { .. }]);
            assert!(nth == 0 || !counts, "invariant 6: it counted twice");
            counted |= counts;
        }
        counted
    }

    async fn tell(&mut self, fact: &Fact, times: u32) {
        self.messages += 1;
        let command_id = Uuid::from_u128(0xc000_0000 + self.messages);
        for _ in 0..times {
            match fact {
                Fact::Hold(hold) => {
                    let mut command = json!({ "command_id": command_id, "type": "hold", "tenant": "acme", "actor": "legal",
                        "hold_id": hold.hold_id, "basis": hold.basis });
                    if let Some(id) = hold.request_id {
                        command["request_id"] = json!(id);
                    }
                    if let Some(processor) = &hold.processor {
                        command["processor"] = json!(processor);
                    }
                    self.command(&command).await;
                }
                Fact::Release { hold_id, .. } => {
                    let command = json!({ "command_id": command_id, "type": "release", "tenant": "acme", "actor": "legal",
                        "hold_id": hold_id });
                    self.command(&command).await;
                }
                Fact::Backup(event) => {
                    tell_backup(&self.world, &self.engine, &json!(event)).await;
                }
                Fact::Registry { .. }
                | Fact::Forgotten(_)
                | Fact::Paused { .. }
                | Fact::Resumed { .. }
                | Fact::Braked { .. }
                | Fact::Unbraked { .. } => unreachable!("no operation tells it"),
            }
        }
    }

    async fn command(&self, command: &Value) {
        let arrival = control_from(&self.engine, self.world.origin("control"), command);
        self.engine.intake().take_in(&[arrival]).await.unwrap();
    }

    /// Everything that follows by itself. The agenda looks when time has passed, as the pure life does.
    async fn settle_down(&self, time_has_passed: bool) {
        let now = self.world.clock.now();
        for turn in 0.. {
            assert!(turn < 50, "it never comes to rest");
            let woken = if time_has_passed {
                self.engine.agenda().wake_due(now).await.unwrap().count
            } else {
                0
            };
            let swept = self.engine.fact_sweeps().sweep().await.unwrap();
            if !swept.busy && woken == 0 {
                return;
            }
        }
    }
}

/// A store in memory where there is such a place: what a disk does is another test's.
async fn fixture(folder: &tempfile::TempDir) -> Fixture {
    let place = Place::Sqlite(folder.path().join("lacuna.db"));
    let store = open(&place.url(), &options()).await.unwrap();
    store.migrate().await.unwrap();
    Fixture { store, place }
}

#[test]
fn the_engine_lives_as_the_pure_domain_does() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    });
    let played = runner.run(&life(), |(rules, events)| {
        runtime.block_on(async {
            let folder = tempfile::tempdir_in("/dev/shm")
                .or_else(|_| tempfile::tempdir())
                .unwrap();
            let mut life = Life::begin(&rules, fixture(&folder).await).await;
            for event in &events {
                life.play(event).await;
            }
            let (store, now) = (&*life.world.fixture.store, life.world.clock.now());
            recount::check(store, life.bench.request.id, &life.bench.registry, now).await;
            life.world.check().await;
        });
        Ok(())
    });
    if let Err(error) = played {
        panic!("{error}");
    }
}
