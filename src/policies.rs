//! Five promises that real privacy policies make, each as a folder that a newcomer can copy from: a configuration, a
//! registry, and what is done and has to be seen over simulated time.
//!
//! `lacuna init --policy NAME` writes the configuration as a starting point, `lacuna demo --scenario NAME` plays the
//! scenario, and the tests play all of them. What is copied is therefore what was tested.

use std::{cell::RefCell, collections::BTreeSet, path::Path};

use jiff::tz::TimeZone;

use crate::{
    config::{Agent, Config, Problems, registry_file},
    domain::registry::{HttpAuth, SecretRef, SettingValue, Transport},
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
    /// What runs beside a database of its own, where there is one.
    pub agent: Option<AgentFiles>,
}

/// The files of an agent.
#[derive(Debug, Clone, Copy)]
pub struct AgentFiles {
    /// `agent.toml`
    pub config: &'static str,
    /// `database.sql`: a database to try it on.
    pub database: &'static str,
}

/// Where the agent of a profile finds the worker: both on one machine, until somebody changes it.
const WORKER: &str = "http://127.0.0.1:8080";

/// A profile, from its folder.
macro_rules! profile {
    ($name:literal) => {
        profile!($name, None)
    };
    ($name:literal with an agent) => {
        profile!(
            $name,
            Some(AgentFiles {
                config: include_str!(concat!("../tests/scenarios/", $name, "/agent.toml")),
                database: include_str!(concat!("../tests/scenarios/", $name, "/database.sql")),
            })
        )
    };
    ($name:literal, $agent:expr) => {
        Profile {
            name: $name,
            config: include_str!(concat!("../tests/scenarios/", $name, "/lacuna.toml")),
            registry: include_str!(concat!("../tests/scenarios/", $name, "/processors.toml")),
            script: include_str!(concat!("../tests/scenarios/", $name, "/scenario.txt")),
            agent: $agent,
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
            Self::Jojocell => &profile!("jojocell" with an agent),
            Self::Whatsify => &profile!("whatsify"),
            Self::Emojoi => &profile!("emojoi"),
            Self::Helpdesk => &profile!("helpdesk" with an agent),
            Self::Dijo => &profile!("dijo" with an agent),
        }
    }
}

/// What a secret of a registry is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// We sign with it: it is made by us, and the other side is given it too.
    Signing,
    /// It lets us in: the other side has given it to us.
    Entry,
}

impl Profile {
    /// The environment variables that its configuration takes secrets from.
    pub fn secrets(&self) -> BTreeSet<String> {
        self.read(Path::new("")).1
    }

    /// The environment variables that its registry takes secrets from, in the order in which it names them.
    pub fn registry_secrets(&self) -> Result<Vec<(String, Purpose)>, Problems> {
        let registry = registry_file::read_text("processors.toml", self.registry)?;
        let mut named: Vec<(String, Purpose)> = Vec::new();
        let of_all = registry.processors.iter().flat_map(|processor| {
            let (secrets, purpose) = secrets_of(&processor.transport);
            secrets.into_iter().map(move |secret| (secret, purpose))
        });
        for (secret, purpose) in of_all {
            if let Some(name) = secret.0.strip_prefix("env:")
                && !named.iter().any(|(known, _)| known == name)
            {
                named.push((name.to_owned(), purpose));
            }
        }
        Ok(named)
    }

    /// Its configuration, as if it stood in this folder. Where it asks for an environment variable, there is a made-up
    /// one: the second answer is their values.
    pub fn config(&self, folder: &Path) -> Result<(Config, Vec<String>), Problems> {
        let (config, asked) = self.read(folder);
        Ok((config?, asked.iter().map(|name| made_up(name)).collect()))
    }

