//! Key material in memory: wiped when dropped, never printed, and drawn or derived in one place.

use std::fmt;

use hkdf::Hkdf;
use rand::{Rng, TryRng, rngs::SysRng};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Bytes of every key: what XChaCha20-Poly1305 takes and what HMAC-SHA256 cannot use more of.
pub const KEY_BYTES: usize = 32;

/// A key. It is wiped when it is dropped, and `Debug` does not show it.
#[derive(Clone)]
pub struct SecretKey(Zeroizing<[u8; KEY_BYTES]>);

impl SecretKey {
    /// Draws a key that lives for years. It comes from the operating system, whose failure is reported rather
    /// than survived.
    pub fn from_system() -> Result<Self, rand::rngs::SysError> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        SysRng.try_fill_bytes(key.as_mut_slice())?;
        Ok(Self(key))
    }

    /// Draws a key for one request from the thread's generator: a CSPRNG that the system seeds, without a
    /// system call each time.
    pub fn from_thread() -> Self {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        rand::rng().fill_bytes(key.as_mut_slice());
        Self(key)
    }

    /// Takes bytes that are a key; `None` where the length is another.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        if bytes.len() != KEY_BYTES {
            return None;
        }
        key.copy_from_slice(bytes);
        Some(Self(key))
    }

    /// Derives the key for one purpose by HKDF-SHA256: who learns one derived key learns neither this one nor
    /// another.
    pub fn derive(&self, purpose: &str) -> Self {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        Hkdf::<Sha256>::new(None, self.bytes())
            .expand(purpose.as_bytes(), key.as_mut_slice())
            .expect("HKDF-SHA256 gives up to 8,160 bytes, and this asks for 32");
        Self(key)
    }

    /// The key itself.
    pub fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Random bytes that need not be secret for long: nonces and salts.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_keys_are_those_of_hkdf_sha256() {
        // Computed with Python's `cryptography`: HKDF(SHA256, 32, salt=None, info).derive(bytes(range(32))).
        let root = SecretKey::from_slice(&std::array::from_fn::<u8, 32, _>(|i| i as u8)).unwrap();
        assert_eq!(
            hex::encode(root.derive("lacuna v1 token").bytes()),
            "310c526e25ae27b0a2686ff7c1793afac0e5c055618be06aedb136cae08a2699"
        );
        assert_eq!(
            hex::encode(root.derive("lacuna v1 lookup").bytes()),
            "b03c7eb53a33c4d8845412b6ef21195f6d952b9792287fca28f6c8f88950db00"
        );
    }

    #[test]
    fn only_thirty_two_bytes_are_a_key() {
        assert!(SecretKey::from_slice(&[0; 31]).is_none());
        assert!(SecretKey::from_slice(&[0; 33]).is_none());
        assert!(SecretKey::from_slice(&[]).is_none());
    }

    #[test]
    fn every_draw_is_another_key() {
        assert_ne!(SecretKey::from_thread().bytes(), SecretKey::from_thread().bytes());
        assert_ne!(
            SecretKey::from_system().unwrap().bytes(),
            SecretKey::from_system().unwrap().bytes()
        );
    }
}
