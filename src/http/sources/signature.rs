//! Whether a call comes from whom it says: its signature is compared in a time that says nothing about how near it came.

use axum::http::HeaderMap;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use ring::signature::{ED25519, UnparsedPublicKey};
use sha1::Sha1;
use sha2::Sha256;
use standardwebhooks::{HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook};
use subtle::ConstantTimeEq as _;

use crate::{
    config::{Scheme, Secret, Signature, VerifyingKey},
    domain::time::At,
};

/// Why a call is not believed. Nothing of it is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Forged {
    /// It has no signature.
    #[error("the header with the signature is missing")]
    Missing,
    /// It was signed too long ago, or it will be signed.
    #[error(
        "the signed time is too far from now: an old call is not taken again, and the sender's clock may be wrong"
    )]
    Time,
    /// No secret has made it.
    #[error("the signature does not belong to this body and secret")]
    Wrong,
}

/// Verifies the signature of a body as it came.
pub(super) fn verify(signature: &Signature, headers: &HeaderMap, body: &[u8], now: At) -> Result<(), Forged> {
    if signature.scheme == Scheme::StandardWebhooks {
        return standard(signature, headers, body, now);
    }
    let given = text(headers, &signature.header).ok_or(Forged::Missing)?;
    let given = given
        .trim()
        .strip_prefix(&signature.prefix)
        .ok_or(Forged::Wrong)?;
    let is_of = |secret: &Secret| match signature.scheme {
        Scheme::HmacSha256Hex => hex::decode(given).is_ok_and(|mac| sha256_is(secret, body, &mac)),
        Scheme::HmacSha256Base64 => BASE64_STANDARD
            .decode(given)
            .is_ok_and(|mac| sha256_is(secret, body, &mac)),
        Scheme::HmacSha1Hex => hex::decode(given).is_ok_and(|mac| sha1_is(secret, body, &mac)),
        Scheme::Token => given.as_bytes().ct_eq(secret.expose().as_bytes()).into(),
        Scheme::StandardWebhooks => false,
    };
    // Each is tried, so that the time does not say which one it was.
    let matching = signature.secrets.iter().filter(|secret| is_of(secret)).count();
    if matching > 0 { Ok(()) } else { Err(Forged::Wrong) }
}

fn sha256_is(secret: &Secret, body: &[u8], mac: &[u8]) -> bool {
    Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
        .is_ok_and(|hmac| hmac.chain_update(body).verify_slice(mac).is_ok())
}

fn sha1_is(secret: &Secret, body: &[u8], mac: &[u8]) -> bool {
    Hmac::<Sha1>::new_from_slice(secret.expose().as_bytes())
        .is_ok_and(|hmac| hmac.chain_update(body).verify_slice(mac).is_ok())
}

/// What a signature of Ed25519 begins with in Standard Webhooks.
const ASYMMETRIC: &str = "v1a,";

