//! Runs the loads and takes the figures.

use std::{ops::ControlFlow, time::Duration};

use super::{BenchError, deployment::Deployment, floor, process::Process};
use crate::{
    cli::interrupt::Interrupt,
    clock::Stopwatch,
    sim::{Character, Driver, Fleet, Load, Report},
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

/// The floor's figures.
#[derive(Debug)]
pub(super) struct FloorFigures {
    /// What it came to.
    pub floor: floor::Floor,
    /// The CPU time of its loops (here) and of the database.
    pub cpu: Cpu,
}

/// Everything that was measured.
#[derive(Debug)]
pub(super) struct Figures {
    /// How many processors.
    pub processors: u32,
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
    /// The floor, where it was asked for.
    pub floor: Option<FloorFigures>,
}

impl Figures {
    /// Whether every request was completed.
    pub(super) fn is_complete(&self) -> bool {
        self.report.completed == self.load.requests
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
    pub fleet: &'a Fleet,
    /// How they behave while it is measured.
    pub character: Character,
    /// Whether somebody wants it to end.
    pub interrupt: &'a Interrupt,
    /// Says nothing on the way.
    pub quiet: bool,
}

/// How often the worker's memory is looked at, and progress told.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl Bench<'_> {
    /// Warms, measures, and measures the floor.
    pub(super) async fn run(
        &mut self,
        loads: &(Load, Load),
        processors: u32,
        floor: bool,
    ) -> Result<Figures, BenchError> {
        let (warm, load) = loads;
        self.say(&format!(
            "warming with {} requests, which count for nothing",
            warm.requests
        ));
        let (warmed, _) = self.drive(warm).await?;
        if self.interrupt.is_set() {
            return Err(BenchError::Interrupted);
        }
        if warmed.completed < warm.requests {
            return Err(BenchError::Unfinished("warming", self.deployment.log()));
        }
        self.say(&format!("measuring {} requests", load.requests));
        self.fleet.become_all(self.character);
        let bytes = self.deployment.store.bytes_on_disk().await?;
        let before = self.parts.cpu();
        let (report, memory) = self.drive(load).await?;
        let cpu = self.parts.cpu().since(before);
        let stored = self.deployment.store.bytes_on_disk().await?.saturating_sub(bytes);
        let mut figures = Figures {
            processors,
            load: load.clone(),
            report,
            warmed: warmed.completed,
            cpu,
            embedded: self.parts.worker.is_none(),
            memory,
            peak_memory: self.worker_or_own().peak_resident(),
            stored,
            floor: None,
        };
        if !figures.is_complete() && !self.deployment.is_running() {
            return Err(BenchError::Unfinished("what was measured", self.deployment.log()));
        }
        if !figures.is_complete() && !self.interrupt.is_set() {
            eprintln!(
                "not everything was completed; the worker's last lines:\n{}",
                self.deployment.log()
            );
        }
        if floor && !self.interrupt.is_set() {
            figures.floor = self.floor(load.requests, processors).await?;
        }
        Ok(figures)
    }

    fn worker_or_own(&self) -> Process {
        self.parts.worker.unwrap_or(self.parts.own)
    }

    async fn floor(&self, requests: u64, processors: u32) -> Result<Option<FloorFigures>, BenchError> {
        let Some(url) = &self.deployment.postgres else {
            return Err(BenchError::Usage("--floor needs PostgreSQL"));
        };
        self.say("measuring the floor");
        let before = self.parts.cpu();
        let floor = floor::run(url, requests, processors).await?;
        Ok(Some(FloorFigures {
            floor,
            cpu: self.parts.cpu().since(before),
        }))
    }

    /// Runs a load, and looks at the worker's memory meanwhile.
    async fn drive(&mut self, load: &Load) -> Result<(Report, Vec<(f64, u64)>), BenchError> {
        let Some(mut driver) = self.driver.take() else {
            return Err(BenchError::Panicked);
        };
        let (load, interrupt) = (load.clone(), self.interrupt.clone());
        let (watched, quiet) = (self.worker_or_own(), self.quiet);
        let driven = tokio::task::spawn_blocking(move || {
            let mut memory = Vec::new();
            let mut looked = Stopwatch::start();
            let report = driver.run(&load, &mut |progress| {
                if looked.elapsed() >= LOOK_EVERY {
                    looked = Stopwatch::start();
                    let resident = watched.resident();
                    memory.extend(resident.map(|bytes| (progress.elapsed.as_secs_f64(), bytes)));
                    if !quiet {
                        eprintln!(
                            "{:>6.0} s: {} published, {} closed",
                            progress.elapsed.as_secs_f64(),
                            progress.published,
                            progress.closed
                        );
                    }
                    if resident.is_none() && cfg!(target_os = "linux") {
                        // The worker is gone: nothing more will be closed.
                        return ControlFlow::Break(());
                    }
                }
                if interrupt.is_set() {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
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
            eprintln!("{text}");
        }
    }
}
