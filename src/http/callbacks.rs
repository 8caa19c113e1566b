//! Callbacks of processors that speak OpenDSR. They have no bearer token: the signature is the proof.
//!
//! Nothing of a callback is looked at before its signature is verified, and what it then says goes through the same
//! settlement as acks. Whoever sends what is not believed learns why, and changes nothing.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Api, body::Payload, calls::Calls, problem::Problem};
use crate::{
    domain::{
        ids::{ProcessorId, RequestId, TaskId},
        registry::{OpenDsr, Transport},
        words::DeadLetterReason,
    },
    engine::{prepare::Arrival, settlement::AckVerdict},
    transport::opendsr::{NotBelieved, controller::Controller},
    wire::opendsr::WrongAnswer,
};

/// What the path names.
type Named = (String, Uuid, Uuid, u32);

/// Its call.
pub(super) fn calls() -> Calls {
    let path = "/v1/callbacks/opendsr/{processor}/{request_id}/{task_id}/{generation}";
    Calls::new().post(path, take, |call| {
        call.says("Takes a callback of a processor that speaks OpenDSR")
            .details("It needs no bearer token: the signature is the proof. Its URL is in the request that the processor was sent.")
            .body::<serde_json::Map<String, Value>>()
            .answers::<HashMap<String, String>>(202, "It was believed, and counted.")
            .problem(403, "forged_ack", "The signature is not the processor's, or it speaks of another request.")
            .problem(404, "unknown_task", "There is no such task.")
    })
}

/// `POST /v1/callbacks/opendsr/{processor}/{request_id}/{task_id}/{generation}`
pub(super) async fn take(
    State(api): State<Arc<Api>>,
    path: Result<Path<Named>, axum::extract::rejection::PathRejection>,
    headers: HeaderMap,
    Payload(bytes): Payload,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let unknown = || Problem::unknown("task");
    let Path((processor, request, task, generation)) = path.map_err(|_| unknown())?;
    let processor = ProcessorId::new(&processor).map_err(|_| unknown())?;
    let opendsr = registered(&api, &processor)?;
    let controller: &Controller = api.controller.as_deref().ok_or_else(unknown)?;
    let believed = controller
        .believe_callback(&processor, &opendsr, &headers, &bytes)
        .await;
    believed.map_err(|why| refused(&api, &why))?;
    let named = (RequestId(request), TaskId(task), generation);
    let about = api
        .engine
        .spoken_of(&processor, named)
        .await?
        .ok_or_else(unknown)?;
    let heard = controller.hear_callback(&opendsr, &about, &bytes);
    let Some(ack) = heard.map_err(|why| wrong(&why))? else {
        return Ok(taken("repeated"));
    };
    let arrival = Arrival::of_call(api.engine.settlement().prepare_ack(ack)?).traced(about.trace.as_deref());
    match api.acks.take(arrival).await? {
        AckVerdict::Counted { .. } => Ok(taken("counted")),
        AckVerdict::Repeated => Ok(taken("repeated")),
        // It is genuine, and too late to change anything: the processor has nothing to do about it.
        AckVerdict::Rejected(rejection) if rejection.reason == DeadLetterReason::StaleAck => {
            Ok(taken("stale"))
        }
        AckVerdict::Rejected(rejection) => Err(rejection.into()),
    }
}

/// What the specification's guide answers with.
fn taken(result: &str) -> (StatusCode, Json<Value>) {
    (StatusCode::ACCEPTED, Json(json!({ "result": result })))
}

fn registered(api: &Api, id: &ProcessorId) -> Result<OpenDsr, Problem> {
    let active = api.engine.active()?;
    match active.registry.get(id).map(|processor| &processor.transport) {
        Some(Transport::OpenDsr(opendsr)) => Ok(opendsr.clone()),
        _ => Err(Problem::unknown("processor that speaks OpenDSR")),
    }
}

fn refused(api: &Api, why: &NotBelieved) -> Problem {
    // As on the topic: what comes from somebody else is not counted under the processor's name.
    api.engine.metrics.ack("", DeadLetterReason::ForgedAck.as_str());
    match why {
        // Whether it is genuine nobody knows yet.
        NotBelieved::NoCertificate(_) => Problem::unavailable(&why.to_string()),
        _ => Problem::new(StatusCode::FORBIDDEN, "forged_ack", why.to_string()),
    }
}

fn wrong(why: &WrongAnswer) -> Problem {
    match why {
        WrongAnswer::OtherAddress | WrongAnswer::OtherRequest => {
            Problem::new(StatusCode::FORBIDDEN, "forged_ack", why.to_string())
        }
        _ => Problem::new(StatusCode::BAD_REQUEST, "schema", why.to_string()),
    }
}
