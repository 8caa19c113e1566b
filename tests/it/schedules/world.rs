//! Workers over one store, the messages that they are given, and what they want to have produced.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU16, Ordering},
    },
    time::Duration,
};

use lacuna::{
    clock::{Clock, ManualClock},
    config::registry_file,
    domain::{
        entry::{Entry, Leaf},
        ids::{ProcessorId, RequestId, Tenant},
        registry::Registry,
        request::Request,
        time::At,
    },
    engine::{
        Engine, Settings, Topics,
        intake::{TakenIn, Verdict},
        outputs::{Emission, RecordKey, RecordKind},
        prepare::{Arrival, PreparedAck, PreparedBackup, PreparedCommand},
        settle::{AckVerdict, Settled},
    },
    store::{Concerned, CounterKey, DeferredFilter, DeferredRow, Line, Origin, Store},
    telemetry::metrics::Metrics,
    vault::{Keyring, Vault},
    wire::{ack::parse_ack, command::Door, envelope::Envelope},
};
use serde_json::{Value, json};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::store::fixture::Fixture;

/// Three processors: `crm` and `stats` go at once, `mail` comes after `crm`. Two attempts each.
pub const REGISTRY: &str = r#"
[[processor]]
id = "crm"
kind = "crm"
transport = { type = "kafka" }
actions = ["erase", "anonymize"]
identities = ["email", "customer_id"]
ack_timeout = "1h"
retry = { initial = "10s", jitter = 0.0, attempts = 2 }
[[processor]]
id = "stats"
kind = "analytics"
transport = { type = "kafka", topic = "stats-tasks" }
actions = ["erase"]
identities = ["customer_id"]
ack_timeout = "1h"
retry = { initial = "10s", jitter = 0.0, attempts = 2 }
[[processor]]
id = "mail"
kind = "messaging"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
after = ["crm"]
ack_timeout = "1h"
retry = { initial = "10s", jitter = 0.0, attempts = 2 }
"#;

/// What must never be seen anywhere but in messages to processors.
pub const CANARY: &str = "canary-7f3a91";

pub const COMMANDS: &str = "commands";
pub const ACKS: &str = "acks";

/// How far clocks may be apart.
pub const SKEW: Duration = Duration::from_secs(300);

/// When every schedule begins.
pub fn start() -> At {
    At::parse("2026-11-21T12:00:00Z").unwrap()
}

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
    _keys: tempfile::TempDir,
}

impl World {
    pub async fn new(fixture: Fixture) -> Self {
        Self::with_registry(fixture, REGISTRY).await
    }

