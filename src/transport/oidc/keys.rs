//! The keys that a provider signs with.

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, Header, Validation,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse},
};
use serde_json::Value;

use super::OidcError;

/// The shortest modulus of RSA in bytes: 2048 bits.
const SHORTEST_MODULUS: usize = 256;

/// Public keys.
#[derive(Debug)]
pub(super) struct Keys(Vec<Key>);

#[derive(Debug)]
struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

impl Keys {
    /// Reads a set. A key of a kind that is not known here, or one that is broken, is left out: the others count.
    pub(super) fn read(set: &Value) -> Result<Self, OidcError> {
        let keys = set.get("keys").and_then(Value::as_array);
        let keys = keys.ok_or_else(|| OidcError::Away("its keys cannot be read".to_owned()))?;
        Ok(Self(keys.iter().filter_map(Key::read).collect()))
    }

    /// The claims of a token that one of these keys has signed; `None`: there is no such key. Where the token names a key, it is
    /// that one; else any that fits.
    pub(super) fn open(&self, token: &str, header: &Header) -> Result<Option<Value>, OidcError> {
        let fits = |key: &&Key| {
            key.algorithms.contains(&header.alg)
                && header.kid.as_ref().is_none_or(|id| key.id.as_ref() == Some(id))
        };
        let mut any = false;
        for key in self.0.iter().filter(fits) {
            any = true;
            match jsonwebtoken::decode(token, &key.key, &signature_only(header.alg)) {
                Ok(opened) => return Ok(Some(opened.claims)),
                Err(error) => tracing::debug!(%error, "a token is not believed"),
            }
        }
        if any && header.kid.is_some() {
            return Err(OidcError::Rejected("its signature is wrong"));
        }
        Ok(None)
    }
}

/// The library checks the signature. Times and names are checked in `claims`, by our own clock.
fn signature_only(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
}

impl Key {
    fn read(value: &Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
        if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
            return None;
        }
        let algorithms: Vec<Algorithm> = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => AlgorithmFamily::Rsa.algorithms().to_vec(),
            AlgorithmParameters::EllipticCurve(key) => match key.curve {
                EllipticCurve::P256 => vec![Algorithm::ES256],
                EllipticCurve::P384 => vec![Algorithm::ES384],
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(_) => vec![Algorithm::EdDSA],
            // A secret that two know proves nothing to either, and does not belong into a public set.
            _ => return None,
        };
        let named = value.get("alg").and_then(Value::as_str);
        let algorithms: Vec<Algorithm> = algorithms
            .into_iter()
            .filter(|algorithm| named.is_none_or(|named| named.parse::<Algorithm>().ok() == Some(*algorithm)))
            .collect();
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        is_long_enough(&key).then_some(Self {
            id: jwk.common.key_id,
            algorithms,
            key,
        })
    }
}

fn is_long_enough(key: &DecodingKey) -> bool {
    match key.kind() {
        jsonwebtoken::DecodingKeyKind::RsaModulusExponent { n, .. } => {
            let leading = n.iter().take_while(|byte| **byte == 0).count();
            n.len() - leading >= SHORTEST_MODULUS
        }
        _ => true,
    }
}
