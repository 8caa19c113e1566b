//! The life of a request: the dates that matter in one line, what comes, what would finish it sooner, what has happened.

use maud::{Markup, html};

use super::{
    super::parts::{
        badge,
        text::{text, without_calls},
    },
    Shown,
};
use crate::{domain::time::At, view::explanation::Moment, view::sentences::outlook::decided};

/// A date on the line.
struct Point {
    at: At,
    says: String,
    kind: &'static str,
}

/// The dates that matter, and today among them, in their order.
pub(super) fn line(shown: &Shown<'_>) -> Markup {
    let times = shown.times;
    let points = points(shown);
    html! {
        ol.line {
            @for point in &points {
                li class=(point.kind) {
                    span.at { (times.when(point.at)) }
                    span { (text(times, &point.says)) }
                }
            }
        }
    }
}

fn points(shown: &Shown<'_>) -> Vec<Point> {
    let (request, now) = (shown.request(), shown.times.now);
    let life = &request.life;
    let mut points = Vec::new();
    let mut add = |at: At, kind: &'static str, says: &str| {
        let says = says.to_owned();
        points.push(Point { at, says, kind });
    };
    add(request.head.received_at, "past", "received");
    if let Some(at) = life.live_clean_at {
        add(at, "past", "live systems clean");
    }
    if let Some(at) = life.completed_at {
        add(at, "past", badge::words(life.status.as_str()).as_str());
    }
    add(now, "today", "now");
    for coming in &shown.explained.ahead {
        // The deadline is told in any case, also when nothing is ahead any more.
        if coming.at != life.clock.due || coming.processor.is_some() {
            add(coming.at, "ahead", &coming.says);
        }
    }
    add(life.clock.due, "deadline", "the legal deadline");
    // The sort is stable, so that what falls on one time stays in this order.
    points.sort_by_key(|point| point.at);
    points
}

/// What would finish it sooner.
pub(super) fn sooner(shown: &Shown<'_>) -> Markup {
    let (explained, times) = (shown.explained, shown.times);
    if shown.request().life.status.is_final() {
        return html! {};
    }
    let way = &explained.shortest_way;
    html! {
        h2 #sooner { "What would finish it sooner" }
        @if !explained.before_anything_is_sent.is_empty() || !explained.to_finish_sooner.is_empty() {
            ul {
                @for opener in &explained.before_anything_is_sent {
                    li { "Before anything is sent: " (text(times, &without_calls(opener))) "." }
                }
                @for need in &explained.to_finish_sooner {
                    li {
                        a href={ "#task-" (need.task_id) } { (need.task) } ": "
                        (text(times, &without_calls(&need.says))) "."
                    }
                }
            }
        }
        p {
            @match (way.closes_as, way.closes_at) {
                (Some(status), Some(at)) => {
                    "If everybody answers at once and backups rotate on time, it is "
                    (badge::words(status.as_str())) " on " strong { (times.when(at)) } "."
                }
                _ => {
                    "It does not end by itself: somebody has to act"
                    @if !way.stuck.is_empty() { " on " (way.stuck.join(", ")) }
                    "."
                }
            }
        }
        @if !way.steps.is_empty() {
            details {
                summary { "The shortest way, step by step" }
                (moments(shown, &way.steps))
            }
        }
    }
}

/// Who decided what.
pub(super) fn decisions(shown: &Shown<'_>) -> Markup {
    let explained = shown.explained;
    html! {
        @if !explained.decisions.is_empty() {
            h2 #decisions { "Decisions" }
            ol.history {
                @for decision in &explained.decisions {
                    li { (shown.times.when(decision.at)) p { (decided(decision)) } }
                }
            }
        }
    }
}

/// What has happened.
pub(super) fn history(shown: &Shown<'_>) -> Markup {
    html! {
        h2 #history { "What has happened" }
        (moments(shown, &shown.explained.happened))
    }
}

fn moments(shown: &Shown<'_>, moments: &[Moment]) -> Markup {
    html! {
        ol.history {
            @for moment in moments {
                li {
                    (shown.times.when(moment.at))
                    div { @for said in &moment.says { p { (text(shown.times, said)) } } }
                }
            }
        }
    }
}
