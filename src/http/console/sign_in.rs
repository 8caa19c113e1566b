//! Signing in and out.

use std::sync::Arc;

use axum::{
    extract::{Query, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    super::{Api, auth::Caller},
    browser::{Address, Browser, Who},
    fault::Fault,
    frame::bare,
    posted::{Nothing, Posted, form_token},
    way_in::{SIGN_IN, local, oidc_address},
};
use crate::{
    config::Secret,
    engine::sessions::{Holder, SessionId},
};

/// What the page of the sign-in is asked with.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    /// Where to go afterwards.
    #[serde(default)]
    next: String,
    /// Whether a session has ended.
    #[serde(default)]
    ended: bool,
}

/// A sign-in with a token.
#[derive(Deserialize)]
pub(super) struct SignIn {
    token: String,
    #[serde(default)]
    next: String,
}

/// `GET /login`
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    browser: Browser,
    Query(asked): Query<Asked>,
) -> Response {
    if let Who::Known { .. } = browser.who {
        return Redirect::to(local(&asked.next)).into_response();
    }
    let said = asked
        .ended
        .then_some("Your session has ended. Sign in again to go on.");
    form(&api, &browser, &asked.next, said).into_response()
}

/// `POST /login`
pub(super) async fn take(
    State(api): State<Arc<Api>>,
    Address(address): Address,
    browser: Browser,
    Posted(sign_in): Posted<SignIn>,
) -> Result<Response, Fault> {
    let now = api.engine.clock.now();
    if let Some(wait) = api.browsers.failures.wait(address, now) {
        let seconds = wait.as_secs().max(1);
        api.gatekeeper.count("sign_in");
        let said =
            format!("Too many sign-ins from your address have failed. Try again in {seconds} seconds.");
        let page = form(&api, &browser, &sign_in.next, Some(&said));
        let retry_after = [(header::RETRY_AFTER, seconds.to_string())];
        return Ok((StatusCode::TOO_MANY_REQUESTS, retry_after, page).into_response());
    }
    // Pasted tokens often bring a line's end along.
    let token = Secret::new(sign_in.token.trim());
    let id = SessionId::random();
    match api.gatekeeper.signs_in(token.expose(), &id) {
        Ok((caller, holder)) => begin(&api, &browser, &id, &caller, &holder, &sign_in.next).await,
        Err(said) => {
            api.browsers.failures.failed(address, now);
            let page = form(&api, &browser, &sign_in.next, Some(said));
            Ok((StatusCode::UNAUTHORIZED, page).into_response())
        }
    }
}

/// Begins a session, and leads to what was asked for.
pub(super) async fn begin(
    api: &Api,
    browser: &Browser,
    id: &SessionId,
    caller: &Caller,
    holder: &Holder,
    next: &str,
) -> Result<Response, Fault> {
    let limits = api.gatekeeper.session_limits();
    if matches!(browser.who, Who::Known { .. }) {
        // Somebody else signs in where one has not signed out.
        api.engine.end_session(&browser.id).await?;
    }
    api.engine.begin_session(id, holder, limits).await?;
    let role = caller.role().map(tracing::field::display);
    tracing::info!(name = caller.name, role, "signed in to the console");
    Ok((cookie(api.browsers.cookie(id)), Redirect::to(local(next))).into_response())
}

/// `POST /logout`
pub(super) async fn end(
    State(api): State<Arc<Api>>,
    browser: Browser,
    Posted(Nothing {}): Posted<Nothing>,
) -> Result<Response, Fault> {
    api.engine.end_session(&browser.id).await?;
    // The browser's next forms are bound to an id that nobody has used.
    let id = SessionId::random();
    Ok((cookie(api.browsers.cookie(&id)), Redirect::to(SIGN_IN)).into_response())
}

const fn cookie(value: HeaderValue) -> [(header::HeaderName, HeaderValue); 1] {
    [(header::SET_COOKIE, value)]
}

/// The page. `said`: what went wrong.
pub(super) fn form(api: &Api, browser: &Browser, next: &str, said: Option<&str>) -> Markup {
    let provider = api.gatekeeper.provider();
    let body = html! {
        h1 { "Sign in to Lacuna" }
        @if let Some(said) = said {
            p.notice role="alert" { (said) }
        }
        @if let Some(provider) = &provider {
            p {
                a.button href=(oidc_address(local(next))) { "Sign in with " (host(&provider.config().issuer)) }
            }
        }
        @if provider.is_none() || api.gatekeeper.has_tokens() {
            (token_form(browser, next))
        }
    };
    bare("Sign in", &body)
}

/// How an identity provider is called for people.
fn host(issuer: &str) -> &str {
    let (_, rest) = issuer.split_once("://").unwrap_or(("", issuer));
    rest.split('/').next().unwrap_or(rest)
}

fn token_form(browser: &Browser, next: &str) -> Markup {
    html! {
        form.sign-in method="post" action=(SIGN_IN) {
            (form_token(browser))
            input type="hidden" name="next" value=(local(next));
            label for="token" { "Token" }
            input #token type="password" name="token" required autocomplete="current-password" autofocus
                aria-describedby="token-help";
            p.help #token-help {
                "The bearer token that whoever runs this installation gave you. The command line and the API take the same one."
            }
            button type="submit" { "Sign in" }
        }
    }
}
