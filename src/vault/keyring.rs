//! The keyring: one root secret for what must be found again, and the epochs of the key-encryption key.
//!
//! The root secret never changes, because look-ups and tokens of years ago must still match. What is sealed
//! lies under an epoch, and epochs come and go: a retired one has lost its key, and with it everything that
//! only it opened.

use std::{fmt, path::Path};

use super::{
    epoch::{Epoch, EpochInfo, EpochKey, EpochState},
    keyfile,
    keyring_error::KeyringError,
    keyring_format,
    secret::SecretKey,
};
use crate::domain::time::At;

/// The keys of one installation, as its file holds them.
#[derive(Clone)]
pub struct Keyring {
    root: SecretKey,
    /// By ascending id; at least one of them is living.
    epochs: Vec<Epoch>,
}

impl Keyring {
    /// Creates a keyring with a first epoch, and its file. An existing file is never overwritten.
    pub fn init(path: &Path, now: At) -> Result<Self, KeyringError> {
        let keyring = Self {
            root: SecretKey::from_system().map_err(KeyringError::Random)?,
            epochs: vec![Epoch {
                id: 1,
                created_at: now,
                key: EpochKey::Living(SecretKey::from_system().map_err(KeyringError::Random)?),
            }],
        };
        keyfile::create(path, &keyring_format::write(&keyring.root, &keyring.epochs))?;
        Ok(keyring)
    }

    /// Reads a keyring that nobody but its owner can read.
    pub fn open(path: &Path) -> Result<Self, KeyringError> {
        let bytes = keyfile::read(path)?;
        let (root, epochs) = keyring_format::read(&bytes).map_err(|error| error.of(path))?;
        Ok(Self { root, epochs })
    }

    /// Opens the keyring, or creates it where there is none: for the single-machine store, which has to start
    /// by itself. Elsewhere this would hide that the keyring of a database that is full of sealed rows is
    /// gone.
    pub fn open_or_init(path: &Path, now: At) -> Result<Self, KeyringError> {
        match Self::open(path) {
            Err(KeyringError::Missing { .. }) => match Self::init(path, now) {
                // Another process has created it in between: its keyring is the one.
                Err(KeyringError::Exists { .. }) => Self::open(path),
                created => created,
            },
            opened => opened,
        }
    }

    /// The epochs by ascending id. Never their keys.
    pub fn list(&self) -> Vec<EpochInfo> {
        let current = self.current().map(|(id, _)| id);
        let state = |epoch: &Epoch| match epoch.key {
            EpochKey::Retired(retired_at) => EpochState::Retired { retired_at },
            EpochKey::Living(_) if Some(epoch.id) == current => EpochState::Current,
            EpochKey::Living(_) => EpochState::Superseded,
        };
        let info = |epoch: &Epoch| EpochInfo {
            id: epoch.id,
            created_at: epoch.created_at,
            state: state(epoch),
        };
        self.epochs.iter().map(info).collect()
    }

    #[cfg(test)]
    pub(super) fn for_tests(root: SecretKey, epochs: Vec<Epoch>) -> Self {
        Self { root, epochs }
    }

    pub(super) fn root(&self) -> &SecretKey {
        &self.root
    }

    pub(super) fn epochs(&self) -> &[Epoch] {
        &self.epochs
    }

    /// The newest living epoch. Reading and creating a keyring make sure that there is one.
    pub(super) fn current(&self) -> Option<(u32, &SecretKey)> {
        self.epochs.iter().rev().find_map(|epoch| match &epoch.key {
            EpochKey::Living(key) => Some((epoch.id, key)),
            EpochKey::Retired(_) => None,
        })
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring")
            .field("epochs", &self.list())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "keyring_tests.rs"]
mod tests;
