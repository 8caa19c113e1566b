//! Webhooks: a task is a signed call (Standard Webhooks), and its answer may settle it.
//!
//! The body is the task's message, as it is on Kafka. A call that was answered with no more than "taken" leaves the task
//! open until its ack comes over HTTP or Kafka with the task's token.

mod answers;
mod signing;

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use hyper::{
    Request, Uri,
    header::{CONTENT_TYPE, HeaderValue},
};
use standardwebhooks::{HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP};

use self::signing::Signer;
use super::{
    cached::Cached,
    http_client::{CallError, Guard, HttpAnswer, HttpClient, Reached, parsed},
    local::{Reader, Unusable},
    sender::{Reply, Sender},
};
use crate::{
    clock::Clock,
    domain::{
        registry::{Processor, Transport, Webhook},
        time::At,
    },
    engine::effects::TaskDispatch,
};

/// Sends tasks as webhooks.
#[derive(Debug)]
pub struct WebhookSender {
    endpoints: Cached<Webhook, Endpoint>,
    guard: Guard,
    answer_to: AnswerTo,
    clock: Clock,
}

/// Where processors are told to send an ack that is no answer to the call.
#[derive(Debug, Clone)]
pub struct AnswerTo {
    /// The topic.
    pub topic: Arc<str>,
    /// The URL.
    pub url: Option<String>,
}

impl WebhookSender {
    /// `folder` is that of the registry's file, against which its relative paths are resolved.
    pub fn new(folder: &Path, guard: Guard, answer_to: AnswerTo, clock: Clock) -> Self {
        Self {
            endpoints: Cached::new(folder),
            guard,
            answer_to,
            clock,
        }
    }
}

#[async_trait]
impl Sender for WebhookSender {
    async fn send(&self, processor: &Processor, task: &TaskDispatch, within: Duration) -> Reply {
        let Transport::Webhook(webhook) = &processor.transport else {
            return Reply::Unauthorised("it is no webhook any more".into());
        };
        let now = self.clock.now();
        let open = |webhook: &Webhook, reader: &mut Reader| Endpoint::open(webhook, self.guard, reader);
        let endpoint = match self.endpoints.get(&processor.id, webhook, open) {
            Ok(endpoint) => endpoint,
            Err(unusable) => return CallError::from(unusable).reply(),
        };
        match endpoint.request(task, &self.answer_to, now) {
            Ok(request) => match endpoint.call(request, within).await {
                Ok(answer) => answers::reply_of(&answer, task, now),
                Err(error) => error.reply(),
            },
            Err(unusable) => CallError::from(unusable).reply(),
        }
    }
}

/// An endpoint that takes webhooks, ready to be called.
#[derive(Debug)]
pub struct Endpoint {
    uri: Uri,
    client: HttpClient,
    signers: Vec<Signer>,
}

impl Endpoint {
    /// Reads what its registration names from this machine.
    pub fn open(webhook: &Webhook, guard: Guard, reader: &mut Reader) -> Result<Self, Unusable> {
        let signer = |secret| Signer::new(&reader.secret("secret", secret)?);
        let signers = webhook
            .secrets
            .iter()
            .map(signer)
            .collect::<Result<Vec<_>, _>>()?;
        if signers.is_empty() {
            return Err(Unusable::new(
                "secret",
                "missing: an unsigned task is believed by nobody",
            ));
        }
        Ok(Self {
            uri: parsed("url", &webhook.url)?,
            client: HttpClient::new(&webhook.http, guard, reader)?,
            signers,
        })
    }

    /// How it signs, a word for each of its secrets.
    pub fn signature_kinds(&self) -> Vec<&'static str> {
        self.signers.iter().map(Signer::kind).collect()
    }

    /// The call that sends a task, without the headers that its client adds.
    pub fn request(
        &self,
        task: &TaskDispatch,
        answer_to: &AnswerTo,
        now: At,
    ) -> Result<Request<Bytes>, Unusable> {
        let message = task.message(&answer_to.topic, answer_to.url.as_deref());
        let unusable = |_| Unusable::new("url", "the task cannot be written as a call");
        let body = serde_json::to_string(&message)
            .map_err(|_| Unusable::new("url", "the task cannot be written as JSON"))?;
        let id = signing::message_id(task.id, task.generation);
        let timestamp = now.millis().div_euclid(1000);
        let signatures = signing::signatures(&self.signers, &id, timestamp, &body)?;
        Request::post(self.uri.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(HEADER_WEBHOOK_ID, id)
            .header(HEADER_WEBHOOK_TIMESTAMP, timestamp)
            .header(HEADER_WEBHOOK_SIGNATURE, signatures)
            .body(Bytes::from(body))
            .map_err(unusable)
    }

    /// Makes the call.
    pub async fn call(&self, request: Request<Bytes>, within: Duration) -> Result<HttpAnswer, CallError> {
        self.client.call(request, within).await
    }

    /// Connects as a call would, and makes none.
    pub async fn connect(&self) -> Result<Reached, CallError> {
        self.client.connect(&self.uri).await
    }

    /// Its client.
    pub const fn client(&self) -> &HttpClient {
        &self.client
    }

    /// What an answer to a task would lead to.
    pub fn reply_of(answer: &HttpAnswer, task: &TaskDispatch, now: At) -> Reply {
        answers::reply_of(answer, task, now)
    }
}
