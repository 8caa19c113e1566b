//! What is sealed and opened again: identifiers, side rows of the ledger, dead letters and capsules.

use zeroize::Zeroizing;

use super::{
    Sealed, SealedSubject, Vault, VaultError,
    seal::{Belonging, Cipher},
    secret::SecretKey,
};
use crate::domain::{
    fact::CapsuleEpoch,
    ids::{RequestId, TaskId, Tenant},
};

impl Vault {
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

    /// Seals what a connector has to remember of a task, under the key of its request.
    pub fn seal_note(
        &self,
        request: RequestId,
        task: TaskId,
        wrapped_key: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        let data_key = self.data_key(request, wrapped_key)?;
        Ok(Cipher::new(&data_key).seal(note_of(request, task), plaintext))
    }

    /// Opens it.
    pub fn open_note(
        &self,
        request: RequestId,
        task: TaskId,
        wrapped_key: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let data_key = self.data_key(request, wrapped_key)?;
        Cipher::new(&data_key).open(Sealed::Note, note_of(request, task), sealed)
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

fn note_of(request: RequestId, task: TaskId) -> Belonging {
    Belonging::new(Sealed::Note)
        .fixed(request.0.as_bytes())
        .fixed(task.0.as_bytes())
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

pub(super) fn record_of(request: RequestId, n: u32) -> Belonging {
    Belonging::new(Sealed::Record)
        .fixed(request.0.as_bytes())
        .fixed(&n.to_le_bytes())
}
