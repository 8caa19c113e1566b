//! What becomes of circuits: written down with the lane, and said once.

use super::{DeliveryError, LaneRunner};
use crate::{domain::ids::ProcessorId, engine::circuits::OpenCircuit};

impl LaneRunner {
    /// Writes down the circuits that have opened or closed.
    pub(super) async fn note_circuits(&mut self) -> Result<(), DeliveryError> {
        while let Some(id) = self.changed.pop_first() {
            let Some(lane) = self.lanes.get(&id) else { continue };
            let circuit = lane.breaker.open();
            say(&id, self.relay.engine.open_circuits().get(&id), circuit);
            let queues = self.relay.engine.queues();
            match queues.set_circuit(self.owner, &id, circuit).await {
                Ok(true) => {}
                Ok(false) => {
                    if let Some(lane) = self.lanes.remove(&id) {
                        lane.stop.cancel();
                    }
                }
                Err(error) => {
                    self.changed.insert(id);
                    return Err(error.into());
                }
            }
        }
        Ok(())
    }
}

/// Says once that a circuit has opened, or has closed.
fn say(lane: &ProcessorId, before: Option<&OpenCircuit>, circuit: Option<&OpenCircuit>) {
    match circuit {
        Some(open) if before.is_some_and(|before| before.unauthorised == open.unauthorised) => {}
        Some(open) if open.unauthorised => tracing::error!(
            processor = %lane,
            why = open.why,
            "a processor does not let us in: nothing is sent to it until what we show it is renewed; one task tries now and then"
        ),
        Some(open) => tracing::error!(
            processor = %lane,
            why = open.why,
            until = %open.until,
            "a processor fails: nothing is sent to it but one task that tries; its tasks wait, and use up no attempts"
        ),
        None => tracing::info!(processor = %lane, "a processor answers again: its tasks are sent"),
    }
}
