//! What is shown, in words.

use serde_json::{Value, json};

use super::{Found, items};

pub(super) fn unknown(phrase: &[&str]) -> String {
    format!("{}: that cannot be looked for", phrase.join(" "))
}

/// A flag of a request; `None`: there is no such flag.
pub(super) fn flag_of(view: &Value, flag: &str) -> Option<bool> {
    match flag {
        "live_clean" => Some(!view["live_clean_at"].is_null()),
        "overdue" | "at_risk" | "needs_attention" => view[flag].as_bool(),
        _ => None,
    }
}

pub(super) fn ensure(so: bool, otherwise: impl FnOnce() -> String) -> Found {
    if so { Ok(()) } else { Err(otherwise()) }
}

pub(super) fn same(is: &str, wanted: &str) -> Found {
    ensure(is == wanted, || format!("it is {is}"))
}

/// Text without its quotes, and anything else as JSON has it.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// `email and customer_id`, as a sorted list.
pub(super) fn listed(words: &[&str]) -> String {
    let mut words: Vec<&str> = words.iter().filter(|word| **word != "and").copied().collect();
    words.sort_unstable();
    words.join(" and ")
}

pub(super) fn list_of(list: &Value, field: &str) -> String {
    let words: Vec<String> = items(list)
        .iter()
        .map(|item| plain(if field.is_empty() { item } else { &item[field] }))
        .collect();
    listed(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

/// `erase`, and `erase again` where it is not the first time.
pub(super) fn said_asked(task: &Value) -> String {
    let mut said = plain(&task["action"]);
    if task["generation"] != json!(1) || task["attempt"] != json!(1) {
        said += " again";
    }
    said
}

pub(super) fn said(task: &Value) -> String {
    format!("{} (asked to {})", plain(&task["processor"]), said_asked(task))
}

/// `crm`, `billing[invoices]`, `crm@2` where it is not the first generation, `crm.2` where it is not the first attempt,
/// `crm=verify` where it does not erase, `nightly!crypto_erase` where it says how.
pub(super) fn said_exactly(task: &Value) -> String {
    let mut said = plain(&task["processor"]);
    let categories: Vec<String> = items(&task["scope"]["categories"]).iter().map(plain).collect();
    if !categories.is_empty() {
        said += &format!("[{}]", categories.join(","));
    }
    for (mark, field, usual) in [
        ("@", "generation", json!(1)),
        (".", "attempt", json!(1)),
        ("=", "action", json!("erase")),
    ] {
        if task[field] != usual {
            said += &format!("{mark}{}", plain(&task[field]));
        }
    }
    if let Some(method) = task["method"].as_str() {
        said += &format!("!{method}");
    }
    said
}

pub(super) fn said_all<'v>(tasks: impl Iterator<Item = &'v Value>) -> String {
    tasks.map(said).collect::<Vec<_>>().join(", ")
}

/// The state of a task or a gate, for people.
pub(super) fn said_state(entry: &Value) -> String {
    let shown = ["state", "why", "until", "outcome"].map(|field| &entry[field]);
    let words: Vec<String> = shown
        .iter()
        .filter(|value| !value.is_null())
        .map(|value| plain(value))
        .collect();
    words.join(" ")
}
