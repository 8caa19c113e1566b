//! The bodies of HTTP calls that are no messages: searches, and the words that go with a decision.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use super::{
    canonical::canonical,
    fields::{Id, Object, Text},
    read::read,
    rejection::Rejection,
    validate,
};
use crate::domain::{
    identity::{Identity, SubjectData},
    ids::{CommandId, IdentityType, ProcessorId, Tenant},
    time::At,
    words::DeadLetterReason,
};

/// The longest reason in bytes: a paragraph.
const MAX_REASON: usize = 1024;

/// The longest identifier in bytes that is searched for. Those of commands are shorter.
const MAX_VALUE: usize = 4096;

/// Whose requests are searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// One identifier of the subject.
    pub identity: Identity,
    /// The tenant; the configured default where it is absent.
    pub tenant: Option<Tenant>,
}

/// Whose requests are looked for.
#[derive(Deserialize, JsonSchema)]
pub(super) struct SearchFields<'a> {
    /// One identifier of the person.
    #[serde(borrow)]
    identity: Object<IdentityFields<'a>>,
    /// The tenant; all that the bearer may see where it is absent.
    tenant: Option<Tenant>,
}

/// An identifier of a person.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "LookedForIdentity")]
struct IdentityFields<'a> {
    /// Its type.
    #[serde(rename = "type")]
    kind: IdentityType,
    /// Its value.
    #[serde(borrow)]
    value: Text<'a, 1, MAX_VALUE>,
}

/// Why somebody decides what he decides.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ReasonFields<'a> {
    /// Why, in the words of whoever decides.
    #[serde(borrow)]
    reason: Option<Text<'a, 1, MAX_REASON>>,
}

impl From<IdentityFields<'_>> for Identity {
    fn from(fields: IdentityFields<'_>) -> Self {
        Self {
            kind: fields.kind,
            value: SubjectData::new(fields.value.0.into_owned()),
        }
    }
}

/// Reads a search.
pub fn parse_search(bytes: &[u8]) -> Result<Search, Rejection> {
    let SearchFields {
        identity: Object(identity),
        tenant,
    } = read(validate::check(bytes)?)?;
    let identity = Identity::from(identity);
    // Whoever finds nobody under a placeholder has learned nothing.
    identity
        .check()
        .map_err(|fault| Rejection::schema(format!("identity.value: {fault}")))?;
    Ok(Search { identity, tenant })
}

/// The most identities of one look into the suppression list, as the contract says.
pub const MAX_SUPPRESSION: usize = 1_000;

/// Who is looked for in the suppression list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuppressionCheck {
    /// The tenant; where it is absent, the configured default, unless others are served as well.
    pub tenant: Option<Tenant>,
    /// One identity a person, or several: each is answered by itself, in order.
    pub identities: Vec<Identity>,
}

/// Who is looked for in the suppression list.
#[derive(Deserialize, JsonSchema)]
pub(super) struct SuppressionFields<'a> {
    /// The tenant; needed where several are served.
    tenant: Option<Tenant>,
    /// The identifiers, each of which is answered by itself.
    #[serde(borrow)]
    #[schemars(length(max = 1000))]
    identities: Vec<Object<IdentityFields<'a>>>,
}

/// Reads a look into the suppression list.
pub fn parse_suppression_check(bytes: &[u8]) -> Result<SuppressionCheck, Rejection> {
    let fields: SuppressionFields<'_> = read(validate::check(bytes)?)?;
    if fields.identities.len() > MAX_SUPPRESSION {
        return Err(Rejection::new(
            DeadLetterReason::TooLarge,
            "identities: expected at most 1000",
        ));
    }
    let identities = fields.identities.into_iter();
    Ok(SuppressionCheck {
        tenant: fields.tenant,
        identities: identities.map(|Object(fields)| fields.into()).collect(),
    })
}

/// Which requests are approved together, and how many they should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approvals {
    /// The conditions, as the query of a list has them.
    pub filter: Vec<(String, String)>,
    /// How many requests the caller believes that they are.
    pub expected_count: u64,
    /// Where the call before has ended.
    pub cursor: Option<String>,
}

/// Approves all that a filter finds, if it finds as many as the caller believes.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ApprovalsFields {
    /// The parameters of `GET /v1/requests`: texts, `true` or `false`.
    filter: serde_json::Map<String, serde_json::Value>,
    /// How many requests the caller believes that they are.
    expected_count: u64,
    /// Where the call before has ended.
    cursor: Option<String>,
}

/// Reads an approval of many.
pub fn parse_approvals(bytes: &[u8]) -> Result<Approvals, Rejection> {
    let fields: ApprovalsFields = read(validate::check(bytes)?)?;
    Ok(Approvals {
        filter: conditions(fields.filter)?,
        expected_count: fields.expected_count,
        cursor: fields.cursor,
    })
}

