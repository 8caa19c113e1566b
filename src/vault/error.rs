//! Why something does not open. No variant carries data, and none says more than which thing and which epoch.

use std::fmt;

use crate::domain::time::At;

/// What can be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sealed {
    /// A request's identifiers.
    Subject,
    /// A request's data key.
    DataKey,
    /// A side row of a ledger entry.
    Record,
    /// A dead letter.
    DeadLetter,
    /// The key of the capsules of an epoch.
    CapsuleKey,
    /// What a restore replay would need.
    Capsule,
    /// What a connector has to remember of a task.
    Note,
}

impl Sealed {
    /// What the associated data begins with. Part of the format: never renamed.
    pub(super) const fn domain(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::DataKey => "data key",
            Self::Record => "record",
            Self::DeadLetter => "dead letter",
            Self::CapsuleKey => "capsule key",
            Self::Capsule => "capsule",
            Self::Note => "note",
        }
    }
}

impl fmt::Display for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Subject => "sealed identifiers",
            Self::DataKey => "wrapped data key",
            Self::Record => "sealed ledger record",
            Self::DeadLetter => "sealed dead letter",
            Self::CapsuleKey => "wrapped capsule key",
            Self::Capsule => "sealed capsule",
            Self::Note => "sealed note",
        })
    }
}

/// Why something does not open. All of them are permanent: trying again does not help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The keyring is not the one that sealed this, or an older copy of it.
    #[error(
        "{what}: key epoch {epoch} is not in the keyring; is this the keyring that belongs to the database?"
    )]
    MissingEpoch {
        /// What was to be opened.
        what: Sealed,
        /// The epoch that it names.
        epoch: u32,
    },
    /// It was sealed under a key that is destroyed, as planned.
    #[error("{what}: sealed under a retired key (epoch {epoch}, retired {retired_at})")]
    RetiredEpoch {
        /// What was to be opened.
        what: Sealed,
        /// The epoch that it names.
        epoch: u32,
        /// When the key was destroyed.
        retired_at: At,
    },
    /// It was changed, or it belongs to another tenant, request or place, or to another keyring.
    #[error("{what}: it was changed, or it belongs to another tenant, request or keyring")]
    Tampered {
        /// What was to be opened.
        what: Sealed,
    },
    /// It is shorter than anything that was ever sealed.
    #[error("{what}: it is cut off")]
    Truncated {
        /// What was to be opened.
        what: Sealed,
    },
    /// Another release wrote it, or the first byte was changed.
    #[error("{what}: layout version {found} is not known to this release")]
    UnknownVersion {
        /// What was to be opened.
        what: Sealed,
        /// The version that it names.
        found: u8,
    },
}
