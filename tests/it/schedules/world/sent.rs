//! What workers want to have produced.

use lacuna::engine::outputs::{Emission, RecordKey, RecordKind};
use serde_json::Value;

/// What was produced.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Sent {
    pub tasks: Vec<Value>,
    pub statuses: Vec<Value>,
    /// Reasons, with the sealed values.
    pub letters: Vec<(String, Vec<u8>)>,
    /// Keys of suppressed identities, with what is said of them.
    pub suppressed: Vec<(String, Value)>,
    /// Keys that there is nothing of any more.
    pub tombstones: Vec<String>,
}

impl Sent {
    pub fn of(emission: &Emission) -> Self {
        let mut sent = Self::default();
        for record in &emission.records {
            let read = || serde_json::from_slice(&record.payload).unwrap();
            match &record.kind {
                RecordKind::Task { .. } => sent.tasks.push(read()),
                RecordKind::Status { .. } => sent.statuses.push(read()),
                RecordKind::Suppression { key, .. } => sent.suppressed.push((hex::encode(key), read())),
                RecordKind::Tombstone => sent.tombstones.push(match record.key.unwrap() {
                    RecordKey::Request(id) => id.to_string(),
                    RecordKey::Suppression(key) => hex::encode(key),
                }),
                RecordKind::DeadLetter { headers } => {
                    sent.letters
                        .push((headers.reason.to_string(), record.payload.to_vec()));
                }
            }
        }
        sent.tasks
            .sort_by_key(|task| (task["request_id"].to_string(), task["processor"].to_string()));
        sent
    }

    /// The task of a processor, which has to be among them.
    pub fn task(&self, processor: &str) -> &Value {
        let found = self.tasks.iter().find(|task| task["processor"] == processor);
        found.unwrap_or_else(|| panic!("no task for {processor} in {self:#?}"))
    }

    /// The processors that were asked, in order.
    pub fn asked(&self) -> Vec<&str> {
        self.tasks
            .iter()
            .map(|task| task["processor"].as_str().unwrap())
            .collect()
    }

    pub fn reasons(&self) -> Vec<&str> {
        self.letters.iter().map(|(reason, _)| reason.as_str()).collect()
    }

    /// The last status.
    pub fn status(&self) -> &Value {
        self.statuses.last().expect("no status was produced")
    }
}
