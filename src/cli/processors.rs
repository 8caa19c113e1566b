//! `lacuna processors`: the registered processors, and their lanes.

mod test;

use super::{
    Exit, Failure, arguments, lanes,
    remote::RemoteArgs,
    session::ConfigArg,
    stops::{Shown, Wanted, change_lane},
};
use crate::{domain::ids::ProcessorId, engine::stop::LaneAction};

/// Arguments of `lacuna processors`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  lacuna processors pause crm --actor j.doe --reason 'maintenance until noon'"
)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Lists the registered processors: how each lane stands, what waits, and how it answers.
    #[command(
        after_help = "WAITS: for how long the first task waits in the queue of the lane. UNANSWERED: for how long a task is out. P50 and \
        P99: how long answers of the last day took. NOT FOUND beside USUALLY: the share of not_found of the last day, and of the 28 \
        days before. That a topic takes nothing only workers know, so only --url shows it.\n\n\
        Example:\n  lacuna processors list"
    )]
    List {
        #[command(flatten)]
        config: ConfigArg,
        /// As JSON lines.
        #[arg(long)]
        json: bool,
    },
    /// Shows one of them.
    #[command(
        after_help = "Exit code 1: there is no such processor.\n\nExample:\n  lacuna processors show crm"
    )]
    Show {
        #[command(flatten)]
        config: ConfigArg,
        /// The processor.
        #[arg(value_parser = arguments::processor)]
        id: ProcessorId,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Tries a processor that is called over HTTP: reads its secrets, connects, and signs a task that erases nobody.
    Test(test::Args),
    /// Stops the lane of a processor: nothing new is sent to it. The ledger has who and why.
    #[command(
        after_help = "What was sent before is out, and its answers count all the same: the answer says how much that is. What is \
        held back goes out when the lane is resumed; deadlines run on. With --config it works on the store, so no worker has to \
        answer. Exit code 1: there is no such processor.\n\n\
        Example:\n  lacuna processors pause crm --actor j.doe --reason 'maintenance until noon'"
    )]
    Pause {
        #[command(flatten)]
        config: ConfigArg,
        /// The processor.
        #[arg(value_parser = arguments::processor)]
        id: ProcessorId,
        /// Who decides it; the user of this shell where it is absent. Over the API it is the bearer.
        #[arg(long, value_name = "NAME", value_parser = arguments::name)]
        actor: Option<String>,
        /// Why.
        #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
        reason: String,
        #[command(flatten)]
        shown: Shown,
    },
    /// Has the lane of a processor go on: what waited for it is sent.
    #[command(after_help = "Example:\n  lacuna processors resume crm --actor j.doe --reason 'it is back'")]
    Resume {
        #[command(flatten)]
        config: ConfigArg,
        /// The processor.
        #[arg(value_parser = arguments::processor)]
        id: ProcessorId,
        /// Who decides it; the user of this shell where it is absent. Over the API it is the bearer.
        #[arg(long, value_name = "NAME", value_parser = arguments::name)]
        actor: Option<String>,
        /// Why.
        #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
        reason: Option<String>,
        #[command(flatten)]
        shown: Shown,
    },
}

/// Runs it.
pub fn run(args: Args, remote: &RemoteArgs) -> Result<Exit, Failure> {
    let (config, id, action, actor, reason, shown) = match args.action {
        Action::Test(args) => {
            remote.refuse()?;
            return test::run(&args);
        }
        Action::Pause {
            config,
            id,
            actor,
            reason,
            shown,
        } => (config, id, LaneAction::Stop, actor, Some(reason), shown),
        Action::Resume {
            config,
            id,
            actor,
            reason,
            shown,
        } => (config, id, LaneAction::Resume, actor, reason, shown),
        Action::List { config, json } => return lanes::show(&remote.target(&config)?, None, json),
        Action::Show { config, id, json } => return lanes::show(&remote.target(&config)?, Some(&id), json),
    };
    let wanted = Wanted {
        lane: Some(id),
        action,
        actor,
        reason,
    };
    change_lane(&remote.target(&config)?, wanted, shown)
}
