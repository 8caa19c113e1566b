//! What a transaction writes besides the hot tables, in the order in which locks are taken.

use super::{
    capsules, dead_letters, deferred, early, ledger, lists, merged, outbox, polls, queues, resealed,
    retention, status_callbacks, suppression, undeliverable,
};
use crate::store::{changes::Changes, error::StoreError, session::Session};

/// After the agenda's rows, and before deferred tasks are written.
pub(in crate::store) async fn write_before_deferred(
    on: &mut impl Session,
    changes: &Changes,
) -> Result<(), StoreError> {
    merged::write(on, changes).await?;
    deferred::delete_resumed(on, changes).await
}

/// After deferred tasks, and before counters.
pub(in crate::store) async fn write_cold(on: &mut impl Session, changes: &Changes) -> Result<(), StoreError> {
    undeliverable::write(on, changes).await?;
    lists::write(on, changes).await?;
    ledger::write_acts(on, changes).await?;
    queues::write(on, changes).await?;
    deferred::write_asked(on, changes).await?;
    resealed::write(on, &changes.resealed).await?;
    suppression::insert(on, &changes.suppression).await?;
    capsules::upsert(on, &changes.capsules).await?;
    dead_letters::insert(on, &changes.dead_letters).await?;
    early::write(on, &changes.early, changes.at).await?;
    polls::write(on, changes).await?;
    status_callbacks::write(on, changes).await?;
    outbox::upsert(on, &changes.outbox, changes.at).await?;
    retention::write(on, changes).await
}
