//! From requests to effects: what is said of them, and what their processors are asked.

use std::sync::Arc;

use super::{
    Effect, Effects, StatusUpdate,
    task::{Asked, TaskDispatch},
};
use crate::{
    domain::{
        body::{Body, Subject},
        identity::Identity,
        ids::RequestId,
        registry::Lane,
        request::Request,
        task::{Task, TaskState},
        time::At,
    },
    engine::{
        Engine, EngineError,
        catch_panic::catch_panic,
        dead_letters::{RejectedMessage, sealed_within_bounds},
        status::status_message,
    },
    store::{DeadLetter, Origin, StoredBody, StoredCapsule},
    wire::{KeptHeaders, Rejection, status::StatusMessage},
};

/// What is needed to name the subjects of requests to processors.
#[derive(Debug, Default)]
pub(in crate::engine) struct Secrets {
    bodies: Vec<StoredBody>,
    capsules: Vec<StoredCapsule>,
}

impl Engine {
    /// The state of a request, as outsiders are told.
    pub fn status_of<'a>(&'a self, request: &'a Request) -> StatusMessage<'a> {
        status_message(request, &self.policy().complaint_bodies, &self.lanes_now().view())
    }

    /// Adds what is to be said of a request. `false`: the program fails at it, so nothing is, and its outbox row goes: it
    /// would only be failed at again.
    pub(in crate::engine) fn emit_catching_panics(
        &self,
        request: &Request,
        emission: &mut Effects,
        add: impl FnOnce(&mut Effects),
    ) -> bool {
        let (effects, revisions) = (emission.effects.len(), emission.revisions.len());
        let is_added = catch_panic(|| add(emission)).is_ok();
        if !is_added {
            emission.effects.truncate(effects);
            emission.revisions.truncate(revisions);
            emission.revisions.push((request.id, request.revision));
            self.report_set_aside(request.id, "outputs");
        }
        is_added
    }

    /// Adds a request's status.
    pub(in crate::engine) fn emit_status(&self, request: &Request, emission: &mut Effects) {
        emission.revisions.push((request.id, request.revision));
        emission.effects.push(Effect::Status(StatusUpdate {
            id: request.id,
            revision: request.revision,
            message: Box::new(self.status_of(request).into_owned()),
            trace: None,
        }));
    }

    /// Adds those of these tasks of a request that are dispatched.
    pub(in crate::engine) fn emit_tasks(
        &self,
        request: &Request,
        ordinals: &[u16],
        body: &Body,
        identities: &[Identity],
        emission: &mut Effects,
    ) {
        if ordinals.is_empty() {
            return;
        }
        let asked = Arc::new(Asked::new(request, body, identities));
        for ordinal in ordinals {
            let task = request.task(*ordinal);
            let TaskState::Dispatched { at, ack_by } = task.state else {
                continue;
            };
            let respond_by = self.respond_by(task, at, ack_by);
            let id = request.task_id(*ordinal);
            let token = self.vault.token(request.id, id, task.generation, task.attempt);
            let wanted = body.identities_of(request, *ordinal);
            let Some(mut dispatch) = TaskDispatch::new(&asked, (id, task), (wanted, respond_by), token)
            else {
                // It goes unanswered, and what goes unanswered is given up loudly.
                tracing::error!(request = %request.id, processor = %task.processor, "a task that names nobody is not sent");
                continue;
            };
            // A retry, and what waits in a queue for long, goes on from what its command was traced by.
            dispatch.trace.clone_from(&body.trace);
            emission.effects.push(Effect::Task(dispatch));
        }
    }

    /// By when a processor is asked to answer. What a worker sends by a call has to be back in its queue sooner, should the worker
    /// die meanwhile; that is no term for whoever is called. An agent is told when its lease ends: it has to say something by then.
    fn respond_by(&self, task: &Task, at: At, ack_by: At) -> At {
        let active = self.active().ok();
        let registered = active
            .as_ref()
            .and_then(|active| active.registry.get(&task.processor));
        match registered {
            Some(processor) if processor.lane() != Lane::Polled => ack_by.max(at.plus(processor.ack_timeout)),
            _ => ack_by,
        }
    }

