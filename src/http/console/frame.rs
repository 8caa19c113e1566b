//! What every page has in common, whoever looks at it: its head, and the headers that keep it from others.

use axum::{
    http::{HeaderName, HeaderValue, header},
    response::Response,
};
use maud::{DOCTYPE, Markup, html};

use super::assets::{ICON_PATH, SCRIPT_PATH, STYLE_PATH};

/// Everything comes from here and nothing stands inline, so that text which somebody smuggled into a page is never run.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// A page for anybody.
pub(super) fn bare(title: &str, body: &Markup) -> Markup {
    frame(title, &html! { main #main { (body) } })
}

/// What stands around every page.
pub(super) fn frame(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Lacuna" }
                link rel="icon" type="image/svg+xml" href=(*ICON_PATH);
                link rel="stylesheet" href=(*STYLE_PATH);
                script src=(*SCRIPT_PATH) defer {}
            }
            body { (body) }
        }
    }
}

/// Adds the headers of a page.
pub(super) async fn protect(mut response: Response) -> Response {
    let headers: [(HeaderName, &'static str); 5] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        // A page may hold what concerns one person: no cache keeps it, and no address leads from it to others.
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    for (name, value) in headers {
        response
            .headers_mut()
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    response
}
