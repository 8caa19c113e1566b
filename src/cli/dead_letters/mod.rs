//! `lacuna dead-letters`: messages that could not be taken in.

mod redrive;

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Exit, Failure, arguments,
    fields::{number, text, values},
    output::{Out, Span, Table},
    remote::{Client, RemoteArgs, Target, path, refuse_actor},
    session::{self, ConfigArg, actor_or_user, block_on},
};
use crate::{
    app::AppError,
    clock::Clock,
    config::Config,
    domain::words::{CommandKind, DeadLetterReason},
    engine::disclosures::{NotShown, open_letter},
    store::{DeadLetter, DeadLetterFilter, DeadLetterState, Store},
    telemetry::metrics::Metrics,
    view::dead_letter::{DeadLetterView, why_without_payload},
};

/// Arguments of `lacuna dead-letters`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lacuna dead-letters list")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Lists open ones, oldest first.
    #[command(
        after_help = "TYPE is the command that it was, where its bytes say so; a message that is no JSON may be any. \
        An erase or anonymize that was refused is a legal duty that nobody carries out: have it corrected and sent \
        again, redrive it, or close it with the reason why nothing is owed.\n\n\
        Example:\n  lacuna dead-letters list --erasures\n  lacuna dead-letters list --all --json"
    )]
    List {
        #[command(flatten)]
        config: ConfigArg,
        /// Also those that were redriven or closed.
        #[arg(long)]
        all: bool,
        /// Only commands to erase or to anonymize: what is still owed to somebody.
        #[arg(long)]
        erasures: bool,
        /// As JSON lines.
        #[arg(long)]
        json: bool,
    },
    /// Shows one: why it was refused and where it came from.
    #[command(
        after_help = "Example:\n  lacuna dead-letters show 0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4d --reveal"
    )]
    Show {
        #[command(flatten)]
        config: ConfigArg,
        /// The dead letter.
        id: Uuid,
        /// Prints the original bytes, and nothing else, to stdout. They are personal data.
        #[arg(long)]
        reveal: bool,
    },
    /// Publishes the original bytes to their topic again, the event of a source as the command that it becomes.
    #[command(
        after_help = "They go with their key and the headers that say what they are (those of CloudEvents, content-type and \
        traceparent). The event of a source is mapped as the configuration says now, and the command goes to the topic of \
        commands. Done for each by itself: what went through is marked, also where a later one \
        fails.\n\nExample:\n  lacuna dead-letters redrive --reason unknown_task"
    )]
    #[command(group(clap::ArgGroup::new("which").required(true).args(["ids", "reason"])))]
    Redrive {
        #[command(flatten)]
        config: ConfigArg,
        /// The dead letters.
        ids: Vec<Uuid>,
        /// All open ones that were refused for this reason.
        #[arg(long, value_parser = arguments::dead_letter_reason)]
        reason: Option<DeadLetterReason>,
        /// Why it is done now; kept in the clear, so no identifiers.
        #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
        note: Option<String>,
        /// Who decides it; the user of this shell where it is absent. Over the API it is the bearer.
        #[arg(long, value_name = "NAME", value_parser = arguments::name)]
        actor: Option<String>,
    },
    /// Closes one: nothing is to be done about it.
    #[command(after_help = "Example:\n  \
        lacuna dead-letters close 0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4d --reason 'sent again by upstream, ticket T-17'")]
    Close {
        #[command(flatten)]
        config: ConfigArg,
        /// The dead letter.
        id: Uuid,
        /// Why; kept in the clear, so no identifiers.
        #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
        reason: String,
        /// Who decides it; the user of this shell where it is absent. Over the API it is the bearer.
        #[arg(long, value_name = "NAME", value_parser = arguments::name)]
        actor: Option<String>,
    },
}

/// Runs it.
pub fn run(args: Args, remote: &RemoteArgs) -> Result<Exit, Failure> {
    match args.action {
        Action::List {
            config,
            all,
            erasures,
            json,
        } => list(&remote.target(&config)?, all, erasures, json),
        Action::Show { config, id, reveal } => {
            remote.refuse()?;
            show(&config.load()?, id, reveal)
        }
        Action::Redrive {
            config,
            ids,
            reason,
            note,
            actor,
        } => {
            let wanted = redrive::Wanted {
                ids,
                reason,
                actor,
                note,
            };
            redrive::run(&remote.target(&config)?, wanted)
        }
        Action::Close {
            config,
            id,
            reason,
            actor,
        } => close(&remote.target(&config)?, id, actor, &reason),
    }
}

