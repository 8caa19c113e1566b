//! Workers over one store, which the harness drives. Beside them: the messages that they are given, and what has to hold in
//! the end.

mod checks;
mod messages;
mod settings;

use std::{
    collections::BTreeSet,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, atomic::AtomicUsize},
    time::Duration,
};

use lacuna::{
    config::registry_file,
    domain::{ids::RequestId, request::Request, time::At},
    engine::{
        Engine, Settings,
        effects::Effects,
        intake::Verdict,
        prepare::{Arrival, PreparedAck, PreparedCommand},
        settlement::AckVerdict,
    },
    lab::harness::Harness,
    store::{Line, Store},
    vault::{Keyring, Vault},
};
use serde_json::Value;

pub use self::{
    messages::{
        ACKS, CANARY, COMMANDS, ack_from, answer, backup_from, cancel, command_from, control_from, erase, id,
        origin_at,
    },
    settings::{REGISTRY, SKEW, settings, start},
};
use crate::store::fixture::Fixture;
pub use lacuna::lab::harness::Sent;

/// A place where workers come and go.
pub struct World {
    pub fixture: Fixture,
    pub harness: Arc<Harness>,
    /// What was purged: the ledger still has it.
    purged: Mutex<BTreeSet<RequestId>>,
    /// How many logs were accepted: each has a leaf that belongs to no request.
    pub accepted: AtomicUsize,
    /// Whether an older version has sent tasks without counting by which minute they are out.
    pub is_older: bool,
    _keys: Option<tempfile::TempDir>,
}

impl Deref for World {
    type Target = Harness;

    fn deref(&self) -> &Harness {
        &self.harness
    }
}

impl DerefMut for World {
    fn deref_mut(&mut self) -> &mut Harness {
        Arc::get_mut(&mut self.harness).expect("nothing is played in it yet")
    }
}

/// The same as the harness has, for tests: what fails there fails the test.
impl World {
    pub async fn new(fixture: Fixture) -> Self {
        Self::with_registry(fixture, REGISTRY).await
    }

    pub async fn with_registry(fixture: Fixture, registry: &str) -> Self {
        Self::with_settings(fixture, registry, settings()).await
    }

    pub async fn with_settings(fixture: Fixture, registry: &str, settings: Settings) -> Self {
        let keys = tempfile::tempdir().unwrap();
        let vault = Vault::new(Keyring::init(&keys.path().join("keys"), start()).unwrap());
        let mut world = Self::place(fixture, vault, settings, start());
        world._keys = Some(keys);
        world.apply(registry).await;
        world
    }

    /// Over a store that has its registry already.
    pub fn over(fixture: Fixture, vault: Vault, now: At) -> Self {
        Self::place(fixture, vault, settings(), now)
    }

    fn place(fixture: Fixture, vault: Vault, settings: Settings, now: At) -> Self {
        let harness = Harness::new(Arc::clone(&fixture.store), vault, settings, now);
        Self {
            fixture,
            harness: Arc::new(harness),
            purged: Mutex::default(),
            accepted: AtomicUsize::new(0),
            is_older: false,
            _keys: None,
        }
    }

    /// Makes a registry the active one; workers that run already have not heard of it.
    pub async fn apply(&self, registry: &str) {
        let registry = registry_file::read_text("processors.toml", registry).unwrap();
        self.harness.apply(&registry).await.unwrap();
    }

    /// One more worker.
    pub async fn worker(&self) -> Arc<Engine> {
        self.harness.worker().await.unwrap()
    }

    /// One more worker, which sees the store through something else.
    pub async fn worker_over(&self, store: Arc<dyn Store>) -> Arc<Engine> {
        self.harness.worker_over(store).await.unwrap()
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
        let mut taken = engine
            .intake()
            .take_in(&[self.command(engine, command)])
            .await
            .unwrap();
        (taken.verdicts.pop().unwrap(), Sent::of(&taken.emission))
    }

    /// Settles one ack, from the topic, and produces what follows.
    pub async fn settle(&self, engine: &Engine, ack: &Value) -> (AckVerdict, Sent) {
        let mut settled = engine
            .settlement()
            .settle(&[self.ack(engine, ack)])
            .await
            .unwrap();
        (settled.verdicts.pop().unwrap(), Sent::of(&settled.emission))
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
    pub async fn expire(&self, engine: &Engine) -> Effects {
        let emission = self.harness.expire(engine).await.unwrap();
        self.note_purged(&emission);
        emission
    }

    pub fn note_purged(&self, emission: &Effects) {
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
        self.harness.read_acks().await.unwrap();
    }

    pub async fn request(&self, n: u128) -> Request {
        self.stored(n).await.expect("there is no such request")
    }

    pub async fn stored(&self, n: u128) -> Option<Request> {
        let mut stored = self.fixture.store.requests(&[id(n)]).await.unwrap();
        stored.pop().map(|stored| stored.request)
    }
}
