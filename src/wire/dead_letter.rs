//! Dead letters: the headers beside the sealed bytes of a message that was refused.
//!
//! They say why and where from. They must never hold a payload, nor a part of one.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::{time::At, words::DeadLetterReason};

/// Why the message was refused.
pub const REASON: &str = "lacuna_reason";
/// The topic that it came from.
pub const TOPIC: &str = "lacuna_topic";
/// The partition that it came from.
pub const PARTITION: &str = "lacuna_partition";
/// Its offset there.
pub const OFFSET: &str = "lacuna_offset";
/// When it was refused.
pub const AT: &str = "lacuna_at";

/// The headers of a dead letter, each as the text of a Kafka header. The record's value is the original bytes,
/// sealed under the vault's current key; it has no key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DeadLetterHeaders {
    /// Why the message was refused.
    #[serde(rename = "lacuna_reason")]
    pub reason: DeadLetterReason,
    /// The topic that it came from.
    #[serde(rename = "lacuna_topic")]
    pub topic: String,
    /// The partition that it came from.
    #[serde(rename = "lacuna_partition")]
    #[schemars(regex(pattern = "^[0-9]+$"))]
    pub partition: String,
    /// Its offset there.
    #[serde(rename = "lacuna_offset")]
    #[schemars(regex(pattern = "^[0-9]+$"))]
    pub offset: String,
    /// When it was refused.
    #[serde(rename = "lacuna_at")]
    #[schemars(with = "At")]
    pub at: String,
}

impl DeadLetterHeaders {
    /// The headers of a message that was refused at this place.
    pub fn new(reason: DeadLetterReason, topic: &str, partition: i32, offset: i64, at: At) -> Self {
        Self {
            reason,
            topic: topic.to_owned(),
            partition: partition.to_string(),
            offset: offset.to_string(),
            at: at.to_string(),
        }
    }

    /// Name and text of each.
    pub fn pairs(&self) -> [(&'static str, &str); 5] {
        [
            (REASON, self.reason.as_str()),
            (TOPIC, &self.topic),
            (PARTITION, &self.partition),
            (OFFSET, &self.offset),
            (AT, &self.at),
        ]
    }

    /// Reads the headers of a record of the dead-letter topic; `None` where one is missing or not ours.
    pub fn read<'a>(headers: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>) -> Option<Self> {
        let (mut reason, mut topic, mut partition, mut offset, mut at) = (None, None, None, None, None);
        for (name, value) in headers {
            let text = value.and_then(|bytes| std::str::from_utf8(bytes).ok());
            match name {
                REASON => reason = text.and_then(DeadLetterReason::parse),
                TOPIC => topic = text,
                PARTITION => partition = text.and_then(|text| text.parse().ok()),
                OFFSET => offset = text.and_then(|text| text.parse().ok()),
                AT => at = text.and_then(|text| At::parse(text).ok()),
                _ => {}
            }
        }
        Some(Self::new(reason?, topic?, partition?, offset?, at?))
    }
}