/// Every dead letter that is open, or every one.
async fn every(store: &dyn Store, open_only: bool) -> Result<Vec<DeadLetter>, Failure> {
    const PAGE: u32 = 500;
    let mut letters: Vec<DeadLetter> = Vec::new();
    loop {
        let after = letters.last().map(|letter| letter.id);
        let page = store
            .dead_letters(DeadLetterFilter {
                open_only,
                with_payload: false,
                after,
                limit: PAGE,
            })
            .await?;
        let is_last = page.len() < PAGE as usize;
        letters.extend(page);
        if is_last {
            return Ok(letters);
        }
    }
}

fn list(target: &Target, all: bool, erasures: bool, json: bool) -> Result<Exit, Failure> {
    let letters = match target {
        Target::Direct(config) => read(config, all, erasures)?,
        Target::Remote(worker) => ask(worker, all, erasures)?,
    };
    let mut out = Out::stdout();
    if json {
        letters.iter().try_for_each(|letter| out.json(letter))?;
    } else {
        let mut table = Table::new(&["id", "reason", "type", "from", "age", "state", "detail"]);
        for letter in &letters {
            let age = Span(Duration::from_secs(number(letter, "age_seconds")));
            table.row([
                text(letter, "id"),
                text(letter, "reason"),
                text(letter, "type"),
                ["topic", "partition", "offset"]
                    .map(|name| text(letter, name))
                    .join("/"),
                age.to_string(),
                text(letter, "state"),
                text(letter, "detail"),
            ]);
        }
        out.table(&table)?;
    }
    out.end()?;
    warn_of_erasures(&letters);
    Ok(Exit::Ok)
}

fn read(config: &Config, all: bool, erasures: bool) -> Result<Vec<Value>, Failure> {
    let (mut letters, dropped) = block_on(async {
        let store = session::open_store(config).await?;
        Ok((every(store.as_ref(), !all).await?, store.dropped_letters().await?))
    })?;
    letters.retain(|letter| !erasures || letter.kind.is_some_and(CommandKind::opens));
    for dropped in dropped {
        tracing::warn!(
            topic = dropped.topic,
            reason = dropped.reason,
            count = dropped.count,
            since = %dropped.since,
            until = %dropped.until,
            "not listed: these are only counted, because their topic had more than vault.dead_letters_count"
        );
    }
    let now = Clock::System.now();
    values(letters.iter().map(|letter| DeadLetterView::of(letter, now)))
}

fn ask(worker: &Client, all: bool, erasures: bool) -> Result<Vec<Value>, Failure> {
    if all {
        return Err(Failure::Usage(
            "--all: the API lists open ones only; --config lists every one".to_owned(),
        ));
    }
    let query: Vec<_> = erasures
        .then(|| ("erasures", true.to_string()))
        .into_iter()
        .collect();
    Ok(worker.list(&path(&["dead-letters"]), &query, usize::MAX)?.0)
}

/// Erasures among open ones are what is owed to somebody.
fn warn_of_erasures(letters: &[Value]) {
    let is_owed = |letter: &&Value| {
        let kind = CommandKind::parse(&text(letter, "type"));
        kind.is_some_and(CommandKind::opens) && text(letter, "state") == DeadLetterState::Open.as_str()
    };
    let ages = letters
        .iter()
        .filter(is_owed)
        .map(|letter| number(letter, "age_seconds"));
    if let Some(oldest) = ages.clone().max() {
        let (open, oldest) = (ages.count(), Span(Duration::from_secs(oldest)).to_string());
        tracing::warn!(
            open,
            oldest,
            "erasures among them: legal duties that nobody carries out"
        );
    }
}

/// Which command it was; nothing where its bytes do not say so.
fn kind(letter: &DeadLetter) -> &'static str {
    letter.kind.map_or("", CommandKind::as_str)
}

