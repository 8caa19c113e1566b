//! A transport that does what a test asks of it: the double of Kafka.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use lacuna::{
    domain::ids::ProcessorId,
    engine::effects::{Effect, Effects},
    store::CompactedKey,
    transport::{Confirmations, Failure, Fault, Manner, Transport, TransportError},
};

use super::world::Sent;

/// What a destination does with what is sent to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    /// It takes everything.
    Takes,
    /// It does not exist.
    IsMissing,
    /// It confirms nothing in time, so many times.
    IsLate(u32),
    /// It takes no message that is larger, and no batch that is.
    TakesUpTo(u32),
}

/// Takes effects, and does with them what it was told.
#[derive(Debug, Default)]
pub struct Double {
    destinations: Mutex<BTreeMap<String, Does>>,
    /// What was confirmed, in its order.
    arrived: Mutex<Vec<Effect>>,
    /// How often something was sent.
    sends: Mutex<Vec<Manner>>,
}

/// Where an effect goes: `status`, `suppression`, `letters`, or the processor.
fn destination_of(effect: &Effect) -> &str {
    match effect {
        Effect::Task(task) => task.processor.as_str(),
        Effect::Status(_) | Effect::Tombstone(CompactedKey::Status(_)) => "status",
        Effect::Suppression(_) | Effect::Tombstone(CompactedKey::Suppression(_)) => "suppression",
        Effect::DeadLetter(_) => "letters",
    }
}

fn size_of(effect: &Effect) -> u32 {
    let bytes = match effect {
        Effect::Task(task) => serde_json::to_vec(&task.message("acks", None)).unwrap().len(),
        Effect::Status(status) => serde_json::to_vec(&status.message).unwrap().len(),
        Effect::Suppression(suppressed) => serde_json::to_vec(&suppressed.message()).unwrap().len(),
        Effect::Tombstone(_) => 0,
        Effect::DeadLetter(letter) => letter.sealed.len(),
    };
    u32::try_from(bytes).unwrap()
}

impl Double {
    /// From now on a destination does this.
    pub fn set(&self, destination: &str, does: Does) {
        self.destinations
            .lock()
            .unwrap()
            .insert(destination.to_owned(), does);
    }

    fn does(&self, destination: &str) -> Does {
        let destinations = self.destinations.lock().unwrap();
        destinations.get(destination).copied().unwrap_or(Does::Takes)
    }

    /// What has arrived since it was asked last.
    pub fn arrived(&self) -> Sent {
        Sent::of(&Effects {
            effects: std::mem::take(&mut *self.arrived.lock().unwrap()),
            ..Effects::default()
        })
    }

    /// How it was sent since it was asked last.
    pub fn sends(&self) -> Vec<Manner> {
        std::mem::take(&mut *self.sends.lock().unwrap())
    }

    fn fault(&self, effect: &Effect, manner: Manner, batch: u32) -> Option<(Fault, bool)> {
        match self.does(destination_of(effect)) {
            Does::Takes | Does::IsLate(0) => None,
            Does::IsMissing => Some((Fault::Destination, true)),
            Does::IsLate(_) => Some((Fault::Late, false)),
            Does::TakesUpTo(limit) if manner == Manner::EachAlone => {
                let bytes = size_of(effect);
                let limit = Some(limit);
                (Some(bytes) > limit).then_some((Fault::TooLarge { bytes, limit }, false))
            }
            Does::TakesUpTo(limit) => (batch > limit).then_some((Fault::TooLargeTogether, false)),
        }
    }
}

#[async_trait]
impl Transport for Double {
    async fn send(&self, effects: &[Effect], manner: Manner) -> Result<Confirmations, TransportError> {
        self.sends.lock().unwrap().push(manner);
        let mut batches: BTreeMap<&str, u32> = BTreeMap::new();
        for effect in effects {
            *batches.entry(destination_of(effect)).or_default() += size_of(effect);
        }
        let mut failures = Vec::new();
        for (place, effect) in effects.iter().enumerate() {
            let destination = destination_of(effect);
            match self.fault(effect, manner, batches[destination]) {
                Some((fault, certain)) => failures.push(Failure {
                    place,
                    fault,
                    certain,
                    destination: Arc::from(destination),
                    why: Cow::Borrowed("the test says so"),
                }),
                None => self.arrived.lock().unwrap().push(effect.clone()),
            }
        }
        for destination in batches.into_keys() {
            if let Does::IsLate(times @ 1..) = self.does(destination) {
                self.set(destination, Does::IsLate(times - 1));
            }
        }
        Ok(Confirmations::new(async move { failures }))
    }

    fn is_throttled(&self) -> bool {
        false
    }

    async fn limit_of(&self, processor: &ProcessorId) -> Option<u32> {
        match self.does(processor.as_str()) {
            Does::TakesUpTo(limit) => Some(limit),
            _ => None,
        }
    }

    fn destination_of(&self, processor: &ProcessorId) -> Arc<str> {
        Arc::from(processor.as_str())
    }

    async fn obstacles(
        &self,
        processors: &[ProcessorId],
    ) -> Result<BTreeMap<ProcessorId, &'static str>, TransportError> {
        let missing = processors
            .iter()
            .filter(|processor| self.does(processor.as_str()) == Does::IsMissing);
        Ok(missing
            .map(|processor| (processor.clone(), "it is missing"))
            .collect())
    }
}
