//! What has to be produced after a commit: tasks to processors, statuses to upstream, dead letters to operators.

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;

use super::{
    Engine, EngineError,
    contained::contained,
    letters::{Refused, sealed_within_bounds},
    pages::Pages,
    status::status_message,
    words::Words,
};
use crate::{
    domain::{
        body::{Body, Subject},
        identity::{Identity, SuppressionDigest},
        ids::{IdentityType, RequestId, TaskId},
        request::{Request, answer::CRYPTO_ERASE},
        task::{Purpose, Share, Task, TaskState},
        time::At,
    },
    store::{DeadLetter, Origin, StoredBody, StoredCapsule},
    wire::{
        KeptHeaders, Refusal,
        dead_letter::DeadLetterHeaders,
        status::StatusMessage,
        task::{AckAddress, TaskMessage, TaskScope},
    },
};

/// One message to be produced.
#[derive(Debug, Clone)]
pub struct Record {
    /// The topic.
    pub topic: Arc<str>,
    /// The key, where it has one.
    pub key: Option<RecordKey>,
    /// What it is.
    pub kind: RecordKind,
    /// The value.
    pub payload: Bytes,
}

/// What a message is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordKey {
    /// A request.
    Request(RequestId),
    /// An identity that is suppressed, or is so no more.
    Suppression(SuppressionDigest),
}

/// What a message is, with what its headers need.
#[derive(Debug, Clone)]
pub enum RecordKind {
    /// A task: the CloudEvents id is the task's, with generation and attempt.
    Task {
        /// The task.
        id: TaskId,
        /// Its generation.
        generation: u32,
        /// The attempt.
        attempt: u32,
    },
    /// A status: the CloudEvents id is the request's, with the revision.
    Status {
        /// The request.
        id: RequestId,
        /// Its revision.
        revision: u32,
    },
    /// A suppressed identity: the CloudEvents id is its key, with the time since when it is suppressed.
    Suppression {
        /// Its key.
        key: SuppressionDigest,
        /// Since when.
        since: At,
    },
    /// No value: there is nothing of this key any more.
    Tombstone,
    /// A dead letter.
    DeadLetter {
        /// Where it came from and why.
        headers: DeadLetterHeaders,
    },
}

/// A message that any topic takes.
const ALWAYS_TAKEN: usize = 64 * 1024;

/// Everything that one transaction wants to have produced.
#[derive(Debug, Default)]
pub struct Emission {
    /// The messages. A request's status stands before its tasks.
    pub records: Vec<Record>,
    /// The requests whose status is among them, at which revision.
    pub revisions: Vec<(RequestId, u32)>,
    /// What was said of keys whose last record has to be true.
    pub words: Words,
    /// Whether an outbox row remembers these requests until their messages are delivered.
    pub outboxed: bool,
    /// When it was decided, where an outbox row remembers it: the oldest part counts.
    pub decided_at: Option<At>,
    /// Where the next message is written.
    pub(super) pages: Pages,
}

/// What is needed to name the subjects of requests to processors.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    pub(super) bodies: Vec<StoredBody>,
    pub(super) capsules: Vec<StoredCapsule>,
}

impl Emission {
    /// Whether there is nothing to produce.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.words.is_empty()
    }

    /// Whether a task is sent in it.
    pub fn sends_tasks(&self) -> bool {
        let is_task = |record: &Record| matches!(record.kind, RecordKind::Task { .. });
        self.records.iter().any(is_task)
    }

    /// Adds what another one has.
    pub fn append(&mut self, mut other: Self) {
        self.records.append(&mut other.records);
        self.revisions.append(&mut other.revisions);
        self.words.append(other.words);
        self.outboxed |= other.outboxed;
        self.decided_at = self.decided_at.into_iter().chain(other.decided_at).min();
    }
}

/// Takes the bytes of large dead letters away, for a topic that refuses them.
pub fn shorten_dead_letters(records: &mut [Record]) {
    let is_letter = |record: &&mut Record| matches!(record.kind, RecordKind::DeadLetter { .. });
    for letter in records.iter_mut().filter(is_letter) {
        if letter.payload.len() > ALWAYS_TAKEN {
            letter.payload = Bytes::new();
        }
    }
}

impl Engine {
    /// The state of a request, as outsiders are told.
    pub fn status_of<'a>(&'a self, request: &'a Request) -> StatusMessage<'a> {
        status_message(request, &self.complaint_bodies)
    }

    /// Adds what is to be said of a request. `false`: the program fails at it, so nothing is, and its outbox row goes: it
    /// would only be failed at again.
    pub(super) fn emit_contained(
        &self,
        request: &Request,
        emission: &mut Emission,
        say: impl FnOnce(&mut Emission) -> Result<(), EngineError>,
    ) -> Result<bool, EngineError> {
        let (records, revisions) = (emission.records.len(), emission.revisions.len());
        match contained(|| say(emission)) {
            Ok(said) => said.map(|()| true),
            Err(_) => {
                emission.records.truncate(records);
                emission.revisions.truncate(revisions);
                emission.revisions.push((request.id, request.revision));
                self.say_set_aside(request.id, "outputs");
                Ok(false)
            }
        }
    }

    /// Adds a request's status.
    pub(super) fn emit_status(&self, request: &Request, emission: &mut Emission) -> Result<(), EngineError> {
        emission.revisions.push((request.id, request.revision));
        let payload = emission.pages.write(&self.status_of(request))?;
        emission.records.push(Record {
            topic: Arc::clone(&self.topics.status),
            key: Some(RecordKey::Request(request.id)),
            kind: RecordKind::Status {
                id: request.id,
                revision: request.revision,
            },
            payload,
        });
        Ok(())
    }

