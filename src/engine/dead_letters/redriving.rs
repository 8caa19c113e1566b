//! Redriving: a message that could not be taken in is published once more, to the topic that it came from.
//!
//! A letter is marked only after the broker has confirmed it. A crash in between leaves it open, and a second redrive of the same
//! command changes nothing.

use async_trait::async_trait;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    engine::EngineError,
    store::{DeadLetter, DeadLetterState, Store, StoreError},
    vault::Vault,
    wire::KeptHeaders,
};

/// Publishes messages to the topics that they came from.
#[async_trait]
pub trait Republish: std::fmt::Debug + Send + Sync {
    /// Publishes it, and says where it lies, once that is confirmed: topic/partition/offset.
    async fn publish_again(&self, message: &Original) -> Result<String, NotPublished>;
}

/// A message as it came.
pub struct Original {
    /// The topic that it came from.
    pub topic: String,
    /// The headers that say what it is: a command may have its id there.
    pub headers: Vec<(String, String)>,
    /// Its bytes.
    pub payload: Zeroizing<Vec<u8>>,
}

/// Without what it says.
impl std::fmt::Debug for Original {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Original")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

/// Why a message was not published: nothing of it is in there.
#[derive(Debug, thiserror::Error)]
#[error("nobody has confirmed it")]
pub struct NotPublished {
    #[source]
    why: Box<dyn std::error::Error + Send + Sync>,
    missing_topic: bool,
}

impl NotPublished {
    /// For this reason. `missing_topic`: whether its topic is not there, so that trying again does not help.
    pub fn new(why: impl std::error::Error + Send + Sync + 'static, missing_topic: bool) -> Self {
        Self {
            why: Box::new(why),
            missing_topic,
        }
    }

    /// Whether its topic is not there.
    pub const fn is_missing_topic(&self) -> bool {
        self.missing_topic
    }

    /// The reason.
    pub fn into_inner(self) -> Box<dyn std::error::Error + Send + Sync> {
        self.why
    }
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
    let headers = match &letter.headers {
        Some(sealed) => KeptHeaders::read(&open(sealed)?).map_err(|_| NotRedriven::Headers(letter.id))?,
        None => Vec::new(),
    };
    Ok(Original {
        topic: letter.origin.topic.to_string(),
        headers,
        payload: open(sealed)?,
    })
}
