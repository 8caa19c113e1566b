//! Effects: what has to happen outside once a transaction has committed.
//!
//! They say what is to be told, and to whom: a task to a processor, a status to upstream, who is suppressed, that there is
//! nothing of a key any more, a message that was refused. Where that goes (topics, keys, headers) and how it is written is
//! the transport's own. An effect owns all that its message says, because a transport may have to write it more than once.

pub(super) mod building;
mod task;

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use bytes::Bytes;

pub use self::task::{SentTask, TaskDispatch};
use crate::{
    domain::{
        identity::{Recipe, SuppressionDigest},
        ids::{IdentityType, RequestId, Tenant},
        time::At,
        words::DeadLetterReason,
    },
    store::{CompactedKey, DeadLetter, Origin},
    wire::{status::StatusMessage, suppression::SuppressionMessage},
};

/// One thing that has to happen outside.
#[derive(Debug, Clone)]
pub enum Effect {
    /// A processor is asked for its share of a request.
    Task(TaskDispatch),
    /// Upstream is told where a request stands.
    Status(StatusUpdate),
    /// Whoever imports data is told that an identity is suppressed.
    Suppression(SuppressionUpdate),
    /// There is nothing of this key any more.
    Tombstone(CompactedKey),
    /// Operators are told that a message was refused.
    DeadLetter(DeadLetterNotice),
}

/// Where a request stands, as outsiders are told.
#[derive(Debug, Clone)]
pub struct StatusUpdate {
    /// The request.
    pub id: RequestId,
    /// Its revision.
    pub revision: u32,
    /// What is said.
    pub message: Box<StatusMessage<'static>>,
    /// The `traceparent` of what led to it, where that is traced.
    pub trace: Option<Arc<str>>,
}

/// An identity that is suppressed.
#[derive(Debug, Clone)]
pub struct SuppressionUpdate {
    /// Its key.
    pub key: SuppressionDigest,
    /// Since when it is suppressed.
    pub since: At,
    pub(super) tenant: Tenant,
    pub(super) identity_type: IdentityType,
    pub(super) recipe: Recipe,
}

impl SuppressionUpdate {
    /// What is said of it.
    pub fn message(&self) -> SuppressionMessage<'_> {
        SuppressionMessage {
            tenant: Cow::Borrowed(&self.tenant),
            identity_type: Cow::Borrowed(&self.identity_type),
            recipe: self.recipe,
            since: self.since,
        }
    }
}

/// A message that was refused.
#[derive(Debug, Clone)]
pub struct DeadLetterNotice {
    /// Why.
    pub reason: DeadLetterReason,
    /// Where it came from.
    pub origin: Origin,
    /// When it was refused.
    pub at: At,
    /// Its bytes, sealed; empty where they are kept in the store only, or nowhere.
    pub sealed: Bytes,
}

/// The keys whose last record has to be true, so that it can be looked at again once it is confirmed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tombstones {
    /// The keys of the suppression topic, each with the time since when it is suppressed; `None`: a tombstone.
    pub suppressed: Vec<(SuppressionDigest, Option<At>)>,
    /// The requests whose status key got a tombstone.
    pub gone: Vec<RequestId>,
    /// The rows that remember some of them.
    pub remembered: Vec<uuid::Uuid>,
}

impl Tombstones {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.suppressed.is_empty() && self.gone.is_empty() && self.remembered.is_empty()
    }

    /// Adds what another one has.
    pub fn append(&mut self, mut other: Self) {
        self.suppressed.append(&mut other.suppressed);
        self.gone.append(&mut other.gone);
        self.remembered.append(&mut other.remembered);
    }
}

/// Everything that one transaction wants to happen.
#[derive(Debug, Default)]
pub struct Effects {
    /// What has to happen, in this order. A request's status stands before its tasks.
    pub effects: Vec<Effect>,
    /// The requests whose status is among them, at which revision.
    pub revisions: Vec<(RequestId, u32)>,
    /// The keys whose last record has to be true.
    pub tombstones: Tombstones,
    /// Whether an outbox row remembers these requests until all of it has happened.
    pub outboxed: bool,
    /// When it was decided, where an outbox row remembers it: the oldest part counts.
    pub decided_at: Option<At>,
}

impl Effects {
    /// Whether nothing has to happen.
    pub fn is_empty(&self) -> bool {
        self.effects.is_empty() && self.tombstones.is_empty()
    }

    /// The tasks that are sent.
    pub fn tasks(&self) -> impl DoubleEndedIterator<Item = &TaskDispatch> {
        self.effects.iter().filter_map(|effect| match effect {
            Effect::Task(task) => Some(task),
            _ => None,
        })
    }

    /// The statuses that are told.
    pub fn statuses(&self) -> impl DoubleEndedIterator<Item = &StatusUpdate> {
        self.effects.iter().filter_map(|effect| match effect {
            Effect::Status(status) => Some(status),
            _ => None,
        })
    }

    /// Has them say what led to them, by request.
    pub fn trace(&mut self, parents: &HashMap<RequestId, Arc<str>>) {
        let of = |own: &mut Option<Arc<str>>, request: RequestId| {
            if let Some(parent) = parents.get(&request) {
                *own = Some(Arc::clone(parent));
            }
        };
        for effect in &mut self.effects {
            match effect {
                Effect::Task(task) => {
                    let request = task.request();
                    of(&mut task.trace, request);
                }
                Effect::Status(status) => of(&mut status.trace, status.id),
                Effect::Suppression(_) | Effect::Tombstone(_) | Effect::DeadLetter(_) => {}
            }
        }
    }

    /// Adds a dead letter.
    pub(super) fn dead_letter(&mut self, letter: &DeadLetter) {
        self.effects.push(Effect::DeadLetter(DeadLetterNotice {
            reason: letter.reason,
            origin: letter.origin.clone(),
            at: letter.at,
            sealed: letter.sealed.clone().unwrap_or_default().into(),
        }));
    }

    /// Adds that there is nothing of a request any more.
    pub(super) fn tombstone(&mut self, id: RequestId) {
        self.tombstones.gone.push(id);
        self.effects.push(Effect::Tombstone(CompactedKey::Status(id)));
    }

    /// Adds what another one has.
    pub fn append(&mut self, mut other: Self) {
        self.effects.append(&mut other.effects);
        self.revisions.append(&mut other.revisions);
        self.tombstones.append(other.tombstones);
        self.outboxed |= other.outboxed;
        self.decided_at = self.decided_at.into_iter().chain(other.decided_at).min();
    }
}
