//! A registry as text: every key of every processor, as `processors.toml` has it, for showing and comparing.

mod transports;

use std::{fmt::Display, time::Duration};

use self::transports::transport_of;
use crate::domain::{
    calendar::Period,
    registry::{
        AnonymizeFallback, BackupSet, Breaker, CompletesBy, ConfirmBy, MissingIdentity, Processor, Rate,
        Registry, Retention, Retry,
    },
};

/// The whole registry, as a file that says the same.
pub fn whole(registry: &Registry) -> String {
    let blocks = registry.processors.iter().map(|processor| {
        let lines: Vec<String> = keys(processor)
            .into_iter()
            .filter_map(|(key, value)| Some(format!("{key} = {}\n", value?)))
            .collect();
        format!("[[processor]]\n{}", lines.concat())
    });
    blocks.collect::<Vec<_>>().join("\n")
}

/// What has to be changed to get from one registry to another; empty: they are the same.
pub fn changes(before: &Registry, after: &Registry) -> Vec<String> {
    let mut changes = Vec::new();
    for old in &before.processors {
        match after.get(&old.id) {
            None => changes.push(format!("- processor {:?}", old.id.as_str())),
            Some(new) if new != old => {
                changes.push(format!("  processor {:?}", new.id.as_str()));
                for ((key, old), (_, new)) in keys(old).into_iter().zip(keys(new)) {
                    if old != new {
                        changes.extend(old.map(|old| format!("-   {key} = {old}")));
                        changes.extend(new.map(|new| format!("+   {key} = {new}")));
                    }
                }
            }
            Some(_) => {}
        }
    }
    for new in after
        .processors
        .iter()
        .filter(|new| before.get(&new.id).is_none())
    {
        changes.push(format!("+ processor {:?}", new.id.as_str()));
        changes.extend(
            keys(new)
                .into_iter()
                .skip(1)
                .filter_map(|(key, value)| Some(format!("+   {key} = {}", value?))),
        );
    }
    if changes.is_empty() && before != after {
        changes.push("  the same processors, in another order".to_owned());
    }
    changes
}

/// Every key of a processor with its value in TOML, always the same keys in the same order. A table that is absent, and
/// that no value stands for, has none.
///
/// It is a table of all of them, and so longer than other functions.
fn keys(processor: &Processor) -> Vec<(&'static str, Option<String>)> {
    // Taken apart, so that a new field is not forgotten here.
    let Processor {
        id,
        name,
        kind,
        transport,
        actions,
        identities,
        provides,
        missing_identity,
        honours_cutoff,
        idempotent,
        anonymize_fallback,
        accept_anonymized,
        accept_pseudonymised,
        require_evidence,
        require_method,
        purposes,
        categories,
        regions,
        after: earlier,
        ack_timeout,
        retry,
        concurrency,
        retention,
        backup,
        sweep_after,
        verify_after,
        rate,
        breaker,
        completes_by,
        replaces,
    } = processor;
    let missing_identity = match missing_identity {
        MissingIdentity::Block => "block",
        MissingIdentity::Exempt => "exempt",
    };
    let anonymize_fallback = match anonymize_fallback {
        AnonymizeFallback::Refuse => "refuse",
        AnonymizeFallback::Erase => "erase",
    };
    let after = |period: Period| format!("{{ after = {} }}", quoted(period));
    let always = [
        ("id", quoted(id)),
        ("name", quoted(name)),
        ("kind", quoted(kind)),
        ("transport", transport_of(transport)),
        ("actions", list(actions)),
        ("identities", list(identities)),
        ("provides", list(provides)),
        ("missing_identity", quoted(missing_identity)),
        ("honours_cutoff", honours_cutoff.to_string()),
        ("idempotent", idempotent.to_string()),
        ("anonymize_fallback", quoted(anonymize_fallback)),
        ("accept_anonymized", accept_anonymized.to_string()),
        ("accept_pseudonymised", accept_pseudonymised.to_string()),
        (
            "require_evidence",
            list(
                &require_evidence
                    .iter()
                    .map(|field| field.as_str())
                    .collect::<Vec<_>>(),
            ),
        ),
        ("require_method", list(require_method)),
        ("purposes", list(purposes)),
        ("categories", list(categories)),
        ("regions", list(regions)),
        ("after", list(earlier)),
        ("ack_timeout", duration(*ack_timeout)),
        ("retry", retry_of(retry)),
        ("concurrency", concurrency.to_string()),
        ("retention", tables(retention.iter().map(retention_of))),
    ];
    let tables = [
        ("backup", backup.as_ref().map(backup_of)),
        ("verify", verify_after.map(after)),
        ("sweep", sweep_after.map(after)),
        ("rate", rate.map(|rate| quoted(rate_of(rate)))),
        (
            "breaker",
            (*breaker != Breaker::default()).then(|| breaker_of(breaker)),
        ),
        ("completes_by", completes_by.map(completes_by_of)),
        ("replaces", replaces.as_ref().map(quoted)),
    ];
    let always = always.into_iter().map(|(key, value)| (key, Some(value)));
    always.chain(tables).collect()
}

