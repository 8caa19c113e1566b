//! Where an agent takes its tasks from, and where its answers go.

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::{answer::Answer, task::Task};

/// Where tasks come from, and where answers go.
#[async_trait]
pub trait Source: std::fmt::Debug + Send + Sync {
    /// Takes tasks: waits for a while where there are none, and gives none then.
    async fn take(&mut self, most: u32, stop: &CancellationToken) -> Result<Vec<Task>, SourceError>;

    /// Brings answers out. When it returns, each has arrived, or is not worth bringing any more.
    async fn answer(
        &mut self,
        answers: &[(&Task, Answer)],
        stop: &CancellationToken,
    ) -> Result<(), SourceError>;

    /// All that was taken is answered.
    async fn settled(&mut self) -> Result<(), SourceError>;

    /// Waits while tasks are carried out, so that they stay this agent's. It never ends.
    async fn keep(&mut self);
}

/// Why tasks cannot be taken, or answers not be brought out.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It is away.
    #[error("{0}")]
    Away(String),
    /// Nothing that is tried again helps.
    #[error("{0}")]
    Refused(String),
}
