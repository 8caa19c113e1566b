//! Whether the store takes anything at all: before a message is blamed for what the store has refused, something that is
//! surely right is written into the same tables, and rolled back.

use super::{Engine, EngineError, counter_slot::CounterSlot, time_ordered_id};
use crate::{
    domain::{
        ids::{CommandId, RequestId},
        words::{DeadLetterReason, Status},
    },
    store::{
        Advance, Changes, CounterKey, DeadLetter, DeadLetterState, Gate, InboxRow, LeafRow, MovedRow,
        OpenedRow, Origin, StateRow,
    },
};

/// No topic of Kafka can have this name.
const TOPIC: &str = "a dry run";

/// What has been written, and rolled back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DryRun {
    /// The same message, but for its ids and whom it is about.
    Twin,
    /// Something that is surely right, and may be quite another thing.
    Anything,
}

impl Engine {
    /// Writes a request that nobody sent, moves it on, and leaves nothing behind.
    pub async fn dry_run(&self) -> Result<DryRun, EngineError> {
        let mut tx = self.store.begin("rehearsal").await?;
        let now = self.pass_gate(&mut *tx, Gate::Shared).await?.now;
        let request_id = RequestId(time_ordered_id(now));
        let origin = Origin {
            cluster: self.cluster.clone(),
            topic: TOPIC.into(),
            partition: 0,
            incarnation: 0,
            offset: 0,
        };
        let state = |revision| StateRow {
            id: request_id,
            revision,
            status: Status::InProgress,
            received_at: now,
            deadline: now,
            wake_at: Some(now),
            packed: vec![0; 400],
        };
        tx.advance(&[Advance {
            cluster: origin.cluster.clone(),
            topic: origin.topic.clone(),
            partition: origin.partition,
            incarnation: origin.incarnation,
            after: None,
            first: origin.offset,
            next: origin.offset + 1,
            last: None,
            seen_until: now,
        }])
        .await?;
        let mut changes = Changes {
            slot: self.slot_of(CounterSlot::Other),
            at: now,
            ..Changes::default()
        };
        changes.opened.push(OpenedRow {
            state: state(1),
            tenant: self.tenant_default.clone(),
            wrapped_key: Some(vec![0; 60]),
            body: vec![0; 200],
            sealed: vec![0; 200],
            digests: vec![rand::random()],
            ticket: Some(rand::random()),
        });
        changes.inbox.push(InboxRow {
            tenant: self.tenant_default.clone(),
            command_id: CommandId(request_id.0),
            digest: [0; 16],
            request_id,
        });
        changes.leaves.push(LeafRow {
            request_id,
            n: 0,
            leaf: vec![0; 100],
            sealed: Some(vec![0; 40]),
            acted: None,
        });
        changes.dead_letters.push(DeadLetter {
            id: request_id.0,
            reason: DeadLetterReason::Internal,
            detail: TOPIC.to_owned(),
            kind: None,
            origin,
            at: now,
            state: DeadLetterState::Open,
            sealed: Some(vec![0; 200]),
            headers: None,
            ids: vec![request_id.0],
            kept: true,
        });
        changes.outbox.push((request_id, 1));
        let counted = CounterKey {
            kind: "sealed",
            a: String::new(),
            b: String::new(),
        };
        changes.counters.push((counted, 0));
        tx.write(&changes).await?;
        let moved = MovedRow {
            state: state(2),
            from_revision: 1,
            shred: true,
            rewake: true,
        };
        tx.write(&Changes {
            moved: vec![moved],
            slot: changes.slot,
            at: now,
            ..Changes::default()
        })
        .await?;
        // Not committed: it is rolled back, and the next one does not meet its rows.
        let ended = tx.ended();
        drop(tx);
        ended.wait().await;
        Ok(DryRun::Anything)
    }
}
