//! A page in place of the one that was asked for: what went wrong, in words, and where to go on.

use axum::response::{IntoResponse, Response};
use maud::html;

use super::{super::problem::Problem, page};

/// What a handler of a page answers when it has none.
pub(super) struct Fault(Problem);

impl<T: Into<Problem>> From<T> for Fault {
    fn from(problem: T) -> Self {
        Self(problem.into())
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let (status, _, detail) = self.0.said();
        let title = self.0.title();
        let body = html! {
            h1 { (title) }
            p { (detail) }
            p { a href="/" { "To the start page" } }
        };
        (status, page::bare(title, &body)).into_response()
    }
}
