//! Tasks that are asked for over HTTP: `POST /v1/tasks/claim`, and each answer a `POST /v1/acks`.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use hyper::{
    Request, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    answer::Answer,
    source::{Source, SourceError},
    task::Task,
};
use crate::{
    clock::{Clock, Stopwatch},
    config::HttpSource,
    domain::{ids::ProcessorId, registry::HttpOptions},
    telemetry::agent_metrics::{AgentMetrics, Retried},
    transport::{
        http_client::{CallError, Guard, HttpClient},
        local::Reader,
    },
};

/// For how long a claim waits for tasks at the worker.
const WAIT: Duration = Duration::from_secs(20);
/// For how long a call may take besides.
const CALL: Duration = Duration::from_secs(15);
/// So many answers are under way at a time.
const AT_ONCE: usize = 64;
/// An answer that does not arrive is tried again for so long: its task has long been handed out anew then.
const TRIES_FOR: Duration = Duration::from_secs(300);
/// Five hundred tasks with a hundred identifiers each.
const MOST_BYTES: usize = 256 * 1024 * 1024;

/// Tasks that are asked for over HTTP.
#[derive(Debug)]
pub struct HttpTasks {
    caller: Arc<Caller>,
    processor: ProcessorId,
}

struct Caller {
    client: HttpClient,
    url: String,
    authorization: Option<HeaderValue>,
    clock: Clock,
    metrics: Arc<AgentMetrics>,
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caller")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// What a call came to.
enum Called {
    Answered(StatusCode, Bytes),
    Away(String),
}

impl HttpTasks {
    /// The API of a configuration.
    pub fn open(
        source: &HttpSource,
        processor: &ProcessorId,
        clock: &Clock,
        metrics: &Arc<AgentMetrics>,
    ) -> Result<Self, SourceError> {
        let options = HttpOptions {
            ca: source.ca.as_ref().map(|path| path.display().to_string()),
            ..HttpOptions::default()
        };
        let mut reader = Reader::new(std::path::Path::new(""));
        // Its owners have written the address of their own worker, which is inside as a rule.
        let guard = Guard { allow_private: true };
        let client = HttpClient::new(&options, guard, &mut reader)
            .map_err(|error| SourceError::Refused(format!("source.http: {error}")))?
            .reading(MOST_BYTES);
        let authorization = source.token.as_ref().map(|token| {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose())).map_err(|_| {
                SourceError::Refused("source.http.token: expected a line of ASCII text".into())
            })?;
            value.set_sensitive(true);
            Ok(value)
        });
        Ok(Self {
            caller: Arc::new(Caller {
                client,
                url: source.url.clone(),
                authorization: authorization.transpose()?,
                clock: clock.clone(),
                metrics: Arc::clone(metrics),
            }),
            processor: processor.clone(),
        })
    }
}

