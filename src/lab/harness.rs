//! The engine on a clock that is turned by hand: workers that come and go over one store, with messages that go from hand
//! to hand, the same bytes as through a broker. Demonstrations, scenarios and tests are all played on it.

pub mod arrivals;
mod sent;

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU16, Ordering},
    },
    time::Duration,
};

pub use self::sent::Sent;
use crate::{
    app::{self, AppError},
    clock::{Clock, ManualClock},
    config::Config,
    domain::{registry::Registry, time::At},
    engine::{
        Engine, EngineError, Settings, effects::Effects, facts::FactOutcome, intake::TakenIn,
        settlement::Settled,
    },
    store::{Line, Origin, Seen, Store},
    telemetry::metrics::Metrics,
    vault::Vault,
    wire::command::Channel,
};

/// How many turns of the sweeps and the agenda one moment may take: far more than anything here needs.
const TURNS: u32 = 1_000;

/// How many requests are read at a time.
const PAGE: u32 = 500;

/// A store, a vault and a clock: all that workers share.
#[derive(Debug)]
pub struct Harness {
    /// What they decide over.
    pub store: Arc<dyn Store>,
    /// Their clock.
    pub clock: ManualClock,
    /// What the next worker is set up with.
    pub settings: Settings,
    /// Their keys.
    pub vault: Vault,
    offset: AtomicI64,
    slot: AtomicU16,
}

impl Harness {
    /// Over a migrated store.
    pub fn new(store: Arc<dyn Store>, vault: Vault, settings: Settings, start: At) -> Self {
        Self {
            store,
            clock: ManualClock::starting_at(start),
            settings,
            vault,
            offset: AtomicI64::new(0),
            slot: AtomicU16::new(0),
        }
    }

    /// Over the store and the keyring that a configuration names, both new.
    pub async fn open(config: &Config, start: At) -> Result<Self, AppError> {
        let clock = Clock::Manual(ManualClock::starting_at(start));
        let store = app::open_store(config, &clock, true).await?;
        store.migrate().await?;
        let vault = app::open_vault(config, &clock, store.as_ref()).await?;
        let settings = app::settings_of(config, start, Arc::from("by hand"));
        Ok(Self::new(store, vault, settings, start))
    }

    /// Now.
    pub fn now(&self) -> At {
        self.clock.now()
    }

    /// Makes a registry the active one; workers that run already have not heard of it.
    pub async fn apply(&self, registry: &Registry) -> Result<(), EngineError> {
        let engine = self.engine(Arc::clone(&self.store));
        engine.apply_registry(registry).await.map(drop)
    }

    /// One more worker.
    pub async fn worker(&self) -> Result<Arc<Engine>, EngineError> {
        self.worker_over(Arc::clone(&self.store)).await
    }

    /// One more worker, which sees the store through something else.
    pub async fn worker_over(&self, store: Arc<dyn Store>) -> Result<Arc<Engine>, EngineError> {
        let engine = self.engine(store);
        engine.load_registry().await?;
        engine.set_ack_partitions(1);
        Ok(Arc::new(engine))
    }

    fn engine(&self, store: Arc<dyn Store>) -> Engine {
        let metrics = Metrics::new().expect("a registry of its own has no metric of the same name");
        let slot = self.slot.fetch_add(1, Ordering::Relaxed);
        let (vault, settings) = (self.vault.clone(), self.settings.clone());
        Engine::new(
            store,
            vault,
            Clock::Manual(self.clock.clone()),
            Arc::new(metrics),
            settings,
            slot,
        )
    }

    /// The origin of the next message of a topic.
    pub fn origin(&self, topic: &str) -> Origin {
        Origin {
            cluster: Arc::clone(&self.settings.cluster),
            topic: Arc::from(topic),
            partition: 0,
            offset: self.offset.fetch_add(1, Ordering::Relaxed),
            incarnation: 0,
        }
    }

