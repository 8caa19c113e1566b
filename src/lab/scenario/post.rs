//! How messages travel, and time passes, while a scenario is played.

use std::time::Duration;

use serde_json::Value;

use super::{Stuck, call::Caller, messages::Topic};
use crate::domain::time::At;

/// Something that Lacuna has said.
#[derive(Debug, Clone)]
pub enum Said {
    /// A task, to a processor.
    Task(Value),
    /// A status, to upstream.
    Status(Value),
    /// A message could not be taken in, for this reason.
    DeadLetter(String),
}

/// Brings messages to Lacuna and what it says to others, and turns its clock.
///
/// From hand to hand, over SQLite: [`super::by_hand::ByHand`]. Over a real Kafka and PostgreSQL: the tests have one.
pub trait Post {
    /// Now.
    fn now(&self) -> At;
    /// Calls its API.
    fn caller(&self) -> &Caller;
    /// How long what has to be seen may take to show, by the time of those who watch.
    fn patience(&self) -> Duration {
        Duration::ZERO
    }
    /// Lets time pass until then. [`Post::settle`] follows.
    fn pass_until(&mut self, at: At) -> impl Future<Output = Result<(), Stuck>>;
    /// Sends messages.
    fn send(&mut self, topic: Topic, messages: Vec<Vec<u8>>) -> impl Future<Output = Result<(), Stuck>>;
    /// Waits until everything has happened that follows by itself. The answer: what was said since the last time.
    fn settle(&mut self) -> impl Future<Output = Result<Vec<Said>, Stuck>>;
}
