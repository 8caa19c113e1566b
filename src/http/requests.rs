//! Commands over HTTP: taken in together with whatever comes at the same time, answered with where they stand.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};

use schemars::JsonSchema;

use super::{
    Api,
    auth::{By, Caller, Compliance, Submitter},
    batch::Work,
    body::Payload,
    calls::Calls,
    problem::Problem,
    query::Id,
    repeats::{self, idempotency_key},
    unreadable::count_unreadable,
};
use crate::{
    domain::{
        command::Command,
        ids::{CommandId, RequestId, Tenant},
        request::Request,
        words::DeadLetterReason,
    },
    engine::{
        Engine, EngineError,
        effects::{Effects, StatusUpdate},
        intake::Verdict,
        operations,
        prepare::{Arrival, PreparedCommand},
        time_ordered_id,
        traced::end_spans,
    },
    wire::{
        Channel, Envelope, Message, Rejection, api, command_id_of_caller, envelope, schemas::bodies,
        status::StatusMessage,
    },
};

/// Takes commands in.
pub(super) struct Commands(Arc<Engine>);

/// What became of a command.
pub(super) enum SubmitOutcome {
    /// It was taken in, now or before; with the request's status, where the transaction has changed it.
    Taken(RequestId, Option<Bytes>),
    /// It was not.
    Rejected(Rejection),
}

impl Commands {
    pub(super) fn new(engine: &Arc<Engine>) -> Self {
        Self(Arc::clone(engine))
    }
}

impl Work for Commands {
    type Item = Arrival<PreparedCommand>;
    type Outcome = SubmitOutcome;

    async fn take(&self, items: &[Self::Item]) -> Result<(Vec<SubmitOutcome>, Effects), EngineError> {
        let spans = self.0.begin_spans("intake", items);
        let mut taken = self.0.intake().take_in(items).await;
        end_spans(spans, taken.as_mut().ok().map(|taken| &mut taken.emission));
        let taken = taken?;
        let statuses: HashMap<RequestId, &StatusUpdate> = taken
            .emission
            .statuses()
            .map(|status| (status.id, status))
            .collect();
        let answers = taken.verdicts.into_iter().map(|verdict| match verdict {
            Verdict::Taken(id) | Verdict::Duplicate(id) | Verdict::Waiting(id) => {
                // One that cannot be written is read from the store, and fails there.
                let status = statuses
                    .get(&id)
                    .map(|status| serde_json::to_vec(&status.message));
                SubmitOutcome::Taken(id, status.and_then(Result::ok).map(Bytes::from))
            }
            Verdict::Rejected(rejection) => SubmitOutcome::Rejected(rejection),
        });
        Ok((answers.collect(), taken.emission))
    }
}

/// The calls.
pub(super) fn calls() -> Calls {
    Calls::new()
        .post("/v1/requests", submit, |call| {
            call.says("Takes in a command")
                .details(
                    "As on the topic of commands, also as a CloudEvent in binary or structured mode. `Idempotency-Key` serves as \
                     `command_id` where that is absent. The answer to a repeat is that to the first one.",
                )
                .repeatable()
                .body::<bodies::SubmittedCommand>()
                .example("erase", include_str!("../../schemas/examples/command.erase.json"))
                .example("anonymize", include_str!("../../schemas/examples/command.anonymize.json"))
                .example("cancel", include_str!("../../schemas/examples/command.cancel.json"))
                .answers::<Submitted>(202, "It was taken in, now or before: where its request stands.")
                .located()
                .problem(403, "not_allowed", "Commands of this type have a call of their own.")
                .problem(404, "not_found", "The request that it names is not one of the bearer's.")
                .problem(404, "unknown_request", "There is no such request.")
                .problem(409, "conflicting_duplicate", "The same id came before with another content.")
                .problem(409, "irreversible", "Something was sent, and cannot be called back.")
                .problem(409, "wrong_state", "The request's state does not allow it.")
                .problem(422, "unknown_type", "The type is not one of commands.")
                .problem(422, "no_processor", "It concerns no registered processor.")
                .problem(422, "wrong_region", "It is for another region.")
                .problem(422, "expired", "It is older than what is remembered of commands.")
        })
        .post("/v1/requests/{id}/cancel", cancel, |call| {
            call.says("Withdraws a request before anything was sent")
                .repeatable()
                .optional_body::<bodies::ReasonBody>()
                .answers::<StatusMessage<'_>>(200, "It is cancelled.")
                .problem(409, "irreversible", "Something was sent, and cannot be called back.")
                .problem(409, "wrong_state", "The request's state does not allow it.")
                .problem(409, "conflicting_duplicate", "The same key came before with another content.")
        })
}

