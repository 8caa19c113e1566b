//! Says what was measured, for people and as JSON. The targets stand beside.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Pace, Rush};
use crate::{
    domain::ids::RequestId,
    lab::sim::Histogram,
    terminal::{Failure, output::Out},
};

const MEBIBYTE: f64 = 1_048_576.0;

/// Everything that was measured.
#[derive(Debug, Default)]
pub(in crate::lab::bench) struct Figures {
    pub parked: u64,
    pub due: u64,
    pub loaded: Pace,
    /// Bytes of disk a request of which nothing is parked, one of which three tasks are, and the rows of these tasks.
    pub bytes_live: f64,
    pub bytes_parked: f64,
    pub bytes_deferred: f64,
    /// Resident memory of the worker, and of all that measures it, before anything was parked, with all of it, and in
    /// the end.
    pub memory_empty: Option<u64>,
    pub memory_full: Option<u64>,
    pub memory_after: Option<u64>,
    pub scans: Histogram,
    pub intake_empty: Pace,
    pub intake_full: Pace,
    /// Unrelated requests while nothing else happens.
    pub quiet: Histogram,
    pub rotations: [Rush; 2],
    pub woken: Rush,
    pub completed: Pace,
    pub sample: Vec<RequestId>,
    pub sample_completed: u64,
}

impl Figures {
    /// Whether all of the sample came to its end.
    pub(super) fn is_complete(&self) -> bool {
        self.sample_completed == self.sample.len() as u64
    }
}

impl Pace {
    fn per_second(self) -> f64 {
        if self.elapsed.is_zero() {
            0.0
        } else {
            self.count as f64 / self.elapsed.as_secs_f64()
        }
    }
}

/// One JSON object.
pub(super) fn json(figures: &Figures) -> Value {
    let rush = |rush: &Rush| {
        json!({
            "tasks": rush.pace.count, "seconds": rush.pace.elapsed.as_secs_f64(),
            "tasks_per_second": rush.pace.per_second(), "others_milliseconds": times(&rush.others),
        })
    };
    json!({
        "scenario": "deferred",
        "parked": figures.parked,
        "due": figures.due,
        "loaded_per_second": figures.loaded.per_second(),
        "bytes_per_request": {
            "nothing_parked": figures.bytes_live, "three_tasks_parked": figures.bytes_parked,
            "rows_of_deferred_tasks": figures.bytes_deferred,
        },
        "memory_bytes": {
            "empty": figures.memory_empty, "full": figures.memory_full, "end": figures.memory_after,
        },
        "scan_milliseconds": times(&figures.scans),
        "intake_per_second": {
            "empty": figures.intake_empty.per_second(), "full": figures.intake_full.per_second(),
        },
        "others_quiet_milliseconds": times(&figures.quiet),
        "rotations": figures.rotations.iter().map(rush).collect::<Vec<_>>(),
        "woken": rush(&figures.woken),
        "completed_per_second": figures.completed.per_second(),
        "sample": { "requests": figures.sample.len(), "completed": figures.sample_completed },
    })
}

fn times(times: &Histogram) -> Value {
    json!({
        "count": times.count(), "p50": millis(times.percentile(0.5)), "p99": millis(times.percentile(0.99)),
        "max": millis(times.max()),
    })
}

/// A page for people.
pub(super) fn print(out: &mut Out, figures: &Figures) -> Result<(), Failure> {
    out.line(format_args!(
        "\n{} requests with three parked tasks each, {} more that become due; taken in and settled by the engine at {:.0}/s",
        figures.parked,
        figures.due,
        figures.loaded.per_second()
    ))?;
    out.line(format_args!(
        "  disk             {:.0} bytes a request, {:.0} of them for the rows of what is parked; {:.0} where nothing is",
        figures.bytes_parked, figures.bytes_deferred, figures.bytes_live
    ))?;
    let memory =
        |bytes: Option<u64>| bytes.map_or("?".to_owned(), |bytes| format!("{:.0}", bytes as f64 / MEBIBYTE));
    out.line(format_args!(
        "  memory           {} MiB with the store empty, {} full, {} in the end (worker, simulators and driver)",
        memory(figures.memory_empty),
        memory(figures.memory_full),
        memory(figures.memory_after)
    ))?;
    out.line(format_args!(
        "  nothing is due   {} a turn of the agenda (wanted: 5 ms)",
        shown(&figures.scans)
    ))?;
    out.line(format_args!(
        "  intake           {:.0} requests/s empty, {:.0} full: {:+.1} % (wanted: within 10 %; the engine alone, no broker)",
        figures.intake_empty.per_second(),
        figures.intake_full.per_second(),
        (figures.intake_full.per_second() / figures.intake_empty.per_second() - 1.0) * 100.0
    ))?;
    out.line(format_args!(
        "  others           {} from command to completion while nothing else happens",
        shown(&figures.quiet)
    ))?;
    for (rush, name) in figures.rotations.iter().zip(["first", "second"]) {
        print_rush(out, &format!("{name} rotation"), rush, "settled")?;
    }
    print_rush(out, "all due at once", &figures.woken, "woken, checked and sent")?;
    out.line(format_args!(
        "                   answered through the broker and completed: {:.0}/s",
        figures.completed.per_second()
    ))?;
    out.line(format_args!(
        "  sample           {} of {} are completed, forgotten, and whole in the ledger",
        figures.sample_completed,
        figures.sample.len()
    ))
}

fn print_rush(out: &mut Out, name: &str, rush: &Rush, what: &str) -> Result<(), Failure> {
    out.line(format_args!(
        "  {name:<16} {} tasks {what} in {:.1} s: {:.0}/s (wanted: 5,000)\n                   others meanwhile: {} (wanted: \
         2 s)",
        rush.pace.count,
        rush.pace.elapsed.as_secs_f64(),
        rush.pace.per_second(),
        shown(&rush.others)
    ))
}

fn shown(times: &Histogram) -> String {
    format!(
        "p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms",
        millis(times.percentile(0.5)),
        millis(times.percentile(0.99)),
        millis(times.max())
    )
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