    /// Adds the tasks of a stored request.
    ///
    /// A request whose identifiers cannot be opened must not silence its neighbours, and the transaction has committed:
    /// its tasks go unanswered, and what goes unanswered is given up loudly.
    pub(in crate::engine) fn emit_stored(
        &self,
        request: &Request,
        ordinals: &[u16],
        wrapped_key: Option<&[u8]>,
        secrets: &Secrets,
        emission: &mut Effects,
    ) {
        if ordinals.is_empty() {
            return;
        }
        match self.open_stored(request, wrapped_key, &secrets.bodies, &secrets.capsules) {
            Ok((body, subject)) => {
                self.emit_tasks(request, ordinals, &body, &subject.identities, emission);
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(request = %request.id, error, tasks = ordinals.len(), "these tasks cannot be sent");
            }
        }
    }

    /// Reads what is needed to name the subjects of these requests, those among them that are forgotten but for a
    /// capsule too.
    pub(in crate::engine) async fn secrets(
        &self,
        ids: &[RequestId],
        forgotten: &[RequestId],
    ) -> Result<Secrets, EngineError> {
        let mut secrets = Secrets::default();
        if !ids.is_empty() {
            secrets.bodies = self.store.bodies(ids).await?;
        }
        if !forgotten.is_empty() {
            secrets.capsules = self.store.capsules(forgotten).await?;
        }
        Ok(secrets)
    }

    /// Opens the body and the subject of a request whose secrets were read.
    pub(in crate::engine) fn open_with(
        &self,
        request: &Request,
        wrapped_key: Option<&[u8]>,
        secrets: &Secrets,
    ) -> Result<(Body, Subject), EngineError> {
        self.open_stored(request, wrapped_key, &secrets.bodies, &secrets.capsules)
    }

    /// Opens the body and the subject of a stored request: its identifiers, or what a capsule has kept of them.
    pub(in crate::engine) fn open_stored(
        &self,
        request: &Request,
        wrapped_key: Option<&[u8]>,
        bodies: &[StoredBody],
        capsules: &[StoredCapsule],
    ) -> Result<(Body, Subject), EngineError> {
        let stored = bodies
            .iter()
            .find(|body| body.id == request.id)
            .ok_or(EngineError::NoBody(request.id))?;
        let body = Body::unpack(&stored.body)?;
        let Some(wrapped_key) = wrapped_key else {
            let capsule = capsules
                .iter()
                .find(|capsule| capsule.request_id == request.id)
                .ok_or(EngineError::Shredded(request.id))?;
            return Ok((body, self.open_capsule(request, capsule)?));
        };
        let plain = self
            .vault
            .open_subject(&request.head.tenant, request.id, wrapped_key, &stored.sealed)?;
        Ok((body, Subject::unpack(&plain)?))
    }

    /// A dead letter with its own id.
    pub(in crate::engine) fn dead_letter(
        &self,
        origin: &Origin,
        rejection: &Rejection,
        raw: &[u8],
        headers: &KeptHeaders,
        at: At,
    ) -> Result<DeadLetter, EngineError> {
        Ok(self.letter(RejectedMessage {
            origin,
            reason: rejection.reason,
            detail: &rejection.detail,
            asks: rejection.asks,
            raw: Some(raw),
            sealed: sealed_within_bounds(&self.vault, raw, headers.are_too_large()),
            headers: self.seal_headers(headers),
            at,
        }))
    }

    /// Seals what is kept of the headers of a message that is refused.
    pub(in crate::engine) fn seal_headers(&self, headers: &KeptHeaders) -> Option<Vec<u8>> {
        headers.bytes().map(|bytes| self.vault.seal_dead_letter(bytes))
    }
}
