//! Simulated processors: one thread reads the tasks of several and answers each according to its character.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use rand::{Rng as _, SeedableRng as _};
use rdkafka::{
    Message,
    consumer::{BaseConsumer, Consumer},
    message::BorrowedMessage,
};
use uuid::Uuid;

use super::{
    SESSION, answer,
    character::{Character, Says, SimulatedAnswer},
    outbox::Outbox,
    random::Random,
};
use crate::{
    clock::{Clock, Stopwatch},
    kafka::{
        KafkaError,
        batch_window::whole_millis,
        client::{Cluster, Quiet},
        while_doing,
    },
};

/// A processor to be simulated.
#[derive(Debug, Clone)]
pub struct Simulated {
    /// The topic of its tasks.
    pub topic: String,
    /// How it behaves.
    pub character: Character,
}

/// What a simulated processor has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tasks that arrived, later attempts among them.
    pub tasks: u64,
    /// Those of them that were later attempts.
    pub retries: u64,
    /// Promises.
    pub accepted: u64,
    /// Erasures.
    pub erased: u64,
    /// Tasks whose subject was not known.
    pub not_found: u64,
    /// Failures.
    pub failed: u64,
    /// Messages that no processor could make sense of.
    pub unreadable: u64,
}

#[derive(Debug, Default)]
struct Counters {
    tasks: AtomicU64,
    retries: AtomicU64,
    accepted: AtomicU64,
    erased: AtomicU64,
    not_found: AtomicU64,
    failed: AtomicU64,
    unreadable: AtomicU64,
}

impl Counters {
    fn said(&self, says: Says) {
        let counter = match says {
            Says::Accepted => &self.accepted,
            Says::Erased => &self.erased,
            Says::NotFound => &self.not_found,
            Says::Failed => &self.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn tally(&self) -> Tally {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Tally {
            tasks: read(&self.tasks),
            retries: read(&self.retries),
            accepted: read(&self.accepted),
            erased: read(&self.erased),
            not_found: read(&self.not_found),
            failed: read(&self.failed),
            unreadable: read(&self.unreadable),
        }
    }
}

/// Simulated processors that share a thread, a consumer and a producer.
#[derive(Debug)]
pub struct Fleet {
    stop: Arc<AtomicBool>,
    counters: Arc<[Counters]>,
    changed: Arc<Mutex<Option<Character>>>,
    thread: JoinHandle<Result<(), KafkaError>>,
}

impl Fleet {
    /// Starts them in a consumer group of their own.
    pub fn start(
        cluster: &Cluster,
        group_id: &str,
        processors: Vec<Simulated>,
        seed: u64,
    ) -> Result<Self, KafkaError> {
        let consumer = subscribe(cluster, group_id, &processors)?;
        let counters: Arc<[Counters]> = processors.iter().map(|_| Counters::default()).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let changed = Arc::new(Mutex::new(None));
        let worker = Worker {
            outbox: Outbox::new(cluster)?,
            processors,
            counters: Arc::clone(&counters),
            changed: Arc::clone(&changed),
            seed,
            clock: Clock::System,
            running: Stopwatch::start(),
            due: BinaryHeap::new(),
            spare: Vec::new(),
            acks: Arc::from(""),
        };
        let asked = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("simulated".to_owned())
            .spawn(move || worker.run(&consumer, &asked))
            .map_err(|_| KafkaError::Ended("starting the simulated processors"))?;
        Ok(Self {
            stop,
            counters,
            changed,
            thread,
        })
    }

    /// What each has done so far, in the order in which they were given.
    pub fn tallies(&self) -> Vec<Tally> {
        self.counters.iter().map(Counters::tally).collect()
    }

    /// From now on all of them behave like this.
    pub fn become_all(&self, character: Character) {
        *self.changed.lock().unwrap_or_else(PoisonError::into_inner) = Some(character);
    }

    /// Whether they still run.
    pub fn is_running(&self) -> bool {
        !self.thread.is_finished()
    }

    /// Ends them; what is not answered yet stays unanswered.
    pub fn stop(self) -> Result<(), KafkaError> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread
            .join()
            .map_err(|_| KafkaError::Ended("simulated processors"))?
    }
}

fn subscribe(
    cluster: &Cluster,
    group_id: &str,
    processors: &[Simulated],
) -> Result<BaseConsumer<Quiet>, KafkaError> {
    let consumer: BaseConsumer<Quiet> = cluster
        .consumer_config(group_id, SESSION)
        // What was read counts as done: a simulated processor has nothing to lose.
        .set("enable.auto.offset.store", "true")
        .create_with_context(Quiet)
        .map_err(while_doing("creating a simulated processor"))?;
    let topics: Vec<&str> = processors
        .iter()
        .map(|processor| processor.topic.as_str())
        .collect();
    consumer
        .subscribe(&topics)
        .map_err(while_doing("subscribing a simulated processor"))?;
    Ok(consumer)
}

/// An ack that waits for its time. Only the time and the order of arrival count for its place.
#[derive(Debug)]
struct Due {
    at: Duration,
    n: u64,
    by: usize,
    says: Says,
    key: Uuid,
    topic: Arc<str>,
    bytes: Vec<u8>,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.n) == (other.at, other.n)
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.n).cmp(&(other.at, other.n))
    }
}

