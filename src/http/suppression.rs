//! The suppression list: whether somebody asked to be erased, for whoever is about to bring data of theirs in again.

use std::sync::Arc;

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Api,
    auth::{By, Submitter},
    body::Payload,
    calls::Calls,
    problem::Problem,
};
use crate::{
    domain::time::At,
    wire::{Rejection, api, schemas::bodies},
};

/// What the list says, in the order in which it was asked.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SuppressionAnswers")]
pub(super) struct Answers {
    items: Vec<SuppressionAnswer>,
}

/// What the list says of one identity. The identity itself is not repeated: answers are logged by others.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SuppressionAnswer")]
struct SuppressionAnswer {
    /// Its place in what was asked.
    index: usize,
    /// Whether its subject asked, in this tenant, for the erasure or anonymization of everything, the request is past its
    /// gates, and they have not come back since.
    suppressed: bool,
    /// When they asked; with several requests, first.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<At>,
}

/// Its call.
pub(super) fn calls() -> Calls {
    Calls::new().post("/v1/suppression/check", check, |call| {
        call.says("Whether people asked to be erased, for whoever is about to bring data of theirs in again")
            .body::<bodies::SuppressionCheckBody>()
            .example("two", r#"{"identities": [{"type": "email", "value": "ann@example.org"}, {"type": "customer_id", "value": "42"}]}"#)
            .answers::<Answers>(200, "What the list says, in the order in which it was asked.")
    })
}

/// `POST /v1/suppression/check`
pub(super) async fn check(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Submitter>,
    Payload(bytes): Payload,
) -> Result<Json<Answers>, Problem> {
    let engine = &api.engine;
    let asked = api::parse_suppression_check(&bytes)?;
    let named = caller.narrow(asked.tenant)?;
    let tenant = match &named {
        Some(tenant) => tenant,
        None => engine
            .only_tenant()
            .await?
            .ok_or_else(|| Rejection::schema("tenant: expected one, because several are served here"))?,
    };
    // Nobody of a misspelt tenant is suppressed, which must not clear a whole import.
    engine.intake().check_served(tenant)?;
    let found = engine.suppressed_since(tenant, &asked.identities).await?;
    let items = found
        .into_iter()
        .enumerate()
        .map(|(index, since)| SuppressionAnswer {
            index,
            suppressed: since.is_some(),
            since,
        });
    Ok(Json(Answers {
        items: items.collect(),
    }))
}
