//! Processors of OpenDSR are asked how that stands which they have accepted: their callbacks may be lost, and they have no
//! word for a failure.
//!
//! Each processor is asked by a task of its own, so that one that does not answer delays no other one.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::task::JoinSet;

use super::periodic::{Next, Periodic};
use crate::{
    delivery::{DeliveryError, relay::Relay},
    domain::{
        ack::Ack,
        ids::ProcessorId,
        registry::{OpenDsr, Processor, Transport},
    },
    engine::{Engine, EngineError, accepted::AskedAbout, prepare::Arrival, traced::end_spans},
    telemetry::{
        logs::chain,
        traces::{CallSpan, Called, Traces},
    },
    transport::opendsr::controller::Controller,
};

/// How many tasks of a processor are looked up at a time.
const BATCH: u32 = 256;

/// Asks processors.
pub(in crate::app) struct OpenDsrPolls {
    relay: Relay,
    controller: Arc<Controller>,
    asking: JoinSet<ProcessorId>,
    asked: BTreeSet<ProcessorId>,
}

impl OpenDsrPolls {
    pub(in crate::app) fn new(relay: Relay, controller: Arc<Controller>) -> Self {
        Self {
            relay,
            controller,
            asking: JoinSet::new(),
            asked: BTreeSet::new(),
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
        while let Some(ended) = self.asking.try_join_next() {
            match ended {
                Ok(processor) => drop(self.asked.remove(&processor)),
                Err(error) => {
                    // Whose it was is not known: all that are not running any more may be asked again.
                    tracing::error!(%error, "asking a processor of OpenDSR failed");
                    self.asking.abort_all();
                    self.asked.clear();
                }
            }
        }
        let engine = &self.relay.engine;
        let active = engine.active()?;
        let polled = active
            .registry
            .processors
            .iter()
            .filter(|processor| is_polled(processor));
        let idle: Vec<ProcessorId> = polled
            .map(|processor| processor.id.clone())
            .filter(|id| !self.asked.contains(id))
            .collect();
        for id in engine.due_pollers(&idle).await? {
            let Some(processor) = active.registry.get(&id).cloned() else {
                continue;
            };
            let (relay, controller) = (self.relay.clone(), Arc::clone(&self.controller));
            self.asked.insert(id.clone());
            self.asking.spawn(async move {
                if let Err(error) = ask_all(&relay, &controller, &processor).await {
                    tracing::warn!(
                        processor = %processor.id,
                        why = chain(&error),
                        "what a processor of OpenDSR has answered could not be settled; it is asked again later"
                    );
                }
                id
            });
        }
        Ok(Next::Rest)
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
        if heard.is_empty() {
            continue;
        }
        let prepared = heard.into_iter().filter_map(|(ack, trace)| {
            let prepared = relay.engine.settlement().prepare_ack(ack).ok()?;
            Some(Arrival::of_call(prepared).traced(trace.as_deref()))
        });
        let arrivals: Vec<_> = prepared.collect();
        let spans = relay.engine.begin_spans("settle", &arrivals);
        let mut settled = relay.engine.settlement().settle(&arrivals).await;
        end_spans(spans, settled.as_mut().ok().map(|settled| &mut settled.emission));
        relay.deliver(settled?.emission).await?;
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
