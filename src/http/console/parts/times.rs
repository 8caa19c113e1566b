//! Times on a page: in the policy's zone, with UTC for whoever points at them.

use jiff::tz::TimeZone;
use maud::{Markup, html};

use super::super::super::Api;
use crate::{domain::time::At, view::dates};

/// When it is, and where the days begin.
#[derive(Debug, Clone)]
pub struct Times {
    /// The policy's zone.
    pub zone: TimeZone,
    /// When the page is made.
    pub now: At,
}

impl Times {
    /// As of now.
    pub fn of(api: &Api) -> Self {
        Self {
            zone: api.engine.zone().clone(),
            now: api.engine.clock.now(),
        }
    }

    /// What the zone is called.
    pub fn zone_name(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    /// A day and its time.
    pub fn when(&self, at: At) -> Markup {
        html! {
            time datetime=(at) title=(utc(at)) { (dates::moment(at, &self.zone)) }
        }
    }

    /// The same, or a dash where there is none.
    pub fn when_any(&self, at: Option<At>) -> Markup {
        at.map_or_else(none, |at| self.when(at))
    }

    /// A day.
    pub fn day(&self, at: At) -> Markup {
        html! {
            time datetime=(at) title=(utc(at)) { (dates::day(at, self.now, &self.zone)) }
        }
    }

    /// How many days are left until a deadline, or by how many it has passed.
    pub fn days_left(&self, deadline: At) -> Markup {
        let days = dates::days_until(deadline, self.now, &self.zone);
        let passed = deadline < self.now;
        let said = match days {
            0 if passed => "passed today".to_owned(),
            0 => "today".to_owned(),
            _ if passed => format!("{} late", dates::count(days.unsigned_abs().into(), "day")),
            _ => format!("{} left", dates::count(days.unsigned_abs().into(), "day")),
        };
        let kind = if passed {
            "bad"
        } else if days <= 3 {
            "warn"
        } else {
            "calm"
        };
        html! { span class={ "days " (kind) } title=(utc(deadline)) { (said) } }
    }

    /// How long ago it was, or in how long it will be.
    pub fn ago(&self, at: At) -> Markup {
        let (seconds, is_past) = if at <= self.now {
            (self.now.since(at).as_secs(), true)
        } else {
            (at.since(self.now).as_secs(), false)
        };
        let span = dates::span(seconds);
        html! {
            time datetime=(at) title={ (dates::moment(at, &self.zone)) " (" (utc(at)) ")" } {
                @if is_past { (span) " ago" } @else { "in " (span) }
            }
        }
    }
}

/// What stands for nothing.
pub fn none() -> Markup {
    html! { span.none title="none" { "–" } }
}

fn utc(at: At) -> String {
    format!("{at} (UTC)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_says_how_many_days_are_left_or_late() {
        let times = Times {
            zone: TimeZone::get("Europe/Berlin").unwrap(),
            now: At::parse("2026-11-21T10:00:00Z").unwrap(),
        };
        let cases = [
            ("2026-12-22T22:59:59Z", "31 days left"),
            ("2026-11-22T22:59:59Z", "1 day left"),
            ("2026-11-21T22:59:59Z", ">today<"),
            ("2026-11-21T09:00:00Z", "passed today"),
            ("2026-11-19T22:59:59Z", "2 days late"),
        ];
        for (deadline, said) in cases {
            let shown = times.days_left(At::parse(deadline).unwrap()).into_string();
            assert!(shown.contains(said), "{shown}");
        }
    }

    #[test]
    fn a_time_is_shown_in_the_zone_with_utc_beside_it() {
        let times = Times {
            zone: TimeZone::get("Europe/Berlin").unwrap(),
            now: At::parse("2026-11-21T10:00:00Z").unwrap(),
        };
        let at = At::parse("2026-12-26T23:30:00Z").unwrap();
        assert_eq!(
            times.when(at).into_string(),
            "<time datetime=\"2026-12-26T23:30:00Z\" title=\"2026-12-26T23:30:00Z (UTC)\">27 Dec 2026, 00:30</time>"
        );
    }
}
