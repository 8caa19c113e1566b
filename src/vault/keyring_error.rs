//! Why a keyring cannot be used.

use std::{io, path::PathBuf};

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
    #[error("the keyring {path} has format {found}, and this release reads format {known}")]
    Version {
        /// The file.
        path: PathBuf,
        /// The format that it names.
        found: u32,
        /// The format that is read.
        known: u32,
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
