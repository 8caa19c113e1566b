//! Deadlines under Lacuna's own table of regimes: published examples, another library's vectors, and a hundred thousand
//! random dates against a third one.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, Utc, Weekday};
use chrono_tz::Tz;
use jiff::tz::TimeZone;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::{
    config::Config,
    domain::{
        calendar::{Calendar, Length, Regime, Regimes, Terms},
        time::At,
    },
};

fn regimes() -> Regimes {
    Config::default().policy.regimes
}

fn terms(table: &Regimes, name: &str) -> Terms {
    table.terms(&Regime::parse(name).unwrap()).unwrap()
}

fn calendar(zone: &str, holidays: &str) -> Calendar {
    let dates = holidays.split(',').filter(|text| !matches!(*text, "" | "-"));
    Calendar {
        zone: TimeZone::get(zone).unwrap(),
        holidays: dates.map(|text| text.parse().unwrap()).collect(),
    }
}

/// The lines of a file of vectors, each with its columns.
fn rows<const N: usize>(text: &str) -> Vec<[&str; N]> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.split('\t').collect::<Vec<_>>().try_into().expect(line))
        .collect()
}

#[test]
fn published_examples() {
    let table = regimes();
    let rows = rows::<6>(include_str!("../../../tests/vectors/published.tsv"));
    assert!(rows.len() >= 13);
    for [source, regime, holidays, asked, respond_by, rolled] in rows {
        let calendar = calendar("Europe/London", holidays);
        let noon = if asked.contains('T') {
            asked.to_owned()
        } else {
            format!("{asked}T12:00")
        };
        let asked: jiff::civil::DateTime = noon.parse().unwrap();
        let start = asked.to_zoned(calendar.zone.clone()).unwrap().timestamp().into();
        let found = terms(&table, regime).respond_by.after(start, &calendar);
        let shown = |at: At| {
            at.timestamp()
                .to_zoned(calendar.zone.clone())
                .datetime()
                .to_string()
        };
        assert_eq!(
            shown(found.unrolled),
            format!("{respond_by}T23:59:59"),
            "{source}: {asked}"
        );
        assert_eq!(
            shown(found.rolled),
            format!("{rolled}T23:59:59"),
            "{source}: {asked}"
        );
    }
}

#[test]
fn vectors_of_another_library() {
    let table = regimes();
    let rows = rows::<9>(include_str!("../../../tests/vectors/generated.tsv"));
    assert!(rows.len() >= 200);
    for row in rows {
        let [regime, zone, holidays, asked, ends @ ..] = row;
        let [acknowledge_by, respond_by, rolled, extended_to, extended_rolled] = ends;
        let (calendar, terms) = (calendar(zone, holidays), terms(&table, regime));
        let end =
            |length: Option<Length>| length.map(|length| length.after(At::parse(asked).unwrap(), &calendar));
        let shown = |at: Option<At>| at.map_or("-".to_owned(), |at| at.to_string());
        let (acknowledge, respond, extended) = (
            end(terms.acknowledge_by),
            end(Some(terms.respond_by)),
            end(terms.extend_to),
        );
        let found = [
            (shown(acknowledge.map(|found| found.unrolled)), acknowledge_by),
            (shown(respond.map(|found| found.unrolled)), respond_by),
            (shown(respond.map(|found| found.rolled)), rolled),
            (shown(extended.map(|found| found.unrolled)), extended_to),
            (shown(extended.map(|found| found.rolled)), extended_rolled),
        ];
        for (found, expected) in found {
            assert_eq!(found, expected, "{row:?}");
        }
    }
}

/// The same laws once more, by `chrono` and its own time zones.
mod otherwise {
    use super::*;

    fn is_worked(day: NaiveDate, holidays: &BTreeSet<NaiveDate>) -> bool {
        !matches!(day.weekday(), Weekday::Sat | Weekday::Sun) && !holidays.contains(&day)
    }

    /// The last day of a period that begins on this one.
    pub(super) fn last_day(length: &str, day: NaiveDate, holidays: &BTreeSet<NaiveDate>) -> NaiveDate {
        let (unit, n) = length.split_once(':').unwrap();
        let n: u32 = n.parse().unwrap();
        match unit {
            "days" => day + Days::new(u64::from(n)),
            "months" => day + Months::new(n),
            "working_days" => {
                let mut worked = day.iter_days().skip(1).filter(|day| is_worked(*day, holidays));
                worked.nth(n as usize - 1).unwrap()
            }
            _ => panic!("{length}"),
        }
    }

