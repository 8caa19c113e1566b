//! The calls of queued lanes, made by hand: claimed as a worker claims, sent by a worker's own senders, and settled as a worker
//! settles.

use std::sync::Arc;

use serde_json::Value;
use tokio::task::JoinSet;

use super::Stuck;
use crate::{
    app::senders,
    clock::{Clock, ManualClock},
    config::Config,
    delivery::queues::settle_replies,
    domain::{
        ack::Ack,
        ids::ProcessorId,
        registry::{Lane, OpenDsr, Processor, Transport, Vendor},
        time::At,
    },
    engine::{
        Engine,
        effects::{Effects, TaskDispatch},
        prepare::Arrival,
    },
    lab::scenario::{
        environment::Output,
        systems::{Systems, request_of},
    },
    store::{QueueHead, Wanted},
    transport::{
        opendsr::controller::Controller,
        sender::{Reply, Senders},
        vendor::VendorSender,
    },
};

/// As many tasks as a worker claims together.
const BATCH: u32 = 500;

/// Calls that are under way at a time.
const CALLS: usize = 16;

/// Calls systems.
#[derive(Debug)]
pub(super) struct Calls {
    pub(super) systems: Systems,
    senders: Senders,
    controller: Arc<Controller>,
    vendors: Arc<VendorSender>,
}

/// What came of calls.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// How many there were.
    pub(super) count: usize,
    /// What was decided.
    pub(super) effects: Effects,
    /// What has come in at systems, and what they said for good.
    pub(super) outputs: Vec<Output>,
}

impl Calls {
    /// `engine` remembers what vendors call people.
    pub(super) fn new(config: &Config, clock: &ManualClock, systems: Systems, engine: Arc<Engine>) -> Self {
        let clock = Clock::Manual(clock.clone());
        let controller = senders::controller(config, &clock);
        let vendors = senders::vendors(config, &clock, engine);
        Self {
            systems,
            senders: senders::senders(config, &clock, &controller, &vendors),
            controller,
            vendors,
        }
    }

    /// The next time at which a task of a queue is due; what is due now and kept back by something else waits for that.
    pub(super) async fn next_due(&self, engine: &Engine) -> Result<Option<At>, Stuck> {
        let now = engine.clock.now();
        let heads = heads(engine).await?;
        Ok(heads
            .into_iter()
            .map(|head| head.due)
            .filter(|due| *due > now)
            .min())
    }

    /// Makes the calls that are due, and asks how what was accepted stands.
    pub(super) async fn make(&self, engine: &Engine) -> Result<Made, Stuck> {
        let mut made = self.send(engine).await?;
        let active = engine.active()?;
        for processor in &active.registry.processors {
            made.effects.append(self.ask(engine, processor).await?);
        }
        made.outputs.extend(self.systems.heard());
        Ok(made)
    }

    async fn send(&self, engine: &Engine) -> Result<Made, Stuck> {
        let now = engine.clock.now();
        let due = heads(engine).await?.into_iter().filter(|head| head.due <= now);
        let wanted: Vec<Wanted> = due
            .map(|head| Wanted {
                processor: head.processor,
                tenant: head.tenant,
                most: BATCH,
            })
            .collect();
        let mut made = Made::default();
        if wanted.is_empty() {
            return Ok(made);
        }
        let claimed = engine.queues().claim(&wanted).await?;
        made.count = claimed.tasks.len();
        made.effects = claimed.effects;
        let mut replies = Vec::with_capacity(made.count);
        let (mut tasks, mut calling) = (claimed.tasks.into_iter(), JoinSet::new());
        loop {
            while calling.len() < CALLS
                && let Some(task) = tasks.next()
            {
                calling.spawn(self.call(engine, task)?);
            }
            let Some(called) = calling.join_next().await else {
                break;
            };
            let (task, reply) = called.map_err(|error| Stuck::Fell(format!("a call: {error}")))?;
            made.outputs.extend(self.asked_by_opendsr(&task));
            replies.push((task, reply));
        }
        made.outputs.extend(self.systems.heard());
        made.effects.append(settle_replies(engine, replies).await?);
        Ok(made)
    }

    fn call(
        &self,
        engine: &Engine,
        task: TaskDispatch,
    ) -> Result<impl Future<Output = (TaskDispatch, Reply)> + Send + 'static, Stuck> {
        let active = engine.active()?;
        let found = active.registry.get(&task.processor).cloned();
        let processor = found.ok_or_else(|| Stuck::Fell(format!("nobody is {}", task.processor)))?;
        let sender = self.senders.of(&processor).cloned();
        let sender = sender.ok_or_else(|| Stuck::Fell(format!("nobody calls {}", task.processor)))?;
        Ok(async move {
            let reply = sender.send(&processor, &task, processor.call_timeout()).await;
            (task, reply)
        })
    }

    /// A task that has come in at a vendor of OpenDSR, whose request does not name it: what is said of it is what the vendor
    /// was told about the person.
    fn asked_by_opendsr(&self, task: &TaskDispatch) -> Option<Output> {
        let mut message = serde_json::to_value(task.message("", None)).ok()?;
        let told = self.systems.asked_about(&request_of(&message)?.to_string())?;
        let told = told.as_array()?.iter().map(
            |told| serde_json::json!({ "type": told["identity_type"], "value": told["identity_value"] }),
        );
        message["identities"] = Value::Array(told.collect());
        Some(Output::Task(message))
    }

    async fn ask(&self, engine: &Engine, processor: &Processor) -> Result<Effects, Stuck> {
        let acks = match &processor.transport {
            Transport::OpenDsr(opendsr) => self.ask_by_opendsr(engine, processor, opendsr).await?,
            Transport::Vendor(Vendor {
                poll: Some(every), ..
            }) => {
                let due = engine.take_polls(&processor.id, *every, BATCH).await?;
                let mut acks = Vec::new();
                for (_, heard) in self.vendors.ask(processor, due).await {
                    let heard = heard.map_err(|why| Stuck::Fell(format!("{}: {why}", processor.id)))?;
                    acks.extend(heard);
                }
                acks
            }
            _ => Vec::new(),
        };
        if acks.is_empty() {
            return Ok(Effects::default());
        }
        let prepared = acks.into_iter().map(|ack| engine.settlement().prepare_ack(ack));
        let arrivals: Vec<_> = prepared.map(Arrival::of_call_result).collect();
        Ok(engine.settlement().settle(&arrivals).await?.emission)
    }

    async fn ask_by_opendsr(
        &self,
        engine: &Engine,
        processor: &Processor,
        opendsr: &OpenDsr,
    ) -> Result<Vec<Ack>, Stuck> {
        let mut acks = Vec::new();
        for about in engine.take_polls(&processor.id, opendsr.poll, BATCH).await? {
            let heard = self.controller.ask(opendsr, &about).await;
            let heard = heard.map_err(|error| Stuck::Fell(format!("{}: {error}", processor.id)))?;
            acks.extend(heard);
        }
        Ok(acks)
    }
}

async fn heads(engine: &Engine) -> Result<Vec<QueueHead>, Stuck> {
    let active = engine.active()?;
    let queued = active
        .registry
        .processors
        .iter()
        .filter(|processor| processor.lane() == Lane::Queued);
    let lanes: Vec<(ProcessorId, _)> = queued.map(|processor| (processor.id.clone(), None)).collect();
    Ok(engine.queues().heads(&lanes).await?)
}
