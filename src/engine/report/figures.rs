//! A tally as the report that is handed out.

use super::ReportQuestion;
use crate::{
    domain::{
        calendar::Calendar,
        ids::{Label, ProcessorId},
        registry::{Processor, Registry},
        report::{Days, Durations, Lane, OfRegime, Tally},
        time::At,
        words::{Status, Why},
    },
    wire::report::{
        DaysColumn, DeferredMonth, EvidenceFigures, Forgotten, Keeps, ProcessorFigures, Quantiles,
        RegimeFigures, Report,
    },
};

pub(super) fn report(
    mut tally: Tally,
    question: &ReportQuestion,
    calendar: &Calendar,
    registry: Option<&Registry>,
    forgotten: Forgotten,
    made_at: At,
) -> Report {
    let lanes = tally.lanes().iter_mut();
    let processors = lanes
        .map(|(id, lane)| processor(id, lane, registry.and_then(|registry| registry.get(id))))
        .collect();
    let zone = calendar.zone.iana_name().unwrap_or("UTC");
    Report {
        from: question.from,
        to: question.to,
        time_zone: zone.to_owned(),
        tenant: question.tenant.clone(),
        regime: question.regime.clone(),
        made_at,
        received: tally.received,
        completed: tally.of(Status::Completed),
        closed_with_exceptions: tally.of(Status::ClosedWithExceptions),
        cancelled: tally.of(Status::Cancelled),
        merged: tally.of(Status::Merged),
        open: tally.open(),
        overdue: tally.overdue,
        on_time: tally.on_time,
        late: tally.late,
        late_seconds: quantiles(&mut tally.late_by),
        attested: tally.attested,
        live_clean_seconds: quantiles(&mut tally.live_clean),
        live_clean_days: columns(&tally.live_clean_days),
        complete_seconds: quantiles(&mut tally.complete),
        complete_days: columns(&tally.complete_days),
        processors,
        deferred_months: months(&tally),
        held_requests: tally.held_requests,
        repeats: tally.repeats,
        restored: tally.restored,
        evidence: EvidenceFigures {
            ledger_leaves: tally.leaves,
            proofs: tally.proofs,
            records: tally.records,
            first_registry_revision: tally.revisions.map(|(first, _)| first),
            last_registry_revision: tally.revisions.map(|(_, last)| last),
        },
        regimes: tally
            .regimes
            .iter()
            .map(|(regime, figures)| (regime.clone(), of_regime(figures)))
            .collect(),
        refused: tally.refused,
        exempt: tally.exempt,
        deferred: tally.deferred,
        extensions: tally.extensions,
        forgotten,
    }
}

fn quantiles(durations: &mut Durations) -> Quantiles {
    let mut seconds = |percent| durations.percentile(percent).map(|time| time.as_secs_f64());
    let (p50, p90, p99, max) = (seconds(50), seconds(90), seconds(99), seconds(100));
    Quantiles {
        count: durations.count(),
        p50,
        p90,
        p99,
        max,
    }
}

fn columns(days: &Days) -> Vec<DaysColumn> {
    days.columns()
        .map(|(up_to, count)| DaysColumn { up_to, count })
        .collect()
}

fn months(tally: &Tally) -> Vec<DeferredMonth> {
    let months = tally.deferred_months.iter();
    months
        .map(|((month, reason), tasks)| DeferredMonth {
            month: month.map(|month| month.to_string()),
            reason: *reason,
            tasks: *tasks,
        })
        .collect()
}

fn processor(id: &ProcessorId, lane: &mut Lane, registered: Option<&Processor>) -> ProcessorFigures {
    let proved = lane.erased + lane.anonymized + lane.pseudonymised + lane.not_found;
    ProcessorFigures {
        id: id.clone(),
        name: registered.map(|processor| processor.name.clone()),
        kind: registered.map(|processor| processor.kind),
        tasks: lane.tasks,
        erased: lane.erased,
        anonymized: lane.anonymized,
        pseudonymised: lane.pseudonymised,
        not_found: lane.not_found,
        attested: lane.attested,
        exempt: lane.exempt,
        abandoned: lane.abandoned,
        waived: lane.waived,
        cancelled: lane.cancelled,
        open: lane.tasks - lane.closed(),
        not_found_share: share(lane.not_found, proved),
        attested_share: share(lane.attested, lane.done()),
        ack_seconds: quantiles(&mut lane.answers),
        failures: std::mem::take(&mut lane.failed),
        unanswered: lane.unanswered,
        categories: registered
            .map(|processor| processor.categories.clone())
            .unwrap_or_default(),
        keeps: registered.map(keeps).unwrap_or_default(),
    }
}

/// The time limits that the registry has for it.
fn keeps(processor: &Processor) -> Vec<Keeps> {
    let rules = processor.retention.iter().map(|rule| Keeps {
        categories: rule.categories.clone(),
        basis: rule.basis.clone(),
        keep: rule.keep.to_string(),
    });
    let rotation = || Label::new(Why::BackupRotation.as_str()).ok();
    let copies = processor.backup.as_ref().and_then(|backup| {
        Some(Keeps {
            categories: Vec::new(),
            basis: rotation()?,
            keep: backup.keep.to_string(),
        })
    });
    rules.chain(copies).collect()
}

fn of_regime(figures: &OfRegime) -> RegimeFigures {
    RegimeFigures {
        received: figures.received,
        complied_in_whole: figures.in_whole,
        complied_in_part: figures.in_part,
        denied: figures.denied.values().sum(),
        denied_by: figures.denied.clone(),
        withdrawn: figures.withdrawn,
        merged: figures.merged,
        open: figures.open,
        median_days: figures.median_days(),
        mean_days: figures.mean_tenths().map(|tenths| decimal(tenths) / 10.0),
    }
}

fn share(part: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| decimal(part) / decimal(of))
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
const fn decimal(n: u64) -> f64 {
    n as f64
}
