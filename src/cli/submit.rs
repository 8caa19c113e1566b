//! `lacuna submit`: publishes commands. All of them are checked before the first one is published.

use std::{
    collections::{BTreeSet, VecDeque},
    io::Read,
    path::{Path, PathBuf},
};

use uuid::Uuid;

use super::{
    Exit, Failure,
    documents::documents,
    file_kind,
    output::Out,
    session::{self, ConfigArg, block_on},
};
use crate::{
    clock::Clock,
    config::{Config, registry_file},
    domain::{
        command::Command, identity::Identity, ids::CommandId, registry::Registry, words::DeadLetterReason,
    },
    engine::{identifying::unknown_types, time_ordered_id},
    kafka::publish::{Outgoing, Pending, Publisher},
    telemetry::logs::chain,
    wire::{Channel, Envelope, ParsedCommand, Rejection, ce_headers, command, parse_command},
};

/// Arguments of `lacuna submit`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Takes one JSON object, a JSON array of them, or JSON lines. Every command is checked first: where one is wrong, its \
    line is named, nothing is published, and the exit code is 2. A command without a command_id gets one, which is \
    printed; repeating it with that command_id changes nothing. Holds and releases go to the control topic, under the \
    name of their hold; what happened to backups is no command: it goes to the backups topic or to POST /v1/backups.\nPrints a line for each confirmed command: its request \
    and topic/partition. Exit code 3: at least one was not confirmed.\n\n\
    Example:\n  lacuna submit commands.jsonl\n  \
    lacuna submit hold.json    # {\"type\":\"hold\",\"hold_id\":\"…\",\"actor\":\"j.doe\",\"basis\":\"dispute\",\"request_id\":\"…\"}\n  \
    echo '{\"type\":\"erase\",\"subject\":{\"identities\":[{\"type\":\"customer_id\",\"value\":\"42\"}]}}' | lacuna submit -"
)]
pub struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// The commands; - for stdin.
    file: PathBuf,
}

/// Where the commands of this subcommand come from.
const SOURCE: &str = "/lacuna/submit";

/// How many commands may be unconfirmed: enough for full batches, and what is printed is never far behind.
const WINDOW: usize = 1000;

/// Runs it.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    let config = args.config.load()?;
    let cluster = session::cluster(&config)?;
    let input = read(&args.file)?;
    let name = args.file.display().to_string();
    let commands = check(&input, &name, &config)?;
    // Whether the registry is right, and whether it is here at all, is no affair of those who publish.
    if let Ok(registry) = registry_file::read(&config.registry.path) {
        for warning in warnings(&commands, &registry) {
            tracing::warn!("{name}:{warning}");
        }
    }
    let mut out = Out::stdout();
    let lost = block_on(async {
        let topics: BTreeSet<String> = commands.iter().map(|command| command.topic.to_owned()).collect();
        let publisher = Publisher::connect(&cluster, topics).await?;
        publish(&publisher, &commands, &mut out).await
    })?;
    out.end()?;
    if lost.is_empty() {
        Ok(Exit::Ok)
    } else {
        Err(Failure::Several(lost))
    }
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |source| Failure::File {
        action: "read",
        path: file.to_owned(),
        source,
    };
    if file.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).map_err(failed)?;
        return Ok(bytes);
    }
    std::fs::read(file).map_err(failed)
}

/// A command that may be published.
#[derive(Debug)]
struct Valid<'a> {
    topic: &'a str,
    command_id: CommandId,
    /// The id of its event: with its source it stands for the command's own where that has none.
    event_id: Uuid,
    /// What it is published under and printed as: its request, or the hold.
    key: Uuid,
    /// Whether the id was made here, so that the submitter has to be told.
    is_new: bool,
    payload: &'a [u8],
    /// Where it begins.
    line: usize,
    /// Whom a request is about, where it opens one.
    identities: Vec<Identity>,
}

