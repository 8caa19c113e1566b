//! Views as they are printed: the members of a value of JSON, be it made here or answered by a worker. So whatever way a command
//! goes, it prints the same.

use serde::Serialize;
use serde_json::Value;

use super::Failure;

/// A view as a value.
pub(super) fn value(view: &impl Serialize) -> Result<Value, Failure> {
    Ok(serde_json::to_value(view)?)
}

/// Views as values.
pub(super) fn values<T: Serialize>(views: impl IntoIterator<Item = T>) -> Result<Vec<Value>, Failure> {
    views.into_iter().map(|view| value(&view)).collect()
}

/// A member as text; nothing where it is absent or null.
pub(super) fn text(view: &Value, name: &str) -> String {
    said(&view[name])
}

/// A value as text.
pub(super) fn said(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A member as a number; 0 where there is none.
pub(super) fn number(view: &Value, name: &str) -> u64 {
    view[name].as_u64().unwrap_or_default()
}

/// A member that is true or not.
pub(super) fn is(view: &Value, name: &str) -> bool {
    view[name].as_bool().unwrap_or_default()
}

/// The items of a member.
pub(super) fn items<'a>(view: &'a Value, name: &str) -> &'a [Value] {
    view[name].as_array().map_or(&[], Vec::as_slice)
}

/// The texts of a member, with commas between.
pub(super) fn joined(view: &Value, name: &str) -> String {
    let texts: Vec<String> = items(view, name).iter().map(said).collect();
    texts.join(",")
}
