//! A transport: the way on which effects leave, and what comes back of those that did not arrive.
//!
//! Delivery decides what is to be done about a failure, and knows of a transport only what is said here: no topic, no error
//! code of a client. Its implementations are [`crate::kafka::producer::Producer`] and, for the tests of delivery, one that
//! does what a test asks of it.
//!
//! A transport never decides: it sends what it is given, in its order, and reports each effect exactly once.

pub mod cached;
pub mod event_reader;
pub mod http_client;
pub mod local;
pub mod oidc;
pub mod opendsr;
pub mod otlp;
pub mod schema_registry;
pub mod sender;
pub mod vendor;
pub mod webhook;

use std::{borrow::Cow, collections::BTreeMap, future::Future, pin::Pin, sync::Arc};

use async_trait::async_trait;

use crate::{domain::ids::ProcessorId, engine::effects::Effect};

/// A way on which effects leave.
#[async_trait]
pub trait Transport: std::fmt::Debug + Send + Sync + 'static {
    /// Sends these in their order. What is sent is confirmed later.
    async fn send(&self, effects: &[Effect], manner: Manner) -> Result<Confirmations, TransportError>;

    /// Whether it is being slowed down, so that what is late says nothing about where it was meant to go.
    fn is_throttled(&self) -> bool;

    /// How many bytes a task of this processor may have now; `None`: nobody says.
    async fn limit_of(&self, processor: &ProcessorId) -> Option<u32>;

    /// What a processor's tasks are sent to, for people.
    fn destination_of(&self, processor: &ProcessorId) -> Arc<str>;

    /// Which of these could not be sent anything now, each with the reason.
    async fn obstacles(
        &self,
        processors: &[ProcessorId],
    ) -> Result<BTreeMap<ProcessorId, &'static str>, TransportError>;
}

/// How effects are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Once there is room for them among what is not confirmed yet.
    WithinLimit,
    /// At once. What is sent again must not wait for room: what holds the room may be waiting behind it.
    AtOnce,
    /// At once, and none together with another, so that a refusal because of the size is that of the effect itself.
    EachAlone,
}

/// An effect that was not confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its place among those that were sent.
    pub place: usize,
    /// Whose fault it is.
    pub fault: Fault,
    /// Whether it is certain that it never left; otherwise it may have arrived all the same.
    pub certain: bool,
    /// What it was sent to, for people.
    pub destination: Arc<str>,
    /// What is said of it, for people and without subject data.
    pub why: Cow<'static, str>,
}

/// Whose fault it is that an effect was not confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is larger than its destination takes.
    TooLarge {
        /// How large it is.
        bytes: u32,
        /// How much is taken, where that is known.
        limit: Option<u32>,
    },
    /// What was sent together with it was too large as a whole, which says nothing about any part of it.
    TooLargeTogether,
    /// Its destination takes nothing: it is missing or forbidden, or nobody is in charge of it.
    Destination,
    /// It was not confirmed in time, for whatever reason.
    Late,
    /// The transport itself: nothing of it says anything about the destination.
    Transport,
}

/// Effects that are on their way.
pub struct Confirmations(Pin<Box<dyn Future<Output = Vec<Failure>> + Send>>);

impl Confirmations {
    /// `failures` ends once each of them is confirmed or given up, with those that were not, in their order.
    pub fn new(failures: impl Future<Output = Vec<Failure>> + Send + 'static) -> Self {
        Self(Box::pin(failures))
    }

    /// Waits until each of them is confirmed or given up, and gives those that were not confirmed, in their order.
    pub async fn failures(self) -> Vec<Failure> {
        self.0.await
    }
}

impl std::fmt::Debug for Confirmations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Confirmations").finish_non_exhaustive()
    }
}

/// Why a transport does not even try.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct TransportError(Box<dyn std::error::Error + Send + Sync>);

impl TransportError {
    /// For this reason.
    pub fn new(why: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self(Box::new(why))
    }
}
