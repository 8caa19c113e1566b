//! The real engine, vault, ledger, API and a SQLite file, on a clock that is turned by hand. Only the broker is left out:
//! messages go from hand to hand, the same bytes as through Kafka.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::{
    Stuck,
    call::Caller,
    messages::Topic,
    post::{Post, Said},
};
use crate::{
    app,
    clock::{Clock, ManualClock, Stopwatch},
    config::{Config, registry_file},
    domain::time::At,
    engine::{
        Engine,
        outputs::{Emission, RecordKind},
        prepare::Arrival,
    },
    http,
    policies::Profile,
    store::{Line, Origin, Seen},
    telemetry::{freshness::GaugeGroup, metrics::Metrics, readiness::Readiness},
    terminal::folder::Folder,
    wire::{KeptHeaders, Refusal, ack::parse_ack, command::Door, envelope::Envelope},
};

/// What the broker that there is not is called.
const CLUSTER: &str = "by hand";

/// As many messages as a worker takes in together.
const BATCH: usize = 500;

/// How many turns of the agenda and the sweeps one time may take: far more than any scenario needs.
const TURNS: u32 = 1_000;

/// How many requests are read at a time.
const PAGE: u32 = 500;

/// How long what an HTTP call has decided may take to come out.
const PATIENCE: Duration = Duration::from_secs(10);

/// Carries messages from hand to hand.
#[derive(Debug)]
pub struct ByHand {
    engine: Arc<Engine>,
    clock: ManualClock,
    caller: Caller,
    acks: Arc<str>,
    offset: AtomicI64,
    said: Vec<Said>,
    /// What HTTP calls have decided.
    emitted: Arc<Mutex<Vec<Emission>>>,
    shutdown: CancellationToken,
    _folder: Folder,
}

impl Drop for ByHand {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl ByHand {
    /// Sets up what a profile's files say, in a folder of its own.
    pub async fn open(profile: &Profile, start: At) -> Result<Self, Stuck> {
        let folder = Folder::create("scenario")?;
        let (mut config, secrets) = profile.config(folder.path())?;
        // Any free port: whoever watches may run a worker beside it.
        config.http.listen.set_port(0);
        let clock = ManualClock::starting_at(start);
        let shared = Clock::Manual(clock.clone());
        let store = app::open_store(&config, &shared, true).await?;
        store.migrate().await?;
        let metrics = Arc::new(Metrics::new().map_err(app::AppError::from)?);
        let engine = app::open_engine(&config, shared, metrics, store, Arc::from(CLUSTER)).await?;
        engine
            .apply_registry(&registry_file::read_text("processors.toml", profile.registry)?)
            .await?;
        engine.set_ack_partitions(1);
        let engine = Arc::new(engine);
        let (emissions, queue) = mpsc::channel(64);
        let emitted = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(gather(queue, Arc::clone(&emitted)));
        let shutdown = CancellationToken::new();
        let address = listen(&config, &engine, emissions, &shutdown).await?;
        Ok(Self {
            acks: Arc::from(config.kafka.topics.acks.as_str()),
            caller: Caller::new(address, &config, &secrets),
            engine,
            clock,
            offset: AtomicI64::new(0),
            said: Vec::new(),
            emitted,
            shutdown,
            _folder: folder,
        })
    }

    fn arrival<T>(&self, topic: &str, bytes: &[u8], content: Result<T, Refusal>) -> Arrival<T> {
        Arrival {
            origin: Some(Origin {
                cluster: Arc::from(CLUSTER),
                topic: Arc::from(topic),
                partition: 0,
                offset: self.offset.fetch_add(1, Ordering::Relaxed),
                incarnation: 0,
            }),
            content,
            raw: Zeroizing::new(bytes.to_vec()),
            headers: KeptHeaders::default(),
            reading: None,
        }
    }

    async fn take_in(&self, door: Door, messages: &[Vec<u8>]) -> Result<Emission, Stuck> {
        let envelope = Envelope::bare(&self.engine.tenant_default);
        let topic = if door == Door::Control {
            "control"
        } else {
            "commands"
        };
        let arrivals: Vec<_> = messages
            .iter()
            .map(|bytes| self.arrival(topic, bytes, self.engine.prepare_command(bytes, &envelope, door)))
            .collect();
        Ok(self.engine.take_in(&arrivals).await?.emission)
    }

    async fn answer(&self, messages: &[Vec<u8>]) -> Result<Emission, Stuck> {
        let envelope = Envelope::bare(&self.engine.tenant_default);
        let arrivals: Vec<_> = messages
            .iter()
            .map(|bytes| {
                let ack = parse_ack(bytes, &envelope).and_then(|ack| self.engine.prepare_ack(ack));
                self.arrival(&self.acks, bytes, ack)
            })
            .collect();
        Ok(self.engine.settle(&arrivals).await?.emission)
    }

    async fn tell(&self, messages: &[Vec<u8>]) -> Result<Emission, Stuck> {
        let envelope = Envelope::bare(&self.engine.tenant_default);
        let mut arrivals = Vec::with_capacity(messages.len());
        for message in messages {
            let bytes = self.engine.shown_by_token(message)?;
            arrivals.push(self.arrival("backups", &bytes, self.engine.prepare_backup(&bytes, &envelope)));
        }
        let (_, emission) = self.engine.tell_backups(&arrivals).await?;
        Ok(emission)
    }

