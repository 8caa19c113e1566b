//! Lacuna as a controller: sends requests, asks how they stand, believes what is signed.
//!
//! What a processor of OpenDSR answers to a request is a promise and never a proof. A failure has no word there: a request
//! that is not done by the time that was promised needs attention here.

use std::{borrow::Cow, path::Path, time::Duration};

use async_trait::async_trait;
use hyper::{HeaderMap, Method};
use uuid::Uuid;

use super::{
    certificates::{Certificates, NotBelieved, Signed},
    endpoint::Endpoint,
};
use crate::{
    clock::Clock,
    domain::{
        ack::{Ack, Answer, Evidence},
        ids::{ProcessorId, RequestId, TaskId},
        registry::{OpenDsr, Processor, RequestState, Transport},
        words::Action,
    },
    engine::{accepted::AskedAbout, effects::TaskDispatch},
    transport::{
        cached::Cached,
        http_client::{CallError, Guard, HttpAnswer},
        local::Unusable,
        sender::{Failed, Reply, Sender},
    },
    wire::opendsr::{
        Heard, Outgoing, WrongAnswer, read_callback, read_created, read_status, requests_url, says_busy,
        says_known, status_url, subject_request_id, write_request,
    },
};

/// The method that evidence names: the processor says that the request was fulfilled, and not how.
const METHOD: &str = "opendsr";

/// How long is waited where an earlier request for the same person is still open at the processor: those take weeks.
const BUSY: Duration = Duration::from_secs(24 * 3600);

/// Speaks to processors of OpenDSR.
#[derive(Debug)]
pub struct Controller {
    endpoints: Cached<OpenDsr, Endpoint>,
    certificates: Certificates,
    guard: Guard,
    /// Where callbacks come in, without a slash at its end.
    public_url: String,
    clock: Clock,
}