    /// The first working day that is not before this one.
    pub(super) fn rolled(day: NaiveDate, holidays: &BTreeSet<NaiveDate>) -> NaiveDate {
        day.iter_days().find(|day| is_worked(*day, holidays)).unwrap()
    }

    /// Whether this is the last second of a day, or of the one before a day that the zone leaves out: one second later
    /// it is past that day there. Dates only ever go forward in the zones of these tests.
    pub(super) fn is_end_of(day: NaiveDate, at: At, zone: Tz) -> bool {
        let date_at = |millis: i64| date(At::from_millis(millis), zone);
        at.millis() % 1000 == 0 && date_at(at.millis()) <= day && date_at(at.millis() + 1000) > day
    }

    pub(super) fn date(at: At, zone: Tz) -> NaiveDate {
        let utc = DateTime::<Utc>::from_timestamp_millis(at.millis()).unwrap();
        utc.with_timezone(&zone).date_naive()
    }
}

#[test]
fn a_third_library_agrees_on_a_hundred_thousand_dates() {
    // name, acknowledge by, respond by, extended to: written down again, not read from the table
    const LAWS: [(&str, Option<&str>, &str, Option<&str>); 9] = [
        ("gdpr", None, "months:1", Some("months:3")),
        ("uk_gdpr", None, "months:1", Some("months:3")),
        ("ccpa", Some("working_days:10"), "days:45", Some("days:90")),
        ("drop", None, "days:45", None),
        ("lgpd", None, "days:15", None),
        ("days:30", None, "days:30", None),
        ("working_days:20", None, "working_days:20", None),
        ("working_days:1", None, "working_days:1", None),
        ("months:6", None, "months:6", None),
    ];
    const ZONES: [Tz; 9] = [
        Tz::Europe__Berlin,
        Tz::Europe__London,
        Tz::America__Los_Angeles,
        Tz::America__Sao_Paulo,
        Tz::America__Havana,
        Tz::Australia__Lord_Howe,
        Tz::Pacific__Apia,
        Tz::Asia__Kathmandu,
        Tz::UTC,
    ];
    // From 1990 until 2025: about later changes of the clock one version of a database differs from another.
    const TIMES: std::ops::Range<i64> = 631_152_000_000..1_735_689_600_000;
    let mut random = StdRng::seed_from_u64(5);
    let table = regimes();
    let laws = LAWS.map(|law| (law, terms(&table, law.0)));
    // Each zone with three calendars: no holidays, some, and so many that whole weeks are off.
    let calendars: Vec<(Tz, BTreeSet<NaiveDate>, Calendar)> = ZONES
        .into_iter()
        .flat_map(|zone| [0, 3000, 9000].map(|n| (zone, n)))
        .map(|(zone, n)| {
            let some = (0..n).map(|_| otherwise::date(At::from_millis(random.random_range(TIMES)), zone));
            let holidays: BTreeSet<NaiveDate> = some.collect();
            let listed: Vec<String> = holidays.iter().map(ToString::to_string).collect();
            (zone, holidays.clone(), calendar(zone.name(), &listed.join(",")))
        })
        .collect();
    for n in 0..100_000 {
        let start = At::from_millis(random.random_range(TIMES));
        let ((name, acknowledge, respond, extend), terms) = &laws[n % laws.len()];
        let (zone, holidays, calendar) = &calendars[random.random_range(0..calendars.len())];
        let day = otherwise::date(start, *zone);
        let lengths = [
            (terms.acknowledge_by, *acknowledge),
            (Some(terms.respond_by), Some(*respond)),
            (terms.extend_to, *extend),
        ];
        for (ours, theirs) in lengths {
            let (Some(ours), Some(theirs)) = (ours, theirs) else {
                assert_eq!((ours, theirs), (None, None), "{name}");
                continue;
            };
            let found = ours.after(start, calendar);
            let last = otherwise::last_day(theirs, day, holidays);
            assert!(
                otherwise::is_end_of(last, found.unrolled, *zone),
                "{name}: {theirs} after {start} in {zone}: {} is not the end of {last}",
                found.unrolled
            );
            let rolled = otherwise::rolled(last, holidays);
            assert!(
                otherwise::is_end_of(rolled, found.rolled, *zone),
                "{name}: {theirs} after {start} in {zone}, rolled: {} is not the end of {rolled}",
                found.rolled
            );
        }
    }
}
