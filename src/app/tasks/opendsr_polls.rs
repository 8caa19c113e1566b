//! Processors of OpenDSR are asked how that stands which they have accepted: their callbacks may be lost, and they have no
//! word for a failure.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::task::JoinSet;

use super::{
    asking::{Asking, settle},
    periodic::{Next, Periodic},
};
use crate::{
    delivery::{DeliveryError, relay::Relay},
    domain::{
        ack::Ack,
        registry::{OpenDsr, Processor, Transport},
    },
    engine::{Engine, EngineError, accepted::AskedAbout},
    telemetry::traces::{CallSpan, Called, Traces},
    transport::opendsr::controller::Controller,
};

/// How many tasks of a processor are looked up at a time.
const BATCH: u32 = 256;

/// Asks processors.
pub(in crate::app) struct OpenDsrPolls {
    relay: Relay,
    controller: Arc<Controller>,
    asking: Asking,
}

impl OpenDsrPolls {
    pub(in crate::app) fn new(relay: Relay, controller: Arc<Controller>) -> Self {
        Self {
            relay,
            controller,
            asking: Asking::new("a processor of OpenDSR"),
        }
    }
}

#[async_trait]
impl Periodic for OpenDsrPolls {
    type Error = EngineError;

    fn name(&self) -> &'static str {
        "opendsr_polls"
    }

    /// Only what is accepted waits for it, and its callbacks come all the same.
    fn part(&self) -> Option<&'static str> {
        None
    }

    fn every(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn turn(&mut self) -> Result<Next, EngineError> {
        let (relay, controller) = (&self.relay, &self.controller);
        let ask = |processor: Processor| {
            let (relay, controller) = (relay.clone(), Arc::clone(controller));
            async move { ask_all(&relay, &controller, &processor).await }
        };
        self.asking.turn(relay, is_polled, ask).await
    }
}

const fn is_polled(processor: &Processor) -> bool {
    matches!(processor.transport, Transport::OpenDsr(_))
}

/// Asks a processor about all that is due, as many at a time as it may be sent.
async fn ask_all(
    relay: &Relay,
    controller: &Arc<Controller>,
    processor: &Processor,
) -> Result<(), DeliveryError> {
    let Transport::OpenDsr(opendsr) = &processor.transport else {
        return Ok(());
    };
    loop {
        let due = relay
            .engine
            .take_polls(&processor.id, opendsr.poll, BATCH)
            .await?;
        if due.is_empty() || relay.shutdown.is_cancelled() {
            return Ok(());
        }
        let at_once = usize::try_from(processor.concurrency).unwrap_or(1).max(1);
        let heard = ask(controller, opendsr, due, at_once, &relay.engine).await;
        settle(relay, heard).await?;
    }
}

/// Begins the span of a question, which carries it from now on.
fn begin(traces: Option<&Traces>, about: &mut AskedAbout) -> Option<CallSpan> {
    let called = Called {
        request: about.request,
        processor: about.processor.as_str(),
        attempt: about.attempt(),
        parent: about.trace.as_deref()?,
    };
    let span = traces?.call("opendsr_poll", called)?;
    about.trace = Some(span.traceparent());
    Some(span)
}

/// What was heard that is new. What was not heard is asked for again, the next time that it is due.
async fn ask(
    controller: &Arc<Controller>,
    opendsr: &OpenDsr,
    due: Vec<AskedAbout>,
    at_once: usize,
    engine: &Engine,
) -> Vec<(Ack, Option<Arc<str>>)> {
    let polls = &engine.metrics.polls;
    let mut heard = Vec::new();
    let mut failures = 0_u32;
    let mut running = JoinSet::new();
    let mut due = due.into_iter();
    loop {
        while running.len() < at_once
            && let Some(about) = due.next()
        {
            let (controller, opendsr) = (Arc::clone(controller), opendsr.clone());
            let mut about = about;
            let span = begin(engine.traces().map(AsRef::as_ref), &mut about);
            running.spawn(async move {
                let asked = controller.ask(&opendsr, &about).await;
                if let Some(span) = span {
                    span.end(asked.is_err().then_some("unanswered"));
                }
                (about, asked)
            });
        }
        match running.join_next().await {
            None => break,
            Some(Ok((about, Ok(ack)))) => {
                polls
                    .with_label_values(&[about.processor.as_str(), "answered"])
                    .inc();
                heard.extend(ack.map(|ack| (ack, about.trace)));
            }
            Some(Ok((about, Err(why)))) => {
                polls
                    .with_label_values(&[about.processor.as_str(), "failed"])
                    .inc();
                // Once a batch: a processor that is away says the same of everybody.
                if failures == 0 {
                    tracing::warn!(processor = %about.processor, request = %about.request, %why, "how a request stands is not known");
                }
                failures += 1;
            }
            Some(Err(error)) => tracing::error!(%error, "asking a processor of OpenDSR panicked"),
        }
    }
    heard
}
