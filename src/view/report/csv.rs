//! A report as a table: one number a row, so that no tool has to know which columns there are.

use std::fmt::Display;

use crate::wire::report::{ProcessorFigures, Quantiles, Report};

/// The table as bytes: `section,name,measure,value`.
pub fn csv(report: &Report) -> Result<Vec<u8>, csv::Error> {
    let mut rows = Rows(csv::Writer::from_writer(Vec::new()));
    rows.put("section", "name", "measure", "value")?;
    period(&mut rows, report)?;
    requests(&mut rows, report)?;
    times(&mut rows, report)?;
    for row in &report.processors {
        processor(&mut rows, row)?;
    }
    waiting(&mut rows, report)?;
    regimes(&mut rows, report)?;
    rest(&mut rows, report)?;
    rows.0.into_inner().map_err(|error| error.into_error().into())
}

struct Rows(csv::Writer<Vec<u8>>);

impl Rows {
    fn put(
        &mut self,
        section: &str,
        name: impl Display,
        measure: &str,
        value: impl Display,
    ) -> Result<(), csv::Error> {
        self.0
            .write_record([section, &name.to_string(), measure, &value.to_string()])
    }

    /// Nothing is written of what there is none of.
    fn quantiles(&mut self, section: &str, name: impl Display, times: &Quantiles) -> Result<(), csv::Error> {
        let each = [
            ("p50", times.p50),
            ("p90", times.p90),
            ("p99", times.p99),
            ("max", times.max),
        ];
        for (measure, seconds) in each {
            if let Some(seconds) = seconds {
                self.put(section, &name, measure, seconds)?;
            }
        }
        Ok(())
    }
}

fn period(rows: &mut Rows, report: &Report) -> Result<(), csv::Error> {
    rows.put("period", "", "from", report.from)?;
    rows.put("period", "", "to", report.to)?;
    rows.put("period", "", "time_zone", &report.time_zone)?;
    rows.put("period", "", "made_at", report.made_at)?;
    if let Some(tenant) = &report.tenant {
        rows.put("period", "", "tenant", tenant)?;
    }
    if let Some(regime) = &report.regime {
        rows.put("period", "", "regime", regime)?;
    }
    Ok(())
}

fn requests(rows: &mut Rows, report: &Report) -> Result<(), csv::Error> {
    let counts = [
        ("received", report.received),
        ("completed", report.completed),
        ("closed_with_exceptions", report.closed_with_exceptions),
        ("cancelled", report.cancelled),
        ("merged", report.merged),
        ("open", report.open),
        ("overdue", report.overdue),
        ("on_time", report.on_time),
        ("late", report.late),
        ("attested", report.attested),
        ("held_requests", report.held_requests),
        ("repeats", report.repeats),
        ("restored", report.restored),
        ("forgotten", report.forgotten.requests),
    ];
    for (measure, count) in counts {
        rows.put("requests", "", measure, count)?;
    }
    for (basis, count) in &report.refused {
        rows.put("refused", basis, "requests", count)?;
    }
    for (basis, count) in &report.exempt {
        rows.put("exempt", basis, "tasks", count)?;
    }
    for (reason, count) in &report.extensions {
        rows.put("extensions", reason, "requests", count)?;
    }
    for (status, count) in &report.forgotten.statuses {
        rows.put("forgotten", status, "requests", count)?;
    }
    Ok(())
}

fn times(rows: &mut Rows, report: &Report) -> Result<(), csv::Error> {
    rows.quantiles("live_clean_seconds", "", &report.live_clean_seconds)?;
    rows.quantiles("complete_seconds", "", &report.complete_seconds)?;
    rows.quantiles("late_seconds", "", &report.late_seconds)?;
    for (section, columns) in [
        ("live_clean_days", &report.live_clean_days),
        ("complete_days", &report.complete_days),
    ] {
        for column in columns {
            let up_to = column
                .up_to
                .map_or_else(|| "more".to_owned(), |days| days.to_string());
            rows.put(section, up_to, "requests", column.count)?;
        }
    }
    Ok(())
}

fn processor(rows: &mut Rows, row: &ProcessorFigures) -> Result<(), csv::Error> {
    let counts = [
        ("tasks", row.tasks),
        ("erased", row.erased),
        ("anonymized", row.anonymized),
        ("pseudonymised", row.pseudonymised),
        ("not_found", row.not_found),
        ("attested", row.attested),
        ("exempt", row.exempt),
        ("abandoned", row.abandoned),
        ("waived", row.waived),
        ("cancelled", row.cancelled),
        ("open", row.open),
        ("unanswered", row.unanswered),
    ];
    for (measure, count) in counts {
        rows.put("processors", &row.id, measure, count)?;
    }
    for (outcome, count) in &row.failures {
        rows.put("failures", &row.id, outcome.as_str(), count)?;
    }
    for (measure, share) in [
        ("not_found_share", row.not_found_share),
        ("attested_share", row.attested_share),
    ] {
        if let Some(share) = share {
            rows.put("processors", &row.id, measure, share)?;
        }
    }
    rows.quantiles("ack_seconds", &row.id, &row.ack_seconds)
}

fn waiting(rows: &mut Rows, report: &Report) -> Result<(), csv::Error> {
    for (reason, tasks) in &report.deferred {
        rows.put("deferred", reason, "tasks", tasks)?;
    }
    for row in &report.deferred_months {
        let month = row.month.as_deref().unwrap_or("no date");
        rows.put("deferred_months", month, row.reason.as_str(), row.tasks)?;
    }
    Ok(())
}

fn regimes(rows: &mut Rows, report: &Report) -> Result<(), csv::Error> {
    for (regime, row) in &report.regimes {
        let counts = [
            ("received", row.received),
            ("complied_in_whole", row.complied_in_whole),
            ("complied_in_part", row.complied_in_part),
            ("denied", row.denied),
            ("withdrawn", row.withdrawn),
            ("merged", row.merged),
            ("open", row.open),
        ];
        for (measure, count) in counts {
            rows.put("regimes", regime, measure, count)?;
        }
        for (basis, count) in &row.denied_by {
            rows.put("denied_by", format_args!("{regime} {basis}"), "requests", count)?;
        }
        if let (Some(median), Some(mean)) = (row.median_days, row.mean_days) {
            rows.put("regimes", regime, "median_days", median)?;
            rows.put("regimes", regime, "mean_days", mean)?;
        }
    }
    Ok(())
}

fn rest(rows: &mut Rows, report: &Report) -> Result<(), csv::Error> {
    let evidence = &report.evidence;
    rows.put("evidence", "", "ledger_leaves", evidence.ledger_leaves)?;
    rows.put("evidence", "", "proofs", evidence.proofs)?;
    rows.put("evidence", "", "records", evidence.records)
}