    /// The configuration of its agent, as if it stood in this folder, beside a worker and a database of this machine.
    pub fn agent(&self, folder: &Path, worker: &str, database: &str) -> Result<Option<Agent>, Problems> {
        let Some(files) = self.agent else {
            return Ok(None);
        };
        let environment = |name: &str| {
            let value = if name.ends_with("_URL") {
                database.to_owned()
            } else {
                made_up(name)
            };
            Some(value.into())
        };
        let text = files.config.replace(WORKER, worker);
        Agent::read_text("agent.toml", folder, &text, &environment).map(Some)
    }

    /// The environment variable that its agent takes the address of its database from.
    pub fn database_variable(&self) -> Option<&'static str> {
        let text = self.agent?.config;
        let named = text.split('"').filter_map(|part| part.strip_prefix("env:"));
        named.into_iter().find(|name| name.ends_with("_URL"))
    }

    /// The promise, in our words.
    pub fn promise(&self) -> String {
        let lines = self.script.lines();
        let promised = lines.filter_map(|line| line.strip_prefix("promise "));
        promised.map(str::trim).collect::<Vec<_>>().join(" ")
    }

    /// Where its days are.
    pub fn zone(&self) -> Result<TimeZone, Problems> {
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

/// The secrets that a transport names.
fn secrets_of(transport: &Transport) -> (Vec<SecretRef>, Purpose) {
    match transport {
        Transport::Webhook(webhook) => (webhook.secrets.clone(), Purpose::Signing),
        Transport::OpenDsr(opendsr) => {
            let secret = match &opendsr.auth {
                HttpAuth::None => None,
                HttpAuth::Basic { password, .. } => Some(password),
                HttpAuth::Bearer { token } => Some(token),
                HttpAuth::Header { value, .. } => Some(value),
            };
            (secret.into_iter().cloned().collect(), Purpose::Entry)
        }
        Transport::Vendor(vendor) => {
            let secret = |(_, value): &'_ (String, SettingValue)| match value {
                SettingValue::Secret(secret) => Some(secret.clone()),
                SettingValue::Plain(_) => None,
            };
            (
                vendor.settings.iter().filter_map(secret).collect(),
                Purpose::Entry,
            )
        }
        Transport::Kafka { .. } | Transport::Manual(_) | Transport::Agent => (Vec::new(), Purpose::Entry),
    }
}

/// A secret of no meaning.
fn made_up(name: &str) -> String {
    format!("made-up-{}", name.to_lowercase())
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_policy_has_a_promise() {
        for policy in Policy::value_variants() {
            let promise = policy.profile().promise();
            assert!(promise.len() > 100 && !promise.contains("promise "), "{promise}");
        }
    }

    #[test]
    fn every_agent_is_one_that_the_registry_has() {
        let agents = Policy::value_variants().iter().filter_map(|policy| {
            let profile = policy.profile();
            let agent = profile.agent(Path::new(""), WORKER, "sqlite:a.db").unwrap()?;
            Some((profile, agent))
        });
        for (profile, agent) in agents {
            let registry = registry_file::read_text("processors.toml", profile.registry).unwrap();
            let processor = registry.get(&agent.processor).expect("it is registered");
            assert_eq!(processor.transport, Transport::Agent, "{}", agent.processor);
            let variable = profile.database_variable().unwrap();
            assert!(variable.starts_with(&profile.name.to_uppercase()), "{variable}");
        }
    }

    #[test]
    fn a_registry_names_its_secrets_and_holds_none() {
        for policy in Policy::value_variants() {
            let profile = policy.profile();
            let registry = registry_file::read_text("processors.toml", profile.registry).unwrap();
            for processor in &registry.processors {
                let (secrets, _) = secrets_of(&processor.transport);
                assert!(
                    secrets.iter().all(|secret| !secret.is_plain()),
                    "{}",
                    processor.id
                );
            }
            for (name, _) in profile.registry_secrets().unwrap() {
                let prefix = profile.name.to_uppercase();
                assert!(name.starts_with(&prefix), "{name}: a name of this policy's own");
            }
        }
    }
}
