//! Where identifiers live: sealed under a key of each request's own, found again by keyed digests, forgotten
//! by dropping the key.
//!
//! Invariants 7 and 8 rest on this module: a forged ack has no token, and what is shredded is unreadable, in
//! the database's own backups as well once the epoch is retired. It holds keys and transforms bytes; it
//! stores no rows, reads no clock, logs nothing, and no error or `Debug` of it shows a key or a plaintext.

mod digest;
mod digests;
mod epoch;
mod error;
mod keyfile;
mod keyring;
mod keyring_error;
mod keyring_format;
mod seal;
mod sealing;
mod secret;
mod token;

use std::{fmt, sync::Arc};

use self::{digest::MacKey, epoch::EpochKey, seal::Cipher, secret::SecretKey};
pub use self::{
    digests::commitment,
    epoch::{EpochInfo, EpochState},
    error::{Sealed, VaultError},
    keyring::Keyring,
    keyring_error::KeyringError,
    token::Token,
};
use crate::domain::{
    ids::{ProcessorId, RequestId, TaskId},
    time::At,
};

/// Seals, opens, digests and issues tokens. Clones share the keys.
#[derive(Clone)]
pub struct Vault(Arc<Keys>);

/// A request's sealed identifiers and the key that opens them. Dropping the key is forgetting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedSubject {
    /// The data key, sealed under the current epoch.
    pub wrapped_key: Vec<u8>,
    /// The identifiers, sealed under the data key.
    pub sealed: Vec<u8>,
}

/// Every key, ready to use: derived and scheduled once, not for each of some 60,000 tokens a second.
struct Keys {
    lookup: MacKey,
    payload: MacKey,
    token: MacKey,
    backup_token: MacKey,
    plan: MacKey,
    mark: MacKey,
    record: Cipher,
    /// The suppression keys of tenants are derived from it: they are given away, and it is not.
    suppression: SecretKey,
    /// By ascending id, as in the keyring.
    epochs: Vec<(u32, EpochCipher)>,
    current: u32,
    current_cipher: Cipher,
}

enum EpochCipher {
    Living(Cipher),
    Retired(At),
}

impl Vault {
    /// Takes the keys of an installation.
    pub fn new(keyring: Keyring) -> Self {
        let (current, key) = keyring
            .current()
            .expect("a keyring is only made or read with a living epoch");
        let epochs = keyring.epochs().iter().map(|epoch| {
            let cipher = match &epoch.key {
                EpochKey::Living(key) => EpochCipher::Living(Cipher::new(key)),
                EpochKey::Retired(at) => EpochCipher::Retired(*at),
            };
            (epoch.id, cipher)
        });
        let root = keyring.root();
        // The purposes are part of the format: a renamed one is another key, and nothing is found any more.
        Self(Arc::new(Keys {
            lookup: MacKey::new(&root.derive("lacuna v1 lookup")),
            payload: MacKey::new(&root.derive("lacuna v1 payload")),
            token: MacKey::new(&root.derive("lacuna v1 token")),
            backup_token: MacKey::new(&root.derive("lacuna v1 backup token")),
            plan: MacKey::new(&root.derive("lacuna v1 plan")),
            mark: MacKey::new(&root.derive("lacuna v1 mark")),
            record: Cipher::new(&root.derive("lacuna v1 record")),
            suppression: root.derive("lacuna v1 suppression"),
            epochs: epochs.collect(),
            current,
            current_cipher: Cipher::new(key),
        }))
    }

    /// What tells this keyring from another one. It stays as epochs come and go, and gives nothing away.
    pub fn mark(&self) -> [u8; 16] {
        self.0.mark.start("keyring").finish_short()
    }

    /// The epoch that seals now.
    pub fn current_epoch(&self) -> u32 {
        self.0.current
    }

    /// The token of one attempt.
    pub fn token(&self, request: RequestId, task: TaskId, generation: u32, attempt: u32) -> Token {
        Token::compute(&self.0.token, request, task, generation, attempt)
    }

    /// What a backup system shows in its events, to be believed to be itself.
    pub fn backup_token(&self, processor: &ProcessorId) -> Token {
        Token::of_backups(&self.0.backup_token, processor)
    }

    /// Whether this is the token of that backup system, in constant time.
    pub fn backup_token_matches(&self, processor: &ProcessorId, presented: &str) -> bool {
        self.backup_token(processor).matches(presented)
    }

    /// Whether this is the token of that attempt, in constant time. Of another length, or empty: it is not.
    pub fn token_matches(
        &self,
        request: RequestId,
        task: TaskId,
        generation: u32,
        attempt: u32,
        presented: &str,
    ) -> bool {
        self.token(request, task, generation, attempt).matches(presented)
    }

    fn epoch_cipher(&self, what: Sealed, sealed: &[u8]) -> Result<&Cipher, VaultError> {
        let epoch = seal::epoch_of(what, sealed)?;
        let missing = VaultError::MissingEpoch { what, epoch };
        let at = self
            .0
            .epochs
            .binary_search_by_key(&epoch, |(id, _)| *id)
            .map_err(|_| missing)?;
        match &self.0.epochs[at].1 {
            EpochCipher::Living(cipher) => Ok(cipher),
            EpochCipher::Retired(retired_at) => Err(VaultError::RetiredEpoch {
                what,
                epoch,
                retired_at: *retired_at,
            }),
        }
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault")
            .field("current_epoch", &self.0.current)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
