//! What workers want to have produced.

use serde_json::Value;

use crate::engine::outputs::{Emission, Record, RecordKey, RecordKind};

/// What was produced.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Sent {
    /// Tasks, to processors.
    pub tasks: Vec<Value>,
    /// Statuses, to upstream.
    pub statuses: Vec<Value>,
    /// Reasons, with the sealed values.
    pub letters: Vec<(String, Vec<u8>)>,
    /// Keys of suppressed identities, with what is said of them.
    pub suppressed: Vec<(String, Value)>,
    /// Keys that there is nothing of any more.
    pub tombstones: Vec<String>,
}

impl Sent {
    /// What an emission has: tasks in the order of their requests and processors, everything else as it was produced.
    pub fn of(emission: &Emission) -> Self {
        let mut sent = Self::default();
        for record in &emission.records {
            sent.add(record);
        }
        sent.tasks
            .sort_by_key(|task| (task["request_id"].to_string(), task["processor"].to_string()));
        sent
    }

    fn add(&mut self, record: &Record) {
        let read = || serde_json::from_slice(&record.payload).expect("what Lacuna produces is JSON");
        match &record.kind {
            RecordKind::Task { .. } => self.tasks.push(read()),
            RecordKind::Status { .. } => self.statuses.push(read()),
            RecordKind::Suppression { key, .. } => self.suppressed.push((hex::encode(key), read())),
            RecordKind::Tombstone => self.tombstones.extend(record.key.as_ref().map(|key| match key {
                RecordKey::Request(id) => id.to_string(),
                RecordKey::Suppression(key) => hex::encode(key),
            })),
            RecordKind::DeadLetter { headers } => {
                self.letters
                    .push((headers.reason.to_string(), record.payload.to_vec()));
            }
        }
    }

    /// Adds what was produced later.
    pub fn append(&mut self, mut later: Self) {
        self.tasks.append(&mut later.tasks);
        self.statuses.append(&mut later.statuses);
        self.letters.append(&mut later.letters);
        self.suppressed.append(&mut later.suppressed);
        self.tombstones.append(&mut later.tombstones);
    }

    /// The task of a processor, which has to be among them.
    pub fn task(&self, processor: &str) -> &Value {
        let found = self.tasks.iter().find(|task| task["processor"] == processor);
        found.unwrap_or_else(|| panic!("no task for {processor} in {self:#?}"))
    }

    /// The processors that were asked, in order.
    pub fn asked(&self) -> Vec<&str> {
        let processors = self.tasks.iter().map(|task| task["processor"].as_str());
        processors.map(Option::unwrap_or_default).collect()
    }

    /// Why messages could not be taken in.
    pub fn reasons(&self) -> Vec<&str> {
        self.letters.iter().map(|(reason, _)| reason.as_str()).collect()
    }

    /// The last status.
    pub fn status(&self) -> &Value {
        self.statuses.last().expect("no status was produced")
    }
}
