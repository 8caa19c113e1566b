//! What a scenario is played in: how messages travel, and time passes.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use super::{
    Stuck,
    call::Caller,
    system_answer::Answers,
    upstream::{Emitted, UpstreamEvent},
};
use crate::domain::time::At;

/// The input topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// Commands.
    Commands,
    /// Control commands.
    Control,
    /// Answers of processors.
    Acks,
    /// Events of backup systems.
    Backups,
    /// The same, told by an operator, who may name processors that are no sources of the set.
    Operator,
}

/// Something that Lacuna has produced.
#[derive(Debug, Clone)]
pub enum Output {
    /// A task, to a processor.
    Task(Value),
    /// A system that was called has answered this task for good, in the same call.
    Answered(Value),
    /// A vendor was called, as the step of its connector says.
    Called {
        /// The processor.
        system: String,
        /// The step.
        step: String,
    },
    /// A status, to upstream.
    Status(Value),
    /// A message could not be taken in, for this reason.
    DeadLetter(String),
}

/// Brings messages to Lacuna and what it produces to others, and turns its clock.
///
/// Within one process: [`super::in_process::InProcess`]. Over a real Kafka and PostgreSQL: the tests have one.
pub trait Environment {
    /// Now.
    fn now(&self) -> At;
    /// Calls its API.
    fn caller(&self) -> &Caller;
    /// How long what has to be seen may take to show, by the time of those who watch.
    fn patience(&self) -> Duration {
        Duration::ZERO
    }
    /// Lets time pass until then. [`Environment::settle`] follows.
    fn pass_until(&mut self, at: At) -> impl Future<Output = Result<(), Stuck>>;
    /// Sends messages. The answer: what became of each, in a word or two, where that can be known at once.
    fn send(
        &mut self,
        topic: Topic,
        messages: Vec<Vec<u8>>,
    ) -> impl Future<Output = Result<Vec<String>, Stuck>>;
    /// From now on a system that is called answers so.
    fn answer(&mut self, system: &str, answers: Answers) -> Result<(), Stuck>;
    /// An upstream says something in its own words, at its own place.
    fn emit(&mut self, event: UpstreamEvent) -> impl Future<Output = Result<Emitted, Stuck>>;
    /// How many rows each table of the agent's database has.
    fn rows(&mut self) -> impl Future<Output = Result<BTreeMap<String, i64>, Stuck>>;
    /// Makes another registry the active one.
    fn apply(&mut self, registry: &str) -> impl Future<Output = Result<(), Stuck>>;
    /// Waits until everything has happened that follows by itself. The answer: what was produced since the last time.
    fn settle(&mut self) -> impl Future<Output = Result<Vec<Output>, Stuck>>;
    /// Brings gauges up to date.
    fn measure(&mut self) -> impl Future<Output = Result<(), Stuck>>;
}
