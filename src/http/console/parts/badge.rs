//! Badges: a state in a word or two. Colour only underlines what the word says.

use maud::{Markup, html};

use crate::domain::words::{Status, TaskStateName};

/// A badge. `kind`: `good`, `warn`, `bad`, `info` or `calm`.
pub fn badge(kind: &str, text: &str) -> Markup {
    html! { span class={ "badge " (kind) } { (text) } }
}

/// How a request stands.
pub fn status(status: Status) -> Markup {
    let kind = match status {
        Status::Completed => "good",
        Status::AwaitingVerification | Status::AwaitingApproval | Status::ClosedWithExceptions => "warn",
        Status::InProgress | Status::Deferred | Status::Scheduled => "info",
        Status::Refused | Status::Cancelled | Status::Merged => "calm",
    };
    badge(kind, &words(status.as_str()))
}

/// How a task stands.
pub fn task_state(state: TaskStateName) -> Markup {
    use TaskStateName as S;
    let kind = match state {
        S::Done => "good",
        S::Abandoned => "bad",
        S::Held | S::Exempt | S::Waived => "warn",
        S::Blocked | S::Parked | S::Ready | S::Leased | S::Dispatched | S::Accepted | S::Verifying => "info",
        S::Cancelled => "calm",
    };
    badge(kind, &words(state.as_str()))
}

/// How a lane stands, by its word (`open`, `paused`, `circuit_open`, `braked`, `undeliverable`).
pub fn lane(word: &str) -> Markup {
    let kind = match word {
        "open" => "good",
        "paused" | "braked" => "warn",
        _ => "bad",
    };
    badge(kind, &words(word))
}

/// A word of the contract for people: `in_progress` reads "in progress".
pub fn words(name: &str) -> String {
    name.replace('_', " ")
}
