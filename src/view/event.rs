//! An entry of a request's ledger, readable, with what people wrote beside it. The entries hold no subject data, so nothing
//! has to be left out.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    domain::{
        entry::{Entry, Leaf},
        ids::RequestId,
        task_ids::task_id,
        time::At,
    },
    engine::{EngineError, decisions::Written},
};

/// A leaf of the ledger: what one transaction did to the request.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct LeafView {
    /// Its number among those of the request.
    pub n: u32,
    at: At,
    entries: Vec<Value>,
    /// What people wrote about what they did, where something was written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<Written>,
}

impl LeafView {
    /// Of a leaf, with what was written beside it.
    pub fn of(leaf: &Leaf, notes: Vec<Written>) -> Result<Self, EngineError> {
        let entries = leaf.entries.iter().map(|entry| readable(leaf.request, entry));
        Ok(Self {
            n: leaf.n,
            at: leaf.at,
            entries: entries.collect::<Result<_, _>>()?,
            notes,
        })
    }
}

/// `{"type": "task", …}` in place of serde's `{"Task": {…}}`, with the commitment in hexadecimal and the task's id.
fn readable(request: RequestId, entry: &Entry) -> Result<Value, EngineError> {
    let mut members = tagged(serde_json::to_value(entry)?);
    match entry {
        Entry::Opened { commitment, .. } => {
            members.insert("commitment".to_owned(), json!(hex::encode(commitment)));
        }
        Entry::Evidence {
            commitment, ordinal, ..
        } => {
            members.insert("commitment".to_owned(), json!(hex::encode(commitment)));
            members.insert("task_id".to_owned(), json!(task_id(request, *ordinal)));
        }
        Entry::Task { ordinal, event, .. } => {
            let event = serde_json::to_value(event)?;
            members.insert("event".to_owned(), Value::Object(tagged(event)));
            members.insert("task_id".to_owned(), json!(task_id(request, *ordinal)));
        }
        Entry::Kept { ordinal, .. } | Entry::WaveAdded { ordinal, .. } | Entry::TaskAdded { ordinal, .. } => {
            members.insert("task_id".to_owned(), json!(task_id(request, *ordinal)));
        }
        Entry::Status { .. }
        | Entry::Overdue
        | Entry::GateOpened { .. }
        | Entry::Supplied { .. }
        | Entry::Reactivated { .. }
        | Entry::DeadlineMoved { .. }
        | Entry::Refused { .. }
        | Entry::Shredded
        | Entry::ActedBy { .. }
        | Entry::Restored { .. }
        | Entry::Encapsulated { .. }
        | Entry::HoldPlaced { .. }
        | Entry::HoldReleased { .. }
        | Entry::BackupEvent { .. }
        | Entry::RegistryActivated { .. }
        | Entry::PositionAccepted { .. }
        | Entry::Merged { .. }
        | Entry::Absorbed { .. }
        | Entry::Repeated { .. }
        | Entry::Followed { .. }
        | Entry::CapsulesForgotten { .. }
        | Entry::Searched { .. }
        | Entry::LetterOpened { .. }
        | Entry::LanePaused { .. }
        | Entry::LaneResumed { .. }
        | Entry::BrakeOn { .. }
        | Entry::BrakeOff { .. }
        | Entry::IdentitiesShown { .. }
        | Entry::Bulk { .. }
        | Entry::Purged { .. } => {}
    }
    Ok(Value::Object(members))
}

/// What serde writes of an enumeration, with the variant as the member `type`.
fn tagged(value: Value) -> Map<String, Value> {
    let (variant, mut members) = match value {
        Value::Object(outer) => outer
            .into_iter()
            .next()
            .map_or_else(Default::default, |(variant, inner)| match inner {
                Value::Object(members) => (variant, members),
                _ => (variant, Map::new()),
            }),
        Value::String(variant) => (variant, Map::new()),
        _ => Default::default(),
    };
    members.insert("type".to_owned(), Value::String(snake_case(&variant)));
    members
}

/// `RetainedForGood` reads `retained_for_good`.
fn snake_case(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push('_');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{task::TaskEvent, words::Status};

    #[test]
    fn entries_are_readable() {
        let request = RequestId(uuid::Uuid::from_u128(7));
        let due = At::from_millis(0);
        let task = Entry::Task {
            ordinal: 1,
            generation: 2,
            attempt: 0,
            event: TaskEvent::Retried { due },
        };
        let expected = json!({ "type": "task", "ordinal": 1, "generation": 2, "attempt": 0, "task_id": task_id(request, 1),
                               "event": { "type": "retried", "due": "1970-01-01T00:00:00Z" } });
        assert_eq!(readable(request, &task).unwrap(), expected);
        let status = Entry::Status {
            from: Status::InProgress,
            to: Status::Completed,
        };
        let expected = json!({ "type": "status", "from": "in_progress", "to": "completed" });
        assert_eq!(readable(request, &status).unwrap(), expected);
        assert_eq!(
            readable(request, &Entry::Overdue).unwrap(),
            json!({ "type": "overdue" })
        );
        let evidence = Entry::Evidence {
            ordinal: 0,
            records: Some(3),
            commitment: [0xab; 32],
        };
        assert_eq!(
            readable(request, &evidence).unwrap()["commitment"],
            "ab".repeat(32)
        );
    }
}
