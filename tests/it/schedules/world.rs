//! Workers over one store. Beside them: the messages that they are given, what they want to have produced, and what has to
//! hold in the end.

mod checks;
mod messages;
mod sent;
mod settings;

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU16, AtomicUsize, Ordering},
    },
    time::Duration,
};

use lacuna::{
    clock::{Clock, ManualClock},
    config::registry_file,
    domain::{ids::RequestId, registry::Registry, request::Request, time::At},
    engine::{
        Engine, Settings,
        effects::Emission,
        intake::{TakenIn, Verdict},
        prepare::{Arrival, PreparedAck, PreparedCommand},
        settlement::{AckVerdict, Settled},
    },
    store::{Line, Origin, Store},
    telemetry::metrics::Metrics,
    vault::{Keyring, Vault},
};
use serde_json::Value;

pub use self::{
    messages::{
        ACKS, CANARY, COMMANDS, ack_from, answer, backup_from, cancel, command_from, control_from, erase, id,
        origin_at,
    },
    sent::Sent,
    settings::{REGISTRY, settings, start},
};
use crate::store::fixture::Fixture;

/// A place where workers come and go.
pub struct World {
    pub fixture: Fixture,
    pub clock: ManualClock,
    pub settings: Settings,
    pub vault: Vault,
    offset: AtomicI64,
    slot: AtomicU16,
    /// What was purged: the ledger still has it.
    purged: Mutex<BTreeSet<RequestId>>,
    /// How many logs were accepted: each has a leaf that belongs to no request.
    pub accepted: AtomicUsize,
    _keys: Option<tempfile::TempDir>,
}

impl World {
    pub async fn new(fixture: Fixture) -> Self {
        Self::with_registry(fixture, REGISTRY).await
    }

    pub async fn with_registry(fixture: Fixture, registry: &str) -> Self {
        let keys = tempfile::tempdir().unwrap();
        let vault = Vault::new(Keyring::init(&keys.path().join("keys"), start()).unwrap());
        let mut world = Self::over(fixture, vault, start());
        world._keys = Some(keys);
        world.apply(registry).await;
        world
    }

    /// Over a store that has its registry already.
    pub fn over(fixture: Fixture, vault: Vault, now: At) -> Self {
        Self {
            fixture,
            clock: ManualClock::starting_at(now),
            settings: settings(),
            vault,
            offset: AtomicI64::new(0),
            slot: AtomicU16::new(0),
            purged: Mutex::default(),
            accepted: AtomicUsize::new(0),
            _keys: None,
        }
    }

    /// Makes a registry the active one; workers that run already have not heard of it.
    pub async fn apply(&self, registry: &str) {
        self.bare(Arc::clone(&self.fixture.store))
            .apply_registry(&registry_of(registry))
            .await
            .unwrap();
    }

    /// One more worker.
    pub async fn worker(&self) -> Arc<Engine> {
        self.worker_over(Arc::clone(&self.fixture.store)).await
    }

    /// One more worker, which sees the store through something else.
    pub async fn worker_over(&self, store: Arc<dyn Store>) -> Arc<Engine> {
        let engine = Arc::new(self.bare(store));
        engine.load_registry().await.unwrap();
        engine.set_ack_partitions(1);
        engine
    }

    fn bare(&self, store: Arc<dyn Store>) -> Engine {
        let clock = Clock::Manual(self.clock.clone());
        let metrics = Arc::new(Metrics::new().unwrap());
        let slot = self.slot.fetch_add(1, Ordering::Relaxed);
        Engine::new(
            store,
            self.vault.clone(),
            clock,
            metrics,
            self.settings.clone(),
            slot,
        )
    }

    /// The origin of the next message of a topic.
    pub fn origin(&self, topic: &str) -> Origin {
        origin_at(topic, 0, self.offset.fetch_add(1, Ordering::Relaxed))
    }

    /// A command that was read from the topic.
    pub fn command(&self, engine: &Engine, command: &Value) -> Arrival<PreparedCommand> {
        command_from(engine, Some(self.origin(COMMANDS)), &command.to_string())
    }

    /// An ack that was read from the topic.
    pub fn ack(&self, engine: &Engine, ack: &Value) -> Arrival<PreparedAck> {
        ack_from(engine, Some(self.origin(ACKS)), ack)
    }

    /// Takes one command in, from the topic, and produces what follows.
    pub async fn take_in(&self, engine: &Engine, command: &Value) -> (Verdict, Sent) {
        let TakenIn {
            mut verdicts,
            emission,
        } = engine
            .intake()
            .take_in(&[self.command(engine, command)])
            .await
            .unwrap();
        (verdicts.pop().unwrap(), Sent::of(&emission))
    }

    /// Settles one ack, from the topic, and produces what follows.
    pub async fn settle(&self, engine: &Engine, ack: &Value) -> (AckVerdict, Sent) {
        let Settled {
            mut verdicts,
            emission,
        } = engine
            .settlement()
            .settle(&[self.ack(engine, ack)])
            .await
            .unwrap();
        (verdicts.pop().unwrap(), Sent::of(&emission))
    }

    /// Lets time pass, with every ack read, and wakes what is due.
    pub async fn pass(&self, engine: &Engine, time: Duration) -> Sent {
        self.clock.advance(time);
        self.read_acks().await;
        self.wake(engine).await
    }

    /// Wakes what is due.
    pub async fn wake(&self, engine: &Engine) -> Sent {
        Sent::of(&engine.agenda().wake_due(self.clock.now()).await.unwrap().emission)
    }

    /// Deletes what has been kept for long enough, in both lines, until their fronts are not due.
    pub async fn expire(&self, engine: &Engine) -> Emission {
        let mut emission = Emission::default();
        for line in [Line::Lookups, Line::Records] {
            loop {
                let expired = engine.retention().expire(line, self.clock.now()).await.unwrap();
                emission.append(expired.emission);
                if !expired.busy {
                    break;
                }
            }
        }
        self.note_purged(&emission);
        emission
    }

    pub fn note_purged(&self, emission: &Emission) {
        self.purged.lock().unwrap().extend(&emission.tombstones.gone);
    }

    /// The requests that stand in a line.
    pub async fn line(&self, line: Line) -> Vec<RequestId> {
        let mut tx = self.fixture.store.begin("test").await.unwrap();
        let rows = tx.closings(line, 10_000).await.unwrap();
        tx.commit().await.unwrap();
        rows.into_iter().flat_map(|row| row.requests).collect()
    }

    /// The ack topic has been read to its end, a second from now.
    pub async fn read_acks(&self) {
        let seen = lacuna::store::Seen {
            cluster: Arc::clone(&self.settings.cluster),
            topic: Arc::from(ACKS),
            partition: 0,
            next: 0,
            at: self.clock.now().plus(Duration::from_secs(1)),
        };
        self.fixture.store.seen(&[seen]).await.unwrap();
    }

    pub async fn request(&self, n: u128) -> Request {
        self.stored(n).await.expect("there is no such request")
    }

    pub async fn stored(&self, n: u128) -> Option<Request> {
        self.fixture
            .store
            .requests(&[id(n)])
            .await
            .unwrap()
            .pop()
            .map(|stored| stored.request)
    }
}

fn registry_of(text: &str) -> Registry {
    registry_file::read_text("processors.toml", text).unwrap()
}
