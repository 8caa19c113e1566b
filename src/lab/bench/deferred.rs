//! `lacuna bench --scenario deferred`: what millions of parked jobs cost, and how fast many of them move at once.
//!
//! The worker runs in this process, on a clock that is turned by hand: what falls due in years has to fall due while
//! somebody waits. Broker, store, agenda, sweeps and the simulated processors are the real ones. What is parked was
//! taken in and settled by the engine itself, batch by batch, so that every row is what it is in life.

mod probe;
mod report;
mod site;
mod workload;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use serde_json::json;

use self::{
    probe::probe_for,
    site::Site,
    workload::{Kind, Workload},
};
use super::{Args, BenchError, base, go_on, process::Process};
use crate::{
    clock::Stopwatch,
    domain::{entry::Leaf, ids::RequestId, words::Status},
    engine::EngineError,
    kafka::publish::{Outgoing, Publisher},
    lab::sim::Histogram,
    terminal::{
        Exit,
        interrupt::Interrupt,
        output::{Out, aside},
    },
};

pub(super) use report::Figures;

/// How many requests measure the intake, and what a request costs that nothing of is parked.
const CONTROL: u64 = 20_000;

/// How many requests warm the store and the worker.
const WARM: u64 = 5_000;

/// How often the agenda looks in vain.
const SCANS: usize = 300;

/// How many of those that were woken are looked at one by one.
const SAMPLE: u64 = 1_000;

/// For how long the unrelated requests are watched before anything else happens.
const QUIET: Duration = Duration::from_secs(5);

/// How often it is asked how far something is.
const LOOK_EVERY: Duration = Duration::from_millis(100);

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How many of a workload did something, in which time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    pub count: u64,
    pub elapsed: Duration,
}

/// Something that happened to many at once, and what became of others meanwhile.
#[derive(Debug, Default)]
pub(super) struct Rush {
    pub pace: Pace,
    pub others: Histogram,
}

/// Runs it.
pub(super) async fn bench(args: &Args) -> Result<Figures, BenchError> {
    let interrupt = Interrupt::listen();
    let site = Site::open(&base(args)?).await?;
    let run = Run {
        site: &site,
        args,
        due: args.due.next_multiple_of(workload::BATCH),
        parked: args.parked.next_multiple_of(workload::BATCH),
        interrupt: &interrupt,
    };
    let measured = run.measure().await;
    if let Err(error) = site.remove().await {
        aside(format_args!(
            "what the benchmark made could not be removed: {}",
            super::with_sources(&error)
        ));
    }
    measured
}

struct Run<'a> {
    site: &'a Site,
    args: &'a Args,
    due: u64,
    parked: u64,
    interrupt: &'a Interrupt,
}

