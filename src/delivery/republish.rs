//! Republishing: what may not have been produced is produced again, as it is true now. After a crash between commit and
//! produce, and for what stands in the outbox.
//!
//! No decision is taken: the gates are looked at again under the lock, and what is dispatched by then is sent once more.

use crate::{
    domain::{
        ids::RequestId,
        registry::{Lane, Registry},
        request::Request,
        task::TaskState,
    },
    engine::{Engine, EngineError, effects::Effects},
    store::Origin,
};

/// Where these requests stand, what their processors were asked, and which of these messages were dead-lettered.
pub async fn republish(
    engine: &Engine,
    ids: &[RequestId],
    origins: &[Origin],
) -> Result<Effects, EngineError> {
    let active = engine.active()?;
    engine
        .current(ids, origins, |request| {
            to_be_sent_again(request, &active.registry)
        })
        .await
}

/// The tasks of a request whose dispatch nobody but the relay answers for. One whose processor is no longer registered was
/// dispatched on the lane that it had.
fn to_be_sent_again(request: &Request, registry: &Registry) -> Vec<u16> {
    let is_relayed = |ordinal: &u16| {
        let task = request.task(*ordinal);
        let lane = registry.get(&task.processor).map(|processor| processor.lane());
        matches!(task.state, TaskState::Dispatched { .. })
            && match lane {
                Some(Lane::Relayed) | None => true,
                // A task of a Kafka lane with a rate is claimed and then sent like any other. Where the same twice does
                // harm, only a question may be sent again: its answer is missing then, and it is asked about.
                Some(Lane::Queued) => registry
                    .get(&task.processor)
                    .is_some_and(|one| one.is_on_kafka() && (one.idempotent || task.purpose.only_asks())),
                Some(Lane::Claimed | Lane::Polled) => false,
            }
    };
    request.ordinals().filter(is_relayed).collect()
}
