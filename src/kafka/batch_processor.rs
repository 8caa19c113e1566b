//! Deciding: a batch of messages goes through its use case, whatever comes in between.
//!
//! A store that is away, or that nobody can use, is waited for, and so is a clock that can be trusted. A message that no
//! transaction can take in, although the store takes others, is found and dead-lettered, and its neighbours go through (see
//! `culprits.rs`). What was taken in before is only republished. Nothing here talks to Kafka.

mod culprits;

use std::sync::Arc;

use async_trait::async_trait;
use rdkafka::{Message, message::Headers};
use tokio_util::sync::CancellationToken;

use super::batch_window::Window;
use crate::{
    delivery::republish::republish,
    domain::{
        command::Command,
        ids::{RequestId, Tenant},
    },
    engine::{
        Engine, EngineError,
        dry_run::DryRun,
        effects::Effects,
        prepare::{Arrival, Names, PreparedAck, PreparedBackup, PreparedCommand},
        schedule::Pauses,
        traced::end_spans,
    },
    store::Origin,
    telemetry::logs::chain,
    wire::{
        KeptHeaders, Rejection,
        ack::parse_ack,
        command::Channel,
        envelope::{Envelope, open},
    },
};

/// What a record is.
#[derive(Debug)]
pub enum Reading<T> {
    /// A message, or why it is none.
    Message(Result<T, Rejection>),
    /// Nothing that concerns anybody here.
    Nothing,
    /// It cannot be told just now: it is read again, and nothing behind it meanwhile.
    NotNow,
}

/// The headers of a record.
pub fn headers_of<M: Message>(record: &M) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
    let headers = record.headers().into_iter();
    headers
        .flat_map(|headers| headers.iter())
        .map(|header| (header.key, header.value))
}

/// Reads a record that is one of our own messages.
fn read_message<M: Message, T>(
    record: &M,
    tenant_default: &Tenant,
    prepare: impl FnOnce(&[u8], &Envelope<'_>) -> Result<T, Rejection>,
) -> Reading<T> {
    let opened = open(headers_of(record), record.payload(), tenant_default);
    Reading::Message(opened.and_then(|opened| prepare(&opened.payload, &opened.envelope)))
}

/// What a stage does with its messages.
#[async_trait]
pub trait Work: Send + Sync + 'static {
    /// A prepared message.
    type Item: Names + Clone + Send + Sync + 'static;
    /// The name, for logs.
    const NAME: &'static str;
    /// Whether the store knows every message that it has taken in. Where that depends on the configuration, a message that it
    /// does not know says nothing about the log.
    const LEAVES_TRACES: bool = true;
    /// How much it decides at once.
    const WINDOW: Window;
    /// The name of this one, where there are several.
    fn name(&self) -> &'static str {
        Self::NAME
    }
    /// Reads one record, on the polling thread. `incarnation`: which log of its topic's name it comes from.
    fn read<M: Message>(&self, record: &M, incarnation: u32, tenant_default: &Tenant) -> Reading<Self::Item>;
    /// What is kept of the headers of a record that is refused.
    fn kept_headers<M: Message>(&self, record: &M) -> KeptHeaders {
        KeptHeaders::of_record(headers_of(record), record.key())
    }
    /// Decides a batch of new messages.
    async fn decide(&self, arrivals: &[Arrival<Self::Item>]) -> Result<Effects, EngineError>;
    /// Whether two messages that follow each other are written by one transaction, and into the same tables: then what the
    /// store takes of one it would take of the other.
    fn are_alike(&self, _: &Self::Item, _: &Self::Item) -> bool {
        true
    }
    /// Writes something like this message, or else anything, and rolls it back.
    async fn dry_run(&self, engine: &Engine, _: &Self::Item) -> Result<DryRun, EngineError> {
        engine.dry_run().await
    }
}

/// Commands.
#[derive(Debug)]
pub struct Intake {
    /// The use cases.
    pub engine: Arc<Engine>,
    /// The topic of the privileged few.
    pub control_topic: String,
}

#[async_trait]
impl Work for Intake {
    type Item = PreparedCommand;
    const NAME: &'static str = "intake";
    const WINDOW: Window = Window::COMMANDS;

