//! The database, its clock, and the keyring that it is sealed under.

use std::{sync::Arc, time::Duration};

use super::{Findings, finding::Level};
use crate::{
    cli::session,
    clock::Clock,
    config::{Config, Keyring as KeyringPlace, StoreUrl},
    store::Store,
    telemetry::logs::chain,
    terminal::Exit,
};

/// Beyond this workers decide nothing.
const TOO_FAR: u64 = 60;
/// Clocks that are kept in step are nearer than this.
const FAR: u64 = 5;

/// Looks at it, and gives it to those who look into it.
pub(super) async fn look(config: &Config, findings: &mut Findings) -> Option<Arc<dyn Store>> {
    if let StoreUrl::Sqlite(path) = &config.store.url
        && !path.exists()
    {
        findings.warn(
            "store",
            format!("there is no file {}", path.display()),
            "`lacuna serve` or `lacuna migrate` creates it",
        );
        return None;
    }
    let store = match session::connect_store(config).await {
        Ok(store) => store,
        Err(failure) => {
            let what = chain(&failure);
            if failure.exit() == Exit::Unreachable {
                findings.away("store", what, "docs/runbooks/store-unreachable.md");
            } else {
                findings.wrong("store", what, "docs/runbooks/store-unreachable.md");
            }
            return None;
        }
    };
    if let Err(error) = store.check_schema().await {
        findings.wrong(
            "store",
            chain(&error),
            "run `lacuna migrate` with the version that the workers run",
        );
        return None;
    }
    findings.fine(
        "store",
        format!("{}: reached, schema up to date", config.store.url),
    );
    settings(store.as_ref(), findings).await;
    clock(store.as_ref(), findings).await;
    keyring(config, store.as_ref(), findings).await;
    (findings.worst() != Level::Away).then_some(store)
}

async fn settings(store: &dyn Store, findings: &mut Findings) {
    match store.warnings().await {
        Ok(warnings) if warnings.is_empty() => {
            findings.fine("store", "nothing that is confirmed can be lost")
        }
        Ok(warnings) => {
            for warning in warnings {
                findings.wrong("store", warning, "docs/guide/postgresql.md");
            }
        }
        Err(error) => findings.warn("store", chain(&error), "its settings cannot be read"),
    }
    match store.flaws().await {
        Ok(flaws) if flaws.is_empty() => findings.fine("store", "every index is there"),
        Ok(flaws) => {
            for flaw in flaws {
                findings.wrong("store", flaw.what, flaw.advice);
            }
        }
        Err(error) => findings.warn("store", chain(&error), "its tables cannot be examined"),
    }
}

async fn clock(store: &dyn Store, findings: &mut Findings) {
    let before = Clock::System.now();
    let Ok(database) = store.now().await else {
        return;
    };
    let here = Clock::System.now();
    // What the question took is no difference of clocks.
    let slack = here.since(before);
    let apart = here
        .since(database)
        .max(database.since(here))
        .saturating_sub(slack);
    let direction = if here > database { "ahead of" } else { "behind" };
    let what = format!(
        "this machine's clock is {} s {direction} the database's",
        apart.as_secs()
    );
    if apart > Duration::from_secs(TOO_FAR) {
        findings.wrong(
            "clock",
            what,
            "run NTP on both: beyond 60 s workers decide nothing (docs/runbooks/clock-mistrusted.md)",
        );
    } else if apart > Duration::from_secs(FAR) {
        findings.warn("clock", what, "run NTP on both");
    } else {
        findings.fine("clock", "this machine's and the database's agree");
    }
}

async fn keyring(config: &Config, store: &dyn Store, findings: &mut Findings) {
    let KeyringPlace::File(path) = &config.vault.keyring;
    let opened = match crate::vault::Keyring::open(path) {
        Ok(keyring) => session::check_keyring(config, &crate::vault::Vault::new(keyring), store)
            .await
            .map_err(|failure| chain(&failure)),
        Err(error) => Err(chain(&error)),
    };
    match opened {
        Ok(()) => findings.fine("keyring", "it is the one of this store"),
        Err(what) => findings.wrong("keyring", what, "docs/runbooks/keyring-lost.md"),
    }
}
