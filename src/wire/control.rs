//! The commands beside those that open a request, decide about one, and those about holds: their shapes.
//!
//! All but `cancel` are not carried out by this version. Their shape is checked all the same, because the contract puts
//! shape before type, and a sender should learn of a fault now rather than after an upgrade.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    fields::{Id, Object, Time},
    opening::{Identities, SubjectFields},
};

/// The longest free text of a command, as long as the message of an ack.
pub(super) const MAX_NOTE: usize = 4096;

/// Declares a shape: fields that are read to be checked and described, and not used yet.
macro_rules! shapes {
    ($($(#[$meta:meta])* $name:ident $(<$life:lifetime>)? as $title:literal {
        $($(#[$fmeta:meta])* $field:ident: $type:ty),+ $(,)?
    })+) => {
        $(
            $(#[$meta])*
            #[derive(Debug, Deserialize, JsonSchema)]
            #[schemars(rename = $title)]
            #[expect(dead_code, reason = "read to be checked; carried out by a later version")]
            pub(super) struct $name $(<$life>)? { $($(#[$fmeta])* $field: $type),+ }
        )+
    };
}

/// Withdraws a request before its first dispatch.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "Cancel")]
pub(super) struct CancelFields {
    /// The request to withdraw.
    pub(super) request_id: Id,
}

shapes! {
    /// The person is back: open requests that were not dispatched yet need attention.
    ReactivatedFields<'a> as "Reactivated" {
        /// The data subject.
        #[serde(borrow)] subject: Object<SubjectFields<'a>>,
        /// Since when.
        at: Time,
    }
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
