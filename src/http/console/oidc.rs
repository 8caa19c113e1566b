//! Signing in with an identity provider: to it, and back.
//!
//! Nothing is kept meanwhile. What the provider sends back was made of the browser's id, so only the browser that has begun can
//! come back, and only with the answer to what it began.

use std::sync::Arc;

use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;
use subtle::ConstantTimeEq as _;

use super::{
    super::{Api, problem::Problem},
    browser::{Address, Browser},
    fault::Fault,
    sign_in,
    way_in::local,
};
use crate::{
    engine::sessions::SessionId,
    transport::oidc::{Attempt, OidcError},
};

/// Where one comes back to.
const BACK: &str = "/login/callback";

/// What a sign-in is begun with.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    next: String,
}

/// What the identity provider sends back.
#[derive(Deserialize)]
pub(super) struct Back {
    #[serde(default)]
    state: String,
    code: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

/// `GET /login/oidc`
pub(super) async fn begin(
    State(api): State<Arc<Api>>,
    browser: Browser,
    Query(asked): Query<Asked>,
) -> Result<Response, Fault> {
    let provider = api
        .gatekeeper
        .provider()
        .ok_or_else(|| Problem::unknown("way to sign in"))?;
    // One that was not used before, so that the answer to another attempt is none to this one.
    let salt = SessionId::random().expose();
    let attempt = attempt(&browser.id, &salt, local(&asked.next));
    match provider.authorization_url(&attempt, &redirect(&api)).await {
        Ok(url) => Ok(Redirect::to(&url).into_response()),
        Err(error) => Ok(refused(&api, &browser, local(&asked.next), &error)),
    }
}

/// `GET /login/callback`
pub(super) async fn come_back(
    State(api): State<Arc<Api>>,
    Address(address): Address,
    browser: Browser,
    Query(back): Query<Back>,
) -> Result<Response, Fault> {
    let provider = api
        .gatekeeper
        .provider()
        .ok_or_else(|| Problem::unknown("way to sign in"))?;
    let now = api.engine.clock.now();
    if api.browsers.failures.wait(address, now).is_some() {
        let error = OidcError::Rejected("too many sign-ins from your address have failed: wait a minute");
        return Ok(refused(&api, &browser, "/", &error));
    }
    let Some((attempt, next)) = begun(&browser.id, &back.state) else {
        // Nothing can be guessed here, and any page could have its visitors ask for this.
        let error = OidcError::Rejected("this sign-in was not begun in this browser: begin again");
        return Ok(refused(&api, &browser, "/", &error));
    };
    let Some(code) = &back.code else {
        let said = format!(
            "The identity provider has not signed you in ({}).",
            word(back.error.as_deref().unwrap_or_default())
        );
        let page = sign_in::form(&api, &browser, &next, Some(&said));
        return Ok((StatusCode::UNAUTHORIZED, page).into_response());
    };
    let signed_in = provider
        .signed_in(code, back.iss.as_deref(), &attempt, &redirect(&api))
        .await;
    match signed_in {
        Ok(claims) => {
            let (caller, holder) = api.gatekeeper.signed_in(&claims)?;
            sign_in::begin(&api, &browser, &SessionId::random(), &caller, &holder, &next).await
        }
        Err(error) => {
            // A provider that is away is no guess of anybody's.
            if matches!(error, OidcError::Rejected(_)) {
                api.browsers.failures.failed(address, now);
            }
            Ok(refused(&api, &browser, &next, &error))
        }
    }
}

/// The sign-in once more, and why it has come to nothing.
fn refused(api: &Api, browser: &Browser, next: &str, error: &OidcError) -> Response {
    let (status, said) = match error {
        OidcError::Away(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "The identity provider cannot be reached just now. Sign in with a token, or try again later."
                .to_owned(),
        ),
        OidcError::Rejected(why) => {
            tracing::warn!(why, "a sign-in with OpenID Connect");
            (StatusCode::UNAUTHORIZED, format!("You are not signed in: {why}."))
        }
    };
    api.gatekeeper.count(if status == StatusCode::UNAUTHORIZED {
        "sign_in"
    } else {
        "provider"
    });
    (status, sign_in::form(api, browser, next, Some(&said))).into_response()
}

fn redirect(api: &Api) -> String {
    format!("{}{BACK}", api.public_url)
}

/// What a sign-in of this browser is made of.
fn attempt(id: &SessionId, salt: &str, next: &str) -> Attempt {
    let bound = format!("{salt}.{}", BASE64_URL_SAFE_NO_PAD.encode(next));
    Attempt {
        state: format!("{bound}.{}", id.bind("oidc state", bound.as_bytes())),
        nonce: id.bind("oidc nonce", bound.as_bytes()),
        verifier: id.bind("oidc verifier", bound.as_bytes()),
    }
}

/// The sign-in that this browser has begun with this state, and where it wanted to go; `None`: it has begun none such.
fn begun(id: &SessionId, state: &str) -> Option<(Attempt, String)> {
    let mut parts = state.split('.');
    let (salt, next) = (parts.next()?, parts.next()?);
    let next = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(next).ok()?).ok()?;
    let attempt = attempt(id, salt, &next);
    let is_ours: bool = attempt.state.as_bytes().ct_eq(state.as_bytes()).into();
    is_ours.then_some((attempt, next))
}

/// An error of OAuth, which is a word: whatever else somebody puts there is not shown.
fn word(error: &str) -> &str {
    let is_word =
        !error.is_empty() && error.len() <= 40 && error.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if is_word { error } else { "no reason given" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_browser_that_has_begun_comes_back() {
        let (id, other) = (SessionId::random(), SessionId::random());
        let begin = attempt(&id, "ab12", "/requests?x=1");
        let (back, next) = begun(&id, &begin.state).unwrap();
        assert_eq!(next, "/requests?x=1");
        assert_eq!((back.nonce, back.verifier.len()), (begin.nonce.clone(), 64));
        assert!(begun(&other, &begin.state).is_none());
        let altered = begin.state.replacen("ab12", "ab13", 1);
        for bad in ["", ".", "a.b", "a.b.c", &altered, &format!("{}0", begin.state)] {
            assert!(begun(&id, bad).is_none(), "{bad}");
        }
        assert_ne!(attempt(&id, "ab13", "/").nonce, begin.nonce);
    }

    #[test]
    fn an_error_is_a_word_or_is_not_shown() {
        assert_eq!(word("access_denied"), "access_denied");
        for other in ["", "<b>", "Access Denied", &"a".repeat(41)] {
            assert_eq!(word(other), "no reason given", "{other}");
        }
    }
}
