//! Looks at personal data: the identifiers of a request, the original of a dead letter. Each takes the right `identifiers`, and the
//! ledger says who has looked before anything is shown.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderName, StatusCode, header},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::{
    Api,
    auth::{By, Caller, Person},
    calls::Calls,
    problem::Problem,
    query::Id,
};
use crate::{
    domain::{identity::Identity, ids::RequestId},
    engine::disclosures::{NotShown, Shown},
    view::dead_letter::why_without_payload,
};

/// The calls.
pub(super) fn calls() -> Calls {
    const RIGHT: &str =
        "It takes the right `identifiers`. The ledger says who has looked before anything is shown.";
    Calls::new()
        .post("/v1/requests/{id}/identifiers", identifiers, |call| {
            call.says("Shows whom a request is about")
                .details(RIGHT)
                .answers::<Identifiers>(200, "The identifiers.")
                .problem(409, "forgotten", "They can be read by nobody any more.")
        })
        .post("/v1/dead-letters/{id}/original", original, |call| {
            call.says("Shows a dead letter as it came")
                .details(RIGHT)
                .answers::<Original>(200, "The message.")
                .problem(409, "not_kept", "Nothing is kept of what it said.")
        })
}

/// What is shown is kept by nobody on the way.
const NO_STORE: [(HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];

/// Whom a request is about.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Identifiers {
    request_id: RequestId,
    identities: Vec<Identity>,
    /// Under which id the ledger says that somebody has looked; its events are those of a request.
    ledger_entry: RequestId,
}

/// A message as it came.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Original {
    id: Uuid,
    /// `utf-8`, or `base64` where it is no text.
    encoding: &'static str,
    original: String,
    /// Under which id the ledger says that somebody has looked.
    ledger_entry: RequestId,
}

/// `POST /v1/requests/{id}/identifiers`
pub(super) async fn identifiers(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Person>,
    Id(id): Id<RequestId>,
) -> Result<([(HeaderName, &'static str); 1], Json<Identifiers>), Problem> {
    let Shown { what, ledger_entry } = identities_of(&api, &caller, id).await?;
    let shown = Identifiers {
        request_id: id,
        identities: what,
        ledger_entry,
    };
    Ok((NO_STORE, Json(shown)))
}

/// `POST /v1/dead-letters/{id}/original`
pub(super) async fn original(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Person>,
    Id(id): Id<Uuid>,
) -> Result<([(HeaderName, &'static str); 1], Json<Original>), Problem> {
    let Shown { what, ledger_entry } = original_of(&api, &caller, id).await?;
    let (encoding, original) = match String::from_utf8(what) {
        Ok(text) => ("utf-8", text),
        Err(bytes) => ("base64", BASE64_STANDARD.encode(bytes.into_bytes())),
    };
    let shown = Original {
        id,
        encoding,
        original,
        ledger_entry,
    };
    Ok((NO_STORE, Json(shown)))
}

/// The identifiers of a request, for a caller who may see them.
pub(super) async fn identities_of(
    api: &Api,
    caller: &Caller,
    id: RequestId,
) -> Result<Shown<Vec<Identity>>, Problem> {
    api.gatekeeper.check_identifiers(caller)?;
    caller.check_request(&api.engine, id).await?;
    let shown = api.engine.show_identities(id, &caller.name).await;
    shown.map_err(|error| not_shown(error, "request"))
}

/// The bytes of a dead letter, for a caller who may see them.
pub(super) async fn original_of(api: &Api, caller: &Caller, id: Uuid) -> Result<Shown<Vec<u8>>, Problem> {
    api.gatekeeper.check_identifiers(caller)?;
    // A message that could not be taken in has no tenant.
    caller.check_unlimited()?;
    let shown = api.engine.show_letter(id, &caller.name).await;
    let Shown { what, ledger_entry } = shown.map_err(|error| not_shown(error, "dead letter"))?;
    let (_, plain) = what;
    Ok(Shown {
        what: plain.to_vec(),
        ledger_entry,
    })
}

fn not_shown(error: NotShown, what: &str) -> Problem {
    match error {
        NotShown::Unknown => Problem::unknown(what),
        NotShown::Forgotten => Problem::new(
            StatusCode::CONFLICT,
            "forgotten",
            "the identifiers of this request can be read by nobody any more: their key was deleted when the last system had proved \
             its erasure, or they are kept for a restore only",
        ),
        NotShown::NotKept(letter) => Problem::new(
            StatusCode::CONFLICT,
            "not_kept",
            format!("the message itself is not here: {}", why_without_payload(&letter)),
        ),
        NotShown::Engine(error) => error.into(),
    }
}
