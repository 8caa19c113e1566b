//! Positions: how a batch moves them on, which replays nothing knows, and how an operator has one follow another log.

use std::collections::HashSet;

use async_trait::async_trait;

use super::{
    Engine, EngineError,
    prepare::{Arrival, Names, Trace},
    time_ordered_id,
    unit_of_work::{Decision, StoreWork, run_on_store},
};
use crate::{
    domain::{
        entry::{Entry, Leaf},
        ids::{CommandId, RequestId, Tenant},
        note::Notes,
        time::At,
    },
    store::{
        Acceptance, Advance, Changes, LeafRow, Mark, Origin, Position, PositionNote, Store, StoreError,
        Transaction,
    },
    vault::Vault,
};

/// A message before its position that nothing in the store knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray {
    /// Where it lies.
    pub origin: Origin,
    /// Whether it is a message that could have been taken in; otherwise only its dead letter is missing.
    pub is_valid: bool,
}

/// What an operator decides about a position.
#[derive(Debug)]
pub struct Accepting<'a> {
    /// What becomes of it.
    pub acceptance: Acceptance,
    /// Up to which offset the log before was taken in.
    pub from: Option<i64>,
    /// Who decides it.
    pub actor: &'a str,
    /// Why.
    pub reason: &'a str,
}

impl Engine {
    /// How far the partitions of this engine's cluster have been taken in.
    pub async fn positions(&self) -> Result<Vec<Position>, EngineError> {
        Ok(self.store.positions(&self.cluster).await?)
    }

    /// How far those of other clusters have, each with its cluster.
    pub async fn positions_elsewhere(&self) -> Result<Vec<(String, Position)>, EngineError> {
        Ok(self.store.positions_elsewhere(&self.cluster).await?)
    }

    /// Writes down what was seen of partitions.
    pub async fn note_positions(&self, notes: &[PositionNote]) -> Result<(), EngineError> {
        Ok(self.store.note_positions(notes).await?)
    }