/// The conditions of a filter, as the query of a list has them.
pub(super) fn conditions(
    filter: serde_json::Map<String, serde_json::Value>,
) -> Result<Vec<(String, String)>, Rejection> {
    let conditions = filter.into_iter().map(|(name, value)| match value {
        serde_json::Value::String(text) => Ok((name, text)),
        serde_json::Value::Bool(flag) => Ok((name, flag.to_string())),
        _ => Err(Rejection::schema(format!(
            "filter.{name}: expected a text, true or false"
        ))),
    });
    conditions.collect()
}

/// Reads the reason of a decision; no body at all gives none.
pub fn parse_reason(bytes: &[u8]) -> Result<Option<String>, Rejection> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let ReasonFields { reason } = read(validate::check(bytes)?)?;
    Ok(reason.map(|Text(text)| text.into_owned()))
}

/// Reads a reason that has to be there.
pub fn parse_required_reason(bytes: &[u8]) -> Result<String, Rejection> {
    parse_reason(bytes)?
        .filter(|reason| !reason.trim().is_empty())
        .ok_or_else(|| Rejection::schema("reason: expected one"))
}

/// To whom a task is handed over.
#[derive(Deserialize, JsonSchema)]
pub(super) struct AssigneeFields<'a> {
    /// A person or a team.
    #[serde(borrow)]
    assignee: Text<'a, 1, MAX_REASON>,
}

/// Reads to whom a task is handed over.
pub fn parse_assignee(bytes: &[u8]) -> Result<String, Rejection> {
    let AssigneeFields {
        assignee: Text(assignee),
    } = read(validate::check(bytes)?)?;
    match assignee.trim() {
        "" => Err(Rejection::schema("assignee: expected one")),
        name => Ok(name.to_owned()),
    }
}

/// The most tasks of one claim.
pub const MAX_CLAIMED: u32 = 500;

/// The longest that a claim waits for a task, in seconds: proxies cut what is silent for a minute.
pub const MAX_CLAIM_WAIT: u32 = 30;

/// What an agent asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Whose tasks.
    pub processor: ProcessorId,
    /// How many at the most.
    pub limit: u32,
    /// For how long it waits for one.
    pub wait: std::time::Duration,
}

/// What an agent asks for.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ClaimFields {
    /// Whose tasks: the bearer's own.
    processor: ProcessorId,
    /// How many at the most; 1 where it is absent.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<u32>,
    /// For how long to wait for a task; not at all where it is absent.
    #[schemars(range(min = 0, max = 30))]
    wait_seconds: Option<u32>,
}

/// Reads what an agent asks for.
pub fn parse_claim(bytes: &[u8]) -> Result<Claim, Rejection> {
    let fields: ClaimFields = read(validate::check(bytes)?)?;
    let limit = fields.limit.unwrap_or(1);
    if !(1..=MAX_CLAIMED).contains(&limit) {
        return Err(Rejection::schema("limit: expected 1 to 500"));
    }
    let wait = fields.wait_seconds.unwrap_or(0);
    if wait > MAX_CLAIM_WAIT {
        return Err(Rejection::schema("wait_seconds: expected 0 to 30"));
    }
    Ok(Claim {
        processor: fields.processor,
        limit,
        wait: std::time::Duration::from_secs(wait.into()),
    })
}

/// What a processor that was registered later is offered.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "BackfillAsked")]
pub struct BackfillAsked {
    /// Only requests that were received since then.
    pub since: Option<At>,
    /// Whether it only counts.
    pub dry_run: bool,
}

/// Reads what a processor that was registered later is offered: every open request, where the body is empty.
pub fn parse_backfill(bytes: &[u8]) -> Result<BackfillAsked, Rejection> {
    if bytes.is_empty() {
        return Ok(BackfillAsked::default());
    }
    read(validate::check(bytes)?)
}

/// The idempotency key that the body of a call names; no body at all names none.
pub fn command_id_of(bytes: &[u8]) -> Result<Option<CommandId>, Rejection> {
    #[derive(Deserialize)]
    struct Named {
        command_id: Option<Id>,
    }
    if bytes.is_empty() {
        return Ok(None);
    }
    let Named { command_id } = read(validate::check(bytes)?)?;
    Ok(command_id.map(|id| CommandId(id.0)))
}

/// What a call asks for, to tell it from another one under the same key: what is asked, of what, and the body as parsed JSON.
pub fn asked(what: &str, of: Uuid, bytes: &[u8]) -> Result<Vec<u8>, Rejection> {
    let document = validate::check(if bytes.is_empty() { b"{}" } else { bytes })?;
    let mut asked = canonical(document);
    asked.extend_from_slice(what.as_bytes());
    asked.extend_from_slice(of.as_bytes());
    Ok(asked)
}

/// The tenant that a command names, as far as it can be told before the command is read.
pub fn tenant_of(bytes: &[u8]) -> Option<Tenant> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        tenant: Option<Cow<'a, str>>,
    }
    // Whatever is wrong with it is found when the command itself is read.
    let Named { tenant } = serde_json::from_slice(bytes).ok()?;
    Tenant::new(&tenant?).ok()
}
