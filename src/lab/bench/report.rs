//! Says what was measured, for people and as JSON.

use std::time::Duration;

use serde_json::{Value, json};

use super::measure::{Cpu, Deliveries, Figures};
use crate::terminal::{Failure, output::Out};

const MEBIBYTE: f64 = 1_048_576.0;

/// One JSON object.
pub(super) fn json(figures: &Figures) -> Value {
    let report = &figures.report;
    let latency = |share| millis(report.latency.percentile(share));
    json!({
        "requests": figures.load.requests,
        "processors": figures.processors,
        "ids": figures.ids.as_str(),
        "rate": figures.load.rate,
        "window": figures.load.window,
        "warmed": figures.warmed,
        "embedded": figures.embedded,
        "completed": report.completed,
        "other_ends": report.others,
        "seconds": report.elapsed.as_secs_f64(),
        "requests_per_second": report.per_second(),
        "requests_per_second_steady": report.steady,
        "tasks_per_second": report.per_second() * f64::from(figures.processors),
        "statuses": report.statuses,
        "most_open": report.most_open,
        "milliseconds_to_completion": {
            "p50": latency(0.5), "p90": latency(0.9), "p99": latency(0.99), "max": millis(report.latency.max()),
        },
        "cpu_seconds_per_1000_requests": cpu_json(&figures.cpu, report.completed),
        "worker_memory": {
            "peak_bytes": figures.peak_memory,
            "over_time": figures.memory.iter().map(|(at, bytes)| json!([at, bytes])).collect::<Vec<_>>(),
        },
        "deliveries": figures.deliveries.as_ref().map(|all| deliveries_json(figures, all)),
        "store_bytes_per_request": per_request(figures.stored as f64, report.completed),
        "floor": figures.sql.as_ref().map(|sql| json!({
            "requests": sql.baseline.requests,
            "requests_per_second": sql.baseline.requests as f64 / sql.baseline.elapsed.as_secs_f64(),
            "cpu_seconds_per_1000_requests": {
                "driver": per_thousand(sql.cpu.own, sql.baseline.requests),
                "database": per_thousand(sql.cpu.database, sql.baseline.requests),
            },
            "ratio": ratio(figures),
        })),
    })
}

fn deliveries_json(figures: &Figures, all: &Deliveries) -> Value {
    let latency = |share| millis(all.latency.percentile(share));
    let cpu = |part: Option<Duration>| per_thousand(part, all.count);
    json!({
        "count": all.count,
        "per_second": all.count as f64 / all.elapsed.as_secs_f64(),
        "processors_that_are_well": figures.well,
        "milliseconds_from_command": { "p50": latency(0.5), "p90": latency(0.9), "p99": latency(0.99) },
        "revived": { "count": all.late.0, "per_second": per_second(all.late) },
        "cpu_seconds_per_1000_deliveries": {
            "worker": cpu(figures.cpu.worker),
            "database": cpu(figures.cpu.database),
            "broker": cpu(figures.cpu.broker),
            "receiver_and_driver": cpu(figures.cpu.own),
        },
    })
}

fn per_second((count, took): (u64, Duration)) -> f64 {
    count as f64 / took.as_secs_f64().max(f64::EPSILON)
}

fn cpu_json(cpu: &Cpu, requests: u64) -> Value {
    json!({
        "worker": per_thousand(cpu.worker, requests),
        "broker": per_thousand(cpu.broker, requests),
        "database": per_thousand(cpu.database, requests),
        "simulators_and_driver": per_thousand(cpu.own, requests),
        "sum": per_thousand(Some(cpu.sum()), requests),
    })
}

/// A page for people.
pub(super) fn print(out: &mut Out, figures: &Figures) -> Result<(), Failure> {
    let report = &figures.report;
    out.line(format_args!(
        "\n{} of {} requests with {} tasks each and {} ids completed in {:.1} s (after {} that warmed)",
        report.completed,
        figures.load.requests,
        figures.processors,
        figures.ids.as_str(),
        report.elapsed.as_secs_f64(),
        figures.warmed
    ))?;
    for (end, count) in &report.others {
        out.line(format_args!("  {count} ended as {end}"))?;
    }
    let unfinished = figures.load.requests - report.closed();
    if unfinished > 0 {
        out.line(format_args!("  {unfinished} are NOT closed"))?;
    }
    out.line(format_args!(
        "  rate             {:.0} requests/s overall, {:.0} steady; {:.0} tasks/s",
        report.per_second(),
        report.steady,
        report.per_second() * f64::from(figures.processors)
    ))?;
    out.line(format_args!(
        "  open at a time   {} at the most",
        report.most_open
    ))?;
    let latency = |share| millis(report.latency.percentile(share));
    out.line(format_args!(
        "  to completion    p50 {:.0} ms, p90 {:.0} ms, p99 {:.0} ms, max {:.0} ms",
        latency(0.5),
        latency(0.9),
        latency(0.99),
        millis(report.latency.max())
    ))?;
    print_deliveries(out, figures)?;
    print_cpu(out, figures)?;
    print_memory(out, figures)?;
    out.line(format_args!(
        "  store            {:.0} bytes a request",
        per_request(figures.stored as f64, report.completed)
    ))?;
    print_baseline(out, figures)
}

