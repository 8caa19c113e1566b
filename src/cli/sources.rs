//! `lacuna sources`: what upstreams there are, and what an example of an event becomes.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{
    Exit, Failure,
    output::{Out, Table},
    session::{ConfigArg, block_on},
};
use crate::{
    app,
    config::{Config, Inlet, UpstreamSource},
    domain::{source::Source, words::CommandKind},
    wire::{
        Channel, Envelope, Rejection, parse_command,
        source::{Carrier, Event, Found, Outcome, Schema, found, framed, judge, open},
    },
};

/// More than any event that is read.
const MOST_BYTES: u64 = 4 << 20;

/// Arguments of `lacuna sources`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lacuna sources test accounts event.json")]
pub struct Args {
    #[command(subcommand)]
    action: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Lists the sources of the configuration.
    #[command(after_help = "Example:\n  lacuna sources list")]
    List {
        #[command(flatten)]
        config: ConfigArg,
        /// As JSON lines.
        #[arg(long)]
        json: bool,
    },
    /// Shows which command an example of an event becomes, or why it becomes none. Nothing is sent.
    #[command(
        after_help = "FILE holds the value of one record, or the body of one call, as it is: for formats with a schema \
        registry also the bytes before the event. Exit code 0: it becomes a command; 1: it does not; 3: the schema registry \
        cannot be reached.\n\nExamples:\n  lacuna sources test accounts event.json\n  \
        lacuna sources test outbox event.json --header 'id: 0193a9b2-5a3e-7cc1-8d07-3f0f7f7a1c11'\n  \
        lacuna sources test profiles --tombstone --key 42"
    )]
    Test(TestArgs),
}

#[derive(Debug, clap::Args)]
struct TestArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// The source.
    name: String,
    /// The event; - is stdin.
    #[arg(required_unless_present = "tombstone", conflicts_with = "tombstone")]
    file: Option<PathBuf>,
    /// A record without a value, in place of FILE.
    #[arg(long)]
    tombstone: bool,
    /// The key of its record, as text or JSON.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// A header of its record or call, such as 'ce_type: account.deleted'. May be given several times.
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or("expected NAME: VALUE, such as 'ce_type: account.deleted'")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// Runs it.
pub fn run(args: Args) -> Result<Exit, Failure> {
    match args.action {
        Command::List { config, json } => list(&Config::load(config.path())?, json),
        Command::Test(args) => test(&args),
    }
}

fn list(config: &Config, as_json: bool) -> Result<Exit, Failure> {
    let mut out = Out::stdout();
    let mut table = Table::new(&["source", "from", "format", "becomes", "when"]);
    for source in &config.sources {
        let definition = &source.definition;
        if as_json {
            out.json(&json!({
                "name": definition.name,
                "from": place(source),
                "format": definition.format.as_str(),
                "type": definition.template.kind.as_str(),
                "map": definition.map.iter().map(|m| (m.target.to_string(), m.place.to_string().into()))
                    .collect::<serde_json::Map<String, Value>>(),
            }))?;
        }
        table.row([
            definition.name.clone(),
            place(source),
            definition.format.as_str().to_owned(),
            definition.template.kind.as_str().to_owned(),
            conditions(definition),
        ]);
    }
    if !as_json {
        out.table(&table)?;
    }
    out.end()?;
    Ok(Exit::Ok)
}

fn conditions(source: &Source) -> String {
    let shown = source
        .when
        .iter()
        .map(|condition| format!("{} = {}", condition.place, condition.wanted));
    shown.collect::<Vec<String>>().join(", ")
}

/// What a source's events come from, for people.
pub(super) fn place(source: &UpstreamSource) -> String {
    match &source.inlet {
        Inlet::Topic(topic) => format!("topic {topic}"),
        Inlet::Http(http) => format!("POST {}", http.path),
    }
}

/// What an example came to.
enum Tested {
    Command(Value),
    Skipped(String),
    Refused(Rejection),
}

fn test(args: &TestArgs) -> Result<Exit, Failure> {
    let config = Config::load(args.config.path())?;
    let source = config.sources.iter().find(|source| source.name() == args.name);
    let source = source.ok_or_else(|| unknown(&config, &args.name))?;
    let bytes = args.file.as_deref().map(read_file).transpose()?;
    let schema = match schema_of(&config, source, bytes.as_deref())? {
        Ok(schema) => schema,
        Err(rejection) => return show(args, source, &Tested::Refused(rejection), &[]),
    };
    let carrier = carrier(source);
    if matches!(carrier, Carrier::Call { .. }) && (args.key.is_some() || args.tombstone) {
        return Err(Failure::Usage(format!(
            "source {:?} is called over HTTP: a call has a body and no key",
            args.name
        )));
    }
    let headers = args.headers.iter();
    let headers = headers.map(|(name, value)| (name.as_str(), Some(value.as_bytes())));
    let event =
        Event::new(headers, bytes.as_deref(), carrier).with_key(args.key.as_deref().map(str::as_bytes));
    let opened = open(source.definition.format, &event, schema.as_deref());
    let looked = found(&source.definition, &event, &opened);
    let tested = match judge(&source.definition, &event, &opened) {
        Outcome::Skipped(skip) => Tested::Skipped(skip.to_string()),
        Outcome::Refused(rejection) => Tested::Refused(rejection),
        Outcome::Command(command) => {
            let tenant = config.tenant_default.clone();
            match parse_command(&command, &Envelope::bare(&tenant), Channel::Commands) {
                Ok(_) => Tested::Command(serde_json::from_slice(&command)?),
                Err(rejection) => Tested::Refused(rejection),
            }
        }
    };
    show(args, source, &tested, &looked)
}

