//! Publishing an approved plan: in the order of the file, and never further than the progress file can say.

use std::{collections::VecDeque, path::Path, time::Duration};

use indicatif::ProgressBar;
use tokio::time::{Interval, timeout};

use super::{
    format::FilePosition, input::Input, plan::Plan, progress::Progress, rate::Rate, subject::command,
    subjects::Subjects,
};
use crate::{
    cli::{Failure, bar, interrupt::Interrupt},
    clock::{Clock, Stopwatch},
    kafka::publish::{Outgoing, Pending, Publisher},
    vault::Vault,
    wire::{ce_headers, command},
};

/// Where the commands of this subcommand come from.
const SOURCE: &str = "/lacuna/sunset";

/// How many commands may be unconfirmed: enough for full batches, and few to repeat after a crash.
const WINDOW: usize = 2_000;

/// How long progress may go unwritten.
const WRITE_EVERY: Duration = Duration::from_secs(1);

/// How often somebody who wants it to stop is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Everything is published.
    Complete,
    /// Somebody has stopped it.
    Interrupted,
}

/// What is published where.
pub(super) struct Run<'a> {
    pub(super) input: &'a Input,
    pub(super) plan: &'a Plan,
    pub(super) vault: &'a Vault,
    pub(super) topic: &'a str,
    pub(super) state: &'a Path,
    pub(super) rate: Option<Rate>,
}

/// A run under way.
struct Publication<'a> {
    run: &'a Run<'a>,
    publisher: &'a Publisher,
    progress: &'a mut Progress,
    unconfirmed: VecDeque<(FilePosition, Pending)>,
    written: Stopwatch,
    bar: ProgressBar,
}

impl Run<'_> {
    /// Publishes what is left. Whatever ends it, what is on its way is waited for and progress is written.
    pub(super) async fn publish(
        &self,
        publisher: &Publisher,
        progress: &mut Progress,
        interrupt: &Interrupt,
    ) -> Result<End, Failure> {
        let bar = bar::over_count(self.plan.subjects).with_message("publishing");
        bar.set_position(progress.confirmed);
        bar.reset_eta();
        progress.write(self.state)?;
        let mut publication = Publication {
            run: self,
            publisher,
            progress,
            unconfirmed: VecDeque::new(),
            written: Stopwatch::start(),
            bar,
        };
        let sent = publication.send_all(interrupt).await;
        let confirmed = publication.confirm_down_to(0).await;
        publication.bar.finish_and_clear();
        let is_over = matches!((&sent, &confirmed), (Ok(End::Complete), Ok(())));
        publication.progress.complete = is_over && publication.progress.confirmed == self.plan.subjects;
        publication.write()?;
        confirmed?;
        if is_over && !publication.progress.complete {
            return Err(Failure::NotSo(format!(
                "the plan has {} subjects and {} commands were published: something is wrong with this program or \
                 its progress file; tell its makers",
                self.plan.subjects, publication.progress.confirmed
            )));
        }
        sent
    }

    fn window(&self) -> usize {
        // What is confirmed late at a low rate would be written late.
        self.rate.map_or(WINDOW, |rate| rate.per_second().min(WINDOW))
    }
}

impl Publication<'_> {
    async fn send_all(&mut self, interrupt: &Interrupt) -> Result<End, Failure> {
        let Run { input, plan, .. } = self.run;
        let mut pace: Option<Interval> = self.run.rate.map(|rate| tokio::time::interval(rate.interval()));
        let mut subjects = Subjects::open(
            input,
            plan.format,
            &plan.types,
            &plan.placeholders,
            self.progress.place,
        )?;
        while let Some(entry) = subjects.next()? {
            if interrupt.is_set() {
                return Ok(End::Interrupted);
            }
            let Ok(identities) = entry.identities else {
                self.leave_out(entry.line)?;
                continue;
            };
            let Ok((id, payload)) = command(&plan.order, plan.run_id, self.run.vault, &identities) else {
                self.leave_out(entry.line)?;
                continue;
            };
            if let Some(pace) = &mut pace {
                // At a low rate it may be long until the next one.
                while timeout(LOOK_EVERY, pace.tick()).await.is_err() {
                    if interrupt.is_set() {
                        return Ok(End::Interrupted);
                    }
                }
            }
            self.confirm_down_to(self.run.window() - 1).await?;
            let id = id.to_string();
            let message = Outgoing {
                topic: self.run.topic,
                key: Some(id.clone()),
                headers: ce_headers(&id, SOURCE, command::EVENT_TYPE).to_vec(),
                payload: &payload,
            };
            let pending = self.publisher.send(&message).await?;
            self.unconfirmed.push_back((entry.end, pending));
        }
        Ok(End::Complete)
    }

    /// A line that was wrong when the plan was made: whoever approved it knows of them.
    fn leave_out(&self, line: u64) -> Result<(), Failure> {
        if self.run.plan.left_out > 0 {
            return Ok(());
        }
        Err(Failure::NotSo(format!(
            "{}:{line}: this line is wrong and was not when the plan was prepared: stopped; prepare a plan anew",
            self.run.input.name()
        )))
    }

    /// Waits until no more than so many are unconfirmed.
    async fn confirm_down_to(&mut self, most: usize) -> Result<(), Failure> {
        while self.unconfirmed.len() > most
            && let Some((place, pending)) = self.unconfirmed.pop_front()
        {
            if let Err(error) = pending.confirmed().await {
                // Those behind it may have arrived: they are published again, which changes nothing.
                self.unconfirmed.clear();
                return Err(error.into());
            }
            self.progress.place = place;
            self.progress.confirmed += 1;
            if self.progress.confirmed.is_multiple_of(100) {
                self.bar.set_position(self.progress.confirmed);
            }
            if self.written.elapsed() >= WRITE_EVERY {
                self.write()?;
            }
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), Failure> {
        self.progress.updated_at = Clock::System.now();
        self.progress.write(self.run.state)?;
        self.written = Stopwatch::start();
        Ok(())
    }
}
