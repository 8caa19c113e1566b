//! Messages that could not be taken in, and how much is kept of them.

use async_trait::async_trait;
use uuid::Uuid;

use super::{error::StoreError, origin::Origin};
use crate::domain::{
    time::At,
    words::{CommandKind, DeadLetterReason},
};

/// Dead letters, as they are committed.
#[async_trait]
pub trait DeadLetterStore: Send + Sync {
    /// Dead letters, oldest first.
    async fn dead_letters(&self, filter: DeadLetterFilter) -> Result<Vec<DeadLetter>, StoreError>;
    /// One dead letter, with its sealed payload.
    async fn dead_letter(&self, id: Uuid) -> Result<Option<DeadLetter>, StoreError>;
    /// Open dead letters by reason and type, with the time of the oldest.
    async fn open_dead_letters(&self) -> Result<Vec<OpenLetters>, StoreError>;
    /// Closes an open dead letter, whose payload goes with it; `false`: there is no open one of this id.
    async fn close_dead_letter(
        &self,
        id: Uuid,
        how: DeadLetterState,
        note: &str,
        at: At,
    ) -> Result<bool, StoreError>;
    /// What each topic has among the dead letters.
    async fn letters_by_topic(&self) -> Result<Vec<LettersOfTopic>, StoreError>;
    /// Forgets some of the payloads of letters from before this time, those of open ones that ask for an erasure apart, and
    /// says how many.
    async fn forget_letters(&self, before: At, limit: u32) -> Result<u64, StoreError>;
    /// Deletes so many of the oldest open letters of a topic, those that ask for an erasure apart, and counts them as
    /// dropped; says how many they were.
    async fn drop_letters(&self, topic: &str, limit: u32) -> Result<u64, StoreError>;
    /// The letters that were dropped.
    async fn dropped_letters(&self) -> Result<Vec<DroppedLetters>, StoreError>;
}

/// Dead letters within a transaction.
#[async_trait]
pub trait DeadLetterTransaction: Send {
    /// The dead letters that came from these offsets of a partition, with their sealed payload.
    async fn dead_letters_of(&mut self, origins: &[Origin]) -> Result<Vec<DeadLetter>, StoreError>;
}

/// The state of a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadLetterState {
    /// Somebody has to look at it.
    Open,
    /// It was published again.
    Redriven,
    /// It was closed with a reason.
    Closed,
}

impl DeadLetterState {
    /// Its name, as lists show it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Redriven => "redriven",
            Self::Closed => "closed",
        }
    }
}

/// A message that could not be taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its id.
    pub id: Uuid,
    /// Why.
    pub reason: DeadLetterReason,
    /// What exactly is wrong, without any value of the message.
    pub detail: String,
    /// The command that it was, where its bytes say so.
    pub kind: Option<CommandKind>,
    /// Where it came from.
    pub origin: Origin,
    /// When.
    pub at: At,
    /// Open, redriven or closed.
    pub state: DeadLetterState,
    /// The original bytes, sealed; `None` in lists, for what is too large to be taken in by another try, and where they are
    /// kept no more.
    pub sealed: Option<Vec<u8>>,
    /// Its headers that say what it is, sealed likewise; `None`: it had none, or they were too large. They go nowhere but
    /// back to the topic that they came from.
    pub headers: Option<Vec<u8>>,
    /// The ids inside it by which lists of upstream name it. They stay when its bytes go.
    pub ids: Vec<Uuid>,
    /// Whether the store keeps its bytes; otherwise only their topic has them, and the one of dead letters.
    pub kept: bool,
}

/// What a topic has among the dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LettersOfTopic {
    /// The topic.
    pub topic: String,
    /// How many bytes are kept of them.
    pub bytes: u64,
    /// How many are open and ask for no erasure.
    pub open: u64,
}

/// Dead letters whose rows went because their topic had too many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DroppedLetters {
    /// The topic that they came from.
    pub topic: String,
    /// Why they were refused.
    pub reason: String,
    /// How many.
    pub count: u64,
    /// When the first of them was refused.
    pub since: At,
    /// When the last of them was.
    pub until: At,
}

/// Which dead letters to list.
#[derive(Debug, Clone, Default)]
pub struct DeadLetterFilter {
    /// Only open ones.
    pub open_only: bool,
    /// Whether their sealed payloads come with them.
    pub with_payload: bool,
    /// After this id (they are time-ordered).
    pub after: Option<Uuid>,
    /// How many at the most.
    pub limit: u32,
}

/// Open dead letters that are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenLetters {
    /// Why they were refused.
    pub reason: String,
    /// The command that they were, where their bytes say so.
    pub kind: Option<CommandKind>,
    /// How many there are.
    pub count: u64,
    /// The time of the oldest.
    pub oldest: At,
}
