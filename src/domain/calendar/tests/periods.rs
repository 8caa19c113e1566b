//! Periods as people write them, and texts that are none.

use proptest::prelude::*;

use super::*;

#[test]
fn periods_are_read_and_written() {
    let cases = [
        // text, written back, exact seconds
        ("0d", "0s", Some(0)),
        ("30s", "30s", Some(30)),
        ("5m", "5m", Some(300)),
        ("90m", "1h30m", Some(5400)),
        ("24h", "1d", Some(86_400)),
        ("2w", "14d", Some(1_209_600)),
        ("1h1h", "2h", Some(7200)),
        ("30s1d", "1d30s", Some(86_430)),
        ("1y6mo", "1y6mo", None),
        ("18mo", "1y6mo", None),
        ("1mo1m", "1mo1m", None),
        ("1000y", "1000y", None),
    ];
    for (text, written, seconds) in cases {
        let period = Period::parse(text).unwrap();
        assert_eq!(period.to_string(), written, "{text}");
        assert_eq!(period.exact().map(|d| d.as_secs()), seconds, "{text}");
        assert_eq!(Period::parse(written), Ok(period), "{text}");
    }
}

#[test]
fn what_is_no_period_is_refused() {
    let cases = [
        ("", BadPeriod::Shape),
        ("30", BadPeriod::Shape),
        ("d", BadPeriod::Shape),
        ("1d ", BadPeriod::Shape),
        (" 1d", BadPeriod::Shape),
        ("1 d", BadPeriod::Shape),
        ("-1d", BadPeriod::Shape),
        ("1.5h", BadPeriod::Shape),
        ("1d2", BadPeriod::Shape),
        ("1é", BadPeriod::Shape),
        ("1ms", BadPeriod::Unit),
        ("1D", BadPeriod::Unit),
        ("1min", BadPeriod::Unit),
        ("1001y", BadPeriod::TooLong),
        ("1000y1s", BadPeriod::TooLong),
        ("99999999999999999999s", BadPeriod::TooLong),
        ("18446744073709551615y", BadPeriod::TooLong),
    ];
    for (text, error) in cases {
        assert_eq!(Period::parse(text), Err(error), "{text}");
    }
}

#[test]
fn months_are_counted_in_the_zone_and_clamped() {
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    let cases = [
        ("2026-01-31T12:00:00Z", "1mo", "2026-02-28T12:00:00Z"),
        ("2028-01-31T12:00:00Z", "1mo", "2028-02-29T12:00:00Z"),
        ("2028-02-29T12:00:00Z", "1y", "2029-02-28T12:00:00Z"),
        ("2028-02-29T12:00:00Z", "1y1mo", "2029-03-29T11:00:00Z"), // clamped once, at the end; then summer time
        ("2026-03-15T12:00:00Z", "1mo", "2026-04-15T11:00:00Z"),   // the same hour on the wall
        ("2026-03-28T12:00:00Z", "1d", "2026-03-29T12:00:00Z"),    // exactly 24 hours, across the change
        ("2026-02-28T01:30:00Z", "1mo1d", "2026-03-29T01:30:00Z"), // the month first, then exactly a day
        ("2026-02-28T23:30:00Z", "1mo", "2026-03-31T22:30:00Z"),   // 1 March in Berlin
        ("2026-02-28T23:30:00Z", "5y", "2031-02-28T23:30:00Z"),
    ];
    for (start, period, end) in cases {
        let found = Period::parse(period).unwrap().add_to(at(start), &berlin);
        assert_eq!(found, at(end), "{start} + {period}");
    }
}

proptest! {
    #[test]
    fn any_period_is_read_as_it_was_written(text in "([0-9]{1,5}(s|m|h|d|w|mo|y)){1,4}") {
        if let Ok(period) = Period::parse(&text) {
            prop_assert_eq!(Period::parse(&period.to_string()), Ok(period));
        }
    }

    #[test]
    fn no_text_is_a_panic(text in ".{0,40}") {
        if let Ok(period) = Period::parse(&text) {
            prop_assert!(period.exact().is_none_or(|d| d.as_secs() <= 31_556_952_000));
        }
        if let Some(regime) = Regime::parse(&text) {
            prop_assert_eq!(regime.to_string(), text);
        }
    }
}
