//! The command line, through the real binary.

mod deferring;
mod files;
mod mistakes;
mod services;
mod starting;
mod worker;
mod workspace;
