//! `lacuna connectors`: what vendors take and answer, as data.

mod show;

use std::path::{Path, PathBuf};

use super::{
    Exit, Failure,
    output::{Out, Table},
    session::ConfigArg,
};
use crate::{
    config::{
        Config, Problems,
        connectors::{self, Origin},
    },
    connector::{Connector, play::made_up},
    domain::registry::{Registry, SettingValue, Transport, Vendor},
    transport::vendor::rehearsal::{Rehearsed, rehearse},
};

/// Arguments of `lacuna connectors`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lacuna connectors show hubspot")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Lists the connectors: those of the program, and those of the folder [connectors] path.
    #[command(
        after_help = "SHAPE: how an erasure is proved, see docs/guide/connector.md. NOT VERIFIED: how many of its facts are known \
        from memory only; `lacuna connectors show` names them.\n\nExample:\n  lacuna connectors list"
    )]
    List {
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Shows a connector: its settings, its calls, what each answer means, and what of it is not verified.
    #[command(
        after_help = "Exit code 1: there is no such connector.\n\nExample:\n  lacuna connectors show hubspot"
    )]
    Show {
        #[command(flatten)]
        config: ConfigArg,
        /// The connector.
        id: String,
    },
    /// Reads a connector's file, finds every mistake in it, and plays its examples.
    #[command(
        after_help = "Exit code 1: an example does not come to what it says. 2: the file has mistakes.\n\n\
        Example:\n  lacuna connectors check connectors/acme.toml"
    )]
    Check {
        // Taken as every subcommand takes it; a file stands for itself.
        #[command(flatten)]
        config: ConfigArg,
        /// The file.
        file: PathBuf,
    },
    /// Plays the examples of a connector; with --dry-run, prints the calls that it would make.
    #[command(
        after_help = "ID is a processor of the registry whose transport is vendor, or a connector: of a connector alone, made-up \
        settings stand in the calls. Nothing is sent anywhere. Neither a secret nor an identifier is printed: REDACTED and the \
        name of the identifier in capitals stand for them.\n\nExit code 1: there is neither, or an example does not come to what \
        it says.\n\nExample:\n  lacuna connectors test hubspot --dry-run"
    )]
    Test {
        #[command(flatten)]
        config: ConfigArg,
        /// The processor or the connector.
        id: String,
        /// Prints the calls that it would make, and makes none.
        #[arg(long)]
        dry_run: bool,
    },
}

/// Runs it.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    let mut out = Out::stdout();
    let done = match &args.action {
        Action::List { config } => list(&mut out, config),
        Action::Show { config, id } => show_one(&mut out, config, id),
        Action::Check { config: _, file } => check(&mut out, file),
        Action::Test { config, id, dry_run } => test(&mut out, config, id, *dry_run),
    };
    out.end()?;
    done
}

/// The folder of connectors of one's own. Without a configuration there is none: the program's can be shown all the same.
fn folder(config: &ConfigArg) -> Result<Option<PathBuf>, Failure> {
    if config.config.is_none() && !config.path().exists() {
        return Ok(None);
    }
    Ok(config.load()?.registry.connectors)
}

fn list(out: &mut Out, config: &ConfigArg) -> Result<Exit, Failure> {
    let mut table = Table::new(&[
        "id",
        "name",
        "kind",
        "shape",
        "identities",
        "from",
        "not verified",
    ]);
    for (connector, origin) in connectors::all(folder(config)?.as_deref())? {
        let identities: Vec<&str> = connector.identities.keys().map(|kind| kind.as_str()).collect();
        let unverified = connector.unverified().count();
        table.row([
            connector.id.clone(),
            connector.name.clone(),
            connector.kind.clone(),
            connector.shape.clone(),
            identities.join(" "),
            from(origin).to_owned(),
            if unverified == 0 {
                String::new()
            } else {
                unverified.to_string()
            },
        ]);
    }
    out.table(&table)?;
    Ok(Exit::Ok)
}

const fn from(origin: Origin) -> &'static str {
    match origin {
        Origin::Shipped => "lacuna",
        Origin::Folder => "folder",
    }
}

fn find(config: &ConfigArg, id: &str) -> Result<(Connector, Origin), Failure> {
    connectors::find(folder(config)?.as_deref(), id)?.ok_or_else(|| {
        Failure::NotSo(format!(
            "there is no connector {id:?}: `lacuna connectors list` lists those that there are"
        ))
    })
}

