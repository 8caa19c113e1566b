//! Where controllers that speak OpenDSR to us want to be told how their requests stand, and what became of telling them.

use std::time::Duration;

use super::{Engine, EngineError};
use crate::{
    domain::{ids::RequestId, registry::RequestState, request::Request},
    store::StatusCallback,
};

/// For how long a worker has to tell what it has taken.
const LEASE: Duration = Duration::from_secs(120);

/// How often a controller that does not answer is tried for each state.
const TRIES: u32 = 8;

/// The first pause between two tries; each next one is four times as long: about a day and a half in all.
const FIRST_PAUSE: Duration = Duration::from_secs(10);

/// An address at which something may have to be told.
#[derive(Debug, Clone)]
pub struct DueCallback {
    /// The address.
    pub row: StatusCallback,
    /// The request; `None`: its rows are gone.
    pub request: Option<Request>,
}

/// What came of telling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// There was nothing to tell, or it was told.
    Yes(RequestState),
    /// It did not arrive.
    Not(RequestState),
}

impl Engine {
    /// Remembers where a controller wants to be told, before it is answered. `told`: what its answer says.
    pub async fn remember_callbacks(
        &self,
        request: RequestId,
        controller: &str,
        urls: &[String],
        told: RequestState,
    ) -> Result<(), EngineError> {
        let now = self.clock.now();
        let rows: Vec<StatusCallback> = urls
            .iter()
            .zip(0_u16..)
            .map(|(url, n)| StatusCallback {
                request_id: request,
                n,
                controller: controller.to_owned(),
                url: url.clone(),
                told,
                tries: 0,
                // It may have moved since it was committed.
                due: now,
            })
            .collect();
        Ok(self.store.add_status_callbacks(&rows).await?)
    }

    /// The addresses at which something may have to be told, taken for a while.
    pub async fn take_callbacks(&self, limit: u32) -> Result<Vec<DueCallback>, EngineError> {
        let now = self.clock.now();
        let rows = self
            .store
            .take_status_callbacks(now, now.plus(LEASE), limit)
            .await?;
        let mut ids: Vec<RequestId> = rows.iter().map(|row| row.request_id).collect();
        ids.sort_unstable();
        ids.dedup();
        let requests = self.requests(&ids).await?;
        let due = rows.into_iter().map(|row| DueCallback {
            request: requests
                .iter()
                .find(|request| request.id == row.request_id)
                .cloned(),
            row,
        });
        Ok(due.collect())
    }

    /// Writes down what came of it. The end is told once, or tried for long enough: then the address is forgotten.
    pub async fn callback_done(
        &self,
        mut row: StatusCallback,
        done: Option<Told>,
    ) -> Result<(), EngineError> {
        let is_end = |state| matches!(state, RequestState::Completed | RequestState::Cancelled);
        let key = (row.request_id, row.n);
        let due = match done {
            // Its request is gone.
            None => return Ok(self.store.drop_status_callbacks(&[key]).await?),
            Some(Told::Yes(state)) if is_end(state) => {
                return Ok(self.store.drop_status_callbacks(&[key]).await?);
            }
            Some(Told::Yes(state)) => {
                (row.told, row.tries) = (state, 0);
                None
            }
            Some(Told::Not(state)) => {
                row.tries += 1;
                if row.tries >= TRIES {
                    tracing::warn!(
                        request = %row.request_id,
                        controller = row.controller,
                        state = state.as_str(),
                        tries = row.tries,
                        "a controller could not be told how its request stands, and has to ask"
                    );
                    if is_end(state) {
                        return Ok(self.store.drop_status_callbacks(&[key]).await?);
                    }
                    (row.told, row.tries) = (state, 0);
                    None
                } else {
                    let pause = FIRST_PAUSE * 4_u32.pow(row.tries - 1);
                    Some(self.clock.now().plus(pause))
                }
            }
        };
        Ok(self.store.keep_status_callback(&row, due).await?)
    }
}
