//! `lacuna keys`: creates and lists the keys. It shows none but that of a tenant's suppression list, which is meant to be
//! given to those who read it.

use super::{
    Exit, Failure, arguments,
    output::{Out, Table},
    session::{self, ConfigArg, ask_store_in_use, block_on},
};
use crate::{
    app::AppError,
    clock::Clock,
    config::{Config, Keyring as KeyringPlace},
    domain::ids::{ProcessorId, Tenant},
    vault::{EpochState, Keyring, Vault},
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
        read what is sealed, and without it nothing can. Exit code 3: the store cannot be asked whether it has a keyring \
        already.\n\nExample:\n  lacuna keys init"
    )]
    Init {
        #[command(flatten)]
        config: ConfigArg,
        /// Creates it without asking the store: nothing is in it yet.
        #[arg(long)]
        new_store: bool,
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
    /// Prints what a backup system puts into the field `token` of its events on the topic kafka.topics.backups.
    #[command(
        after_help = "Where there is an [auth], an event without it is dead-lettered as forged_ack. It lasts as long as the \
        keyring: give it to that backup system alone, and keep it as a secret.\n\nExample:\n  \
        lacuna keys backup-token --processor nightly-backup"
    )]
    BackupToken {
        #[command(flatten)]
        config: ConfigArg,
        /// The backup processor.
        #[arg(long, value_parser = arguments::processor)]
        processor: ProcessorId,
    },
    /// Prints the key of a tenant's suppression list, for those who read the topic kafka.topics.suppression.
    #[command(
        after_help = "Who has the key can look for people in the list, one guess after the other: give it to those alone \
        who have the identifiers anyway, and keep it as a secret.\n\nExample:\n  lacuna keys suppression --tenant acme"
    )]
    Suppression {
        #[command(flatten)]
        config: ConfigArg,
        /// The tenant; tenant_default where it is absent.
        #[arg(long, value_parser = arguments::tenant)]
        tenant: Option<Tenant>,
    },
}

/// Runs it.
pub fn run(args: Args) -> Result<Exit, Failure> {
    match args.action {
        Action::Init { config, new_store } => init(&config, new_store),
        Action::List { config, json } => list(&config, json),
        Action::BackupToken { config, processor } => backup_token(&config, &processor),
        Action::Suppression { config, tenant } => suppression(&config, tenant),
    }
}

/// The token alone, so that a script takes it as it is.
fn backup_token(arg: &ConfigArg, processor: &ProcessorId) -> Result<Exit, Failure> {
    let (config, registry) = Config::load_with_registry(arg.path())?;
    if registry.get(processor).is_none_or(|one| one.backup.is_none()) {
        return Err(Failure::Usage(format!(
            "no backup processor {processor} is registered in {}",
            config.registry.path.display()
        )));
    }
    let KeyringPlace::File(path) = &config.vault.keyring;
    let mut out = Out::stdout();
    out.line(Vault::new(Keyring::open(path)?).backup_token(processor))?;
    out.end()?;
    Ok(Exit::Ok)
}

/// The key alone on stdout's last line, the rest as comments, so that a script takes it with `tail -n 1`.
fn suppression(arg: &ConfigArg, tenant: Option<Tenant>) -> Result<Exit, Failure> {
    let config = arg.load()?;
    let vault = session::vault(&config)?;
    let tenant = tenant.unwrap_or(config.tenant_default);
    let key = vault.suppression_key(&tenant);
    let mut out = Out::stdout();
    match &config.kafka.topics.suppression {
        Some(topic) => out.line(format_args!("# topic {topic}, tenant {tenant}"))?,
        None => out.line(format_args!(
            "# tenant {tenant}; there is no topic: kafka.topics.suppression is not set"
        ))?,
    }
    out.line("# record key = hex(HMAC-SHA-256(this key, type || 0x00 || value)), the key below being 32 bytes in hexadecimal")?;
    out.line("# recipe v2: value by the rules of docs/guide/identifiers.md (e-mail: trimmed, lower case, NFC, domain by UTS 46 without a final dot; phone: E.164 with \";ext=\"), any other type byte for byte")?;
    out.line("# recipe v1, of records that have \"recipe\":\"v1\" or none: e-mail trimmed and in lower case, phone in E.164, any other type byte for byte; where both differ, look for both")?;
    out.line(hex::encode(*key))?;
    out.end()?;
    Ok(Exit::Ok)
}

fn init(arg: &ConfigArg, new_store: bool) -> Result<Exit, Failure> {
    let config = arg.load()?;
    let KeyringPlace::File(path) = &config.vault.keyring;
    // One that is there is refused below, whatever the store says.
    if !new_store && !path.exists() && block_on(asked(&config))? {
        return Err(AppError::LostKeyring(path.clone()).into());
    }
    Keyring::init(path, Clock::System.now())?;
    let mut out = Out::stdout();
    out.line(format_args!(
        "created {}: back it up now, apart from the database",
        path.display()
    ))?;
    out.end()?;
    Ok(Exit::Ok)
}

/// Whether the store has a keyring already. One that is away may have: a keyring that is made then is not its own.
async fn asked(config: &Config) -> Result<bool, Failure> {
    ask_store_in_use(config).await.map_err(|failure| {
        let told = "no keyring was made: if the store is in use already, it has one, which a new one does not replace; where \
                    nothing is in it yet, say --new-store";
        Failure::Several(vec![failure, Failure::Usage(told.to_owned())])
    })
}

fn list(arg: &ConfigArg, json: bool) -> Result<Exit, Failure> {
    let config = arg.load()?;
    let epochs = session::keyring(&config)?.list();
    let mut out = Out::stdout();
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
        out.table(&table)?;
    }
    out.end()?;
    Ok(Exit::Ok)
}
