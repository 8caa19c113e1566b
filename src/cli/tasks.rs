//! `lacuna tasks`: what each task waits for.

use serde_json::{Value, json};

use super::{
    Exit, Failure, arguments,
    fields::{text, value},
    knowledge::Knowledge,
    output::{Out, Table},
    remote::{RemoteArgs, Target, path},
    requests::warn_of_more,
    session::{self, ConfigArg, block_on},
    status::state as state_of,
};
use crate::{
    clock::Clock,
    config::Config,
    domain::{
        ids::{ProcessorId, RequestId},
        words::TaskStateName,
    },
    view::task::TaskView,
};

/// How many requests are read at a time.
const PAGE: u32 = 500;

/// Arguments of `lacuna tasks`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lacuna tasks list --state abandoned")]
pub struct Args {
    #[command(subcommand)]
    action: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Lists them, in the order of their requests.
    #[command(
        after_help = "Every filter that is given has to fit. What is abandoned waits for `lacuna retry` or `lacuna waive`.\n\n\
        Example:\n  lacuna tasks list --processor crm --state abandoned"
    )]
    List(ListArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Only those of this processor.
    #[arg(long, value_parser = arguments::processor)]
    processor: Option<ProcessorId>,
    /// Only those in this state, such as abandoned.
    #[arg(long, value_parser = arguments::task_state)]
    state: Option<TaskStateName>,
    /// How many at the most.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// As JSON lines.
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: Args, remote: &RemoteArgs) -> Result<Exit, Failure> {
    let Command::List(args) = args.action;
    let limit = args.limit as usize;
    let (tasks, more) = match remote.target(&args.config)? {
        Target::Direct(config) => block_on(read(&config, &args))?,
        Target::Remote(worker) => {
            let query = [
                ("processor", args.processor.as_ref().map(ToString::to_string)),
                ("state", args.state.map(|state| state.to_string())),
            ];
            let query: Vec<_> = query
                .into_iter()
                .filter_map(|(name, text)| Some((name, text?)))
                .collect();
            worker.list(&path(&["tasks"]), &query, limit)?
        }
    };
    let mut out = Out::stdout();
    if args.json {
        tasks.iter().try_for_each(|task| out.json(task))?;
    } else {
        out.table(&table(&tasks))?;
    }
    out.end()?;
    warn_of_more(more, args.limit);
    Ok(Exit::Ok)
}

async fn read(config: &Config, args: &ListArgs) -> Result<(Vec<Value>, bool), Failure> {
    let limit = args.limit as usize;
    let store = session::open_store(config).await?;
    let knowledge = Knowledge::read(store.as_ref(), config, Clock::System.now()).await?;
    let lanes = knowledge.lanes();
    let (mut found, mut after): (Vec<Value>, Option<RequestId>) = (Vec::new(), None);
    loop {
        let page = store.page(after, PAGE).await?;
        for stored in &page {
            let request = &stored.request;
            for ordinal in request.ordinals() {
                let task = request.task(ordinal);
                let fits = args.processor.as_ref().is_none_or(|id| *id == task.processor)
                    && args.state.is_none_or(|state| state == task.state.name());
                if !fits {
                    continue;
                }
                if found.len() == limit {
                    return Ok((found, true));
                }
                let mut view = value(&TaskView::now(request, ordinal, &lanes))?;
                view["request_id"] = json!(request.id);
                view["tenant"] = json!(request.head.tenant);
                found.push(view);
            }
        }
        after = page.last().map(|stored| stored.request.id);
        if page.len() < PAGE as usize {
            return Ok((found, false));
        }
    }
}

fn table(tasks: &[Value]) -> Table {
    let mut table = Table::new(&["task", "processor", "state", "why", "until", "tenant", "request"]);
    for task in tasks {
        table.row([
            text(task, "task_id"),
            text(task, "processor"),
            state_of(task),
            text(task, "why"),
            text(task, "until"),
            text(task, "tenant"),
            text(task, "request_id"),
        ]);
    }
    table
}

/// Tasks that were sent already, each with its request.
pub(super) fn sent(tasks: &[Value]) -> Table {
    let mut table = Table::new(&["request", "task", "processor", "state"]);
    for task in tasks {
        table.row(["request_id", "task_id", "processor", "state"].map(|name| text(task, name)));
    }
    table
}
