//! One send: it waits for its turn in its lane, and says what came of it.

use std::{future::Future, sync::Arc};

use tracing::Instrument as _;

use super::{answers::Answered, lane::RunningLane};
use crate::{
    clock::Stopwatch,
    domain::registry::Processor,
    engine::{Engine, effects::TaskDispatch},
    telemetry::traces::{CallSpan, Called, Traces, trace_id_of},
    transport::sender::Sender,
};

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
    mut task: TaskDispatch,
    engine: &Engine,
) -> impl Future<Output = Sent> + Send + 'static {
    let (waiting, within) = lane.times(engine.queues().lease());
    let traces = engine.traces().cloned();
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
        let traced = begin(traces.as_deref(), &processor, &mut task);
        let log = log_span(&task);
        let started = Stopwatch::start();
        let reply = sender.send(&processor, &task, within).instrument(log).await;
        drop((turn, claimed));
        let answered = Box::new(Answered {
            task,
            reply,
            took: started.elapsed(),
        });
        if let Some(traced) = traced {
            traced.end(answered.failure());
        }
        Sent::Answered(answered)
    }
}

/// Begins the span of a call, which the call carries from now on. A task that belongs to no trace costs nothing.
fn begin(traces: Option<&Traces>, processor: &Processor, task: &mut TaskDispatch) -> Option<CallSpan> {
    let parent = task.trace.as_deref()?;
    let called = Called {
        request: task.request(),
        processor: task.processor.as_str(),
        attempt: task.attempt,
        parent,
    };
    let span = traces?.call(processor.transport.kind(), called)?;
    task.trace = Some(span.traceparent());
    Some(span)
}

/// What lines of the log say of a call that belongs to a trace.
fn log_span(task: &TaskDispatch) -> tracing::Span {
    match task.trace.as_deref().and_then(trace_id_of) {
        Some(trace_id) => tracing::info_span!(
            "call",
            request_id = %task.request(),
            processor = %task.processor,
            trace_id
        ),
        None => tracing::Span::none(),
    }
}
