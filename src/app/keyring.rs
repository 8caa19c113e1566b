//! Which keyring belongs to a store: the one that opens what is sealed in it, and no other.

use std::path::Path;

use super::AppError;
use crate::{
    clock::Clock,
    config::{Config, Keyring as KeyringPlace, StoreUrl},
    domain::ids::RequestId,
    store::{DeadLetterFilter, Store, StoreError, StoredRequest},
    vault::{Keyring, KeyringError, Vault, VaultError},
};

/// How many requests are read at a time.
const PAGE: u32 = 500;

/// So many sealed things that do not open are not damaged rows: it is another keyring.
const ENOUGH: u32 = 20;

/// In how many requests of a page the sealed side rows are looked at, where nothing else is sealed.
const WITH_RECORDS: usize = 3;

/// Opens the keyring that the configuration names. For a new SQLite store it is made where there is none.
pub async fn open_vault(config: &Config, clock: &Clock, store: &dyn Store) -> Result<Vault, AppError> {
    let KeyringPlace::File(path) = &config.vault.keyring;
    let is_marked = store.keyring_mark().await?.is_some();
    let opened = match config.store.url {
        StoreUrl::Sqlite(_) if !path.exists() && !is_in_use(store).await? => {
            Keyring::open_or_init(path, clock.now())
        }
        StoreUrl::Sqlite(_) | StoreUrl::Postgres(_) => Keyring::open(path),
    };
    let vault = match opened {
        Ok(keyring) => Vault::new(keyring),
        Err(error) => return Err(missing(error, store).await?),
    };
    if !is_marked {
        // A store that was filled before keyrings were marked does not take the first one that comes.
        prove(path, &vault, store).await?;
        store.mark_keyring(&vault.mark()).await?;
    }
    // Somebody else may have been first.
    check_keyring(path, &vault, store).await?;
    Ok(vault)
}

/// Refuses a keyring that is not the one that the store is sealed under.
pub async fn check_keyring(path: &Path, vault: &Vault, store: &dyn Store) -> Result<(), AppError> {
    match store.keyring_mark().await? {
        Some(mark) if mark != vault.mark() => Err(AppError::OtherKeyring(path.to_owned())),
        Some(_) => Ok(()),
        None => prove(path, vault, store).await,
    }
}

/// Whether something in this store needs its keyring: then a missing one is restored, and never made anew. A store whose
/// tables are not there yet is new.
pub async fn is_in_use(store: &dyn Store) -> Result<bool, StoreError> {
    let one_letter = DeadLetterFilter {
        limit: 1,
        ..DeadLetterFilter::default()
    };
    Ok(there(store.keyring_mark().await)?.flatten().is_some()
        || there(store.page(None, 1).await)?.is_some_and(|page| !page.is_empty())
        || there(store.dead_letters(one_letter).await)?.is_some_and(|letters| !letters.is_empty()))
}

/// What a table says that may not be there.
fn there<T>(asked: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match asked {
        Ok(found) => Ok(Some(found)),
        Err(StoreError::Unusable(_)) => Ok(None),
        Err(other) => Err(other),
    }
}

/// Says of a keyring that is missing whether it was lost.
async fn missing(error: KeyringError, store: &dyn Store) -> Result<AppError, StoreError> {
    match error {
        KeyringError::Missing { path } if is_in_use(store).await? => Ok(AppError::LostKeyring(path)),
        other => Ok(other.into()),
    }
}

/// Whether a keyring opens what is sealed here. Nothing sealed, nothing to prove.
async fn prove(path: &Path, vault: &Vault, store: &dyn Store) -> Result<(), AppError> {
    let mut proof = Proof::default();
    let letters = DeadLetterFilter {
        with_payload: true,
        limit: ENOUGH,
        ..DeadLetterFilter::default()
    };
    for letter in store.dead_letters(letters).await? {
        if let Some(sealed) = &letter.sealed {
            proof.add(vault.open_dead_letter(sealed).map(drop));
        }
    }
    let mut after: Option<RequestId> = None;
    while !proof.is_settled() {
        let page = store.page(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.request.id);
        try_page(vault, store, &page, &mut proof).await?;
    }
    match proof {
        Proof {
            opened: 0,
            refused: 1..,
        } => Err(AppError::OtherKeyring(path.to_owned())),
        _ => Ok(()),
    }
}

async fn try_page(
    vault: &Vault,
    store: &dyn Store,
    page: &[StoredRequest],
    proof: &mut Proof,
) -> Result<(), StoreError> {
    for stored in page {
        if let Some(key) = &stored.wrapped_key {
            proof.add(vault.opens_key(stored.request.id, key));
        }
        if proof.is_settled() {
            return Ok(());
        }
    }
    // Where every key is shredded, what people and processors said is still sealed.
    for stored in page.iter().take(WITH_RECORDS) {
        for leaf in store.leaves(stored.request.id).await? {
            if let Some(sealed) = &leaf.sealed {
                proof.add(vault.open_record(stored.request.id, leaf.n, sealed).map(drop));
            }
        }
    }
    Ok(())
}

/// What came of trying to open things.
#[derive(Default)]
struct Proof {
    opened: u32,
    refused: u32,
}

impl Proof {
    fn add(&mut self, opened: Result<(), VaultError>) {
        match opened {
            Ok(()) => self.opened += 1,
            // As planned, and so it says nothing.
            Err(VaultError::RetiredEpoch { .. }) => {}
            Err(_) => self.refused += 1,
        }
    }

    const fn is_settled(&self) -> bool {
        self.opened > 0 || self.refused >= ENOUGH
    }
}
