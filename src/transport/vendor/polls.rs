//! How the jobs stand that a vendor has taken on.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{
    VendorSender,
    endpoint::{Endpoint, Heard},
    judged,
};
use crate::{
    clock::Stopwatch,
    connector::{Ask, Call, Kept, Next, Person, Rendered, Run, Settled, request::Filling, rules::Judged},
    domain::{
        ack::{Ack, Answer as Answered},
        registry::{Processor, Transport},
    },
    engine::accepted::AskedAbout,
    transport::sender::{Failed, Reply},
};

/// Answers to what was asked already, so that a job of many people is asked about once.
type Asked = HashMap<Rendered, Heard>;

impl VendorSender {
    /// Asks how the jobs of tasks stand that a vendor has accepted. `None` beside one: nothing new; `Err`: it is not known.
    pub async fn ask(
        &self,
        processor: &Processor,
        due: Vec<AskedAbout>,
    ) -> Vec<(AskedAbout, Result<Option<Ack>, String>)> {
        let Transport::Vendor(vendor) = &processor.transport else {
            return Vec::new();
        };
        let endpoint = match self.endpoint(processor, vendor) {
            Ok(endpoint) => endpoint,
            Err(reply) => return all_failed(due, &why_of(reply)),
        };
        let tasks: Vec<_> = due.iter().map(|about| (about.request, about.task)).collect();
        let notes = match self.notes.read(&tasks).await {
            Ok(notes) => notes,
            Err(error) => return all_failed(due, &error.to_string()),
        };
        let mut asked = Asked::new();
        let mut heard = Vec::with_capacity(due.len());
        for about in due {
            let kept = notes.get(&(about.request, about.task)).cloned();
            let answer = self
                .ask_about(&endpoint, &about, kept, &mut asked, vendor.timeout)
                .await;
            heard.push((about, answer));
        }
        heard
    }

    async fn ask_about(
        &self,
        endpoint: &Arc<Endpoint>,
        about: &AskedAbout,
        kept: Option<Kept>,
        asked: &mut Asked,
        within: Duration,
    ) -> Result<Option<Ack>, String> {
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
            match run.next(&endpoint.connector) {
                Next::Keep => self.remember(about, run.kept()).await?,
                Next::Call(call) => {
                    let left = within.saturating_sub(started.elapsed());
                    let judged = told_of_job(endpoint, &call, &run, asked, left).await;
                    let judged = judged.map_err(why_of)?;
                    run.heard(&endpoint.connector, &call, judged, self.clock.now());
                }
                Next::Done(settled) => break settled,
            }
        };
        match settled {
            Settled::Pending | Settled::Accepted => Ok(None),
            Settled::Retry(why) | Settled::RateLimited(why) | Settled::Unauthorised(why) => Err(why),
            settled => {
                if matches!(settled, Settled::Failed(_) | Settled::Rejected(_)) {
                    // The next attempt submits another one.
                    let kept = Kept {
                        job: Default::default(),
                        sent: None,
                        ..run.kept().clone()
                    };
                    self.remember(about, &kept).await?;
                }
                let (answer, evidence, message) = self.answered(endpoint, &run, settled);
                let ack = about.ack(answer, evidence);
                Ok(Some(Ack { message, ..ack }))
            }
        }
    }

    async fn remember(&self, about: &AskedAbout, kept: &Kept) -> Result<(), String> {
        let written = self.notes.write((about.request, about.task), kept).await;
        written.map_err(|error| error.to_string())
    }
}

/// The same of a job, unless the same was asked a moment ago.
async fn told_of_job(
    endpoint: &Arc<Endpoint>,
    call: &Call,
    run: &Run,
    asked: &mut Asked,
    within: Duration,
) -> Result<Judged, Reply> {
    let step = &endpoint.connector.steps[call.step];
    let (id, today) = (call.target.value.expose(), endpoint.today());
    let filling = Filling {
        values: &endpoint.values,
        kind: &call.target.kind,
        ids: &[id],
        kept: run.kept(),
        today: &today,
        key: "",
    };
    let rendered = step.render(&endpoint.connector, filling).map_err(|error| {
        let why = format!("{}: {error}", step.id);
        Reply::Failed(Failed::new(why).not_sent())
    })?;
    let heard = match asked.get(&rendered) {
        Some(heard) => heard.clone(),
        None => endpoint.send(&rendered, within).await?,
    };
    let judged = judged(&heard, endpoint, call);
    asked.insert(rendered, heard);
    Ok(judged)
}

fn all_failed(due: Vec<AskedAbout>, why: &str) -> Vec<(AskedAbout, Result<Option<Ack>, String>)> {
    due.into_iter()
        .map(|about| (about, Err(why.to_owned())))
        .collect()
}

fn why_of(reply: Reply) -> String {
    match reply {
        Reply::Failed(failed) => failed.why.into_owned(),
        Reply::Unauthorised(why) => why.into_owned(),
        Reply::Ack(_) => "an answer that does not settle it".to_owned(),
    }
}
