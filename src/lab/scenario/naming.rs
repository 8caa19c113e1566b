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

/// The last one of these names that was sent.
pub(super) fn find_task<'t>(tasks: &'t [Value], which: &str) -> Option<&'t Value> {
    let which = Which::read(which);
    tasks.iter().rev().find(|task| which.is_sent_as(task))
}

/// Some words, as JSON lists have them.
pub(super) fn items(list: &Value) -> &[Value] {
    list.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A task, as a script calls it: `crm`, `ann/crm`, `billing[invoices]`, `crm@2` (its second generation), `crm@2.1` (an
/// attempt of it), `nightly#2` (the second of the processor's tasks).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Which<'t> {
    pub request: Option<&'t str>,
    pub processor: &'t str,
    pub category: Option<&'t str>,
    pub generation: Option<u64>,
    pub attempt: Option<u64>,
    /// Which one, where the processor has several.
    pub nth: usize,
}

impl<'t> Which<'t> {
    pub(super) fn read(text: &'t str) -> Self {
        let (request, rest) = text.split_once('/').map_or((None, text), |(a, b)| (Some(a), b));
        let (rest, version) = rest.split_once('@').unwrap_or((rest, ""));
        let (generation, attempt) = version.split_once('.').unwrap_or((version, ""));
        let (rest, nth) = rest.split_once('#').unwrap_or((rest, "1"));
        let (processor, category) = rest
            .split_once('[')
            .map_or((rest, None), |(a, b)| (a, Some(b.trim_end_matches(']'))));
        Self {
            request,
            processor,
            category,
            generation: generation.parse().ok(),
            attempt: attempt.parse().ok(),
            nth: nth.parse::<usize>().unwrap_or(1).max(1),
        }
    }

    /// Whether it is the one that this message sends.
    pub(super) fn is_sent_as(&self, task: &Value) -> bool {
        let is = |field: &str, wanted: Option<u64>| wanted.is_none() || task[field].as_u64() == wanted;
        let about = |category: &str| items(&task["scope"]["categories"]).contains(&json!(category));
        task["processor"] == self.processor
            && self
                .request
                .is_none_or(|name| task["request_id"] == json!(id_of(name)))
            && self.category.is_none_or(about)
            && is("generation", self.generation)
            && is("attempt", self.attempt)
    }

    /// The one that is meant among those that a request shows.
    pub(super) fn shown_in<'v>(&self, request: &'v Value) -> Option<&'v Value> {
        let part_has = |task: &Value, category: &str| items(&task["part"]).contains(&json!(category));
        items(&request["task_list"])
            .iter()
            .filter(|task| {
                task["processor"] == self.processor
                    && self.category.is_none_or(|category| part_has(task, category))
            })
            .nth(self.nth - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_named() {
        let plain = |processor| Which {
            request: None,
            processor,
            category: None,
            generation: None,
            attempt: None,
            nth: 1,
        };
        assert_eq!(Which::read("crm"), plain("crm"));
        assert_eq!(
            Which::read("ann/billing[invoices]"),
            Which {
                request: Some("ann"),
                category: Some("invoices"),
                ..plain("billing")
            }
        );
        assert_eq!(
            Which::read("nightly#2"),
            Which {
                nth: 2,
                ..plain("nightly")
            }
        );
        assert_eq!(
            Which::read("2/crm@3.1"),
            Which {
                request: Some("2"),
                generation: Some(3),
                attempt: Some(1),
                ..plain("crm")
            }
        );
    }
}
