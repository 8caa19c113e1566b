//! What workers want to have produced.

use lacuna::{
    engine::effects::{Effect, Emission},
    store::CompactedKey,
};
use serde_json::Value;

use super::messages::ACKS;

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
        for effect in &emission.effects {
            match effect {
                Effect::Task(task) => {
                    let message = task.message(ACKS, Some("https://lacuna.example/v1/acks"));
                    sent.tasks.push(serde_json::to_value(message).unwrap());
                }
                Effect::Status(status) => sent.statuses.push(serde_json::to_value(&status.message).unwrap()),
                Effect::Suppression(suppressed) => {
                    let message = serde_json::to_value(suppressed.message()).unwrap();
                    sent.suppressed.push((hex::encode(suppressed.key), message));
                }
                Effect::Tombstone(key) => sent.tombstones.push(match key {
                    CompactedKey::Status(id) => id.to_string(),
                    CompactedKey::Suppression(key) => hex::encode(key),
                }),
                Effect::DeadLetter(letter) => {
                    sent.letters
                        .push((letter.reason.to_string(), letter.sealed.to_vec()));
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
