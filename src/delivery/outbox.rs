//! The outbox: what was decided without a Kafka message to read again, and that nobody has reported as produced.

use std::time::Duration;

use super::{
    DeliveryError,
    relay::{Delivered, Relay},
    republish::republish,
};
use crate::{
    domain::time::At,
    engine::{early::Expired, effects::Effects},
};

/// What nobody has reported as produced for this long is produced again.
pub const AGE: Duration = Duration::from_secs(30);

/// Produces again what the outbox has remembered since before this time.
pub async fn republish_requests(relay: &Relay, before: At) -> Result<(), DeliveryError> {
    let unproduced = relay.engine.agenda().unproduced(before).await?;
    if unproduced.is_empty() {
        return Ok(());
    }
    tracing::info!(requests = unproduced.len(), "producing what the outbox remembers");
    let mut again = republish(&relay.engine, &unproduced, &[]).await?;
    again.outboxed = true;
    relay.deliver(again).await.map(drop)
}

/// Produces again the last records of keys that were remembered before this time and that nobody has confirmed.
pub async fn republish_tombstones(relay: &Relay, before: At) -> Result<(), DeliveryError> {
    let unconfirmed = relay.engine.unconfirmed_tombstones(before).await?;
    if !unconfirmed.is_empty() {
        relay.deliver(unconfirmed).await?;
    }
    Ok(())
}

/// Dead-letters the commands that have waited in vain for their request at `now`, and repeats the dead letters that were
/// decided before and whose production nobody has reported.
pub async fn dead_letter_early(relay: &Relay, now: At, before: At) -> Result<(), DeliveryError> {
    let engine = &relay.engine;
    deliver_early(relay, engine.retention().expired_unproduced(before).await?).await?;
    loop {
        let expired = engine.retention().expire_early(now).await?;
        let more = expired.more;
        deliver_early(relay, expired).await?;
        if !more || relay.shutdown.is_cancelled() {
            return Ok(());
        }
    }
}

/// Produces the dead letters, and reports them as produced once they are.
async fn deliver_early(relay: &Relay, expired: Expired) -> Result<(), DeliveryError> {
    let Expired {
        origins, emission, ..
    } = expired;
    if !origins.is_empty() && relay.deliver(emission).await? == Delivered::Confirmed {
        relay.engine.retention().expiry_produced(&origins).await?;
    }
    Ok(())
}

/// Whether nobody else can have taken it from the outbox yet, nor can do so before it is on its way.
pub fn is_fresh(emission: &Effects, now: At) -> bool {
    emission
        .decided_at
        .is_none_or(|decided| now.since(decided) < AGE / 2)
}
