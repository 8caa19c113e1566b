//! How the jobs stand that a vendor has taken on.
//!
//! In a round every job is asked about once, whoever shares it, and what came of it holds for all of them, a failure too. So
//! many are asked about at a time; where the vendor asks for patience, does not let us in or is away, the round ends.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{sync::OnceCell, task::JoinSet};

use super::{
    VendorSender, answered,
    endpoint::{Endpoint, Heard},
    judged,
    notes::Writer,
};
use crate::{
    clock::{Clock, Stopwatch},
    connector::{Ask, Call, Kept, Next, Person, Rendered, Run, Settled, request::Filling, rules::Judged},
    domain::{
        ack::{Ack, Answer as Answered},
        registry::{Processor, Transport, Vendor},
    },
    engine::{accepted::AskedAbout, notes::OfTask},
    transport::sender::{Failed, Reply},
};

/// So many jobs are asked about at a time, unless the registry has fewer sends.
const AT_ONCE: usize = 16;
/// After so many calls in a row without an answer the vendor is taken for away.
const AWAY: u32 = 8;

/// What a vendor was asked, and what came of it, for everybody who shares it.
type Asked = Mutex<HashMap<Rendered, Arc<OnceCell<Result<Heard, Reply>>>>>;

/// What is known of a task's job; `None`: nothing new.
type Known = Result<Option<Ack>, String>;

impl VendorSender {
    /// Asks how the jobs of tasks stand that a vendor has accepted. `None` beside one: nothing new; `Err`: it is not known.
    pub async fn ask(&self, processor: &Processor, due: Vec<AskedAbout>) -> Vec<(AskedAbout, Known)> {
        let Transport::Vendor(vendor) = &processor.transport else {
            return Vec::new();
        };
        let tasks: Vec<_> = due.iter().map(|about| (about.request, about.task)).collect();
        let (round, mut notes) = match self.round(processor, vendor, &tasks).await {
            Ok(found) => found,
            Err(why) => return due.into_iter().map(|about| (about, Err(why.clone()))).collect(),
        };
        let at_once = usize::try_from(processor.concurrency)
            .unwrap_or(1)
            .clamp(1, AT_ONCE);
        let mut due = due;
        // A round may end early. Another one begins with others, so that nobody stands behind the same ones for ever.
        if !due.is_empty() {
            let by = usize::try_from(self.clock.now().millis() / 1000).unwrap_or(0) % due.len();
            due.rotate_left(by);
        }
        let mut due = due.into_iter();
        let mut running = JoinSet::new();
        let mut heard = Vec::with_capacity(tasks.len());
        loop {
            while running.len() < at_once
                && let Some(about) = due.next()
            {
                let kept = notes.remove(&(about.request, about.task));
                let round = Arc::clone(&round);
                running.spawn(async move {
                    let known = round.ask_about(&about, kept).await;
                    (about, known)
                });
            }
            match running.join_next().await {
                None => return heard,
                Some(Ok(one)) => heard.push(one),
                // It is asked about again, the next time that it is due.
                Some(Err(error)) => {
                    tracing::error!(%error, connector = vendor.connector, "asking about a job panicked")
                }
            }
        }
    }

    async fn round(
        &self,
        processor: &Processor,
        vendor: &Vendor,
        tasks: &[OfTask],
    ) -> Result<(Arc<Round>, HashMap<OfTask, Kept>), String> {
        let endpoint = self.endpoint(processor, vendor).map_err(why_of)?;
        let notes = self.notes.read(tasks).await.map_err(|error| error.to_string())?;
        let round = Round {
            endpoint,
            writer: Arc::clone(&self.writer),
            clock: self.clock.clone(),
            within: vendor.timeout,
            asked: Asked::default(),
            unanswered: AtomicU32::new(0),
            over: Mutex::default(),
        };
        Ok((Arc::new(round), notes))
    }
}

/// A round of questions.
struct Round {
    endpoint: Arc<Endpoint>,
    writer: Arc<Writer>,
    clock: Clock,
    within: Duration,
    asked: Asked,
    /// Calls in a row that got no answer.
    unanswered: AtomicU32,
    /// Why nobody is asked any more in this round.
    over: Mutex<Option<String>>,
}

