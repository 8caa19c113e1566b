//! Lacuna as a processor of OpenDSR: controllers that speak it post their requests here, and ask how they stand.
//!
//! A request becomes an `erase` command and is taken in like any other; nothing of it is decided here. Answers are signed
//! where `[opendsr]` has a certificate. `encoded_request` gives a controller back what it has sent, and is never kept.

mod described;

use std::sync::Arc;

use axum::{
    Json,
    extract::{FromRequestParts, State},
    http::{HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;

pub(super) use self::described::calls;
use super::{
    Api,
    auth::{By, Caller, Submitter},
    body::Payload,
    problem::Problem,
    query::Id,
    requests::{SubmitOutcome, is_own},
    unreadable::count_unreadable,
};
use crate::{
    domain::{
        command::Command,
        ids::{IdentityType, RequestId},
        registry::{IdentityFormat, OpenDsrDialect, RequestState},
        request::Request,
        words::Status,
    },
    engine::{EngineError, OperateError, operations, prepare::Arrival},
    view::opendsr::{request_state, status_answer},
    wire::{
        Channel, Envelope, Rejection,
        opendsr::{
            API_VERSION, Cancelled, Created, DOMAIN_HEADER, DOMAIN_HEADER_V1, Discovery, ErrorBody,
            SIGNATURE_HEADER, SIGNATURE_HEADER_V1, SubjectRequest, SupportedIdentity, parse_request,
        },
    },
};

/// What is said where callbacks cannot be signed.
const NO_CALLBACKS: &str =
    "not called: this processor has no certificate to sign with; ask for the status instead";

/// Under which names it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// Those of version 1, when it was called OpenGDPR.
    V1,
    /// Those of version 2.
    V2,
}

impl<S: Sync> FromRequestParts<S> for Version {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(if parts.uri.path().starts_with("/opendsr/v1/") {
            Self::V1
        } else {
            Self::V2
        })
    }
}

/// An answer that is no success, as the specification has it.
pub(super) struct Refusal {
    status: StatusCode,
    reason: &'static str,
    message: String,
}

impl Refusal {
    fn new(status: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            reason,
            message: message.into(),
        }
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        let (status, reason, message) = problem.said();
        let status = match status {
            // The specification knows no other answer to a request that cannot be taken.
            StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
            other => other,
        };
        Self::new(status, reason, message)
    }
}

impl From<EngineError> for Refusal {
    fn from(error: EngineError) -> Self {
        Problem::from(error).into()
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Problem::from(rejection).into()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let domain = match self.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "Authorization",
            status if status.is_server_error() => "Server",
            _ => "Validation",
        };
        let body = ErrorBody::new(self.status.as_u16(), domain, self.reason, &self.message);
        let mut response = (self.status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response();
        match self.status {
            StatusCode::UNAUTHORIZED => {
                response
                    .headers_mut()
                    .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                response
                    .headers_mut()
                    .insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            }
            _ => {}
        }
        response
    }
}

/// A controller: a bearer with the role submitter, who sees its own requests.
pub(super) struct Controller(Caller);

impl FromRequestParts<Arc<Api>> for Controller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Refusal> {
        let by = By::<Submitter>::from_request_parts(parts, api).await?;
        Ok(Self(by.caller))
    }
}

/// The id in the path. What is none leads nowhere.
pub(super) struct SubjectRequestId(RequestId);

impl FromRequestParts<Arc<Api>> for SubjectRequestId {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Refusal> {
        let Id(id) = Id::<RequestId>::from_request_parts(parts, api).await?;
        Ok(Self(id))
    }
}

/// `POST /opendsr/v2/requests`
pub(super) async fn submit(
    State(api): State<Arc<Api>>,
    version: Version,
    Controller(caller): Controller,
    body: Result<Payload, Problem>,
) -> Result<Response, Refusal> {
    let Payload(bytes) = body?;
    let engine = &api.engine;
    let active = engine.active()?;
    let known = |kind: &IdentityType| {
        let processors = active.registry.processors.iter();
        processors
            .into_iter()
            .any(|processor| processor.identities.contains(kind))
    };
    let SubjectRequest {
        id: _,
        callbacks,
        command,
    } = parse_request(&bytes, version == Version::V1, known)
        .inspect_err(|rejection| count_unreadable(engine, rejection))?;
    let envelope = Envelope::bare(caller.tenant_or(&engine.tenant_default));
    let mut prepared = engine
        .intake()
        .prepare_command(&command, &envelope, Channel::Http)
        .map_err(in_their_words)
        .inspect_err(|rejection| count_unreadable(engine, rejection))?;
    if let Command::Open(opening) = &mut prepared.command {
        opening.submitter = Some(caller.name.clone());
    }
    let id = match api.commands.take(Arrival::of_call(prepared)).await? {
        SubmitOutcome::Taken(id, _) => id,
        SubmitOutcome::Rejected(rejection) => return Err(rejection.into()),
    };
    let request = own_request(&api, &caller, id).await?;
    let offers_callbacks = api.signer.is_some();
    if offers_callbacks {
        // Before the answer: a controller that has none posts the same once more.
        engine
            .remember_callbacks(id, &caller.name, &callbacks, RequestState::Pending)
            .await?;
    }
    let created = Created {
        controller_id: caller.name.as_str().into(),
        expected_completion_time: request.life.clock.due,
        received_time: request.head.received_at,
        encoded_request: STANDARD.encode(&*bytes).into(),
        subject_request_id: id.0,
        api_version: API_VERSION,
        status_callbacks: (!offers_callbacks && !callbacks.is_empty()).then_some(NO_CALLBACKS),
    };
    signed(&api, version, StatusCode::CREATED, &created)
}

