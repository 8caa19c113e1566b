//! Runs the loads and takes the figures.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use super::{
    BenchError, deployment::Deployment, loads::Warming, process::Process, processors::Answering, sql_baseline,
};
use crate::{
    clock::Stopwatch,
    lab::sim::{Character, Driver, Histogram, Ids, Load, Report, receiver::Received},
    terminal::{interrupt::Interrupt, output::aside},
};

/// The processes whose CPU time is told apart; `None`: not measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts {
    /// The worker, unless it runs in this process.
    pub worker: Option<Process>,
    /// The broker.
    pub broker: Option<Process>,
    /// The first process of the PostgreSQL server.
    pub database: Option<Process>,
    /// This process: simulated processors and driver, and in the embedded case everything.
    pub own: Process,
}

/// CPU time by part.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cpu {
    /// The worker.
    pub worker: Option<Duration>,
    /// The broker.
    pub broker: Option<Duration>,
    /// The database with all its connections.
    pub database: Option<Duration>,
    /// This process.
    pub own: Option<Duration>,
}

impl Parts {
    fn cpu(&self) -> Cpu {
        Cpu {
            worker: self.worker.and_then(Process::cpu_of_tree),
            broker: self.broker.and_then(Process::cpu_of_tree),
            database: self.database.and_then(Process::cpu_of_tree),
            own: self.own.cpu(),
        }
    }
}

impl Cpu {
    /// What was spent since then.
    fn since(self, earlier: Self) -> Self {
        let spent = |now: Option<Duration>, then: Option<Duration>| Some(now?.saturating_sub(then?));
        Self {
            worker: spent(self.worker, earlier.worker),
            broker: spent(self.broker, earlier.broker),
            database: spent(self.database, earlier.database),
            own: spent(self.own, earlier.own),
        }
    }

    /// All of it, as far as it is known.
    pub(super) fn sum(&self) -> Duration {
        [self.worker, self.broker, self.database, self.own]
            .into_iter()
            .flatten()
            .sum()
    }
}

/// The figures of the SQL baseline.
#[derive(Debug)]
pub(super) struct BaselineFigures {
    /// What it came to.
    pub baseline: sql_baseline::Baseline,
    /// The CPU time of its loops (here) and of the database.
    pub cpu: Cpu,
}

/// What came in at processors that listen for webhooks and are well.
#[derive(Debug)]
pub(super) struct Deliveries {
    /// How many.
    pub count: u64,
    /// In which time.
    pub elapsed: Duration,
    /// From the publication of a command to the arrival of its task.
    pub latency: Histogram,
    /// What came in, and in which time, at those that got well again.
    pub late: (u64, Duration),
}

/// Everything that was measured.
#[derive(Debug)]
pub(super) struct Figures {
    /// How many processors.
    pub processors: u32,
    /// How many of them are well.
    pub well: u32,
    /// Whether others are not.
    pub has_dead: bool,
    /// What the ids of commands and requests were like.
    pub ids: Ids,
    /// The load.
    pub load: Load,
    /// What came of it.
    pub report: Report,
    /// What warmed.
    pub warmed: u64,
    /// CPU time while it was measured.
    pub cpu: Cpu,
    /// Whether worker, broker and store run in this process.
    pub embedded: bool,
    /// Resident memory of the worker over time: seconds and bytes.
    pub memory: Vec<(f64, u64)>,
    /// The most that it ever had.
    pub peak_memory: Option<u64>,
    /// How much the store grew, in bytes.
    pub stored: u64,
    /// What came in at processors that listen for webhooks.
    pub deliveries: Option<Deliveries>,
    /// The SQL baseline, where it was asked for.
    pub sql: Option<BaselineFigures>,
}

impl Figures {
    /// Whether every request was completed.
    pub(super) fn is_complete(&self) -> bool {
        let delivered = self.deliveries.as_ref().map(|all| all.count);
        let wanted = self.load.requests * u64::from(self.well);
        self.report.completed == self.load.requests || (self.has_dead && delivered >= Some(wanted))
    }
}

/// What a benchmark works with.
pub(super) struct Bench<'a> {
    /// What is measured.
    pub deployment: &'a mut Deployment,
    /// The processes.
    pub parts: Parts,
    /// The driver; away while it runs.
    pub driver: Option<Driver>,
    /// The simulated processors.
    pub answering: &'a Answering,
    /// How many of them are well.
    pub well: u32,
    /// Whether others are not: no request is ever completed then, and what the others get is waited for.
    pub has_dead: bool,
    /// Whether those get well that answer 500, once the others have everything.
    pub revives: bool,
    /// How they behave while it is measured.
    pub character: Character,
    /// What the ids of commands and requests are like.
    pub ids: Ids,
    /// Whether somebody wants it to end.
    pub interrupt: &'a Interrupt,
    /// Says nothing on the way.
    pub quiet: bool,
}

