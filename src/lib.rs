//! Lacuna: an event-driven data-erasure orchestrator.
#![forbid(unsafe_code)]

pub mod clock;
pub mod config;
pub mod domain;
