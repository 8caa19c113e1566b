//! Acks over HTTP: the same messages as on the topic, from the task's own processor only.

use std::sync::Arc;

use axum::{Json, extract::State, http::HeaderMap};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Api,
    auth::{By, Processor},
    batch::Work,
    body::Payload,
    calls::Calls,
    problem::Problem,
    requests::traced,
};
use crate::{
    domain::words::DeadLetterReason,
    engine::{
        Engine, EngineError,
        effects::Effects,
        prepare::{Arrival, PreparedAck},
        settlement::AckVerdict,
        traced::end_spans,
    },
    wire::{Envelope, Rejection, ack::AckMessage, parse_ack},
};

/// Settles acks.
pub(super) struct Acks(Arc<Engine>);

impl Acks {
    pub(super) fn new(engine: &Arc<Engine>) -> Self {
        Self(Arc::clone(engine))
    }
}

impl Work for Acks {
    type Item = Arrival<PreparedAck>;
    type Outcome = AckVerdict;

    async fn take(&self, items: &[Self::Item]) -> Result<(Vec<AckVerdict>, Effects), EngineError> {
        let spans = self.0.begin_spans("settle", items);
        let mut settled = self.0.settlement().settle(items).await;
        end_spans(spans, settled.as_mut().ok().map(|settled| &mut settled.emission));
        let settled = settled?;
        Ok((settled.verdicts, settled.emission))
    }
}

/// Its call.
pub(super) fn calls() -> Calls {
    Calls::new().post("/v1/acks", take, |call| {
        call.says("Answers a task")
            .details("The same message as on the topic of acks. A processor answers its own tasks only.")
            .body::<AckMessage<'_>>()
            .example("erased", include_str!("../../schemas/examples/ack.erased.json"))
            .example(
                "retained",
                include_str!("../../schemas/examples/ack.retained.json"),
            )
            .answers::<Counted>(200, "The answer was counted, now or before.")
            .problem(
                403,
                "forged_ack",
                "The token is not the task's, or the processor is not the bearer's.",
            )
            .problem(
                404,
                "unknown_task",
                "There is no such task, or it belongs to another request.",
            )
            .problem(
                409,
                "stale_ack",
                "Another attempt or generation is the current one, or another outcome was settled.",
            )
    })
}

/// What became of an answer.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Counted {
    /// `counted`, or `repeated`: the same was said before.
    result: &'static str,
}

/// `POST /v1/acks`
pub(super) async fn take(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Processor>,
    headers: HeaderMap,
    Payload(bytes): Payload,
) -> Result<Json<Counted>, Problem> {
    let engine = &api.engine;
    let ack = parse_ack(&bytes, &Envelope::bare(&engine.tenant_default))?;
    if !caller.answers_for(&ack.processor) {
        // As on the topic: what comes from somebody else is not counted under the processor's name.
        engine.metrics.ack("", DeadLetterReason::ForgedAck.as_str());
        return Err(Rejection::new(
            DeadLetterReason::ForgedAck,
            "processor: expected the bearer's own",
        )
        .into());
    }
    let arrival = traced(
        engine,
        Arrival::of_call(engine.settlement().prepare_ack(ack)?),
        &headers,
    );
    match api.acks.take(arrival).await? {
        AckVerdict::Counted { .. } => Ok(Json(Counted { result: "counted" })),
        AckVerdict::Repeated => Ok(Json(Counted { result: "repeated" })),
        AckVerdict::Rejected(rejection) => Err(rejection.into()),
    }
}
