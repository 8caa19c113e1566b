#!/usr/bin/env python3
"""Makes generated.tsv: deadlines reckoned by other libraries than Lacuna's own.

Months by python-dateutil, working days and the roll to the next one by numpy, zones by Python's zoneinfo over the
package tzdata. Nothing in here knows how Lacuna reckons: the lengths are written down again from the laws.

    pip install numpy python-dateutil tzdata
    python3 tests/vectors/generate.py > tests/vectors/generated.tsv
"""

from datetime import date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo, reset_tzpath

import dateutil
import numpy
import tzdata
from dateutil.relativedelta import relativedelta

# acknowledge by, respond by, extended to
LAWS = {
    "gdpr": (None, "months:1", "months:3"),
    "uk_gdpr": (None, "months:1", "months:3"),
    "ccpa": ("working_days:10", "days:45", "days:90"),
    "drop": (None, "days:45", None),
    "lgpd": (None, "days:15", None),
}

GERMAN = "2026-01-01,2026-04-03,2026-04-06,2026-05-01,2026-05-14,2026-05-25,2026-10-03,2026-12-25,2026-12-26,2027-01-01"
ENGLISH = "2026-01-01,2026-04-03,2026-04-06,2026-05-04,2026-05-25,2026-08-31,2026-12-25,2026-12-28,2027-01-01"
AMERICAN = "2026-01-01,2026-01-19,2026-02-16,2026-05-25,2026-06-19,2026-07-03,2026-09-07,2026-11-11,2026-11-26,2026-12-25,2027-01-01"
BRAZILIAN = "2018-11-02,2018-11-15,2018-12-25,2019-01-01,2026-04-03,2026-04-21,2026-05-01,2026-09-07,2026-12-25"


def last_day(length, day, holidays):
    unit, n = length.split(":")
    n = int(n)
    if unit == "days":
        return day + timedelta(days=n)
    if unit == "months":
        return day + relativedelta(months=n)
    # A start that is no working day counts as the one before it: the first day counted is the next working day.
    return numpy.busday_offset(day, n, roll="backward", holidays=holidays).astype(object)


def rolled(day, holidays):
    return numpy.busday_offset(day, 0, roll="forward", holidays=holidays).astype(object)


def end_of(day, zone):
    """The last second before the next day begins in the zone."""
    midnight = datetime.combine(day + timedelta(days=1), time(), zone)
    last = midnight.astimezone(timezone.utc) - timedelta(seconds=1)
    assert last.astimezone(zone).date() <= day, (day, zone)
    assert (last + timedelta(seconds=1)).astimezone(zone).date() > day, (day, zone)
    return last.strftime("%Y-%m-%dT%H:%M:%SZ")


def vector(regime, zone, holidays, asked):
    days = [date.fromisoformat(text) for text in holidays.split(",") if text]
    place = ZoneInfo(zone)
    start = datetime.fromisoformat(asked.replace("Z", "+00:00")).astimezone(place).date()
    acknowledge, respond, extend = LAWS.get(regime, (None, regime, None))
    ends = ["-"] * 5
    if acknowledge:
        ends[0] = end_of(last_day(acknowledge, start, days), place)
    last = last_day(respond, start, days)
    ends[1], ends[2] = end_of(last, place), end_of(rolled(last, days), place)
    if extend:
        last = last_day(extend, start, days)
        ends[3], ends[4] = end_of(last, place), end_of(rolled(last, days), place)
    return "\t".join([regime, zone, holidays or "-", asked, *ends])


def vectors():
    # Month ends and leap years, under every law.
    for regime in LAWS:
        for asked in [
            "2023-01-29", "2023-01-30", "2023-01-31", "2023-02-28", "2024-01-30", "2024-01-31", "2024-02-29",
            "2026-03-31", "2026-05-31", "2026-08-31", "2026-10-31", "2026-11-30", "2026-12-31", "2027-11-30",
            "2027-12-31", "2028-02-29", "2099-12-31", "2100-02-28",
        ]:
            yield regime, "Europe/Berlin", GERMAN, asked + "T12:00:00Z"
    # Holidays and weekends, one request a day.
    for n in range(0, 40):
        yield "gdpr", "Europe/Berlin", GERMAN, f"{date(2026, 3, 1) + timedelta(days=n)}T10:00:00Z"
    for n in range(0, 20):
        yield "uk_gdpr", "Europe/London", ENGLISH, f"{date(2026, 11, 20) + timedelta(days=n)}T10:00:00Z"
    for n in range(0, 30):
        yield "ccpa", "America/Los_Angeles", AMERICAN, f"{date(2026, 11, 5) + timedelta(days=n)}T20:00:00Z"
    for n in range(0, 14):
        yield "lgpd", "America/Sao_Paulo", BRAZILIAN, f"{date(2026, 4, 1) + timedelta(days=n)}T15:00:00Z"
    # Around every kind of change of the clock, on both sides of midnight. Where governments change their minds, in the
    # past: databases differ about the future.
    changes = {
        "Europe/Berlin": ["2026-03-29", "2026-10-25", "1980-04-06", "1945-05-24"],
        "Europe/London": ["2026-03-29", "2026-10-25", "1971-10-31"],
        "America/Los_Angeles": ["2026-03-08", "2026-11-01", "2007-03-11"],
        "America/Sao_Paulo": ["2018-11-04", "2018-02-18", "2019-02-17", "2017-10-15"],
        "Australia/Lord_Howe": ["2026-04-05", "2026-10-04", "1981-03-01"],
        "Pacific/Apia": ["2011-12-30", "2011-12-31", "2012-04-01", "2010-09-26"],
        "America/Havana": ["2024-03-10", "2024-11-03"],
        "Africa/Cairo": ["2024-04-26", "2024-11-01"],
        "Asia/Kathmandu": ["1986-01-01", "2026-06-01"],
        "Pacific/Kiritimati": ["1994-12-31", "2026-06-01"],
    }
    for zone, days in changes.items():
        for day in days:
            changed = date.fromisoformat(day)
            for regime in ["days:1", "working_days:1", "working_days:10", "months:1"]:
                before = last_day(regime, changed, []) - changed
                for hour in ["00:30:00Z", "12:00:00Z"]:
                    yield regime, zone, "", f"{changed - before}T{hour}"
    for asked in ["2024-12-31T23:59:59Z", "2025-01-01T00:00:00Z"]:
        for zone in changes:
            yield "gdpr", zone, "", asked
    # Lengths of a policy's own.
    for regime in ["days:30", "days:365", "days:3650", "working_days:20", "working_days:30", "working_days:250",
                   "months:2", "months:6", "months:12", "months:120"]:
        for asked in ["2026-01-31T12:00:00Z", "2026-11-21T12:00:00Z", "2028-02-29T12:00:00Z"]:
            yield regime, "Europe/Berlin", GERMAN, asked


def main():
    reset_tzpath(to=[])
    print(f"# Generated by generate.py with python-dateutil {dateutil.__version__}, numpy {numpy.__version__} and tzdata "
          f"{tzdata.IANA_VERSION}. Not written by hand.")
    print("# regime\tzone\tholidays\trequested_at\tacknowledge_by\trespond_by\trolled\textended_to\textended_rolled")
    for made in dict.fromkeys(vector(*given) for given in vectors()):
        print(made)


main()