    fn read<M: Message>(&self, record: &M, _: u32, tenant_default: &Tenant) -> Reading<PreparedCommand> {
        let channel = if record.topic() == self.control_topic {
            Channel::Control
        } else {
            Channel::Commands
        };
        read_message(record, tenant_default, |payload, envelope| {
            self.engine.intake().prepare_command(payload, envelope, channel)
        })
    }

    async fn decide(&self, arrivals: &[Arrival<PreparedCommand>]) -> Result<Effects, EngineError> {
        Ok(self.engine.intake().take_in(arrivals).await?.emission)
    }

    fn are_alike(&self, one: &PreparedCommand, other: &PreparedCommand) -> bool {
        use std::mem::discriminant;
        // Holds, releases and returns have transactions of their own.
        let shares = matches!(
            one.command,
            Command::Open(_) | Command::Cancel(_) | Command::Decide(_) | Command::Supply(_)
        );
        shares && discriminant(&one.command) == discriminant(&other.command)
    }

    async fn dry_run(&self, engine: &Engine, item: &PreparedCommand) -> Result<DryRun, EngineError> {
        engine.intake().dry_run_command(item).await
    }
}

/// Acks.
#[derive(Debug)]
pub struct Settle {
    /// The use cases.
    pub engine: Arc<Engine>,
}

#[async_trait]
impl Work for Settle {
    type Item = PreparedAck;
    const NAME: &'static str = "settle";
    const WINDOW: Window = Window::ACKS;

    fn read<M: Message>(&self, record: &M, _: u32, tenant_default: &Tenant) -> Reading<PreparedAck> {
        read_message(record, tenant_default, |payload, envelope| {
            self.engine
                .settlement()
                .prepare_ack(parse_ack(payload, envelope)?)
        })
    }

    async fn decide(&self, arrivals: &[Arrival<PreparedAck>]) -> Result<Effects, EngineError> {
        Ok(self.engine.settlement().settle(arrivals).await?.emission)
    }
}

/// Backup events.
#[derive(Debug)]
pub struct Backups {
    /// The use cases.
    pub engine: Arc<Engine>,
}

#[async_trait]
impl Work for Backups {
    type Item = PreparedBackup;
    const NAME: &'static str = "backups";
    // They are few, and up to fifty of them share a transaction.
    const WINDOW: Window = Window::COMMANDS;

    fn read<M: Message>(&self, record: &M, _: u32, tenant_default: &Tenant) -> Reading<PreparedBackup> {
        read_message(record, tenant_default, |payload, envelope| {
            self.engine.backup_events().prepare_backup(payload, envelope)
        })
    }

    async fn decide(&self, arrivals: &[Arrival<PreparedBackup>]) -> Result<Effects, EngineError> {
        Ok(self.engine.backup_events().record_backups(arrivals).await?.1)
    }
}

/// A use case that a stage runs.
enum Job<'a, T> {
    Republish(&'a [RequestId], &'a [Origin]),
    Decide(&'a [Arrival<T>]),
}

impl<T> Clone for Job<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Job<'_, T> {}

/// What came of a message that fails for good when it stands alone.
enum Tried {
    /// It went through after all: it was the store.
    Through(Effects),
    /// It is its own fault.
    AtFault(EngineError),
}

/// Decides batches of one kind.
#[derive(Debug)]
pub struct BatchProcessor<W> {
    /// What is done with a message.
    pub work: Arc<W>,
    /// The use cases.
    pub engine: Arc<Engine>,
    /// Ends the waiting for a store that is away.
    pub shutdown: CancellationToken,
}

impl<W: Work> BatchProcessor<W> {
    /// Republishes what was taken in before, and decides what is new.
    pub async fn decide(
        &self,
        replays: &[Arrival<W::Item>],
        new: &[Arrival<W::Item>],
    ) -> Result<Effects, EngineError> {
        let spans = self.engine.begin_spans(self.work.name(), new);
        let mut decided = self.decide_all(replays, new).await;
        end_spans(spans, decided.as_mut().ok());
        // Whatever became of the batch, nobody waits for the store any more. A batch that turned out to be another worker's may
        // be the last one for hours: nothing else would say so.
        self.engine.troubles.over(self.work.name());
        decided
    }

