//! The simulated processors while they run: those on Kafka, and those that listen for webhooks.

use super::{
    DemoError,
    setup::{Asked, PROCESSORS},
};
use crate::{
    kafka::{KafkaError, client::Cluster},
    lab::sim::{Fleet, Receiver, Simulated, Tally},
};

/// The simulated processors while they run.
pub(super) struct Cast {
    fleet: Fleet,
    receiver: Receiver,
}

impl Cast {
    /// Starts those on Kafka. `receiver`: those that listen already.
    pub(super) fn start(
        cluster: &Cluster,
        tasks_prefix: &str,
        receiver: Receiver,
        seed: u64,
    ) -> Result<Self, DemoError> {
        let simulated = PROCESSORS.iter().filter_map(|processor| match processor.asked {
            Asked::OnKafka(character) => Some(Simulated {
                topic: format!("{tasks_prefix}{}", processor.id),
                character,
            }),
            Asked::ByWebhook => None,
        });
        let fleet = Fleet::start(cluster, "lacuna-demo-processors", simulated.collect(), seed)?;
        Ok(Self { fleet, receiver })
    }

    /// What each has done so far, in the order of the cast.
    pub(super) fn tallies(&self) -> Vec<Tally> {
        let mut on_kafka = self.fleet.tallies().into_iter();
        let deliveries = self.receiver.received.deliveries();
        PROCESSORS
            .iter()
            .map(|processor| match processor.asked {
                Asked::OnKafka(_) => on_kafka.next().unwrap_or_default(),
                // One of them is asked so: all that has come in is its.
                Asked::ByWebhook => Tally {
                    tasks: deliveries,
                    erased: deliveries,
                    ..Tally::default()
                },
            })
            .collect()
    }

    /// Whether they still run.
    pub(super) fn is_running(&self) -> bool {
        self.fleet.is_running()
    }

    /// Ends those on Kafka; what is not answered yet stays unanswered. The others listen until they are dropped: whoever
    /// calls them ends first.
    pub(super) fn stop(self) -> Result<Receiver, KafkaError> {
        self.fleet.stop()?;
        Ok(self.receiver)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_processor_alone_is_asked_by_webhooks() {
        let asked = PROCESSORS.iter().map(|processor| processor.asked);
        let by_webhook = asked.filter(|asked| matches!(asked, Asked::ByWebhook));
        assert_eq!(by_webhook.count(), 1, "what has come in is counted together");
    }
}