fn print_deliveries(out: &mut Out, figures: &Figures) -> Result<(), Failure> {
    let Some(all) = &figures.deliveries else {
        return Ok(());
    };
    // A vendor is not told when a command was published.
    let latency = if all.latency.count() == 0 {
        String::new()
    } else {
        let latency = |share| millis(all.latency.percentile(share));
        format!(
            "; from the command p50 {:.0} ms, p90 {:.0} ms, p99 {:.0} ms",
            latency(0.5),
            latency(0.9),
            latency(0.99)
        )
    };
    let cpu = |part| per_thousand(part, all.count).map_or("not measured".to_owned(), |s| format!("{s:.4}"));
    out.line(format_args!(
        "  deliveries       {} to {} processors that are well: {:.0}/s{latency}",
        all.count,
        figures.well,
        all.count as f64 / all.elapsed.as_secs_f64(),
    ))?;
    out.line(format_args!(
        "                   CPU seconds per 1,000: worker {}, database {}",
        cpu(figures.cpu.worker),
        cpu(figures.cpu.database)
    ))?;
    if all.late.0 > 0 {
        out.line(format_args!(
            "  got well         {} deliveries to those that had been dead: {:.0}/s",
            all.late.0,
            per_second(all.late)
        ))?;
    }
    Ok(())
}

fn print_cpu(out: &mut Out, figures: &Figures) -> Result<(), Failure> {
    let requests = figures.report.completed;
    let shown = |time| {
        per_thousand(time, requests).map_or("not measured".to_owned(), |seconds| format!("{seconds:.4}"))
    };
    out.line("  CPU seconds per 1,000 requests")?;
    if figures.embedded {
        return out.line(format_args!("    everything     {}", shown(figures.cpu.own)));
    }
    out.line(format_args!("    worker         {}", shown(figures.cpu.worker)))?;
    out.line(format_args!("    broker         {}", shown(figures.cpu.broker)))?;
    out.line(format_args!("    database       {}", shown(figures.cpu.database)))?;
    out.line(format_args!("    sims + driver  {}", shown(figures.cpu.own)))?;
    out.line(format_args!(
        "    sum            {}",
        shown(Some(figures.cpu.sum()))
    ))
}

fn print_memory(out: &mut Out, figures: &Figures) -> Result<(), Failure> {
    let Some(peak) = figures.peak_memory else {
        return out.line("  memory           not measured");
    };
    let whose = if figures.embedded {
        "of everything"
    } else {
        "of the worker"
    };
    // Ten values tell the course well enough.
    let step = figures.memory.len().div_ceil(10).max(1);
    let course: Vec<String> = figures
        .memory
        .iter()
        .step_by(step)
        .map(|(at, bytes)| format!("{at:.0} s {:.0}", *bytes as f64 / MEBIBYTE))
        .collect();
    out.line(format_args!(
        "  memory           {:.0} MiB at the most {whose}; over time: {}",
        peak as f64 / MEBIBYTE,
        course.join(", ")
    ))
}

fn print_baseline(out: &mut Out, figures: &Figures) -> Result<(), Failure> {
    let Some(sql) = &figures.sql else {
        return Ok(());
    };
    let requests = sql.baseline.requests;
    let shown = |time| {
        per_thousand(time, requests).map_or("not measured".to_owned(), |seconds| format!("{seconds:.4}"))
    };
    out.line(format_args!(
        "  floor            {:.0} requests/s; CPU seconds per 1,000: driver {}, database {}",
        requests as f64 / sql.baseline.elapsed.as_secs_f64(),
        shown(sql.cpu.own),
        shown(sql.cpu.database)
    ))?;
    match ratio(figures) {
        Some(ratio) => out.line(format_args!(
            "  worker and database cost {ratio:.2} times the floor"
        )),
        None => out.line("  the ratio to the floor is not measured"),
    }
}

/// What worker and database cost, as a multiple of the baseline.
fn ratio(figures: &Figures) -> Option<f64> {
    let sql = figures.sql.as_ref()?;
    let ours = per_thousand(
        Some(figures.cpu.worker? + figures.cpu.database?),
        figures.report.completed,
    )?;
    let least = per_thousand(Some(sql.cpu.own? + sql.cpu.database?), sql.baseline.requests)?;
    (least > 0.0).then(|| ours / least)
}

fn per_thousand(time: Option<Duration>, requests: u64) -> Option<f64> {
    Some(per_request(time?.as_secs_f64() * 1000.0, requests))
}

fn per_request(amount: f64, requests: u64) -> f64 {
    if requests == 0 {
        0.0
    } else {
        amount / requests as f64
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
