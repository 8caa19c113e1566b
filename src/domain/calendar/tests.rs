//! Tables of deadlines and periods.

use proptest::prelude::*;

use super::*;
use crate::domain::ids::RegimeName;

fn at(text: &str) -> At {
    At::parse(text).unwrap()
}

fn calendar(zone: &str, holidays: &[&str]) -> Calendar {
    Calendar {
        zone: TimeZone::get(zone).unwrap(),
        holidays: holidays.iter().map(|day| day.parse().unwrap()).collect(),
    }
}

pub(in crate::domain) fn regime(text: &str) -> Regime {
    Regime::parse(text).unwrap()
}

/// A table like Lacuna's own, which the configuration reads and tests.
pub(in crate::domain) fn regimes() -> Regimes {
    let mut table = Regimes::default();
    let mut add = |name: &str, acknowledge: &str, respond: &str, extend: &str, pauses_for_identity| {
        let terms = Terms {
            acknowledge_by: Length::parse(acknowledge),
            respond_by: Length::parse(respond).unwrap(),
            extend_to: Length::parse(extend),
            pauses_for_identity,
        };
        table.insert(RegimeName::new(name).unwrap(), terms);
    };
    add("gdpr", "", "months:1", "months:3", true);
    add("uk_gdpr", "", "months:1", "months:3", true);
    add("ccpa", "working_days:10", "days:45", "days:90", false);
    add("drop", "", "days:45", "", false);
    add("lgpd", "", "days:15", "", false);
    table
}

/// The deadline of a request under a regime of that table.
pub(in crate::domain) fn deadline(regime: &Regime, requested_at: At, calendar: &Calendar) -> Deadline {
    let terms = regimes().terms(regime).unwrap();
    terms.respond_by.after(requested_at, calendar)
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
            deadline(&regime(name), at(requested), &berlin),
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
        let found = Length::Days(1).after(at(requested), &calendar(zone, &[]));
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
        for name in ["gdpr", "days:3650", "working_days:3650", "months:120"] {
            let found = deadline(&regime(name), At::from_millis(requested), &utc);
            assert!(found.unrolled <= found.rolled);
        }
        let end = Period::years(200).add_to(At::from_millis(requested), &utc.zone);
        assert!(end.millis() >= requested || requested == i64::MAX);
    }
}

#[test]
fn a_regime_is_stored_by_its_name_and_read_back_whatever_the_table_knows() {
    for name in [
        "gdpr",
        "acme_promise_of_2019",
        "days:30",
        "working_days:3650",
        "months:120",
    ] {
        let one = regime(name);
        assert_eq!(one.to_string(), name);
        assert_eq!(serde_json::to_string(&one).unwrap(), format!("{name:?}"));
        assert_eq!(serde_json::from_str::<Regime>(&format!("{name:?}")).unwrap(), one);
        let packed = postcard::to_allocvec(&one).unwrap();
        assert_eq!(packed[1..], *name.as_bytes(), "its length, then its name");
        assert_eq!(postcard::from_bytes::<Regime>(&packed).unwrap(), one);
    }
    let unknown = postcard::to_allocvec("days:0").unwrap();
    assert!(postcard::from_bytes::<Regime>(&unknown).is_err());
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
        "days:",
        "days:0",
        "days:+1",
        "days:01",
        "days:3651",
        "days:99999",
        "days:-1",
        "days: 1",
        "days:1:1",
        "working_days:",
        "working_days:0",
        "month:1",
        "months:0",
        "months:121",
        "gdpr:1",
        "a_name_that_is_longer_than_any_law",
    ];
    for text in bad {
        assert_eq!(Regime::parse(text), None, "{text}");
        assert!(!validator.is_valid(&serde_json::json!(text)), "{text}");
    }
    for n in 1..=3650 {
        let text = format!("working_days:{n}");
        assert_eq!(
            Regime::parse(&text),
            Some(Regime::Counted(Length::WorkingDays(n)))
        );
        assert!(validator.is_valid(&serde_json::json!(text)), "{text}");
        let text = format!("months:{n}");
        assert_eq!(Regime::parse(&text).is_some(), n <= 120, "{text}");
        assert_eq!(validator.is_valid(&serde_json::json!(text)), n <= 120, "{text}");
    }
}

