//! Tables of deadlines and periods.

use proptest::prelude::*;

use super::*;

fn at(text: &str) -> At {
    At::parse(text).unwrap()
}

fn calendar(zone: &str, holidays: &[&str]) -> Calendar {
    Calendar {
        zone: TimeZone::get(zone).unwrap(),
        holidays: holidays.iter().map(|day| day.parse().unwrap()).collect(),
    }
}

fn regime(text: &str) -> Regime {
    Regime::parse(text).unwrap()
}

#[test]
fn a_deadline_follows_its_regime_to_the_day() {
    let berlin = calendar(
        "Europe/Berlin",
        &["2026-12-25", "2027-01-01", "2026-04-03", "2026-04-06"],
    );
    let cases = [
        // regime, requested at, unrolled, rolled
        (
            "gdpr",
            "2026-09-03T10:00:00Z",
            "2026-10-03T21:59:59Z",
            "2026-10-05T21:59:59Z",
        ), // ICO's own date; a Saturday
        (
            "uk_gdpr",
            "2026-09-03T10:00:00Z",
            "2026-10-03T21:59:59Z",
            "2026-10-05T21:59:59Z",
        ),
        (
            "gdpr",
            "2026-01-31T12:00:00Z",
            "2026-02-28T22:59:59Z",
            "2026-03-02T22:59:59Z",
        ), // clamped; a Saturday
        (
            "gdpr",
            "2028-01-31T12:00:00Z",
            "2028-02-29T22:59:59Z",
            "2028-02-29T22:59:59Z",
        ), // leap year
        (
            "gdpr",
            "2027-12-31T12:00:00Z",
            "2028-01-31T22:59:59Z",
            "2028-01-31T22:59:59Z",
        ),
        (
            "gdpr",
            "2026-11-25T12:00:00Z",
            "2026-12-25T22:59:59Z",
            "2026-12-28T22:59:59Z",
        ), // holiday, then a weekend
        (
            "gdpr",
            "2026-03-03T12:00:00Z",
            "2026-04-03T21:59:59Z",
            "2026-04-07T21:59:59Z",
        ), // Good Friday to Tuesday
        // 23:30 UTC is already the next day in Berlin.
        (
            "gdpr",
            "2026-05-31T23:30:00Z",
            "2026-07-01T21:59:59Z",
            "2026-07-01T21:59:59Z",
        ),
        // The clock changes on the way: the day ends at 23:59:59 of the new offset.
        (
            "gdpr",
            "2026-03-10T12:00:00Z",
            "2026-04-10T21:59:59Z",
            "2026-04-10T21:59:59Z",
        ),
        (
            "gdpr",
            "2026-10-10T12:00:00Z",
            "2026-11-10T22:59:59Z",
            "2026-11-10T22:59:59Z",
        ),
        (
            "gdpr",
            "2026-02-28T23:30:00Z",
            "2026-04-01T21:59:59Z",
            "2026-04-01T21:59:59Z",
        ), // 1 March in Berlin
        // The deadline is the day of the change itself.
        (
            "days:1",
            "2026-03-28T12:00:00Z",
            "2026-03-29T21:59:59Z",
            "2026-03-30T21:59:59Z",
        ),
        (
            "days:1",
            "2026-10-24T12:00:00Z",
            "2026-10-25T22:59:59Z",
            "2026-10-26T22:59:59Z",
        ),
        (
            "ccpa",
            "2026-11-21T10:00:00Z",
            "2027-01-05T22:59:59Z",
            "2027-01-05T22:59:59Z",
        ),
        (
            "drop",
            "2026-11-21T10:00:00Z",
            "2027-01-05T22:59:59Z",
            "2027-01-05T22:59:59Z",
        ),
        (
            "lgpd",
            "2026-11-21T10:00:00Z",
            "2026-12-06T22:59:59Z",
            "2026-12-07T22:59:59Z",
        ), // a Sunday
        (
            "days:30",
            "2028-02-15T10:00:00Z",
            "2028-03-16T22:59:59Z",
            "2028-03-16T22:59:59Z",
        ),
        (
            "working_days:1",
            "2026-12-24T10:00:00Z",
            "2026-12-28T22:59:59Z",
            "2026-12-28T22:59:59Z",
        ),
        (
            "working_days:5",
            "2026-11-20T10:00:00Z",
            "2026-11-27T22:59:59Z",
            "2026-11-27T22:59:59Z",
        ), // from a Friday
        (
            "working_days:5",
            "2026-11-21T10:00:00Z",
            "2026-11-27T22:59:59Z",
            "2026-11-27T22:59:59Z",
        ), // from a Saturday
        (
            "working_days:30",
            "2026-11-20T10:00:00Z",
            "2027-01-05T22:59:59Z",
            "2027-01-05T22:59:59Z",
        ),
    ];
    for (name, requested, unrolled, rolled) in cases {
        let expected = Deadline {
            unrolled: at(unrolled),
            rolled: at(rolled),
        };
        assert_eq!(
            deadline(regime(name), at(requested), &berlin),
            expected,
            "{name} from {requested}"
        );
    }
}

