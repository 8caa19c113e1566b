//! Vendors are asked how the jobs stand that they have taken on.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{
    asking::{Asking, settle},
    periodic::{Next, Periodic},
};
use crate::{
    delivery::{DeliveryError, relay::Relay},
    domain::registry::{Processor, Transport},
    engine::EngineError,
    transport::vendor::VendorSender,
};

/// How many tasks of a processor are looked up at a time: those of the same job are one question.
const BATCH: u32 = 1_000;

/// Asks vendors.
pub(in crate::app) struct VendorPolls {
    relay: Relay,
    vendors: Arc<VendorSender>,
    asking: Asking,
}

impl VendorPolls {
    pub(in crate::app) fn new(relay: Relay, vendors: Arc<VendorSender>) -> Self {
        Self {
            relay,
            vendors,
            asking: Asking::new("a vendor"),
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
        let is_polled = |processor: &Processor| matches!(&processor.transport, Transport::Vendor(vendor) if vendor.poll.is_some());
        let (relay, vendors) = (&self.relay, &self.vendors);
        let ask = |processor: Processor| {
            let (relay, vendors) = (relay.clone(), Arc::clone(vendors));
            async move { ask_all(&relay, &vendors, &processor).await }
        };
        self.asking.turn(relay, is_polled, ask).await
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
        let mut acks = Vec::new();
        let mut is_told = false;
        for (about, heard) in vendors.ask(processor, due).await {
            let outcome = if heard.is_ok() { "answered" } else { "failed" };
            polls.with_label_values(&[processor.id.as_str(), outcome]).inc();
            match heard {
                Ok(ack) => acks.extend(ack),
                // Once a batch: a vendor that is away says the same of everybody.
                Err(why) if !is_told => {
                    is_told = true;
                    tracing::warn!(processor = %processor.id, request = %about.request, why, "how a job stands is not known");
                }
                Err(_) => {}
            }
        }
        settle(relay, acks.into_iter().map(|ack| (ack, None)).collect()).await?;
    }
}
