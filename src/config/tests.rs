//! Every key of both files, every default, and the exact words of every mistake.

mod bad_config;
mod bad_registry;
mod bad_sections;
mod connectors;
mod contract;
mod environment;
mod good;
mod legal;
mod legal_clocks;
mod oidc;
mod opendsr;
mod regimes;
mod rules;
mod sources;
mod tenant_policies;
mod transports;
mod webhooks;

use std::{ffi::OsString, path::Path};

use super::{Config, Problems, Settings};

/// An environment with a few variables.
fn environment(name: &str) -> Option<OsString> {
    match name {
        "CRM_TOKEN" => Some("from-the-environment".into()),
        "EMPTY" => Some("".into()),
        "SHORT" => Some("fifteen-letters".into()),
        "DATABASE_URL" => Some("postgres://lacuna:hunter2@db/lacuna".into()),
        _ => None,
    }
}

fn config(text: &str) -> Result<Config, Problems> {
    Config::read_text("lacuna.toml", Path::new(""), text, &environment)
}

/// The problems of a text, one a line, without the count.
fn lines<T: std::fmt::Debug>(read: Result<T, Problems>) -> Vec<String> {
    read.map_or_else(
        |problems| problems.iter().map(ToString::to_string).collect(),
        |_| Vec::new(),
    )
}
