//! `POST /v1/processors/{id}/backfill`: a processor that was registered later is offered requests.

use std::sync::Arc;

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Api,
    auth::{By, Operator},
    body::Payload,
    calls::Calls,
    problem::Problem,
    query::Lane,
};
use crate::{
    domain::{ids::ProcessorId, time::At},
    engine::operations::backfill::{Backfill, BackfillStep, Backfilled},
    wire::api::{self, BackfillAsked},
};

/// What came of it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "BackfillAnswer")]
pub(super) struct BackfillAnswer {
    processor: ProcessorId,
    since: Option<At>,
    dry_run: bool,
    #[serde(flatten)]
    done: Backfilled,
}

/// Its call.
pub(super) fn calls() -> Calls {
    Calls::new().post("/v1/processors/{id}/backfill", backfill, |call| {
        call.says("Offers requests to a processor that was registered later")
            .details("Asked twice, it changes nothing. With `dry_run` it only counts.")
            .optional_body::<BackfillAsked>()
            .answers::<BackfillAnswer>(200, "What was offered, and what cannot be offered any more.")
    })
}

/// `POST /v1/processors/{id}/backfill`
pub(super) async fn backfill(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Operator>,
    Lane(processor): Lane,
    Payload(bytes): Payload,
) -> Result<Json<BackfillAnswer>, Problem> {
    // It is about every tenant's requests.
    caller.check_unlimited()?;
    let BackfillAsked { since, dry_run } = api::parse_backfill(&bytes)?;
    let asked = Backfill {
        processor,
        since,
        dry_run,
    };
    let mut step = BackfillStep::default();
    while !step.is_over {
        let emission = api
            .engine
            .operations()
            .backfill(&asked, &caller.name, &mut step)
            .await?;
        api.outputs.hand_over(emission).await;
    }
    Ok(Json(BackfillAnswer {
        processor: asked.processor,
        since,
        dry_run,
        done: step.done,
    }))
}
