//! A message that could not be taken in, without what it says.

use serde::Serialize;
use uuid::Uuid;

use crate::{
    domain::{
        time::At,
        words::{CommandKind, DeadLetterReason},
    },
    store::{DeadLetter, DeadLetterState},
};

/// A message that could not be taken in.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct DeadLetterView<'a> {
    /// By which it is redriven or closed.
    pub id: Uuid,
    /// Why it was refused.
    pub reason: DeadLetterReason,
    /// The command that it was, where its bytes say so.
    #[serde(rename = "type")]
    pub kind: Option<CommandKind>,
    /// Which field, and what was expected of it.
    pub detail: &'a str,
    /// Where it came from.
    pub topic: &'a str,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// When it was refused.
    pub at: At,
    /// How long ago that is.
    pub age_seconds: u64,
    /// Whether somebody has decided about it.
    pub state: &'static str,
}

impl<'a> DeadLetterView<'a> {
    /// Of a letter, as of a time.
    pub fn of(letter: &'a DeadLetter, now: At) -> Self {
        Self {
            id: letter.id,
            reason: letter.reason,
            kind: letter.kind,
            detail: &letter.detail,
            topic: &letter.origin.topic,
            partition: letter.origin.partition,
            offset: letter.origin.offset,
            at: letter.at,
            age_seconds: now.since(letter.at).as_secs(),
            state: letter.state.as_str(),
        }
    }
}

/// A message that could not be taken in and was published again.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct RedrivenView<'a> {
    /// As it is now.
    #[serde(flatten)]
    pub letter: DeadLetterView<'a>,
    /// Where its message lies now: topic/partition/offset.
    pub redriven_to: String,
}

/// Why nothing is kept of what the message said.
pub const fn why_without_payload(letter: &DeadLetter) -> &'static str {
    match letter.state {
        DeadLetterState::Open => {
            "of a message, 4 MiB are kept at the most, and no longer than vault.dead_letters_keep; of all of a topic, \
             vault.dead_letters_mib"
        }
        DeadLetterState::Redriven => "it went when the letter was redriven",
        DeadLetterState::Closed => "it went when the letter was closed",
    }
}
