//! How a script calls requests and tasks, and which ones it means.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use uuid::Uuid;

/// Names the ids of a scenario's requests, holds and events: the same script says the same ids each time.
const SCENARIOS: Uuid = Uuid::from_u128(0x0c9a_1d55_7e31_4b0e_9d0c_52f6_b3a8_6e14);

/// The id of something that a script calls by this name.
pub(super) fn id_of(name: &str) -> Uuid {
    Uuid::new_v5(&SCENARIOS, name.as_bytes())
}

/// Which attempt of which task a message is.
pub(super) fn key_of(task: &Value) -> (String, u64, u64) {
    let number = |field: &str| task[field].as_u64().unwrap_or_default();
    (
        task["task_id"].to_string(),
        number("generation"),
        number("attempt"),
    )
}

/// Of each task what was sent last.
pub(super) fn latest(tasks: &[Value]) -> Vec<&Value> {
    let mut latest: BTreeMap<String, &Value> = BTreeMap::new();
    for task in tasks {
        latest.insert(task["task_id"].to_string(), task);
    }
    latest.into_values().collect()
}

/// `crm`, `ann/crm` or `ann/billing[invoices]`: the last one that was sent.
pub(super) fn find_task<'t>(tasks: &'t [Value], which: &str) -> Option<&'t Value> {
    tasks.iter().rev().find(|task| is_task(task, which))
}

/// Whether a message is one of `crm`, `ann/crm` or `ann/billing[invoices]`.
pub(super) fn is_task(task: &Value, which: &str) -> bool {
    let Which {
        request,
        processor,
        category,
        ..
    } = Which::read(which);
    let of_request = |name| task["request_id"] == json!(id_of(name));
    let about = |category| {
        let listed = task["scope"]["categories"].as_array();
        listed.is_some_and(|listed| listed.iter().any(|one| *one == json!(category)))
    };
    task["processor"] == processor && request.is_none_or(of_request) && category.is_none_or(about)
}

/// A task, as a script calls it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Which<'t> {
    pub request: Option<&'t str>,
    pub processor: &'t str,
    pub category: Option<&'t str>,
    /// Which one, where the processor has several: `nightly#2` is the second.
    pub nth: usize,
}

impl<'t> Which<'t> {
    pub(super) fn read(text: &'t str) -> Self {
        let (request, rest) = text.split_once('/').map_or((None, text), |(a, b)| (Some(a), b));
        let (rest, nth) = rest.split_once('#').unwrap_or((rest, "1"));
        let (processor, category) = rest
            .split_once('[')
            .map_or((rest, None), |(a, b)| (a, Some(b.trim_end_matches(']'))));
        Self {
            request,
            processor,
            category,
            nth: nth.parse::<usize>().unwrap_or(1).max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_named() {
        let which = |request, processor, category, nth| Which {
            request,
            processor,
            category,
            nth,
        };
        assert_eq!(Which::read("crm"), which(None, "crm", None, 1));
        assert_eq!(
            Which::read("ann/billing[invoices]"),
            which(Some("ann"), "billing", Some("invoices"), 1)
        );
        assert_eq!(Which::read("nightly#2"), which(None, "nightly", None, 2));
    }
}
