//! `erase` and `anonymize`: the shape of the commands that open a request.
//!
//! It must never decide whether a request may be opened; it only says what was asked.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use serde_json::{Map, Value};

use super::{
    fields::{List, MAX_IDENTITIES, MAX_IDENTITY_BYTES, MAX_LIST, Object, OpeningAction, Table, Text, Time},
    read::VALUE,
};
use crate::domain::{
    calendar::Regime,
    command::{Exclusion, Opening, Scope},
    identity::{Identity, Implausible, SubjectData, plausible},
    ids::{AnchorName, CommandId, IdentityType, Label, ProcessorId, RequestId, Tenant},
    words::{Action, Reason},
};

/// The most anchors of one command; a controller has a handful of retention rules with anchors.
const MAX_ANCHORS: usize = 32;

/// One identifier of the data subject.
#[derive(Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Identity")]
pub struct IdentityFields<'a> {
    /// Its type, such as email, phone, customer_id, user_id or device_id: an open set.
    #[serde(rename = "type")]
    kind: IdentityType,
    /// Its value. E-mail addresses and phone numbers are normalised for look-ups, others compared byte for byte. What
    /// stands for nobody is refused: blanks, words such as NULL or n/a, nil and zeroed ids, control characters.
    #[serde(borrow)]
    value: Text<'a, 1, MAX_IDENTITY_BYTES>,
}

/// Without the value, which is subject data.
impl fmt::Debug for IdentityFields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityFields")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// An identifier as it is written, not looked at yet.
#[derive(Deserialize)]
struct WrittenIdentity<'a> {
    #[serde(rename = "type")]
    kind: IdentityType,
    #[serde(borrow)]
    value: Text<'a, 1, MAX_IDENTITY_BYTES>,
}

impl<'de: 'a, 'a> Deserialize<'de> for IdentityFields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let WrittenIdentity { kind, value } = WrittenIdentity::deserialize(deserializer)?;
        plausible::check(&kind, &value.0).map_err(at_value)?;
        Ok(Self { kind, value })
    }
}

/// The fault of an identity's value, at the value.
fn at_value<E: Error>(fault: Implausible) -> E {
    E::custom(format_args!("{VALUE}{fault}"))
}

impl From<Object<IdentityFields<'_>>> for Identity {
    fn from(Object(fields): Object<IdentityFields<'_>>) -> Self {
        Self {
            kind: fields.kind,
            value: SubjectData::new(fields.value.0),
        }
    }
}

impl<'a> From<&'a Identity> for IdentityFields<'a> {
    fn from(identity: &'a Identity) -> Self {
        Self {
            kind: identity.kind.clone(),
            value: Text(identity.value.expose().into()),
        }
    }
}

/// The identifiers of a data subject.
pub(super) type Identities<'a> = List<Object<IdentityFields<'a>>, 1, MAX_IDENTITIES>;

/// The data subject.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "Subject")]
pub(super) struct SubjectFields<'a> {
    /// The identifiers, at least one.
    #[serde(borrow)]
    pub(super) identities: Identities<'a>,
}

/// What a request is limited to; an empty list limits nothing.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "Scope")]
struct ScopeFields {
    /// Purposes of processing.
    purposes: Option<List<Label, 0, MAX_LIST>>,
    /// Categories of data.
    categories: Option<List<Label, 0, MAX_LIST>>,
    /// Processors.
    processors: Option<List<ProcessorId, 0, MAX_LIST>>,
}

impl From<Object<ScopeFields>> for Scope {
    fn from(Object(fields): Object<ScopeFields>) -> Self {
        Self {
            purposes: entries(fields.purposes),
            categories: entries(fields.categories),
            processors: entries(fields.processors),
        }
    }
}

fn entries<T, const MIN: usize, const MAX: usize>(list: Option<List<T, MIN, MAX>>) -> Vec<T> {
    list.map_or_else(Vec::new, |list| list.0)
}

/// Opens a request: erase or anonymize one subject's data at every processor.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "Opening")]
pub(super) struct OpeningFields<'a> {
    /// Whose data.
    #[serde(borrow)]
    subject: Object<SubjectFields<'a>>,
    /// Another action for some processors: {"stats": "anonymize"}.
    actions_by_processor: Option<Table<ProcessorId, OpeningAction, MAX_LIST>>,
    /// The regime that gives the deadline, one that the policy knows: gdpr, uk_gdpr, ccpa, drop, lgpd, one of the
    /// controller's own, days:N, working_days:N or months:N. The policy's where it is absent.
    regime: Option<Regime>,
    /// Why; `subject_request` where it is absent.
    reason: Option<Reason>,
    /// When the subject asked; receipt where it is absent.
    requested_at: Option<Time>,
    /// Nothing is dispatched before it.
    not_before: Option<Time>,
    /// The region of the subject.
    region: Option<Label>,
    /// What the request is limited to.
    scope: Option<Object<ScopeFields>>,
    /// Times that retention rules count from, such as `account_closed_at`.
    anchors: Option<Table<AnchorName, Time, MAX_ANCHORS>>,
    /// Whether upstream has verified the subject's identity.
    identity_verified: Option<bool>,
    /// Processors that are left out, each on a legal basis.
    exclude: Option<List<Object<Exclusion>, 0, MAX_LIST>>,
    /// The controller's own notes: sealed with the identifiers, never interpreted. By its `ticket` the console finds the request.
    metadata: Option<Map<String, Value>>,
}

impl OpeningFields<'_> {
    pub(super) fn into_opening(
        self,
        action: Action,
        command_id: CommandId,
        request_id: RequestId,
        tenant: Tenant,
        submitter: Option<String>,
    ) -> Opening {
        Opening {
            command_id,
            request_id,
            tenant,
            action,
            actions_by_processor: self
                .actions_by_processor
                .map(|table| {
                    table
                        .0
                        .into_iter()
                        .map(|(processor, action)| (processor, action.0))
                        .collect()
                })
                .unwrap_or_default(),
            identities: self
                .subject
                .0
                .identities
                .0
                .into_iter()
                .map(Identity::from)
                .collect(),
            regime: self.regime,
            // The contract asks for a subject only; a command that gives no ground is a person's own wish.
            reason: self.reason.unwrap_or(Reason::SubjectRequest),
            requested_at: self.requested_at.map(|time| time.0),
            not_before: self.not_before.map(|time| time.0),
            region: self.region,
            scope: self.scope.map(Scope::from).unwrap_or_default(),
            anchors: self
                .anchors
                .map(|table| table.0.into_iter().map(|(name, time)| (name, time.0)).collect())
                .unwrap_or_default(),
            identity_verified: self.identity_verified.unwrap_or(false),
            exclude: entries(self.exclude)
                .into_iter()
                .map(|Object(exclusion)| exclusion)
                .collect(),
            metadata: self
                .metadata
                .map(|notes| SubjectData::new(Value::Object(notes).to_string())),
            submitter,
        }
    }
}
