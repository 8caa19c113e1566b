//! What a stage notes about positions beside taking messages in: that a partition holds nothing more, and that its log is not the
//! one that was taken in.

use std::{collections::HashMap, sync::Arc};

use super::assignment::Assignment;
use crate::{
    engine::{
        EngineError,
        prepare::{Arrival, Names},
    },
    store::{Noted, Origin, PositionNote, Seen},
};

impl Assignment {
    /// Drops reports about partitions that are not read, and moves positions over what holds no message: what marks the end
    /// of a transaction has an offset as well, and will be removed as everything is.
    pub async fn take_reports(&self, mut seen: Vec<Seen>) -> Result<Vec<Seen>, EngineError> {
        let (mut notes, mut moved) = (Vec::new(), HashMap::new());
        let mut begun = Vec::new();
        seen.retain(|seen| {
            let Some(state) = self.states.read(&seen.topic, seen.partition) else {
                return false;
            };
            if !state.has_position && seen.next > 0 {
                begun.push(seen.clone());
            }
            if state.has_position && seen.next > state.next {
                notes.push(PositionNote {
                    cluster: Arc::clone(&seen.cluster),
                    topic: Arc::clone(&seen.topic),
                    partition: seen.partition,
                    incarnation: state.incarnation,
                    noted: Noted::PassedOver {
                        from: state.next,
                        to: seen.next,
                    },
                });
                moved.insert((Arc::clone(&seen.topic), seen.partition), seen.next);
            }
            true
        });
        if !notes.is_empty() {
            self.engine.note_positions(&notes).await?;
            // Not before the store has it: what the store says is held against this.
            self.states.advance(&moved);
        }
        if !begun.is_empty() {
            // Nothing has been taken in of them, so nothing has to be confirmed first. Where nothing ever is, as in a topic whose
            // events are all passed over, the position has to move on all the same.
            self.engine.seen(&begun).await?;
            let key = |seen: &Seen| ((Arc::clone(&seen.topic), seen.partition), seen.next);
            self.states.advance(&begun.iter().map(key).collect());
        }
        Ok(seen)
    }

    /// Whether one of these replays is unknown to the store: then its log is another one, and is read no further.
    pub async fn has_strays<T: Names>(&self, replays: &[Arrival<T>]) -> Result<bool, EngineError> {
        let mut notes = Vec::new();
        for stray in self.engine.strays(replays).await? {
            let Origin {
                cluster,
                topic,
                partition,
                offset,
                incarnation,
            } = stray.origin;
            self.engine.metrics.stray(&topic);
            tracing::error!(
                stage = self.stage, %topic, partition, offset,
                "a message before the position is one that the store does not know"
            );
            if stray.is_valid {
                notes.push(PositionNote {
                    cluster,
                    topic,
                    partition,
                    incarnation,
                    noted: Noted::Stray(offset),
                });
            }
        }
        if notes.is_empty() {
            return Ok(false);
        }
        self.engine.note_positions(&notes).await?;
        Ok(true)
    }
}