    /// A worker reads commands: all of them in one batch.
    pub async fn take_in(
        &self,
        engine: &Engine,
        channel: Channel,
        messages: &[Vec<u8>],
    ) -> Result<TakenIn, EngineError> {
        let topic = if channel == Channel::Control {
            "control"
        } else {
            "commands"
        };
        let read = |bytes| arrivals::command(engine, Some(self.origin(topic)), channel, bytes);
        engine
            .intake()
            .take_in(&messages.iter().map(|bytes| read(bytes)).collect::<Vec<_>>())
            .await
    }

    /// A worker reads acks.
    pub async fn settle(&self, engine: &Engine, messages: &[Vec<u8>]) -> Result<Settled, EngineError> {
        let topic = Arc::clone(&self.settings.ack_topic);
        let read = |bytes| arrivals::ack(engine, Some(self.origin(&topic)), bytes);
        engine
            .settlement()
            .settle(&messages.iter().map(|bytes| read(bytes)).collect::<Vec<_>>())
            .await
    }

    /// A worker reads what backup systems tell, or operators in their place.
    pub async fn tell_backups(
        &self,
        engine: &Engine,
        messages: &[Vec<u8>],
        by_operator: bool,
    ) -> Result<(Vec<FactOutcome>, Effects), EngineError> {
        let read = |bytes| arrivals::backup(engine, Some(self.origin("backups")), bytes);
        let mut read: Vec<_> = messages.iter().map(|bytes| read(bytes)).collect();
        for prepared in read
            .iter_mut()
            .filter_map(|arrival| arrival.content.as_mut().ok())
        {
            prepared.by_operator = by_operator;
        }
        engine.backup_events().record_backups(&read).await
    }

    /// Everything that was emitted has reached the broker.
    pub async fn produced(&self, emission: &Effects) -> Result<(), EngineError> {
        Ok(self.store.outbox_done(&emission.revisions).await?)
    }

    /// The ack topic has been read to its end, a second from now: what is missing now is missing.
    pub async fn read_acks(&self) -> Result<(), EngineError> {
        let seen = Seen {
            cluster: Arc::clone(&self.settings.cluster),
            topic: Arc::clone(&self.settings.ack_topic),
            partition: 0,
            next: 0,
            at: self.now().plus(Duration::from_secs(1)),
        };
        Ok(self.store.seen(&[seen]).await?)
    }

    /// Everything that follows by itself at this time: sweeps, what is due, what came before its request, and the
    /// forgetting of old capsules.
    pub async fn follow(&self, engine: &Engine) -> Result<Effects, EngineError> {
        let (now, mut all) = (self.now(), Effects::default());
        self.read_acks().await?;
        for _ in 0..TURNS {
            let swept = engine.fact_sweeps().sweep().await?;
            let woken = engine.agenda().wake_due(now).await?;
            let early = engine.retention().expire_early(now).await?;
            engine.retention().expiry_produced(&early.origins).await?;
            for emission in [swept.emission, woken.emission, early.emission] {
                all.append(emission);
            }
            if !swept.busy && woken.count == 0 && !early.more {
                engine.retention().forget_old_capsules(now).await?;
                return Ok(all);
            }
        }
        panic!("it never comes to rest");
    }

    /// Deletes what has been kept of closed requests for long enough.
    pub async fn expire(&self, engine: &Engine) -> Result<Effects, EngineError> {
        let mut all = Effects::default();
        for line in [Line::Lookups, Line::Records] {
            loop {
                let expired = engine.retention().expire(line, self.now()).await?;
                all.append(expired.emission);
                if !expired.busy {
                    break;
                }
            }
        }
        Ok(all)
    }

    /// The next time at which a request wants to be looked at.
    pub async fn next_due(&self) -> Result<Option<At>, EngineError> {
        let now = self.now();
        let (mut next, mut after) = (None, None);
        loop {
            let page = self.store.page(after, PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(next);
            };
            after = Some(last.request.id);
            let due = page
                .iter()
                .filter_map(|stored| stored.request.bookkeeping.wake_at);
            next = due.filter(|at| *at > now).chain(next).min();
        }
    }

    /// Turns the clock to the next thing that is due, and no further than this. The time that it is then.
    pub async fn advance_to(&self, end: At) -> Result<At, EngineError> {
        let next = self.next_due().await?.map_or(end, |due| due.min(end));
        self.clock.advance(next.since(self.now()));
        Ok(next)
    }
}
