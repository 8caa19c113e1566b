//! Who decided what about a request, when and why, read back from its ledger entries and the side rows beside them.
//!
//! What somebody has written as a reason lies sealed. Where it cannot be opened any more, the decision is shown without.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Engine, EngineError, questions::FullRequest};
use crate::{
    domain::{
        entry::{Entry, Leaf},
        fact::Fact,
        hold::Hold,
        identity::Mask,
        ids::{HoldId, ProcessorId, RequestId, TaskId},
        note::{Note, Proof, read_notes},
        request::Request,
        task::TaskEvent,
        task_ids::task_id,
        time::At,
        words::{AbandonCause, Status, Why},
    },
    store::{Store, StoredFact, StoredLeaf},
    vault::Vault,
};

/// A decision that somebody has taken about a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DecisionView {
    /// When.
    pub at: At,
    /// Who; `None`: the command that brought it names nobody.
    pub by: Option<String>,
    /// What: `approve`, `cancel`, `extend`, `hold`, `reactivated`, `refuse`, `release`, `retry`, `supply_identities`,
    /// `verify_identity` or `waive`.
    pub decision: String,
    /// The task that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    /// The processor that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processor: Option<ProcessorId>,
    /// The hold that was placed or released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_id: Option<HoldId>,
    /// The legal ground.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<String>,
    /// How the subject's identity was verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Why, in the words of whoever decided.
    pub reason: Option<String>,
}

/// What is written sealed of a decision.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct Written {
    /// Who.
    #[serde(default)]
    pub by: Option<String>,
    /// What.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
    /// The task, by its place in the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<u16>,
    /// How an identity was verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
}

/// The notes beside a leaf, for people: without the identifiers in them. What does not open, or cannot be read, is spoken of and
/// left out: the rest of the request is worth showing without it.
pub fn notes_of(vault: &Vault, request: RequestId, leaf: &StoredLeaf, mask: &Mask) -> Vec<Note> {
    leaf.sealed
        .as_deref()
        .map_or_else(Vec::new, |sealed| opened(vault, request, leaf.n, sealed, mask))
}

/// The notes of a side row, without the identifiers in them. What does not open, or cannot be read, is spoken of.
pub(super) fn opened(vault: &Vault, request: RequestId, n: u32, sealed: &[u8], mask: &Mask) -> Vec<Note> {
    let notes = opened_as_it_is(vault, request, n, sealed).into_iter();
    notes.map(|note| masked(note, mask)).collect()
}

fn opened_as_it_is(vault: &Vault, request: RequestId, n: u32, sealed: &[u8]) -> Vec<Note> {
    let opened = match vault.open_record(request, n, sealed) {
        Ok(opened) => opened,
        Err(error) => {
            tracing::error!(%request, n, %error, "a ledger entry's side row does not open");
            return Vec::new();
        }
    };
    read_notes(&opened).unwrap_or_else(|error| {
        tracing::error!(%request, n, %error, "a ledger entry's side row cannot be read");
        Vec::new()
    })
}

/// A note without identifiers in its free text.
fn masked(note: Note, mask: &Mask) -> Note {
    match note {
        Note::Said(said) => Note::Said(masked_said(&said, mask)),
        Note::Proof(proof) => {
            let Proof { mut statement, .. } = proof;
            let text = |text: Option<String>| text.map(|text| mask.text(&text));
            statement.message = text(statement.message);
            statement.evidence = statement.evidence.map(|mut evidence| {
                evidence.method = text(evidence.method);
                evidence.reference = evidence.reference.map(|reference| mask.reference(&reference));
                evidence
            });
            Note::Proof(Proof { statement, ..proof })
        }
    }
}

/// Names of people and places in the plan stay as they are.
fn masked_said(said: &str, mask: &Mask) -> String {
    let Ok(mut written) = serde_json::from_str::<Written>(said) else {
        return mask.text(said);
    };
    written.method = written.method.map(|text| mask.text(&text));
    written.reason = written.reason.map(|text| mask.text(&text));
    serde_json::to_string(&written).unwrap_or_else(|_| mask.text(said))
}

