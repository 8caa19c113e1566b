//! The report for people, of numbers that are made up.

use std::collections::BTreeMap;

use super::*;
use crate::{
    domain::{
        calendar::Regime,
        ids::{Label, ProcessorId, Tenant},
        words::{RefusalBasis, Why},
    },
    wire::report::{
        DaysColumn, DeferredMonth, EvidenceFigures, Forgotten, Keeps, ProcessorFigures, Quantiles,
        RegimeFigures,
    },
};

fn times(seconds: f64) -> Quantiles {
    Quantiles {
        count: 2,
        p50: Some(seconds),
        p90: Some(seconds),
        p99: Some(seconds),
        max: Some(seconds),
    }
}

fn processor(id: &str) -> ProcessorFigures {
    ProcessorFigures {
        id: ProcessorId::new(id).unwrap(),
        name: Some("<b>CRM</b> & co".to_owned()),
        kind: None,
        tasks: 2,
        erased: 1,
        anonymized: 0,
        pseudonymised: 0,
        not_found: 1,
        attested: 0,
        exempt: 0,
        abandoned: 0,
        waived: 0,
        cancelled: 0,
        open: 0,
        ack_seconds: times(7200.0),
        failures: BTreeMap::new(),
        unanswered: 1,
        not_found_share: Some(0.5),
        attested_share: None,
        categories: Vec::new(),
        keeps: vec![Keeps {
            categories: Vec::new(),
            basis: Label::new("tax_law").unwrap(),
            keep: "5y".to_owned(),
        }],
    }
}

fn example() -> Report {
    let regime = RegimeFigures {
        received: 3,
        complied_in_whole: 1,
        complied_in_part: 1,
        denied: 1,
        denied_by: BTreeMap::from([(RefusalBasis::Excessive, 1)]),
        withdrawn: 0,
        merged: 0,
        open: 0,
        median_days: Some(4),
        mean_days: Some(4.5),
    };
    let column = |up_to, count| DaysColumn { up_to, count };
    Report {
        from: At::parse("2026-10-31T23:00:00Z").unwrap(),
        to: At::parse("2026-11-30T23:00:00Z").unwrap(),
        time_zone: "Europe/Berlin".to_owned(),
        tenant: Some(Tenant::new("acme").unwrap()),
        regime: None,
        made_at: At::parse("2026-12-02T08:00:00Z").unwrap(),
        received: 3,
        completed: 1,
        closed_with_exceptions: 1,
        refused: BTreeMap::from([(RefusalBasis::Excessive, 1)]),
        cancelled: 0,
        merged: 0,
        open: 0,
        overdue: 0,
        on_time: 3,
        late: 0,
        late_seconds: Quantiles::default(),
        attested: 0,
        exempt: BTreeMap::new(),
        live_clean_seconds: times(345_600.0),
        live_clean_days: vec![column(Some(1), 0), column(Some(7), 2), column(None, 1)],
        complete_seconds: times(3_000_000.0),
        complete_days: vec![column(Some(45), 2)],
        processors: vec![processor("crm")],
        deferred: BTreeMap::from([(Why::Retention, 2)]),
        deferred_months: vec![DeferredMonth {
            month: Some("2031-11".to_owned()),
            reason: Why::Retention,
            tasks: 2,
        }],
        held_requests: 0,
        repeats: 0,
        extensions: BTreeMap::new(),
        restored: 0,
        regimes: BTreeMap::from([(Regime::parse("ccpa").unwrap(), regime)]),
        forgotten: Forgotten::default(),
        evidence: EvidenceFigures {
            ledger_leaves: 12,
            proofs: 2,
            records: 40,
            first_registry_revision: Some(1),
            last_registry_revision: Some(2),
        },
    }
}

#[test]
fn document_stands_alone_without_script_or_inline_style() {
    let text = document(&example());
    assert!(text.contains("Erasure report, 2026-11-01 to 2026-11-30, tenant acme"));
    assert_eq!(text.matches("<style>").count(), 1);
    for forbidden in [
        "style=",
        "<script",
        "http://www.w3.org/1999/xlink",
        "src=",
        "href=",
        "onload",
    ] {
        assert!(!text.contains(forbidden), "{forbidden}");
    }
    // Names of the registry are somebody's text.
    assert!(text.contains("&lt;b&gt;CRM&lt;/b&gt; &amp; co"), "{text}");
    assert!(!text.contains("<b>"));
}

#[test]
fn every_plot_says_in_words_what_it_shows() {
    let text = body(&example()).into_string();
    let plots: Vec<&str> = text.split("<svg ").skip(1).collect();
    assert_eq!(plots.len(), 4);
    for plot in plots {
        assert!(plot.starts_with("role=\"img\" aria-label=\""), "{plot}");
        assert!(plot.contains("<rect"), "it has bars");
    }
    assert!(text.contains("Days until live systems were clean, requests by days: ≤ 7: 2; &gt; 7: 1"));
    assert!(text.contains("tasks by month: 2031-11: 2"));
    assert!(text.contains("hours by processor: crm: 2.0 h"));
    // What there is nothing of has no plot.
    let empty = Report {
        deferred_months: Vec::new(),
        processors: Vec::new(),
        ..example()
    };
    assert_eq!(body(&empty).into_string().matches("<svg ").count(), 2);
}

#[test]
fn csv_has_one_number_a_row() {
    let bytes = csv(&example()).unwrap();
    let mut rows = ::csv::Reader::from_reader(bytes.as_slice());
    let rows: Vec<Vec<String>> = rows
        .records()
        .map(|row| row.unwrap().iter().map(str::to_owned).collect())
        .collect();
    let has = |row: [&str; 4]| assert!(rows.iter().any(|found| found == &row), "{row:?}");
    has(["requests", "", "received", "3"]);
    has(["refused", "excessive", "requests", "1"]);
    has(["processors", "crm", "not_found_share", "0.5"]);
    has(["ack_seconds", "crm", "p99", "7200"]);
    has(["deferred_months", "2031-11", "retention", "2"]);
    has(["regimes", "ccpa", "mean_days", "4.5"]);
    has(["denied_by", "ccpa excessive", "requests", "1"]);
    has(["live_clean_days", "more", "requests", "1"]);
    assert!(!rows.iter().any(|row| row[0] == "late_seconds"), "there is none");
}
