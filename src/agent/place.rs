//! What an agent carries tasks out on.

use async_trait::async_trait;

use super::{answer::Answer, task::Task, turn::Turn};

/// What an agent carries tasks out on.
#[async_trait]
pub trait Place: std::fmt::Debug + Send + Sync {
    /// Carries tasks out: an answer for each of them, in their order. What goes wrong is an answer, too.
    async fn carry_out(&self, tasks: &[Task], turn: &Turn) -> Vec<Answer>;

    /// Whether the tables of its evidence are those of its configuration. What a program writes may be anything, also somebody's name.
    fn names_tables(&self) -> bool {
        true
    }

    /// For how many tasks no row of a table belonged to anybody, by table.
    fn idle(&self) -> Vec<(String, u32)> {
        Vec::new()
    }
}

/// Why an agent does not start.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// What the configuration says does not fit to what is there: one mistake a line.
    #[error("{0}")]
    Mistaken(String),
    /// It cannot be reached.
    #[error("{what} cannot be reached: {why}")]
    Unreachable {
        /// What.
        what: &'static str,
        /// Why, without a password.
        why: String,
    },
}
