//! An upstream service: publishes commands at a rate, or as fast as a window of open requests allows, and watches the
//! status topic until each request is closed.

use std::{
    collections::{BTreeMap, HashMap},
    ops::ControlFlow,
    time::Duration,
};

use rand::{Rng as _, SeedableRng as _};
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{Histogram, Ids, SESSION, command, outbox::Outbox, random::Random};
use crate::{
    clock::{Clock, Stopwatch},
    domain::words::Status,
    kafka::{
        KafkaError,
        client::{Cluster, PATIENCE, Quiet},
        while_doing,
    },
};

/// How many commands, and how fast.
#[derive(Debug, Clone)]
pub struct Load {
    /// How many requests.
    pub requests: u64,
    /// How many a second; `None`: as many as the window allows.
    pub rate: Option<f64>,
    /// How many may be open at a time. The embedded broker keeps about 5 MB a partition: at most 2,000 there.
    pub window: usize,
    /// Gives up when nothing has been closed for this long.
    pub patience: Duration,
    /// Gives up after this time in any case.
    pub limit: Duration,
}

/// How far a load has come.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Commands published.
    pub published: u64,
    /// Requests closed.
    pub closed: u64,
    /// The time since the first command.
    pub elapsed: Duration,
}

/// What came of a load.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Commands published.
    pub published: u64,
    /// Requests that were completed.
    pub completed: u64,
    /// Requests that came to another end, by its name.
    pub others: BTreeMap<&'static str, u64>,
    /// From the first command to the last end.
    pub elapsed: Duration,
    /// From a command's publication to the arrival of the status that says `completed`.
    pub latency: Histogram,
    /// Requests a second between the first and the last tenth; zero for fewer than 20.
    pub steady: f64,
    /// Statuses read.
    pub statuses: u64,
    /// How many requests were open at a time, at the most.
    pub most_open: usize,
    /// The requests of the load, the first ones only where there are many.
    pub ids: Vec<Uuid>,
}

impl Report {
    /// Requests that came to an end.
    pub fn closed(&self) -> u64 {
        self.completed + self.others.values().sum::<u64>()
    }

    /// Completed requests a second.
    pub fn per_second(&self) -> f64 {
        if self.elapsed.is_zero() {
            0.0
        } else {
            self.completed as f64 / self.elapsed.as_secs_f64()
        }
    }
}

/// Publishes commands and watches statuses.
pub struct Driver {
    commands: String,
    outbox: Outbox,
    statuses: BaseConsumer<Quiet>,
    random: Random,
    clock: Clock,
    run: u64,
    ids: Ids,
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver")
            .field("commands", &self.commands)
            .finish_non_exhaustive()
    }
}

/// The part of a status that upstream looks at.
#[derive(Deserialize)]
struct Seen {
    request_id: Uuid,
    status: Status,
}

/// How many ids a report keeps.
const KEPT_IDS: usize = 10_000;

/// The longest wait for a status before commands are looked at.
const TICK: Duration = Duration::from_millis(5);

/// How many statuses are taken before commands are looked at.
const BATCH: usize = 1000;

impl Driver {
    /// Starts watching at the end that the status topic has now. Blocks.
    pub fn new(cluster: &Cluster, commands: &str, status: &str, seed: u64) -> Result<Self, KafkaError> {
        let mut random = Random::seed_from_u64(seed);
        let run = random.next_u64();
        let statuses: BaseConsumer<Quiet> = cluster
            .consumer_config(&format!("lacuna-driver-{run:x}"), SESSION)
            // Partitions are taken by hand, so the group has no members and nothing is committed.
            .set("enable.auto.commit", "false")
            .create_with_context(Quiet)
            .map_err(while_doing("creating the driver"))?;
        statuses
            .assign(&ends_of(&statuses, status)?)
            .map_err(while_doing("watching statuses"))?;
        Ok(Self {
            commands: commands.to_owned(),
            outbox: Outbox::new(cluster)?,
            statuses,
            random,
            clock: Clock::System,
            run,
            ids: Ids::default(),
        })
    }

    /// Gives its commands and requests ids of this kind.
    #[must_use]
    pub fn with_ids(mut self, ids: Ids) -> Self {
        self.ids = ids;
        self
    }

