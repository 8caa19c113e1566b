//! The tables of a report.

use std::{collections::BTreeMap, fmt::Display};

use jiff::{ToSpan as _, tz::TimeZone};
use maud::{Markup, html};

use crate::{
    domain::time::At,
    wire::report::{DeferredMonth, ProcessorFigures, Quantiles, RegimeFigures, Report},
};

/// A day in the report's zone.
pub(super) fn date(at: At, zone: &str) -> String {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    at.timestamp().to_zoned(zone).date().to_string()
}

/// The last day before a time.
pub(super) fn last_day(at: At, zone: &str) -> String {
    let before = at.timestamp().checked_sub(1.millisecond());
    date(before.map_or(at, At::from), zone)
}

/// What it is about.
pub(super) fn header(report: &Report) -> Markup {
    let (from, to) = (report.from.to_string(), report.to.to_string());
    html! {
        p {
            "Requests received from " time datetime=(from) { (from) } " on and before " time datetime=(to) { (to) }
            ", days and months of " (report.time_zone) ". Made at "
            time datetime=(report.made_at) { (report.made_at) } ", as everything stood then."
        }
        @if report.forgotten.requests > 0 {
            p {
                strong { (report.forgotten.requests) " requests of this period are forgotten" }
                ": they had ended, and were kept for as long as vault.records_keep says. They are in none of the counts \
                 below; the ledger keeps what has happened to them."
            }
        }
    }
}

/// The numbers that everybody asks for first.
pub(super) fn figures(report: &Report) -> Markup {
    let refused: u64 = report.refused.values().sum();
    let rows: [(&str, u64, &str); 13] = [
        ("Received", report.received, "all requests"),
        ("Completed", report.completed, "done everywhere"),
        (
            "Closed with exceptions",
            report.closed_with_exceptions,
            "something was not erased",
        ),
        ("Refused", refused, "on a legal ground"),
        ("Cancelled", report.cancelled, "withdrawn"),
        ("Merged", report.merged, "part of another request"),
        ("Open", report.open, "not at their end yet"),
        (
            "Overdue",
            report.overdue,
            "open, past the deadline, live systems not clean",
        ),
        ("On time", report.on_time, "answered by the deadline"),
        ("Late", report.late, "answered after the deadline"),
        (
            "Attested",
            report.attested,
            "closed by a processor's published term, and nobody's word",
        ),
        (
            "Held",
            report.held_requests,
            "a legal hold has kept something back",
        ),
        ("Repeats", report.repeats, "one too many of their person"),
    ];
    let times = [
        ("Until live systems were clean", &report.live_clean_seconds),
        ("Until the end", &report.complete_seconds),
        ("Late by", &report.late_seconds),
    ];
    html! {
        h2 { "Requests" }
        div.wide tabindex="0" role="region" aria-label="Requests" { table {
            thead { tr { th scope="col" { "What" } th.number scope="col" { "Requests" } th scope="col" { "Which" } } }
            tbody {
                @for (what, count, which) in rows {
                    tr { th scope="row" { (what) } td.number { (count) } td { (which) } }
                }
            }
        } }
        h2 { "How long it took" }
        div.wide tabindex="0" role="region" aria-label="How long it took" { table {
            thead { tr {
                th scope="col" { "From the receipt" } th.number scope="col" { "Requests" }
                @for name in ["Half", "9 of 10", "99 of 100", "Longest"] { th.number scope="col" { (name) } }
            } }
            tbody {
                @for (what, times) in times {
                    tr { th scope="row" { (what) } td.number { (times.count) } (cells(times)) }
                }
            }
        } }
    }
}

/// Everything else.
pub(super) fn tables(report: &Report) -> Markup {
    html! {
        (counted("Refused, by ground", "Ground", "Requests", &report.refused))
        (counted("Exempt, by basis", "Basis", "Tasks", &report.exempt))
        (counted("Extended deadlines", "Reason", "Requests", &report.extensions))
        @if !report.deferred_months.is_empty() { (deferred(&report.deferred_months)) }
        @if !report.processors.is_empty() { (processors(&report.processors)) (record(&report.processors)) }
        @if !report.regimes.is_empty() { (regimes(report)) }
        h2 { "What this stands on" }
        p {
            (report.evidence.ledger_leaves) " leaves of the ledger; " (report.evidence.proofs)
            " answers that brought evidence, of " (report.evidence.records) " records. "
            @if let (Some(first), Some(last)) =
                (report.evidence.first_registry_revision, report.evidence.last_registry_revision)
            { "The plans are those of the registry's revisions " (first) " to " (last) "." }
        }
    }
}

fn counted<K: Display>(title: &str, what: &str, of: &str, counts: &BTreeMap<K, u64>) -> Markup {
    html! {
        @if !counts.is_empty() {
            h2 { (title) }
            table {
                thead { tr { th scope="col" { (what) } th.number scope="col" { (of) } } }
                tbody {
                    @for (name, count) in counts { tr { th scope="row" { (name) } td.number { (count) } } }
                }
            }
        }
    }
}

