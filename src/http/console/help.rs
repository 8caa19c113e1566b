//! What the words mean, and what the keyboard does.

use maud::{Markup, html};

use super::{
    super::auth::Anyone,
    page::{key_list, page},
    visitor::Visitor,
};

/// `GET /help`
pub(super) async fn show(visitor: Visitor<Anyone>) -> Markup {
    let body = html! {
        h1 { "Help" }
        h2 { "Is this person's request done?" }
        p {
            "Put the id of the request, or as compliance an identifier of the person, into the search field on top. The first sentence "
            "of the page answers. Below it every system has a strip: asked, answered, proved. Only a proof counts as done."
        }
        h2 { "What a request can be" }
        dl.facts {
            @for (word, says) in STATUSES { div { dt { (word) } dd { (says) } } }
        }
        h2 { "Flags" }
        dl.facts {
            @for (word, says) in FLAGS { div { dt { (word) } dd { (says) } } }
        }
        h2 { "Who may do what" }
        dl.facts {
            @for (word, says) in ROLES { div { dt { (word) } dd { (says) } } }
        }
        p { "What your role may not do is not shown. Whoever has submitted a request neither approves nor refuses it." }
        h2 #keys-help { "Keys" }
        (key_list())
        p { "They can be turned off for this browser: press " kbd { "?" } ", or use the button on top." }
        h2 { "Times" }
        p { "Times are in the time zone of the policy. Point at one to see it in UTC." }
    };
    page(&visitor, "/help", "Help", &body)
}

const STATUSES: &[(&str, &str)] = &[
    (
        "awaiting verification",
        "The person's identity has to be verified before anything is sent.",
    ),
    (
        "awaiting approval",
        "A second person has to approve it before anything is sent.",
    ),
    (
        "scheduled",
        "Nothing is sent before a date: the grace window, or what the command asked.",
    ),
    (
        "in progress",
        "Some system has been asked and has not proved it, or something went wrong there.",
    ),
    (
        "deferred",
        "Live systems are clean. What is left waits for a date: a backup that rotates, a duty to keep.",
    ),
    ("completed", "Every system has proved it."),
    (
        "closed with exceptions",
        "It has ended, and something was exempt, waived, or is kept for good. The certificate lists it.",
    ),
    ("refused", "It was refused on a legal ground."),
    ("cancelled", "It was withdrawn before anything was sent."),
    ("merged", "Another request of the same person stands for it."),
];

const FLAGS: &[(&str, &str)] = &[
    (
        "overdue",
        "The legal deadline has passed and live systems are not clean.",
    ),
    (
        "at risk",
        "Little of the period is left, or a system has promised a date after the deadline.",
    ),
    (
        "needs attention",
        "It does not go on by itself: somebody has to decide something.",
    ),
];

const ROLES: &[(&str, &str)] = &[
    (
        "compliance",
        "Finds persons, verifies, approves, refuses, extends, withdraws, places and releases holds.",
    ),
    (
        "operator",
        "Retries and waives tasks, pauses lanes, has the brake, decides about dead letters.",
    ),
    (
        "auditor",
        "Looks at everything and changes nothing; sees no identifiers and no free text.",
    ),
    ("submitter", "Sees the requests that it has submitted."),
    (
        "identifiers",
        "A right of its own: may have identifiers shown. Each look is in the ledger.",
    ),
];
