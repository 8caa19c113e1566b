//! Who looked: a search for a person, and the original of a dead letter, leave an entry in the ledger before anything is shown.
//! It says who looked, when, and at what; by which identifier lies nowhere.

use super::{Engine, EngineError, time_ordered_id};
use crate::{
    domain::{
        entry::{Entry, Leaf},
        ids::RequestId,
        time::At,
    },
    store::{Attempts, Changes, LeafRow, Observer, Store},
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
        }],
        at,
        ..Changes::default()
    };
    let mut attempts = Attempts::new(store, observer, "look");
    loop {
        let done = write(&changes, &mut attempts).await;
        if let Some(done) = attempts.conclude(done).await {
            done?;
            return Ok(id);
        }
    }
}

async fn write(changes: &Changes, attempts: &mut Attempts<'_>) -> Result<(), EngineError> {
    let mut tx = attempts.begin().await?;
    tx.write(changes).await?;
    tx.commit().await?;
    Ok(())
}