/// Where an example could have come from.
fn carrier(source: &UpstreamSource) -> Carrier<'_> {
    match &source.inlet {
        Inlet::Topic(topic) => Carrier::Record {
            topic,
            partition: 0,
            offset: 0,
            incarnation: 0,
        },
        Inlet::Http(http) => Carrier::Call {
            headers_count: http.signature.scheme.covers_headers(),
        },
    }
}

fn unknown(config: &Config, name: &str) -> Failure {
    let names: Vec<&str> = config.sources.iter().map(UpstreamSource::name).collect();
    Failure::Usage(match names.as_slice() {
        [] => format!("no source {name:?}: the configuration has no [[source]]"),
        names => format!("no source {name:?}; there are: {}", names.join(", ")),
    })
}

fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |source| Failure::File {
        action: "read",
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin()
            .take(MOST_BYTES)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
    } else {
        let file = std::fs::File::open(path).map_err(failed)?;
        file.take(MOST_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    }
    Ok(bytes)
}

type FoundSchema = Result<Option<std::sync::Arc<Schema>>, Rejection>;

/// The schema that an event names.
fn schema_of(config: &Config, source: &UpstreamSource, bytes: Option<&[u8]>) -> Result<FoundSchema, Failure> {
    let (Some(registry), Some(bytes)) = (app::sources::schema_registry(config, source)?, bytes) else {
        return Ok(Ok(None));
    };
    let id = match framed(bytes) {
        Ok(framed) => framed.id,
        Err(rejection) => return Ok(Err(rejection)),
    };
    let asked = block_on(async {
        let answer = registry.schema(id).await;
        answer.map_err(|away| Failure::Unreachable(away.to_string()))
    })?;
    Ok(asked.map(Some))
}

fn show(
    args: &TestArgs,
    source: &UpstreamSource,
    tested: &Tested,
    looked: &[Found],
) -> Result<Exit, Failure> {
    let mut out = Out::stdout();
    if args.json {
        out.json(&as_json(source, tested, looked))?;
    } else {
        let (name, place) = (source.name(), place(source));
        let format = source.definition.format.as_str();
        out.line(format_args!("source {name} ({place}, {format})"))?;
        if !looked.is_empty() {
            let mut table = Table::new(&["field", "read from", "found"]);
            for one in looked {
                table.row([one.target.clone(), one.place.clone(), one.what.to_owned()]);
            }
            out.line("")?;
            out.table(&table)?;
        }
        out.line("")?;
        match tested {
            Tested::Command(command) => {
                let kind = source.definition.template.kind;
                out.line(format_args!("becomes {}:", article(kind)))?;
                out.line(serde_json::to_string_pretty(command)?)?;
            }
            Tested::Skipped(why) => out.line(format_args!("skipped: {why}"))?,
            Tested::Refused(rejection) => {
                let fate = match source.inlet {
                    Inlet::Topic(_) => "becomes a dead letter",
                    Inlet::Http(_) => "is refused",
                };
                out.line(format_args!("{fate}, {}: {}", rejection.reason, rejection.detail))?;
            }
        }
    }
    out.end()?;
    Ok(match tested {
        Tested::Command(_) => Exit::Ok,
        Tested::Skipped(_) | Tested::Refused(_) => Exit::NotSo,
    })
}

fn article(kind: CommandKind) -> String {
    match kind {
        CommandKind::Erase | CommandKind::Anonymize => format!("an {kind} command"),
        _ => format!("a {kind} command"),
    }
}

fn as_json(source: &UpstreamSource, tested: &Tested, looked: &[Found]) -> Value {
    let found: Vec<Value> = looked
        .iter()
        .map(|one| json!({ "field": one.target, "from": one.place, "found": one.what }))
        .collect();
    let mut shown = json!({ "source": source.name(), "found": found });
    match tested {
        Tested::Command(command) => {
            shown["result"] = json!("taken");
            shown["command"] = command.clone();
        }
        Tested::Skipped(why) => {
            shown["result"] = json!("skipped");
            shown["why"] = json!(why);
        }
        Tested::Refused(rejection) => {
            shown["result"] = json!("dead_lettered");
            shown["reason"] = json!(rejection.reason);
            shown["why"] = json!(rejection.detail);
        }
    }
    shown
}
