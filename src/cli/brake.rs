//! `lacuna brake`: stops all lanes at once.

use super::{
    Exit, Failure, arguments,
    remote::RemoteArgs,
    session::ConfigArg,
    stops::{Shown, Wanted, change_lane, show_brake},
};
use crate::engine::stop::LaneAction;

/// Arguments of `lacuna brake`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lacuna brake on --actor j.doe --reason 'wrong list was submitted'")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Stops everything: nothing new is sent to anybody. The ledger has who and why.
    #[command(
        after_help = "Commands are taken in and answers count all the same; deadlines run on. What was sent before is out: the \
        answer says how much that is. With --config it works on the store, so no worker has to answer.\n\n\
        Example:\n  lacuna brake on --actor j.doe --reason 'wrong list was submitted'"
    )]
    On {
        #[command(flatten)]
        config: ConfigArg,
        /// Who decides it; the user of this shell where it is absent. Over the API it is the bearer.
        #[arg(long, value_name = "NAME", value_parser = arguments::name)]
        actor: Option<String>,
        /// Why.
        #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
        reason: String,
        #[command(flatten)]
        shown: Shown,
    },
    /// Has everything go on, but for lanes that are paused.
    #[command(after_help = "Example:\n  lacuna brake off --actor j.doe --reason 'the list was withdrawn'")]
    Off {
        #[command(flatten)]
        config: ConfigArg,
        /// Who decides it; the user of this shell where it is absent. Over the API it is the bearer.
        #[arg(long, value_name = "NAME", value_parser = arguments::name)]
        actor: Option<String>,
        /// Why.
        #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
        reason: Option<String>,
        #[command(flatten)]
        shown: Shown,
    },
    /// Shows whether it is on, since when, by whom and why.
    #[command(after_help = "Example:\n  lacuna brake show --json")]
    Show {
        #[command(flatten)]
        config: ConfigArg,
        #[command(flatten)]
        shown: Shown,
    },
}

/// Runs it.
pub fn run(args: Args, remote: &RemoteArgs) -> Result<Exit, Failure> {
    let (config, action, actor, reason, shown) = match args.action {
        Action::On {
            config,
            actor,
            reason,
            shown,
        } => (config, LaneAction::Stop, actor, Some(reason), shown),
        Action::Off {
            config,
            actor,
            reason,
            shown,
        } => (config, LaneAction::Resume, actor, reason, shown),
        Action::Show { config, shown } => return show_brake(&remote.target(&config)?, shown),
    };
    let wanted = Wanted {
        lane: None,
        action,
        actor,
        reason,
    };
    change_lane(&remote.target(&config)?, wanted, shown)
}
