//! Vendors: the calls that a connector describes, and what came of them. What they mean is decided in [`crate::connector`].
//!
//! A vendor's ids and jobs are remembered before anything is deleted by them, so that a crash in between loses nobody. Nothing
//! of an answer is repeated in a sentence: it may hold personal data.

mod batches;
mod endpoint;
pub mod notes;
mod pace;
mod polls;
pub mod rehearsal;
#[cfg(test)]
mod tests;
mod together;
mod token;

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;

pub use self::endpoint::Endpoint;
use self::{
    endpoint::Heard,
    notes::{Notes, Writer},
};
use super::{
    cached::Cached,
    http_client::{CallError, Guard},
    local::{Reader, Unusable},
    sender::{Failed, Reply, Sender},
};
use crate::{
    clock::{Clock, Stopwatch},
    connector::{
        Ask, Call, Kept, Next, Person, Run, Settled,
        request::Filling,
        rules::{Answer as Said, Judged},
    },
    domain::{
        ack::{Ack, Answer as Answered, Evidence, Retained},
        ids::Label,
        registry::{Processor, Transport, Vendor},
        words::Action,
    },
    engine::effects::TaskDispatch,
    wire::opendsr::subject_request_id,
};

/// The method that evidence names.
const METHOD: &str = "delete";
/// What could not be remembered is tried again after this.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Calls vendors.
#[derive(Debug)]
pub struct VendorSender {
    endpoints: Cached<Vendor, Endpoint>,
    /// The folder of connectors of one's own.
    connectors: Option<PathBuf>,
    guard: Guard,
    notes: Arc<dyn Notes>,
    writer: Arc<Writer>,
    clock: Clock,
}

impl VendorSender {
    /// `folder` is that of the registry's file, against which its relative paths are resolved.
    pub fn new(
        folder: &Path,
        connectors: Option<PathBuf>,
        guard: Guard,
        notes: Arc<dyn Notes>,
        clock: Clock,
    ) -> Self {
        Self {
            endpoints: Cached::new(folder),
            connectors,
            guard,
            writer: Arc::new(Writer::new(Arc::clone(&notes))),
            notes,
            clock,
        }
    }

    fn endpoint(&self, processor: &Processor, vendor: &Vendor) -> Result<Arc<Endpoint>, Reply> {
        let folder = self.connectors.as_deref();
        let open = |vendor: &Vendor, reader: &mut Reader| {
            Endpoint::open(vendor, folder, self.guard, self.clock.clone(), reader)
        };
        let found = self.endpoints.get(&processor.id, vendor, open);
        found.map_err(|unusable| CallError::from(unusable).reply())
    }

    async fn kept(&self, task: &TaskDispatch) -> Result<Kept, Reply> {
        let of = (task.request(), task.id);
        if task.generation == 1 && task.attempt <= 1 {
            // Nothing was done before it.
            return Ok(Kept::default());
        }
        let mut notes = self
            .notes
            .read(&[of])
            .await
            .map_err(|error| not_now(error.to_string()))?;
        Ok(notes.remove(&of).unwrap_or_default())
    }

    /// Makes the calls of a task, and says what they come to.
    async fn carry_out(
        &self,
        (processor, vendor): (&Processor, &Vendor),
        (task, ask): (&TaskDispatch, Ask),
        within: Duration,
    ) -> Result<Reply, Reply> {
        let started = Stopwatch::start();
        let endpoint = self.endpoint(processor, vendor)?;
        let connector = &endpoint.connector;
        let message = task.message("", None);
        let person = match Person::of(connector, &message.identities, &endpoint.values) {
            Ok(person) => person,
            Err(error) => return Ok(reply(task, Answered::Rejected, None, Some(error.to_string()))),
        };
        let kept = self.kept(task).await?.of_generation(task.generation);
        let key = subject_request_id(task.id, task.generation).to_string();
        let mut run = Run::new(ask, person, kept);
        let (mut wait, mut broken) = (None, None);
        loop {
            match run.next(connector) {
                Next::Keep => {
                    let written = self.writer.write((task.request(), task.id), run.kept()).await;
                    written.map_err(|error| not_now(error.to_string()))?;
                }
                Next::Call(call) => {
                    let left = within.saturating_sub(started.elapsed());
                    match told(&endpoint, &call, &run, &key, left).await {
                        Ok((judged, after)) => {
                            wait = after;
                            run.heard(connector, &call, judged, self.clock.now());
                        }
                        Err(reply) => {
                            broken = Some(reply);
                            run.stop(Settled::Retry(String::new()));
                        }
                    }
                }
                Next::Done(settled) => {
                    return Ok(broken.unwrap_or_else(|| reply_of(task, &endpoint, &run, settled, wait)));
                }
            }
        }
    }
}

