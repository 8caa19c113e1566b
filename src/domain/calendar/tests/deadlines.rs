//! Deadlines, to the day.

use proptest::prelude::*;

use super::*;

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
    fn deadline_lies_ahead_and_no_roll_or_extension_shortens_it(
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
}