    pub async fn with_registry(fixture: Fixture, registry: &str) -> Self {
        let keys = tempfile::tempdir().unwrap();
        let vault = Vault::new(Keyring::init(&keys.path().join("keys"), start()).unwrap());
        let world = Self {
            fixture,
            clock: ManualClock::starting_at(start()),
            settings: settings(),
            vault,
            offset: AtomicI64::new(0),
            slot: AtomicU16::new(0),
            purged: Mutex::default(),
            _keys: keys,
        };
        world.apply(registry).await;
        world
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
        } = engine.take_in(&[self.command(engine, command)]).await.unwrap();
        (verdicts.pop().unwrap(), Sent::of(&emission))
    }

    /// Settles one ack, from the topic, and produces what follows.
    pub async fn settle(&self, engine: &Engine, ack: &Value) -> (AckVerdict, Sent) {
        let Settled {
            mut verdicts,
            emission,
        } = engine.settle(&[self.ack(engine, ack)]).await.unwrap();
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
        Sent::of(&engine.wake_due(self.clock.now()).await.unwrap().emission)
    }

    /// Deletes what has been kept for long enough, in both lines, until their fronts are not due.
    pub async fn expire(&self, engine: &Engine) -> Emission {
        let mut emission = Emission::default();
        for line in [Line::Lookups, Line::Records] {
            loop {
                let expired = engine.expire(line, self.clock.now()).await.unwrap();
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
        self.purged.lock().unwrap().extend(&emission.words.gone);
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

    /// The rows that a request's deferred tasks have to have.
    fn deferred_of(&self, request: &Request) -> Vec<DeferredRow> {
        request
            .deferred(SKEW)
            .map(|deferred| DeferredRow {
                request_id: request.id,
                ordinal: deferred.ordinal,
                reason: deferred.why,
                processor: request.task(deferred.ordinal).processor.clone(),
                until: deferred.until,
                mark: deferred.mark,
            })
            .collect()
    }

    /// What has to hold after every schedule: the counters say what the states say, the ledger has every leaf in order,
    /// and leads to the states; an open request has its row in the agenda.
    pub async fn check(&self) {
        let store = &self.fixture.store;
        let requests: Vec<Request> = store
            .page(None, 1000)
            .await
            .unwrap()
            .into_iter()
            .map(|stored| stored.request)
            .collect();
        let counted: BTreeMap<CounterKey, i64> = store
            .counters()
            .await
            .unwrap()
            .into_iter()
            .filter(|(_, n)| *n != 0)
            .collect();
        assert_eq!(counted, recount(&requests));
        let mut leaves = 0;
        for request in &requests {
            let found = store.leaves(request.id).await.unwrap();
            leaves += found.len();
            assert_eq!(
                found.iter().map(|leaf| leaf.n).collect::<Vec<_>>(),
                (0..request.life.leaves).collect::<Vec<_>>()
            );
            let mut status = None;
            for stored in &found {
                let leaf = Leaf::from_bytes(&stored.leaf).unwrap();
                assert_eq!((leaf.request, leaf.n), (request.id, stored.n));
                for entry in leaf.entries {
                    match entry {
                        Entry::Status { from, to } => {
                            assert!(status.is_none_or(|status| status == from));
                            status = Some(to);
                        }
                        // It was opened once more.
                        Entry::Purged { status: last } => {
                            assert!(status.is_none_or(|status| status == last));
                            status = None;
                        }
                        _ => {}
                    }
                }
            }
            assert!(status.is_none_or(|status| status == request.life.status));
        }
        let purged = self.purged.lock().unwrap().clone();
        for id in purged {
            if requests.iter().all(|request| request.id != id) {
                let found = store.leaves(id).await.unwrap();
                let last = Leaf::from_bytes(&found.last().unwrap().leaf).unwrap();
                assert!(matches!(last.entries.last(), Some(Entry::Purged { .. })));
                assert!(found.iter().all(|leaf| leaf.sealed.is_none()));
                leaves += found.len();
            }
        }
        let in_line = [self.line(Line::Lookups).await, self.line(Line::Records).await].concat();
        for request in requests.iter().filter(|r| r.life.completed_at.is_some()) {
            assert!(in_line.contains(&request.id), "{} is kept for ever", request.id);
        }
        // A fact has a leaf of its own.
        for fact in store.facts_since(0).await.unwrap() {
            let found = store.leaves(RequestId(fact.id)).await.unwrap();
            assert_eq!(found.len(), 1);
            leaves += 1;
        }
        assert_eq!(store.ledger_size().await.unwrap(), leaves as u64);
        let mut deferred: Vec<DeferredRow> = requests
            .iter()
            .flat_map(|request| self.deferred_of(request))
            .collect();
        deferred.sort();
        let filter = DeferredFilter {
            limit: 10_000,
            ..DeferredFilter::default()
        };
        let mut rows = store.deferred(&filter).await.unwrap();
        rows.sort();
        assert_eq!(rows, deferred);
        self.check_asked(&requests).await;
        let open = store.open_page(None, 1000).await.unwrap();
        let is_awake = |request: &&Request| {
            let life = &request.life;
            !life.status.is_final() || (life.following.is_some() && life.completed_at.is_none())
        };
        for request in requests.iter().filter(is_awake) {
            assert!(
                open.iter().any(|stored| stored.request.id == request.id),
                "{} is asleep for ever",
                request.id
            );
        }
    }
}

impl World {
    /// What sweeps find of the waves that are asked about: those, and no others.
    async fn check_asked(&self, requests: &[Request]) {
        let mut asked: BTreeMap<ProcessorId, BTreeSet<(i64, RequestId)>> = BTreeMap::new();
        for request in requests {
            for task in &request.tasks {
                asked.entry(task.processor.clone()).or_default();
            }
            for wave in request.asked_waves(SKEW) {
                let processor = &request.task(wave.ordinal).processor;
                let of_it = asked.get_mut(processor).unwrap();
                of_it.insert((wave.mark.millis(), request.id));
            }
        }
        let mut tx = self.fixture.store.begin("test").await.unwrap();
        for (processor, of_it) in asked {
            let of = Concerned::Asked {
                processor,
                up_to: At::from_millis(i64::MAX),
            };
            let found = tx.concerned(&of, None, 10_000).await.unwrap();
            assert_eq!(found, Vec::from_iter(of_it), "{of:?}");
        }
    }
}

pub fn settings() -> Settings {
    let zone = jiff::tz::TimeZone::UTC;
    Settings {
        topics: Topics {
            acks: Arc::from(ACKS),
            status: Arc::from("status"),
            dead_letters: Arc::from("dead-letters"),
            suppression: None,
            tasks_prefix: "tasks.".to_owned(),
        },
        ack_url: "https://lacuna.example/v1/acks".to_owned(),
        region: None,
        tenant_default: Tenant::new("default").unwrap(),
        tenants: Vec::new(),
        rules: lacuna::domain::request::open::Rules {
            regime: lacuna::config::Config::default().policy.regime,
            regimes: lacuna::config::Config::default().policy.regimes,
            calendar: lacuna::domain::calendar::Calendar {
                zone,
                holidays: std::collections::BTreeSet::new(),
            },
            at_risk: 0.2,
            require_verification: false,
            grace: lacuna::domain::calendar::Period::ZERO,
            duplicates: lacuna::domain::request::alike::Duplicates::default(),
        },
        approval: lacuna::domain::request::gates::Approval::Never,
        early: lacuna::domain::early::EarlyCommands {
            wait: Duration::ZERO,
            most: 3,
        },
        complaint_bodies: lacuna::domain::request::refusal::ComplaintBodies::default(),
        keep_after_completion: Duration::ZERO,
        keeps: lacuna::domain::request::expiry::Keeps {
            lookups: lacuna::domain::calendar::Period::days(365),
            records: lacuna::domain::calendar::Period::years(3),
        },
        clock_skew: SKEW,
        max_in_flight: 5000,
        cluster: Arc::from("test"),
    }
}

fn registry_of(text: &str) -> Registry {
    registry_file::read_text("processors.toml", text).unwrap()
}

fn recount(requests: &[Request]) -> BTreeMap<CounterKey, i64> {
    let mut counted = BTreeMap::new();
    let mut add = |kind: &'static str, a: &str, b: &str| {
        *counted
            .entry(CounterKey {
                kind,
                a: a.to_owned(),
                b: b.to_owned(),
            })
            .or_insert(0) += 1;
    };
    for request in requests {
        let life = &request.life;
        add("requests", "", life.status.as_str());
        for task in &request.tasks {
            add("tasks", task.processor.as_str(), task.state.name().as_str());
        }
        let flags = [
            ("overdue", life.overdue),
            ("at_risk", life.at_risk),
            ("needs_attention", life.needs_attention),
            ("sealed", life.readable),
        ];
        for (kind, _) in flags.iter().filter(|(_, is)| *is) {
            add(kind, "", "");
        }
        for deferred in request.deferred(SKEW) {
            add("deferred", "", deferred.why.as_str());
        }
    }
    counted
}

/// The n-th request.
pub fn id(n: u128) -> RequestId {
    RequestId(Uuid::from_u128(n))
}

pub fn origin_at(topic: &str, partition: i32, offset: i64) -> Origin {
    Origin {
        cluster: Arc::from("test"),
        topic: Arc::from(topic),
        partition,
        offset,
    }
}

/// The command that opens the n-th request.
pub fn erase(n: u128) -> Value {
    json!({
        "command_id": Uuid::from_u128(n), "type": "erase", "tenant": "acme", "reason": "account_closed",
        "subject": {"identities": [
            {"type": "email", "value": format!("{CANARY}-{n}@example.org")},
            {"type": "customer_id", "value": format!("{CANARY}-{n}")}
        ]},
        "metadata": {"ticket": format!("{CANARY} asked by post")},
    })
}

/// The command that withdraws the n-th request.
pub fn cancel(n: u128) -> Value {
    let command = Uuid::from_u128(n + 0xca00_0000);
    json!({ "command_id": command, "type": "cancel", "tenant": "acme", "request_id": Uuid::from_u128(n) })
}

/// An answer to a task, as its processor makes it from the message.
pub fn answer(task: &Value, outcome: &str) -> Value {
    json!({
        "request_id": task["request_id"], "task_id": task["task_id"], "generation": task["generation"],
        "attempt": task["attempt"], "processor": task["processor"], "token": task["ack"]["token"],
        "outcome": outcome, "message": format!("{CANARY} is gone"),
    })
}

pub fn command_from(engine: &Engine, origin: Option<Origin>, text: &str) -> Arrival<PreparedCommand> {
    let door = if origin.is_some() {
        Door::Commands
    } else {
        Door::Http
    };
    let content = engine.prepare_command(text.as_bytes(), &Envelope::bare(&engine.tenant_default), door);
    Arrival {
        origin,
        content,
        raw: Zeroizing::new(text.as_bytes().to_vec()),
    }
}

/// A command that was read from the control topic.
pub fn control_from(engine: &Engine, origin: Origin, command: &Value) -> Arrival<PreparedCommand> {
    let text = command.to_string();
    let envelope = Envelope::bare(&engine.tenant_default);
    Arrival {
        origin: Some(origin),
        content: engine.prepare_command(text.as_bytes(), &envelope, Door::Control),
        raw: Zeroizing::new(text.into_bytes()),
    }
}

/// A backup event that came over HTTP.
pub fn backup_from(engine: &Engine, event: &Value) -> Arrival<PreparedBackup> {
    let text = event.to_string();
    Arrival {
        origin: None,
        content: engine.prepare_backup(text.as_bytes(), &Envelope::bare(&engine.tenant_default)),
        raw: Zeroizing::new(text.into_bytes()),
    }
}

pub fn ack_from(engine: &Engine, origin: Option<Origin>, ack: &Value) -> Arrival<PreparedAck> {
    let text = ack.to_string();
    let parsed = parse_ack(text.as_bytes(), &Envelope::bare(&engine.tenant_default));
    Arrival {
        origin,
        content: parsed.map(|ack| engine.prepare_ack(ack)),
        raw: Zeroizing::new(text.into_bytes()),
    }
}

/// What was produced.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Sent {
    pub tasks: Vec<Value>,
    pub statuses: Vec<Value>,
    /// Reasons, with the sealed values.
    pub letters: Vec<(String, Vec<u8>)>,
    /// Keys of suppressed identities, with what is said of them.
    pub suppressed: Vec<(String, Value)>,
    /// Keys that there is nothing of any more.
    pub tombstones: Vec<String>,
}

