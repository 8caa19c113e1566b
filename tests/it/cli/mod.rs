//! The command line, through the real binary.

mod ceasing;
mod completing;
mod deferring;
mod doctoring;
pub mod embedded;
mod files;
mod keyrings;
mod large;
mod manual;
mod mistakes;
mod reconciling;
mod redriving;
mod reloading;
mod remote;
mod reporting;
mod services;
mod starting;
mod stopping;
mod trying;
mod worker;
mod workspace;
