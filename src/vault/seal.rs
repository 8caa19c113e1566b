//! Sealing: XChaCha20-Poly1305, and the layout of what is sealed.
//!
//! | what | layout | under |
//! |---|---|---|
//! | sealed identifiers | version, nonce, ciphertext, tag | the request's data key |
//! | capsule | version, nonce, ciphertext, tag | the key of its epoch's capsules |
//! | wrapped data key, wrapped capsule key, dead letter, ledger side row | version, epoch (u32, little endian), nonce, ciphertext, tag | that epoch |
//! | ledger side row of an earlier release | version, nonce, ciphertext, tag | the record key |
//!
//! The nonces are random: at 192 bits, no number of rows that a database can hold makes two alike. The
//! associated data begins with what the thing is, so that nothing opens as something else, and covers the
//! header, so that no byte of a sealed value can be changed.

use chacha20poly1305::{AeadInOut, KeyInit, Tag, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::{
    error::{Sealed, VaultError},
    secret::{SecretKey, random},
};

/// The layout that this release writes, and the only one so far that it reads.
pub(super) const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
const EPOCH_BYTES: usize = 4;

/// A cipher that is ready to use. It wipes its key when it is dropped.
#[derive(Clone)]
pub(super) struct Cipher(XChaCha20Poly1305);

/// What a sealed thing belongs to: it opens only where the same is said again.
pub(super) struct Belonging(Vec<u8>);

impl Belonging {
    /// Begins with what the thing is.
    pub(super) fn new(what: Sealed) -> Self {
        // Enough for the longest tenant and a request, so that it is allocated once.
        let mut bytes = Vec::with_capacity(160);
        bytes.extend_from_slice(b"lacuna v1 ");
        bytes.extend_from_slice(what.domain().as_bytes());
        bytes.push(0);
        Self(bytes)
    }

    /// Adds a part of any length. The length goes before it, or else two different belongings could read the
    /// same.
    pub(super) fn text(mut self, part: &str) -> Self {
        self.0.extend_from_slice(&(part.len() as u64).to_le_bytes());
        self.0.extend_from_slice(part.as_bytes());
        self
    }

    /// Adds a part whose length is always the same.
    pub(super) fn fixed<const N: usize>(mut self, part: &[u8; N]) -> Self {
        self.0.extend_from_slice(part);
        self
    }
}

impl Cipher {
    pub(super) fn new(key: &SecretKey) -> Self {
        Self(XChaCha20Poly1305::new(key.bytes().into()))
    }

    /// Seals: version, nonce, ciphertext, tag.
    pub(super) fn seal(&self, belonging: Belonging, plaintext: &[u8]) -> Vec<u8> {
        self.seal_after(&[VERSION], belonging, plaintext)
    }

    /// Seals under an epoch, which the header names.
    pub(super) fn seal_in_epoch(&self, epoch: u32, belonging: Belonging, plaintext: &[u8]) -> Vec<u8> {
        let mut header = [VERSION; 1 + EPOCH_BYTES];
        header[1..].copy_from_slice(&epoch.to_le_bytes());
        self.seal_after(&header, belonging, plaintext)
    }

    fn seal_after<const N: usize>(
        &self,
        header: &[u8; N],
        belonging: Belonging,
        plaintext: &[u8],
    ) -> Vec<u8> {
        let nonce = random::<NONCE_BYTES>();
        // Room for everything at once: a buffer that grows leaves plaintext behind.
        let mut out = Vec::with_capacity(N + NONCE_BYTES + plaintext.len() + TAG_BYTES);
        out.extend_from_slice(header);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(plaintext);
        let tag = self
            .0
            .encrypt_inout_detached(
                &XNonce::from(nonce),
                &belonging.fixed(header).0,
                out[N + NONCE_BYTES..].as_mut().into(),
            )
            .expect("the cipher takes 256 GiB, and this is one message");
        out.extend_from_slice(&tag);
        out
    }

    /// Opens what `seal` gave.
    pub(super) fn open(
        &self,
        what: Sealed,
        belonging: Belonging,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let (header, body) = split::<1>(what, sealed)?;
        self.open_after(header, what, belonging, body)
    }

    /// Opens what `seal_in_epoch` gave, with the cipher of the epoch that `epoch_of` has found in it.
    pub(super) fn open_in_epoch(
        &self,
        what: Sealed,
        belonging: Belonging,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let (header, body) = split::<{ 1 + EPOCH_BYTES }>(what, sealed)?;
        self.open_after(header, what, belonging, body)
    }

    fn open_after<const N: usize>(
        &self,
        header: &[u8; N],
        what: Sealed,
        belonging: Belonging,
        body: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let truncated = VaultError::Truncated { what };
        let (nonce, rest) = body.split_first_chunk::<NONCE_BYTES>().ok_or(truncated)?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or(truncated)?;
        let mut buffer = Zeroizing::new(ciphertext.to_vec());
        self.0
            .decrypt_inout_detached(
                &XNonce::from(*nonce),
                &belonging.fixed(header).0,
                buffer.as_mut_slice().into(),
                &Tag::from(*tag),
            )
            .map_err(|_| VaultError::Tampered { what })?;
        Ok(buffer)
    }
}

/// The epoch that a wrapped key or a dead letter was sealed under.
pub(super) fn epoch_of(what: Sealed, sealed: &[u8]) -> Result<u32, VaultError> {
    let (header, _) = split::<{ 1 + EPOCH_BYTES }>(what, sealed)?;
    let [_version, epoch @ ..] = *header;
    Ok(u32::from_le_bytes(epoch))
}

/// Splits off the header and checks its version.
fn split<const N: usize>(what: Sealed, sealed: &[u8]) -> Result<(&[u8; N], &[u8]), VaultError> {
    let (header, body) = sealed
        .split_first_chunk::<N>()
        .ok_or(VaultError::Truncated { what })?;
    match header.first() {
        Some(&VERSION) => Ok((header, body)),
        Some(&found) => Err(VaultError::UnknownVersion { what, found }),
        None => Err(VaultError::Truncated { what }),
    }
}
