//! The command that an event becomes, as it is written.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Serialize;
use uuid::Uuid;

use crate::domain::ids::IdentityType;

/// A command, in the order in which people read one.
#[derive(Serialize)]
pub(super) struct Written<'a> {
    pub(super) command_id: Uuid,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) request_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tenant: Option<Cow<'a, str>>,
    /// Which source has said it.
    pub(super) actor: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<Subject<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) regime: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) requested_at: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) not_before: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) at: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) region: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Scope::is_whole")]
    pub(super) scope: Scope<'a>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) anchors: BTreeMap<&'a str, Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) identity_verified: Option<bool>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) metadata: BTreeMap<&'a str, Cow<'a, str>>,
}

#[derive(Serialize)]
pub(super) struct Subject<'a> {
    pub(super) identities: Vec<Identity<'a>>,
}

#[derive(Serialize)]
pub(super) struct Identity<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'a IdentityType,
    pub(super) value: Cow<'a, str>,
}

#[derive(Default, Serialize)]
pub(super) struct Scope<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) purposes: Vec<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) categories: Vec<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) processors: Vec<Cow<'a, str>>,
}

impl Scope<'_> {
    fn is_whole(&self) -> bool {
        self.purposes.is_empty() && self.categories.is_empty() && self.processors.is_empty()
    }
}
