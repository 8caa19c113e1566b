//! `lacuna bulk`: changes to many requests at once.

use uuid::Uuid;

use super::{
    Exit, Failure,
    output::{Out, Table},
    positions::name,
    session::{self, ConfigArg, block_on},
};
use crate::{
    config::Config,
    domain::{
        ids::RequestId,
        words::{BulkAction, BulkDeed, HoldBasis},
    },
    engine::{
        Engine,
        bulk::{BulkError, Chosen, Forecast, Order},
        lists::Filter,
    },
    store::BulkJob,
    view::bulk::{BulkView, ForecastView},
};

/// How many jobs a list shows.
const SHOWN: u32 = 100;

/// Arguments of `lacuna bulk`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  lacuna bulk start retry --filter failing=true --filter processor=crm --dry-run"
)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

/// Which job, and whose deed it is.
#[derive(Debug, clap::Args)]
struct Which {
    #[command(flatten)]
    config: ConfigArg,
    /// The job.
    id: Uuid,
    /// Who does it.
    #[arg(long, value_name = "NAME", value_parser = name)]
    actor: String,
}

/// What is wanted.
#[derive(Debug, clap::Args)]
struct Start {
    #[command(flatten)]
    config: ConfigArg,
    /// What is done: retry, waive, approve, cancel or hold.
    #[arg(value_parser = action)]
    action: BulkAction,
    /// A condition, as in the address of a list: status=awaiting_approval, overdue=true, due_before=2026-12-31T00:00:00Z.
    #[arg(
        long,
        value_name = "KEY=VALUE",
        required_unless_present = "id",
        conflicts_with = "id"
    )]
    filter: Vec<String>,
    /// A request, in place of a filter.
    #[arg(long, value_name = "ID")]
    id: Vec<Uuid>,
    /// Who orders it.
    #[arg(long, value_name = "NAME", value_parser = name)]
    actor: String,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// The legal ground of holds.
    #[arg(long, value_name = "WORD", value_parser = basis)]
    basis: Option<HoldBasis>,
    /// How many requests you believe that they are; where it is another number, nothing is done.
    #[arg(long, value_name = "N", required_unless_present_any = ["dry_run", "id"])]
    expected_count: Option<u64>,
    /// Only says what it would do.
    #[arg(long)]
    dry_run: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Orders a change, which the workers make.
    #[command(
        after_help = "Changes go by the same rules as those of single requests: nobody approves what they have submitted, what was \
        sent cannot be withdrawn. Look at the dry run first: it says how many are meant, and why some would not be changed.\n\n\
        Exit code 1: another number of requests is meant than expected, or more than one job takes.\n\n\
        Example:\n  lacuna bulk start approve --filter status=awaiting_approval --actor anna --expected-count 12"
    )]
    Start(Box<Start>),
    /// Lists the jobs, the latest first.
    #[command(after_help = "Example:\n  lacuna bulk list")]
    List {
        #[command(flatten)]
        config: ConfigArg,
        /// As JSON lines.
        #[arg(long)]
        json: bool,
    },
    /// Shows how far one has come, and why some were not changed.
    #[command(after_help = "Example:\n  lacuna bulk show 01939f5e-7b1a-7000-8000-000000000001")]
    Show {
        #[command(flatten)]
        config: ConfigArg,
        /// The job.
        id: Uuid,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Stops one for a while.
    #[command(after_help = "Example:\n  lacuna bulk pause 01939f5e-7b1a-7000-8000-000000000001 --actor anna")]
    Pause(Which),
    /// Has it go on.
    #[command(
        after_help = "Example:\n  lacuna bulk resume 01939f5e-7b1a-7000-8000-000000000001 --actor anna"
    )]
    Resume(Which),
    /// Ends it: what is changed stays so.
    #[command(
        after_help = "Example:\n  lacuna bulk cancel 01939f5e-7b1a-7000-8000-000000000001 --actor anna"
    )]
    Cancel(Which),
}

fn action(text: &str) -> Result<BulkAction, String> {
    let names: Vec<&str> = BulkAction::ALL.iter().map(|action| action.as_str()).collect();
    BulkAction::parse(text).ok_or_else(|| format!("expected one of: {}", names.join(", ")))
}

fn basis(text: &str) -> Result<HoldBasis, String> {
    let names: Vec<&str> = HoldBasis::ALL.iter().map(|basis| basis.as_str()).collect();
    HoldBasis::parse(text).ok_or_else(|| format!("expected one of: {}", names.join(", ")))
}

/// Runs it.
pub fn run(args: Args) -> Result<Exit, Failure> {
    match args.action {
        Action::Start(start) => order(&start),
        Action::List { config, json } => list(&config.load()?, json),
        Action::Show { config, id, json } => show(&config.load()?, id, json),
        Action::Pause(which) => set(&which, BulkDeed::Pause),
        Action::Resume(which) => set(&which, BulkDeed::Resume),
        Action::Cancel(which) => set(&which, BulkDeed::Cancel),
    }
}