/// What people wrote among some notes.
pub fn written(notes: &[Note]) -> Vec<Written> {
    let said = notes.iter().filter_map(|note| match note {
        Note::Said(said) => Some(said),
        Note::Proof(_) => None,
    });
    // A note of a hold is its text alone.
    said.map(|said| {
        serde_json::from_str(said).unwrap_or_else(|_| Written {
            reason: Some(said.clone()),
            ..Written::default()
        })
    })
    .collect()
}

/// The decisions of one leaf, in their order, with what was written about them.
pub fn of_leaf(leaf: &Leaf, request: &Request, mut written: Vec<Written>) -> Vec<DecisionView> {
    let mut found: Vec<DecisionView> = Vec::new();
    let mut actor: Option<String> = None;
    // Withdrawing cancels each task, and is one decision.
    for entry in &leaf.entries {
        if let Entry::ActedBy { actor: name } = entry {
            actor = Some(name.clone());
            continue;
        }
        let Some(decision) = decision_of(entry, request) else {
            continue;
        };
        let by = actor.take();
        // What follows from a decision in the same step has no actor of its own, and is none.
        if by.is_none() && !is_decided_by_command(entry) {
            continue;
        }
        let is_of_them = |note: &Written| note.by == by;
        let names_it = |note: &Written| note.decision.as_ref() == Some(&decision.decision);
        // A verification that failed is a refusal, and older notes do not say what was decided.
        let place = written
            .iter()
            .position(|note| is_of_them(note) && names_it(note))
            .or_else(|| written.iter().position(is_of_them));
        let note = place.map(|place| written.remove(place)).unwrap_or_default();
        found.push(DecisionView {
            at: leaf.at,
            by,
            method: note.method,
            reason: note.reason.or(decision.reason.clone()),
            ..decision
        });
    }
    found
}

/// Whether an entry is a decision although nobody is named: some commands name nobody.
const fn is_decided_by_command(entry: &Entry) -> bool {
    matches!(
        entry,
        Entry::Reactivated { .. }
            | Entry::Status {
                to: Status::Cancelled,
                ..
            }
    )
}

fn decision_of(entry: &Entry, request: &Request) -> Option<DecisionView> {
    let named = |decision: &str| DecisionView {
        at: At::default(),
        by: None,
        decision: decision.to_owned(),
        task_id: None,
        processor: None,
        hold_id: None,
        basis: None,
        method: None,
        reason: None,
    };
    let of_task = |decision: &str, ordinal: u16| DecisionView {
        task_id: Some(task_id(request.id, ordinal)),
        processor: request
            .tasks
            .get(usize::from(ordinal))
            .map(|task| task.processor.clone()),
        ..named(decision)
    };
    Some(match entry {
        Entry::GateOpened {
            gate: Why::Verification,
        } => named("verify_identity"),
        Entry::GateOpened { .. } => named("approve"),
        Entry::Refused { basis, processor } => DecisionView {
            basis: Some(basis.as_str().to_owned()),
            processor: processor.clone(),
            ..named("refuse")
        },
        Entry::DeadlineMoved {
            reason: Some(reason), ..
        } => DecisionView {
            reason: Some(reason.as_str().to_owned()),
            ..named("extend")
        },
        Entry::Reactivated { .. } => named("reactivated"),
        Entry::Supplied { .. } => named("supply_identities"),
        Entry::Status {
            to: Status::Cancelled,
            ..
        } => named("cancel"),
        Entry::Task { ordinal, event, .. } => of_task(decision_word(event)?, *ordinal),
        _ => return None,
    })
}

/// What a person has done about a task, where somebody is named beside it: processors answer without a name.
const fn decision_word(event: &TaskEvent) -> Option<&'static str> {
    match event {
        TaskEvent::Retried { .. } | TaskEvent::Reopened => Some("retry"),
        TaskEvent::Waived => Some("waive"),
        TaskEvent::Settled { .. } | TaskEvent::SecondLook { .. } => Some("confirm"),
        TaskEvent::Abandoned {
            cause: AbandonCause::Rejected,
            ..
        } => Some("refuse"),
        _ => None,
    }
}