#[async_trait]
impl Source for HttpTasks {
    async fn take(&mut self, most: u32, stop: &CancellationToken) -> Result<Vec<Task>, SourceError> {
        #[derive(Deserialize)]
        struct Handed<'a> {
            #[serde(borrow)]
            items: Vec<&'a RawValue>,
        }
        let body = json!({ "processor": self.processor, "limit": most, "wait_seconds": WAIT.as_secs() });
        let asking = self.caller.call("/v1/tasks/claim", body.to_string(), WAIT + CALL);
        let called = tokio::select! {
            called = asking => called,
            // What is handed out at this moment goes back when its lease ends.
            () = stop.cancelled() => return Ok(Vec::new()),
        };
        let bytes = match called {
            Called::Answered(StatusCode::OK, bytes) => bytes,
            Called::Answered(status, bytes) => return Err(refused(status, &bytes)),
            Called::Away(why) => return Err(SourceError::Away(why)),
        };
        let unreadable = |what: &str| SourceError::Away(format!("the worker answered {what}"));
        let handed: Handed<'_> =
            serde_json::from_slice(&bytes).map_err(|_| unreadable("something that is no list of tasks"))?;
        let mut tasks = Vec::with_capacity(handed.items.len());
        for (place, item) in handed.items.iter().enumerate() {
            match Task::parse(item.get().as_bytes()) {
                Ok(task) => tasks.push(task),
                // The others must not wait for their leases to end because of one.
                Err(error) => {
                    tracing::error!(place, %error, "a task that cannot be read is passed over: it is handed out again when its lease ends");
                }
            }
        }
        if tasks.is_empty() && !handed.items.is_empty() {
            return Err(unreadable(
                "with tasks of which none can be read: is the worker newer than the agent?",
            ));
        }
        Ok(tasks)
    }

    async fn answer(
        &mut self,
        answers: &[(&Task, Answer)],
        stop: &CancellationToken,
    ) -> Result<(), SourceError> {
        let mut calls: JoinSet<()> = JoinSet::new();
        for (task, answer) in answers {
            if calls.len() >= AT_ONCE {
                let done = calls.join_next().await;
                done.transpose()
                    .map_err(|error| SourceError::Away(error.to_string()))?;
            }
            let body = answer
                .ack(task)
                .map_err(|error| SourceError::Refused(error.to_string()))?;
            let (caller, stop, id) = (Arc::clone(&self.caller), stop.clone(), task.id);
            calls.spawn(async move { caller.answer(id, body, &stop).await });
        }
        while let Some(done) = calls.join_next().await {
            done.map_err(|error| SourceError::Away(error.to_string()))?;
        }
        Ok(())
    }

    async fn settled(&mut self) -> Result<(), SourceError> {
        Ok(())
    }

    async fn keep(&mut self) {
        // A lease is kept by saying so, not by asking.
        std::future::pending::<()>().await;
    }
}

impl Caller {
    async fn call(&self, path: &str, body: impl Into<Bytes>, within: Duration) -> Called {
        let mut request = Request::post(format!("{}{path}", self.url))
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        let request = match request.body(body.into()) {
            Ok(request) => request,
            Err(error) => return Called::Away(error.to_string()),
        };
        match self.client.call(request, within).await {
            Ok(answer) => Called::Answered(answer.status, answer.body),
            Err(error) => Called::Away(words_of(&error)),
        }
    }

    /// Tries until it has arrived, or is not worth bringing any more.
    async fn answer(&self, task: crate::domain::ids::TaskId, body: Vec<u8>, stop: &CancellationToken) {
        let body = Bytes::from(body);
        let trying = Stopwatch::start();
        let mut pause = Duration::from_millis(200);
        loop {
            let why = match self.call("/v1/acks", body.clone(), CALL).await {
                Called::Answered(StatusCode::OK, _) => return,
                Called::Answered(status, bytes)
                    if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS =>
                {
                    let why = refused(status, &bytes);
                    tracing::warn!(%task, %why, "an answer changes nothing");
                    return;
                }
                Called::Answered(status, _) => format!("the worker answered {status}"),
                Called::Away(why) => why,
            };
            // An agent that stops does not wait for a worker that is away: the task is handed out again.
            let limit = if stop.is_cancelled() { CALL } else { TRIES_FOR };
            if trying.elapsed() >= limit {
                tracing::error!(%task, why, "an answer could not be brought out: the task is carried out again when its lease ends");
                return;
            }
            self.metrics.retried(Retried::Answer);
            tracing::warn!(%task, why, at = %self.clock.now(), "an answer did not arrive and is tried again");
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                // It is tried once more then, at once.
                () = stop.cancelled(), if !stop.is_cancelled() => {}
            }
            pause = (pause * 2).min(Duration::from_secs(5));
        }
    }
}

fn words_of(error: &CallError) -> String {
    format!("the worker cannot be reached: {error}")
}

/// What a worker says that does not take a call. Its problems repeat nothing that was sent.
fn refused(status: StatusCode, bytes: &[u8]) -> SourceError {
    #[derive(Deserialize)]
    struct Said {
        detail: String,
    }
    let detail = serde_json::from_slice::<Said>(bytes).map(|said| said.detail);
    let detail = detail.unwrap_or_else(|_| "without saying why".to_owned());
    let why = format!("the worker answered {status}: {detail}");
    if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS {
        SourceError::Refused(why)
    } else {
        SourceError::Away(why)
    }
}
