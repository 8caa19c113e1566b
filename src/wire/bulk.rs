//! The body of a call that changes many requests at once.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    api::conditions,
    fields::{Id, Text},
    read::read,
    rejection::Rejection,
    validate,
};
use crate::domain::{
    ids::{ProcessorId, RequestId},
    words::{BulkAction, DeadLetterReason, HoldBasis},
};

/// The longest reason in bytes: a paragraph.
const MAX_REASON: usize = 1024;
/// How many requests a call names at the most; more are meant by a filter.
const MAX_IDS: usize = 10_000;

/// What is done to which requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkOrder {
    /// What is done.
    pub action: BulkAction,
    /// The conditions, as the query of a list has them; `None`: the requests are named.
    pub filter: Option<Vec<(String, String)>>,
    /// The requests.
    pub ids: Vec<RequestId>,
    /// The processor whose tasks are meant, where the requests are named.
    pub processor: Option<ProcessorId>,
    /// Why.
    pub reason: Option<String>,
    /// The legal ground of holds.
    pub basis: Option<HoldBasis>,
    /// How many requests the caller believes that they are.
    pub expected_count: Option<u64>,
    /// Whether nothing is done.
    pub dry_run: bool,
}

/// What is done to which requests.
#[derive(Deserialize, JsonSchema)]
pub(super) struct OrderFields<'a> {
    /// What is done.
    action: BulkAction,
    /// The parameters of `GET /v1/requests`; either these or `ids`.
    filter: Option<serde_json::Map<String, serde_json::Value>>,
    /// The requests.
    #[schemars(length(max = 10_000))]
    ids: Option<Vec<Id>>,
    /// The processor whose tasks are meant, where the requests are named.
    processor: Option<ProcessorId>,
    /// Why.
    #[serde(borrow)]
    reason: Option<Text<'a, 1, MAX_REASON>>,
    /// The legal ground of holds.
    basis: Option<HoldBasis>,
    /// How many requests the caller believes that they are; needed with a filter.
    expected_count: Option<u64>,
    /// Whether it is only said what it would do.
    #[serde(default)]
    dry_run: bool,
}

/// Reads it.
pub fn parse_bulk(bytes: &[u8]) -> Result<BulkOrder, Rejection> {
    let fields: OrderFields<'_> = read(validate::check(bytes)?)?;
    if fields.filter.is_some() == fields.ids.is_some() {
        return Err(Rejection::schema("expected either filter or ids"));
    }
    let ids = fields.ids.unwrap_or_default();
    if ids.len() > MAX_IDS {
        return Err(Rejection::new(
            DeadLetterReason::TooLarge,
            "ids: expected at most 10000; use a filter",
        ));
    }
    if fields.filter.is_some() && fields.expected_count.is_none() && !fields.dry_run {
        return Err(Rejection::schema(
            "expected_count: expected with a filter: as many as the dry run has found",
        ));
    }
    if fields.filter.is_some() && fields.processor.is_some() {
        return Err(Rejection::schema("processor: expected within the filter"));
    }
    let reason = fields.reason.map(|Text(reason)| reason.into_owned());
    Ok(BulkOrder {
        action: fields.action,
        filter: fields.filter.map(conditions).transpose()?,
        ids: ids.into_iter().map(|id| RequestId(id.0)).collect(),
        processor: fields.processor,
        reason: reason.filter(|reason| !reason.trim().is_empty()),
        basis: fields.basis,
        expected_count: fields.expected_count,
        dry_run: fields.dry_run,
    })
}
