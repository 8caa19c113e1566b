//! The commands beside `erase` and `anonymize`: their shapes.
//!
//! Most of them are not carried out by this version. Their shape is checked all the same, because the contract puts
//! shape before type, and a sender should learn of a fault now rather than after an upgrade.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    fields::{Id, List, MAX_LIST, Object, Text, Time},
    opening::{Identities, SubjectFields},
    refusal::{Refusal, read},
    strict::Checked,
};
use crate::domain::{
    ids::{Label, ProcessorId},
    words::{ExtensionReason, HoldBasis, RefusalBasis, VerificationResult},
};

/// The longest free text of a command, as long as the message of an ack.
const MAX_NOTE: usize = 4096;

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

/// Puts a legal hold on what the named things cover, within one tenant.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "Hold", extend("anyOf" = [
    { "required": ["subject"] }, { "required": ["request_id"] }, { "required": ["processor"] },
    { "required": ["categories"] }
]))]
pub(super) struct HoldFields<'a> {
    /// The hold, by which it is released.
    #[expect(dead_code, reason = "read to be checked; carried out by a later version")]
    hold_id: Id,
    /// The legal ground.
    #[expect(dead_code, reason = "read to be checked; carried out by a later version")]
    basis: HoldBasis,
    /// The data subject whose requests are held.
    #[serde(borrow)]
    subject: Option<Object<SubjectFields<'a>>>,
    /// The request that is held.
    request_id: Option<Id>,
    /// The processor whose tasks are held.
    processor: Option<ProcessorId>,
    /// The categories of data that are held.
    categories: Option<List<Label, 1, MAX_LIST>>,
}

impl HoldFields<'_> {
    /// Reads a hold, which has to cover something.
    pub(super) fn check(document: Checked<'_>) -> Result<(), Refusal> {
        let hold: HoldFields<'_> = read(document)?;
        let covers = hold.subject.is_some()
            || hold.request_id.is_some()
            || hold.processor.is_some()
            || hold.categories.is_some();
        if covers {
            Ok(())
        } else {
            Err(Refusal::schema(
                "expected one or more of subject, request_id, processor, categories",
            ))
        }
    }
}

shapes! {
    /// The person is back: open requests that were not dispatched yet need attention.
    ReactivatedFields<'a> as "Reactivated" {
        /// The data subject.
        #[serde(borrow)] subject: Object<SubjectFields<'a>>,
        /// Since when.
        at: Time,
    }
    /// Says what came of verifying the subject's identity.
    VerifyIdentityFields as "VerifyIdentity" {
        /// The request.
        request_id: Id,
        /// How it was verified, in the controller's words.
        method: Label,
        /// What came of it.
        result: VerificationResult,
    }
    /// Approves a request; never by its submitter.
    ApproveFields as "Approve" {
        /// The request.
        request_id: Id,
    }
    /// Refuses a request, or one processor's share of it.
    RefuseFields<'a> as "Refuse" {
        /// The request.
        request_id: Id,
        /// The legal ground.
        basis: RefusalBasis,
        /// The processor whose tasks become exempt; all of the request where it is absent.
        processor: Option<ProcessorId>,
        /// Free text.
        #[serde(borrow)] reason: Option<Text<'a, 0, MAX_NOTE>>,
    }
    /// Moves a request's deadline as its regime allows, once.
    ExtendFields as "Extend" {
        /// The request.
        request_id: Id,
        /// Why.
        reason: ExtensionReason,
    }
    /// Releases a legal hold.
    ReleaseFields as "Release" {
        /// The hold.
        hold_id: Id,
    }
    /// Brings the identifiers that a blocked task waits for.
    SupplyIdentitiesFields<'a> as "SupplyIdentities" {
        /// The request.
        request_id: Id,
        /// The identifiers, at least one.
        #[serde(borrow)] identities: Identities<'a>,
    }
}
