//! Problems of RFC 9457: every answer that is no success.
//!
//! A problem never repeats what was sent: a value may be personal data, and answers are logged by others.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    domain::{request::operate::DecisionError, words::DeadLetterReason},
    engine::{EngineError, OperateError},
    store::StoreError,
    wire::Rejection,
};

/// How long a caller should wait for the store to come back, in seconds.
const RETRY_AFTER: &str = "5";

/// An answer that is no success.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct Problem {
    /// What kind of problem it is: `urn:lacuna:problem:` and the code.
    #[serde(rename = "type")]
    kind: String,
    /// The same for people.
    title: String,
    /// The status of HTTP.
    status: u16,
    /// The last part of the type, for those who compare words.
    code: &'static str,
    /// What is wrong. It never repeats a value that was sent.
    detail: String,
    /// The fields or parameters at fault.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
}

/// A field or a parameter at fault.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct FieldError {
    /// Which one.
    pub(super) field: String,
    /// What was expected.
    pub(super) detail: String,
}

impl Problem {
    /// A problem of this kind. The detail must not hold anything that was sent.
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:lacuna:problem:{code}"),
            title: title(code),
            status: status.as_u16(),
            code,
            detail: detail.into(),
            errors: Vec::new(),
        }
    }

    /// Names the fields at fault.
    pub(super) fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = errors;
        self
    }

    /// Says besides what it is about.
    pub(super) fn adding(mut self, said: &str) -> Self {
        self.detail.push_str(said);
        self
    }

    /// What it says: the status of HTTP, the code, the detail.
    pub(super) fn said(&self) -> (StatusCode, &'static str, &str) {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, self.code, &self.detail)
    }

    /// What kind of problem it is, for people.
    pub(super) fn title(&self) -> &str {
        &self.title
    }

    /// There is no such thing.
    pub(super) fn unknown(what: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            format!("there is no such {what}"),
        )
    }

    /// Something is wrong that the caller cannot help; the log says what.
    pub(super) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the call failed; the server's log says why",
        )
    }

    /// Something is away that will come back.
    pub(super) fn unavailable(detail: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
    }

    /// Whether it says nothing of what was sent, and trying again helps.
    pub(super) fn is_unavailable(&self) -> bool {
        self.status == StatusCode::SERVICE_UNAVAILABLE.as_u16()
    }
}

/// `no_processor` reads "No processor".
fn title(code: &str) -> String {
    let words = code.replace('_', " ");
    let mut letters = words.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        match status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
            }
            _ => {}
        }
        response
    }
}

/// A path that leads nowhere.
pub(super) async fn not_found() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "not_found",
        "there is nothing at this path",
    )
}

/// A method that a path does not know.
pub(super) async fn method_not_allowed() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "this path does not know this method",
    )
}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        let (status, code) = status_of(rejection.reason);
        let errors = field_of(&rejection.detail).into_iter().collect();
        Self::new(status, code, rejection.detail).with_errors(errors)
    }
}

const fn status_of(reason: DeadLetterReason) -> (StatusCode, &'static str) {
    use DeadLetterReason as R;
    let status = match reason {
        R::NotJson | R::NotUtf8 | R::Schema => StatusCode::BAD_REQUEST,
        R::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        // It was understood, and cannot be carried out here.
        R::UnknownType | R::WrongRegion | R::NoProcessor | R::Expired | R::Unmapped => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        R::UnknownRequest | R::UnknownTask | R::UnknownBackup => StatusCode::NOT_FOUND,
        R::ConflictingDuplicate | R::StaleAck | R::WrongState => StatusCode::CONFLICT,
        R::ForgedAck | R::NotAllowed => StatusCode::FORBIDDEN,
        R::TooLate => return (StatusCode::CONFLICT, "irreversible"),
        R::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, reason.as_str())
}

/// The field that a refusal is about: `path: what was expected`, or serde's `missing field`.
fn field_of(detail: &str) -> Option<FieldError> {
    let is_path = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'[' | b']' | b'*'))
    };
    let (path, expected) = match detail.split_once(": ") {
        Some((path, expected)) if is_path(path) => (path, expected),
        _ => ("", detail),
    };
    let missing = expected
        .strip_prefix("missing field `")
        .and_then(|rest| rest.strip_suffix('`'));
    let field = match (path, missing) {
        ("", None) => return None,
        ("", Some(name)) => name.to_owned(),
        (path, None) => path.to_owned(),
        (path, Some(name)) => format!("{path}.{name}"),
    };
    Some(FieldError {
        field,
        detail: expected.to_owned(),
    })
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        if let EngineError::Clock(why) = &error {
            tracing::warn!(%why, "a call failed");
            return Self::unavailable(&why.to_string());
        }
        if matches!(error, EngineError::NoRegistry) {
            return Self::unavailable("no registry of processors is active yet");
        }
        if error.is_outage() {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a call failed: the store is away, overrun, or not usable"
            );
            return Self::unavailable("the store cannot be used just now");
        }
        tracing::error!(error = &error as &dyn std::error::Error, "a call failed");
        match error {
            EngineError::Store(refused) if refused.is_about_data() => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "not_storable",
                "a value of this call is not one that the store can keep: it is too long, too large or out of range",
            ),
            _ => Self::internal(),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        EngineError::from(error).into()
    }
}

impl From<OperateError> for Problem {
    fn from(error: OperateError) -> Self {
        let code = match error {
            OperateError::Unknown(what) => return Self::unknown(what),
            OperateError::Engine(error) => return error.into(),
            OperateError::Conflicting => "conflicting_duplicate",
            OperateError::Decision(DecisionError::TooLate) => "irreversible",
            OperateError::Decision(
                DecisionError::Closed | DecisionError::WrongState | DecisionError::NotNow(_),
            ) => "wrong_state",
            OperateError::Decision(refused @ DecisionError::Submitter) => {
                return Self::new(StatusCode::FORBIDDEN, "not_allowed", refused.to_string());
            }
        };
        Self::new(StatusCode::CONFLICT, code, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_its_field() {
        let cases = [
            (
                "subject.identities[0].type: expected a name",
                Some("subject.identities[0].type"),
            ),
            ("missing field `type`", Some("type")),
            ("subject: missing field `identities`", Some("subject.identities")),
            ("expected JSON", None),
            ("there is no such request", None),
        ];
        for (detail, field) in cases {
            assert_eq!(
                field_of(detail).map(|error| error.field).as_deref(),
                field,
                "{detail}"
            );
        }
    }

    #[test]
    fn titles_are_for_people() {
        assert_eq!(title("no_processor"), "No processor");
    }
}
