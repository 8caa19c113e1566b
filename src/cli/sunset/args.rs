//! The arguments of `lacuna sunset`.

use std::path::PathBuf;

use super::rate::Rate;
use crate::{
    cli::{arguments, session::ConfigArg},
    clock::Clock,
    domain::{ids::Tenant, time::At, words::Action},
};

/// Arguments of `lacuna sunset`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The subjects: CSV whose header line names identity types, or JSON lines, {\"email\":\"…\",\
    \"customer_id\":\"…\"} or {\"identities\":[{\"type\":\"…\",\"value\":\"…\"}]}. Of any size; a file is read again for \
    each step, stdin too has to bring the same bytes again.\n\
    Three steps. --dry-run reads everything, counts, names each wrong line and what is wrong with it, and writes \
    nothing. --prepare (what is done without a mode) writes a plan, bound to the SHA-256 of the file and to the keyring. \
    --approve PLAN, by somebody else, publishes it, as `erase` or `anonymize` commands with the reason service_ceased. \
    A file or a plan that was changed since is refused.\n\
    Who that is: with [auth] in the configuration each person gives their bearer token (--token; prepare: submitter, \
    compliance or operator; approve: compliance), and the bearers must differ. Without [auth] the two names are only \
    stated, which proves nothing and is said loudly. Neither stops somebody who can change the configuration and read \
    the keyring.\n\
    Stopped by Ctrl-C, SIGKILL or a broker that is away, the same command continues where Kafka has confirmed last \
    (FILE.sunset). The ids of commands follow from the run and the subject: what is published twice is a duplicate and \
    changes nothing, and somebody listed twice with the same identifiers is one request. Approvals and the volume brake \
    of the policy, holds and grace periods apply as to all requests.\n\
    Exit code 1: refused or stopped. 2: a line or an argument is wrong. 3: Kafka is unreachable.\n\n\
    Example:\n  lacuna sunset users.csv --dry-run --rate 50/s\n  \
    ANN=… lacuna sunset users.csv --token env:ANN\n  \
    BOB=… lacuna sunset users.csv --approve users.csv.plan --token env:BOB --rate 50/s"
)]
#[command(group(clap::ArgGroup::new("later").multiple(true).args(["approve", "ids"])))]
pub struct Args {
    #[command(flatten)]
    pub(super) config: ConfigArg,
    /// The subjects; - for stdin.
    pub(super) file: PathBuf,
    /// Reads and checks everything, tells what would be done, and does nothing.
    #[arg(long, group = "mode")]
    pub(super) dry_run: bool,
    /// Writes a plan for somebody else to approve. Nothing is published.
    #[arg(long, group = "mode")]
    pub(super) prepare: bool,
    /// Approves a plan and publishes it, or continues with it.
    #[arg(long, value_name = "PLAN", group = "mode")]
    pub(super) approve: Option<PathBuf>,
    /// Prints the request ids of a plan, for `lacuna reconcile -`.
    #[arg(long, value_name = "PLAN", group = "mode")]
    pub(super) ids: Option<PathBuf>,
    /// Who does this, where there is no `[auth]`.
    #[arg(long, value_name = "NAME")]
    pub(super) actor: Option<String>,
    /// The bearer token of whoever does this: env:NAME or file:PATH.
    #[arg(long, value_name = "WHERE")]
    pub(super) token: Option<String>,
    /// How fast it is published, such as 50/s or 1000/h.
    #[arg(long, value_name = "N/s")]
    pub(super) rate: Option<Rate>,
    /// What is asked for: erase or anonymize.
    #[arg(long, default_value = "erase", value_parser = action, conflicts_with = "later")]
    pub(super) action: Action,
    /// Whose subjects they are; the configured default where it is absent.
    #[arg(long, value_parser = arguments::tenant, conflicts_with = "later")]
    pub(super) tenant: Option<Tenant>,
    /// The regime that gives the deadlines; the policy's where it is absent.
    #[arg(long, conflicts_with = "later")]
    pub(super) regime: Option<String>,
    /// From when deadlines count; now where it is absent.
    #[arg(long, value_name = "TIME", value_parser = past, conflicts_with = "later")]
    pub(super) requested_at: Option<At>,
    /// Says that your own records vouch for who these people are, where the policy asks for verification.
    #[arg(long, conflicts_with = "later")]
    pub(super) identity_verified: bool,
    /// Leaves out lines that are wrong, and lists them in FILE.bad. Without it, nothing is prepared while a line is wrong.
    #[arg(long, conflicts_with = "later")]
    pub(super) skip_bad: bool,
    /// Where the plan is written; FILE.plan where it is absent.
    #[arg(long, value_name = "PATH", conflicts_with = "later")]
    pub(super) plan: Option<PathBuf>,
    /// Where progress is kept; FILE.sunset where it is absent.
    #[arg(long, value_name = "PATH")]
    pub(super) state: Option<PathBuf>,
}

fn action(text: &str) -> Result<Action, &'static str> {
    Action::parse(text)
        .filter(|action| *action != Action::Verify)
        .ok_or("expected erase or anonymize")
}

fn past(text: &str) -> Result<At, String> {
    let at = At::parse(text).map_err(|error| error.to_string())?;
    if at > Clock::System.now() {
        return Err("expected a time that is past".to_owned());
    }
    Ok(at)
}
