//! Errors as the specification has them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::registry::Dialect;

/// The body of an answer that is no success. It never repeats what was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct ErrorBody {
    error: ErrorObject,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
struct ErrorObject {
    code: u16,
    message: String,
    errors: Vec<ErrorDetail>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
struct ErrorDetail {
    domain: String,
    reason: String,
    message: String,
}

impl ErrorBody {
    /// `code`: the status of HTTP; `domain` and `reason`: what kind of thing is wrong; `message`: what, for people.
    pub fn new(code: u16, domain: &str, reason: &str, message: &str) -> Self {
        Self {
            error: ErrorObject {
                code,
                message: message.to_owned(),
                errors: vec![ErrorDetail {
                    domain: domain.to_owned(),
                    reason: reason.to_owned(),
                    message: message.to_owned(),
                }],
            },
        }
    }
}

/// Whether an error says that the processor knows a request of this id already.
pub fn says_known(dialect: &Dialect, bytes: &[u8]) -> bool {
    says_one_of(dialect.known_already, bytes)
}

/// Whether an error says that an earlier request for the same person is still open at the processor.
pub fn says_busy(dialect: &Dialect, bytes: &[u8]) -> bool {
    says_one_of(dialect.busy, bytes)
}

/// Implementers put their codes under names of their own, beside `error` or in it.
fn says_one_of(codes: &[&str], bytes: &[u8]) -> bool {
    if codes.is_empty() {
        return false;
    }
    let Ok(Value::Object(body)) = serde_json::from_slice(bytes) else {
        return false;
    };
    let inner = body.get("error").and_then(Value::as_object);
    let values = body
        .values()
        .chain(inner.into_iter().flat_map(|inner| inner.values()));
    values.filter_map(Value::as_str).any(|text| codes.contains(&text))
}