#[test]
fn a_length_is_longer_only_where_it_always_is() {
    let cases = [
        // longer, than, always
        ("months:3", "months:1", true),
        ("months:1", "months:1", false),
        ("days:45", "months:1", true),
        ("days:31", "months:1", false),
        ("months:1", "days:28", false),
        ("months:1", "days:27", true),
        ("days:45", "working_days:10", true),
        ("working_days:10", "days:11", true),
        ("working_days:10", "days:12", false),
        ("working_days:30", "months:1", true),
        ("days:3650", "months:120", false),
    ];
    for (longer, than, always) in cases {
        let (one, other) = (Length::parse(longer).unwrap(), Length::parse(than).unwrap());
        assert_eq!(one.is_longer_than(other), always, "{longer} than {than}");
    }
    // What it says holds on every day of four years, without holidays.
    let utc = calendar("UTC", &[]);
    let lengths: Vec<Length> = [
        "days:28",
        "days:31",
        "days:45",
        "working_days:1",
        "working_days:10",
    ]
    .into_iter()
    .chain([
        "working_days:21",
        "working_days:60",
        "months:1",
        "months:2",
        "months:12",
    ])
    .map(|text| Length::parse(text).unwrap())
    .collect();
    for day in jiff::civil::date(2027, 1, 1).series(1.day()).take(1461) {
        let start = utc.end_of(day);
        for one in &lengths {
            for other in lengths.iter().filter(|other| one.is_longer_than(**other)) {
                assert!(
                    one.after(start, &utc).unrolled > other.after(start, &utc).unrolled,
                    "{one} than {other} from {day}"
                );
            }
        }
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

/// Regimes with every kind of length.
const REGIMES: [&str; 8] = [
    "gdpr",
    "ccpa",
    "drop",
    "lgpd",
    "days:1",
    "working_days:30",
    "months:6",
    "working_days:1",
];

const ZONES: [&str; 5] = [
    "Europe/Berlin",
    "America/Los_Angeles",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",
    "Pacific/Apia",
];

proptest! {
    #[test]
    fn a_deadline_lies_ahead_grows_with_its_start_and_no_roll_or_extension_takes_any_of_it(
        name in proptest::sample::select(&REGIMES[..]),
        zone in proptest::sample::select(&ZONES[..]),
        // 1990 to 2060
        millis in 631_152_000_000_i64..2_840_140_800_000,
        later in 0..40 * 86_400_000_i64,
        days in proptest::collection::btree_set(0..200_i64, 0..20),
    ) {
        let mut calendar = calendar(zone, &[]);
        let start = At::from_millis(millis);
        let first_day = calendar.day_of(start);
        calendar.holidays = days.into_iter().map(|n| first_day.saturating_add(n.days())).collect();
        let terms = regimes().terms(&regime(name)).unwrap();
        let found = terms.respond_by.after(start, &calendar);
        prop_assert!(found.unrolled > start, "not before the start");
        prop_assert!(found.rolled >= found.unrolled);
        prop_assert!(calendar.is_working_day(calendar.day_of(found.rolled)) || zone == "Pacific/Apia");
        let next = terms.respond_by.after(At::from_millis(millis + later), &calendar);
        prop_assert!(next.unrolled >= found.unrolled && next.rolled >= found.rolled, "monotone");
        if let Some(longer) = terms.extend_to {
            let extended = longer.after(start, &calendar);
            prop_assert!(extended.unrolled > found.unrolled && extended.rolled >= found.rolled);
        }
        if let Some(sooner) = terms.acknowledge_by {
            prop_assert!(sooner.after(start, &calendar).unrolled > start);
        }
    }

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
