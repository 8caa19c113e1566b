//! What operators see: metrics and logs.

pub mod freshness;
pub mod logs;
pub mod metrics;
pub mod readiness;
pub mod traces;
