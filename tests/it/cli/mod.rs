//! The command line, through the real binary.

mod deferring;
mod files;
mod mistakes;
mod services;
mod worker;
mod workspace;