fn order(start: &Start) -> Result<Exit, Failure> {
    let order = Order {
        action: start.action,
        chosen: chosen(start)?,
        reason: start.reason.clone(),
        basis: start.basis,
    };
    order.check().map_err(failure)?;
    let config = start.config.load()?;
    block_on(async {
        let engine = session::engine(&config).await?;
        let mut out = Out::stdout();
        if start.dry_run {
            let forecast = engine
                .bulk()
                .foresee(&order, &start.actor)
                .await
                .map_err(failure)?;
            if start.json {
                out.json(&ForecastView::of(order.action, &forecast))?;
            } else {
                print_forecast(&mut out, &forecast)?;
            }
        } else {
            let bulk = engine.bulk();
            let job = bulk.start(&order, &start.actor, start.expected_count, None).await;
            print(&engine, &mut out, &job.map_err(failure)?, start.json).await?;
        }
        out.end()?;
        Ok(Exit::Ok)
    })
}

fn chosen(start: &Start) -> Result<Chosen, Failure> {
    if start.filter.is_empty() {
        return Ok(Chosen::Ids {
            ids: start.id.iter().copied().map(RequestId).collect(),
            tenant: None,
            processor: None,
        });
    }
    let mut filter = Filter::default();
    for condition in &start.filter {
        let (key, value) = condition
            .split_once('=')
            .filter(|(key, _)| Filter::KEYS.contains(key))
            .ok_or_else(|| {
                Failure::Usage(format!(
                    "--filter: expected KEY=VALUE with one of the keys {}",
                    Filter::KEYS.join(", ")
                ))
            })?;
        filter = filter
            .with(key, value)
            .ok_or_else(|| Failure::Usage(format!("--filter {key}: expected {}", Filter::expects(key))))?;
    }
    Ok(Chosen::Filter(Box::new(filter)))
}

fn list(config: &Config, json: bool) -> Result<Exit, Failure> {
    block_on(async {
        let engine = session::engine(config).await?;
        let jobs = engine.bulk().jobs(None, None, SHOWN).await?;
        let mut out = Out::stdout();
        if json {
            jobs.iter().try_for_each(|job| out.json(&BulkView::of(job)))?;
        } else {
            let mut table = Table::new(&[
                "job", "action", "state", "by", "done", "not done", "left", "ordered",
            ]);
            for job in &jobs {
                let view = BulkView::of(job);
                table.row([
                    view.bulk_id.to_string(),
                    view.action.to_string(),
                    view.state.to_owned(),
                    view.actor.to_owned(),
                    view.done.to_string(),
                    view.refused.to_string(),
                    view.waiting.to_string(),
                    view.created_at.to_string(),
                ]);
            }
            out.table(&table)?;
        }
        out.end()?;
        Ok(Exit::Ok)
    })
}

fn show(config: &Config, id: Uuid, json: bool) -> Result<Exit, Failure> {
    block_on(async {
        let engine = session::engine(config).await?;
        let job = engine.bulk().job(id).await?;
        let job = job.ok_or_else(|| failure(BulkError::Unknown))?;
        let mut out = Out::stdout();
        print(&engine, &mut out, &job, json).await?;
        out.end()?;
        Ok(Exit::Ok)
    })
}

fn set(which: &Which, deed: BulkDeed) -> Result<Exit, Failure> {
    let config = which.config.load()?;
    block_on(async {
        let engine = session::engine(&config).await?;
        let job = engine.bulk().set(which.id, &which.actor, deed).await;
        let mut out = Out::stdout();
        print(&engine, &mut out, &job.map_err(failure)?, false).await?;
        out.end()?;
        Ok(Exit::Ok)
    })
}

async fn print(engine: &Engine, out: &mut Out, job: &BulkJob, json: bool) -> Result<(), Failure> {
    let reasons = engine.bulk().refusals(job.id).await?;
    let view = BulkView::of(job).with_reasons(&reasons);
    if json {
        return out.json(&view);
    }
    out.line(format_args!("job       {}", view.bulk_id))?;
    out.line(format_args!("action    {}", view.action))?;
    out.line(format_args!("state     {}", view.state))?;
    out.line(format_args!("by        {}", view.actor))?;
    out.line(format_args!("requests  {}", view.matched))?;
    out.line(format_args!("done      {}", view.done))?;
    out.line(format_args!("not done  {}", view.refused))?;
    out.line(format_args!("left      {}", view.waiting))?;
    for (why, n) in &reasons {
        out.line(format_args!("          {n}: {why}"))?;
    }
    Ok(())
}

fn print_forecast(out: &mut Out, forecast: &Forecast) -> Result<(), Failure> {
    out.line(format_args!(
        "{} requests are meant, {} will be changed ({} changes), {} will not",
        forecast.matched,
        forecast.will,
        forecast.changes,
        forecast.matched - forecast.will
    ))?;
    for (why, refusal) in &forecast.refusals {
        out.line(format_args!("  {}: {why}", refusal.count))?;
    }
    Ok(())
}

/// What was asked for is not so, or the store failed.
fn failure(error: BulkError) -> Failure {
    match error {
        BulkError::Engine(error) => error.into(),
        BulkError::Missing(what) => Failure::Usage(what.to_owned()),
        error => Failure::NotSo(error.to_string()),
    }
}