/// Why an answer about a request's state is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotHeard {
    /// There was no answer.
    #[error("{0}")]
    Call(String),
    /// It says that something is wrong.
    #[error("answered {0}")]
    Status(u16),
    /// Nobody has signed it.
    #[error(transparent)]
    NotBelieved(#[from] NotBelieved),
    /// It does not say what it should.
    #[error(transparent)]
    Wrong(#[from] WrongAnswer),
}

impl Controller {
    /// `folder` is that of the registry's file, against which its relative paths are resolved; `public_url` is where
    /// processors reach this worker's listener.
    pub fn new(folder: &Path, guard: Guard, public_url: String, clock: Clock) -> Self {
        Self {
            endpoints: Cached::new(folder),
            certificates: Certificates::default(),
            guard,
            public_url,
            clock,
        }
    }

    fn endpoint(&self, id: &ProcessorId, opendsr: &OpenDsr) -> Result<std::sync::Arc<Endpoint>, Unusable> {
        self.endpoints.get(id, opendsr, |opendsr, reader| {
            Endpoint::open(opendsr, self.guard, reader)
        })
    }

    /// Where a processor is asked to tell how a generation of a task stands: the same for each of its tries, because a
    /// request that is sent once more has to be the same.
    pub fn callback_url(
        &self,
        id: &ProcessorId,
        (request, task, generation): (RequestId, TaskId, u32),
    ) -> String {
        format!(
            "{}/v1/callbacks/opendsr/{id}/{request}/{task}/{generation}",
            self.public_url
        )
    }

    async fn request(
        &self,
        processor: &Processor,
        opendsr: &OpenDsr,
        task: &TaskDispatch,
        within: Duration,
    ) -> Reply {
        match task.action() {
            Action::Erase => {}
            Action::Anonymize => return unsupported(task, "OpenDSR has no word for an anonymization"),
            Action::Verify => return unsupported(task, "OpenDSR has no question whether the data is gone"),
        }
        let message = task.message("", None);
        if !message.scope.is_whole(processor) {
            return unsupported(
                task,
                "OpenDSR has no word for a part of the data: all of it would be erased",
            );
        }
        let endpoint = match self.endpoint(&processor.id, opendsr) {
            Ok(endpoint) => endpoint,
            Err(unusable) => return CallError::from(unusable).reply(),
        };
        let id = subject_request_id(task.id, task.generation);
        let callback = opendsr
            .processor_domain
            .is_some()
            .then(|| self.callback_url(&processor.id, (task.request(), task.id, task.generation)));
        let request = Outgoing {
            id,
            regime: task.regime(),
            submitted_time: message.data_before,
            identities: &message.identities,
            callback: callback.as_deref(),
        };
        let body = match write_request(opendsr, &request) {
            Ok(body) => body,
            Err(error) => return unsupported(task, &error.to_string()),
        };
        let url = requests_url(opendsr);
        let trace = task.trace.as_deref();
        match endpoint.call(Method::POST, &url, &body, trace, within).await {
            Ok(answer) => {
                self.reply_of(&processor.id, (opendsr, &endpoint), task, &answer, within)
                    .await
            }
            Err(error) => error.reply(),
        }
    }

    /// What an answer to a request means. Whatever does not clearly say that it was taken, was not.
    async fn reply_of(
        &self,
        id: &ProcessorId,
        (opendsr, endpoint): (&OpenDsr, &Endpoint),
        task: &TaskDispatch,
        answer: &HttpAnswer,
        within: Duration,
    ) -> Reply {
        let dialect = opendsr.dialect.data();
        let status = answer.status.as_u16();
        let wait = answer.retry_after(self.clock.now());
        let named = subject_request_id(task.id, task.generation);
        if matches!(status, 401 | 403) {
            return Reply::Unauthorised(
                format!("answered {status}: the processor does not let us in").into(),
            );
        }
        if status == 429 {
            return failed("answered 429: it asks for patience", wait, false);
        }
        if dialect.taken.contains(&status) {
            let heard = self.believe(id, (opendsr, endpoint), answer).await;
            let heard = heard.map_err(|error| error.to_string()).and_then(|()| {
                read_created(dialect, &answer.body, named, self.clock.now())
                    .map_err(|error| error.to_string())
            });
            return match heard {
                Ok(heard) => accepted(task, named, heard),
                Err(why) => failed(
                    format!("answered {status}, and that is not believed: {why}"),
                    wait,
                    true,
                ),
            };
        }
        if says_busy(dialect, &answer.body) || (status == 409 && dialect.busy_on_conflict) {
            let why =
                format!("answered {status}: an earlier request for the same person is still open there");
            return failed(why, wait.or(Some(BUSY)), false);
        }
        if status == 409 || says_known(dialect, &answer.body) {
            // A try before this one has arrived, and its answer was lost.
            return match self
                .ask_status(id, (opendsr, endpoint), (named, task.trace.as_deref()), within)
                .await
            {
                Ok(heard) => accepted(task, named, heard),
                Err(why) => failed(
                    format!("answered {status}, and does not say how the request stands: {why}"),
                    wait,
                    true,
                ),
            };
        }
        failed(
            format!(
                "answered {status}, where {} has {}",
                dialect.name, dialect.taken[0]
            ),
            wait,
            true,
        )
    }

    /// Verifies an answer, where the processor is registered with a domain that signs.
    async fn believe(
        &self,
        id: &ProcessorId,
        of: (&OpenDsr, &Endpoint),
        answer: &HttpAnswer,
    ) -> Result<(), NotBelieved> {
        if of.0.processor_domain.is_none() {
            return Ok(());
        }
        let signed = Signed::of(&answer.headers, &answer.body)?;
        self.certificates.verify(id, of, signed, self.clock.now()).await
    }

    async fn ask_status(
        &self,
        id: &ProcessorId,
        (opendsr, endpoint): (&OpenDsr, &Endpoint),
        (named, trace): (Uuid, Option<&str>),
        within: Duration,
    ) -> Result<Heard, NotHeard> {
        let url = status_url(opendsr, named);
        let answer = endpoint
            .call(Method::GET, &url, &[], trace, within)
            .await
            .map_err(|error| NotHeard::Call(error.to_string()))?;
        if answer.status.as_u16() != 200 {
            return Err(NotHeard::Status(answer.status.as_u16()));
        }
        self.believe(id, (opendsr, endpoint), &answer).await?;
        Ok(read_status(
            opendsr.dialect.data(),
            &answer.body,
            named,
            self.clock.now(),
        )?)
    }

    /// Asks how what a processor has accepted stands. `None`: it says nothing new.
    pub async fn ask(&self, opendsr: &OpenDsr, about: &AskedAbout) -> Result<Option<Ack>, NotHeard> {
        let endpoint = self
            .endpoint(&about.processor, opendsr)
            .map_err(|unusable| NotHeard::Call(unusable.to_string()))?;
        let named = subject_request_id(about.task, about.generation);
        let heard = self
            .ask_status(
                &about.processor,
                (opendsr, &endpoint),
                (named, about.trace.as_deref()),
                opendsr.timeout,
            )
            .await?;
        Ok(news(about, named, heard))
    }

    /// Whether a callback is to be believed: to be asked before anybody looks at what it says.
    pub async fn believe_callback(
        &self,
        id: &ProcessorId,
        opendsr: &OpenDsr,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<(), NotBelieved> {
        if opendsr.processor_domain.is_none() {
            return Err(NotBelieved::NoDomain);
        }
        let signed = Signed::of(headers, body)?;
        let endpoint = self
            .endpoint(id, opendsr)
            .map_err(|unusable| NotBelieved::NoCertificate(unusable.to_string()))?;
        self.certificates
            .verify(id, (opendsr, &endpoint), signed, self.clock.now())
            .await
    }

    /// What a callback says that is believed. `None`: nothing new.
    pub fn hear_callback(
        &self,
        opendsr: &OpenDsr,
        about: &AskedAbout,
        body: &[u8],
    ) -> Result<Option<Ack>, WrongAnswer> {
        let named = subject_request_id(about.task, about.generation);
        let url = self.callback_url(&about.processor, (about.request, about.task, about.generation));
        let heard = read_callback(opendsr.dialect.data(), body, (named, &url), self.clock.now())?;
        Ok(news(about, named, heard))
    }
}

#[async_trait]
impl Sender for Controller {
    async fn send(&self, processor: &Processor, task: &TaskDispatch, within: Duration) -> Reply {
        match &processor.transport {
            Transport::OpenDsr(opendsr) => self.request(processor, opendsr, task, within).await,
            _ => Reply::Unauthorised("it does not speak OpenDSR any more".into()),
        }
    }
}

fn failed(why: impl Into<Cow<'static, str>>, after: Option<Duration>, counts: bool) -> Reply {
    Reply::Failed(Failed {
        counts,
        ..Failed::new(why).after(after)
    })
}

fn evidence(named: Uuid) -> Evidence {
    Evidence {
        method: Some(METHOD.to_owned()),
        reference: Some(named.to_string()),
        ..Evidence::default()
    }
}

/// What a state means, beyond a promise.
fn answered(heard: Heard) -> Answer {
    match heard.state {
        RequestState::Pending | RequestState::InProgress => Answer::Accepted {
            expected_by: heard.expected_by,
        },
        RequestState::Completed => Answer::Erased,
        // Somebody has cancelled it there: it has not happened, and will not.
        RequestState::Cancelled => Answer::Rejected,
    }
}

fn news(about: &AskedAbout, named: Uuid, heard: Heard) -> Option<Ack> {
    match answered(heard) {
        Answer::Accepted { .. } => None,
        answer => Some(about.ack(answer, Some(evidence(named)))),
    }
}

fn accepted(task: &TaskDispatch, named: Uuid, heard: Heard) -> Reply {
    reply(task, answered(heard), Some(evidence(named)), None)
}

fn unsupported(task: &TaskDispatch, why: &str) -> Reply {
    reply(task, Answer::Unsupported, None, Some(why.to_owned()))
}

fn reply(task: &TaskDispatch, answer: Answer, evidence: Option<Evidence>, message: Option<String>) -> Reply {
    Reply::Ack(Box::new(Ack {
        request_id: task.request(),
        task_id: task.id,
        generation: task.generation,
        attempt: task.attempt,
        processor: task.processor.clone(),
        token: task.token().to_owned(),
        answer,
        evidence,
        identities: Vec::new(),
        at: None,
        message,
    }))
}
