//! Acks: a processor's typed answer to a task.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::{
    identity::Identity,
    ids::{Label, ProcessorId, RequestId, TaskId},
    time::At,
    words::Outcome,
};

/// A processor's answer to one attempt of one task.
#[derive(Clone, PartialEq)]
pub struct Ack {
    /// The request that it names.
    pub request_id: RequestId,
    /// The task that it answers.
    pub task_id: TaskId,
    /// The generation that it answers.
    pub generation: u32,
    /// The attempt that it answers.
    pub attempt: u32,
    /// The processor that says it.
    pub processor: ProcessorId,
    /// The proof that it was asked: belongs to (task, generation, attempt).
    pub token: String,
    /// What it answers.
    pub answer: Answer,
    /// What it brings as proof.
    pub evidence: Option<Evidence>,
    /// Identifiers that it brings for processors that come after this one.
    pub identities: Vec<Identity>,
    /// Its own time, kept as evidence only.
    pub at: Option<At>,
    /// Free text, kept out of the ledger.
    pub message: Option<String>,
}

/// Without the token, which is a secret, and the free text, which may hold anything.
impl fmt::Debug for Ack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ack")
            .field("request_id", &self.request_id)
            .field("task_id", &self.task_id)
            .field("generation", &self.generation)
            .field("attempt", &self.attempt)
            .field("processor", &self.processor)
            .field("answer", &self.answer)
            .field("evidence", &self.evidence)
            .finish_non_exhaustive()
    }
}

/// What a processor answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It will do it, by this time where it says one.
    Accepted { expected_by: Option<At> },
    /// The data is erased.
    Erased,
    /// The data is anonymized.
    Anonymized,
    /// It has no data of this subject.
    NotFound,
    /// It has to keep (part of) the data until a time, or for good.
    Retained(Retained),
    /// Part of it is done: ask again.
    Partial { retry_after_seconds: Option<u32> },
    /// It did not work: ask again.
    Failed { retry_after_seconds: Option<u32> },
    /// It wants to be asked later, or could not be asked at all: the attempt does not count.
    NotNow { retry_after_seconds: Option<u32> },
    /// The call had left, and no answer to it came: nobody knows whether it was carried out.
    Lost { retry_after_seconds: Option<u32> },
    /// It will not do it.
    Rejected,
    /// It cannot do it.
    Unsupported,
    /// The data is still there: an answer to `verify`.
    Present,
    /// The data is gone: an answer to `verify`.
    Absent,
}

/// Why, what and until when a processor keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retained {
    /// The legal basis, in the processor's words.
    pub basis: Label,
    /// Until when; `None`: for good.
    pub until: Option<At>,
    /// Which categories; empty: all of its share.
    pub categories: Vec<Label>,
}

impl Answer {
    /// The outcome's word.
    pub const fn outcome(&self) -> Outcome {
        match self {
            Self::Accepted { .. } => Outcome::Accepted,
            Self::Erased => Outcome::Erased,
            Self::Anonymized => Outcome::Anonymized,
            Self::NotFound => Outcome::NotFound,
            Self::Retained(_) => Outcome::Retained,
            Self::Partial { .. } => Outcome::Partial,
            Self::Failed { .. } | Self::NotNow { .. } | Self::Lost { .. } => Outcome::Failed,
            Self::Rejected => Outcome::Rejected,
            Self::Unsupported => Outcome::Unsupported,
            Self::Present => Outcome::Present,
            Self::Absent => Outcome::Absent,
        }
    }
}

/// What a processor brings as proof.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "packed::Packed", into = "packed::Packed")]
pub struct Evidence {
    /// How the data was erased.
    pub method: Option<String>,
    /// How many records were affected.
    pub records: Option<u64>,
    /// The processor's own reference.
    pub reference: Option<String>,
    /// A digest of the proof.
    pub digest: Option<String>,
    /// Records by category.
    pub by_category: BTreeMap<Label, u64>,
    /// Rows by table, as an agent has counted them.
    pub by_table: BTreeMap<String, u64>,
}

/// Without the free text, which may hold anything.
impl fmt::Debug for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evidence")
            .field("records", &self.records)
            .field("by_category", &self.by_category)
            .field("by_table", &self.by_table)
            .finish_non_exhaustive()
    }
}

/// How evidence is written down.
mod packed {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Serialize};

    use super::{Evidence, Label};

    const SHA_256: &str = "sha256:";

    /// Evidence as rows have it. They were there before evidence had tables, which therefore stand where the digest does.
    #[derive(Clone, Serialize, Deserialize)]
    pub(super) struct Packed {
        method: Option<String>,
        records: Option<u64>,
        reference: Option<String>,
        digest: Option<Digest>,
        by_category: BTreeMap<Label, u64>,
    }

    /// Nearly every digest is `sha256:` and 64 digits in lower case: half of those bytes say the same.
    #[derive(Clone, Serialize, Deserialize)]
    enum Digest {
        Sha256([u8; 32]),
        Text(String),
        /// With rows by table; the digest may be missing.
        Tables(Option<Box<Digest>>, BTreeMap<String, u64>),
    }

    impl Digest {
        fn of(text: String) -> Self {
            let mut bytes = [0; 32];
            match text.strip_prefix(SHA_256) {
                Some(digits)
                    if !digits.contains(|c: char| c.is_ascii_uppercase())
                        && hex::decode_to_slice(digits, &mut bytes).is_ok() =>
                {
                    Self::Sha256(bytes)
                }
                _ => Self::Text(text),
            }
        }

        fn into_parts(self) -> (Option<String>, BTreeMap<String, u64>) {
            match self {
                Self::Sha256(bytes) => (Some(format!("{SHA_256}{}", hex::encode(bytes))), BTreeMap::new()),
                Self::Text(text) => (Some(text), BTreeMap::new()),
                Self::Tables(digest, tables) => {
                    let digest = digest.and_then(|digest| digest.into_parts().0);
                    (digest, tables)
                }
            }
        }
    }

    impl From<Evidence> for Packed {
        fn from(evidence: Evidence) -> Self {
            let digest = evidence.digest.map(Digest::of);
            let digest = if evidence.by_table.is_empty() {
                digest
            } else {
                Some(Digest::Tables(digest.map(Box::new), evidence.by_table))
            };
            Self {
                method: evidence.method,
                records: evidence.records,
                reference: evidence.reference,
                digest,
                by_category: evidence.by_category,
            }
        }
    }

    impl From<Packed> for Evidence {
        fn from(packed: Packed) -> Self {
            let (digest, by_table) = packed.digest.map(Digest::into_parts).unwrap_or_default();
            Self {
                method: packed.method,
                records: packed.records,
                reference: packed.reference,
                digest,
                by_category: packed.by_category,
                by_table,
            }
        }
    }
}
