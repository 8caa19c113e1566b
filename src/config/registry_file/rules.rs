//! Rules of a processor that its lane or its tasks follow later: limits, second looks, retention, backups.
//!
//! They are checked in full. Those that this version does not carry out end here, with a refusal.

use std::time::Duration;

use super::{Listed, label, reference};
use crate::{
    config::{
        reader::{Entry, Section},
        values::Zero,
    },
    domain::{
        calendar::Period,
        ids::{AnchorName, Label, ProcessorId},
        registry::{
            BackupSet, Breaker, CompletesBy, ConfirmBy, Processor, Rate, Retention, UNNAMED_CATEGORY,
        },
        words::{Action, ProcessorKind},
    },
};

/// A backup system misses a night now and then: two days without its proof are worth a look.
const OVERDUE_AFTER: Period = Period::days(2);

const PROOFS: &[(&str, ConfirmBy)] = &[
    ("event", ConfirmBy::Event),
    ("ack", ConfirmBy::Ack),
    ("schedule", ConfirmBy::Schedule),
];

/// Reads the rules into a processor whose other keys have been read.
pub(super) fn read(section: &Section<'_>, processor: &mut Processor, listed: &Listed) {
    processor.rate = section.get("rate").and_then(|e| e.checked(rate));
    // Kafka lanes have no breaker: it is accepted without effect.
    processor.breaker = section.section("breaker", breaker);
    processor.verify_after = after(section, "verify");
    processor.sweep_after = after(section, "sweep");
    processor.completes_by = section
        .get("completes_by")
        .and_then(|entry| entry.table(completes_by).flatten());
    if let Some(entry) = section.get("replaces") {
        processor.replaces = replaces(&entry, processor, listed);
    }
    if let Some(entry) = section.get("retention") {
        processor.retention = retention(&entry, processor);
    }
    if let Some(entry) = section.get("backup") {
        processor.backup = entry
            .table(|section| backup(section, processor, listed))
            .flatten();
        // A kind that could not be read is reported already, and stands as another one.
        let kind = section.get("kind").and_then(|e| e.text());
        if kind
            .and_then(ProcessorKind::parse)
            .is_some_and(|kind| kind != ProcessorKind::Backup)
        {
            entry.problem("expected kind = \"backup\" beside it");
        }
        only_without_backup(section, processor);
    }
}

/// What means nothing for a backup set: its copies are gone by proof alone.
fn only_without_backup(section: &Section<'_>, processor: &Processor) {
    if !processor.retention.is_empty() {
        section.problem(
            "retention",
            "expected none beside backup, whose keep says how long its copies live",
        );
    }
    if processor.completes_by.is_some() {
        section.problem(
            "completes_by",
            "expected none beside backup: copies are gone by proof alone; a published schedule is confirm_by = \"schedule\"",
        );
    }
    if processor.replaces.is_some() {
        section.problem(
            "replaces",
            "expected none beside backup: copies stay with the set that they are in",
        );
    }
    if !processor.idempotent {
        section.problem(
            "idempotent",
            "expected true beside backup: proving that copies are gone, or destroying a key, twice harms nobody",
        );
    }
}

/// A processor that was removed: one that is still in the file keeps its own tasks, and of two that would take over the same
/// ones nobody could say which has them.
fn replaces(entry: &Entry<'_>, processor: &Processor, listed: &Listed) -> Option<ProcessorId> {
    let old = entry.checked(ProcessorId::new)?;
    if old == processor.id {
        return entry.refused("a processor does not replace itself");
    }
    if listed.iter().any(|one| one.id.as_ref() == Some(&old)) {
        return entry.refused(&format!(
            "{:?} is still in the file: its tasks are taken over when it is removed",
            old.as_str()
        ));
    }
    let heirs = listed.iter().filter(|one| one.replaces.as_ref() == Some(&old));
    if heirs.count() > 1 {
        return entry.refused(&format!(
            "several processors replace {:?}: expected one",
            old.as_str()
        ));
    }
    Some(old)
}

fn completes_by(section: &Section<'_>) -> Option<CompletesBy> {
    let after = section.need("after").and_then(|e| e.period(Zero::Refused));
    let probe = section.boolean_or("probe", false);
    Some(CompletesBy { after: after?, probe })
}

/// The period of a table whose only key is `after`.
fn after(section: &Section<'_>, key: &'static str) -> Option<Period> {
    let period = |section: &Section<'_>| section.need("after").and_then(|e| e.period(Zero::Refused));
    section.get(key)?.table(period).flatten()
}

