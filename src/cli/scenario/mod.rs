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
mod naming;
pub mod post;
pub mod report;
pub mod script;
pub mod stage;
mod words;

use std::{cell::RefCell, collections::BTreeSet, path::Path};

use jiff::tz::TimeZone;

pub use judge::Seen;
pub use messages::Topic;

use crate::{
    app::AppError,
    cli::Failure,
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

/// A policy that there is a scenario of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Policy {
    /// A messenger: all within 30 days, except what law requires to be kept.
    Jojocell,
    /// Vendors of messages, CRM and automation: all but anonymous numbers, with the clocks of two laws.
    Whatsify,
    /// A social app: who asks is verified, grounds of refusal, the end of the service.
    Emojoi,
    /// A support desk: deletion that prevents recovery, roles, alerts.
    Helpdesk,
    /// Calls and payments: five years of invoices, and a dispute that outlives them.
    Dijo,
}

impl Policy {
    /// Its files.
    pub const fn profile(self) -> &'static Profile {
        match self {
            Self::Jojocell => &profile!("jojocell"),
            Self::Whatsify => &profile!("whatsify"),
            Self::Emojoi => &profile!("emojoi"),
            Self::Helpdesk => &profile!("helpdesk"),
            Self::Dijo => &profile!("dijo"),
        }
    }
}

impl Profile {
    /// The environment variables that its configuration takes secrets from.
    pub fn secrets(&self) -> BTreeSet<String> {
        self.read(Path::new("")).1
    }

    /// Its configuration, as if it stood in this folder. Where it asks for an environment variable, there is a made-up
    /// one: the second answer is their values.
    pub fn config(&self, folder: &Path) -> Result<(Config, Vec<String>), Stuck> {
        let (config, asked) = self.read(folder);
        Ok((config?, asked.iter().map(|name| made_up(name)).collect()))
    }

    /// Where its days are.
    pub fn zone(&self) -> Result<TimeZone, Stuck> {
        let (config, _) = self.config(Path::new(""))?;
        Ok(config.policy.calendar.zone)
    }

    fn read(&self, folder: &Path) -> (Result<Config, Problems>, BTreeSet<String>) {
        let asked = RefCell::new(BTreeSet::new());
        let environment = |name: &str| {
            asked.borrow_mut().insert(name.to_owned());
            Some(made_up(name).into())
        };
        let config = Config::read_text("lacuna.toml", folder, self.config, &environment);
        (config, asked.into_inner())
    }
}

/// A secret of no meaning.
fn made_up(name: &str) -> String {
    format!("made-up-{}", name.to_lowercase())
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
    /// The report cannot be written, or nobody reads it any more.
    #[error(transparent)]
    Output(#[from] Failure),
}

impl From<StoreError> for Stuck {
    fn from(error: StoreError) -> Self {
        Self::Engine(error.into())
    }
}
