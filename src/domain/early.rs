//! Commands that have come before the request that they name: different topics and partitions have no order among them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    body::{BodyError, pack, unpack},
    command::{Cancel, Command, Decide, Supply},
};

/// How long commands wait for their request, and how many at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EarlyCommands {
    /// How long; zero: they do not.
    pub wait: Duration,
    /// How many of the whole deployment; what comes then is dead-lettered at once.
    pub most: u32,
}

/// A command that can wait for its request. New members go to the end: the order is part of the packed form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum EarlyCommand {
    /// It is to be withdrawn.
    Cancel(Cancel),
    /// A person has decided about it.
    Decide(Box<Decide>),
    /// Identifiers that it lacks.
    Supply(Box<Supply>),
}

impl EarlyCommand {
    /// The command, if it is one that can wait.
    pub fn of(command: &Command) -> Option<Self> {
        match command {
            Command::Cancel(cancel) => Some(Self::Cancel(cancel.clone())),
            Command::Decide(decide) => Some(Self::Decide(decide.clone())),
            Command::Supply(supply) => Some(Self::Supply(supply.clone())),
            Command::Open(_) | Command::Hold(_) | Command::Release(_) | Command::Reactivated(_) => None,
        }
    }

    /// Packs it, to be sealed: it may hold identifiers and free text.
    pub fn pack(&self) -> Result<Vec<u8>, BodyError> {
        pack(self)
    }

    /// Unpacks what was opened.
    pub fn unpack(bytes: &[u8]) -> Result<Self, BodyError> {
        unpack(bytes)
    }
}
