//! Times as people read them: in the policy's zone, in words. What machines read stays RFC 3339 in UTC.

use jiff::{Zoned, tz::TimeZone};

use crate::domain::time::At;

/// A day, without its year where that is this one: `26 Dec`, `26 Dec 2031`.
pub fn day(at: At, now: At, zone: &TimeZone) -> String {
    let civil = civil(at, zone);
    let format = if civil.year() == self::civil(now, zone).year() {
        "%-d %b"
    } else {
        "%-d %b %Y"
    };
    civil.strftime(format).to_string()
}

/// A day and its time to the minute: `26 Dec 2026, 10:00`.
pub fn moment(at: At, zone: &TimeZone) -> String {
    civil(at, zone).strftime("%-d %b %Y, %H:%M").to_string()
}

/// How many midnights lie between now and then; negative where it has passed.
pub fn days_until(at: At, now: At, zone: &TimeZone) -> i32 {
    let (at, now) = (civil(at, zone).date(), civil(now, zone).date());
    // Both are dates of this calendar, which has no more days than fit.
    now.until(at).map_or(0, |span| span.get_days())
}

/// So many of something: `1 day`, `3 days`.
pub fn count(n: u64, one: &str) -> String {
    if n == 1 {
        format!("1 {one}")
    } else {
        format!("{n} {one}s")
    }
}

/// How long something took, in its largest unit that says enough: `40 s`, `12 min`, `5 h`, `3 days`.
pub fn span(seconds: u64) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    // The next unit begins where two of it are full: 90 minutes say more than one hour.
    if seconds < 2 * MINUTE {
        format!("{seconds} s")
    } else if seconds < 2 * HOUR {
        format!("{} min", seconds / MINUTE)
    } else if seconds < 2 * DAY {
        format!("{} h", seconds / HOUR)
    } else {
        format!("{} days", seconds / DAY)
    }
}

fn civil(at: At, zone: &TimeZone) -> Zoned {
    at.timestamp().to_zoned(zone.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> At {
        At::parse(text).unwrap()
    }

    #[test]
    fn days_are_those_of_the_zone() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let now = at("2026-12-25T23:30:00Z");
        assert_eq!(day(now, now, &berlin), "26 Dec");
        assert_eq!(day(now, now, &TimeZone::UTC), "25 Dec");
        assert_eq!(day(at("2031-12-26T09:00:00Z"), now, &berlin), "26 Dec 2031");
        assert_eq!(moment(now, &berlin), "26 Dec 2026, 00:30");
        assert_eq!(days_until(at("2026-12-27T22:59:59Z"), now, &berlin), 1);
        assert_eq!(days_until(at("2026-12-24T00:00:00Z"), now, &berlin), -2);
    }

    #[test]
    fn spans_say_enough_in_one_unit() {
        let spans = [
            (90, "90 s"),
            (5_400, "90 min"),
            (20_000, "5 h"),
            (300_000, "3 days"),
        ];
        for (seconds, said) in spans {
            assert_eq!(span(seconds), said);
        }
        assert_eq!(count(1, "day"), "1 day");
        assert_eq!(count(0, "day"), "0 days");
    }
}