/// `50/s`, `50/m` or `50/h`.
fn rate(text: &str) -> Result<Rate, &'static str> {
    let read = || {
        let (number, per) = text.split_once('/')?;
        let seconds = match per {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => return None,
        };
        let is_number = number.bytes().all(|b| b.is_ascii_digit());
        let tasks = number.parse::<u32>().ok().filter(|n| is_number && *n >= 1)?;
        Some(Rate {
            tasks,
            per: Duration::from_secs(seconds),
        })
    };
    read().ok_or("expected a number of at least 1 per second, minute or hour, such as 50/s, 50/m or 50/h")
}

fn breaker(section: &Section<'_>) -> Breaker {
    let default = Breaker::default();
    Breaker {
        failure_ratio: section.number_or("failure_ratio", 0.01..=1.0, default.failure_ratio),
        window: section.duration_or("window", Zero::Refused, default.window),
        min_requests: section.integer_or("min_requests", 1..=1_000_000, default.min_requests),
        probe_after: section.duration_or("probe_after", Zero::Refused, default.probe_after),
    }
}

/// Reads the rules. A broken one is left out, since it is reported.
fn retention(entry: &Entry<'_>, processor: &Processor) -> Vec<Retention> {
    let mut ruled: Vec<Label> = Vec::new();
    let mut rules = Vec::new();
    for rule in entry.list().unwrap_or_default() {
        rules.extend(
            rule.table(|section| retention_rule(section, processor, &mut ruled))
                .flatten(),
        );
    }
    rules
}

fn retention_rule(section: &Section<'_>, processor: &Processor, ruled: &mut Vec<Label>) -> Option<Retention> {
    let categories = section.need("categories").and_then(|e| e.some_set(label));
    for category in categories.iter().flatten() {
        let name = category.as_str();
        if ruled.contains(category) {
            let message = format!("another rule keeps {name:?}: which one holds?");
            section.problem("categories", &message);
        }
        if processor.categories.is_empty() {
            if name == UNNAMED_CATEGORY {
                let message = format!(
                    "{name:?} is what the share that no rule keeps is called here; name the processor's categories"
                );
                section.problem("categories", &message);
            }
        } else if !processor.categories.contains(category) {
            let message = format!("{name:?} is none of the processor's categories");
            section.problem("categories", &message);
        }
    }
    ruled.extend(categories.iter().flatten().cloned());
    let basis = section.need("basis").and_then(|e| label(&e));
    let keep = section.need("keep").and_then(|e| e.period(Zero::Refused));
    let then = section.word_or("then", super::ACTIONS, Action::Erase);
    // Without any action the processor's own are reported already.
    if !processor.actions.is_empty() && !processor.actions.contains(&then) {
        let message = format!(
            "the processor's actions don't have {:?}, which would be done then",
            then.as_str()
        );
        section.problem("then", &message);
    }
    let from = section.get("from").and_then(|e| e.checked(AnchorName::new));
    Some(Retention {
        categories: categories?,
        basis: basis?,
        keep: keep?,
        then,
        from,
    })
}

fn backup(section: &Section<'_>, processor: &Processor, listed: &Listed) -> Option<BackupSet> {
    let source = |entry: &Entry<'_>| {
        let (source, is_backup_set) = reference(entry, listed)?;
        if source == processor.id {
            return entry.refused("a backup is no source of itself");
        }
        if is_backup_set {
            // Its horizon would run from the confirmation of a backup, which is itself only a horizon.
            return entry.refused(&format!(
                "{:?} is a backup set itself: name the sources of that one",
                source.as_str()
            ));
        }
        Some(source)
    };
    let sources = section.need("sources").and_then(|e| e.some_set(source));
    let set = section.need("set").and_then(|e| label(&e));
    let keep = section.need("keep").and_then(|e| e.period(Zero::Refused));
    let confirm_by = section.word_or("confirm_by", PROOFS, ConfirmBy::Event);
    let overdue_after = section.period_or("overdue_after", Zero::Allowed, OVERDUE_AFTER);
    let erase_by = section.get("erase_by").and_then(|e| e.word(&[("key", ())]));
    Some(BackupSet {
        sources: sources?,
        set: set?,
        keep: keep?,
        confirm_by,
        overdue_after,
        erase_by_key: erase_by.is_some(),
    })
}