    async fn decide_all(
        &self,
        replays: &[Arrival<W::Item>],
        new: &[Arrival<W::Item>],
    ) -> Result<Effects, EngineError> {
        let mut emission = Effects::default();
        if !replays.is_empty() {
            emission.append(self.republish(replays).await?);
        }
        if !new.is_empty() {
            emission.append(self.decide_new(new).await?);
        }
        Ok(emission)
    }

    /// Republishes what may not have been produced. A request that cannot be read must not keep its neighbours waiting.
    async fn republish(&self, replays: &[Arrival<W::Item>]) -> Result<Effects, EngineError> {
        tracing::info!(
            stage = self.work.name(),
            messages = replays.len(),
            "replays: republishing what may not have been produced"
        );
        let mut emission = Effects::default();
        let mut pending = vec![replays];
        while let Some(slice) = pending.pop() {
            let origins: Vec<Origin> = slice
                .iter()
                .filter_map(|arrival| arrival.origin.clone())
                .collect();
            match self.patiently(Job::Republish(&named(slice), &origins)).await {
                Ok(again) => emission.append(again),
                Err(error) if is_passing(&error) => return Err(error),
                Err(_) if slice.len() > 1 => {
                    let (first, second) = slice.split_at(slice.len() / 2);
                    pending.extend([second, first]);
                }
                Err(error) => match self
                    .republish_alone(Job::Republish(&named(slice), &origins), error)
                    .await?
                {
                    Tried::Through(again) => emission.append(again),
                    Tried::AtFault(error) => {
                        tracing::error!(
                            stage = self.work.name(),
                            error = &error as &dyn std::error::Error,
                            "a request cannot be republished"
                        );
                        // It may have been dead-lettered for the same reason, and that can be republished.
                        emission.append(self.patiently(Job::Republish(&[], &origins)).await?);
                    }
                },
            }
        }
        Ok(emission)
    }

    /// Decides new messages. A batch that fails for good is halved until the culprit stands alone.
    async fn decide_new(&self, new: &[Arrival<W::Item>]) -> Result<Effects, EngineError> {
        let (mut emission, mut rest, mut width) = (Effects::default(), new, new.len());
        while !rest.is_empty() {
            let slice = &rest[..width];
            let done = match self.patiently(Job::Decide(slice)).await {
                Ok(decided) => {
                    emission.append(decided);
                    width
                }
                Err(error) if is_passing(&error) => return Err(error),
                Err(error) if width > 1 => {
                    tracing::warn!(stage = self.work.name(), %error, messages = width, "halving a batch that fails");
                    width /= 2;
                    continue;
                }
                Err(error) => {
                    let passed = self.pass_culprits(rest, error).await?;
                    emission.append(passed.emission);
                    passed.messages
                }
            };
            rest = &rest[done..];
            width = rest.len();
        }
        Ok(emission)
    }

    /// Runs a use case, and waits for a store that is away or not usable, and for a clock that can be trusted.
    async fn patiently(&self, job: Job<'_, W::Item>) -> Result<Effects, EngineError> {
        let mut pauses = Pauses::default();
        loop {
            let done = match job {
                Job::Republish(ids, origins) => republish(&self.engine, ids, origins).await,
                Job::Decide(arrivals) => self.work.decide(arrivals).await,
            };
            match done {
                Err(error) if error.is_outage() && !self.shutdown.is_cancelled() => {
                    let why = chain(&error);
                    tracing::warn!(
                        stage = self.work.name(),
                        why,
                        "waiting: nothing is decided meanwhile"
                    );
                    self.engine.troubles.waits(self.work.name(), why);
                    tokio::time::sleep(pauses.longer()).await;
                }
                done => {
                    if done.is_ok() {
                        self.engine.troubles.over(self.work.name());
                    }
                    return done;
                }
            }
        }
    }
}

/// Whether the messages are not at fault: another worker has them, or the worker shuts down while the store is away.
fn is_passing(error: &EngineError) -> bool {
    error.is_fenced() || error.is_outage()
}

fn named<T: Names>(arrivals: &[Arrival<T>]) -> Vec<RequestId> {
    let mut ids: Vec<RequestId> = arrivals
        .iter()
        .filter_map(|arrival| arrival.content.as_ref().ok())
        .flat_map(|named| [named.request_id(), named.former_request_id()])
        .flatten()
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}