/// What a submitter should look at again, by line: a misspelt type is one that nobody is sent. Of many only the first are said.
fn warnings(commands: &[Valid<'_>], registry: &Registry) -> Vec<String> {
    const MOST: usize = 20;
    let said = commands.iter().flat_map(|command| {
        let warned = unknown_types(&command.identities, registry).into_iter();
        warned.map(|warning| format!("{}: {warning}", command.line))
    });
    said.take(MOST).collect()
}

/// Checks every command. A detail of a refusal holds nothing of the command itself.
fn check<'a>(input: &'a [u8], name: &str, config: &'a Config) -> Result<Vec<Valid<'a>>, Failure> {
    if let Some(what) = file_kind::kind_of(input) {
        return Err(Failure::Usage(format!("{name}: {what}")));
    }
    let mut valid = Vec::new();
    let mut refused = Vec::new();
    let documents = documents(input).map_err(|line| {
        Failure::Usage(format!(
            "{name}:{line}: not_json: the file begins with [, so a JSON array of commands is expected, with commas between them \
             and one ] at its end; here it is broken, and nothing was published"
        ))
    })?;
    for (line, payload) in documents {
        match check_one(payload, config) {
            Ok(command) => valid.push(Valid { line, ..command }),
            Err(rejection) if rejection.reason == DeadLetterReason::NotJson => refused.push(Failure::Usage(format!(
                "{name}:{line}: not_json: expected a command as a JSON object, which is whole on this line (one object may go \
                 over several lines where it is alone in the file)"
            ))),
            Err(rejection) => refused.push(Failure::Usage(format!("{name}:{line}: {rejection}"))),
        }
    }
    if valid.is_empty() && refused.is_empty() {
        return Err(Failure::Usage(format!(
            "{name}: expected a JSON object, an array of them, or JSON lines; there is nothing"
        )));
    }
    if !refused.is_empty() {
        refused.push(Failure::Usage(format!(
            "nothing was published: {} of {} commands are wrong",
            refused.len(),
            refused.len() + valid.len()
        )));
        return Err(Failure::Several(refused));
    }
    Ok(valid)
}

fn check_one<'a>(payload: &'a [u8], config: &'a Config) -> Result<Valid<'a>, Rejection> {
    let fresh = fresh_id();
    let event_id = fresh.to_string();
    // As intake will read it.
    let mut envelope = Envelope::bare(&config.tenant_default);
    envelope.ce_id = Some(event_id.as_str().into());
    envelope.ce_source = Some(SOURCE.into());
    let topics = &config.kafka.topics;
    // The type says which topic it belongs on, so the other one is tried where it is not allowed on the first.
    let (topic, parsed) = match parse_command(payload, &envelope, Channel::Commands) {
        Err(rejection) if rejection.reason == DeadLetterReason::NotAllowed => (
            &topics.control,
            parse_command(payload, &envelope, Channel::Control)?,
        ),
        parsed => (&topics.commands, parsed?),
    };
    let ParsedCommand { command, .. } = parsed;
    check_against(config, &command)?;
    let command_id = command.command_id();
    let is_new = envelope.event_id() == Some(command_id.0);
    Ok(Valid {
        topic,
        command_id,
        event_id: if is_new { fresh } else { command_id.0 },
        key: command.ordering_key(),
        is_new,
        payload,
        line: 1,
        identities: match command {
            Command::Open(opening) => opening.identities,
            _ => Vec::new(),
        },
    })
}

/// What the configuration says and the shape does not: the worker would refuse it as well.
fn check_against(config: &Config, command: &Command) -> Result<(), Rejection> {
    if !config.serves(command.tenant()) {
        return Err(Rejection::new(
            DeadLetterReason::NotAllowed,
            "tenant: not one of those that the configuration lists",
        ));
    }
    let identities = match command {
        Command::Open(opening) => ("subject.identities", &opening.identities),
        Command::Hold(hold) => ("subject.identities", &hold.identities),
        Command::Reactivated(back) => ("subject.identities", &back.identities),
        Command::Supply(supply) => ("identities", &supply.identities),
        Command::Cancel(_) | Command::Release(_) | Command::Decide(_) => ("", &Vec::new()),
    };
    if let (field, Some((place, fault))) = (identities.0, config.policy.placeholders.first_of(identities.1)) {
        return Err(Rejection::schema(format!("{field}[{place}].value: {fault}")));
    }
    let regimes = &config.policy.regimes;
    match command {
        Command::Open(opening) => match &opening.regime {
            Some(regime) if regimes.terms(regime).is_none() => {
                Err(Rejection::schema(format!("regime: {}", regimes.expected())))
            }
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

fn fresh_id() -> Uuid {
    time_ordered_id(Clock::System.now())
}

/// Publishes them in order, and prints each as it is confirmed. What was not confirmed comes back.
async fn publish(
    publisher: &Publisher,
    commands: &[Valid<'_>],
    out: &mut Out,
) -> Result<Vec<Failure>, Failure> {
    let mut lost = Vec::new();
    let mut flying: VecDeque<(&Valid<'_>, Pending)> = VecDeque::new();
    for command in commands {
        if flying.len() >= WINDOW
            && let Some((earlier, pending)) = flying.pop_front()
        {
            confirm(earlier, pending, out, &mut lost).await?;
        }
        let event_id = command.event_id.to_string();
        let message = Outgoing {
            topic: command.topic,
            key: Some(command.key.to_string()),
            headers: ce_headers(&event_id, SOURCE, command::EVENT_TYPE).to_vec(),
            payload: command.payload,
        };
        match publisher.send(&message).await {
            Ok(pending) => flying.push_back((command, pending)),
            Err(error) => lost.push(error.into()),
        }
    }
    while let Some((command, pending)) = flying.pop_front() {
        confirm(command, pending, out, &mut lost).await?;
    }
    if !lost.is_empty() {
        let said = format!(
            "{} of {} commands were not confirmed, and may have arrived all the same: submit them again with the \
             command_id that is named, which changes nothing where it has",
            lost.len(),
            commands.len()
        );
        lost.push(Failure::NotSo(said));
    }
    Ok(lost)
}

async fn confirm(
    command: &Valid<'_>,
    pending: Pending,
    out: &mut Out,
    lost: &mut Vec<Failure>,
) -> Result<(), Failure> {
    let Valid {
        topic,
        command_id,
        key,
        is_new,
        ..
    } = command;
    match pending.confirmed().await {
        Ok(place) => {
            let id = if *is_new {
                format!(" command_id={command_id}")
            } else {
                String::new()
            };
            out.line(format_args!("{key} {topic}/{}{id}", place.partition))
        }
        Err(error) => {
            tracing::warn!(%key, %command_id, why = chain(&error), "a command was not confirmed");
            lost.push(error.into());
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
