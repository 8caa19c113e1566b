//! Commands over HTTP that say nothing that could be carried out: counted like those of a topic.

use crate::{engine::Engine, wire::Rejection};

/// Counts one.
pub(super) fn count_unreadable(engine: &Engine, rejection: &Rejection) {
    engine.metrics.command("unreadable", rejection.reason.as_str());
}
