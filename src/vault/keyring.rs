//! The keyring: one root secret for what must be found again, and the epochs of the key-encryption key.
//!
//! The root secret never changes, because look-ups and tokens of years ago must still match. What is sealed
//! lies under an epoch, and epochs come and go: a retired one has lost its key, and with it everything that
//! only it opened.

use std::{fmt, io, path::Path, path::PathBuf};

use serde::Serialize;

use super::{keyfile, keyring_format, secret::SecretKey};
use crate::domain::time::At;

/// The keys of one installation, as its file holds them.
#[derive(Clone)]
pub struct Keyring {
    root: SecretKey,
    /// By ascending id; at least one of them is living.
    epochs: Vec<Epoch>,
}

/// One epoch of the key-encryption key.
#[derive(Debug, Clone)]
pub(super) struct Epoch {
    pub(super) id: u32,
    pub(super) created_at: At,
    pub(super) key: EpochKey,
}

/// An epoch has its key, or the time when its key was destroyed: never both, so that "retired" is true of the
/// file.
#[derive(Debug, Clone)]
pub(super) enum EpochKey {
    Living(SecretKey),
    Retired(At),
}

/// What an operator may know about an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct EpochInfo {
    /// Its number, which sealed rows name.
    pub id: u32,
    /// When it was created.
    pub created_at: At,
    /// What it is good for now.
    #[serde(flatten)]
    pub state: EpochState,
}

/// What an epoch is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum EpochState {
    /// New rows are sealed under it.
    Current,
    /// It opens what was sealed under it, and seals nothing new.
    Superseded,
    /// Its key is destroyed.
    Retired {
        /// Since when.
        retired_at: At,
    },
}

/// Why there is no keyring. No variant carries anything that the file contains.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// There is no file.
    #[error("there is no keyring at {path}: create it with `lacuna keys init`")]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A new keyring was asked for where there is one.
    #[error(
        "{path} exists already: a keyring is never overwritten, because what it has sealed opens with it only"
    )]
    Exists {
        /// The file that is there.
        path: PathBuf,
    },
    /// Group or world have access.
    #[error("the keyring {path} is open to other users (mode {mode:04o}): chmod 600 {path}")]
    ReadableByOthers {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A directory or a device.
    #[error("the keyring {path} is not a file")]
    NotAFile {
        /// What the configuration names.
        path: PathBuf,
    },
    /// The file does not hold a keyring.
    #[error("the keyring {path} is damaged: {why}; restore it from its backup")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, by position and never by content.
        why: String,
    },
    /// Another release wrote it.
    #[error("the keyring {path} has format {found}, and this release reads format {known}", known = keyring_format::VERSION)]
    Version {
        /// The file.
        path: PathBuf,
        /// The format that it names.
        found: u32,
    },
    /// The file system refused.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The operating system gave no randomness, without which there are no keys.
    #[error("the operating system gave no random bytes for a key")]
    Random(#[source] rand::rngs::SysError),
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
