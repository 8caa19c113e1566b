//! The command line, through the real binary.

mod by_hand;
mod ceasing;
mod deferring;
mod doctoring;
mod files;
mod keyrings;
mod large;
mod mistakes;
mod reconciling;
mod redriving;
mod reloading;
mod reporting;
mod services;
mod starting;
mod stopping;
mod trying;
mod worker;
mod workspace;