    /// How a batch moves the positions of the partitions that it came from.
    pub(super) fn advances_of<T>(&self, arrivals: &[Arrival<T>]) -> Vec<Advance> {
        let mut advances: Vec<(Advance, &Arrival<T>)> = Vec::new();
        for arrival in arrivals {
            let Some(origin) = &arrival.origin else { continue };
            let same = |(advance, _): &&mut (Advance, _)| {
                advance.partition == origin.partition && advance.topic == origin.topic
            };
            match advances.iter_mut().find(same) {
                Some((advance, last)) => {
                    advance.next = advance.next.max(origin.offset + 1);
                    *last = arrival;
                }
                None => advances.push((advance_to(origin, arrival), arrival)),
            }
        }
        // Rows are locked in one order by everybody.
        advances.sort_by(|(a, _), (b, _)| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        let with_mark = |(advance, last): (Advance, &Arrival<T>)| Advance {
            last: self.mark_of(last),
            ..advance
        };
        advances.into_iter().map(with_mark).collect()
    }

    /// What is remembered of a message, where it was read from a log.
    fn mark_of<T>(&self, arrival: &Arrival<T>) -> Option<Mark> {
        let (origin, reading) = (arrival.origin.as_ref()?, arrival.reading?);
        Some(Mark {
            offset: origin.offset,
            at: reading.at,
            digest: self.vault.log_digest(&arrival.raw),
        })
    }

    /// Those among replayed messages that nothing knows: neither inbox nor facts, no dead letter, and not the ledger. Where
    /// there is one, the log is not the one that was taken in.
    pub async fn strays<T: Names>(&self, replays: &[Arrival<T>]) -> Result<Vec<Stray>, EngineError> {
        let origins: Vec<Origin> = replays
            .iter()
            .filter_map(|replay| replay.origin.clone())
            .collect();
        let keys = inbox_keys(replays);
        // A copy that was compacted is known by the facts that are left of its set, and a worker that has just started has read
        // none yet.
        let tells_of_backups = |replay: &Arrival<T>| {
            replay
                .content
                .as_ref()
                .ok()
                .and_then(Names::backup_event)
                .is_some()
        };
        if replays.iter().any(tells_of_backups) {
            self.refresh_facts().await?;
        }
        let mut tx = self.store.begin("strays").await?;
        let letters = tx.dead_letters_of(&origins).await?;
        let refused: HashSet<Origin> = letters.into_iter().map(|letter| letter.origin).collect();
        let inbox: HashSet<(Tenant, CommandId)> = tx
            .inbox(&keys)
            .await?
            .into_iter()
            .map(|row| (row.tenant, row.command_id))
            .collect();
        let mut strays = Vec::new();
        for replay in replays {
            let Some(origin) = replay.origin.as_ref().filter(|origin| !refused.contains(*origin)) else {
                continue;
            };
            let trace = replay.content.as_ref().map(Names::trace);
            let former = replay.content.as_ref().ok().and_then(Names::former_trace);
            let mut is_known = matches!(trace, Ok(None));
            for trace in trace.iter().flatten().chain(&former) {
                is_known |= match trace {
                    Trace::Inbox(tenant, id) => inbox.contains(&((*tenant).clone(), *id)),
                    Trace::Fact(key) => tx.fact(key).await?.is_some(),
                };
            }
            let event = replay.content.as_ref().ok().and_then(Names::backup_event);
            if !is_known
                && !self.is_purged(replay).await?
                && !event.is_some_and(|event| self.is_settled(event))
            {
                strays.push(Stray {
                    origin: origin.clone(),
                    is_valid: trace.is_ok(),
                });
            }
        }
        tx.commit().await?;
        Ok(strays)
    }

    /// Whether only the ledger has the request that it names: what is about a request leaves the inbox when that is purged.
    async fn is_purged<T: Names>(&self, replay: &Arrival<T>) -> Result<bool, EngineError> {
        let Ok(named) = &replay.content else {
            return Ok(false);
        };
        let ids: Vec<_> = [named.request_id(), named.former_request_id()]
            .into_iter()
            .flatten()
            .collect();
        let is_gone = self.store.revisions(&ids).await?.is_empty();
        Ok(is_gone && !self.store.recorded(&ids).await?.is_empty())
    }
}

/// By which keys the inbox would know them.
fn inbox_keys<T: Names>(replays: &[Arrival<T>]) -> Vec<(&Tenant, CommandId)> {
    replays
        .iter()
        .filter_map(|replay| replay.content.as_ref().ok())
        .flat_map(|named| [named.trace(), named.former_trace()])
        .filter_map(|trace| match trace? {
            Trace::Inbox(tenant, id) => Some((tenant, id)),
            Trace::Fact(_) => None,
        })
        .collect()
}

fn advance_to<T>(origin: &Origin, arrival: &Arrival<T>) -> Advance {
    Advance {
        cluster: origin.cluster.clone(),
        topic: origin.topic.clone(),
        partition: origin.partition,
        incarnation: origin.incarnation,
        after: arrival.reading.and_then(|reading| reading.after),
        first: origin.offset,
        next: origin.offset + 1,
        last: None,
        // Only a reading of the partition's end says up to when it was read: producers' clocks may say anything.
        seen_until: At::default(),
    }
}

/// Has a position follow the log that there is now, with its entry in the ledger. [`StoreError::Conflict`]: it is another one
/// by now.
pub async fn accept(
    store: &dyn Store,
    vault: &Vault,
    Accepting {
        acceptance,
        from,
        actor,
        reason,
    }: &Accepting<'_>,
    now: At,
) -> Result<(), EngineError> {
    let id = RequestId(time_ordered_id(now));
    let leaf = Leaf {
        request: id,
        n: 0,
        at: now,
        entries: vec![Entry::PositionAccepted {
            cluster: acceptance.cluster.to_string(),
            topic: acceptance.topic.to_string(),
            partition: acceptance.partition,
            from: *from,
            to: acceptance.next_offset,
            incarnation: acceptance.next_incarnation(),
            actor: (*actor).to_owned(),
        }],
    };
    let mut notes = Notes::default();
    notes.add_said(reason);
    let changes = Changes {
        leaves: vec![LeafRow {
            request_id: id,
            n: 0,
            leaf: leaf.to_bytes()?,
            sealed: Some(vault.seal_record(id, 0, notes.as_bytes())),
            acted: leaf.acted(),
        }],
        at: now,
        ..Changes::default()
    };
    let accept = Accept { acceptance, changes };
    // Somebody else's decision is not decided over.
    match run_on_store(store, &(), "position", &accept).await? {
        true => Ok(()),
        false => Err(StoreError::Conflict.into()),
    }
}

/// Moves a position, and answers whether it was the one that was looked at.
struct Accept<'e> {
    acceptance: &'e Acceptance,
    changes: Changes,
}

#[async_trait]
impl StoreWork for Accept<'_> {
    type Output = bool;

    async fn work(&self, tx: &mut dyn Transaction) -> Result<Decision<bool>, EngineError> {
        match tx.accept_position(self.acceptance).await {
            Err(StoreError::Conflict) => return Ok(Decision::Nothing(false)),
            accepted => accepted?,
        }
        tx.write(&self.changes).await?;
        Ok(Decision::Write(true))
    }
}
