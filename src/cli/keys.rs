//! `lacuna keys`: creates and lists the keys. It never shows one.

use super::{
    Exit, Failure,
    output::{Out, Table},
    session::ConfigArg,
};
use crate::{
    clock::Clock,
    config::Keyring as KeyringPlace,
    vault::{EpochState, Keyring},
};

/// Arguments of `lacuna keys`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lacuna keys init")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Creates the keyring. An existing one is never overwritten.
    #[command(
        after_help = "Every worker needs the same file. Back it up apart from the database: together they can \
        read what is sealed, and without it nothing can.\n\nExample:\n  lacuna keys init"
    )]
    Init {
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Lists the epochs of the key-encryption key, never a key.
    #[command(after_help = "Example:\n  lacuna keys list")]
    List {
        #[command(flatten)]
        config: ConfigArg,
        /// As JSON lines.
        #[arg(long)]
        json: bool,
    },
}

/// Runs it.
pub fn run(args: Args) -> Result<Exit, Failure> {
    match args.action {
        Action::Init { config } => init(&config),
        Action::List { config, json } => list(&config, json),
    }
}

fn init(arg: &ConfigArg) -> Result<Exit, Failure> {
    let config = arg.load()?;
    let KeyringPlace::File(path) = &config.vault.keyring;
    Keyring::init(path, Clock::System.now())?;
    let mut out = Out::new();
    out.line(format_args!(
        "created {}: back it up now, apart from the database",
        path.display()
    ))?;
    out.end()?;
    Ok(Exit::Ok)
}

fn list(arg: &ConfigArg, json: bool) -> Result<Exit, Failure> {
    let config = arg.load()?;
    let KeyringPlace::File(path) = &config.vault.keyring;
    let epochs = Keyring::open(path)?.list();
    let mut out = Out::new();
    if json {
        epochs.iter().try_for_each(|epoch| out.json(epoch))?;
    } else {
        let mut table = Table::new(&["epoch", "created", "state", "retired"]);
        for epoch in epochs {
            let (state, retired) = match epoch.state {
                EpochState::Current => ("current", String::new()),
                EpochState::Superseded => ("superseded", String::new()),
                EpochState::Retired { retired_at } => ("retired", retired_at.to_string()),
            };
            table.row([
                epoch.id.to_string(),
                epoch.created_at.to_string(),
                state.to_owned(),
                retired,
            ]);
        }
        table.write(&mut out)?;
    }
    out.end()?;
    Ok(Exit::Ok)
}
