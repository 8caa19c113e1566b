//! Lacuna: an event-driven data-erasure orchestrator.
#![forbid(unsafe_code)]

pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod delivery;
pub mod domain;
pub mod engine;
pub mod http;
pub mod kafka;
pub mod lab;
pub mod policies;
pub mod program;
pub mod store;
pub mod telemetry;
pub mod terminal;
pub mod transport;
pub mod vault;
pub mod view;
pub mod wire;
