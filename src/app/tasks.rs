//! The long-lived tasks of a worker, a file each: what it does, how often, and what a failure means.
//!
//! All but one are periodic: [`periodic`] is the only place where one rests, fails and says how it stands.

pub(super) mod agenda;
mod asking;
pub(super) mod bulk;
pub(super) mod config_reload;
pub(super) mod fitness;
pub(super) mod gauges;
pub(super) mod http_outputs;
pub(super) mod kafka_health;
pub(super) mod lanes;
pub(super) mod opendsr_polls;
pub(super) mod outcomes;
pub(super) mod periodic;
pub(super) mod queues;
pub(super) mod registry_reload;
pub(super) mod retention;
pub(super) mod status_callbacks;
pub(super) mod sweeps;
pub(super) mod vendor_polls;
