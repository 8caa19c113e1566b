//! What webhooks are signed with, as Standard Webhooks writes it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

/// What a symmetric secret begins with.
const SYMMETRIC: &str = "whsec_";

/// What a secret of Ed25519 begins with, and what its public key does: the two are mixed up easily.
const ASYMMETRIC: &str = "whsk_";
const PUBLIC: &str = "whpk_";

/// The lengths of a symmetric secret that the standard allows, in bytes.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// A key that signs webhooks.
#[derive(Clone, PartialEq, Eq)]
pub enum SigningKey {
    /// For HMAC-SHA256 (`v1`).
    Symmetric(Zeroizing<Vec<u8>>),
    /// The seed of Ed25519 (`v1a`), with its public key after it or without.
    Ed25519(Zeroizing<Vec<u8>>),
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A text is no key. It is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSigningKey {
    /// It is the wrong half.
    #[error("whpk_ is the public key, which the receiver has: the one that signs begins with whsk_")]
    Public,
    /// What follows the prefix is no base64.
    #[error("expected base64 after {0}")]
    Encoding(&'static str),
    /// It is too short to be safe, or longer than the standard allows.
    #[error(
        "expected 24 to 64 bytes: whsec_ and so many in base64 (`echo whsec_$(openssl rand -base64 32)` makes one), or a \
         text of so many"
    )]
    Length,
    /// It is no key of Ed25519.
    #[error("expected 32 or 64 bytes of an Ed25519 key in base64 after whsk_")]
    Ed25519,
}

impl SigningKey {
    /// The key that a secret is: `whsec_…`, `whsk_…`, or a text whose bytes are the symmetric key.
    pub fn parse(text: &str) -> Result<Self, BadSigningKey> {
        let decoded = |encoded: &str, prefix| {
            let decoded = STANDARD.decode(encoded).map(Zeroizing::new);
            decoded.map_err(|_| BadSigningKey::Encoding(prefix))
        };
        if text.starts_with(PUBLIC) {
            return Err(BadSigningKey::Public);
        }
        if let Some(encoded) = text.strip_prefix(ASYMMETRIC) {
            let key = decoded(encoded, ASYMMETRIC)?;
            return match key.len() {
                32 | 64 => Ok(Self::Ed25519(key)),
                _ => Err(BadSigningKey::Ed25519),
            };
        }
        let key = match text.strip_prefix(SYMMETRIC) {
            Some(encoded) => decoded(encoded, SYMMETRIC)?,
            None => Zeroizing::new(text.as_bytes().to_vec()),
        };
        if LENGTHS.contains(&key.len()) {
            Ok(Self::Symmetric(key))
        } else {
            Err(BadSigningKey::Length)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_a_secret_is_its_key() {
        let symmetric = |bytes: &[u8]| Ok(SigningKey::Symmetric(bytes.to_vec().into()));
        let text = "a secret of thirty-six bytes as text";
        assert_eq!(SigningKey::parse(text), symmetric(text.as_bytes()));
        let encoded = format!("whsec_{}", STANDARD.encode(text));
        assert_eq!(SigningKey::parse(&encoded), symmetric(text.as_bytes()));
        let seed = format!("whsk_{}", STANDARD.encode([7; 32]));
        assert_eq!(
            SigningKey::parse(&seed),
            Ok(SigningKey::Ed25519(vec![7; 32].into()))
        );
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for (text, error) in [
            ("whsec_####", BadSigningKey::Encoding("whsec_")),
            ("whsec_c2hvcnQ=", BadSigningKey::Length),
            ("too short", BadSigningKey::Length),
            (&"x".repeat(65), BadSigningKey::Length),
            ("whpk_AAAA", BadSigningKey::Public),
            ("whsk_%", BadSigningKey::Encoding("whsk_")),
            ("whsk_AAAA", BadSigningKey::Ed25519),
        ] {
            assert_eq!(SigningKey::parse(text), Err(error), "{text}");
        }
    }
}
