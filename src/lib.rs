//! Lacuna: an event-driven data-erasure orchestrator.
#![forbid(unsafe_code)]

pub mod clock;
pub mod domain;
pub mod wire;