/// How often the worker's memory is looked at, and progress told.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl Bench<'_> {
    /// Warms, measures, and measures the SQL baseline.
    pub(super) async fn run(
        &mut self,
        (warming, load): &(Warming, Load),
        processors: u32,
        baseline: bool,
    ) -> Result<Figures, BenchError> {
        let warmed = self.warm(warming).await?;
        self.rest(warming.rest).await?;
        // What warmed counts for nothing.
        drop(self.received().map(|received| received.take_latency()));
        self.say(&format!("measuring {} requests", load.requests));
        if let Answering::Fleet(fleet) = self.answering {
            fleet.become_all(self.character);
        }
        let bytes = self.deployment.store.bytes_on_disk().await?;
        let before = self.parts.cpu();
        let delivered = self.delivered();
        let (report, memory) = self.drive(load, self.revives).await?;
        let cpu = self.parts.cpu().since(before);
        let deliveries = self.deliveries(delivered, report.elapsed);
        let stored = self.deployment.store.bytes_on_disk().await?.saturating_sub(bytes);
        let mut figures = Figures {
            processors,
            well: self.well,
            has_dead: self.has_dead,
            ids: self.ids,
            load: load.clone(),
            report,
            warmed,
            cpu,
            embedded: self.parts.worker.is_none(),
            memory,
            peak_memory: self.worker_or_own().peak_resident(),
            stored,
            deliveries,
            sql: None,
        };
        if !figures.is_complete() && !self.deployment.is_running() {
            return Err(BenchError::Unfinished("what was measured", self.deployment.log()));
        }
        if !figures.is_complete() && !self.has_dead && !self.interrupt.is_set() {
            aside(format_args!(
                "not everything was completed; the worker's last lines:\n{}",
                self.deployment.log()
            ));
        }
        if baseline && !self.interrupt.is_set() {
            figures.sql = self.baseline(load.requests, processors).await?;
        }
        Ok(figures)
    }

    /// Lets the worker and the store do what the warming left behind: wake-ups that find nothing to do, vacuum.
    async fn rest(&self, rest: Duration) -> Result<(), BenchError> {
        if rest.is_zero() {
            return Ok(());
        }
        self.say(&format!("resting for {} s", rest.as_secs()));
        for _ in 0..rest.as_secs() {
            if self.interrupt.is_set() {
                return Err(BenchError::Interrupted);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Warms, and says with how many requests.
    async fn warm(&mut self, warming: &Warming) -> Result<u64, BenchError> {
        let round = &warming.round;
        let mut warmed = 0;
        let mut broker = Vec::new();
        loop {
            self.say(&format!(
                "warming with {} requests, which count for nothing",
                round.requests
            ));
            let before = self.parts.cpu();
            let (report, _) = self.drive(round, false).await?;
            if self.interrupt.is_set() {
                return Err(BenchError::Interrupted);
            }
            if report.completed < round.requests && !self.has_dead {
                return Err(BenchError::Unfinished("warming", self.deployment.log()));
            }
            warmed += report.published;
            broker.extend(self.parts.cpu().since(before).broker);
            if !warming.goes_on(&broker) {
                return Ok(warmed);
            }
        }
    }

    fn received(&self) -> Option<&Arc<Received>> {
        match self.answering {
            Answering::Receiver(receiver) => Some(&receiver.received),
            Answering::Fleet(_) => None,
        }
    }

    /// How many deliveries there were so far.
    fn delivered(&self) -> u64 {
        self.received().map_or(0, |received| received.deliveries())
    }

    fn deliveries(&self, before: u64, elapsed: Duration) -> Option<Deliveries> {
        let received = self.received()?;
        Some(Deliveries {
            count: received.deliveries() - before,
            elapsed,
            latency: received.take_latency(),
            late: received.late(),
        })
    }

    fn worker_or_own(&self) -> Process {
        self.parts.worker.unwrap_or(self.parts.own)
    }

    async fn baseline(&self, requests: u64, processors: u32) -> Result<Option<BaselineFigures>, BenchError> {
        let Some(url) = &self.deployment.postgres else {
            return Err(BenchError::Usage("--floor needs PostgreSQL"));
        };
        self.say("measuring the floor");
        let before = self.parts.cpu();
        let baseline = sql_baseline::run(url, requests, processors, self.ids).await?;
        Ok(Some(BaselineFigures {
            baseline,
            cpu: self.parts.cpu().since(before),
        }))
    }

    /// Runs a load, and looks at the worker's memory meanwhile. `revives`: goes on, once those that are well have everything, with
    /// those that get well then.
    async fn drive(&mut self, load: &Load, revives: bool) -> Result<(Report, Vec<(f64, u64)>), BenchError> {
        let Some(mut driver) = self.driver.take() else {
            return Err(BenchError::Panicked);
        };
        let (load, interrupt) = (load.clone(), self.interrupt.clone());
        let (watched, quiet) = (self.worker_or_own(), self.quiet);
        let received = self.received().filter(|_| self.has_dead).map(Arc::clone);
        let wanted = self.delivered() + load.requests * u64::from(self.well);
        let driven = tokio::task::spawn_blocking(move || {
            let mut memory = Vec::new();
            let mut looked = Stopwatch::start();
            let report = driver.run(&load, &mut |progress| {
                if looked.elapsed() >= LOOK_EVERY {
                    looked = Stopwatch::start();
                    let resident = watched.resident();
                    memory.extend(resident.map(|bytes| (progress.elapsed.as_secs_f64(), bytes)));
                    if !quiet {
                        aside(format_args!(
                            "{:>6.0} s: {} published, {} closed",
                            progress.elapsed.as_secs_f64(),
                            progress.published,
                            progress.closed
                        ));
                    }
                    if resident.is_none() && cfg!(target_os = "linux") {
                        // The worker is gone: nothing more will be closed.
                        return ControlFlow::Break(());
                    }
                }
                match received.as_ref().filter(|at| at.deliveries() >= wanted) {
                    _ if interrupt.is_set() => ControlFlow::Break(()),
                    Some(at) if revives => {
                        at.revive();
                        ControlFlow::Continue(())
                    }
                    Some(_) => ControlFlow::Break(()),
                    None => ControlFlow::Continue(()),
                }
            });
            (driver, report, memory)
        });
        let (driver, report, memory) = driven.await.map_err(|_| BenchError::Panicked)?;
        self.driver = Some(driver);
        Ok((report?, memory))
    }

    fn say(&self, text: &str) {
        if !self.quiet {
            aside(text);
        }
    }
}
