//! The laboratory: what shows Lacuna, measures it and plays policies over years of simulated time. No worker uses it.

pub mod bench;
pub mod demo;
pub mod harness;
pub mod scenario;
pub mod sim;