/// Standard Webhooks, with a secret (`v1`) or a public key (`v1a`): what is signed is the id, the time and the body.
fn standard(signature: &Signature, headers: &HeaderMap, body: &[u8], now: At) -> Result<(), Forged> {
    let needed = |name| text(headers, name).ok_or(Forged::Missing);
    let (id, time) = (needed(HEADER_WEBHOOK_ID)?, needed(HEADER_WEBHOOK_TIMESTAMP)?);
    let given = needed(HEADER_WEBHOOK_SIGNATURE)?;
    let seconds: i64 = time.parse().map_err(|_| Forged::Wrong)?;
    let signed_at = At::from_millis(seconds.saturating_mul(1000));
    if signed_at.since(now).max(now.since(signed_at)) > signature.tolerance {
        return Err(Forged::Time);
    }
    let given: Vec<&str> = given.split(' ').collect();
    let is_of = |secret: &Secret| match VerifyingKey::parse(secret.expose()) {
        Ok(VerifyingKey::Symmetric(key)) => {
            let right = Webhook::from_bytes(key.to_vec()).and_then(|webhook| webhook.sign(id, seconds, body));
            right.is_ok_and(|right| {
                let same = |one: &&&str| bool::from(one.as_bytes().ct_eq(right.as_bytes()));
                given.iter().filter(same).count() > 0
            })
        }
        Ok(VerifyingKey::Ed25519(key)) => {
            let signed = [id.as_bytes(), b".", time.as_bytes(), b".", body].concat();
            let key = UnparsedPublicKey::new(&ED25519, key);
            given.iter().any(|one| {
                let mac = one
                    .strip_prefix(ASYMMETRIC)
                    .and_then(|mac| BASE64_STANDARD.decode(mac).ok());
                mac.is_some_and(|mac| key.verify(&signed, &mac).is_ok())
            })
        }
        Err(_) => false,
    };
    let matching = signature.secrets.iter().filter(|secret| is_of(secret)).count();
    if matching > 0 { Ok(()) } else { Err(Forged::Wrong) }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::http::{HeaderName, HeaderValue};
    use ring::signature::{Ed25519KeyPair, KeyPair as _};

    use super::*;

    const BODY: &[u8] = br#"{"id":1}"#;

    fn signature(scheme: Scheme, prefix: &str, secrets: &[&str]) -> Signature {
        Signature {
            scheme,
            header: "x-signature".to_owned(),
            prefix: prefix.to_owned(),
            secrets: secrets.iter().map(|secret| Secret::new(*secret)).collect(),
            tolerance: Duration::from_secs(300),
        }
    }

    fn with(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    name.parse::<HeaderName>().unwrap(),
                    HeaderValue::from_str(value).unwrap(),
                )
            })
            .collect()
    }

    fn judged(signature: &Signature, given: &str) -> Result<(), Forged> {
        verify(signature, &with(&[("x-signature", given)]), BODY, At::default())
    }

    /// Made by `openssl dgst -hmac`.
    const HEX: &str = "c4fd367f5c250b133f28955f6621774cc0487151f6477ea18718847cdda8a34d";
    const BASE64: &str = "xP02f1wlCxM/KJVfZiF3TMBIcVH2R36hhxiEfN2oo00=";
    const SHA1: &str = "1fef3f45e5862ca2fa31675a1ebf3b18da97ea6b";

    #[test]
    fn each_scheme_takes_what_openssl_has_made() {
        let cases = [
            (Scheme::HmacSha256Hex, "", HEX.to_owned()),
            (Scheme::HmacSha256Hex, "", HEX.to_uppercase()),
            (Scheme::HmacSha256Hex, "sha256=", format!("sha256={HEX}")),
            (Scheme::HmacSha256Base64, "", BASE64.to_owned()),
            (Scheme::HmacSha1Hex, "", SHA1.to_owned()),
            (Scheme::Token, "Bearer ", "Bearer hush-hush".to_owned()),
        ];
        for (scheme, prefix, given) in cases {
            let signed = signature(scheme, prefix, &["another-one", "hush-hush"]);
            assert_eq!(judged(&signed, &given), Ok(()), "{scheme:?}");
            let foreign = signature(scheme, prefix, &["another-one"]);
            assert_eq!(judged(&foreign, &given), Err(Forged::Wrong), "{scheme:?}");
            let other_body = verify(&signed, &with(&[("x-signature", &given)]), b"{}", At::default());
            let is_token = scheme == Scheme::Token;
            assert_eq!(other_body.is_ok(), is_token, "{scheme:?}");
        }
    }

    #[test]
    fn call_without_a_whole_signature_is_not_believed() {
        let signed = signature(Scheme::HmacSha256Hex, "sha256=", &["hush-hush"]);
        let none = verify(&signed, &HeaderMap::new(), BODY, At::default());
        assert_eq!(none, Err(Forged::Missing));
        for given in [
            "",
            "sha256=",
            "sha256=00",
            HEX,
            "sha256=zz",
            &format!("sha256={}", &HEX[..62]),
        ] {
            assert_eq!(judged(&signed, given), Err(Forged::Wrong), "{given}");
        }
    }

    #[test]
    fn standard_webhook_is_believed_within_its_time() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let signed = signature(Scheme::StandardWebhooks, "", &[secret]);
        // The example of the standard's own libraries.
        let headers = with(&[
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            (
                "webhook-signature",
                "v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            ),
        ]);
        let body = br#"{"test": 2432232314}"#;
        let at = |seconds: i64| At::from_millis(seconds * 1000);
        for (now, expected) in [
            (at(1_614_265_330), Ok(())),
            (at(1_614_265_330 + 300), Ok(())),
            (at(1_614_265_330 - 300), Ok(())),
            (at(1_614_265_330 + 301), Err(Forged::Time)),
            (at(1_614_265_330 - 301), Err(Forged::Time)),
        ] {
            assert_eq!(verify(&signed, &headers, body, now), expected, "{now}");
        }
        let other = verify(&signed, &headers, b"{}", at(1_614_265_330));
        assert_eq!(other, Err(Forged::Wrong));
    }

    #[test]
    fn ed25519_signature_is_believed_by_its_public_key() {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let public = |pair: &Ed25519KeyPair| format!("whpk_{}", BASE64_STANDARD.encode(pair.public_key()));
        let signed = signature(Scheme::StandardWebhooks, "", &[&public(&pair)]);
        let foreign = Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap();
        let foreign = signature(Scheme::StandardWebhooks, "", &[&public(&foreign)]);
        let mac = BASE64_STANDARD.encode(pair.sign(b"msg_1.1614265330.{\"id\":1}"));
        let now = At::from_millis(1_614_265_330_000);
        let judged = |signed: &Signature, id: &str, given: &str| {
            let headers = with(&[
                ("webhook-id", id),
                ("webhook-timestamp", "1614265330"),
                ("webhook-signature", given),
            ]);
            verify(signed, &headers, BODY, now)
        };
        let given = format!("v1,AAAA v1a,{mac}");
        assert_eq!(judged(&signed, "msg_1", &given), Ok(()));
        assert_eq!(judged(&foreign, "msg_1", &given), Err(Forged::Wrong));
        assert_eq!(judged(&signed, "msg_2", &given), Err(Forged::Wrong));
        for other in [format!("v1,{mac}"), "v1a,".to_owned(), "v1a,%".to_owned(), mac] {
            assert_eq!(judged(&signed, "msg_1", &other), Err(Forged::Wrong), "{other}");
        }
    }
}
