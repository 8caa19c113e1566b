//! Keyed digests: HMAC-SHA256 over parts that cannot run into each other.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::secret::{KEY_BYTES, SecretKey};

/// The block of SHA-256. HMAC pads a shorter key with zeros to one block.
const BLOCK_BYTES: usize = 64;

/// A key whose two hash states are computed once; each digest starts from a copy of them.
#[derive(Clone)]
pub(super) struct MacKey(Hmac<Sha256>);

/// A digest under way.
pub(super) struct Digest(Hmac<Sha256>);

impl MacKey {
    pub(super) fn new(key: &SecretKey) -> Self {
        // Padded here because a key of one block is taken as it is, which cannot fail.
        let mut block = zeroize::Zeroizing::new([0; BLOCK_BYTES]);
        block[..KEY_BYTES].copy_from_slice(key.bytes());
        Self(Hmac::new((&*block).into()))
    }

    /// Begins with what the digest is for.
    pub(super) fn start(&self, purpose: &str) -> Digest {
        let mut mac = self.0.clone();
        mac.update(purpose.as_bytes());
        Digest(mac)
    }
}

impl Digest {
    /// Adds a part of any length. The length goes before it, or else "ab", "c" and "a", "bc" would be the
    /// same.
    pub(super) fn part(mut self, bytes: &[u8]) -> Self {
        self.0.update(&(bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
        self
    }

    /// Adds a part whose length is always the same.
    pub(super) fn fixed<const N: usize>(mut self, bytes: &[u8; N]) -> Self {
        self.0.update(bytes);
        self
    }

    /// Adds a last part of any length: what comes last needs no length before it.
    pub(super) fn rest(mut self, bytes: &[u8]) -> Self {
        self.0.update(bytes);
        self
    }

    /// All 32 bytes.
    pub(super) fn finish(self) -> [u8; 32] {
        self.0.finalize().into_bytes().into()
    }

    /// The first 16 bytes: 2^64 digests before two are likely to be alike, in half the index.
    pub(super) fn finish_short(self) -> [u8; 16] {
        let full = self.finish();
        std::array::from_fn(|i| full[i])
    }
}
