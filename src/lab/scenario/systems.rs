//! The systems that a policy's registry has called: they listen on loopback for webhooks, for OpenDSR and for what connectors
//! call, and answer as the script says.
//!
//! Every call is a real one. One that is not signed with the registry's secret, or does not bring its token, is turned away:
//! then nothing of what has to be seen is seen.

mod opendsr;
mod vendor;
mod webhook;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

pub(super) use self::opendsr::request_of;
use self::{
    opendsr::SubjectRequest,
    vendor::{Imitation, Playing},
};
use super::{
    Stuck,
    call::Caller,
    environment::Output,
    system_answer::{Answers, SystemAnswer},
};
use crate::{
    clock::ManualClock,
    config::{Problems, registry_file},
    domain::registry::{Processor, Transport},
    policies::{Profile, Purpose},
};

/// Systems that are called. They end with this.
#[derive(Debug)]
pub struct Systems {
    /// Their registry, with their addresses and secrets of this machine.
    pub registry: String,
    called: Arc<Called>,
    stop: CancellationToken,
}

impl Drop for Systems {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// What is known of calls, and what they are answered.
#[derive(Debug)]
struct Called {
    clock: ManualClock,
    processors: Vec<Processor>,
    /// Vendors, with what the paths of their calls begin with.
    vendors: BTreeMap<String, (String, Imitation)>,
    state: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// What calls of a processor are answered; where it has none, they are taken in and answered later.
    answers: BTreeMap<String, SystemAnswer>,
    /// What vendors answer besides.
    playing: BTreeMap<String, Playing>,
    /// The requests of OpenDSR, by their ids.
    requests: BTreeMap<String, SubjectRequest>,
    /// What has come in and was said, and was not asked for yet.
    heard: Vec<Output>,
}

impl Called {
    fn state(&self) -> MutexGuard<'_, Known> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The processor that listens at this path.
    fn at(&self, path: &str) -> Option<&Processor> {
        let is_at = |processor: &&Processor| {
            let rest = path.strip_prefix(path_of(&processor.transport));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.processors.iter().find(is_at)
    }
}

impl Systems {
    /// Has those that a profile's registry names listen.
    pub async fn start(profile: &Profile, clock: ManualClock) -> Result<Self, Stuck> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let registry = moved(profile, listener.local_addr()?)?;
        let processors = registry_file::read_text("processors.toml", &registry)?.processors;
        let mut vendors = BTreeMap::new();
        for processor in &processors {
            if let Transport::Vendor(vendor) = &processor.transport {
                let begins = path_of(&processor.transport).to_owned();
                vendors.insert(processor.id.to_string(), (begins, Imitation::of(vendor)?));
            }
        }
        let called = Arc::new(Called {
            clock,
            processors,
            vendors,
            state: Mutex::default(),
        });
        let stop = CancellationToken::new();
        let router = Router::new()
            .fallback(answer_call)
            .with_state(Arc::clone(&called));
        let serving = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
        tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "the simulated systems have ended");
            }
        });
        Ok(Self {
            registry,
            called,
            stop,
        })
    }

    /// From now on the calls of a processor are answered so.
    pub fn answer(&self, processor: &str, answers: Answers) -> Result<(), Stuck> {
        let vendor = self.called.vendors.get(processor);
        let is_known = |known: &Processor| {
            known.id.as_str() == processor && matches!(known.transport, Transport::Webhook(_))
        };
        let mut state = self.called.state();
        match (answers, vendor) {
            (Answers::AsExample(name), Some((_, imitation))) => {
                state.answers.remove(processor);
                state
                    .playing
                    .insert(processor.to_owned(), imitation.example(&name)?);
            }
            (Answers::Always(answer), _)
                if vendor.is_some() || self.called.processors.iter().any(is_known) =>
            {
                state.answers.insert(processor.to_owned(), answer);
            }
            _ => return Err(Stuck::Fell(format!("{processor} is not called like that"))),
        }
        Ok(())
    }

    /// What has come in, and what was answered for good, since the last time.
    pub fn heard(&self) -> Vec<Output> {
        std::mem::take(&mut self.called.state().heard)
    }

    /// The identifiers that a request of OpenDSR has brought; `None`: it has not come in.
    pub fn asked_about(&self, subject_request: &str) -> Option<Value> {
        let state = self.called.state();
        Some(state.requests.get(subject_request)?.identities.clone())
    }

    /// A system says something of a task, as its transport has it: who is called by webhooks calls the API, and one of
    /// OpenDSR says it when it is asked how the request stands. `false`: it writes to the topic of acks.
    pub async fn say(&self, ack: &Value, caller: &Caller) -> Result<bool, Stuck> {
        let id = ack["processor"].as_str().unwrap_or_default();
        let processor = self
            .called
            .processors
            .iter()
            .find(|known| known.id.as_str() == id);
        match processor.map(|processor| &processor.transport) {
            Some(Transport::Webhook(_)) => {
                let bearer = caller.processor(id);
                let answer = caller.call(bearer, "POST", "/v1/acks", &ack.to_string()).await?;
                if answer.status != 200 {
                    let (status, text) = (answer.status, answer.text);
                    return Err(Stuck::Fell(format!(
                        "what {id} says is answered {status}: {text}"
                    )));
                }
                Ok(true)
            }
            Some(Transport::OpenDsr(_)) => {
                opendsr::say(&self.called, ack)?;
                Ok(true)
            }
            Some(Transport::Vendor(_)) => Err(Stuck::Fell(format!(
                "{id} is called as its connector says: it says nothing by itself"
            ))),
            Some(Transport::Manual(_)) => Err(Stuck::Fell(format!("{id} is a person: call the API"))),
            Some(Transport::Agent) => Err(Stuck::Fell(format!("{id} is an agent: it answers by itself"))),
            Some(Transport::Kafka { .. }) | None => Ok(false),
        }
    }
}

