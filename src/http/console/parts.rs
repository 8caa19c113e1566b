//! What pages are made of: times, badges, tables, forms. A part knows nothing of the page that it stands on.

pub mod badge;
pub mod flash;
pub mod form;
pub mod table;
pub mod text;
pub mod times;

use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::super::problem::Problem;

/// Where there is nothing to show: what would stand here, and what somebody could do for it.
pub fn nothing(what: &str, hint: &Markup) -> Markup {
    html! {
        div.empty {
            p { strong { (what) } }
            p { (hint) }
        }
    }
}

/// A box that says something about the whole page. `kind`: `good`, `warn`, `bad` or `info`.
pub fn notice(kind: &str, body: &Markup) -> Markup {
    // What went wrong is read out at once, the rest when the reader comes to it.
    let role = if kind == "bad" { "alert" } else { "status" };
    html! {
        div class={ "notice " (kind) } role=(role) { (body) }
    }
}

/// An id, shortened for the eye: whoever copies it from the address or the title gets all of it.
pub fn short_id(id: &impl ToString) -> Markup {
    let full = id.to_string();
    // The end of a time-ordered UUID is what tells two of the same second apart.
    let end = full.get(full.len().saturating_sub(8)..).unwrap_or(&full);
    html! { code.id title=(full) { "…" (end) } }
}

/// A link to a request, under its shortened id.
pub fn request_link(id: &impl ToString) -> Markup {
    let full = id.to_string();
    html! { a href={ "/requests/" (full) } { (short_id(&full)) } }
}

/// Facts about one thing, each with its name.
pub fn facts(rows: &[(&str, Markup)]) -> Markup {
    html! {
        dl.facts {
            @for (name, value) in rows {
                div { dt { (name) } dd { (value) } }
            }
        }
    }
}

/// What went wrong, for the page that it went wrong on.
pub fn not_done(problem: &Problem) -> Markup {
    let (_, _, detail) = problem.said();
    notice(
        "bad",
        &html! {
            p { strong { "Nothing was done: " (problem.title()) } }
            p { (capitalised(detail)) "." }
            p { "The page below shows how things stand now." }
        },
    )
}

/// The page on which something went wrong, with its status.
pub fn failed_page(problem: &Problem, page: Markup) -> Response {
    let (status, ..) = problem.said();
    (status, page).into_response()
}

/// With a large letter at its beginning.
pub fn capitalised(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
