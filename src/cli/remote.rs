//! The command line over the API: the same commands, asked of a worker's API in place of the store.
//!
//! Whoever has a token and a URL needs neither the configuration nor the database nor the keyring, and may do what the token's
//! role may. What is printed is printed by the same functions either way.

mod answers;
mod client;

use std::path::PathBuf;

pub(super) use self::client::{Client, path};
use super::{Failure, output::aside, session::ConfigArg};
use crate::config::{Config, SecretSource};

/// The variables of the environment that stand in for the options.
const URL: &str = "LACUNA_URL";
const TOKEN: &str = "LACUNA_TOKEN";
const CA: &str = "LACUNA_CA";

/// How a worker's API is reached.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Through the API of a worker")]
pub struct RemoteArgs {
    /// Asks a worker's API at this URL, in place of the store that the configuration names; `LACUNA_URL` where it is absent.
    #[arg(long, global = true, value_name = "URL")]
    url: Option<String>,
    /// The bearer token: env:NAME, file:PATH, or the token itself, which other users of this machine can see then;
    /// `LACUNA_TOKEN` where it is absent.
    #[arg(long, global = true, value_name = "TOKEN")]
    token: Option<String>,
    /// The certificates that are trusted in place of the system's; `LACUNA_CA` where it is absent.
    #[arg(long, global = true, value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// Where a command is carried out.
pub(super) enum Target {
    /// Directly, by a configuration.
    Direct(Box<Config>),
    /// By a worker, over its API.
    Remote(Box<Client>),
}

impl RemoteArgs {
    /// Which way a command goes. An option says more than the environment: with `--config` it goes directly, whatever that has.
    pub(super) fn target(&self, config: &ConfigArg) -> Result<Target, Failure> {
        if self.url.is_some() && config.config.is_some() {
            return Err(Failure::Usage(
                "--url and --config: expected one of them; a command asks either a worker or the store"
                    .to_owned(),
            ));
        }
        let url = match &self.url {
            Some(url) => Some(url.clone()),
            None if config.config.is_some() => None,
            None => environment(URL)?,
        };
        match url {
            Some(url) => Ok(Target::Remote(Box::new(self.client(&url)?))),
            // Whoever shows a token wants to be taken for its bearer, and not for everybody.
            None if self.token.is_some() || self.ca.is_some() => Err(Failure::Usage(
                "--token and --ca go with the URL of a worker: --url or LACUNA_URL".to_owned(),
            )),
            None => Ok(Target::Direct(Box::new(config.load()?))),
        }
    }

    /// Refuses the options for a command that works on the deployment itself.
    pub(super) fn refuse(&self) -> Result<(), Failure> {
        if self.token.is_some() {
            return Err(no_worker());
        }
        self.refuse_url()
    }

    /// As [`Self::refuse`], for one that has a `--token` of its own. What the environment says is for the others, and so it is said
    /// that this one does not go by it.
    pub(super) fn refuse_url(&self) -> Result<(), Failure> {
        if self.url.is_some() || self.ca.is_some() {
            return Err(no_worker());
        }
        if environment(URL)?.is_some() {
            aside(format_args!(
                "note: this command works on the deployment of its configuration (--config), and not on the one at LACUNA_URL"
            ));
        }
        Ok(())
    }

    /// Refuses the options for a command that works on nothing.
    pub fn refuse_options(&self) -> Result<(), Failure> {
        if self.url.is_none() && self.token.is_none() && self.ca.is_none() {
            return Ok(());
        }
        Err(no_worker())
    }

    fn client(&self, url: &str) -> Result<Client, Failure> {
        let token = match &self.token {
            Some(token) => Some(token.clone()),
            None => environment(TOKEN)?,
        };
        let token = token.map(|token| {
            SecretSource::parse(&token)
                .and_then(|source| source.fetch())
                .map_err(|error| Failure::Usage(format!("--token: {error}")))
        });
        let ca = match &self.ca {
            Some(ca) => Some(ca.clone()),
            None => environment(CA)?.map(PathBuf::from),
        };
        Client::new(url, token.transpose()?, ca)
    }
}

fn no_worker() -> Failure {
    Failure::Usage(
        "--url, --token, --ca: this command asks no worker; it works on the deployment itself, by its configuration (--config)"
            .to_owned(),
    )
}

/// A variable that is set and says something.
fn environment(name: &str) -> Result<Option<String>, Failure> {
    match std::env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(Failure::Usage(format!("{name}: expected a text in UTF-8")))
        }
    }
}

/// Refuses a name beside a token: over the API nobody speaks for somebody else.
pub(super) fn refuse_actor(actor: Option<&str>) -> Result<(), Failure> {
    match actor {
        None => Ok(()),
        Some(_) => Err(Failure::Usage(
            "--actor: over the API it is the bearer of the token who decides".to_owned(),
        )),
    }
}
