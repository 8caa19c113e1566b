//! Where identifiers live: sealed under a key of each request's own, found again by keyed digests, forgotten
//! by dropping the key.
//!
//! Invariants 7 and 8 rest on this module: a forged ack has no token, and what is shredded is unreadable, in
//! the database's own backups as well once the epoch is retired. It holds keys and transforms bytes; it
//! stores no rows, reads no clock, logs nothing, and no error or `Debug` of it shows a key or a plaintext.

mod digest;
mod error;
mod keyfile;
mod keyring;
mod keyring_format;
mod seal;
mod secret;
mod token;

use std::{fmt, sync::Arc};

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;
use zeroize::Zeroizing;

use self::{
    digest::MacKey,
    keyring::EpochKey,
    seal::{Belonging, Cipher},
    secret::{SecretKey, random},
};
pub use self::{
    error::{Sealed, VaultError},
    keyring::{EpochInfo, EpochState, Keyring, KeyringError},
    token::Token,
};
use crate::domain::{
    fact::CapsuleEpoch,
    identity::{FormerDigest, Identity, SubjectData, SubjectDigest, SuppressionDigest},
    ids::{ProcessorId, RequestId, TaskId, Tenant},
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

    /// Seals a request's identifiers under a fresh key of its own, which it wraps under the current epoch.
    pub fn seal_subject(&self, tenant: &Tenant, request: RequestId, plaintext: &[u8]) -> SealedSubject {
        let data_key = SecretKey::from_thread();
        let keys = &self.0;
        SealedSubject {
            wrapped_key: keys.current_cipher.seal_in_epoch(
                keys.current,
                data_key_of(request),
                data_key.bytes(),
            ),
            sealed: Cipher::new(&data_key).seal(subject_of(tenant, request), plaintext),
        }
    }

    /// Seals a request's identifiers anew, under the key that they have.
    pub fn reseal_subject(
        &self,
        tenant: &Tenant,
        request: RequestId,
        wrapped_key: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        let data_key = self.data_key(request, wrapped_key)?;
        Ok(Cipher::new(&data_key).seal(subject_of(tenant, request), plaintext))
    }

    /// Whether this keyring wrapped the key of a request.
    pub fn opens_key(&self, request: RequestId, wrapped_key: &[u8]) -> Result<(), VaultError> {
        self.data_key(request, wrapped_key).map(drop)
    }

    fn data_key(&self, request: RequestId, wrapped_key: &[u8]) -> Result<SecretKey, VaultError> {
        let what = Sealed::DataKey;
        let bytes =
            self.epoch_cipher(what, wrapped_key)?
                .open_in_epoch(what, data_key_of(request), wrapped_key)?;
        SecretKey::from_slice(&bytes).ok_or(VaultError::Tampered { what })
    }

    /// Opens a request's identifiers. Both parts have to be those of this tenant and request.
    pub fn open_subject(
        &self,
        tenant: &Tenant,
        request: RequestId,
        wrapped_key: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let data_key = self.data_key(request, wrapped_key)?;
        Cipher::new(&data_key).open(Sealed::Subject, subject_of(tenant, request), sealed)
    }

    /// Seals the side row of the request's n-th ledger entry: free text and references. It is shown for as long as the
    /// request's rows are kept, and never rewrapped: it goes with its epoch at the latest.
    pub fn seal_record(&self, request: RequestId, n: u32, plaintext: &[u8]) -> Vec<u8> {
        let keys = &self.0;
        keys.current_cipher
            .seal_in_epoch(keys.current, record_of(request, n), plaintext)
    }

    /// Opens the side row of the request's n-th ledger entry.
    pub fn open_record(
        &self,
        request: RequestId,
        n: u32,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let what = Sealed::Record;
        self.epoch_cipher(what, sealed)
            .and_then(|cipher| cipher.open_in_epoch(what, record_of(request, n), sealed))
            .or_else(|error| {
                // An earlier release sealed it under a key of the installation. What a row of this one is not opened by is
                // not opened by that key either.
                let earlier = self.0.record.open(what, record_of(request, n), sealed);
                earlier.map_err(|_| error)
            })
    }

    /// Seals a message that could not be taken in. It names the epoch, because it lives in a topic and is
    /// never rewrapped.
    pub fn seal_dead_letter(&self, plaintext: &[u8]) -> Vec<u8> {
        let keys = &self.0;
        keys.current_cipher
            .seal_in_epoch(keys.current, Belonging::new(Sealed::DeadLetter), plaintext)
    }

    /// Opens a dead letter while its epoch lives.
    pub fn open_dead_letter(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let what = Sealed::DeadLetter;
        self.epoch_cipher(what, sealed)?
            .open_in_epoch(what, Belonging::new(what), sealed)
    }

    /// A new key for the capsules of an epoch, wrapped under the current epoch of the keyring. Deleting it is forgetting.
    pub fn new_capsule_key(&self, epoch: &CapsuleEpoch) -> Vec<u8> {
        let keys = &self.0;
        keys.current_cipher.seal_in_epoch(
            keys.current,
            capsule_key_of(epoch),
            SecretKey::from_thread().bytes(),
        )
    }

    /// Seals what a restore replay would need of a request.
    pub fn seal_capsule(
        &self,
        epoch: &CapsuleEpoch,
        wrapped_key: &[u8],
        tenant: &Tenant,
        request: RequestId,
        plaintext: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        let key = self.capsule_key(epoch, wrapped_key)?;
        Ok(Cipher::new(&key).seal(capsule_of(tenant, request), plaintext))
    }

    /// Opens a capsule, as long as the key of its epoch is there.
    pub fn open_capsule(
        &self,
        epoch: &CapsuleEpoch,
        wrapped_key: &[u8],
        tenant: &Tenant,
        request: RequestId,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let key = self.capsule_key(epoch, wrapped_key)?;
        Cipher::new(&key).open(Sealed::Capsule, capsule_of(tenant, request), sealed)
    }

    fn capsule_key(&self, epoch: &CapsuleEpoch, wrapped_key: &[u8]) -> Result<SecretKey, VaultError> {
        let what = Sealed::CapsuleKey;
        let bytes =
            self.epoch_cipher(what, wrapped_key)?
                .open_in_epoch(what, capsule_key_of(epoch), wrapped_key)?;
        SecretKey::from_slice(&bytes).ok_or(VaultError::Tampered { what })
    }

    /// What finds a person again: equal for equal (tenant, type, normalised value), and says nothing without
    /// the key.
    pub fn lookup_digest(&self, tenant: &Tenant, identity: &Identity) -> SubjectDigest {
        self.lookup_of(tenant, identity, &identity.normalised())
    }

    /// The same, with what earlier versions would have written for it, which is added to `former`.
    pub fn lookup_digests(
        &self,
        tenant: &Tenant,
        identity: &Identity,
        former: &mut Vec<FormerDigest>,
    ) -> SubjectDigest {
        let normalised = identity.normalised();
        let of = self.lookup_of(tenant, identity, &normalised);
        former.extend(identity.former(&normalised).into_iter().map(|form| FormerDigest {
            of,
            digest: self.lookup_of(tenant, identity, &form.text),
            is_spelling: form.is_spelling,
        }));
        of
    }

    fn lookup_of(&self, tenant: &Tenant, identity: &Identity, form: &SubjectData) -> SubjectDigest {
        self.0
            .lookup
            .start("lacuna lookup v1")
            .part(tenant.as_str().as_bytes())
            .part(identity.kind.as_str().as_bytes())
            .part(form.expose().as_bytes())
            .finish_short()
    }

    /// The key of a tenant's suppression list. Who has it can look for people in the list, one guess after the other, and
    /// can do nothing else with it: it finds nobody in the vault, and leads to no other tenant's key.
    pub fn suppression_key(&self, tenant: &Tenant) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(*self.0.suppression.derive(tenant.as_str()).bytes())
    }

    /// An identifier as the suppression list has it: HMAC-SHA-256 under the tenant's key over the type, a zero byte and
    /// the normalised value. Others compute the same: a change is another [`Recipe`](crate::domain::identity::Recipe).
    pub fn suppression_digest(&self, tenant: &Tenant, identity: &Identity) -> SuppressionDigest {
        MacKey::new(&self.0.suppression.derive(tenant.as_str()))
            .start(identity.kind.as_str())
            .fixed(&[0])
            .rest(identity.normalised().expose().as_bytes())
            .finish()
    }

    /// What tells a repeated command from another payload under the same id. Keyed: payloads hold guessable
    /// identifiers.
    pub fn payload_digest(&self, tenant: &Tenant, canonical: &[u8]) -> [u8; 16] {
        self.0
            .payload
            .start("lacuna payload v1")
            .part(tenant.as_str().as_bytes())
            .part(canonical)
            .finish_short()
    }

    /// What tells a record of a log from another one in its place. Keyed: records hold guessable identifiers.
    pub fn log_digest(&self, record: &[u8]) -> [u8; 16] {
        self.0
            .payload
            .start("lacuna log record v1")
            .part(record)
            .finish_short()
    }

    /// What shows that a plan was written by this installation, and not changed since.
    pub fn plan_mac(&self, plan: &[u8]) -> [u8; 32] {
        self.0.plan.start("lacuna plan v1").part(plan).finish()
    }

    /// Whether this is what [`Self::plan_mac`] gives, in constant time.
    pub fn plan_mac_matches(&self, plan: &[u8], presented: &[u8]) -> bool {
        self.plan_mac(plan).as_slice().ct_eq(presented).into()
    }

    /// The name of a subject within a planned run: the same for the same identifiers. Keyed, because it goes where
    /// identifiers may not, and they can be guessed.
    pub fn planned_subject(&self, run: Uuid, identities: &[u8]) -> Uuid {
        let named = self
            .0
            .plan
            .start("lacuna plan subject v1")
            .fixed(run.as_bytes())
            .part(identities)
            .finish();
        Uuid::new_v5(&run, &named)
    }

    /// A salted commitment for a ledger leaf, as (salt, commitment). The salt lies in the side row and is
    /// shredded with it; from then on the leaf says nothing, even about a text that can be guessed.
    pub fn commitment(&self, plaintext: &[u8]) -> ([u8; 16], [u8; 32]) {
        let salt = random();
        (salt, commitment(&salt, plaintext))
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

/// The commitment to a text under a salt: SHA-256(salt ‖ text). Whoever is shown both can check a leaf with
/// nothing else.
pub fn commitment(salt: &[u8; 16], plaintext: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update(salt)
        .chain_update(plaintext)
        .finalize()
        .into()
}

/// The tenant is bound here only: a rewrap, which walks over wrapped keys, then needs nothing but the
/// request.
fn data_key_of(request: RequestId) -> Belonging {
    Belonging::new(Sealed::DataKey).fixed(request.0.as_bytes())
}

fn subject_of(tenant: &Tenant, request: RequestId) -> Belonging {
    Belonging::new(Sealed::Subject)
        .text(tenant.as_str())
        .fixed(request.0.as_bytes())
}

fn capsule_key_of(epoch: &CapsuleEpoch) -> Belonging {
    Belonging::new(Sealed::CapsuleKey)
        .text(&epoch.name())
        .fixed(&epoch.week.to_le_bytes())
}

fn capsule_of(tenant: &Tenant, request: RequestId) -> Belonging {
    Belonging::new(Sealed::Capsule)
        .text(tenant.as_str())
        .fixed(request.0.as_bytes())
}

fn record_of(request: RequestId, n: u32) -> Belonging {
    Belonging::new(Sealed::Record)
        .fixed(request.0.as_bytes())
        .fixed(&n.to_le_bytes())
}

#[cfg(test)]
mod tests;
