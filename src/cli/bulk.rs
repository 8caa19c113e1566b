//! `lacuna bulk`: changes to many requests at once.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    Exit, Failure, arguments,
    fields::{items, text, value, values},
    output::{Out, Table},
    remote::{RemoteArgs, Target, path, refuse_actor},
    session::{self, ConfigArg, block_on, deciding},
};
use crate::{
    config::Config,
    domain::{
        ids::RequestId,
        words::{BulkAction, BulkOperation, HoldBasis},
    },
    engine::{
        Engine,
        bulk::{BulkError, Chosen, Order},
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

/// Which job, and whose operation it is.
#[derive(Debug, clap::Args)]
struct Which {
    #[command(flatten)]
    config: ConfigArg,
    /// The job.
    id: Uuid,
    /// Who does it; the user of this shell where it is absent. Over the API it is the bearer.
    #[arg(long, value_name = "NAME", value_parser = arguments::name)]
    actor: Option<String>,
}

/// What is wanted.
#[derive(Debug, clap::Args)]
struct Start {
    #[command(flatten)]
    config: ConfigArg,
    /// What is done: retry, waive, approve, cancel or hold.
    #[arg(value_parser = arguments::bulk_action)]
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
    /// Who orders it; the user of this shell where it is absent. Over the API it is the bearer.
    #[arg(long, value_name = "NAME", value_parser = arguments::name)]
    actor: Option<String>,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// The legal ground of holds.
    #[arg(long, value_name = "WORD", value_parser = arguments::hold_basis)]
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

/// Runs it.
pub fn run(args: Args, remote: &RemoteArgs) -> Result<Exit, Failure> {
    match args.action {
        Action::Start(start) => order(*start, remote),
        Action::List { config, json } => list(&remote.target(&config)?, json),
        Action::Show { config, id, json } => show(&remote.target(&config)?, id, json),
        Action::Pause(which) => set(which, BulkOperation::Pause, remote),
        Action::Resume(which) => set(which, BulkOperation::Resume, remote),
        Action::Cancel(which) => set(which, BulkOperation::Cancel, remote),
    }
}

fn order(start: Start, remote: &RemoteArgs) -> Result<Exit, Failure> {
    let order = Order {
        action: start.action,
        chosen: chosen(&start)?,
        reason: start.reason.clone(),
        basis: start.basis,
    };
    order.check().map_err(failure)?;
    let came = match remote.target(&start.config)? {
        Target::Direct(config) => {
            let actor = deciding(start.actor.clone())?;
            block_on(order_here(&config, &order, &start, &actor))?
        }
        Target::Remote(worker) => {
            refuse_actor(start.actor.as_deref())?;
            worker.post(&path(&["bulk"]), &body_of(&start))?
        }
    };
    print(&came, start.json)
}

async fn order_here(config: &Config, order: &Order, start: &Start, actor: &str) -> Result<Value, Failure> {
    let engine = session::engine(config).await?;
    let bulk = engine.bulk();
    if start.dry_run {
        let forecast = bulk.foresee(order, actor).await.map_err(failure)?;
        return value(&ForecastView::of(order.action, &forecast));
    }
    let job = bulk.start(order, actor, start.expected_count, None).await;
    view_of(&engine, &job.map_err(failure)?).await
}

/// The order as `POST /v1/bulk` takes it.
fn body_of(start: &Start) -> Value {
    let mut body = json!({ "action": start.action, "dry_run": start.dry_run });
    let filter = start
        .filter
        .iter()
        .filter_map(|condition| condition.split_once('='));
    let filter: Map<String, Value> = filter
        .map(|(key, value)| (key.to_owned(), json!(value)))
        .collect();
    if filter.is_empty() {
        body["ids"] = json!(start.id);
    } else {
        body["filter"] = Value::Object(filter);
    }
    if let Some(reason) = &start.reason {
        body["reason"] = json!(reason);
    }
    if let Some(basis) = start.basis {
        body["basis"] = json!(basis);
    }
    if let Some(count) = start.expected_count {
        body["expected_count"] = json!(count);
    }
    body
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

fn list(target: &Target, json: bool) -> Result<Exit, Failure> {
    let jobs = match target {
        Target::Direct(config) => block_on(async {
            let jobs = session::engine(config)
                .await?
                .bulk()
                .jobs(None, None, SHOWN)
                .await?;
            values(jobs.iter().map(BulkView::of))
        })?,
        Target::Remote(worker) => worker.list(&path(&["bulk"]), &[], SHOWN as usize)?.0,
    };
    let mut out = Out::stdout();
    if json {
        jobs.iter().try_for_each(|job| out.json(job))?;
    } else {
        let mut table = Table::new(&[
            "job", "action", "state", "by", "done", "not done", "left", "ordered",
        ]);
        for job in &jobs {
            let columns = [
                "bulk_id",
                "action",
                "state",
                "actor",
                "done",
                "refused",
                "waiting",
                "created_at",
            ];
            table.row(columns.map(|name| text(job, name)));
        }
        out.table(&table)?;
    }
    out.end()?;
    Ok(Exit::Ok)
}

fn show(target: &Target, id: Uuid, json: bool) -> Result<Exit, Failure> {
    let job = match target {
        Target::Direct(config) => block_on(async {
            let engine = session::engine(config).await?;
            let job = engine.bulk().job(id).await?;
            view_of(&engine, &job.ok_or_else(|| failure(BulkError::Unknown))?).await
        })?,
        Target::Remote(worker) => worker.get(&path(&["bulk", &id.to_string()]), &[])?,
    };
    print(&job, json)
}

fn set(which: Which, operation: BulkOperation, remote: &RemoteArgs) -> Result<Exit, Failure> {
    let job = match remote.target(&which.config)? {
        Target::Direct(config) => {
            let actor = deciding(which.actor)?;
            block_on(async {
                let engine = session::engine(&config).await?;
                let job = engine.bulk().set(which.id, &actor, operation).await;
                view_of(&engine, &job.map_err(failure)?).await
            })?
        }
        Target::Remote(worker) => {
            refuse_actor(which.actor.as_deref())?;
            let verb = match operation {
                BulkOperation::Pause => "pause",
                BulkOperation::Resume => "resume",
                BulkOperation::Cancel => "cancel",
                BulkOperation::Start => "start",
            };
            worker.post(&path(&["bulk", &which.id.to_string(), verb]), &json!({}))?
        }
    };
    print(&job, false)
}

async fn view_of(engine: &Engine, job: &BulkJob) -> Result<Value, Failure> {
    let reasons = engine.bulk().refusals(job.id).await?;
    value(&BulkView::of(job).with_reasons(&reasons))
}

/// A job, or a forecast of one.
fn print(came: &Value, json: bool) -> Result<Exit, Failure> {
    let mut out = Out::stdout();
    if json {
        out.json(came)?;
    } else if came["dry_run"].is_null() {
        print_job(&mut out, came)?;
    } else {
        print_forecast(&mut out, came)?;
    }
    out.end()?;
    Ok(Exit::Ok)
}

fn print_job(out: &mut Out, job: &Value) -> Result<(), Failure> {
    for (what, name) in [
        ("job     ", "bulk_id"),
        ("action  ", "action"),
        ("state   ", "state"),
        ("by      ", "actor"),
        ("requests", "matched"),
        ("done    ", "done"),
        ("not done", "refused"),
        ("left    ", "waiting"),
    ] {
        out.line(format_args!("{what}  {}", text(job, name)))?;
    }
    for reason in items(job, "reasons") {
        out.line(format_args!(
            "          {}: {}",
            text(reason, "count"),
            text(reason, "why")
        ))?;
    }
    Ok(())
}

fn print_forecast(out: &mut Out, forecast: &Value) -> Result<(), Failure> {
    out.line(format_args!(
        "{} requests are meant, {} will be changed ({} changes), {} will not",
        text(forecast, "matched"),
        text(forecast, "will"),
        text(forecast, "changes"),
        text(forecast, "will_not")
    ))?;
    for reason in items(forecast, "reasons") {
        out.line(format_args!(
            "  {}: {}",
            text(reason, "count"),
            text(reason, "why")
        ))?;
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