    /// Publishes a load and waits until all of it is closed, nothing moves any more, the time is over, or `watch`, which
    /// hears of the progress every few milliseconds, says that it is enough. Blocks.
    pub fn run(
        &mut self,
        load: &Load,
        watch: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Report, KafkaError> {
        let mut run = Run::new(load);
        while run.goes_on() {
            self.publish(&mut run)?;
            self.outbox.poll();
            self.watch_statuses(&mut run)?;
            if watch(run.progress()).is_break() {
                break;
            }
        }
        // The next load of this driver has subjects of its own.
        self.run = self.run.wrapping_add(1);
        if self.outbox.lost() > 0 {
            tracing::warn!(lost = self.outbox.lost(), "commands were not delivered");
        }
        Ok(run.into_report())
    }

    fn publish(&mut self, run: &mut Run<'_>) -> Result<(), KafkaError> {
        let mut bytes = Vec::with_capacity(1024);
        let now = self.clock.now();
        for _ in 0..run.may_publish().min(BATCH as u64) {
            let id = self.ids.next(now, &mut self.random);
            bytes.clear();
            command::write(&mut bytes, id, self.run, run.report.published, now)
                .map_err(|_| KafkaError::Ended("writing a command"))?;
            self.outbox.send(&self.commands, id, &bytes)?;
            run.published(id);
        }
        Ok(())
    }

    fn watch_statuses(&self, run: &mut Run<'_>) -> Result<(), KafkaError> {
        let mut wait = if run.may_publish() > 0 {
            Duration::ZERO
        } else {
            TICK
        };
        for _ in 0..BATCH {
            match self.statuses.poll(wait) {
                None => break,
                Some(Ok(message)) => {
                    if let Ok(seen) = serde_json::from_slice(message.payload().unwrap_or_default()) {
                        run.seen(&seen);
                    }
                }
                Some(Err(error)) => {
                    tracing::warn!(%error, "the driver reads");
                    break;
                }
            }
            wait = Duration::ZERO;
        }
        Ok(())
    }
}

fn ends_of(consumer: &BaseConsumer<Quiet>, topic: &str) -> Result<TopicPartitionList, KafkaError> {
    let metadata = consumer
        .fetch_metadata(Some(topic), PATIENCE)
        .map_err(while_doing("looking at the status topic"))?;
    let mut ends = TopicPartitionList::new();
    for partition in metadata
        .topics()
        .iter()
        .flat_map(rdkafka::metadata::MetadataTopic::partitions)
    {
        let (_, end) = consumer
            .fetch_watermarks(topic, partition.id(), PATIENCE)
            .map_err(while_doing("looking at the status topic"))?;
        ends.add_partition_offset(topic, partition.id(), Offset::Offset(end))
            .map_err(while_doing("looking at the status topic"))?;
    }
    Ok(ends)
}

/// One load on its way.
struct Run<'a> {
    load: &'a Load,
    report: Report,
    running: Stopwatch,
    /// Open requests, with the time at which their command was published.
    open: HashMap<Uuid, Duration>,
    last_end: Duration,
    /// When a tenth was closed.
    tenth: Option<(u64, Duration)>,
    /// When nine tenths were.
    nine_tenths: Option<(u64, Duration)>,
}

impl<'a> Run<'a> {
    fn new(load: &'a Load) -> Self {
        Self {
            load,
            report: Report::default(),
            running: Stopwatch::start(),
            open: HashMap::with_capacity(load.window.min(100_000)),
            last_end: Duration::ZERO,
            tenth: None,
            nine_tenths: None,
        }
    }

    fn goes_on(&self) -> bool {
        let all = self.report.published == self.load.requests && self.open.is_empty();
        let elapsed = self.running.elapsed();
        !all && elapsed < self.load.limit && elapsed.saturating_sub(self.last_end) < self.load.patience
    }

    /// How many commands may be published now.
    fn may_publish(&self) -> u64 {
        let room = self.load.window.saturating_sub(self.open.len()) as u64;
        let left = self.load.requests - self.report.published;
        let due = match self.load.rate {
            None => left,
            // The first one is due at once.
            Some(rate) => (1 + (self.running.elapsed().as_secs_f64() * rate) as u64)
                .saturating_sub(self.report.published),
        };
        room.min(left).min(due)
    }

    fn published(&mut self, id: Uuid) {
        self.open.insert(id, self.running.elapsed());
        self.report.most_open = self.report.most_open.max(self.open.len());
        self.report.published += 1;
        if self.report.ids.len() < KEPT_IDS {
            self.report.ids.push(id);
        }
    }

    fn seen(&mut self, seen: &Seen) {
        self.report.statuses += 1;
        if !seen.status.is_final() {
            return;
        }
        // A status may be said twice: only the first counts. Others' requests are none of ours.
        let Some(published) = self.open.remove(&seen.request_id) else {
            return;
        };
        let now = self.running.elapsed();
        self.last_end = now;
        if seen.status == Status::Completed {
            self.report.completed += 1;
            self.report.latency.record(now.saturating_sub(published));
        } else {
            *self.report.others.entry(seen.status.as_str()).or_default() += 1;
        }
        let closed = self.report.closed();
        if closed * 10 >= self.load.requests {
            self.tenth.get_or_insert((closed, now));
        }
        if closed * 10 >= self.load.requests * 9 {
            self.nine_tenths.get_or_insert((closed, now));
        }
    }

    fn progress(&self) -> Progress {
        Progress {
            published: self.report.published,
            closed: self.report.closed(),
            elapsed: self.running.elapsed(),
        }
    }

    fn into_report(self) -> Report {
        let mut report = self.report;
        report.elapsed = if self.open.is_empty() {
            self.last_end
        } else {
            self.running.elapsed()
        };
        if let (Some((from, start)), Some((to, end))) = (self.tenth, self.nine_tenths)
            && end > start
            && self.load.requests >= 20
        {
            report.steady = (to - from) as f64 / (end - start).as_secs_f64();
        }
        report
    }
}