fn retention_of(rule: &Retention) -> String {
    let Retention {
        categories,
        basis,
        keep,
        then,
        from,
    } = rule;
    let from = from
        .as_ref()
        .map_or_else(String::new, |from| format!(", from = {}", quoted(from)));
    format!(
        "{{ categories = {}, basis = {}, keep = {}, then = {}{from} }}",
        list(categories),
        quoted(basis),
        quoted(keep),
        quoted(then)
    )
}

fn backup_of(backup: &BackupSet) -> String {
    let BackupSet {
        sources,
        set,
        keep,
        confirm_by,
        overdue_after,
        erase_by_key,
    } = backup;
    let confirm_by = match confirm_by {
        ConfirmBy::Event => "event",
        ConfirmBy::Ack => "ack",
        ConfirmBy::Schedule => "schedule",
    };
    format!(
        "{{ sources = {}, set = {}, keep = {}, confirm_by = {}, overdue_after = {}{} }}",
        list(sources),
        quoted(set),
        quoted(keep),
        quoted(confirm_by),
        quoted(overdue_after),
        if *erase_by_key { ", erase_by = \"key\"" } else { "" }
    )
}

fn tables(values: impl Iterator<Item = String>) -> String {
    format!("[{}]", values.collect::<Vec<_>>().join(", "))
}

fn rate_of(Rate { tasks, per }: Rate) -> String {
    let unit = match per.as_secs() {
        1 => "s",
        60 => "m",
        _ => "h",
    };
    format!("{tasks}/{unit}")
}

fn breaker_of(breaker: &Breaker) -> String {
    let Breaker {
        failure_ratio,
        window,
        min_requests,
        probe_after,
    } = breaker;
    format!(
        "{{ failure_ratio = {failure_ratio:?}, window = {}, min_requests = {min_requests}, probe_after = {} }}",
        duration(*window),
        duration(*probe_after)
    )
}

fn completes_by_of(CompletesBy { after, probe }: CompletesBy) -> String {
    format!("{{ after = {}, probe = {probe} }}", quoted(after))
}

fn retry_of(retry: &Retry) -> String {
    let Retry {
        initial,
        multiplier,
        max,
        jitter,
        attempts,
    } = retry;
    format!(
        "{{ initial = {}, multiplier = {multiplier:?}, max = {}, jitter = {jitter:?}, attempts = {attempts} }}",
        duration(*initial),
        duration(*max)
    )
}

/// A duration in the largest unit that it is a whole number of. The file's grammar has none below a second.
fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(86_400, "d"), (3600, "h"), (60, "m")];
    let (size, unit) = units
        .into_iter()
        .find(|(size, _)| seconds.is_multiple_of(*size))
        .unwrap_or((1, "s"));
    format!("\"{}{unit}\"", seconds / size)
}

fn list<T: Display>(values: &[T]) -> String {
    let values: Vec<String> = values.iter().map(quoted).collect();
    format!("[{}]", values.join(", "))
}

fn quoted(value: impl Display) -> String {
    toml_edit::value(value.to_string()).to_string()
}
