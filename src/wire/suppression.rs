//! Suppressed identities: who must not be brought back by an import, a restored file or a stream that still knows them.
//!
//! The topic is compacted and others read it, so it must never hold an identifier, nor a digest that the vault looks
//! people up by.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::{
    identity::Recipe,
    ids::{IdentityType, Tenant},
    time::At,
};

/// The type of the event that carries one.
pub const EVENT_TYPE: &str = "dev.lacuna.suppression.v1";

/// An identity whose subject is suppressed: they asked, in this tenant, for the erasure or anonymization of everything,
/// the request is past its gates (in_progress, deferred, completed or closed_with_exceptions), and they have not come
/// back since. A request that is limited to purposes, categories or processors suppresses nobody; one that leaves
/// processors out does.
///
/// The key of the record is HMAC-SHA-256 in lowercase hexadecimal, under the key that `lacuna keys suppression` prints
/// for the tenant, over the identity's type, a zero byte and its value by the recipe that `recipe` names. Recipe v2: e-mail
/// and phone by the rules of docs/guide/identifiers.md, anything else byte for byte. Recipe v1, under which nothing new is
/// written: e-mail trimmed and in lower case, phone in E.164 without its extension. For most values both give the same;
/// where they differ a reader looks for both, until `vault.lookups_keep` has passed since v2 came. A tombstone says that
/// the identity is suppressed no more: the person is back, or the digest was kept for as long as `vault.lookups_keep` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Suppression")]
pub struct SuppressionMessage<'a> {
    /// The tenant.
    pub tenant: Cow<'a, Tenant>,
    /// The type of the identity.
    pub identity_type: Cow<'a, IdentityType>,
    /// How the key was computed.
    pub recipe: Recipe,
    /// When the subject asked: with several requests, the first of them.
    pub since: At,
}