    /// Hears what was said, and reports it as produced.
    async fn hear(&mut self, emission: Emission) -> Result<(), Stuck> {
        for record in &emission.records {
            let said = match &record.kind {
                RecordKind::Task { .. } => Said::Task(serde_json::from_slice(&record.payload)?),
                RecordKind::Status { .. } => Said::Status(serde_json::from_slice(&record.payload)?),
                RecordKind::DeadLetter { headers } => Said::DeadLetter(headers.reason.to_string()),
                // For those who import data, and for compaction.
                RecordKind::Suppression { .. } | RecordKind::Tombstone => continue,
            };
            self.said.push(said);
        }
        Ok(self.engine.store.outbox_done(&emission.revisions).await?)
    }

    /// Hears what HTTP calls have decided: the outbox says whether there is more to come.
    async fn hear_calls(&mut self) -> Result<(), Stuck> {
        let watch = Stopwatch::start();
        loop {
            let emitted = std::mem::take(&mut *self.emitted.lock().unwrap_or_else(PoisonError::into_inner));
            for emission in emitted {
                self.hear(emission).await?;
            }
            if self
                .engine
                .store
                .outbox(At::from_millis(i64::MAX), 1)
                .await?
                .is_empty()
            {
                return Ok(());
            }
            if watch.elapsed() > PATIENCE {
                return Err(Stuck::Fell(
                    "what a call has decided was never produced".to_owned(),
                ));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Everything that follows by itself at this time: what is due, sweeps, and the forgetting of old capsules.
    async fn follow(&mut self) -> Result<(), Stuck> {
        let now = self.clock.now();
        // Every ack that was sent has been read: what is missing now is missing.
        let seen = Seen {
            cluster: Arc::from(CLUSTER),
            topic: Arc::clone(&self.acks),
            partition: 0,
            next: 0,
            at: now.plus(Duration::from_secs(1)),
        };
        self.engine.store.seen(&[seen]).await?;
        self.hear_calls().await?;
        for _ in 0..TURNS {
            let swept = self.engine.sweep().await?;
            self.hear(swept.emission).await?;
            let woken = self.engine.wake_due(now).await?;
            self.hear(woken.emission).await?;
            let expired = self.engine.expire_early(now).await?;
            self.hear(expired.emission).await?;
            self.engine.expiry_produced(&expired.origins).await?;
            if !swept.busy && woken.count == 0 && !expired.more {
                self.engine.forget_old_capsules(now).await?;
                return self.expire(now).await;
            }
        }
        Err(Stuck::Fell("it never comes to rest".to_owned()))
    }

    /// What has been kept of closed requests for long enough goes.
    async fn expire(&mut self, now: At) -> Result<(), Stuck> {
        for line in [Line::Lookups, Line::Records] {
            loop {
                let expired = self.engine.expire(line, now).await?;
                self.hear(expired.emission).await?;
                if !expired.busy {
                    break;
                }
            }
        }
        Ok(())
    }

    /// The next time at which a request wants to be looked at.
    async fn next_due(&self) -> Result<Option<At>, Stuck> {
        let now = self.clock.now();
        let (mut next, mut after) = (None, None);
        loop {
            let page = self.engine.store.page(after, PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(next);
            };
            after = Some(last.request.id);
            let due = page.iter().filter_map(|stored| stored.request.life.wake_at);
            next = due.filter(|at| *at > now).chain(next).min();
        }
    }
}

impl Post for ByHand {
    fn now(&self) -> At {
        self.clock.now()
    }

    fn caller(&self) -> &Caller {
        &self.caller
    }

    async fn pass_until(&mut self, at: At) -> Result<(), Stuck> {
        loop {
            let next = self.next_due().await?.map_or(at, |due| due.min(at));
            self.clock.advance(next.since(self.clock.now()));
            self.follow().await?;
            if next == at {
                return Ok(());
            }
        }
    }

    async fn send(&mut self, topic: Topic, messages: Vec<Vec<u8>>) -> Result<(), Stuck> {
        for batch in messages.chunks(BATCH) {
            let emission = match topic {
                Topic::Commands => self.take_in(Door::Commands, batch).await?,
                Topic::Control => self.take_in(Door::Control, batch).await?,
                Topic::Acks => self.answer(batch).await?,
                Topic::Backups => self.tell(batch).await?,
            };
            self.hear(emission).await?;
        }
        Ok(())
    }

    async fn settle(&mut self) -> Result<Vec<Said>, Stuck> {
        self.follow().await?;
        for group in GaugeGroup::ALL {
            self.engine.read_gauges(group).await?;
        }
        Ok(std::mem::take(&mut self.said))
    }
}

async fn listen(
    config: &Config,
    engine: &Arc<Engine>,
    emissions: mpsc::Sender<Emission>,
    shutdown: &CancellationToken,
) -> Result<std::net::SocketAddr, Stuck> {
    let state = http::State::new(
        Arc::clone(engine),
        emissions,
        Readiness::default(),
        config.auth.clone(),
    );
    let serving = http::serve(&config.http, state, shutdown.clone()).await?;
    tokio::spawn(serving.finished);
    Ok(serving.address)
}

async fn gather(mut queue: mpsc::Receiver<Emission>, emitted: Arc<Mutex<Vec<Emission>>>) {
    while let Some(emission) = queue.recv().await {
        emitted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(emission);
    }
}
