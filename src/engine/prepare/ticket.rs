//! By which ticket a request is found.

use serde::Deserialize;

use crate::domain::identity::SubjectData;

/// The ticket that the controller's own notes name: a text or a number.
pub(super) fn ticket_of(metadata: &SubjectData) -> Option<String> {
    #[derive(Deserialize)]
    struct Notes {
        ticket: Option<serde_json::Value>,
    }
    // Whatever else is in them is nobody's affair here, and was checked when it was read.
    let Notes { ticket } = serde_json::from_str(metadata.expose()).ok()?;
    match ticket? {
        serde_json::Value::String(text) if !text.trim().is_empty() => Some(text),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
