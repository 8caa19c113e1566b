//! What can go wrong.

use super::clock_guard;
use crate::{
    domain::{ids::RequestId, request::operate::DecisionError, task::IllegalEvent},
    store::{StoreError, StoreFailure},
    vault::VaultError,
};

/// What can go wrong in a use case.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A packed body.
    #[error("a request's body: {0}")]
    Body(#[from] crate::domain::body::BodyError),
    /// A ledger leaf.
    #[error(transparent)]
    Leaf(#[from] crate::domain::entry::LeafError),
    /// A message that cannot be written.
    #[error("a message cannot be written")]
    Message(#[from] serde_json::Error),
    /// A fault of the state machine: the transaction is rolled back.
    #[error(transparent)]
    Illegal(#[from] IllegalEvent),
    /// A request without its body: rows are missing.
    #[error("request {0} has no body")]
    NoBody(RequestId),
    /// A message needs identifiers that are no longer readable.
    #[error("the identifiers of request {0} are no longer readable")]
    Shredded(RequestId),
    /// A decision panicked: the transaction is rolled back.
    #[error("a decision panicked")]
    Panicked,
    /// There is no time to decide by.
    #[error(transparent)]
    Clock(#[from] clock_guard::Mistrust),
    /// No registry is active yet.
    #[error("no registry is active: run `lacuna registry apply`, or start `lacuna serve` once")]
    NoRegistry,
}

impl StoreFailure for EngineError {
    fn store_error(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}

impl EngineError {
    /// Whether waiting helps, whatever is decided; otherwise the batch itself may be at fault.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Store(error) => error.is_outage() || error.is_retryable(),
            Self::Clock(_) | Self::NoRegistry => true,
            _ => false,
        }
    }

    /// Whether the store could not be reached, rather than a mistake having been made.
    pub fn is_unreachable(&self) -> bool {
        self.store_error()
            .is_some_and(|error| error.is_unreachable() || error.is_retryable())
    }

    /// Whether another worker has taken the batch in.
    pub fn is_fenced(&self) -> bool {
        matches!(self, Self::Store(StoreError::Fenced { .. }))
    }
}

/// Why an operator's decision, or a question about one request, has no good answer.
#[derive(Debug, thiserror::Error)]
pub enum OperateError {
    /// There is no such request or task.
    #[error("there is no such {0}")]
    Unknown(&'static str),
    /// Its state does not allow it.
    #[error(transparent)]
    Decision(#[from] DecisionError),
    /// The same key was used for something else.
    #[error("this command_id, or Idempotency-Key, was taken with another payload")]
    Conflicting,
    /// Something failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl From<StoreError> for OperateError {
    fn from(error: StoreError) -> Self {
        Self::Engine(error.into())
    }
}

impl StoreFailure for OperateError {
    fn store_error(&self) -> Option<&StoreError> {
        match self {
            Self::Engine(error) => error.store_error(),
            Self::Unknown(_) | Self::Decision(_) | Self::Conflicting => None,
        }
    }
}
