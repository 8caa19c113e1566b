//! What is counted.

use async_trait::async_trait;

use super::error::StoreError;

/// Counters, as they are committed.
#[async_trait]
pub trait CounterStore: Send + Sync {
    /// Every counter, summed over its slots.
    async fn counters(&self) -> Result<Vec<(CounterKey, i64)>, StoreError>;
}

/// Counts, by processor and set, the copies whose facts are compacted.
pub const COMPACTED_COPIES: &str = "compacted_copies";

/// Counts, by processor and minute, the tasks that were sent then and are not answered. Minutes since 1970 have eight digits for
/// the next hundred years, so that their texts are in order.
pub const OUT: &str = "out";

/// Counts, by regime, the requests that are not closed. Only of those that were received since [`CENSUS`].
pub const OPEN: &str = "open";

/// Counts, by gate and the minute of their receipt, the requests that wait for a person. Only since [`CENSUS`].
pub const GATE: &str = "gate";

/// Counts, by processor and tenant, what is left to do of overdue requests. Only since [`CENSUS`].
pub const OVERDUE_AT: &str = "overdue_at";

/// No count: from when a request has to have been received, in milliseconds since 1970, to be counted by these.
pub const CENSUS: &str = "census";

/// What a counter counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CounterKey {
    /// The metric: one of [`CounterKey::KINDS`].
    pub kind: &'static str,
    /// Its first label.
    pub a: String,
    /// Its second label.
    pub b: String,
}

impl CounterKey {
    /// Every metric that is counted in the store. A row of another one was written by a later version and is passed over.
    pub const KINDS: &[&'static str] = &[
        "tasks",
        "requests",
        "overdue",
        "at_risk",
        "needs_attention",
        "sealed",
        "deferred",
        "undeliverable",
        "queued",
        "capsules",
        COMPACTED_COPIES,
        OUT,
        OPEN,
        GATE,
        OVERDUE_AT,
        CENSUS,
    ];
}
