//! Plays a policy's scenario: what is done and has to be seen over simulated time. `lacuna demo --scenario NAME` prints a
//! report of it, and the tests play all of them.
//!
//! It must never look at anything that nobody outside can see: messages go in, messages and the API's answers come out.

pub mod agents;
pub mod call;
mod checks;
pub mod environment;
pub mod in_process;
mod messages;
mod naming;
mod observed;
mod outgoing;
pub mod player;
mod registry;
pub mod report;
pub mod script;
pub mod system_answer;
pub mod systems;
pub mod upstream;
mod words;

pub use checks::Checked;
pub use registry::registry;
pub use words::{Attributes, attributes};

use crate::{app::AppError, config::Problems, engine::EngineError, store::StoreError, terminal::Failure};

/// Why a scenario cannot be played to its end.
#[derive(Debug, thiserror::Error)]
pub enum Stuck {
    /// The script says something that makes no sense.
    #[error("the scenario, line {line}: {what}")]
    Script {
        /// The line.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// Something that must never happen.
    #[error("{0}")]
    Fell(String),
    /// Mistakes in a configuration or a registry.
    #[error("{0}")]
    Config(#[from] Problems),
    /// Whatever the application reports.
    #[error(transparent)]
    App(#[from] AppError),
    /// Whatever a use case reports.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Files and sockets.
    #[error("a file or a socket")]
    Io(#[from] std::io::Error),
    /// A message that is no JSON.
    #[error("a message")]
    Message(#[from] serde_json::Error),
    /// The report cannot be written, or nobody reads it any more.
    #[error(transparent)]
    Output(#[from] Failure),
}

impl From<StoreError> for Stuck {
    fn from(error: StoreError) -> Self {
        Self::Engine(error.into())
    }
}
