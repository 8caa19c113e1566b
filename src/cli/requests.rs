//! `lacuna requests`: lists requests.

use super::{
    Exit, Failure,
    knowledge::Knowledge,
    output::{Out, Table},
    session::{self, ConfigArg, block_on},
    status::flags,
};
use crate::{
    clock::Clock,
    domain::{
        ids::{ProcessorId, RequestId, Tenant},
        request::Request,
        time::At,
        words::Status,
    },
    engine::status::status_message,
    store::Store,
};

/// Arguments of `lacuna requests`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Reads the store directly, in the order of ids. Every filter that is given has to fit.\n\n\
    Example:\n  lacuna requests --overdue --processor crm\n  lacuna requests --status in_progress --json | head"
)]
pub struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// Only those in this state, such as in_progress.
    #[arg(long, value_parser = status)]
    status: Option<Status>,
    /// Only those of this tenant.
    #[arg(long, value_parser = tenant)]
    tenant: Option<Tenant>,
    /// Only those that concern this processor.
    #[arg(long, value_parser = processor)]
    processor: Option<ProcessorId>,
    /// Only those whose deadline has passed while live systems are not clean.
    #[arg(long)]
    overdue: bool,
    /// Only those with little of their period left.
    #[arg(long)]
    at_risk: bool,
    /// Only those that a person has to look at.
    #[arg(long)]
    needs_attention: bool,
    /// Only those of which a task has failed and not succeeded since.
    #[arg(long)]
    failing: bool,
    /// Only those that are due after this time.
    #[arg(long, value_name = "TIME", value_parser = time)]
    due_after: Option<At>,
    /// Only those that are due before this time.
    #[arg(long, value_name = "TIME", value_parser = time)]
    due_before: Option<At>,
    /// How many at the most.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// As JSON lines: status objects.
    #[arg(long)]
    json: bool,
}

fn status(text: &str) -> Result<Status, String> {
    let names: Vec<&str> = Status::ALL.iter().map(|status| status.as_str()).collect();
    Status::parse(text).ok_or_else(|| format!("expected one of: {}", names.join(", ")))
}

fn time(text: &str) -> Result<At, String> {
    At::parse(text).map_err(|error| error.to_string())
}

pub(super) fn tenant(text: &str) -> Result<Tenant, String> {
    Tenant::new(text).map_err(|error| error.to_string())
}

pub(super) fn processor(text: &str) -> Result<ProcessorId, String> {
    ProcessorId::new(text).map_err(|error| error.to_string())
}

/// How many are read at a time.
const PAGE: u32 = 500;

/// Runs it.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    let config = args.config.load()?;
    let (found, more, knowledge) = block_on(async {
        let store = session::open_store(&config).await?;
        let (found, more) = find(store.as_ref(), args).await?;
        let knowledge = Knowledge::read(store.as_ref(), &config, Clock::System.now()).await?;
        Ok((found, more, knowledge))
    })?;
    let mut out = Out::stdout();
    if args.json {
        let bodies = &config.policy.complaint_bodies;
        found
            .iter()
            .try_for_each(|request| out.json(&status_message(request, bodies, &knowledge.lanes())))?;
    } else {
        out.table(&table(&found))?;
    }
    out.end()?;
    if more {
        tracing::warn!(limit = args.limit, "there are more: --limit shows them");
    }
    Ok(Exit::Ok)
}

/// The first requests that fit, and whether there are more.
///
/// All of them are walked, also for filters that only open ones can fit: the agenda, which lists open ones, has no row
/// for a request that nothing will wake, and that is the one that needs attention most.
async fn find(store: &dyn Store, args: &Args) -> Result<(Vec<Request>, bool), Failure> {
    let limit = args.limit as usize;
    let mut found = Vec::new();
    let mut after: Option<RequestId> = None;
    loop {
        let page = store.page(after, PAGE).await?;
        let is_last = page.len() < PAGE as usize;
        after = page.last().map(|stored| stored.request.id);
        found.extend(
            page.into_iter()
                .map(|stored| stored.request)
                .filter(|request| args.fits(request)),
        );
        if found.len() > limit {
            found.truncate(limit);
            return Ok((found, true));
        }
        if is_last {
            return Ok((found, false));
        }
    }
}

impl Args {
    fn fits(&self, request: &Request) -> bool {
        let life = &request.life;
        self.status.is_none_or(|status| life.status == status)
            && self
                .tenant
                .as_ref()
                .is_none_or(|tenant| request.head.tenant == *tenant)
            && self
                .processor
                .as_ref()
                .is_none_or(|processor| request.processors().any(|id| id == processor))
            && (!self.overdue || life.overdue)
            && (!self.at_risk || life.at_risk)
            && (!self.needs_attention || life.needs_attention)
            && (!self.failing || request.is_failing())
            && self.due_after.is_none_or(|at| life.clock.due > at)
            && self.due_before.is_none_or(|at| life.clock.due < at)
    }
}

fn table(requests: &[Request]) -> Table {
    let mut table = Table::new(&["request", "tenant", "action", "done", "deadline", "status"]);
    for request in requests {
        let counts = request.counts();
        table.row([
            request.id.to_string(),
            request.head.tenant.to_string(),
            request.head.action.to_string(),
            format!("{}/{}", counts.done + counts.exempt, counts.total),
            request.life.clock.due.to_string(),
            format!("{}{}", request.life.status, flags(request)),
        ]);
    }
    table
}
