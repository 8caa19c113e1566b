//! One send: it waits for its turn in its lane, and says what came of it.

use std::{future::Future, sync::Arc, time::Duration};

use super::{answers::Answered, lane::RunningLane};
use crate::{clock::Stopwatch, engine::effects::TaskDispatch, transport::sender::Sender};

/// What came of a task that was claimed.
#[derive(Debug)]
pub(super) enum Sent {
    /// It was sent.
    Answered(Box<Answered>),
    /// It certainly was not.
    NotSent(Box<TaskDispatch>),
}

/// Sends a task of a lane. What has waited for so long that the lease could end before its answer is not sent any more.
pub(super) fn send(
    lane: &RunningLane,
    sender: Arc<dyn Sender>,
    task: TaskDispatch,
    lease: Duration,
) -> impl Future<Output = Sent> + Send + 'static {
    let (waiting, within) = lane.times(lease);
    let (processor, stop) = (Arc::clone(&lane.processor), lane.stop.clone());
    let sending = Arc::clone(&lane.sending);
    // Taken before anything else is claimed for this lane.
    let claimed = Arc::clone(&lane.claimed).try_acquire_owned();
    async move {
        let turn = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            turn = tokio::time::timeout(waiting, sending.acquire_owned()) => turn.ok().and_then(Result::ok),
        };
        if turn.is_none() || stop.is_cancelled() {
            return Sent::NotSent(Box::new(task));
        }
        let started = Stopwatch::start();
        let reply = sender.send(&processor, &task, within).await;
        drop((turn, claimed));
        Sent::Answered(Box::new(Answered {
            task,
            reply,
            took: started.elapsed(),
        }))
    }
}
