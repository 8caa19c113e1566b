//! What operators see: metrics and logs.

pub mod agent_metrics;
pub mod freshness;
pub mod logs;
pub mod metrics;
pub mod readiness;
pub mod traces;