struct Worker {
    outbox: Outbox,
    processors: Vec<Simulated>,
    counters: Arc<[Counters]>,
    changed: Arc<Mutex<Option<Character>>>,
    seed: u64,
    clock: Clock,
    running: Stopwatch,
    due: BinaryHeap<Reverse<Due>>,
    /// Buffers that wait to be used again.
    spare: Vec<Vec<u8>>,
    /// The topic that acks went to last: nearly always the same.
    acks: Arc<str>,
}

/// Short enough for a prompt end.
const IDLE: Duration = Duration::from_millis(20);

/// Acks may be this much late.
const TICK: Duration = Duration::from_millis(2);

/// How many tasks are taken before acks are looked at.
const BATCH: usize = 1000;

/// As many buffers as may be in use at a time are kept.
const SPARE: usize = 10_000;

impl Worker {
    fn run(mut self, consumer: &BaseConsumer<Quiet>, stop: &AtomicBool) -> Result<(), KafkaError> {
        let mut n = 0;
        while !stop.load(Ordering::Relaxed) {
            self.change();
            let until_due = self
                .next_due()
                .map(|at| at.saturating_sub(self.running.elapsed()));
            let mut wait = until_due.map_or(IDLE, |wait| whole_millis(wait.clamp(TICK, IDLE)));
            for _ in 0..BATCH {
                match consumer.poll(wait) {
                    None => break,
                    Some(Ok(message)) => {
                        self.take(&message, n)?;
                        n += 1;
                    }
                    Some(Err(error)) => {
                        tracing::warn!(%error, "a simulated processor reads");
                        break;
                    }
                }
                wait = Duration::ZERO;
            }
            self.send_due()?;
            self.outbox.poll();
        }
        self.outbox.flush()?;
        match self.outbox.lost() {
            0 => Ok(()),
            lost => {
                tracing::warn!(lost, "acks of simulated processors were not delivered");
                Ok(())
            }
        }
    }

    fn change(&mut self) {
        let changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(character) = changed {
            for processor in &mut self.processors {
                processor.character = character;
            }
        }
    }

    fn next_due(&self) -> Option<Duration> {
        self.due.peek().map(|Reverse(due)| due.at)
    }

    fn take(&mut self, message: &BorrowedMessage<'_>, n: u64) -> Result<(), KafkaError> {
        let Some(by) = self
            .processors
            .iter()
            .position(|processor| processor.topic == message.topic())
        else {
            return Ok(());
        };
        let (Some(processor), Some(counters)) = (self.processors.get(by), self.counters.get(by)) else {
            return Ok(());
        };
        let read = serde_json::from_slice::<answer::Task<'_>>(message.payload().unwrap_or_default());
        let task = read
            .ok()
            .and_then(|task| Some((Uuid::try_parse(&task.request_id).ok()?, task)));
        let Some((request, task)) = task else {
            counters.unreadable.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        };
        counters.tasks.fetch_add(1, Ordering::Relaxed);
        counters
            .retries
            .fetch_add(u64::from(task.attempt > 1), Ordering::Relaxed);
        if *self.acks != *task.ack.topic {
            self.acks = Arc::from(&*task.ack.topic);
        }
        let chance = self.chance(request, by, task.attempt);
        let (first, second) = processor.character.answers(task.attempt, chance);
        for (nth, answer) in [Some(first), second].into_iter().flatten().enumerate() {
            // A promise and its keeping stand in the order in which they were made.
            self.plan(answer, by, &task, request, chance, 2 * n + nth as u64)?;
        }
        Ok(())
    }

    /// Depends on the seed and on the part of the request's id that came from the seed, not on the time.
    fn chance(&self, request: Uuid, by: usize, attempt: u32) -> u64 {
        let (_, tail) = request.as_u64_pair();
        let which = ((by as u64) << 32) ^ u64::from(attempt);
        Random::seed_from_u64(self.seed ^ tail ^ which).next_u64()
    }

    fn plan(
        &mut self,
        answer: SimulatedAnswer,
        by: usize,
        task: &answer::Task<'_>,
        key: Uuid,
        chance: u64,
        n: u64,
    ) -> Result<(), KafkaError> {
        let mut bytes = self.spare.pop().unwrap_or_default();
        let at = self.clock.now().plus(answer.after);
        if answer::write(&mut bytes, task, answer.says, chance, at).is_err() {
            return Err(KafkaError::Ended("writing an ack"));
        }
        let due = Due {
            at: self.running.elapsed() + answer.after,
            n,
            by,
            says: answer.says,
            key,
            topic: Arc::clone(&self.acks),
            bytes,
        };
        if answer.after.is_zero() {
            return self.send(due);
        }
        self.due.push(Reverse(due));
        Ok(())
    }

    fn send_due(&mut self) -> Result<(), KafkaError> {
        let now = self.running.elapsed();
        while self.next_due().is_some_and(|at| at <= now) {
            if let Some(Reverse(due)) = self.due.pop() {
                self.send(due)?;
            }
        }
        Ok(())
    }

    fn send(&mut self, due: Due) -> Result<(), KafkaError> {
        self.outbox.send(&due.topic, due.key, &due.bytes)?;
        if let Some(counters) = self.counters.get(due.by) {
            counters.said(due.says);
        }
        let mut buffer = due.bytes;
        buffer.clear();
        if self.spare.len() < SPARE {
            self.spare.push(buffer);
        }
        Ok(())
    }
}
