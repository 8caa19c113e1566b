//! A page in place of the one that was asked for: what went wrong, in words, and where to go on.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use maud::{Markup, html};

use super::{super::problem::Problem, frame, parts::capitalised};

/// What a handler of a page answers when it has none.
pub(super) struct Fault(Instead);

/// What a page says that went wrong.
#[derive(Debug, Clone)]
pub(super) struct Said {
    /// In a few words.
    pub(super) title: String,
    /// In full.
    pub(super) body: Markup,
}

enum Instead {
    /// What went wrong.
    Problem(Problem),
    /// What has to be done first, at this address.
    Elsewhere(String),
}

impl Fault {
    /// Leads to another page.
    pub(super) const fn elsewhere(address: String) -> Self {
        Self(Instead::Elsewhere(address))
    }
}

impl<T: Into<Problem>> From<T> for Fault {
    fn from(problem: T) -> Self {
        Self(Instead::Problem(problem.into()))
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let problem = match self.0 {
            Instead::Problem(problem) => problem,
            Instead::Elsewhere(address) => return Redirect::to(&address).into_response(),
        };
        let (status, _, detail) = problem.said();
        let title = problem.title();
        let body = html! {
            h1 { (title) }
            p.headline { (capitalised(detail)) "." }
            p { (advice(status)) }
            p { a.button href="/" { "To the start page" } }
        };
        let mut response = (status, frame::bare(title, &body)).into_response();
        // Whoever is signed in gets the frame around it.
        response.extensions_mut().insert(Said {
            title: title.to_owned(),
            body,
        });
        response
    }
}

/// What to do now.
fn advice(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => {
            "It may belong to another tenant, be misspelt, or be past the time for which closed requests are kept. Search for it on \
             the start page."
        }
        StatusCode::FORBIDDEN => {
            "Somebody with another role can do it. If it should be you, ask whoever runs Lacuna for that role or right."
        }
        StatusCode::CONFLICT => {
            "It changed while you were looking. Go back and load the page again to see how it stands."
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            "Nothing is lost. Try again in a moment; if it stays so, tell whoever runs Lacuna."
        }
        status if status.is_server_error() => {
            "Nothing was changed unless a page says so. Tell whoever runs Lacuna, with the time: its log says why."
        }
        _ => "Go back, look at what was filled in, and try again.",
    }
}
