//! Gives the requests that an earlier version has written their marks and deadlines, a batch at a time, each batch in a transaction
//! that has locked them. It goes on where it stopped, and several workers may do it: a batch that is done twice says the same.

use async_trait::async_trait;

use crate::{
    domain::{ids::RequestId, time::At},
    engine::{
        Engine, EngineError,
        unit_of_work::{Decision, StoreWork, run_on_store},
    },
    store::{Among, ListOrder, Listed, Lock, MarkedRow, Sieve, Transaction, Walk},
};

/// How many requests a batch has.
const BATCH: u32 = 500;

impl Engine {
    /// Does a batch; `false`: nothing is left to do.
    pub async fn fill_lists(&self) -> Result<bool, EngineError> {
        // A worker of the version before, which writes none of this, may still take requests in.
        if self.clock.now() < self.census() {
            return Ok(true);
        }
        let Listed::UpTo(after) = self.store.listed().await? else {
            return Ok(false);
        };
        let walk = Walk {
            among: Among::All,
            order: ListOrder::Id,
            backwards: false,
            after: after.map(|id| (At::default(), id)),
            until: None,
            sieve: Sieve::default(),
            later_than: None,
            earlier_than: None,
            limit: BATCH,
        };
        let page = self.walk(&walk).await?;
        let ids: Vec<RequestId> = page.iter().map(|(_, request)| request.id).collect();
        let listed = if page.len() < BATCH as usize {
            Listed::All
        } else {
            Listed::UpTo(ids.last().copied())
        };
        let work = FillIn { ids, listed };
        run_on_store(self.store.as_ref(), &*self.metrics, "lists", &work).await?;
        Ok(listed != Listed::All)
    }
}

struct FillIn {
    ids: Vec<RequestId>,
    listed: Listed,
}

#[async_trait]
impl StoreWork for FillIn {
    type Output = ();

    async fn work(&self, tx: &mut dyn Transaction) -> Result<Decision<()>, EngineError> {
        // Locked: whoever moves one of them meanwhile writes its marks after this.
        let rows = tx.load(&self.ids, Lock::Rows).await?;
        let mut marks = Vec::new();
        let mut deadlines = Vec::new();
        for stored in &rows {
            let request = &stored.request;
            let deadline = request.life.clock.due;
            marks.extend(request.marks().iter().map(|mark| MarkedRow {
                request_id: request.id,
                mark,
                deadline,
            }));
            deadlines.push((request.id, deadline));
        }
        deadlines.sort_unstable();
        tx.fill_in(&marks, &deadlines, self.listed).await?;
        Ok(Decision::Write(()))
    }
}
