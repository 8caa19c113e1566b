//! Tasks that an agent asks for: claimed under the gate, as messages, and answered like any other.
//!
//! A claim that finds nothing waits for a while. What was claimed and does not reach the agent goes back when its lease ends.

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State, http::StatusCode};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    Api,
    auth::{By, Caller, Processor},
    body::Payload,
    calls::Calls,
    lists::raw,
    problem::Problem,
};
use crate::{
    clock::Stopwatch,
    domain::registry::{self, Transport},
    engine::queues::Claimed,
    wire::{
        api::{self, Claim},
        schemas::bodies,
        task::TaskMessage,
    },
};

/// What other workers have put into the queue is looked for so often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Tasks that an agent has claimed.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ClaimedTasks")]
pub(super) struct Handed {
    /// The messages of the tasks, as they are on the topics of others; empty: there is nothing to do now.
    #[schemars(with = "Vec<TaskMessage<'_>>")]
    items: Vec<Box<RawValue>>,
}

/// Its call.
pub(super) fn calls() -> Calls {
    Calls::new().post("/v1/tasks/claim", claim, |call| {
        call.says("Hands out tasks to the agent of a processor")
            .details(
                "For processors with the transport `agent`. A task that is not answered by its `respond_by` is handed out again, \
                 with the next attempt; an answer `accepted` with `expected_by` keeps it for longer.",
            )
            .body::<bodies::ClaimBody>()
            .example(
                "claim",
                r#"{"processor": "shop-db", "limit": 100, "wait_seconds": 20}"#,
            )
            .answers::<Handed>(200, "The tasks; none, where nothing came within `wait_seconds`.")
            .problem(403, "forbidden", "The processor is not the bearer's.")
            .problem(409, "wrong_state", "The tasks of this processor go another way.")
    })
}

/// `POST /v1/tasks/claim`
pub(super) async fn claim(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Processor>,
    Payload(bytes): Payload,
) -> Result<Json<Handed>, Problem> {
    let asked = api::parse_claim(&bytes)?;
    let waited = Stopwatch::start();
    loop {
        // Before it looks, so that what comes meanwhile wakes it.
        let rung = api.engine.queues().rung();
        tokio::pin!(rung);
        rung.as_mut().enable();
        let claimed = claim_now(&api, &caller, &asked).await?;
        let left = asked.wait.saturating_sub(waited.elapsed());
        if !claimed.tasks.is_empty() || left.is_zero() || api.shutdown.is_cancelled() {
            return handed(&api, claimed).await;
        }
        api.outputs.hand_over(claimed.effects).await;
        tokio::select! {
            () = rung => {}
            () = tokio::time::sleep(left.min(LOOK_EVERY)) => {}
            () = api.shutdown.cancelled() => {}
        }
    }
}

async fn claim_now(api: &Api, caller: &Caller, asked: &Claim) -> Result<Claimed, Problem> {
    let active = api.engine.active()?;
    let processor = processor_of(caller, asked, active.registry.get(&asked.processor))?;
    let claimed = api
        .engine
        .queues()
        .claim_for_agent(processor, caller.tenant(), asked.limit as usize)
        .await?;
    Ok(claimed)
}

fn processor_of<'a>(
    caller: &Caller,
    asked: &Claim,
    registered: Option<&'a registry::Processor>,
) -> Result<&'a registry::Processor, Problem> {
    if !caller.answers_for(&asked.processor) {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            "processor: expected the bearer's own",
        ));
    }
    let processor = registered.ok_or_else(|| Problem::unknown("processor"))?;
    if matches!(processor.transport, Transport::Agent) {
        return Ok(processor);
    }
    Err(Problem::new(
        StatusCode::CONFLICT,
        "wrong_state",
        format!(
            "its tasks are not asked for: its transport is {}, not agent",
            processor.transport.kind()
        ),
    ))
}

async fn handed(api: &Api, claimed: Claimed) -> Result<Json<Handed>, Problem> {
    let url = format!("{}/v1/acks", api.public_url);
    let topic = api.engine.ack_topic();
    let items = claimed
        .tasks
        .iter()
        .map(|task| raw(&task.message(topic, Some(&url))));
    let items = items.collect::<Result<Vec<_>, _>>()?;
    api.outputs.hand_over(claimed.effects).await;
    Ok(Json(Handed { items }))
}
