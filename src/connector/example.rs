//! Examples: what a vendor answers, and what it has to come to. They stand in the connector's file.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::domain::ids::IdentityType;

/// An example of what a vendor answers.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// The situation and its result.
    pub name: String,
    /// What the vendor is asked.
    #[serde(default)]
    pub asks: Asks,
    /// The identifiers of a made-up person, by our type.
    #[serde(default)]
    pub identities: BTreeMap<IdentityType, String>,
    /// What an earlier attempt has kept.
    #[serde(default)]
    pub kept: BTreeMap<String, Vec<String>>,
    /// What the vendor answers, in the order of the calls.
    #[serde(default)]
    pub answers: Vec<Canned>,
    /// What it comes to.
    pub comes_to: String,
}

/// What a vendor is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asks {
    /// To erase somebody.
    #[default]
    Erase,
    /// Whether somebody is still there.
    Probe,
    /// How a job stands.
    Poll,
}

/// An answer of a vendor.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canned {
    /// The step that it answers.
    pub step: String,
    /// Its status.
    pub status: u16,
    /// Its body.
    #[serde(default)]
    pub body: Value,
    /// Its body, where that is no JSON.
    #[serde(default)]
    pub text: Option<String>,
    /// The id that it says somebody is merged into.
    #[serde(default)]
    pub canonical: Option<String>,
}
