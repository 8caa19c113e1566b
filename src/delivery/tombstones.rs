//! The last records of compacted keys, until it is confirmed that they are true.

use super::DeliveryError;
use crate::{
    engine::{Engine, effects::Tombstones},
    transport::{Manner, Transport},
};

/// The last records of keys are confirmed. What has become another truth meanwhile is corrected; the rows that remember
/// them go when that is confirmed as well, or are repeated later.
pub(super) async fn confirm(
    engine: &Engine,
    transport: &dyn Transport,
    tombstones: Tombstones,
) -> Result<(), DeliveryError> {
    let mut corrected = tombstones.clone();
    while !corrected.suppressed.is_empty() || !corrected.gone.is_empty() {
        let correction = engine.corrections(&corrected).await?;
        if correction.effects.is_empty() {
            break;
        }
        let sent = transport.send(&correction.effects, Manner::AtOnce).await?;
        if !sent.failures().await.is_empty() {
            tracing::warn!(
                records = correction.effects.len(),
                "the last records of some keys were not confirmed"
            );
            return Ok(());
        }
        corrected = correction.tombstones;
    }
    Ok(engine.tombstones_confirmed(&tombstones).await?)
}