impl Engine {
    /// The decisions about a request, the oldest first.
    pub async fn decisions_of(&self, full: &FullRequest) -> Result<Vec<DecisionView>, EngineError> {
        let (request, leaves) = (full.request(), &full.leaves);
        let covering = self.with_context(|context| {
            let holds = context.facts.holds().on_request(request, context.registry);
            holds.into_iter().map(|hold| hold.hold_id).collect::<Vec<_>>()
        })?;
        let keys = Some((&self.vault, &self.mask_of(full)));
        decisions_of(self.store.as_ref(), keys, request, leaves, &covering).await
    }
}

/// What opens free text, and what is masked in it.
pub type Keys<'a> = (&'a Vault, &'a Mask);

/// The decisions about a request, the oldest first. `keys`: without them they are shown without their reasons. `active`:
/// the holds that cover a part of it now.
pub async fn decisions_of(
    store: &dyn Store,
    keys: Option<Keys<'_>>,
    request: &Request,
    leaves: &[StoredLeaf],
    active: &[HoldId],
) -> Result<Vec<DecisionView>, EngineError> {
    let mut found = Vec::new();
    let mut holds: BTreeSet<HoldId> = active.iter().copied().collect();
    for stored in leaves {
        let leaf = Leaf::from_bytes(&stored.leaf)?;
        holds.extend(leaf.entries.iter().filter_map(|entry| match entry {
            Entry::Task {
                event: TaskEvent::Held { hold },
                ..
            } => Some(*hold),
            _ => None,
        }));
        let notes = keys.map_or_else(Vec::new, |(vault, mask)| {
            notes_of(vault, request.id, stored, mask)
        });
        found.extend(of_leaf(&leaf, request, written(&notes)));
    }
    found.extend(of_holds(store, keys, request, &holds).await?);
    found.sort_by_key(|decision| decision.at);
    Ok(found)
}

/// When and by whom holds on a request were placed, and released.
async fn of_holds(
    store: &dyn Store,
    keys: Option<Keys<'_>>,
    request: &Request,
    holds: &BTreeSet<HoldId>,
) -> Result<Vec<DecisionView>, EngineError> {
    if holds.is_empty() {
        return Ok(Vec::new());
    }
    let tenant = &request.head.tenant;
    let mut found = Vec::new();
    let mut tx = store.begin("decisions").await?;
    for id in holds {
        let released = Fact::Release {
            tenant: tenant.clone(),
            hold_id: *id,
            actor: String::new(),
        };
        for key in [Fact::key_of_hold(tenant, *id), released.key()] {
            if let Some(stored) = tx.fact(&key).await? {
                found.extend(of_fact(keys, &stored));
            }
        }
    }
    Ok(found)
}

fn of_fact(keys: Option<Keys<'_>>, stored: &StoredFact) -> Option<DecisionView> {
    let (decision, by, hold_id, basis) = match &stored.fact {
        Fact::Hold(Hold {
            hold_id,
            actor,
            basis,
            ..
        }) => ("hold", actor, hold_id, Some(basis.as_str().to_owned())),
        Fact::Release { hold_id, actor, .. } => ("release", actor, hold_id, None),
        _ => return None,
    };
    let notes = match (keys, &stored.sealed) {
        (Some((vault, mask)), Some(sealed)) => opened(vault, RequestId(stored.id), 0, sealed, mask),
        _ => Vec::new(),
    };
    Some(DecisionView {
        at: stored.at,
        by: Some(by.clone()),
        decision: decision.to_owned(),
        task_id: None,
        processor: None,
        hold_id: Some(*hold_id),
        basis,
        method: None,
        reason: written(&notes).into_iter().find_map(|note| note.reason),
    })
}