impl Run<'_> {
    async fn measure(&self) -> Result<Figures, BenchError> {
        let mut figures = Figures {
            parked: self.parked,
            due: self.due,
            ..Figures::default()
        };
        let mut workload = Workload::new(Arc::clone(&self.site.engine), self.site.clock.clone());
        self.say("warming");
        workload.take_in(Kind::Live, WARM).await?;
        self.controls(&mut workload, &mut figures).await?;
        self.park(&mut workload, &mut figures).await?;
        self.say("looking for what is due, where nothing is");
        figures.scans = self.scan().await?;
        self.say("taking in on the full store");
        figures.intake_full = workload.take_in(Kind::Live, CONTROL).await?;
        self.say("watching unrelated requests while nothing else happens");
        let probe = probe_for(self.site).await?;
        tokio::time::sleep(QUIET).await;
        figures.quiet = probe.end().await?;

        let rotated = [("nightly-backup", "nightly"), ("archive-backup", "archive")];
        for (place, (processor, set)) in rotated.into_iter().enumerate() {
            self.say(&format!(
                "a rotation of {processor} proves {} backup tasks",
                self.due
            ));
            figures.rotations[place] = self.rotate(processor, set).await?;
        }
        self.say(&format!("{} retention parts fall due at once", self.due));
        (figures.woken, figures.completed) = self.fall_due().await?;
        figures.memory_after = Process::own().resident();
        figures.sample = workload.sample(SAMPLE);
        figures.sample_completed = self.look_at_sample(&figures.sample).await?;
        Ok(figures)
    }

    /// What a request costs of which nothing is parked, and how fast it is taken in while there are no others.
    async fn controls(&self, workload: &mut Workload, figures: &mut Figures) -> Result<(), BenchError> {
        self.say("taking in on the empty store");
        let before = self.site.store.bytes_on_disk().await?;
        figures.intake_empty = workload.take_in(Kind::Live, CONTROL).await?;
        let after = self.site.store.bytes_on_disk().await?;
        figures.bytes_live = after.saturating_sub(before) as f64 / CONTROL as f64;
        figures.memory_empty = Process::own().resident();
        Ok(())
    }

    /// Fills the store: first those that will be due, a day later all the others.
    async fn park(&self, workload: &mut Workload, figures: &mut Figures) -> Result<(), BenchError> {
        let before = (
            self.site.store.bytes_on_disk().await?,
            self.site.bytes_of("deferred").await?,
        );
        let due = self.fill(workload, Kind::Due, self.due).await?;
        self.site.clock.advance(DAY);
        let parked = self.fill(workload, Kind::Parked, self.parked).await?;
        self.site.clock.advance(DAY);
        let count = (due.count + parked.count).max(1) as f64;
        let all = self.site.store.bytes_on_disk().await?.saturating_sub(before.0);
        let deferred = self.site.bytes_of("deferred").await?.saturating_sub(before.1);
        figures.loaded = Pace {
            count: due.count + parked.count,
            elapsed: due.elapsed + parked.elapsed,
        };
        (figures.bytes_parked, figures.bytes_deferred) = (all as f64 / count, deferred as f64 / count);
        figures.memory_full = Process::own().resident();
        Ok(())
    }

    async fn fill(&self, workload: &mut Workload, kind: Kind, count: u64) -> Result<Pace, BenchError> {
        /// So many at a time, so that progress can be told.
        const STEP: u64 = 50_000;
        let mut all = Pace::default();
        while all.count < count {
            go_on(self.interrupt)?;
            let pace = workload.fill(kind, STEP.min(count - all.count)).await?;
            all.count += pace.count;
            all.elapsed += pace.elapsed;
            self.say(&format!(
                "parked {} of {count}, {:.0}/s",
                all.count,
                all.count as f64 / all.elapsed.as_secs_f64()
            ));
        }
        Ok(all)
    }

    /// How long a turn of the agenda takes that finds nothing.
    async fn scan(&self) -> Result<Histogram, BenchError> {
        let mut times = Histogram::default();
        for _ in 0..SCANS {
            let watch = Stopwatch::start();
            let woken = self.site.engine.agenda().wake_due(self.site.clock.now()).await?;
            times.record(watch.elapsed());
            if woken.count > 0 {
                return Err(BenchError::Usage("something was due where nothing should be"));
            }
        }
        Ok(times)
    }

    /// Reports that every copy is gone which may hold what is due, before its horizon: only the sweep settles then, and
    /// not the agenda.
    async fn rotate(&self, processor: &str, set: &str) -> Result<Rush, BenchError> {
        let probe = probe_for(self.site).await?;
        let oldest = self.site.start.plus(DAY / 2);
        let event = json!({
            "event_id": uuid::Builder::from_random_bytes(rand::random()).into_uuid(), "type": "backup.rotated",
            "processor": processor, "set": set, "oldest_retained_at": oldest,
        });
        let before = self.site.deferred("backup_rotation").await?;
        let watch = Stopwatch::start();
        self.publish(&self.site.config.kafka.topics.backups, &event.to_string())
            .await?;
        self.until("the rotation", async || {
            let left = self.site.deferred("backup_rotation").await?;
            Ok(left + self.due.cast_signed() <= before && self.site.is_swept().await?)
        })
        .await?;
        Ok(Rush {
            pace: Pace {
                count: self.due,
                elapsed: watch.elapsed(),
            },
            others: probe.end().await?,
        })
    }

    /// The day comes: until all are sent, and until all are answered and completed.
    async fn fall_due(&self) -> Result<(Rush, Pace), BenchError> {
        let probe = probe_for(self.site).await?;
        let (waiting, done) = (
            self.site.deferred("retention").await?,
            self.site.completed().await?,
        );
        let due = self.due.cast_signed();
        self.site.clock.advance(31 * DAY);
        let watch = Stopwatch::start();
        self.until("what is due to be sent", async || {
            Ok(self.site.deferred("retention").await? + due <= waiting)
        })
        .await?;
        let woken = Pace {
            count: self.due,
            elapsed: watch.elapsed(),
        };
        self.until("what was sent to be completed", async || {
            Ok(self.site.completed().await? >= done + due)
        })
        .await?;
        let completed = Pace {
            count: self.due,
            elapsed: watch.elapsed(),
        };
        let others = probe.end().await?;
        Ok((Rush { pace: woken, others }, completed))
    }

    async fn look_at_sample(&self, sample: &[RequestId]) -> Result<u64, BenchError> {
        let mut completed = 0;
        for part in sample.chunks(500) {
            for stored in self.site.store.requests(part).await? {
                let leaves = self.site.store.leaves(stored.request.id).await?;
                let in_order = (0..).zip(&leaves).all(|(n, leaf)| {
                    leaf.n == n
                        && Leaf::from_bytes(&leaf.leaf).is_ok_and(|leaf| leaf.request == stored.request.id)
                });
                let is_whole = in_order && leaves.len() == stored.request.bookkeeping.leaves as usize;
                let is_forgotten = stored.wrapped_key.is_none();
                let is_completed = stored.request.life.status == Status::Completed;
                completed += u64::from(is_completed && is_forgotten && is_whole);
            }
        }
        Ok(completed)
    }

    async fn publish(&self, topic: &str, payload: &str) -> Result<(), BenchError> {
        let publisher = Publisher::connect(&self.site.cluster, BTreeSet::from([topic.to_owned()])).await?;
        let message = Outgoing {
            topic,
            key: None,
            headers: Vec::new(),
            payload: payload.as_bytes(),
        };
        publisher.send(&message).await?.confirmed().await?;
        Ok(())
    }

    /// Waits until something is so.
    async fn until(
        &self,
        what: &'static str,
        is_so: impl AsyncFn() -> Result<bool, BenchError>,
    ) -> Result<(), BenchError> {
        let (watch, limit) = (Stopwatch::start(), Duration::from_secs(self.args.limit));
        let mut said = Stopwatch::start();
        while !is_so().await? {
            go_on(self.interrupt)?;
            if watch.elapsed() > limit || self.site.has_ended() {
                return Err(BenchError::Unfinished(what, "see above".to_owned()));
            }
            if said.elapsed() > Duration::from_secs(5) {
                said = Stopwatch::start();
                self.say(&format!("{:>6.0} s", watch.elapsed().as_secs_f64()));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    fn say(&self, text: &str) {
        if !self.args.json {
            aside(text);
        }
    }
}

/// Prints the figures.
pub(super) fn show(figures: &Figures, json: bool) -> Result<Exit, BenchError> {
    let mut out = Out::stdout();
    if json {
        out.line(report::json(figures))?;
    } else {
        report::print(&mut out, figures)?;
    }
    out.end()?;
    Ok(if figures.is_complete() {
        Exit::Ok
    } else {
        Exit::NotSo
    })
}

impl From<EngineError> for BenchError {
    fn from(error: EngineError) -> Self {
        Self::App(error.into())
    }
}