impl Sent {
    pub fn of(emission: &Emission) -> Self {
        let mut sent = Self::default();
        for record in &emission.records {
            let read = || serde_json::from_slice(&record.payload).unwrap();
            match &record.kind {
                RecordKind::Task { .. } => sent.tasks.push(read()),
                RecordKind::Status { .. } => sent.statuses.push(read()),
                RecordKind::Suppression { key, .. } => sent.suppressed.push((hex::encode(key), read())),
                RecordKind::Tombstone => sent.tombstones.push(match record.key.unwrap() {
                    RecordKey::Request(id) => id.to_string(),
                    RecordKey::Suppression(key) => hex::encode(key),
                }),
                RecordKind::DeadLetter { headers } => {
                    sent.letters
                        .push((headers.reason.to_string(), record.payload.clone()));
                }
            }
        }
        sent.tasks
            .sort_by_key(|task| (task["request_id"].to_string(), task["processor"].to_string()));
        sent
    }

    /// The task of a processor, which has to be among them.
    pub fn task(&self, processor: &str) -> &Value {
        let found = self.tasks.iter().find(|task| task["processor"] == processor);
        found.unwrap_or_else(|| panic!("no task for {processor} in {self:#?}"))
    }

    /// The processors that were asked, in order.
    pub fn asked(&self) -> Vec<&str> {
        self.tasks
            .iter()
            .map(|task| task["processor"].as_str().unwrap())
            .collect()
    }

    pub fn reasons(&self) -> Vec<&str> {
        self.letters.iter().map(|(reason, _)| reason.as_str()).collect()
    }

    /// The last status.
    pub fn status(&self) -> &Value {
        self.statuses.last().expect("no status was produced")
    }
}
