//! Signatures of Standard Webhooks: `v1` (HMAC-SHA256, `whsec_…`) and `v1a` (Ed25519, `whsk_…`).
//!
//! Several keys make several signatures in one header, so that a receiver may still have the old key, or already the new one.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::signature::Ed25519KeyPair;

use crate::{
    config::{Secret, SigningKey},
    domain::ids::TaskId,
    transport::local::Unusable,
};

/// A key that signs.
pub(super) enum Signer {
    Symmetric(standardwebhooks::Webhook),
    Asymmetric(Box<Ed25519KeyPair>),
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

impl Signer {
    /// The key that a secret is.
    pub(super) fn new(secret: &Secret) -> Result<Self, Unusable> {
        let refused = |why: String| Unusable::new("secret", why);
        match SigningKey::parse(secret.expose()).map_err(|bad| refused(bad.to_string()))? {
            SigningKey::Symmetric(key) => standardwebhooks::Webhook::from_bytes(key.to_vec())
                .map(Self::Symmetric)
                .map_err(|error| refused(error.to_string())),
            SigningKey::Ed25519(key) => asymmetric(&key).map(|pair| Self::Asymmetric(Box::new(pair))),
        }
    }

    /// The version of its signatures.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Symmetric(_) => "v1",
            Self::Asymmetric(_) => "v1a",
        }
    }

    /// The signature, with its version before it.
    fn sign(&self, id: &str, timestamp: i64, body: &str) -> Result<String, Unusable> {
        match self {
            Self::Symmetric(key) => key
                .sign(id, timestamp, body.as_bytes())
                .map_err(|error| Unusable::new("secret", error.to_string())),
            Self::Asymmetric(key) => {
                let signature = key.sign(format!("{id}.{timestamp}.{body}").as_bytes());
                Ok(format!("v1a,{}", STANDARD.encode(signature)))
            }
        }
    }
}

/// The seed alone, as it is made, or with the public key after it, as some libraries keep it.
fn asymmetric(key: &[u8]) -> Result<Ed25519KeyPair, Unusable> {
    let pair = match key.split_at_checked(32) {
        Some((seed, public)) if !public.is_empty() => Ed25519KeyPair::from_seed_and_public_key(seed, public),
        _ => Ed25519KeyPair::from_seed_unchecked(key),
    };
    pair.map_err(|_| {
        Unusable::new(
            "secret",
            "the two halves of the Ed25519 key after whsk_ do not belong together",
        )
    })
}

/// The id of a call: the same for each attempt of a generation, so that whoever gets it twice knows.
pub(super) fn message_id(task: TaskId, generation: u32) -> String {
    format!("{task}_{generation}")
}

/// The header with every signature, the first key's first.
pub(super) fn signatures(
    signers: &[Signer],
    id: &str,
    timestamp: i64,
    body: &str,
) -> Result<String, Unusable> {
    let all: Result<Vec<String>, Unusable> = signers
        .iter()
        .map(|signer| signer.sign(id, timestamp, body))
        .collect();
    Ok(all?.join(" "))
}

#[cfg(test)]
mod tests {
    use ring::signature::{ED25519, KeyPair as _, UnparsedPublicKey};

    use super::*;

    fn signer(text: &str) -> Result<Signer, String> {
        Signer::new(&Secret::new(text)).map_err(|error| error.to_string())
    }

    /// The example of the standard's own libraries.
    #[test]
    fn a_symmetric_signature_is_the_standards() {
        let signer = signer("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = signer.sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signed.unwrap(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn an_asymmetric_signature_verifies_with_the_public_key() {
        let seed = [7_u8; 32];
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        let public = pair.public_key().as_ref();
        let both = [seed.as_slice(), public].concat();
        for key in [seed.as_slice(), both.as_slice()] {
            let signer = signer(&format!("whsk_{}", STANDARD.encode(key))).unwrap();
            let signed = signer.sign("id", 1, "{}").unwrap();
            let signature = STANDARD.decode(signed.strip_prefix("v1a,").unwrap()).unwrap();
            UnparsedPublicKey::new(&ED25519, public)
                .verify(b"id.1.{}", &signature)
                .unwrap();
        }
    }

    #[test]
    fn a_secret_of_text_is_its_bytes() {
        let text = "a secret of forty-one bytes, all as text.";
        let of_text = signer(text).unwrap().sign("id", 1, "{}").unwrap();
        let encoded = format!("whsec_{}", STANDARD.encode(text));
        assert_eq!(of_text, signer(&encoded).unwrap().sign("id", 1, "{}").unwrap());
    }

    #[test]
    fn several_keys_make_several_signatures() {
        let signers = [
            signer("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap(),
            signer(&format!("whsk_{}", STANDARD.encode([1; 32]))).unwrap(),
        ];
        let header = signatures(&signers, "id", 1, "{}").unwrap();
        let parts: Vec<&str> = header.split(' ').collect();
        assert!(
            matches!(parts.as_slice(), [v1, v1a] if v1.starts_with("v1,") && v1a.starts_with("v1a,")),
            "{header}"
        );
    }

    #[test]
    fn secrets_that_are_none_are_refused_and_not_repeated() {
        let half = STANDARD.encode([[1; 32], [2; 32]].concat());
        let cases = [
            ("short-secret-canary", "expected 24 to 64 bytes"),
            (&format!("whsk_{half}"), "do not belong together"),
        ];
        for (text, expected) in cases {
            let error = signer(text).unwrap_err();
            assert!(
                error.contains(expected) && !error.contains("canary"),
                "{text}: {error}"
            );
        }
    }
}
