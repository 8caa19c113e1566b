//! Who looked: a search for a person, the identifiers of a request, and the original of a dead letter leave an entry in the ledger
//! before anything is shown. It says who looked, when, and at what; by which identifier lies nowhere.

use async_trait::async_trait;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    Engine, EngineError, time_ordered_id,
    unit_of_work::{Decision, StoreWork, run_on_store},
};
use crate::{
    domain::{
        entry::{Entry, Leaf},
        identity::Identity,
        ids::RequestId,
        time::At,
    },
    store::{Changes, DeadLetter, LeafRow, Observer, Store, Transaction},
    vault::Vault,
};

/// What somebody was shown, and the id that the ledger has the look under.
#[derive(Debug)]
pub struct Shown<T> {
    /// What was to be seen.
    pub what: T,
    /// Where it is written down.
    pub ledger_entry: RequestId,
}

/// Why there is nothing to be seen.
#[derive(Debug)]
pub enum NotShown {
    /// There is no such thing.
    Unknown,
    /// The identifiers can be read by nobody any more, or for a restore only.
    Forgotten,
    /// The letter's payload was not kept.
    NotKept(Box<DeadLetter>),
    /// Something went wrong.
    Engine(EngineError),
}

impl<T: Into<EngineError>> From<T> for NotShown {
    fn from(error: T) -> Self {
        Self::Engine(error.into())
    }
}

/// Opens the original of a dead letter, once it is written down who looks.
pub async fn open_letter(
    store: &dyn Store,
    vault: &Vault,
    observer: &dyn Observer,
    at: At,
    id: Uuid,
    actor: &str,
) -> Result<Shown<(DeadLetter, Zeroizing<Vec<u8>>)>, NotShown> {
    let letter = store.dead_letter(id).await?.ok_or(NotShown::Unknown)?;
    let Some(sealed) = &letter.sealed else {
        return Err(NotShown::NotKept(Box::new(letter)));
    };
    let plain = vault.open_dead_letter(sealed)?;
    let look = Entry::LetterOpened {
        actor: actor.to_owned(),
        letter: id,
    };
    let ledger_entry = record_disclosure(store, observer, at, look).await?;
    Ok(Shown {
        what: (letter, plain),
        ledger_entry,
    })
}

impl Engine {
    /// The identifiers of a request, once it is written down who looks at them. What a capsule keeps for a restore is for nobody's
    /// eyes.
    pub async fn show_identities(
        &self,
        id: RequestId,
        actor: &str,
    ) -> Result<Shown<Vec<Identity>>, NotShown> {
        let Some(stored) = self.store.requests(&[id]).await?.pop() else {
            return Err(NotShown::Unknown);
        };
        let Some(key) = stored.wrapped_key.as_deref() else {
            return Err(NotShown::Forgotten);
        };
        let secrets = self.secrets(&[id], &[]).await?;
        let (_, subject) = self.open_with(&stored.request, Some(key), &secrets)?;
        let look = Entry::IdentitiesShown {
            actor: actor.to_owned(),
            requests: vec![id],
        };
        let ledger_entry = self.record_disclosure(look).await?;
        Ok(Shown {
            what: subject.identities,
            ledger_entry,
        })
    }

    /// The original of a dead letter, once it is written down who looks at it.
    pub async fn show_letter(
        &self,
        id: Uuid,
        actor: &str,
    ) -> Result<Shown<(DeadLetter, Zeroizing<Vec<u8>>)>, NotShown> {
        let (store, now) = (self.store.as_ref(), self.clock.now());
        open_letter(store, &self.vault, &*self.metrics, now, id, actor).await
    }

    /// Writes down who looked, and gives the id that the ledger has it under.
    pub async fn record_disclosure(&self, look: Entry) -> Result<RequestId, EngineError> {
        record_disclosure(self.store.as_ref(), &*self.metrics, self.clock.now(), look).await
    }
}

/// The same for who has a store and nothing else.
pub async fn record_disclosure(
    store: &dyn Store,
    observer: &dyn Observer,
    at: At,
    look: Entry,
) -> Result<RequestId, EngineError> {
    let id = RequestId(time_ordered_id(at));
    let leaf = Leaf {
        request: id,
        n: 0,
        at,
        entries: vec![look],
    };
    let changes = Changes {
        leaves: vec![LeafRow {
            request_id: id,
            n: 0,
            leaf: leaf.to_bytes()?,
            sealed: None,
            acted: leaf.acted(),
        }],
        at,
        ..Changes::default()
    };
    run_on_store(store, observer, "look", &Write(changes)).await?;
    Ok(id)
}

/// Writes these changes, and nothing else.
struct Write(Changes);

#[async_trait]
impl StoreWork for Write {
    type Output = ();

    async fn work(&self, tx: &mut dyn Transaction) -> Result<Decision<()>, EngineError> {
        tx.write(&self.0).await?;
        Ok(Decision::Write(()))
    }
}
