//! Who looked: a search for a person, and the original of a dead letter, leave an entry in the ledger before anything is shown.
//! It says who looked, when, and at what; by which identifier lies nowhere.

use async_trait::async_trait;

use super::{
    Engine, EngineError, time_ordered_id,
    unit_of_work::{Decision, StoreWork, run_on_store},
};
use crate::{
    domain::{
        entry::{Entry, Leaf},
        ids::RequestId,
        time::At,
    },
    store::{Changes, LeafRow, Observer, Store, Transaction},
};

impl Engine {
    /// Writes down who looked, and gives the id that the ledger has it under.
    pub async fn record_look(&self, look: Entry) -> Result<RequestId, EngineError> {
        record_look(self.store.as_ref(), &*self.metrics, self.clock.now(), look).await
    }
}

/// The same for who has a store and nothing else.
pub async fn record_look(
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