#[async_trait]
impl Sender for VendorSender {
    async fn send(&self, processor: &Processor, task: &TaskDispatch, within: Duration) -> Reply {
        let Transport::Vendor(vendor) = &processor.transport else {
            return Reply::Unauthorised("it is no vendor any more".into());
        };
        let ask = match task.action() {
            Action::Erase => Ask::Erase,
            Action::Verify => Ask::Probe,
            Action::Anonymize => return unsupported(task, "a connector has no call that anonymizes"),
        };
        if ask == Ask::Erase && !task.message("", None).scope.is_whole(processor) {
            return unsupported(
                task,
                "a connector erases all of a person, and this task is about a part",
            );
        }
        match self.carry_out((processor, vendor), (task, ask), within).await {
            Ok(reply) | Err(reply) => reply,
        }
    }
}

/// Finds what a registration names and this machine does not have.
pub fn check(
    vendor: &Vendor,
    connectors: Option<&Path>,
    guard: Guard,
    reader: &mut Reader,
) -> Result<(), Unusable> {
    Endpoint::open(vendor, connectors, guard, Clock::System, reader).map(drop)
}

/// Makes a call, and says what its answer means.
async fn told(
    endpoint: &Arc<Endpoint>,
    call: &Call,
    run: &Run,
    key: &str,
    within: Duration,
) -> batches::Told {
    let step = &endpoint.connector.steps[call.step];
    if let Some(limits) = step.batch {
        return endpoint
            .call_together(call.step, &call.target, limits, within)
            .await;
    }
    let (id, today) = (call.target.value.expose(), endpoint.today());
    let (kept, key) = (run.kept_for(call), run.key(key));
    let filling = Filling {
        values: &endpoint.values,
        kind: &call.target.kind,
        ids: &[id],
        kept: &kept,
        today: &today,
        key: &key,
    };
    let heard = endpoint.call(step, filling, within).await?;
    Ok((judged(&heard, endpoint, call), heard.retry_after))
}

fn judged(heard: &Heard, endpoint: &Endpoint, call: &Call) -> Judged {
    let said = Said {
        status: heard.status,
        body: &heard.body,
        text: heard.text.as_deref(),
        canonical: heard.canonical.as_deref(),
    };
    endpoint.connector.steps[call.step].judge(said, call.target.value.expose())
}

fn reply_of(
    task: &TaskDispatch,
    endpoint: &Endpoint,
    run: &Run,
    settled: Settled,
    wait: Option<Duration>,
) -> Reply {
    let failed = |why: String, counts| {
        Reply::Failed(Failed {
            counts,
            ..Failed::new(why).after(wait)
        })
    };
    match settled {
        Settled::Retry(why) | Settled::Failed(why) => failed(why, true),
        Settled::RateLimited(why) => failed(why, false),
        Settled::Unauthorised(why) => Reply::Unauthorised(why.into()),
        settled => {
            let (answer, evidence, message) = answered(endpoint, run, settled);
            reply(task, answer, evidence, message)
        }
    }
}

/// What it came to, as an ack says it.
fn answered(
    endpoint: &Endpoint,
    run: &Run,
    settled: Settled,
) -> (Answered, Option<Evidence>, Option<String>) {
    let evidence = |records| Evidence {
        method: Some(METHOD.to_owned()),
        records,
        reference: run.reference().map(str::to_owned),
        ..Evidence::default()
    };
    match settled {
        Settled::Erased { records } => (Answered::Erased, Some(evidence(Some(records))), None),
        Settled::NotFound => (Answered::NotFound, None, None),
        Settled::Accepted | Settled::Pending => {
            let horizon = endpoint.connector.accepted_for;
            let expected_by = horizon.map(|horizon| endpoint.clock.now().plus(horizon.0));
            let reference = run.reference().map(|_| evidence(None));
            (Answered::Accepted { expected_by }, reference, None)
        }
        Settled::Retained { basis } => {
            let basis = Label::new(&basis).unwrap_or_else(|_| Label::new("unspecified").expect("a label"));
            let retained = Retained {
                basis,
                until: None,
                categories: Vec::new(),
            };
            (Answered::Retained(retained), None, None)
        }
        Settled::Present => (Answered::Present, None, None),
        Settled::Absent => (Answered::Absent, None, None),
        Settled::Rejected(why) => (Answered::Rejected, None, Some(why)),
        Settled::Retry(why)
        | Settled::Failed(why)
        | Settled::RateLimited(why)
        | Settled::Unauthorised(why) => {
            let retry_after_seconds = None;
            (Answered::Failed { retry_after_seconds }, None, Some(why))
        }
    }
}

/// Nothing was sent, and it is nobody's fault.
fn not_now(why: impl Into<Cow<'static, str>>) -> Reply {
    Reply::Failed(Failed {
        counts: false,
        ..Failed::new(why).not_sent().after(Some(AFTER_FAILURE))
    })
}

fn unsupported(task: &TaskDispatch, why: &str) -> Reply {
    reply(task, Answered::Unsupported, None, Some(why.to_owned()))
}

fn reply(
    task: &TaskDispatch,
    answer: Answered,
    evidence: Option<Evidence>,
    message: Option<String>,
) -> Reply {
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
