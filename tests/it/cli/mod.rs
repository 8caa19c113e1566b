//! The command line, through the real binary.

mod ceasing;
mod deferring;
mod files;
mod mistakes;
mod reconciling;
mod services;
mod worker;
mod workspace;
