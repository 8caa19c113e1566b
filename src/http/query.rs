//! What stands in a path or a query: read strictly, so that a misspelt filter never shows everything.

use std::{str::FromStr, sync::Arc};

use axum::{
    extract::{FromRequestParts, Path, Query},
    http::{StatusCode, Uri, request::Parts},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::{
    Api,
    problem::{FieldError, Problem},
};
use crate::domain::{
    ids::{HoldId, ProcessorId, RequestId, TaskId},
    time::At,
};

/// How many items a page has where nothing is said.
const DEFAULT_LIMIT: usize = 50;
/// How many it has at the most, as the contract says.
const MAX_LIMIT: usize = 500;

/// An id in the path. What is none leads nowhere.
pub(super) struct Id<T>(pub(super) T);

/// Something that an id in the path can name.
pub(super) trait Named: From<Uuid> {
    /// What people call it.
    const WHAT: &'static str;
}

impl From<Uuid> for RequestId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl From<Uuid> for TaskId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl Named for RequestId {
    const WHAT: &'static str = "request";
}

impl Named for TaskId {
    const WHAT: &'static str = "task";
}

impl From<Uuid> for HoldId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl Named for HoldId {
    const WHAT: &'static str = "hold";
}

impl Named for Uuid {
    const WHAT: &'static str = "dead letter";
}

impl<T: Named> FromRequestParts<Arc<Api>> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let unknown = || Problem::unknown(T::WHAT);
        let Path(text) = Path::<String>::from_request_parts(parts, api)
            .await
            .map_err(|_| unknown())?;
        // Other spellings of a UUID (braces, no hyphens) are not ours.
        let id = Some(text)
            .filter(|text| text.len() == 36)
            .and_then(|text| Uuid::from_str(&text).ok());
        id.map(|id| Self(id.into())).ok_or_else(unknown)
    }
}

/// The id of a processor in the path. What is none leads nowhere.
pub(super) struct Lane(pub(super) ProcessorId);

impl FromRequestParts<Arc<Api>> for Lane {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let unknown = || Problem::unknown("processor");
        let Path(text) = Path::<String>::from_request_parts(parts, api)
            .await
            .map_err(|_| unknown())?;
        ProcessorId::new(&text).map(Self).map_err(|_| unknown())
    }
}

/// The parameters of a query. Each is taken once; what is wrong is collected and said at once.
#[derive(Debug)]
pub(super) struct Params {
    given: Vec<(String, String)>,
    errors: Vec<FieldError>,
}

impl Params {
    /// Reads a query that may have these parameters and no others.
    pub(super) fn read(uri: &Uri, known: &[&str]) -> Result<Self, Problem> {
        Self::given(Self::given_in(uri)?, known)
    }

    /// What a query has, as it stands there.
    pub(super) fn given_in(uri: &Uri) -> Result<Vec<(String, String)>, Problem> {
        match Query::<Vec<(String, String)>>::try_from_uri(uri) {
            Ok(Query(given)) => Ok(given),
            Err(_) => Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "schema",
                "the query cannot be read: expected name=value pairs with & between, percent-encoded where need be",
            )),
        }
    }

    /// Takes parameters that came in another way.
    pub(super) fn given(given: Vec<(String, String)>, known: &[&str]) -> Result<Self, Problem> {
        let mut params = Self {
            errors: Vec::new(),
            given: Vec::new(),
        };
        for (name, value) in given {
            if !known.contains(&name.as_str()) {
                params.refuse(
                    printable(&name),
                    format!("not a parameter of this call, which takes {}", known.join(", ")),
                );
            } else if params.given.iter().any(|(earlier, _)| *earlier == name) {
                params.refuse(&name, "given twice");
            } else {
                params.given.push((name, value));
            }
        }
        Ok(params)
    }

    /// A value in a form of its own.
    pub(super) fn take<T>(
        &mut self,
        name: &str,
        expected: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let at = self.given.iter().position(|(given, _)| given == name)?;
        let (_, text) = self.given.swap_remove(at);
        let value = read(&text);
        if value.is_none() {
            self.refuse(name, format!("expected {expected}"));
        }
        value
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, name: &str) -> Option<bool> {
        self.take(name, "true or false", |text| text.parse().ok())
    }

    /// A time.
    pub(super) fn time(&mut self, name: &str) -> Option<At> {
        self.take(name, "a time of RFC 3339, such as 2026-11-21T10:00:00Z", |text| {
            At::parse(text).ok()
        })
    }

    /// How many items the page has.
    pub(super) fn limit(&mut self) -> usize {
        let expected = format!("a number from 1 to {MAX_LIMIT}");
        let read = |text: &str| text.parse().ok().filter(|n| (1..=MAX_LIMIT).contains(n));
        self.take("limit", &expected, read).unwrap_or(DEFAULT_LIMIT)
    }

    /// Where the page before has ended.
    pub(super) fn cursor<T: for<'a> TryFrom<&'a [u8]>>(&mut self, list: u8) -> Option<T> {
        self.take("cursor", "the next_cursor of a page of this list", |text| {
            let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
            let (first, rest) = bytes.split_first()?;
            if *first == list {
                rest.try_into().ok()
            } else {
                None
            }
        })
    }

    /// Says what is wrong, if anything is.
    pub(super) fn finish(self) -> Result<(), Problem> {
        if self.errors.is_empty() {
            return Ok(());
        }
        let faults = self.errors.iter();
        let faults: Vec<String> = faults
            .map(|fault| format!("{}: {}", fault.field, fault.detail))
            .collect();
        let detail = format!("the query cannot be taken: {}", faults.join("; "));
        Err(Problem::new(StatusCode::BAD_REQUEST, "schema", detail).with_errors(self.errors))
    }

    /// Says that something is wrong with a parameter.
    pub(super) fn refuse(&mut self, field: &str, detail: impl Into<String>) {
        self.errors.push(FieldError {
            field: field.to_owned(),
            detail: detail.into(),
        });
    }
}

/// A name as it can be repeated: one that does not look like a parameter could be anything.
fn printable(name: &str) -> &str {
    let looks_like_one =
        (1..=32).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if looks_like_one { name } else { "?" }
}

/// Where a page has ended, as a text that says nothing to anybody else. `list`: which list it belongs to.
pub(super) fn cursor(list: u8, place: impl AsRef<[u8]>) -> String {
    let place = place.as_ref();
    let mut bytes = Vec::with_capacity(1 + place.len());
    bytes.push(list);
    bytes.extend_from_slice(place);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A page of a list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PageOf{T}")]
pub(super) struct Page<T> {
    /// The items. A page may come short, or empty, and yet have a cursor.
    pub(super) items: Vec<T>,
    /// Where the next page begins; null: this is the last one.
    pub(super) next_cursor: Option<String>,
}