fn show_one(out: &mut Out, config: &ConfigArg, id: &str) -> Result<Exit, Failure> {
    let (connector, origin) = find(config, id)?;
    show::show(out, &connector, from(origin))?;
    Ok(Exit::Ok)
}

fn check(out: &mut Out, file: &Path) -> Result<Exit, Failure> {
    let connector = connectors::read(file)?;
    out.line(format_args!("{}: a connector, without mistakes", file.display()))?;
    play(out, &connector)
}

/// Plays the examples of a connector.
fn play(out: &mut Out, connector: &Connector) -> Result<Exit, Failure> {
    let mut wrong = 0;
    for example in &connector.examples {
        match example.play(connector) {
            Ok(()) => out.line(format_args!("ok     {}", example.name))?,
            Err(differs) => {
                wrong += 1;
                out.line(format_args!("WRONG  {}: {differs}", example.name))?;
            }
        }
    }
    if wrong > 0 {
        return Err(Failure::NotSo(format!(
            "{wrong} of {} examples do not come to what they say",
            connector.examples.len()
        )));
    }
    if connector.examples.is_empty() {
        out.line("It has no [[example]], so nothing shows that its rules mean what the vendor says.")?;
    }
    Ok(Exit::Ok)
}

fn test(out: &mut Out, config: &ConfigArg, id: &str, dry_run: bool) -> Result<Exit, Failure> {
    let (connector, vendor) = match registered(config, id)? {
        Some(vendor) => (find(config, &vendor.connector)?.0, vendor),
        None => {
            let connector = find(config, id)?.0;
            let vendor = with_made_up_settings(&connector);
            (connector, vendor)
        }
    };
    if !dry_run {
        return play(out, &connector);
    }
    let calls = rehearse(&connector, &vendor)
        .map_err(|error| Failure::Usage(format!("{id}: a call cannot be written: {error}")))?;
    for rehearsed in &calls {
        print(out, rehearsed)?;
    }
    out.line("Nothing was sent.")?;
    Ok(Exit::Ok)
}

/// The registration of a processor that is called as a connector says.
fn registered(config: &ConfigArg, id: &str) -> Result<Option<Vendor>, Failure> {
    if config.config.is_none() && !config.path().exists() {
        return Ok(None);
    }
    let (_, registry): (Config, Registry) = match Config::load_with_registry(config.path()) {
        Ok(loaded) => loaded,
        // A connector can be shown beside a registry that is missing or has mistakes; one of the registry cannot.
        Err(problems) => return unless_a_connector(id, problems),
    };
    let found = registry
        .processors
        .into_iter()
        .find(|processor| processor.id.as_str() == id);
    Ok(found.and_then(|processor| match processor.transport {
        Transport::Vendor(vendor) => Some(vendor),
        _ => None,
    }))
}

fn unless_a_connector(id: &str, problems: Problems) -> Result<Option<Vendor>, Failure> {
    if connectors::shipped().any(|name| name == id) {
        Ok(None)
    } else {
        Err(problems.into())
    }
}

fn with_made_up_settings(connector: &Connector) -> Vendor {
    let values = made_up(connector);
    let value = |(name, setting): (&String, &crate::connector::language::Setting)| {
        let text = values.get(name).unwrap_or_default().to_owned();
        let value = if setting.secret {
            SettingValue::Secret(crate::domain::registry::SecretRef(text))
        } else {
            SettingValue::Plain(text)
        };
        (name.clone(), value)
    };
    Vendor {
        connector: connector.id.clone(),
        settings: connector.settings.iter().map(value).collect(),
        url: None,
        poll: None,
        timeout: std::time::Duration::from_secs(60),
        http: Default::default(),
    }
}

fn print(out: &mut Out, rehearsed: &Rehearsed) -> Result<(), Failure> {
    let Rehearsed {
        step,
        does,
        last,
        together,
        call,
    } = rehearsed;
    let settles = if *last { ", settles" } else { "" };
    let many = if *together > 1 {
        format!(", up to {together} people in one call")
    } else {
        String::new()
    };
    out.line(format_args!("# {step} ({}{settles}{many})", show::word_of(*does)))?;
    out.line(format_args!("{} {}{}", call.method, call.base, call.path))?;
    for header in &call.headers {
        out.line(format_args!("{}: {}", header.name, header.value))?;
    }
    if let Some(kind) = call.content.kind() {
        out.line(format_args!("content-type: {kind}"))?;
        out.line("")?;
        out.line(call.content.text())?;
    }
    out.line("")
}
