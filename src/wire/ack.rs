//! Acks: a processor's typed answer to a task.
//!
//! It must never judge the token or compare the ack with the task: that needs the task. Nor does it know which of the
//! `identities` the registry's `provides` allows.

mod reply;

use std::{collections::BTreeMap, num::NonZeroU32};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error};

pub use self::reply::{AskedTask, NoAck, parse_reply};
use super::{
    envelope::Envelope,
    fields::{Id, List, MAX_IDENTITIES, MAX_LIST, Object, Table, Text, Time},
    opening::IdentityFields,
    read::read,
    rejection::Rejection,
    validate,
};
use crate::domain::{
    ack::{Ack, Answer, Evidence, Retained},
    identity::Identity,
    ids::{Label, ProcessorId, RequestId, TaskId},
    words::Outcome,
};

/// The type of the event that carries an ack.
pub const EVENT_TYPE: &str = "dev.lacuna.ack.v1";

/// The longest free text in bytes: an error message with room to spare.
const MAX_MESSAGE: usize = 4096;

/// The longest token in bytes. Ours are far shorter, but it is for the settling side to call one forged.
const MAX_TOKEN: usize = 4096;

/// The longest method, reference or digest in bytes.
const MAX_SHORT: usize = 512;

/// The longest name of a table in bytes, with that of its schema.
const MAX_TABLE_NAME: usize = 255;

/// The longest wait that a processor may ask for: thirty days, beyond which most legal clocks have run out.
const MAX_RETRY_AFTER: u32 = 2_592_000;

/// A processor's answer to one attempt of one task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("if" = { "properties": { "outcome": { "const": "retained" } }, "required": ["outcome"] },
    "then" = { "required": ["retained"] }))]
pub struct AckMessage<'a> {
    /// The request that the task belongs to.
    pub request_id: Id,
    /// The task that is answered.
    pub task_id: Id,
    /// The generation that is answered.
    pub generation: NonZeroU32,
    /// The attempt that is answered.
    pub attempt: NonZeroU32,
    /// The processor that answers.
    pub processor: ProcessorId,
    /// The token of the task's message.
    #[serde(borrow)]
    pub token: Text<'a, 0, MAX_TOKEN>,
    /// What is answered.
    pub outcome: Outcome,
    /// What is brought as proof.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Object<EvidenceFields<'a>>>,
    /// The processor's own time, kept as evidence only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
    /// With `accepted`: when it will be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_by: Option<Time>,
    /// With `retained`: why, what and until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retained: Option<Object<RetainedFields>>,
    /// With `failed` and `partial`: how long to wait at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<Seconds>,
    /// Identifiers for processors that come after this one, of types that the registry lets it provide. Others are
    /// ignored.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub identities: Option<Provided<'a>>,
    /// Free text, kept out of the ledger.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub message: Option<Text<'a, 0, MAX_MESSAGE>>,
}

/// The identifiers that an ack brings.
pub type Provided<'a> = List<Object<IdentityFields<'a>>, 0, MAX_IDENTITIES>;

/// What a processor brings as proof.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Evidence")]
pub struct EvidenceFields<'a> {
    /// How the data was erased.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub method: Option<Text<'a, 0, MAX_SHORT>>,
    /// How many records were affected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub records: Option<u64>,
    /// The processor's own reference.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Text<'a, 0, MAX_SHORT>>,
    /// A digest of the proof.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Text<'a, 0, MAX_SHORT>>,
    /// Records by category.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by_category: Option<Table<Label, u64, MAX_LIST>>,
    /// Rows by table: what an agent has counted.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub by_table: Option<ByTable<'a>>,
}

/// Rows by the name of their table.
pub type ByTable<'a> = Table<Text<'a, 1, MAX_TABLE_NAME>, u64, MAX_LIST>;

/// Why, what and until when a processor keeps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Retained")]
pub struct RetainedFields {
    /// The legal basis, in the processor's words.
    pub basis: Label,
    /// Until when; null: for good. It has to be there: what was left out by mistake must not mean for ever.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schemars(required, schema_with = "nullable_time")]
    pub until: Option<Time>,
    /// Which categories; none: all of the processor's share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub categories: Option<List<Label, 0, MAX_LIST>>,
}

fn nullable_time(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": ["string", "null"], "format": "date-time" })
}

/// Seconds to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Seconds(pub u32);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = u32::deserialize(deserializer)?;
        if seconds <= MAX_RETRY_AFTER {
            Ok(Self(seconds))
        } else {
            Err(D::Error::custom("expected at most 2592000 seconds"))
        }
    }
}

impl JsonSchema for Seconds {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Seconds".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "integer", "minimum": 0, "maximum": MAX_RETRY_AFTER })
    }
}

/// Reads an ack. What came around it has no say in it.
pub fn parse_ack(bytes: &[u8], _envelope: &Envelope<'_>) -> Result<Ack, Rejection> {
    parse(bytes)
}

/// Reads an ack that came without anything around it.
pub fn parse_bare_ack(bytes: &[u8]) -> Result<Ack, Rejection> {
    parse(bytes)
}

fn parse(bytes: &[u8]) -> Result<Ack, Rejection> {
    let message: AckMessage<'_> = read(validate::check(bytes)?)?;
    let answer = answer(&message)?;
    Ok(Ack {
        request_id: RequestId(message.request_id.0),
        task_id: TaskId(message.task_id.0),
        generation: message.generation.get(),
        attempt: message.attempt.get(),
        processor: message.processor,
        token: message.token.0.into_owned(),
        answer,
        evidence: message.evidence.map(|Object(fields)| Evidence {
            method: owned(fields.method),
            records: fields.records,
            reference: owned(fields.reference),
            digest: owned(fields.digest),
            by_category: fields.by_category.map(|table| table.0).unwrap_or_default(),
            by_table: fields.by_table.map(by_table).unwrap_or_default(),
        }),
        identities: message
            .identities
            .map(|list| list.0.into_iter().map(Identity::from).collect())
            .unwrap_or_default(),
        at: message.at.map(|time| time.0),
        message: owned(message.message),
    })
}

fn by_table(table: ByTable<'_>) -> BTreeMap<String, u64> {
    let rows = table.0.into_iter();
    rows.map(|(Text(name), rows)| (name.into_owned(), rows)).collect()
}

fn answer(message: &AckMessage<'_>) -> Result<Answer, Rejection> {
    let retry_after_seconds = message.retry_after_seconds.map(|seconds| seconds.0);
    Ok(match message.outcome {
        Outcome::Accepted => Answer::Accepted {
            expected_by: message.expected_by.map(|time| time.0),
        },
        Outcome::Erased => Answer::Erased,
        Outcome::Anonymized => Answer::Anonymized,
        Outcome::NotFound => Answer::NotFound,
        Outcome::Retained => {
            let Some(Object(fields)) = message.retained.clone() else {
                return Err(Rejection::schema("retained: required with the outcome retained"));
            };
            Answer::Retained(Retained {
                basis: fields.basis,
                until: fields.until.map(|time| time.0),
                categories: fields.categories.map(|list| list.0).unwrap_or_default(),
            })
        }
        Outcome::Partial => Answer::Partial { retry_after_seconds },
        Outcome::Failed => Answer::Failed { retry_after_seconds },
        Outcome::Rejected => Answer::Rejected,
        Outcome::Unsupported => Answer::Unsupported,
        Outcome::Present => Answer::Present,
        Outcome::Absent => Answer::Absent,
    })
}

fn owned<const MIN: usize, const MAX: usize>(text: Option<Text<'_, MIN, MAX>>) -> Option<String> {
    text.map(|text| text.0.into_owned())
}
