//! Tasks that a processor has accepted, and that it has to be asked about: OpenDSR has no failure, and a callback may be lost.
//!
//! Whoever asks needs no identifier, so nothing is opened. What is heard becomes an ack like any other one, and whether it
//! counts is decided where all acks are settled.

use std::{sync::Arc, time::Duration};

use super::{Engine, EngineError};
use crate::{
    domain::{
        ack::{Ack, Answer, Evidence},
        ids::{ProcessorId, RequestId, TaskId},
        registry::{StatusCall, Transport},
        request::Request,
        task::Task,
        words::TaskStateName,
    },
    vault::Token,
};

/// A generation of a task, as somebody is asked about it.
#[derive(Debug, Clone)]
pub struct AskedAbout {
    /// The request.
    pub request: RequestId,
    /// The task.
    pub task: TaskId,
    /// Its processor.
    pub processor: ProcessorId,
    /// Its generation.
    pub generation: u32,
    /// The `traceparent` of what led to it, where that is traced.
    pub trace: Option<Arc<str>>,
    attempt: u32,
    token: Token,
}

impl AskedAbout {
    /// Which attempt it was that was accepted.
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// What was heard, as an ack of the current attempt.
    pub fn ack(&self, answer: Answer, evidence: Option<Evidence>) -> Ack {
        Ack {
            request_id: self.request,
            task_id: self.task,
            generation: self.generation,
            attempt: self.attempt,
            processor: self.processor.clone(),
            token: self.token.as_str().to_owned(),
            answer,
            evidence,
            identities: Vec::new(),
            at: None,
            message: None,
        }
    }
}

#[cfg(test)]
impl AskedAbout {
    /// One of a task that nobody has.
    pub(crate) fn for_tests(processor: &str) -> Self {
        Self {
            request: RequestId(uuid::Uuid::from_u128(1)),
            task: TaskId(uuid::Uuid::from_u128(2)),
            processor: ProcessorId::new(processor).expect("an id"),
            generation: 1,
            trace: None,
            attempt: 1,
            token: Token::nobodys(),
        }
    }
}

impl Engine {
    /// How often a processor is asked about what it has accepted; `None`: never.
    pub(super) fn poll_of(&self, processor: &ProcessorId) -> Option<Duration> {
        let active = self.active().ok()?;
        match &active.registry.get(processor)?.transport {
            Transport::OpenDsr(opendsr) => {
                (opendsr.dialect.data().status == StatusCall::ByOurId).then_some(opendsr.poll)
            }
            Transport::Vendor(vendor) => vendor.poll,
            Transport::Kafka { .. } | Transport::Webhook(_) | Transport::Manual(_) | Transport::Agent => None,
        }
    }

    /// The processors among these that have to be asked about something now.
    pub async fn due_pollers(&self, processors: &[ProcessorId]) -> Result<Vec<ProcessorId>, EngineError> {
        Ok(self.store.due_pollers(processors, self.clock.now()).await?)
    }

    /// What a processor has to be asked about now. It is due again after `every`, whatever comes of it.
    pub async fn take_polls(
        &self,
        processor: &ProcessorId,
        every: Duration,
        limit: u32,
    ) -> Result<Vec<AskedAbout>, EngineError> {
        let now = self.clock.now();
        let taken = self
            .store
            .take_polls(processor, now, now.plus(every), limit)
            .await?;
        if taken.is_empty() {
            return Ok(Vec::new());
        }
        let mut ids: Vec<RequestId> = taken.iter().map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids.dedup();
        let requests = self.requests(&ids).await?;
        let mut asked = Vec::with_capacity(taken.len());
        let mut over = Vec::new();
        for (id, ordinal) in taken {
            let request = requests.iter().find(|request| request.id == id);
            match request.and_then(|request| self.accepted(request, ordinal, processor)) {
                Some(about) => asked.push(about),
                None => over.push((id, ordinal)),
            }
        }
        // A task that is accepted once more has its row again.
        self.store.drop_polls(&over).await?;
        self.trace_asked(&mut asked).await?;
        Ok(asked)
    }

    /// What is asked about goes on from what its command was traced by. Nothing is read where no collector is configured.
    async fn trace_asked(&self, asked: &mut [AskedAbout]) -> Result<(), EngineError> {
        if self.traces().is_none() || asked.is_empty() {
            return Ok(());
        }
        let mut ids: Vec<RequestId> = asked.iter().map(|about| about.request).collect();
        ids.sort_unstable();
        ids.dedup();
        let bodies = self.bodies(&ids).await?;
        for about in asked {
            let body = bodies.iter().find(|(id, _)| *id == about.request);
            about.trace = body.and_then(|(_, body)| body.trace.clone());
        }
        Ok(())
    }

    fn accepted(&self, request: &Request, ordinal: u16, processor: &ProcessorId) -> Option<AskedAbout> {
        let task = request
            .ordinals()
            .find(|known| *known == ordinal)
            .map(|known| request.task(known))?;
        // One whose term counts as well is accepted too: the processor may say sooner that it is done.
        let is_accepted = task.state.name() == TaskStateName::Accepted && task.processor == *processor;
        is_accepted.then(|| self.asked_about(request, ordinal, task))
    }

    /// The task that somebody speaks of, where it is one of this processor's and of this generation.
    pub async fn spoken_of(
        &self,
        processor: &ProcessorId,
        (id, task, generation): (RequestId, TaskId, u32),
    ) -> Result<Option<AskedAbout>, EngineError> {
        let Some(request) = self.request(id).await? else {
            return Ok(None);
        };
        let Some(ordinal) = request.find_task(task) else {
            return Ok(None);
        };
        let task = request.task(ordinal);
        let is_meant = task.processor == *processor && task.generation == generation && task.attempt > 0;
        if !is_meant {
            return Ok(None);
        }
        let mut about = [self.asked_about(&request, ordinal, task)];
        self.trace_asked(&mut about).await?;
        let [about] = about;
        Ok(Some(about))
    }

    fn asked_about(&self, request: &Request, ordinal: u16, task: &Task) -> AskedAbout {
        let id = request.task_id(ordinal);
        AskedAbout {
            request: request.id,
            task: id,
            processor: task.processor.clone(),
            generation: task.generation,
            trace: None,
            attempt: task.attempt,
            token: self.vault.token(request.id, id, task.generation, task.attempt),
        }
    }
}
