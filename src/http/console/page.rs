//! A page for somebody who is signed in: navigation, the search field, the brake.

use maud::{Markup, html};

use super::{super::auth::Auditor, frame::frame, visitor::Visitor};

/// The parts of the console that are reached from every page: where, and what they are called.
const PLACES: &[(&str, &str)] = &[
    ("/", "Overview"),
    ("/requests", "Requests"),
    ("/approvals", "Approvals"),
    ("/deferred", "Deferred"),
    ("/processors", "Processors"),
    ("/manual", "By hand"),
    ("/holds", "Holds"),
    ("/dead-letters", "Dead letters"),
    ("/backups", "Backups"),
    ("/sweeps", "Sweeps"),
    ("/registry", "Registry"),
    ("/audit", "Audit"),
    ("/report", "Report"),
    ("/help", "Help"),
];

/// Those of them that everybody may look at who has signed in.
const FOR_ANYBODY: [&str; 2] = ["/", "/help"];

/// A page for somebody who is signed in. `here`: the path of the place that it belongs to.
pub(super) fn page<R>(visitor: &Visitor<R>, here: &str, title: &str, body: &Markup) -> Markup {
    let may_look = visitor.may::<Auditor>();
    frame(
        title,
        &html! {
            a.skip href="#main" { "Skip to the content" }
            header.top {
                div {
                    a.brand href="/" { "Lacuna" }
                    (search(visitor))
                    div.who {
                        span { "Signed in as " strong { (visitor.caller.name) } }
                        button.plain #keys-open type="button" hidden { "Keys" }
                        @if visitor.can_sign_out() {
                            form method="post" action="/logout" {
                                (visitor.csrf_field())
                                button type="submit" { "Sign out" }
                            }
                        }
                    }
                    nav.places aria-label="Main" {
                        @for (path, name) in PLACES.iter().filter(|(path, _)| may_look || FOR_ANYBODY.contains(path)) {
                            a href=(path) aria-current=[(*path == here).then_some("page")] { (name) }
                        }
                    }
                }
            }
            @if let Some(since) = visitor.braked_since {
                div.notice.banner.warn role="status" {
                    p {
                        strong { "The brake is on" } " since " (since) ": nothing is sent to anybody. "
                        a href="/brake" { "Why, by whom, and how to take it off" }
                    }
                }
            }
            main #main tabindex="-1" { (body) }
            (keys())
        },
    )
}

/// Finds a request on every page. It is sent in the body of a call: what somebody looks for may be a person's identifier,
/// which belongs into no address and so into no log and no history.
fn search<R>(visitor: &Visitor<R>) -> Markup {
    html! {
        form.search role="search" method="post" action="/search" {
            (visitor.csrf_field())
            label.unseen for="q" { "Find a request: its id, a ticket, or a person's identifier" }
            input #q type="search" name="q" placeholder="Request id, ticket, e-mail, customer id"
                autocomplete="off" spellcheck="false" maxlength="512" required;
            button type="submit" { "Search" }
        }
    }
}

/// What the keyboard does, for the script to show.
fn keys() -> Markup {
    html! {
        dialog #keys aria-labelledby="keys-title" {
            h2 #keys-title { "Keys" }
            (key_list())
            form.row method="dialog" {
                button.plain #keys-toggle type="button" { "Turn the keys off" }
                button type="submit" { "Close" }
            }
        }
    }
}

/// The keys.
pub(super) fn key_list() -> Markup {
    html! {
        dl.facts {
            div { dt { kbd { "/" } } dd { "to the search field" } }
            div { dt { kbd { "j" } " " kbd { "k" } } dd { "to the next, or the previous, row of a list" } }
            div { dt { kbd { "Enter" } } dd { "opens it" } }
            div { dt { kbd { "?" } } dd { "shows the keys" } }
        }
    }
}
