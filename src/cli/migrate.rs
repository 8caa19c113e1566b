//! `lacuna migrate`: brings the store's schema up to this version.

use super::{
    Exit, Failure,
    output::Out,
    session::{self, ConfigArg, block_on, of_store},
};
use crate::store::StoreError;

/// Arguments of `lacuna migrate`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Harmless when it runs again. Workers of the version before keep working meanwhile.\n\n\
    Example:\n  lacuna migrate --config /etc/lacuna/lacuna.toml"
)]
pub struct Args {
    #[command(flatten)]
    config: ConfigArg,
}

/// Runs it.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    let config = args.config.load()?;
    let url = &config.store.url;
    let done = block_on(async {
        let store = session::connect_store(&config).await?;
        let was_current = match store.check_schema().await {
            Ok(()) => true,
            Err(StoreError::Schema(_) | StoreError::Unusable(_)) => false,
            Err(other) => return Err(of_store(&config, other)),
        };
        // Also where nothing seems to be missing: the migrator itself has the last word.
        store
            .migrate()
            .await
            .map_err(|source| of_store(&config, source))?;
        store
            .check_schema()
            .await
            .map_err(|source| of_store(&config, source))?;
        Ok(if was_current {
            "was up to date already"
        } else {
            "is up to date now"
        })
    })?;
    let mut out = Out::stdout();
    out.line(format_args!("{url}: the schema {done}"))?;
    out.end()?;
    Ok(Exit::Ok)
}
