//! How a fact is stored: itself, its sweep, and its entry in the ledger.

use crate::{
    domain::{
        backup::{BackupChange, BackupEvent},
        entry::{Entry, Leaf},
        fact::Fact,
        ids::{HoldId, RequestId, Tenant},
        time::At,
        words::BackupEventKind,
    },
    engine::{EngineError, time_ordered_id},
    store::{Changes, LeafRow, NewFact, Transaction},
};

/// Stores a fact with its leaf, which the ledger has under the fact's own id.
pub(in crate::engine) async fn store_fact(
    fact: NewFact,
    tx: &mut dyn Transaction,
    changes: &mut Changes,
) -> Result<(), EngineError> {
    let leaf = Leaf {
        request: RequestId(fact.id),
        n: 0,
        at: fact.at,
        entries: vec![entry_of(&fact.fact)],
    };
    changes.leaves.push(LeafRow {
        request_id: RequestId(fact.id),
        n: 0,
        leaf: leaf.to_bytes()?,
        sealed: None,
        acted: leaf.acted(),
    });
    tx.add_fact(&fact).await?;
    if let Fact::Release { tenant, hold_id, .. } = &fact.fact {
        forget_subject(tenant, *hold_id, tx).await?;
    }
    Ok(())
}

/// A fact that no message brings.
pub(in crate::engine) fn of_nobody(fact: Fact, now: At) -> NewFact {
    NewFact {
        id: time_ordered_id(now),
        sweeps: needs_sweep(&fact),
        fact,
        digest: [0; 16],
        sealed: None,
        at: now,
    }
}

/// A hold that is released covers nobody any more: whom it was on can be forgotten, and that it was on somebody stays.
async fn forget_subject(tenant: &Tenant, id: HoldId, tx: &mut dyn Transaction) -> Result<(), EngineError> {
    let Some(stored) = tx.fact(&Fact::key_of_hold(tenant, id)).await? else {
        return Ok(());
    };
    if let Fact::Hold(mut hold) = stored.fact
        && !hold.subject.is_empty()
    {
        hold.forget_subject();
        tx.rewrite_fact(stored.version, &Fact::Hold(hold)).await?;
    }
    Ok(())
}

/// Whether requests have to look at it: a copy that was only taken concerns nobody yet.
pub(in crate::engine) const fn needs_sweep(fact: &Fact) -> bool {
    match fact {
        Fact::Hold(_) | Fact::Release { .. } => true,
        Fact::Backup(BackupEvent {
            change: BackupChange::Taken { lock_until, .. },
            ..
        }) => lock_until.is_some(),
        Fact::Backup(_) => true,
        Fact::Registry { changed, open, .. } => *open || !changed.is_empty(),
        Fact::Forgotten(_) | Fact::Paused { .. } | Fact::Braked { .. } => false,
        // What waited in lanes that nobody runs a queue for goes out by it.
        Fact::Resumed { .. } | Fact::Unbraked { .. } => true,
    }
}

/// What the ledger says of a fact.
fn entry_of(fact: &Fact) -> Entry {
    match fact {
        Fact::Hold(hold) => Entry::HoldPlaced {
            tenant: hold.tenant.clone(),
            hold: hold.hold_id,
            basis: hold.basis,
            actor: hold.actor.clone(),
            subject: !hold.subject.is_empty(),
            request: hold.request_id,
            processor: hold.processor.clone(),
            categories: hold.categories.clone(),
        },
        Fact::Release {
            tenant,
            hold_id,
            actor,
        } => Entry::HoldReleased {
            tenant: tenant.clone(),
            hold: *hold_id,
            actor: actor.clone(),
        },
        Fact::Backup(event) => entry_of_backup(event),
        Fact::Registry { revision, .. } => Entry::RegistryActivated { revision: *revision },
        Fact::Forgotten(epoch) => Entry::CapsulesForgotten {
            week: epoch.week,
            sets: epoch.sets.clone(),
        },
        Fact::Paused { processor, stop } => Entry::LanePaused {
            processor: processor.clone(),
            stop: stop.id,
            actor: stop.actor.clone(),
        },
        Fact::Resumed {
            processor,
            stop,
            actor,
        } => Entry::LaneResumed {
            processor: processor.clone(),
            stop: *stop,
            actor: actor.clone(),
        },
        Fact::Braked { stop } => Entry::BrakeOn {
            stop: stop.id,
            actor: stop.actor.clone(),
        },
        Fact::Unbraked { stop, actor } => Entry::BrakeOff {
            stop: *stop,
            actor: actor.clone(),
        },
    }
}

fn entry_of_backup(event: &BackupEvent) -> Entry {
    let (kind, taken_at, lock_until, restored_into) = match &event.change {
        BackupChange::Taken { taken_at, lock_until } => {
            (BackupEventKind::Taken, *taken_at, *lock_until, Vec::new())
        }
        BackupChange::Rotated { oldest_retained_at } => {
            (BackupEventKind::Rotated, *oldest_retained_at, None, Vec::new())
        }
        BackupChange::Restored {
            taken_at,
            restored_into,
        } => (BackupEventKind::Restored, *taken_at, None, restored_into.clone()),
    };
    Entry::BackupEvent {
        processor: event.processor.clone(),
        kind,
        taken_at,
        lock_until,
        restored_into,
    }
}