fn deferred(months: &[DeferredMonth]) -> Markup {
    html! {
        h2 { "What waits, and until when" }
        table {
            thead { tr {
                th scope="col" { "Month" } th scope="col" { "Why" } th.number scope="col" { "Tasks" }
            } }
            tbody {
                @for row in months {
                    tr {
                        th scope="row" { (row.month.as_deref().unwrap_or("no date")) }
                        td { (row.reason) } td.number { (row.tasks) }
                    }
                }
            }
        }
    }
}

fn processors(processors: &[ProcessorFigures]) -> Markup {
    let heads = [
        "Tasks",
        "Erased",
        "Anonymized",
        "Not found",
        "Attested",
        "Exempt",
        "Abandoned",
        "Waived",
        "Open",
        "Failures",
        "Unanswered",
        "Not found, share",
        "Answers, half",
        "99 of 100",
    ];
    html! {
        h2 { "Processors" }
        div.wide tabindex="0" role="region" aria-label="Processors" { table {
            thead { tr { th scope="col" { "Processor" } @for head in heads { th.number scope="col" { (head) } } } }
            tbody {
                @for row in processors {
                    tr {
                        th scope="row" { (row.id) }
                        @for count in [
                            row.tasks, row.erased, row.anonymized + row.pseudonymised, row.not_found, row.attested,
                            row.exempt, row.abandoned, row.waived, row.open, row.failures.values().sum(), row.unanswered,
                        ] { td.number { (count) } }
                        td.number { (percent(row.not_found_share)) }
                        td.number { (span(row.ack_seconds.p50)) }
                        td.number { (span(row.ack_seconds.p99)) }
                    }
                }
            }
        } }
    }
}

/// What a record of processing has of them.
fn record(processors: &[ProcessorFigures]) -> Markup {
    let listed = |names: &[crate::domain::ids::Label]| {
        let names: Vec<&str> = names.iter().map(crate::domain::ids::Label::as_str).collect();
        if names.is_empty() {
            "all".to_owned()
        } else {
            names.join(", ")
        }
    };
    html! {
        h2 { "Recipients and time limits" }
        div.wide tabindex="0" role="region" aria-label="Recipients and time limits" { table {
            thead { tr {
                @for head in ["Recipient", "Name", "Kind", "Categories", "Has to keep"] { th scope="col" { (head) } }
            } }
            tbody {
                @for row in processors {
                    tr {
                        th scope="row" { (row.id) }
                        td { (row.name.as_deref().unwrap_or("not registered any more")) }
                        td { @if let Some(kind) = row.kind { (kind) } }
                        td { (listed(&row.categories)) }
                        td {
                            @for (n, rule) in row.keeps.iter().enumerate() {
                                @if n > 0 { "; " }
                                (listed(&rule.categories)) ": " (rule.keep) " (" (rule.basis) ")"
                            }
                        }
                    }
                }
            }
        } }
    }
}

fn regimes(report: &Report) -> Markup {
    let cells = |row: &RegimeFigures| {
        [
            row.received,
            row.complied_in_whole,
            row.complied_in_part,
            row.denied,
            row.withdrawn,
            row.merged,
            row.open,
        ]
    };
    let heads = [
        "Received",
        "Complied in whole",
        "In part",
        "Denied",
        "Withdrawn",
        "Merged",
        "Open",
        "Median days",
        "Mean days",
    ];
    html! {
        h2 { "By regime" }
        p {
            "Days of the calendar from the receipt until live systems were clean or the request was denied. For a year, \
             ccpa is what 11 CCR 7102 has published of requests to delete, and drop what Cal. Civ. Code 1798.99.85 asks of \
             data brokers."
        }
        div.wide tabindex="0" role="region" aria-label="By regime" { table {
            thead { tr { th scope="col" { "Regime" } @for head in heads { th.number scope="col" { (head) } } } }
            tbody {
                @for (regime, row) in &report.regimes {
                    tr {
                        th scope="row" { (regime) }
                        @for count in cells(row) { td.number { (count) } }
                        td.number { @if let Some(days) = row.median_days { (days) } }
                        td.number { @if let Some(days) = row.mean_days { (days) } }
                    }
                }
            }
        } }
    }
}

fn cells(times: &Quantiles) -> Markup {
    html! {
        @for time in [times.p50, times.p90, times.p99, times.max] { td.number { (span(time)) } }
    }
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

/// A length of time as people say it.
pub(super) fn span(seconds: Option<f64>) -> String {
    const HOUR: f64 = 3600.0;
    match seconds {
        None => "–".to_owned(),
        Some(seconds) if seconds >= 48.0 * HOUR => format!("{:.1} d", seconds / (24.0 * HOUR)),
        Some(seconds) if seconds >= 2.0 * HOUR => format!("{:.1} h", seconds / HOUR),
        Some(seconds) if seconds >= 120.0 => format!("{:.1} min", seconds / 60.0),
        Some(seconds) => format!("{seconds:.1} s"),
    }
}
