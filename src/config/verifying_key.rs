//! What signatures of Standard Webhooks are verified with.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::signing_key::{BadSigningKey, SigningKey};

/// What a public key of Ed25519 begins with, and the secret one, which is the sender's alone.
const PUBLIC: &str = "whpk_";
const SECRET: &str = "whsk_";

/// The bytes of a public key of Ed25519.
const PUBLIC_BYTES: usize = 32;

/// A key that verifies webhooks.
#[derive(Clone, PartialEq, Eq)]
pub enum VerifyingKey {
    /// For HMAC-SHA256 (`v1`).
    Symmetric(Zeroizing<Vec<u8>>),
    /// The public key of Ed25519 (`v1a`).
    Ed25519(Vec<u8>),
}

impl std::fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A text is no key to verify with. It is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadVerifyingKey {
    /// It is the wrong half.
    #[error(
        "whsk_ signs, and is the sender's alone: expected its public key, whpk_, or a symmetric secret, whsec_"
    )]
    Secret,
    /// It is no public key of Ed25519.
    #[error("expected the 32 bytes of a public key of Ed25519 in base64 after whpk_")]
    Public,
    /// It is no symmetric secret.
    #[error(transparent)]
    Symmetric(#[from] BadSigningKey),
}

impl VerifyingKey {
    /// The key that a text is: `whsec_…`, `whpk_…`, or a text whose bytes are the symmetric key.
    pub fn parse(text: &str) -> Result<Self, BadVerifyingKey> {
        if text.starts_with(SECRET) {
            return Err(BadVerifyingKey::Secret);
        }
        if let Some(encoded) = text.strip_prefix(PUBLIC) {
            return match STANDARD.decode(encoded) {
                Ok(key) if key.len() == PUBLIC_BYTES => Ok(Self::Ed25519(key)),
                _ => Err(BadVerifyingKey::Public),
            };
        }
        match SigningKey::parse(text)? {
            SigningKey::Symmetric(key) => Ok(Self::Symmetric(key)),
            SigningKey::Ed25519(_) => Err(BadVerifyingKey::Secret),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_key_and_symmetric_secret_verify() {
        let text = "a secret of thirty-six bytes as text";
        assert_eq!(
            VerifyingKey::parse(text),
            Ok(VerifyingKey::Symmetric(text.as_bytes().to_vec().into()))
        );
        let public = format!("whpk_{}", STANDARD.encode([7; 32]));
        assert_eq!(
            VerifyingKey::parse(&public),
            Ok(VerifyingKey::Ed25519(vec![7; 32]))
        );
    }

    #[test]
    fn what_does_not_verify_is_refused() {
        let secret = format!("whsk_{}", STANDARD.encode([7; 32]));
        for (text, error) in [
            (secret.as_str(), BadVerifyingKey::Secret),
            ("whpk_AAAA", BadVerifyingKey::Public),
            ("whpk_%", BadVerifyingKey::Public),
            ("too short", BadVerifyingKey::Symmetric(BadSigningKey::Length)),
        ] {
            assert_eq!(VerifyingKey::parse(text), Err(error), "{text}");
        }
    }
}
