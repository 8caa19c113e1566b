//! Scenarios: five promises that real privacy policies make, each as a folder that a newcomer can copy from: a
//! configuration, a registry, and what is done and has to be seen over simulated time.
//!
//! `lacuna demo --scenario NAME` plays one and prints a report, `lacuna init --policy NAME` writes its configuration as a
//! starting point, and the tests play all of them. What is copied is therefore what was tested.
//!
//! It must never look at anything that nobody outside can see: messages go in, messages and the API's answers come out.

pub mod by_hand;
pub mod call;
mod judge;
mod messages;
pub mod post;
pub mod report;
pub mod script;
pub mod stage;
mod words;

use std::{cell::RefCell, collections::BTreeSet, path::Path};

pub use judge::Seen;
pub use messages::Topic;

use crate::{
    app::AppError,
    config::{Config, Problems},
    engine::EngineError,
    store::StoreError,
};

/// The files of a scenario.
#[derive(Debug, Clone, Copy)]
pub struct Profile {
    /// Its name.
    pub name: &'static str,
    /// `lacuna.toml`
    pub config: &'static str,
    /// `processors.toml`
    pub registry: &'static str,
    /// What is done, and what has to be seen.
    pub script: &'static str,
}

/// A profile, from its folder.
macro_rules! profile {
    ($name:literal) => {
        Profile {
            name: $name,
            config: include_str!(concat!("../../../tests/scenarios/", $name, "/lacuna.toml")),
            registry: include_str!(concat!("../../../tests/scenarios/", $name, "/processors.toml")),
            script: include_str!(concat!("../../../tests/scenarios/", $name, "/scenario.txt")),
        }
    };
}

/// A messenger, which keeps what law requires.
pub const JOJOCELL: Profile = profile!("jojocell");
/// Vendors of messages, CRM and automation, under two laws.
pub const WHATSIFY: Profile = profile!("whatsify");
/// A social app: verification, grounds of refusal, and the end of the service.
pub const EMOJOI: Profile = profile!("emojoi");
/// A support desk: proof that prevents recovery, roles, alerts.
pub const HELPDESK: Profile = profile!("helpdesk");
/// Calls and payments: five years of invoices, and a dispute that outlives them.
pub const DIJO: Profile = profile!("dijo");

/// Every one.
pub const PROFILES: [Profile; 5] = [JOJOCELL, WHATSIFY, EMOJOI, HELPDESK, DIJO];

impl Profile {
    /// Its configuration, as if it stood in this folder. Where it asks for an environment variable, there is a made-up
    /// one: the second answer is their values.
    pub fn config(&self, folder: &Path) -> Result<(Config, Vec<String>), Stuck> {
        let asked = RefCell::new(BTreeSet::new());
        let environment = |name: &str| {
            let value = format!("made-up-{}", name.to_lowercase());
            asked.borrow_mut().insert(value.clone());
            Some(value.into())
        };
        let config = Config::read_text("lacuna.toml", folder, self.config, &environment)?;
        Ok((config, asked.into_inner().into_iter().collect()))
    }
}

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
}

impl From<StoreError> for Stuck {
    fn from(error: StoreError) -> Self {
        Self::Engine(error.into())
    }
}
