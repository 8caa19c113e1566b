//! What workers want to have produced.

use serde_json::Value;

use crate::{
    engine::effects::{Effect, Effects},
    store::CompactedKey,
};

/// Where tasks say that they may be answered, too.
const ACK_URL: &str = "https://lacuna.example/v1/acks";

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
    /// What effects there are: tasks in the order of their requests and processors, everything else as it was produced.
    pub fn of(emission: &Effects) -> Self {
        let mut sent = Self::default();
        for effect in &emission.effects {
            sent.add(effect);
        }
        sent.tasks
            .sort_by_key(|task| (task["request_id"].to_string(), task["processor"].to_string()));
        sent
    }

    fn add(&mut self, effect: &Effect) {
        match effect {
            Effect::Task(task) => self.tasks.push(json(&task.message("acks", Some(ACK_URL)))),
            Effect::Status(status) => self.statuses.push(json(&status.message)),
            Effect::Suppression(suppressed) => {
                let key = hex::encode(suppressed.key);
                self.suppressed.push((key, json(&suppressed.message())));
            }
            Effect::Tombstone(key) => self.tombstones.push(match key {
                CompactedKey::Status(id) => id.to_string(),
                CompactedKey::Suppression(key) => hex::encode(key),
            }),
            Effect::DeadLetter(letter) => {
                self.letters
                    .push((letter.reason.to_string(), letter.sealed.to_vec()));
            }
        }
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

fn json(message: &impl serde::Serialize) -> Value {
    serde_json::to_value(message).expect("what Lacuna produces is JSON")
}
