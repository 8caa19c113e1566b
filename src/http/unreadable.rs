//! Commands over HTTP that say nothing that could be carried out: counted like those of a topic.

use crate::{engine::Engine, wire::Refusal};

/// Counts one.
pub(super) fn count_unreadable(engine: &Engine, refusal: &Refusal) {
    engine.metrics.command("unreadable", refusal.reason.as_str());
}
