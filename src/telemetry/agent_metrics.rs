//! The metrics of an agent. They stand beside those of a worker, and are shown by the agent's own listener.

use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder,
};

use super::metrics::Described;

/// From a hundredth of a second to a quarter of an hour.
const BUCKETS: &[f64] = &[
    0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0,
];

const TASKS: Described = Described {
    name: "lacuna_agent_tasks_total",
    kind: "counters",
    labels: &["processor", "outcome"],
    help: "Of an agent: tasks that were carried out, by outcome.",
};
const ROWS: Described = Described {
    name: "lacuna_agent_rows_total",
    kind: "counters",
    labels: &["processor", "table"],
    help: "Of an agent: rows that were deleted or anonymized, by table; objects by bucket, keys by topic.",
};
const SECONDS: Described = Described {
    name: "lacuna_agent_batch_seconds",
    kind: "histograms",
    labels: &["processor"],
    help: "Of an agent: how long the tasks took that were carried out together.",
};
const LAST_CLAIM: Described = Described {
    name: "lacuna_agent_last_claim_timestamp_seconds",
    kind: "gauges",
    labels: &["processor"],
    help: "Of an agent: when it could ask for tasks last, in Unix time, whether there were any or not; when it began, where it never could.",
};
const ZERO_EFFECT: Described = Described {
    name: "lacuna_agent_zero_effect_tasks",
    kind: "gauges",
    labels: &["processor", "table"],
    help: "Of an agent: for how many tasks no row of a table belonged to anybody, since one did or the agent began.",
};
const RETRIES: Described = Described {
    name: "lacuna_agent_retries_total",
    kind: "counters",
    labels: &["processor", "of"],
    help: "Of an agent: what had to be tried again: to ask for tasks (claim), to bring an answer out (answer).",
};

/// Every metric of an agent.
pub const AGENT_METRICS: &[Described] = &[TASKS, ROWS, SECONDS, LAST_CLAIM, ZERO_EFFECT, RETRIES];

/// The metrics of one agent.
#[derive(Debug)]
pub struct AgentMetrics {
    registry: Registry,
    processor: String,
    tasks: IntCounterVec,
    rows: IntCounterVec,
    seconds: HistogramVec,
    last_claim: IntGaugeVec,
    zero_effect: IntGaugeVec,
    retries: IntCounterVec,
}

/// What is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retried {
    /// To ask for tasks.
    Claim,
    /// To bring an answer out.
    Answer,
}

impl AgentMetrics {
    /// Makes and registers them.
    pub fn new(processor: &str) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counters = |of: &Described| IntCounterVec::new(Opts::new(of.name, of.help), of.labels);
        let gauges = |of: &Described| IntGaugeVec::new(Opts::new(of.name, of.help), of.labels);
        let seconds = HistogramOpts::new(SECONDS.name, SECONDS.help).buckets(BUCKETS.to_vec());
        let these = Self {
            processor: processor.to_owned(),
            tasks: counters(&TASKS)?,
            rows: counters(&ROWS)?,
            seconds: HistogramVec::new(seconds, SECONDS.labels)?,
            last_claim: gauges(&LAST_CLAIM)?,
            zero_effect: gauges(&ZERO_EFFECT)?,
            retries: counters(&RETRIES)?,
            registry,
        };
        for counters in [&these.tasks, &these.rows, &these.retries] {
            these.registry.register(Box::new(counters.clone()))?;
        }
        for gauges in [&these.last_claim, &these.zero_effect] {
            these.registry.register(Box::new(gauges.clone()))?;
        }
        these.registry.register(Box::new(these.seconds.clone()))?;
        Ok(these)
    }

    /// A task was answered.
    pub fn answered(&self, outcome: &str) {
        self.tasks.with_label_values(&[&self.processor, outcome]).inc();
    }

    /// Rows of a table were deleted or changed.
    pub fn changed(&self, table: &str, rows: u64) {
        self.rows
            .with_label_values(&[&self.processor, table])
            .inc_by(rows);
    }

    /// Tasks that were taken together took so long.
    pub fn took(&self, seconds: f64) {
        self.seconds
            .with_label_values(&[&self.processor])
            .observe(seconds);
    }

    /// Tasks were asked for, successfully.
    pub fn claimed(&self, at: i64) {
        self.last_claim.with_label_values(&[&self.processor]).set(at);
    }

    /// For so many tasks a table had nothing.
    pub fn idle(&self, table: &str, tasks: u32) {
        self.zero_effect
            .with_label_values(&[&self.processor, table])
            .set(i64::from(tasks));
    }

    /// Something is tried again.
    pub fn retried(&self, what: Retried) {
        let of = match what {
            Retried::Claim => "claim",
            Retried::Answer => "answer",
        };
        self.retries.with_label_values(&[&self.processor, of]).inc();
    }

    /// The text that Prometheus reads.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        let mut buffer = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut buffer)?;
        String::from_utf8(buffer).map_err(|_| prometheus::Error::Msg("metrics are not UTF-8".to_owned()))
    }
}
