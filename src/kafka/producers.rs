//! The producers of this worker. An error that is fatal to one makes it useless for good, so it is replaced.
//!
//! Nothing is lost with it: what it had not confirmed counts as failed, and is produced again as it is true then.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError, RwLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rdkafka::{
    ClientConfig, ClientContext, Statistics,
    config::RDKafkaLogLevel,
    error::{KafkaError as ClientError, RDKafkaErrorCode},
    message::DeliveryResult,
    producer::{Producer as _, ProducerContext, PurgeConfig, ThreadedProducer},
};

use super::{
    KafkaError,
    client::{Cluster, log_line},
    send_batches::SendBatches,
    while_doing,
};
use crate::clock::Stopwatch;

/// How often the client says how it is doing: only the broker's throttling is of interest.
const STATISTICS_EVERY: &str = "5000";
/// A broker that has throttled a producer goes on with it for a while.
const THROTTLED_FOR: Duration = Duration::from_secs(60);
/// A topic that the cluster says is not there is believed soon: what it does not take is tried again anyhow.
const UNKNOWN_TOPIC_AFTER: &str = "5000";
/// How long a new producer is waited for after one that has lived shortly.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a producer that was given up may take to report what it still has.
const LAST_REPORTS: Duration = Duration::from_secs(5);

/// A producer whose reports count into send_batches.
pub(super) type Client = ThreadedProducer<Deliveries>;

/// The producers that are in use.
pub(super) struct Producers {
    together: Client,
    /// Sends each message in a batch of its own; made when it is needed.
    alone: Mutex<Option<Arc<Client>>>,
    config: ClientConfig,
    state: Arc<State>,
}

/// What the producers of one life share.
#[derive(Debug, Default)]
struct State {
    send_batches: SendBatches,
    is_fatal: AtomicBool,
    hook: Arc<Hook>,
}

/// What producers tell whoever has made them.
#[derive(Default)]
struct Hook {
    maker: OnceLock<Weak<Maker>>,
    throttled: Mutex<Option<Stopwatch>>,
}

impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hook").finish_non_exhaustive()
    }
}

impl Hook {
    /// Has the producers replaced, on a thread of its own: this may be their thread, which has to go on reporting.
    fn renew(&self) {
        if let Some(maker) = self.maker.get().and_then(Weak::upgrade) {
            std::thread::spawn(move || maker.renew());
        }
    }

    fn is_throttled(&self) -> bool {
        let throttled = self.throttled.lock().unwrap_or_else(PoisonError::into_inner);
        throttled.is_some_and(|since| since.elapsed() < THROTTLED_FOR)
    }

    fn note_throttling(&self) {
        let is_new = !self.is_throttled();
        *self.throttled.lock().unwrap_or_else(PoisonError::into_inner) = Some(Stopwatch::start());
        if is_new {
            tracing::warn!(
                "the broker throttles what is produced (a quota of this client): outputs take longer"
            );
        }
    }
}

impl Producers {
    fn new(config: &ClientConfig, hook: &Arc<Hook>) -> Result<Self, KafkaError> {
        let state = Arc::new(State {
            hook: Arc::clone(hook),
            ..State::default()
        });
        Ok(Self {
            together: make(config, &state)?,
            alone: Mutex::new(None),
            config: config.clone(),
            state,
        })
    }

    pub(super) const fn together(&self) -> &Client {
        &self.together
    }

    /// The one that sends each message in a batch of its own.
    pub(super) fn alone(&self) -> Result<Arc<Client>, RDKafkaErrorCode> {
        let mut alone = self.alone.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(alone) = &*alone {
            return Ok(Arc::clone(alone));
        }
        let mut config = self.config.clone();
        config.set("batch.num.messages", "1").set("linger.ms", "0");
        let made = make(&config, &self.state).map_err(|error| {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "one more producer cannot be made"
            );
            RDKafkaErrorCode::Fail
        })?;
        Ok(Arc::clone(alone.insert(Arc::new(made))))
    }

    pub(super) fn send_batches(&self) -> &SendBatches {
        &self.state.send_batches
    }

    /// The client has refused a message.
    pub(super) fn refused(&self, code: RDKafkaErrorCode) {
        self.state.look_at(code);
    }

    pub(super) fn flush(&self, timeout: Duration) -> Result<(), ClientError> {
        if let Some(alone) = &*self.alone.lock().unwrap_or_else(PoisonError::into_inner) {
            alone.flush(timeout / 2)?;
        }
        self.together.flush(timeout)
    }

    /// Ends them: everything that is not confirmed counts as failed.
    fn give_up(&self) {
        let all = PurgeConfig::default().queue().inflight();
        self.together.purge(all);
        if let Some(alone) = &*self.alone.lock().unwrap_or_else(PoisonError::into_inner) {
            alone.purge(all);
        }
        let watch = Stopwatch::start();
        while !self.state.send_batches.is_empty() && watch.elapsed() < LAST_REPORTS {
            std::thread::park_timeout(Duration::from_millis(20));
        }
        self.state.send_batches.give_up();
    }
}

