//! Long-lived tasks of a worker, a file each.

pub(super) mod kafka_health;
