//! The epochs of the key-encryption key: what is sealed lies under one of them.

use serde::Serialize;

use super::secret::SecretKey;
use crate::domain::time::At;

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
