//! What was just done, for the page that is shown after it: a word in a cookie of that page, which lives for seconds. A word
//! and not a text, so that nobody can have a page say something by a link or a cookie.

use axum::{
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use axum_extra::extract::cookie::{Cookie, CookieJar};
use maud::{Markup, html};

use super::notice;

const NAME: &str = "lacuna_done";
/// In seconds: long enough for a slow network, and gone when somebody looks at the page again.
const LIFE: u32 = 10;

/// What was done: the word of its form, and what is said then.
const DONE: &[(&str, &str)] = &[
    (
        "approve",
        "Approved. What waited for it has been sent, or goes out when its other gates open.",
    ),
    (
        "refuse",
        "Refused. The status says on which ground, for whoever tells the person.",
    ),
    (
        "refuse-processor",
        "Refused for this system: its tasks are exempt, and all the others go on.",
    ),
    (
        "verify-identity",
        "Written down. Where the identity was verified, the next gate is open.",
    ),
    (
        "extend",
        "Extended. Tell the person before the first period ends.",
    ),
    ("cancel", "Withdrawn. Nothing was sent, and nothing will be."),
    (
        "retry",
        "It is asked again. Reload the page in a moment to see its answer.",
    ),
    (
        "waive",
        "Waived. The request closes with this exception, and the certificate lists it.",
    ),
    (
        "hold",
        "Held. Nothing that the hold covers is sent until it is released.",
    ),
    ("release", "Released. What nothing else holds goes on by itself."),
    (
        "pause",
        "Paused. Nothing new is sent to it; what is out is answered all the same.",
    ),
    ("resume", "Resumed. What waited goes out by itself."),
    ("brake", "The brake is on. Nothing is sent to anybody."),
    ("unbrake", "The brake is off. What waited goes out by itself."),
    ("claim", "It is yours now. Nobody else can confirm it."),
    ("confirm", "Confirmed. The request goes on."),
    (
        "confirm-first",
        "Confirmed. A second person has to confirm it as well.",
    ),
    (
        "refuse-task",
        "Refused. The task needs an operator's decision now.",
    ),
    ("hand-over", "Handed over."),
    (
        "redrive",
        "Published again, and confirmed. It is taken in like any other message: look at the request that it is about.",
    ),
    ("close", "Closed."),
];

/// Leads back to a page after something was done there.
pub fn back(path: &str, done: &str) -> Response {
    let own = path.split(['?', '#']).next().unwrap_or("/");
    let cookie = format!("{NAME}={done}; Path={own}; Max-Age={LIFE}; HttpOnly; SameSite=Strict");
    let headers = [(header::LOCATION, path.to_owned()), (header::SET_COOKIE, cookie)];
    (StatusCode::SEE_OTHER, headers).into_response()
}

/// What was just done on this page, if anything was.
pub fn of(headers: &HeaderMap) -> Markup {
    let jar = CookieJar::from_headers(headers);
    let word = jar.get(NAME).map(Cookie::value);
    let said = DONE.iter().find(|(name, _)| Some(*name) == word);
    html! {
        @if let Some((_, said)) = said {
            (notice("good", &html! { p { (said) } }))
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_known_words_are_said() {
        for (cookie, said) in [("lacuna_done=approve", true), ("lacuna_done=You+won", false)] {
            let headers = HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_static(cookie))]);
            assert_eq!(of(&headers).into_string().contains("role=\"status\""), said);
        }
    }

    #[test]
    fn the_word_is_told_to_the_page_it_is_about_only() {
        let response = back("/holds/7?tenant=acme", "release");
        let cookie = response.headers()[header::SET_COOKIE].to_str().unwrap();
        assert!(cookie.contains("Path=/holds/7;"), "{cookie}");
        assert_eq!(response.headers()[header::LOCATION], "/holds/7?tenant=acme");
    }
}