impl Round {
    async fn ask_about(&self, about: &AskedAbout, kept: Option<Kept>) -> Known {
        let Some(kept) = kept.filter(|kept| kept.generation == about.generation && kept.sent.is_some())
        else {
            // Without it nobody can be asked: it is submitted once more.
            let lost = Answered::Failed {
                retry_after_seconds: None,
            };
            return Ok(Some(about.ack(lost, None)));
        };
        let started = Stopwatch::start();
        let mut run = Run::new(Ask::Poll, Person::default(), kept);
        let settled = loop {
            match run.next(&self.endpoint.connector) {
                Next::Keep => self.remember(about, run.kept()).await?,
                Next::Call(call) => {
                    let left = self.within.saturating_sub(started.elapsed());
                    let judged = self.told_of_job(&call, &run, left).await.map_err(why_of)?;
                    run.heard(&self.endpoint.connector, &call, judged, self.clock.now());
                }
                Next::Done(settled) => break settled,
            }
        };
        match settled {
            Settled::Pending | Settled::Accepted => Ok(None),
            Settled::Retry(why) => Err(why),
            Settled::RateLimited(why) | Settled::Unauthorised(why) => {
                self.end(&why);
                Err(why)
            }
            settled => {
                if matches!(settled, Settled::Failed(_) | Settled::Rejected(_)) {
                    // The next attempt submits another one.
                    self.remember(about, &run.kept().clone().without_job()).await?;
                }
                let (answer, evidence, message) = answered(&self.endpoint, &run, settled);
                let ack = about.ack(answer, evidence);
                Ok(Some(Ack { message, ..ack }))
            }
        }
    }

    async fn remember(&self, about: &AskedAbout, kept: &Kept) -> Result<(), String> {
        let written = self.writer.write((about.request, about.task), kept).await;
        written.map_err(|error| error.to_string())
    }

    /// What a call about a job means for one of those who share it.
    async fn told_of_job(&self, call: &Call, run: &Run, within: Duration) -> Result<Judged, Reply> {
        let endpoint = &self.endpoint;
        let step = &endpoint.connector.steps[call.step];
        let (id, today, kept) = (call.target.value.expose(), endpoint.today(), run.kept_for(call));
        let filling = Filling {
            values: &endpoint.values,
            kind: &call.target.kind,
            ids: &[id],
            kept: &kept,
            today: &today,
            key: "",
        };
        let rendered = step.render(&endpoint.connector, filling).map_err(|error| {
            let why = format!("{}: {error}", step.id);
            Reply::Failed(Failed::new(why).not_sent())
        })?;
        let cell = {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(asked.entry(rendered.clone()).or_default())
        };
        let heard = cell.get_or_init(|| self.send(&rendered, within)).await;
        Ok(judged(heard.as_ref().map_err(Clone::clone)?, endpoint, call))
    }

    async fn send(&self, rendered: &Rendered, within: Duration) -> Result<Heard, Reply> {
        let over = self.over.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(why) = over {
            return Err(Reply::Failed(Failed::new(why).not_sent()));
        }
        let heard = self.endpoint.send(rendered, within).await;
        match &heard {
            Ok(_) => self.unanswered.store(0, Ordering::Relaxed),
            Err(Reply::Unauthorised(why)) => self.end(why),
            Err(_) => {
                let before = self.unanswered.fetch_add(1, Ordering::Relaxed);
                if before + 1 >= AWAY {
                    self.end(&format!("not asked: the {AWAY} calls before got no answer"));
                }
            }
        }
        heard
    }

    /// Nobody is asked any more in this round.
    fn end(&self, why: &str) {
        let mut over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        over.get_or_insert_with(|| why.to_owned());
    }
}

fn why_of(reply: Reply) -> String {
    match reply {
        Reply::Failed(failed) => failed.why.into_owned(),
        Reply::Unauthorised(why) => why.into_owned(),
        Reply::Ack(_) => "an answer that does not settle it".to_owned(),
    }
}
