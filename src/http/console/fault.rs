//! A page in place of the one that was asked for: what went wrong, in words, and where to go on.

use axum::response::{IntoResponse, Redirect, Response};
use maud::html;

use super::{super::problem::Problem, page};

/// What a handler of a page answers when it has none.
pub(super) struct Fault(Instead);

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
            p { (detail) }
            p { a href="/" { "To the start page" } }
        };
        (status, page::bare(title, &body)).into_response()
    }
}