#[test]
fn a_day_ends_where_its_zone_says() {
    let cases = [
        // Midnight does not exist on 2018-11-04 in São Paulo: the day before still ends at 23:59:59.
        (
            "America/Sao_Paulo",
            "2018-11-02T12:00:00Z",
            "2018-11-04T02:59:59Z",
        ),
        // 23:59:59 comes twice on 2018-02-17 there: the day ends with the second.
        (
            "America/Sao_Paulo",
            "2018-02-16T12:00:00Z",
            "2018-02-18T02:59:59Z",
        ),
        // Apia left 2011-12-30 out: the deadline is the end of the 29th.
        ("Pacific/Apia", "2011-12-30T00:00:00Z", "2011-12-30T09:59:59Z"),
        ("Asia/Kathmandu", "2026-06-01T12:00:00Z", "2026-06-02T18:14:59Z"),
    ];
    for (zone, requested, end) in cases {
        let found = deadline(Regime::Days(1), at(requested), &calendar(zone, &[]));
        assert_eq!(found.unrolled, at(end), "{zone}");
    }
}

#[test]
fn the_end_of_time_is_no_panic() {
    let utc = Calendar {
        zone: TimeZone::UTC,
        holidays: BTreeSet::new(),
    };
    for requested in [i64::MIN, i64::MAX, Timestamp::MAX.as_millisecond()] {
        for name in ["gdpr", "days:3650", "working_days:3650"] {
            let found = deadline(regime(name), At::from_millis(requested), &utc);
            assert!(found.unrolled <= found.rolled);
        }
        let end = Period::years(200).add_to(At::from_millis(requested), &utc.zone);
        assert!(end.millis() >= requested || requested == i64::MAX);
    }
}

#[test]
fn a_regime_has_one_name_and_one_code() {
    let cases: [(&str, &[u8]); 7] = [
        ("gdpr", &[1, 0]),
        ("uk_gdpr", &[2, 0]),
        ("ccpa", &[3, 0]),
        ("drop", &[4, 0]),
        ("lgpd", &[5, 0]),
        ("days:30", &[6, 30]),
        ("working_days:3650", &[7, 0xc2, 0x1c]),
    ];
    for (name, code) in cases {
        let one = regime(name);
        assert_eq!(one.to_string(), name);
        assert_eq!(serde_json::to_string(&one).unwrap(), format!("{name:?}"));
        assert_eq!(serde_json::from_str::<Regime>(&format!("{name:?}")).unwrap(), one);
        assert_eq!(postcard::to_allocvec(&one).unwrap(), code, "{name}");
        assert_eq!(postcard::from_bytes::<Regime>(code).unwrap(), one);
    }
    for code in [[0, 0], [8, 0], [1, 1], [6, 0], [7, 0]] {
        assert!(postcard::from_bytes::<Regime>(&code).is_err(), "{code:?}");
    }
}

#[test]
fn what_is_no_regime_is_refused_by_name_and_by_schema() {
    let mut generator = schemars::SchemaGenerator::default();
    let schema = <Regime as schemars::JsonSchema>::json_schema(&mut generator);
    let validator = jsonschema::validator_for(schema.as_value()).unwrap();
    let bad = [
        "",
        "GDPR",
        "gdpr ",
        "days",
        "days:",
        "days:0",
        "days:+1",
        "days:01",
        "days:3651",
        "days:99999",
    ];
    for text in bad
        .into_iter()
        .chain(["days:-1", "days: 1", "working_days:", "working_days:0", "month:1"])
    {
        assert_eq!(Regime::parse(text), None, "{text}");
        assert!(!validator.is_valid(&serde_json::json!(text)), "{text}");
    }
    for days in 1..=3650 {
        let text = format!("working_days:{days}");
        assert_eq!(Regime::parse(&text), Some(Regime::WorkingDays(days)));
        assert!(validator.is_valid(&serde_json::json!(text)), "{text}");
    }
}

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