    /// Adds the message of a task that is dispatched.
    pub(super) fn emit_task(
        &self,
        request: &Request,
        ordinal: u16,
        body: &Body,
        identities: &[Identity],
        emission: &mut Emission,
    ) -> Result<(), EngineError> {
        let task = request.task(ordinal);
        let TaskState::Dispatched { ack_by, .. } = task.state else {
            return Ok(());
        };
        let task_id = request.task_id(ordinal);
        let token = self
            .vault
            .token(request.id, task_id, task.generation, task.attempt);
        let named = declared(identities, body.identities_of(request, ordinal));
        if named.is_empty() {
            // It goes unanswered, and what goes unanswered is given up loudly.
            tracing::error!(request = %request.id, processor = %task.processor, "a task that names nobody is not sent");
            return Ok(());
        }
        let categories = if task.categories.is_empty() {
            body.scope.categories()
        } else {
            &task.categories
        };
        let message = TaskMessage {
            task_id,
            request_id: request.id,
            processor: Cow::Borrowed(&task.processor),
            generation: task.generation,
            attempt: task.attempt,
            action: task.asks(),
            method: asks_for_key(task).then_some(Cow::Borrowed(CRYPTO_ERASE)),
            tenant: Cow::Borrowed(&request.head.tenant),
            identities: named,
            scope: TaskScope {
                purposes: Cow::Borrowed(body.scope.purposes()),
                categories: Cow::Borrowed(categories),
            },
            reason: request.head.reason,
            data_before: request.head.requested_at,
            respond_by: ack_by,
            deadline: request.life.clock.due,
            ack: AckAddress {
                topic: Cow::Borrowed(&self.topics.acks),
                url: Some(Cow::Borrowed(&self.ack_url)),
                token: Cow::Borrowed(token.as_ref()),
            },
        };
        let payload = emission.pages.write(&message)?;
        emission.records.push(Record {
            topic: self.task_topic(&task.processor),
            key: Some(RecordKey::Request(request.id)),
            kind: RecordKind::Task {
                id: task_id,
                generation: task.generation,
                attempt: task.attempt,
            },
            payload,
        });
        Ok(())
    }

    /// Adds the messages of a stored request's tasks.
    ///
    /// A request whose identifiers cannot be opened must not silence its neighbours, and the transaction has committed:
    /// its tasks go unanswered, and what goes unanswered is given up loudly.
    pub(super) fn emit_stored(
        &self,
        request: &Request,
        ordinals: &[u16],
        wrapped_key: Option<&[u8]>,
        secrets: &Secrets,
        emission: &mut Emission,
    ) -> Result<(), EngineError> {
        if ordinals.is_empty() {
            return Ok(());
        }
        match self.open_stored(request, wrapped_key, &secrets.bodies, &secrets.capsules) {
            Ok((body, subject)) => ordinals.iter().try_for_each(|ordinal| {
                self.emit_task(request, *ordinal, &body, &subject.identities, emission)
            }),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(request = %request.id, error, tasks = ordinals.len(), "these tasks cannot be sent");
                Ok(())
            }
        }
    }

    /// Adds a dead letter.
    pub(super) fn emit_dead_letter(&self, letter: &DeadLetter, emission: &mut Emission) {
        let Origin {
            topic,
            partition,
            offset,
            ..
        } = &letter.origin;
        let headers = DeadLetterHeaders::new(letter.reason, topic, *partition, *offset, letter.at);
        emission.records.push(Record {
            topic: Arc::clone(&self.topics.dead_letters),
            key: None,
            kind: RecordKind::DeadLetter { headers },
            payload: letter.sealed.clone().unwrap_or_default().into(),
        });
    }

    /// Reads what is needed to name the subjects of these requests, those among them that are forgotten but for a
    /// capsule too.
    pub(super) async fn secrets(
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

    /// Opens the body and the subject of a stored request: its identifiers, or what a capsule has kept of them.
    pub(super) fn open_stored(
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
    pub(super) fn dead_letter(
        &self,
        origin: &Origin,
        refusal: &Refusal,
        raw: &[u8],
        headers: &KeptHeaders,
        at: At,
    ) -> Result<DeadLetter, EngineError> {
        Ok(self.letter(Refused {
            origin,
            reason: refusal.reason,
            detail: &refusal.detail,
            raw: Some(raw),
            sealed: sealed_within_bounds(&self.vault, raw, headers.are_too_large()),
            headers: self.seal_headers(headers),
            at,
        }))
    }
}

impl Engine {
    /// Seals what is kept of the headers of a message that is refused.
    pub(super) fn seal_headers(&self, headers: &KeptHeaders) -> Option<Vec<u8>> {
        headers.bytes().map(|bytes| self.vault.seal_dead_letter(bytes))
    }
}

/// Whether a task asks a backup system to destroy the subject's key.
const fn asks_for_key(task: &Task) -> bool {
    matches!(task.share, Share::Wave { key: true, .. }) && matches!(task.purpose, Purpose::Asked)
}

/// The identities that a processor declared, and no others.
fn declared<'a>(identities: &'a [Identity], wanted: &[IdentityType]) -> Cow<'a, [Identity]> {
    let is_wanted = |identity: &&Identity| wanted.contains(&identity.kind);
    if identities.iter().all(|identity| is_wanted(&identity)) {
        return Cow::Borrowed(identities);
    }
    Cow::Owned(identities.iter().filter(is_wanted).cloned().collect())
}
