//! What the parts of this edge hand to each other.

use std::sync::Arc;

use crate::{engine::prepare::Arrival, store::Seen};

/// A partition of a topic.
pub type Partition = (Arc<str>, i32);

/// Messages read together, and how far partitions have been read to their end.
#[derive(Debug)]
pub struct Batch<T> {
    /// The messages, in the order of each partition.
    pub arrivals: Vec<Arrival<T>>,
    /// Partitions whose end, as of a time, lies behind these messages.
    pub seen: Vec<Seen>,
}
