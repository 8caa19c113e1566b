//! Controllers that speak OpenDSR to us are told when their requests have moved, signed.
//!
//! Each is called by a task of its own, a bounded number at a time: a controller that does not answer keeps one place for
//! as long as a call may take, and is tried again later.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use hyper::{Request, header::CONTENT_TYPE};
use tokio::task::JoinSet;

use super::periodic::{Next, Periodic};
use crate::{
    domain::registry::RequestState,
    engine::{
        Engine, EngineError,
        status_callbacks::{DueCallback, Told},
    },
    store::StatusCallback,
    telemetry::logs::chain,
    transport::{http_client::HttpClient, opendsr::Signer},
    view::opendsr::{request_state, status_answer},
    wire::opendsr::{Callback, DOMAIN_HEADER, DOMAIN_HEADER_V1, SIGNATURE_HEADER, SIGNATURE_HEADER_V1},
};

/// How many controllers are called at a time.
const AT_ONCE: usize = 64;

/// How long a call may take in all.
const WITHIN: Duration = Duration::from_secs(10);

/// Tells controllers.
pub(in crate::app) struct StatusCallbacks {
    engine: Arc<Engine>,
    signer: Arc<Signer>,
    client: HttpClient,
    calling: JoinSet<()>,
}

impl StatusCallbacks {
    pub(in crate::app) fn new(engine: Arc<Engine>, signer: Arc<Signer>, client: HttpClient) -> Self {
        Self {
            engine,
            signer,
            client,
            calling: JoinSet::new(),
        }
    }
}

#[async_trait]
impl Periodic for StatusCallbacks {
    type Error = EngineError;

    fn name(&self) -> &'static str {
        "status_callbacks"
    }

    /// Controllers may ask all the same.
    fn part(&self) -> Option<&'static str> {
        None
    }

    fn every(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn turn(&mut self) -> Result<Next, EngineError> {
        while let Some(ended) = self.calling.try_join_next() {
            if let Err(error) = ended {
                // Its row is due again once its lease is over.
                tracing::error!(%error, "telling a controller failed");
            }
        }
        let room = AT_ONCE.saturating_sub(self.calling.len());
        if room == 0 {
            return Ok(Next::Rest);
        }
        let due = self
            .engine
            .take_callbacks(u32::try_from(room).unwrap_or(1))
            .await?;
        let is_more = due.len() == room;
        for due in due {
            let (engine, signer, client) = (
                Arc::clone(&self.engine),
                Arc::clone(&self.signer),
                self.client.clone(),
            );
            self.calling.spawn(async move {
                let told = tell(&signer, &client, &due).await;
                if let Err(error) = engine.callback_done(due.row, told).await {
                    tracing::warn!(
                        why = chain(&error),
                        "what a controller was told could not be written down: it is told again"
                    );
                }
            });
        }
        Ok(if is_more && self.calling.len() < AT_ONCE {
            Next::GoOn
        } else {
            Next::Rest
        })
    }
}

/// Tells a controller how its request stands, where it does not know. `None`: the request is gone.
async fn tell(signer: &Signer, client: &HttpClient, due: &DueCallback) -> Option<Told> {
    let request = due.request.as_ref()?;
    let (state, _) = request_state(request);
    if state == due.row.told {
        return Some(Told::Yes(state));
    }
    let callback = Callback {
        status: status_answer(request, &due.row.controller),
        status_callback_url: due.row.url.as_str().into(),
    };
    Some(match serde_json::to_vec(&callback) {
        Ok(body) => call(signer, client, &due.row, body, state).await,
        Err(error) => {
            tracing::error!(%error, "a callback cannot be written");
            Told::Not(state)
        }
    })
}

async fn call(
    signer: &Signer,
    client: &HttpClient,
    row: &StatusCallback,
    body: Vec<u8>,
    state: RequestState,
) -> Told {
    let Some(signature) = signer.sign(&body) else {
        return Told::Not(state);
    };
    // Under the names of version 1 as well: every party has to honour them, and some know no others.
    let request = Request::post(&row.url)
        .header(CONTENT_TYPE, "application/json")
        .header(DOMAIN_HEADER, signer.domain())
        .header(SIGNATURE_HEADER, &signature)
        .header(DOMAIN_HEADER_V1, signer.domain())
        .header(SIGNATURE_HEADER_V1, &signature)
        .body(Bytes::from(body));
    let answered = match request {
        Ok(request) => client.call(request, WITHIN).await.map(|answer| answer.status),
        Err(_) => {
            tracing::warn!(request = %row.request_id, "the address of a callback cannot be called");
            return Told::Not(state);
        }
    };
    let why = match answered {
        Ok(status) if status.is_success() => return Told::Yes(state),
        Ok(status) => format!("answered {}", status.as_u16()),
        Err(error) => error.to_string(),
    };
    tracing::info!(
        request = %row.request_id, controller = row.controller, state = state.as_str(), why, "a callback did not arrive"
    );
    Told::Not(state)
}
