//! Rules of a processor that its lane or its tasks follow later: limits, second looks, retention, backups.
//!
//! They are checked in full. Those that this version does not carry out end here, with a refusal.

use super::{Ids, label, reference};
use crate::{
    config::{
        not_built,
        reader::{Entry, Section},
        values::Zero,
    },
    domain::{
        ids::{AnchorName, Label},
        registry::Processor,
    },
};

pub(super) fn read(section: &Section<'_>, processor: &Processor, ids: &Ids) {
    if let Some(entry) = section.get("rate") {
        entry.checked(rate);
        not_built::refuse(&entry, "processor.rate");
    }
    // Kafka lanes have no breaker: it is accepted without effect.
    section.section("breaker", breaker);
    for (key, thing) in [("verify", "processor.verify"), ("sweep", "processor.sweep")] {
        if let Some(entry) = section.get(key) {
            entry.table(|section| section.need("after").and_then(|e| e.period(Zero::Refused)));
            not_built::refuse(&entry, thing);
        }
    }
    if let Some(entry) = section.get("retention") {
        retention(&entry, processor);
        not_built::refuse(&entry, "processor.retention");
    }
    if let Some(entry) = section.get("backup") {
        entry.table(|section| backup(section, processor, ids));
        not_built::refuse(&entry, "processor.backup");
    }
}

/// `50/s`, `50/m` or `50/h`.
fn rate(text: &str) -> Result<(), &'static str> {
    let number = text
        .split_once('/')
        .filter(|(_, per)| matches!(*per, "s" | "m" | "h"))
        .map(|(number, _)| number);
    let digits = number.filter(|n| n.bytes().all(|b| b.is_ascii_digit()));
    match digits.and_then(|n| n.parse::<u32>().ok()) {
        Some(1..) => Ok(()),
        _ => Err("expected a number of at least 1 per second, minute or hour, such as 50/s, 50/m or 50/h"),
    }
}

fn breaker(section: &Section<'_>) {
    section.number_or("failure_ratio", 0.01..=1.0, 0.7);
    for key in ["window", "probe_after"] {
        section.get(key).and_then(|e| e.duration(Zero::Refused));
    }
    section.integer_or("min_requests", 1..=1_000_000, 10);
}

fn retention(entry: &Entry<'_>, processor: &Processor) {
    let mut ruled: Vec<Label> = Vec::new();
    for rule in entry.list().unwrap_or_default() {
        rule.table(|section| {
            let categories = section.need("categories");
            let found = categories
                .as_ref()
                .and_then(|e| e.some_set(label))
                .unwrap_or_default();
            for category in &found {
                if ruled.contains(category) {
                    let message = format!("another rule keeps {:?}: which one holds?", category.as_str());
                    section.problem("categories", &message);
                }
                if !processor.categories.is_empty() && !processor.categories.contains(category) {
                    let message = format!("{:?} is none of the processor's categories", category.as_str());
                    section.problem("categories", &message);
                }
            }
            ruled.extend(found);
            section.need("basis").and_then(|e| label(&e));
            section.need("keep").and_then(|e| e.period(Zero::Refused));
            section.get("then").and_then(|e| e.word(super::ACTIONS));
            section.get("from").and_then(|e| e.checked(AnchorName::new));
        });
    }
}

fn backup(section: &Section<'_>, processor: &Processor, ids: &Ids) {
    section.need("sources").and_then(|e| {
        e.some_set(|e| {
            let source = reference(e, ids)?;
            if source == processor.id {
                return e.refused("a backup is no source of itself");
            }
            Some(source)
        })
    });
    section.need("set").and_then(|e| label(&e));
    section.need("keep").and_then(|e| e.period(Zero::Refused));
    section
        .get("confirm_by")
        .and_then(|e| e.word(&[("event", ()), ("ack", ()), ("schedule", ())]));
    section.get("overdue_after").and_then(|e| e.period(Zero::Allowed));
    section.get("erase_by").and_then(|e| e.word(&[("key", ())]));
}
