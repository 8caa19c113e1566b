//! `lacuna report`: what has become of the requests of a period.

use super::{
    Exit, Failure, arguments,
    knowledge::Knowledge,
    output::{Out, Table},
    remote::{Client, RemoteArgs, Target, path},
    session::{self, ConfigArg, block_on},
};
use crate::{
    clock::Clock,
    config::Config,
    domain::{calendar::Regime, ids::Tenant, report::period},
    engine::report::{ReportQuestion, report},
    terminal::output::Span,
    view::report::{csv, document, title},
    wire::report::{Quantiles, Report},
};

/// Arguments of `lacuna report`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A day begins when it does in policy.time_zone; what was received at --to belongs to \
                  the next period.\n\n\
                  Example:\n  lacuna report\n  lacuna report --from 2026-01-01 --to 2027-01-01 --regime ccpa --format csv\n  \
                  lacuna report --from 2026-11-01 --format html > november.html"
)]
pub struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// From this day or time of RFC 3339 on; the last whole month where nothing is said.
    #[arg(long, value_name = "DAY")]
    from: Option<String>,
    /// Before this day or time; until now where only --from is said.
    #[arg(long, value_name = "DAY", requires = "from")]
    to: Option<String>,
    /// Only requests of this tenant.
    #[arg(long, value_parser = arguments::tenant)]
    tenant: Option<Tenant>,
    /// Only requests of this regime.
    #[arg(long, value_parser = regime)]
    regime: Option<Regime>,
    /// How it is written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Tables for a terminal.
    Text,
    /// The document that `GET /v1/report` answers.
    Json,
    /// One number a row, for a spreadsheet.
    Csv,
    /// A page with plots, which stands alone and prints.
    Html,
}

fn regime(text: &str) -> Result<Regime, String> {
    Regime::parse(text).ok_or_else(|| crate::domain::calendar::EXPECTED_REGIME.to_owned())
}

/// Runs it.
pub fn run(args: &Args, remote: &RemoteArgs) -> Result<Exit, Failure> {
    let report = match remote.target(&args.config)? {
        Target::Direct(config) => read(&config, args)?,
        Target::Remote(worker) => ask(&worker, args)?,
    };
    let mut out = Out::stdout();
    match args.format {
        Format::Text => text(&mut out, &report)?,
        Format::Json => out.json(&report)?,
        Format::Csv => out.bytes(&csv(&report).map_err(|error| Failure::Usage(error.to_string()))?)?,
        Format::Html => out.line(document(&report))?,
    }
    out.end()?;
    Ok(Exit::Ok)
}

fn read(config: &Config, args: &Args) -> Result<Report, Failure> {
    let now = Clock::System.now();
    let calendar = config.policy.calendar_of(args.tenant.as_ref());
    let (from, to) = period(args.from.as_deref(), args.to.as_deref(), now, &calendar.zone)
        .map_err(|fault| Failure::Usage(format!("--{fault}")))?;
    let question = ReportQuestion {
        from,
        to,
        tenant: args.tenant.clone(),
        regime: args.regime.clone(),
    };
    block_on(async {
        let store = session::open_store(config).await?;
        let knowledge = Knowledge::read(store.as_ref(), config, now).await?;
        let registry = Some(knowledge.registry());
        Ok(report(store.as_ref(), &question, calendar, registry, now).await?)
    })
}

/// The report that a worker makes. It is written here, in whatever way.
fn ask(worker: &Client, args: &Args) -> Result<Report, Failure> {
    let query = [
        ("from", args.from.clone()),
        ("to", args.to.clone()),
        ("tenant", args.tenant.as_ref().map(ToString::to_string)),
        ("regime", args.regime.as_ref().map(ToString::to_string)),
    ];
    let query: Vec<_> = query
        .into_iter()
        .filter_map(|(name, text)| Some((name, text?)))
        .collect();
    Ok(serde_json::from_value(worker.get(&path(&["report"]), &query)?)?)
}

fn text(out: &mut Out, report: &Report) -> Result<(), Failure> {
    out.line(title(report))?;
    out.line("")?;
    let mut requests = Table::new(&["requests", "count"]).right(1..2);
    let refused: u64 = report.refused.values().sum();
    for (name, count) in [
        ("received", report.received),
        ("completed", report.completed),
        ("closed with exceptions", report.closed_with_exceptions),
        ("refused", refused),
        ("cancelled", report.cancelled),
        ("merged", report.merged),
        ("open", report.open),
        ("overdue", report.overdue),
        ("on time", report.on_time),
        ("late", report.late),
        ("attested", report.attested),
        ("forgotten", report.forgotten.requests),
    ] {
        requests.row([name.to_owned(), count.to_string()]);
    }
    out.table(&requests)?;
    out.line("")?;
    out.table(&times(report))?;
    if !report.processors.is_empty() {
        out.line("")?;
        out.table(&processors(report))?;
    }
    if !report.deferred_months.is_empty() {
        out.line("")?;
        out.table(&deferred(report))?;
    }
    Ok(())
}

fn times(report: &Report) -> Table {
    let mut table = Table::new(&["from the receipt", "count", "half", "9 of 10", "99 of 100"]).right(1..5);
    for (name, times) in [
        ("live systems clean", &report.live_clean_seconds),
        ("the end", &report.complete_seconds),
        ("late by", &report.late_seconds),
    ] {
        let Quantiles {
            count, p50, p90, p99, ..
        } = times;
        let cells = [p50, p90, p99].map(|seconds| span(*seconds));
        let [half, most, nearly_all] = cells;
        table.row([name.to_owned(), count.to_string(), half, most, nearly_all]);
    }
    table
}

fn processors(report: &Report) -> Table {
    let heads = [
        "processor",
        "tasks",
        "erased",
        "anonymized",
        "not found",
        "attested",
        "exempt",
        "abandoned",
        "waived",
        "open",
        "answers, half",
        "99 of 100",
    ];
    let mut table = Table::new(&heads).right(1..heads.len());
    for row in &report.processors {
        let counts = [
            row.tasks,
            row.erased,
            row.anonymized + row.pseudonymised,
            row.not_found,
            row.attested,
            row.exempt,
            row.abandoned,
            row.waived,
            row.open,
        ];
        let cells = counts.iter().map(u64::to_string);
        let answers = [row.ack_seconds.p50, row.ack_seconds.p99].map(span);
        table.row([row.id.to_string()].into_iter().chain(cells).chain(answers));
    }
    table
}

fn deferred(report: &Report) -> Table {
    let mut table = Table::new(&["month", "why", "tasks"]).right(2..3);
    for row in &report.deferred_months {
        let month = row.month.clone().unwrap_or_else(|| "no date".to_owned());
        table.row([month, row.reason.to_string(), row.tasks.to_string()]);
    }
    table
}

fn span(seconds: Option<f64>) -> String {
    let length = seconds.and_then(|seconds| std::time::Duration::try_from_secs_f64(seconds).ok());
    length.map_or_else(|| "-".to_owned(), |length| Span(length).to_string())
}