/// What became of a command.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes what is written without it")]
enum Submitted {
    /// Where its request stands.
    Request {
        #[serde(flatten)]
        status: Box<StatusMessage<'static>>,
        /// What its sender should look at again.
        #[serde(skip_serializing_if = "Option::is_none")]
        warnings: Option<Vec<String>>,
    },
    /// It is about a person, and names no request.
    Person {
        /// The command.
        command_id: CommandId,
    },
}

/// `POST /v1/requests`
pub(super) async fn submit(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Submitter>,
    headers: HeaderMap,
    Payload(bytes): Payload,
) -> Result<Response, Problem> {
    let engine = &api.engine;
    let tenant_default = caller.tenant_or(&engine.tenant_default);
    let mut message = message_of(&headers, &bytes, &caller, tenant_default)?;
    make_id(&mut message.envelope, engine);
    let mut prepared = engine
        .intake()
        .prepare_command(&message.payload, &message.envelope, Channel::Http)
        .inspect_err(|rejection| count_unreadable(engine, rejection))?;
    caller.check(prepared.command.tenant())?;
    admit(engine, &caller, &mut prepared.command).await?;
    let returned = matches!(prepared.command, Command::Reactivated(_));
    let names_processors = names_processors(&prepared.command);
    let warned = engine.intake().warnings_of_types(&prepared.command);
    let arrival = traced(engine, Arrival::of_call(prepared), &headers);
    match api.commands.take(arrival).await? {
        // It is about a person and names no request.
        SubmitOutcome::Taken(id, _) if returned => Ok((
            StatusCode::ACCEPTED,
            Json(serde_json::json!({ "command_id": id })),
        )
            .into_response()),
        SubmitOutcome::Taken(id, status) => {
            let status = match status {
                Some(status) => status,
                None => status_of(engine, id).await?,
            };
            let status = if names_processors || !warned.is_empty() {
                with_warnings(engine, id, status, warned).await?
            } else {
                status
            };
            let location = format!("/v1/requests/{id}");
            let headers = [
                (header::LOCATION, location.as_str()),
                (header::CONTENT_TYPE, "application/json"),
            ];
            Ok((StatusCode::ACCEPTED, headers, status).into_response())
        }
        SubmitOutcome::Rejected(rejection) => Err(rejection.into()),
    }
}

/// Whether this caller may give this command. Whoever opens a request is its submitter.
async fn admit(engine: &Engine, caller: &Caller, command: &mut Command) -> Result<(), Problem> {
    match command {
        Command::Open(opening) => opening.submitter = Some(caller.name.clone()),
        // Who sees only its own requests withdraws no others either.
        Command::Cancel(cancel) => {
            caller.check_command(engine, cancel.request_id, "cancel").await?;
            if caller.sees_only_its_own() && !is_own(engine, cancel.request_id, &caller.name).await? {
                return Err(Problem::unknown("request"));
            }
        }
        // The caller says it of a subject, and it only ever keeps data.
        Command::Reactivated(_) => {}
        // None of them comes in this way: they have a call of their own, and another role.
        Command::Hold(_) | Command::Release(_) | Command::Decide(_) | Command::Supply(_) => {
            return Err(
                Rejection::new(DeadLetterReason::NotAllowed, "type: belongs to a call of its own").into(),
            );
        }
    }
    Ok(())
}

/// `POST /v1/requests/{id}/cancel`
pub(super) async fn cancel(
    State(api): State<Arc<Api>>,
    By { caller, .. }: By<Compliance>,
    Id(id): Id<RequestId>,
    headers: HeaderMap,
    Payload(bytes): Payload,
) -> Result<Response, Problem> {
    let request = withdraw(&api, id, &headers, &caller, &bytes).await?;
    Ok(Json(api.engine.status_of(&request)).into_response())
}

