//! The shapes of the commands that neither open a request, nor decide about one, nor are about holds.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    fields::{Id, Object, Time},
    opening::{Identities, SubjectFields},
};

/// The longest free text of a command, as long as the message of an ack.
pub(super) const MAX_NOTE: usize = 4096;

/// Withdraws a request before its first dispatch.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "Cancel")]
pub(super) struct CancelFields {
    /// The request to withdraw.
    pub(super) request_id: Id,
}

/// The person is back: what they gave since must not be erased.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "Reactivated")]
pub(super) struct ReactivatedFields<'a> {
    /// The data subject.
    #[serde(borrow)]
    pub(super) subject: Object<SubjectFields<'a>>,
    /// Since when.
    pub(super) at: Time,
}

/// Brings the identifiers that a blocked task waits for.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "SupplyIdentities")]
pub(super) struct SupplyIdentitiesFields<'a> {
    /// The request.
    pub(super) request_id: Id,
    /// The identifiers, at least one.
    #[serde(borrow)]
    pub(super) identities: Identities<'a>,
}
