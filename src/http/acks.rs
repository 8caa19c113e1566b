//! Acks over HTTP: the same messages as on the topic, from the task's own processor only.

use std::sync::Arc;

use axum::{Json, extract::State, http::HeaderMap};
use serde_json::{Value, json};

use super::{
    Api,
    auth::{By, Processor},
    batch::Work,
    body::Payload,
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
    wire::{Envelope, Rejection, parse_ack},
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
    type Answer = AckVerdict;

    async fn take(&self, items: &[Self::Item]) -> Result<(Vec<AckVerdict>, Effects), EngineError> {
        let spans = self.0.begin_spans("settle", items);
        let mut settled = self.0.settlement().settle(items).await;
        end_spans(spans, settled.as_mut().ok().map(|settled| &mut settled.emission));
        let settled = settled?;
        Ok((settled.verdicts, settled.emission))
    }
}

/// `POST /v1/acks`
pub(super) async fn take(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Processor>,
    headers: HeaderMap,
    Payload(bytes): Payload,
) -> Result<Json<Value>, Problem> {
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
        AckVerdict::Counted { .. } => Ok(Json(json!({ "result": "counted" }))),
        AckVerdict::Repeated => Ok(Json(json!({ "result": "repeated" }))),
        AckVerdict::Refused(rejection) => Err(rejection.into()),
    }
}
