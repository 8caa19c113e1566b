//! What a form of the console sends.
//!
//! Another site can have a browser send a form, with its cookie. It cannot know the token that our own pages put into theirs.

use std::sync::Arc;

use axum::{
    extract::{FromRequest, FromRequestParts as _, Request},
    http::StatusCode,
};
use maud::{Markup, html};
use serde::{Deserialize, de::DeserializeOwned};
use subtle::ConstantTimeEq as _;

use super::{
    super::{Api, body::Payload, problem::Problem},
    browser::Browser,
    fault::Fault,
};

/// The name of the field that `Visitor::csrf_field` writes.
const TOKEN: &str = "csrf";

/// The fields of a form that came from a page of this console. `T` must take unknown fields: the token is one of them. A field
/// that comes several times is a list.
pub(super) struct Posted<T>(pub(super) T);

/// A form without fields of its own.
#[derive(Deserialize)]
pub(super) struct Nothing {}

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    csrf: String,
}

impl<T: DeserializeOwned> FromRequest<Arc<Api>> for Posted<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, Fault> {
        let (mut parts, body) = request.into_parts();
        let browser = Browser::from_request_parts(&mut parts, api).await?;
        let Payload(body) = Payload::from_request(Request::from_parts(parts, body), api).await?;
        let Token { csrf } = read(&body)?;
        if !bool::from(csrf.as_bytes().ct_eq(browser.form_token().as_bytes())) {
            api.gatekeeper.count("form");
            return Err(stale().into());
        }
        Ok(Self(read(&body)?))
    }
}

/// The field with the token of a form.
pub(super) fn form_token(browser: &Browser) -> Markup {
    html! { input type="hidden" name=(TOKEN) value=(browser.form_token()); }
}

/// The library's own words may repeat what was sent.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_html_form::from_bytes(body).map_err(|_| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "form",
            "the form lacks a field, or a field holds what it cannot take: go back and look at it again",
        )
    })
}

fn stale() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "form_expired",
        "this form is not from a page of this session, so nothing was done: go back, load the page again, and send the form again",
    )
}
