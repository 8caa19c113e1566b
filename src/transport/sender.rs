//! Senders: how tasks of queued lanes leave, one call each, and what came of it.
//!
//! A sender never decides and keeps no state about tasks. It makes one call within its time, and says what came of it; it
//! completes nothing that the other side has not said. Whatever goes wrong is a [`Reply`], never an error, and nothing in
//! it holds subject data.

use std::{borrow::Cow, sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{
    domain::{ack::Ack, registry::Processor},
    engine::effects::TaskDispatch,
};

/// Makes the calls of one kind of transport, for every processor that has it.
#[async_trait]
pub trait Sender: std::fmt::Debug + Send + Sync + 'static {
    /// Sends a task, and waits for the answer: within `within`, whatever the other side does.
    async fn send(&self, processor: &Processor, task: &TaskDispatch, within: Duration) -> Reply;
}

/// The senders, by the type of transport.
#[derive(Debug, Clone, Default)]
pub struct Senders(Vec<(&'static str, Arc<dyn Sender>)>);

impl Senders {
    /// With one more.
    #[must_use]
    pub fn with(mut self, kind: &'static str, sender: Arc<dyn Sender>) -> Self {
        self.0.push((kind, sender));
        self
    }

    /// The one that makes a processor's calls.
    pub fn of(&self, processor: &Processor) -> Option<&Arc<dyn Sender>> {
        let kind = processor.transport.kind();
        self.0
            .iter()
            .find(|(name, _)| *name == kind)
            .map(|(_, sender)| sender)
    }
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// It was answered: an ack of this attempt, with its own token, ready to be settled like any other.
    Ack(Box<Ack>),
    /// It did not work, and is tried again.
    Failed(Failed),
    /// The other side does not let us in: nobody's task is at fault, and the lane stops at once.
    Unauthorised(Cow<'static, str>),
}

/// A call that did not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// What is said of it, for people and without subject data: `the answer took longer than 15 s`.
    pub why: Cow<'static, str>,
    /// When the other side wants to be asked again.
    pub retry_after: Option<Duration>,
    /// Whether the attempt counts: it does not where the other side only asks for patience (429).
    pub counts: bool,
    /// Whether it may have been carried out all the same: the call had left, and no answer came.
    pub may_have_arrived: bool,
}

impl Failed {
    /// One that counts, and of which nobody knows whether it arrived.
    pub fn new(why: impl Into<Cow<'static, str>>) -> Self {
        Self {
            why: why.into(),
            retry_after: None,
            counts: true,
            may_have_arrived: true,
        }
    }

    /// It never left.
    #[must_use]
    pub fn not_sent(mut self) -> Self {
        self.may_have_arrived = false;
        self
    }

    /// The other side has said when to ask again.
    #[must_use]
    pub const fn after(mut self, retry_after: Option<Duration>) -> Self {
        self.retry_after = retry_after;
        self
    }
}
