//! Redriving: a message that could not be taken in is published once more, to the topic that it came from. The event of a source
//! is published as the command that it becomes, to the topic of commands: its own topic is its upstream's, where others read it,
//! too, and where it would be another event, at another place and with another name.
//!
//! A letter is marked only after the broker has confirmed it. A crash in between leaves it open. Another redrive, at the same time
//! or later, publishes the same command under the same id, which changes nothing.

use async_trait::async_trait;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    engine::EngineError,
    store::{DeadLetter, DeadLetterState, Origin, Store, StoreError},
    vault::Vault,
    wire::{KeptHeaders, ReadHeaders},
};

/// Publishes messages to the topics that they came from.
#[async_trait]
pub trait Republish: std::fmt::Debug + Send + Sync {
    /// Publishes it, or the command that it becomes, and says where that lies, once it is confirmed: topic/partition/offset.
    async fn publish_again(&self, message: &Original) -> Result<String, NotPublished>;
}

/// A message as it came.
pub struct Original {
    /// Where it came from.
    pub origin: Origin,
    /// Its key; `None` also where an earlier version has kept it.
    pub key: Option<Vec<u8>>,
    /// The headers that say what it is: a command may have its id there.
    pub headers: Vec<(String, String)>,
    /// Its bytes; `None` of a tombstone.
    pub payload: Option<Zeroizing<Vec<u8>>>,
}

/// Without what it says.
impl std::fmt::Debug for Original {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Original")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

/// Why a message was not published: nothing of it is in there.
#[derive(Debug, thiserror::Error)]
pub enum NotPublished {
    /// Its topic is not there, so that trying again does not help.
    #[error("its topic is not there")]
    MissingTopic(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Nobody has confirmed it.
    #[error("nobody has confirmed it")]
    Unconfirmed(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No topic of this configuration has that name any more, so that nobody would read it there.
    #[error(
        "nothing reads topic {0} any more: it is none of kafka.topics, and no [[source]] has it; put it back, or have the \
         message sent where commands are read and close the letter"
    )]
    NotRead(String),
    /// It is the event of a source, which still makes no command of it.
    #[error("source {source_name:?} still cannot map it: {why}")]
    Unmapped {
        /// The name of the source.
        source_name: String,
        /// Why not.
        why: String,
    },
    /// Every source of its topic leaves it out now.
    #[error("the sources of its topic leave it out now, so that it asks for nothing: {0}")]
    Skipped(String),
    /// It is the event of a source, which cannot be read just now.
    #[error("it cannot be read just now: {0}")]
    NotNow(String),
}

/// A letter that was redriven.
#[derive(Debug)]
pub struct Redriven {
    /// As it is now.
    pub letter: DeadLetter,
    /// Where its message lies now: topic/partition/offset.
    pub place: String,
}

/// Why a letter was not redriven.
#[derive(Debug, thiserror::Error)]
pub enum NotRedriven {
    /// There is none of this id.
    #[error("there is no such dead letter")]
    Unknown,
    /// Somebody has decided about it before.
    #[error("dead letter {} is {} already", .0.id, .0.state.as_str())]
    NotOpen(Box<DeadLetter>),
    /// Its payload was not kept.
    #[error("nothing is kept of what dead letter {} says", .0.id)]
    NotKept(Box<DeadLetter>),
    /// The headers that are kept with it cannot be read.
    #[error("the headers that are kept with dead letter {0} cannot be read: nothing was published")]
    Headers(Uuid),
    /// It was not published.
    #[error("dead letter {id} was not published")]
    NotPublished {
        /// Which one.
        id: Uuid,
        /// Why.
        #[source]
        source: NotPublished,
    },
    /// It was published, and somebody else has decided about it meanwhile.
    #[error(
        "dead letter {id} was published again to {place}, but was no longer open by then: somebody else decided about it"
    )]
    Raced {
        /// Which one.
        id: Uuid,
        /// Where its message lies now.
        place: String,
    },
    /// Something else went wrong.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl From<StoreError> for NotRedriven {
    fn from(error: StoreError) -> Self {
        Self::Engine(error.into())
    }
}

/// Redrives an open letter. `note`: who decided it, and why.
pub async fn redrive(
    store: &dyn Store,
    vault: &Vault,
    publisher: &dyn Republish,
    id: Uuid,
    note: &str,
) -> Result<Redriven, NotRedriven> {
    let letter = store.dead_letter(id).await?.ok_or(NotRedriven::Unknown)?;
    if letter.state != DeadLetterState::Open {
        return Err(NotRedriven::NotOpen(Box::new(letter)));
    }
    let message = original(vault, &letter)?;
    let place = publisher
        .publish_again(&message)
        .await
        .map_err(|source| NotRedriven::NotPublished { id, source })?;
    let note = format!("{note}, redriven to {place}");
    // The store's own time: this machine's may be wrong.
    let at = store.now().await?;
    if !store
        .close_dead_letter(id, DeadLetterState::Redriven, &note, at)
        .await?
    {
        return Err(NotRedriven::Raced { id, place });
    }
    let letter = store.dead_letter(id).await?.unwrap_or(letter);
    Ok(Redriven { letter, place })
}

/// The message of a letter.
fn original(vault: &Vault, letter: &DeadLetter) -> Result<Original, NotRedriven> {
    let Some(sealed) = &letter.sealed else {
        return Err(NotRedriven::NotKept(Box::new(letter.clone())));
    };
    let open = |sealed: &[u8]| vault.open_dead_letter(sealed).map_err(EngineError::from);
    let kept = match &letter.headers {
        Some(sealed) => KeptHeaders::read(&open(sealed)?).map_err(|_| NotRedriven::Headers(letter.id))?,
        None => ReadHeaders::default(),
    };
    let payload = open(sealed)?;
    Ok(Original {
        origin: letter.origin.clone(),
        key: kept.key,
        headers: kept.headers,
        payload: (!kept.has_no_value).then_some(payload),
    })
}