/// The registry of a profile, with addresses of this machine, and values for its secrets.
fn moved(profile: &Profile, address: SocketAddr) -> Result<String, Problems> {
    let mut registry =
        with_urls(profile.registry, address).replace("\"https://", &format!("\"http://{address}/"));
    for (name, purpose) in profile.registry_secrets()? {
        registry = registry.replace(
            &format!("\"env:{name}\""),
            &format!("\"{}\"", made_up(&name, purpose)),
        );
    }
    Ok(registry)
}

/// Whoever is called as a connector says is called on this machine instead.
fn with_urls(registry: &str, address: SocketAddr) -> String {
    let mut id = "";
    let mut moved = String::new();
    for line in registry.lines() {
        if let Some(named) = line.strip_prefix("id = \"") {
            id = named.split('"').next().unwrap_or_default();
        }
        let here = format!("type = \"vendor\", url = \"http://{address}/vendor/{id}\",");
        moved += &line.replace("type = \"vendor\",", &here);
        moved.push('\n');
    }
    moved
}

/// A secret of no meaning.
fn made_up(name: &str, purpose: Purpose) -> String {
    let random = STANDARD.encode(Sha256::digest(name));
    match purpose {
        Purpose::Signing => format!("whsec_{random}"),
        Purpose::Entry => random,
    }
}

/// The path at which a processor listens, which begins with the name of its host.
fn path_of(transport: &Transport) -> &str {
    let url = match transport {
        Transport::Webhook(webhook) => &webhook.url,
        Transport::OpenDsr(opendsr) => &opendsr.url,
        Transport::Vendor(vendor) => vendor.url.as_deref().unwrap_or("nowhere"),
        // Nobody calls it.
        Transport::Kafka { .. } | Transport::Manual(_) | Transport::Agent => return "nowhere",
    };
    let path = url.splitn(4, '/').nth(3).unwrap_or_default();
    let start = url.len() - path.len();
    &url[start.saturating_sub(1)..]
}

async fn answer_call(
    State(called): State<Arc<Called>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(processor) = called.at(uri.path()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match &processor.transport {
        Transport::Webhook(webhook) => {
            webhook::answer(&called, &processor.id, webhook, &headers, &body).into_response()
        }
        Transport::OpenDsr(dsr) => {
            opendsr::answer(&called, dsr, &method, uri.path(), &headers, &body).into_response()
        }
        Transport::Vendor(_) => vendor::answer(&called, &processor.id, (&method, &uri), &headers),
        Transport::Kafka { .. } | Transport::Manual(_) | Transport::Agent => {
            StatusCode::NOT_FOUND.into_response()
        }
    }
}
