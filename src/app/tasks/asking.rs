//! Processors are asked how that stands which they have accepted: each by a task of its own, so that one that does not answer
//! delays no other one.

use std::{collections::BTreeSet, sync::Arc};

use tokio::task::JoinSet;

use super::periodic::Next;
use crate::{
    delivery::{DeliveryError, relay::Relay},
    domain::{ack::Ack, ids::ProcessorId, registry::Processor},
    engine::{EngineError, prepare::Arrival, traced::end_spans},
    telemetry::logs::chain,
};

/// The processors that are being asked.
pub(super) struct Asking {
    /// What they are, as people are told: `a vendor`.
    who: &'static str,
    running: JoinSet<ProcessorId>,
    asked: BTreeSet<ProcessorId>,
}

impl Asking {
    pub(super) fn new(who: &'static str) -> Self {
        Self {
            who,
            running: JoinSet::new(),
            asked: BTreeSet::new(),
        }
    }

    /// Has those asked of which something is due, unless they are being asked already.
    pub(super) async fn turn<F>(
        &mut self,
        relay: &Relay,
        is_polled: impl Fn(&Processor) -> bool,
        ask: impl Fn(Processor) -> F,
    ) -> Result<Next, EngineError>
    where
        F: Future<Output = Result<(), DeliveryError>> + Send + 'static,
    {
        self.end();
        let active = relay.engine.active()?;
        let polled = active.registry.processors.iter().filter(|one| is_polled(one));
        let idle: Vec<ProcessorId> = polled
            .map(|processor| processor.id.clone())
            .filter(|id| !self.asked.contains(id))
            .collect();
        for id in relay.engine.due_pollers(&idle).await? {
            let Some(processor) = active.registry.get(&id).cloned() else {
                continue;
            };
            self.asked.insert(id.clone());
            let (who, asking) = (self.who, ask(processor));
            self.running.spawn(async move {
                if let Err(error) = asking.await {
                    tracing::warn!(
                        processor = %id,
                        why = chain(&error),
                        "what {who} has answered could not be settled; it is asked again later"
                    );
                }
                id
            });
        }
        Ok(Next::Rest)
    }

    /// Those that have been asked may be asked again.
    fn end(&mut self) {
        while let Some(ended) = self.running.try_join_next() {
            match ended {
                Ok(processor) => drop(self.asked.remove(&processor)),
                // One of those that were ended below.
                Err(error) if error.is_cancelled() => {}
                Err(error) => {
                    // Whose it was is not known: all that are not running any more may be asked again.
                    tracing::error!(%error, "asking {} failed", self.who);
                    self.running.abort_all();
                    self.asked.clear();
                }
            }
        }
    }
}

/// What was heard of a task, and the trace that it belongs to.
pub(super) type Heard = (Ack, Option<Arc<str>>);

/// Settles what was heard, and sends what follows from it.
pub(super) async fn settle(relay: &Relay, heard: Vec<Heard>) -> Result<(), DeliveryError> {
    let prepared = heard.into_iter().filter_map(|(ack, trace)| {
        let prepared = relay.engine.settlement().prepare_ack(ack).ok()?;
        Some(Arrival::of_call(prepared).traced(trace.as_deref()))
    });
    let arrivals: Vec<_> = prepared.collect();
    if arrivals.is_empty() {
        return Ok(());
    }
    let spans = relay.engine.begin_spans("settle", &arrivals);
    let mut settled = relay.engine.settlement().settle(&arrivals).await;
    end_spans(spans, settled.as_mut().ok().map(|settled| &mut settled.emission));
    relay.deliver(settled?.emission).await?;
    Ok(())
}
