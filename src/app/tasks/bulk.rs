//! Works off changes to many requests, some at a time, so that they never keep what is due from its turn; and fills in what lists need
//! of the requests that an earlier version has written.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::periodic::{Next, Periodic};
use crate::{
    clock::Stopwatch,
    delivery::{DeliveryError, relay::Relay},
    domain::backup::earlier,
    engine::time_ordered_id,
};

/// For how long a worker has a job that is not heard of again: what a dead one held is taken over then.
const LEASE: Duration = Duration::from_secs(30);
/// A turn ends well before its job can be another worker's.
const TURN: Duration = Duration::from_secs(10);
/// For how long what came of a job can be looked up.
const KEPT: Duration = Duration::from_secs(90 * 86_400);
/// How often jobs are looked for that ended so long ago.
const FORGET_EVERY: Duration = Duration::from_secs(3_600);

/// Works jobs off.
pub(in crate::app) struct Bulk {
    relay: Relay,
    owner: Uuid,
    /// Whether requests of an earlier version may lack what lists need.
    unfilled: bool,
    /// Whether the last turn found nothing to do.
    is_idle: bool,
    /// When old jobs were looked for last.
    forgot: Option<Stopwatch>,
}

impl Bulk {
    pub(in crate::app) fn new(relay: Relay) -> Self {
        let owner = time_ordered_id(relay.engine.clock.now());
        Self {
            relay,
            owner,
            unfilled: true,
            is_idle: true,
            forgot: None,
        }
    }

    async fn forget_old(&mut self) -> Result<(), DeliveryError> {
        if self.forgot.is_some_and(|since| since.elapsed() < FORGET_EVERY) {
            return Ok(());
        }
        let engine = &self.relay.engine;
        let before = earlier(engine.trusted_now().await?, KEPT);
        engine.bulk().forget(before).await?;
        self.forgot = Some(Stopwatch::start());
        Ok(())
    }
}

#[async_trait]
impl Periodic for Bulk {
    type Error = DeliveryError;

    fn name(&self) -> &'static str {
        "bulk"
    }

    /// With the size of a turn it bounds how many changes are made a second.
    fn every(&self) -> Duration {
        if self.is_idle {
            Duration::from_secs(1)
        } else {
            Duration::from_millis(200)
        }
    }

    async fn end(&mut self) -> Result<(), DeliveryError> {
        Ok(self.relay.engine.bulk().leave(self.owner).await?)
    }

    async fn turn(&mut self) -> Result<Next, DeliveryError> {
        let engine = &self.relay.engine;
        if self.unfilled {
            self.unfilled = engine.fill_lists().await?;
        }
        let now = engine.trusted_now().await?;
        let Some(mut claimed) = engine.bulk().claim(self.owner, now, now.plus(LEASE)).await? else {
            self.is_idle = !self.unfilled;
            self.forget_old().await?;
            return Ok(Next::Rest);
        };
        self.is_idle = false;
        let turn = Stopwatch::start();
        let mut failed = None;
        loop {
            let may_go_on = turn.elapsed() < TURN
                && !self.relay.shutdown.is_cancelled()
                && engine.bulk().goes_on(&claimed).await?;
            if !may_go_on {
                break;
            }
            match engine.bulk().step(&mut claimed).await {
                Ok(worked) => {
                    if !worked.emission.is_empty() {
                        self.relay.deliver(worked.emission).await?;
                    }
                    if !worked.more {
                        break;
                    }
                }
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        // What was made before a failure is written down.
        engine.bulk().conclude(claimed).await?;
        match failed {
            Some(error) => Err(error.into()),
            None => Ok(Next::Rest),
        }
    }
}