/// topic/partition/offset.
fn place(letter: &DeadLetter) -> String {
    let origin = &letter.origin;
    format!("{}/{}/{}", origin.topic, origin.partition, origin.offset)
}

fn unknown(id: Uuid) -> Failure {
    Failure::NotSo(format!(
        "there is no dead letter {id}: `lacuna dead-letters list --all` shows every one"
    ))
}

/// Nothing is kept of what it says.
fn without_payload(letter: &DeadLetter) -> Failure {
    Failure::NotSo(format!(
        "dead letter {} has no payload here: {}; the message lies at {}, as long as that topic keeps it",
        letter.id,
        why_without_payload(letter),
        place(letter)
    ))
}

fn show(config: &Config, id: Uuid, reveal: bool) -> Result<Exit, Failure> {
    let letter = block_on(async { Ok(session::open_store(config).await?.dead_letter(id).await?) })?;
    let letter = letter.ok_or_else(|| unknown(id))?;
    let mut out = Out::stdout();
    if reveal {
        // What is not there is said before the keys are asked for.
        if letter.sealed.is_none() {
            return Err(without_payload(&letter));
        }
        let vault = session::vault(config)?;
        let metrics = Metrics::new().map_err(AppError::from)?;
        let shown = block_on(async {
            let store = session::open_store(config).await?;
            let (now, actor) = (Clock::System.now(), actor_or_user(None));
            let shown = open_letter(store.as_ref(), &vault, &metrics, now, id, &actor).await;
            shown.map_err(|error| match error {
                NotShown::Engine(error) => Failure::from(AppError::from(error)),
                // It went between two looks.
                _ => unknown(id),
            })
        })?;
        let (_, plain) = shown.what;
        tracing::warn!("stdout has the original message now: it is personal data, to be deleted after use");
        out.bytes(&plain)?;
    } else {
        let age = Span(Clock::System.now().since(letter.at));
        out.line(format_args!("dead letter  {}", letter.id))?;
        out.line(format_args!("state        {}", letter.state.as_str()))?;
        out.line(format_args!("reason       {}", letter.reason))?;
        out.line(format_args!(
            "type         {}",
            match kind(&letter) {
                "" => "unknown",
                known => known,
            }
        ))?;
        out.line(format_args!("detail       {}", letter.detail))?;
        out.line(format_args!("from         {}", place(&letter)))?;
        out.line(format_args!("cluster      {}", letter.origin.cluster))?;
        out.line(format_args!("refused      {} ({age} ago)", letter.at))?;
        match &letter.sealed {
            Some(_) => out.line("payload      sealed (--reveal prints it)")?,
            None => out.line(format_args!(
                "payload      not kept: {}",
                why_without_payload(&letter)
            ))?,
        }
    }
    out.end()?;
    Ok(Exit::Ok)
}

fn close(target: &Target, id: Uuid, actor: Option<String>, reason: &str) -> Result<Exit, Failure> {
    match target {
        Target::Direct(config) => close_here(config, id, &actor_or_user(actor), reason)?,
        Target::Remote(worker) => {
            refuse_actor(actor.as_deref())?;
            let id = id.to_string();
            worker.post(
                &path(&["dead-letters", &id, "close"]),
                &json!({ "reason": reason }),
            )?;
        }
    }
    let mut out = Out::stdout();
    out.line(format_args!("closed {id}"))?;
    out.end()?;
    Ok(Exit::Ok)
}

fn close_here(config: &Config, id: Uuid, actor: &str, reason: &str) -> Result<(), Failure> {
    let note = format!("{actor}: {reason}");
    block_on(async {
        let store = session::open_store(config).await?;
        // The store's own time: this machine's may be wrong.
        let now = store.now().await?;
        if store
            .close_dead_letter(id, DeadLetterState::Closed, &note, now)
            .await?
        {
            return Ok(());
        }
        Err(match store.dead_letter(id).await? {
            None => unknown(id),
            Some(letter) => not_open(&letter),
        })
    })
}

fn not_open(letter: &DeadLetter) -> Failure {
    Failure::NotSo(format!(
        "dead letter {} is {} already",
        letter.id,
        letter.state.as_str()
    ))
}
