//! Why nothing was done about a task.

use crate::{
    domain::request::{answer::AckRejection, operate::DecisionError},
    engine::{EngineError, OperateError},
    store::{StoreError, StoreFailure},
    wire::Rejection,
};

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum ManualError {
    /// There is no such task, its state does not allow it, or something failed.
    #[error(transparent)]
    Operate(#[from] OperateError),
    /// Somebody else has claimed it.
    #[error("somebody else has claimed the task")]
    Claimed,
    /// Nobody has claimed it.
    #[error("nobody has claimed the task: claim it first")]
    NotClaimed,
    /// Another person has to confirm it.
    #[error("another person has to confirm it, too")]
    SamePerson,
    /// The other one has confirmed something else.
    #[error("the first confirmation says something else: hand the task over, and have it done again")]
    Differs,
    /// The confirmation cannot be read.
    #[error("{}", .0.detail)]
    Unreadable(Rejection),
    /// It does not fit the task.
    #[error("the task does not take this confirmation: {0}")]
    Rejected(#[from] AckRejection),
}

impl From<EngineError> for ManualError {
    fn from(error: EngineError) -> Self {
        Self::Operate(error.into())
    }
}

impl From<StoreError> for ManualError {
    fn from(error: StoreError) -> Self {
        Self::Operate(error.into())
    }
}

impl From<DecisionError> for ManualError {
    fn from(error: DecisionError) -> Self {
        Self::Operate(error.into())
    }
}

impl StoreFailure for ManualError {
    fn store_error(&self) -> Option<&StoreError> {
        match self {
            Self::Operate(error) => error.store_error(),
            _ => None,
        }
    }
}
