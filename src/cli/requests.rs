//! `lacuna requests`: lists requests.

use serde_json::Value;

use super::{
    Exit, Failure, arguments,
    fields::{number, text, values},
    knowledge::Knowledge,
    output::{Out, Table},
    remote::{Client, RemoteArgs, Target, path},
    session::{self, ConfigArg, block_on},
    status::flags,
};
use crate::{
    clock::Clock,
    config::Config,
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
    after_help = "In the order of ids. Every filter that is given has to fit.\n\n\
    Example:\n  lacuna requests --overdue --processor crm\n  lacuna requests --status in_progress --json | head"
)]
pub struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// Only those in this state, such as in_progress.
    #[arg(long, value_parser = arguments::status)]
    status: Option<Status>,
    /// Only those of this tenant.
    #[arg(long, value_parser = arguments::tenant)]
    tenant: Option<Tenant>,
    /// Only those that concern this processor.
    #[arg(long, value_parser = arguments::processor)]
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
    #[arg(long, value_name = "TIME", value_parser = arguments::time)]
    due_after: Option<At>,
    /// Only those that are due before this time.
    #[arg(long, value_name = "TIME", value_parser = arguments::time)]
    due_before: Option<At>,
    /// How many at the most.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// As JSON lines: status objects.
    #[arg(long)]
    json: bool,
}

/// How many are read at a time.
const PAGE: u32 = 500;

/// Runs it.
pub fn run(args: &Args, remote: &RemoteArgs) -> Result<Exit, Failure> {
    let (found, more) = match remote.target(&args.config)? {
        Target::Direct(config) => read(&config, args)?,
        Target::Remote(worker) => args.ask(&worker)?,
    };
    let mut out = Out::stdout();
    if args.json {
        found.iter().try_for_each(|request| out.json(request))?;
    } else {
        out.table(&table(&found))?;
    }
    out.end()?;
    warn_of_more(more, args.limit);
    Ok(Exit::Ok)
}

/// Says that a list is not all.
pub(super) fn warn_of_more(more: bool, limit: u32) {
    if more {
        tracing::warn!(limit, "there are more: --limit shows them");
    }
}

fn read(config: &Config, args: &Args) -> Result<(Vec<Value>, bool), Failure> {
    let (found, more, knowledge) = block_on(async {
        let store = session::open_store(config).await?;
        let (found, more) = find(store.as_ref(), args).await?;
        let knowledge = Knowledge::read(store.as_ref(), config, Clock::System.now()).await?;
        Ok((found, more, knowledge))
    })?;
    let bodies = &config.policy.complaint_bodies;
    let statuses = found
        .iter()
        .map(|request| status_message(request, bodies, &knowledge.lanes()));
    Ok((values(statuses)?, more))
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
    fn ask(&self, worker: &Client) -> Result<(Vec<Value>, bool), Failure> {
        let texts = [
            ("status", self.status.map(|status| status.to_string())),
            ("tenant", self.tenant.as_ref().map(ToString::to_string)),
            ("processor", self.processor.as_ref().map(ToString::to_string)),
        ];
        let flags = [
            ("overdue", self.overdue),
            ("at_risk", self.at_risk),
            ("needs_attention", self.needs_attention),
        ];
        let texts = texts.into_iter().filter_map(|(name, text)| Some((name, text?)));
        let flags = flags.into_iter().filter(|(_, set)| *set);
        let query: Vec<_> = texts
            .chain(flags.map(|(name, _)| (name, "true".to_owned())))
            .collect();
        worker.list(&path(&["requests"]), &query, self.limit as usize)
    }

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

/// A table of status objects.
pub(super) fn table(requests: &[Value]) -> Table {
    let mut table = Table::new(&["request", "tenant", "action", "done", "deadline", "status"]);
    for request in requests {
        let done = number(&request["tasks"], "done") + number(&request["outcomes"], "exempt");
        table.row([
            text(request, "request_id"),
            text(request, "tenant"),
            text(request, "action"),
            format!("{done}/{}", number(&request["tasks"], "total")),
            text(request, "deadline"),
            format!("{}{}", text(request, "status"), flags(request)),
        ]);
    }
    table
}
