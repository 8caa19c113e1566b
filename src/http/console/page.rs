//! What every page has in common: the frame around it, and the headers that keep it from others.

use axum::{
    http::{HeaderName, HeaderValue, header},
    response::Response,
};
use maud::{DOCTYPE, Markup, html};

use super::{
    assets::{SCRIPT_PATH, STYLE_PATH},
    visitor::Visitor,
};

/// Everything comes from here and nothing stands inline, so that text which somebody smuggled into a page is never run.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The parts of the console that are reached from every page: where, and what they are called.
const PLACES: &[(&str, &str)] = &[("/", "Overview")];

/// A page for somebody who is signed in. `here`: the path of the place that it belongs to.
pub(super) fn page<R>(visitor: &Visitor<R>, here: &str, title: &str, body: &Markup) -> Markup {
    frame(
        title,
        &html! {
            header {
                a.skip href="#main" { "Skip to the content" }
                a.brand href="/" { "Lacuna" }
                nav aria-label="Main" {
                    @for (path, name) in PLACES {
                        a href=(path) aria-current=[(*path == here).then_some("page")] { (name) }
                    }
                }
                div.who {
                    span { (visitor.caller.name) }
                    @if visitor.can_sign_out() {
                        form method="post" action="/logout" {
                            (visitor.csrf_field())
                            button type="submit" { "Sign out" }
                        }
                    }
                }
            }
            main #main { (body) }
        },
    )
}

/// A page for anybody.
pub(super) fn bare(title: &str, body: &Markup) -> Markup {
    frame(title, &html! { main #main { (body) } })
}

fn frame(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Lacuna" }
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
