//! The small words of a script: times, `key=value`, lists.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use crate::domain::{calendar::Period, time::At};

/// Words of the form `key=value`; one without `=` is a flag.
pub type Attributes = BTreeMap<String, String>;

/// Reads `key=value` words.
pub fn attributes<T: AsRef<str>>(words: impl IntoIterator<Item = T>) -> Attributes {
    words
        .into_iter()
        .map(|word| match word.as_ref().split_once('=') {
            Some((key, value)) => (key.to_owned(), value.to_owned()),
            None => (word.as_ref().to_owned(), String::new()),
        })
        .collect()
}

/// The names of a list that commas separate.
pub fn names(text: &str) -> Vec<&str> {
    text.split(',').filter(|name| !name.is_empty()).collect()
}

/// `day 36 + 5m - 1ms`, also without `ay` and white space: so many days of 24 hours after the start, and a little more
/// or less; or a time of RFC 3339.
pub fn time(text: &str, start: At) -> Result<At, String> {
    if let Ok(at) = At::parse(text) {
        return Ok(at);
    }
    let wrong = || format!("{text}: expected a time, such as day 30, d30+1h or 2026-03-02T09:00:00Z");
    let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let rest = compact.strip_prefix("day").or_else(|| compact.strip_prefix('d'));
    let rest = rest.ok_or_else(wrong)?;
    let signs: Vec<usize> = rest.match_indices(['+', '-']).map(|(place, _)| place).collect();
    let end = signs.first().copied().unwrap_or(rest.len());
    let days: i64 = rest[..end].parse().map_err(|_| wrong())?;
    let mut millis = start.millis() + days * 24 * 3_600_000;
    for (n, from) in signs.iter().enumerate() {
        let to = signs.get(n + 1).copied().unwrap_or(rest.len());
        let by = duration(&rest[from + 1..to]).ok_or_else(wrong)?;
        millis += if rest[*from..].starts_with('+') { by } else { -by };
    }
    Ok(At::from_millis(millis))
}

/// In milliseconds.
fn duration(text: &str) -> Option<i64> {
    if let Some(millis) = text.strip_suffix("ms") {
        return millis.parse().ok();
    }
    let period = Period::parse(text).ok()?;
    Some(period.add_to(At::from_millis(0), &TimeZone::UTC).millis())
}

/// The day of a time, where the controller is.
pub fn day(at: At, zone: &TimeZone) -> String {
    at.timestamp().to_zoned(zone.clone()).date().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_both_spellings() {
        let start = At::parse("2026-03-02T09:00:00Z").unwrap();
        for (text, expected) in [
            ("day 0", "2026-03-02T09:00:00Z"),
            ("day 30 + 1h", "2026-04-01T10:00:00Z"),
            ("d1+5m-1ms", "2026-03-03T09:04:59.999Z"),
            ("2031-11-20T00:00:00Z", "2031-11-20T00:00:00Z"),
        ] {
            assert_eq!(time(text, start).unwrap().to_string(), expected);
        }
        for text in ["", "today", "day", "day x", "day 1 + soon", "2031-11-20"] {
            assert!(time(text, start).is_err(), "{text}");
        }
    }
}