/// Withdraws a request, whichever channel the decision came through; the request as it is then.
pub(super) async fn withdraw(
    api: &Api,
    id: RequestId,
    headers: &HeaderMap,
    caller: &Caller,
    bytes: &[u8],
) -> Result<Request, Problem> {
    let reason =
        api::parse_reason(bytes).inspect_err(|rejection| count_unreadable(&api.engine, rejection))?;
    caller.check_command(&api.engine, id, "cancel").await?;
    let once = repeats::of_request(api, caller, headers, ("cancel", id), bytes).await?;
    let by = operations::By::with_key(&caller.name, once.as_ref());
    let done = api
        .engine
        .operations()
        .cancel_request(id, by, reason.as_deref())
        .await;
    let (request, emission) = match done {
        Ok(done) => done,
        Err(error) => return Err(repeats::in_state_of_request(api, id, error).await),
    };
    api.outputs.hand_over(emission).await;
    Ok(request)
}

/// Whether this bearer has submitted the request.
pub(super) async fn is_own(engine: &Engine, id: RequestId, name: &str) -> Result<bool, Problem> {
    Ok(engine.submitter(id).await?.as_deref() == Some(name))
}

async fn status_of(engine: &Engine, id: RequestId) -> Result<Bytes, Problem> {
    let request = engine
        .request(id)
        .await?
        .ok_or_else(|| Problem::unknown("request"))?;
    Ok(serde_json::to_vec(&engine.status_of(&request))
        .map_err(EngineError::from)?
        .into())
}

fn names_processors(command: &Command) -> bool {
    let Command::Open(opening) = command else {
        return false;
    };
    !opening.exclude.is_empty() || !opening.scope.processors.is_empty()
}

/// A status with what the sender should look at again, where there is something: a misspelt name is seen at once.
async fn with_warnings(
    engine: &Engine,
    id: RequestId,
    status: Bytes,
    warned: Vec<String>,
) -> Result<Bytes, Problem> {
    let (Some(request), Some((_, body))) = (engine.request(id).await?, engine.bodies(&[id]).await?.pop())
    else {
        return Ok(status);
    };
    let mut warnings = engine.with_context(|context| body.warnings(&request, context.registry))?;
    warnings.extend(warned);
    if warnings.is_empty() {
        return Ok(status);
    }
    let mut status: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&status).map_err(EngineError::from)?;
    status.insert("warnings".to_owned(), warnings.into());
    Ok(serde_json::to_vec(&status).map_err(EngineError::from)?.into())
}

/// A command out of its envelope, as on Kafka: an event of CloudEvents in binary or in structured mode, or bare JSON. Its
/// `Idempotency-Key` serves where it has no id of its own.
pub(super) fn message_of<'a>(
    headers: &'a HeaderMap,
    bytes: &'a [u8],
    caller: &Caller,
    tenant_default: &'a Tenant,
) -> Result<Message<'a>, Problem> {
    let attributes = headers.iter().filter_map(|(name, value)| {
        let name = match name.as_str() {
            "ce-id" => "ce_id",
            "ce-source" => "ce_source",
            "ce-type" => "ce_type",
            "ce-specversion" => "ce_specversion",
            name @ ("content-type" | "traceparent") => name,
            _ => return None,
        };
        Some((name, Some(value.as_bytes())))
    });
    let mut message = envelope::open(attributes, Some(bytes), tenant_default)?;
    if let Some(key) = idempotency_key(headers)? {
        let named = api::tenant_of(&message.payload);
        let tenant = named.as_ref().unwrap_or(tenant_default);
        message.envelope.command_id_default = Some(command_id_of_caller(key, &caller.name, tenant));
    }
    Ok(message)
}

/// A call that names nothing by which it could be repeated gets an id made for it: a repeat of it is another command.
pub(super) fn make_id(envelope: &mut Envelope<'_>, engine: &Engine) {
    if envelope.command_id_default.is_none() && envelope.event_id().is_none() {
        envelope.command_id_default = Some(CommandId(time_ordered_id(engine.clock.now())));
    }
}

/// A call's message with the trace that it belongs to, where anybody looks at traces.
pub(super) fn traced<T>(engine: &Engine, arrival: Arrival<T>, headers: &HeaderMap) -> Arrival<T> {
    let parent = headers.get("traceparent").and_then(|parent| parent.to_str().ok());
    arrival.traced(parent.filter(|_| engine.traces().is_some()))
}