/// `GET /opendsr/v2/requests/{id}`
pub(super) async fn status(
    State(api): State<Arc<Api>>,
    version: Version,
    Controller(caller): Controller,
    SubjectRequestId(id): SubjectRequestId,
) -> Result<Response, Refusal> {
    let request = own_request(&api, &caller, id).await?;
    signed(
        &api,
        version,
        StatusCode::OK,
        &status_answer(&request, &caller.name),
    )
}

/// `DELETE /opendsr/v2/requests/{id}`
pub(super) async fn cancel(
    State(api): State<Arc<Api>>,
    version: Version,
    Controller(caller): Controller,
    SubjectRequestId(id): SubjectRequestId,
) -> Result<Response, Refusal> {
    let received_time = api.engine.clock.now();
    let request = own_request(&api, &caller, id).await?;
    // What is cancelled already is so: a controller whose answer was lost asks again.
    if request.life.status != Status::Cancelled {
        let by = operations::By::with_key(&caller.name, None);
        let done = api
            .engine
            .operations()
            .cancel_request(id, by, Some("opendsr"))
            .await;
        let (_, emission) = done.map_err(|error| not_pending(&request, error))?;
        api.outputs.hand_over(emission).await;
    }
    let cancelled = Cancelled {
        controller_id: caller.name.as_str().into(),
        received_time,
        subject_request_id: id.0,
        api_version: API_VERSION,
    };
    signed(&api, version, StatusCode::ACCEPTED, &cancelled)
}

fn not_pending(request: &Request, error: OperateError) -> Refusal {
    match error {
        OperateError::Decision(_) => {
            let (state, _) = request_state(request);
            let message = format!("the request is {state}, and only what is pending can be cancelled");
            Refusal::new(StatusCode::BAD_REQUEST, "not_pending", message)
        }
        other => Problem::from(other).into(),
    }
}

/// `GET /opendsr/v2/discovery`
pub(super) async fn discovery(State(api): State<Arc<Api>>, version: Version) -> Result<Response, Refusal> {
    let active = api.engine.active()?;
    let processors = active.registry.processors.iter();
    let mut supported: Vec<SupportedIdentity> = processors
        .flat_map(|processor| &processor.identities)
        .map(supported_identity)
        .collect();
    supported.sort();
    supported.dedup();
    let discovery = Discovery {
        api_version: API_VERSION.to_owned(),
        supported_identities: supported,
        supported_subject_request_types: vec!["erasure".to_owned()],
        processor_certificate: api
            .signer
            .as_ref()
            .map(|_| format!("{}/opendsr/v2/certificate", api.public_url)),
        status_callbacks: api.signer.is_some(),
    };
    signed(&api, version, StatusCode::OK, &discovery)
}

fn supported_identity(kind: &IdentityType) -> SupportedIdentity {
    let standard = OpenDsrDialect::V2.data().said(kind.as_str());
    let (identity_type, format) = standard.unwrap_or((kind.as_str(), IdentityFormat::Raw));
    SupportedIdentity {
        identity_type: identity_type.to_owned(),
        identity_format: format.as_str().to_owned(),
    }
}

/// `GET /opendsr/v2/certificate`: what our signatures are verified with.
pub(super) async fn certificate(State(api): State<Arc<Api>>) -> Result<Response, Refusal> {
    let signer = api
        .signer
        .as_ref()
        .ok_or_else(|| Refusal::from(Problem::unknown("certificate")))?;
    let headers = [(header::CONTENT_TYPE, "application/x-pem-file")];
    Ok((headers, signer.pem().to_vec()).into_response())
}

/// A request that this controller has sent; that there are others is not for it to know.
async fn own_request(api: &Api, caller: &Caller, id: RequestId) -> Result<Request, Refusal> {
    let unknown = || Refusal::from(Problem::unknown("request"));
    let request = api.engine.request(id).await?.ok_or_else(unknown)?;
    let is_others = caller.sees_only_its_own() && !is_own(&api.engine, id, &caller.name).await?;
    if is_others || !caller.sees(&request.head.tenant) {
        return Err(unknown());
    }
    Ok(request)
}

/// A fault of the command is one of the request that it was made from.
fn in_their_words(rejection: Rejection) -> Rejection {
    let detail = rejection
        .detail
        .replace("subject.identities", "subject_identities")
        .replace("].value", "].identity_value")
        .replace("].type", "].identity_type")
        .replace("requested_at", "submitted_time");
    Rejection::new(rejection.reason, detail)
}

/// An answer with its signature over exactly these bytes.
fn signed<T: Serialize>(
    api: &Api,
    version: Version,
    status: StatusCode,
    answer: &T,
) -> Result<Response, Refusal> {
    let bytes = serde_json::to_vec(answer).map_err(EngineError::from)?;
    let mut headers = axum::http::HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(signer) = &api.signer {
        let signature = signer
            .sign(&bytes)
            .ok_or_else(|| Refusal::from(Problem::internal()))?;
        let (domain_name, signature_name) = match version {
            Version::V1 => (DOMAIN_HEADER_V1, SIGNATURE_HEADER_V1),
            Version::V2 => (DOMAIN_HEADER, SIGNATURE_HEADER),
        };
        for (name, value) in [
            (domain_name, signer.domain()),
            (signature_name, signature.as_str()),
        ] {
            let value = HeaderValue::from_str(value).map_err(|_| Refusal::from(Problem::internal()))?;
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    Ok((status, headers, bytes).into_response())
}
