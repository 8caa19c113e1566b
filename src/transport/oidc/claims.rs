//! What a token has to say to count: who has issued it, for whom, and for when.

use std::time::Duration;

use jsonwebtoken::{Algorithm, Header};
use serde_json::Value;

use super::OidcError;
use crate::{config::SigningAlgorithm, domain::time::At};

/// How far the clocks of this machine and of the provider may be apart.
pub(super) const SKEW: Duration = Duration::from_secs(60);

/// What a bearer token of the API may call itself (RFC 9068); many say nothing, or just that they are a JWT.
pub(super) const ACCESS_TOKENS: &[&str] = &["jwt", "at+jwt", "application/at+jwt"];

/// What an ID token may call itself.
pub(super) const ID_TOKENS: &[&str] = &["jwt"];

/// The head of a token, where it is of one of these types and says that it is signed with an algorithm that is allowed.
pub(super) fn header(token: &str, types: &[&str], allowed: &[SigningAlgorithm]) -> Result<Header, OidcError> {
    // What names an algorithm that is unknown, such as `none`, cannot be read.
    let header = jsonwebtoken::decode_header(token)
        .map_err(|_| OidcError::Rejected("it is no signed token with an algorithm that is allowed"))?;
    if !allowed.iter().any(|allowed| algorithm(*allowed) == header.alg) {
        return Err(OidcError::Rejected(
            "it is signed with an algorithm that is not allowed (auth.oidc.algorithms)",
        ));
    }
    let kind = header.typ.as_ref().map(|kind| kind.to_ascii_lowercase());
    if kind.is_some_and(|kind| !types.contains(&kind.as_str())) {
        return Err(OidcError::Rejected("it is a token for something else (typ)"));
    }
    Ok(header)
}

const fn algorithm(configured: SigningAlgorithm) -> Algorithm {
    match configured {
        SigningAlgorithm::Rs256 => Algorithm::RS256,
        SigningAlgorithm::Rs384 => Algorithm::RS384,
        SigningAlgorithm::Rs512 => Algorithm::RS512,
        SigningAlgorithm::Ps256 => Algorithm::PS256,
        SigningAlgorithm::Ps384 => Algorithm::PS384,
        SigningAlgorithm::Ps512 => Algorithm::PS512,
        SigningAlgorithm::Es256 => Algorithm::ES256,
        SigningAlgorithm::Es384 => Algorithm::ES384,
        SigningAlgorithm::EdDsa => Algorithm::EdDSA,
    }
}

/// What is expected of the claims.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) audience: &'a str,
    pub(super) now: At,
}

impl Expected<'_> {
    /// Refuses claims of another issuer, for another audience, or for another time.
    pub(super) fn check(&self, claims: &Value) -> Result<(), OidcError> {
        if claims.get("iss").and_then(Value::as_str) != Some(self.issuer) {
            return Err(OidcError::Rejected("it is from another issuer (iss)"));
        }
        if !audiences(claims).contains(&self.audience) {
            return Err(OidcError::Rejected("it is meant for somebody else (aud)"));
        }
        let subject = claims.get("sub").and_then(Value::as_str);
        if subject.is_none_or(str::is_empty) {
            return Err(OidcError::Rejected("it does not say whose it is (sub)"));
        }
        let Some(end) = time(claims, "exp")? else {
            return Err(OidcError::Rejected("it does not say until when it is good (exp)"));
        };
        if end.plus(SKEW) <= self.now {
            return Err(OidcError::Rejected("it has expired (exp)"));
        }
        if time(claims, "nbf")?.is_some_and(|start| start > self.now.plus(SKEW)) {
            return Err(OidcError::Rejected(
                "it is not good yet (nbf): or one of the two clocks is wrong",
            ));
        }
        if time(claims, "iat")?.is_some_and(|made| made > self.now.plus(SKEW)) {
            return Err(OidcError::Rejected(
                "it was issued in the future (iat): one of the two clocks is wrong",
            ));
        }
        Ok(())
    }
}

/// Whom a token is meant for: one, or several.
pub(super) fn audiences(claims: &Value) -> Vec<&str> {
    match claims.get("aud") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Seconds since the epoch, which may have a fraction (RFC 7519, NumericDate).
fn time(claims: &Value, name: &str) -> Result<Option<At>, OidcError> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    let seconds = value
        .as_f64()
        .filter(|seconds| (0.0..1e12).contains(seconds))
        .ok_or(OidcError::Rejected("a time in it is none (exp, nbf, iat)"))?;
    Ok(Some(At::from_millis(0).plus(Duration::from_secs_f64(seconds))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn check(with: &Value) -> Result<(), OidcError> {
        let mut claims = json!({ "iss": "https://id", "aud": "lacuna", "sub": "ann", "exp": NOW + 300 });
        for (name, value) in with.as_object().unwrap() {
            claims[name] = value.clone();
        }
        Expected {
            issuer: "https://id",
            audience: "lacuna",
            now: At::from_millis(0).plus(Duration::from_secs(NOW)),
        }
        .check(&claims)
    }

    #[test]
    fn claims_count_within_the_skew_of_clocks() {
        for good in [
            json!({}),
            json!({ "aud": ["other", "lacuna"] }),
            json!({ "exp": NOW - 59 }),
            json!({ "nbf": NOW + 60 }),
            json!({ "iat": NOW + 60 }),
            json!({ "iat": NOW - 1_000_000, "nbf": 0 }),
            json!({ "exp": NOW as f64 + 0.5 }),
        ] {
            assert_eq!(check(&good), Ok(()), "{good}");
        }
    }

    #[test]
    fn claims_of_others_and_of_another_time_do_not_count() {
        for (bad, said) in [
            (json!({ "iss": "https://id/" }), "another issuer"),
            (json!({ "iss": null }), "another issuer"),
            (json!({ "aud": "other" }), "somebody else"),
            (json!({ "aud": ["other"] }), "somebody else"),
            (json!({ "aud": {} }), "somebody else"),
            (json!({ "sub": "" }), "whose it is"),
            (json!({ "sub": 7 }), "whose it is"),
            (json!({ "exp": NOW - 60 }), "has expired"),
            (json!({ "exp": null }), "is none"),
            (json!({ "exp": "tomorrow" }), "is none"),
            (json!({ "exp": 1e300 }), "is none"),
            (json!({ "nbf": NOW + 61 }), "not good yet"),
            (json!({ "iat": NOW + 61 }), "in the future"),
        ] {
            let refused = check(&bad).unwrap_err().to_string();
            assert!(refused.contains(said), "{bad}: {refused}");
        }
    }
}