fn make(config: &ClientConfig, state: &Arc<State>) -> Result<Client, KafkaError> {
    config
        .create_with_context(Deliveries(Arc::clone(state)))
        .map_err(while_doing("creating the producer"))
}

impl State {
    /// A fatal error: this producer sends nothing any more, whatever happens.
    fn look_at(&self, code: RDKafkaErrorCode) {
        if code == RDKafkaErrorCode::Fatal && !self.is_fatal.swap(true, Ordering::AcqRel) {
            self.hook.renew();
        }
    }
}

/// Counts each delivery report into the send_batch that it belongs to.
#[derive(Debug)]
pub(super) struct Deliveries(Arc<State>);

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: ClientError, reason: &str) {
        tracing::warn!(%error, reason, "Kafka producer");
        if let Some(code) = error.rdkafka_error_code() {
            self.0.look_at(code);
        }
    }

    fn stats(&self, statistics: Statistics) {
        let brokers = statistics.brokers.values();
        let is_throttled = brokers
            .filter_map(|broker| broker.throttle.as_ref())
            .any(|throttle| throttle.max > 0);
        if is_throttled {
            self.0.hook.note_throttling();
        }
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        let failure = result.as_ref().err().map(|(error, _)| {
            let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
            self.0.look_at(code);
            (code, false)
        });
        self.0.send_batches.report(number, failure);
    }
}

/// Makes producers, one life after the other.
pub(super) struct Maker {
    cluster: Cluster,
    config: ClientConfig,
    producers: RwLock<Arc<Producers>>,
    /// How long the last one has lived.
    made: Mutex<Stopwatch>,
    hook: Arc<Hook>,
}

impl Maker {
    pub(super) fn start(cluster: &Cluster) -> Result<Arc<Self>, KafkaError> {
        let mut config = cluster.producer_config();
        config
            .set("statistics.interval.ms", STATISTICS_EVERY)
            .set("topic.metadata.propagation.max.ms", UNKNOWN_TOPIC_AFTER);
        let hook = Arc::new(Hook::default());
        let producers = Producers::new(&config, &hook)?;
        let maker = Arc::new(Self {
            cluster: cluster.clone(),
            config,
            producers: RwLock::new(Arc::new(producers)),
            made: Mutex::new(Stopwatch::start()),
            hook,
        });
        // It is set here and nowhere else.
        maker.hook.maker.set(Arc::downgrade(&maker)).unwrap_or_default();
        if maker.producers().state.is_fatal.load(Ordering::Acquire) {
            maker.hook.renew();
        }
        Ok(maker)
    }

    pub(super) const fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Those that are in use.
    pub(super) fn producers(&self) -> Arc<Producers> {
        Arc::clone(&self.producers.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn is_throttled(&self) -> bool {
        self.hook.is_throttled()
    }

    /// Takes another producer for one that a fatal error has ended. Blocks.
    fn renew(&self) {
        let lived = self.made.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
        // One that ends as soon as it is made must not be made in a circle without a pause.
        let watch = Stopwatch::start();
        while watch.elapsed() < PAUSE.saturating_sub(lived) {
            std::thread::park_timeout(PAUSE.saturating_sub(watch.elapsed()));
        }
        let new = loop {
            match Producers::new(&self.config, &self.hook) {
                Ok(new) => break Arc::new(new),
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "no new producer");
                    std::thread::park_timeout(PAUSE);
                }
            }
        };
        *self.made.lock().unwrap_or_else(PoisonError::into_inner) = Stopwatch::start();
        let old = std::mem::replace(
            &mut *self.producers.write().unwrap_or_else(PoisonError::into_inner),
            Arc::clone(&new),
        );
        tracing::error!(
            "a fatal error has ended the producer: there is a new one, and what was not confirmed is produced again"
        );
        old.give_up();
    }
}
