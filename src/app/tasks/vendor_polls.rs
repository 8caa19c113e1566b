//! Vendors are asked how the jobs stand that they have taken on.
//!
//! Each is asked by a task of its own, so that one that does not answer delays no other one.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::task::JoinSet;

use super::periodic::{Next, Periodic};
use crate::{
    delivery::{DeliveryError, relay::Relay},
    domain::{
        ids::ProcessorId,
        registry::{Processor, Transport},
    },
    engine::{EngineError, prepare::Arrival},
    telemetry::logs::chain,
    transport::vendor::VendorSender,
};

/// How many tasks of a processor are looked up at a time: those of the same job are one question.
const BATCH: u32 = 1_000;

/// Asks vendors.
pub(in crate::app) struct VendorPolls {
    relay: Relay,
    vendors: Arc<VendorSender>,
    asking: JoinSet<ProcessorId>,
    asked: BTreeSet<ProcessorId>,
}

impl VendorPolls {
    pub(in crate::app) fn new(relay: Relay, vendors: Arc<VendorSender>) -> Self {
        Self {
            relay,
            vendors,
            asking: JoinSet::new(),
            asked: BTreeSet::new(),
        }
    }
}

#[async_trait]
impl Periodic for VendorPolls {
    type Error = EngineError;

    fn name(&self) -> &'static str {
        "vendor_polls"
    }

    /// Only what is accepted waits for it.
    fn part(&self) -> Option<&'static str> {
        None
    }

    fn every(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn turn(&mut self) -> Result<Next, EngineError> {
        while let Some(ended) = self.asking.try_join_next() {
            match ended {
                Ok(processor) => drop(self.asked.remove(&processor)),
                Err(error) => {
                    // Whose it was is not known: all that are not running any more may be asked again.
                    tracing::error!(%error, "asking a vendor failed");
                    self.asking.abort_all();
                    self.asked.clear();
                }
            }
        }
        let engine = &self.relay.engine;
        let active = engine.active()?;
        let processors = active.registry.processors.iter();
        let idle: Vec<ProcessorId> = processors
            .filter(|processor| matches!(&processor.transport, Transport::Vendor(vendor) if vendor.poll.is_some()))
            .map(|processor| processor.id.clone())
            .filter(|id| !self.asked.contains(id))
            .collect();
        for id in engine.due_pollers(&idle).await? {
            let Some(processor) = active.registry.get(&id).cloned() else {
                continue;
            };
            let (relay, vendors) = (self.relay.clone(), Arc::clone(&self.vendors));
            self.asked.insert(id.clone());
            self.asking.spawn(async move {
                if let Err(error) = ask_all(&relay, &vendors, &processor).await {
                    tracing::warn!(
                        processor = %processor.id,
                        why = chain(&error),
                        "what a vendor has answered could not be settled; it is asked again later"
                    );
                }
                id
            });
        }
        Ok(Next::Rest)
    }
}

/// Asks a vendor about all that is due.
async fn ask_all(relay: &Relay, vendors: &VendorSender, processor: &Processor) -> Result<(), DeliveryError> {
    let Transport::Vendor(vendor) = &processor.transport else {
        return Ok(());
    };
    let Some(every) = vendor.poll else { return Ok(()) };
    loop {
        let due = relay.engine.take_polls(&processor.id, every, BATCH).await?;
        if due.is_empty() || relay.shutdown.is_cancelled() {
            return Ok(());
        }
        let polls = &relay.engine.metrics.polls;
        let mut arrivals = Vec::new();
        let mut is_told = false;
        for (about, heard) in vendors.ask(processor, due).await {
            let outcome = if heard.is_ok() { "answered" } else { "failed" };
            polls.with_label_values(&[processor.id.as_str(), outcome]).inc();
            match heard {
                Ok(ack) => {
                    let prepared = ack.and_then(|ack| relay.engine.settlement().prepare_ack(ack).ok());
                    arrivals.extend(prepared.map(Arrival::of_call));
                }
                // Once a batch: a vendor that is away says the same of everybody.
                Err(why) if !is_told => {
                    is_told = true;
                    tracing::warn!(processor = %processor.id, request = %about.request, why, "how a job stands is not known");
                }
                Err(_) => {}
            }
        }
        if !arrivals.is_empty() {
            let settled = relay.engine.settlement().settle(&arrivals).await?;
            relay.deliver(settled.emission).await?;
        }
    }
}
