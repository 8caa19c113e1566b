//! The API over HTTP: commands and acks come in, people ask and decide, Prometheus reads.
//!
//! Every answer that is no success is a problem of RFC 9457. Nothing here decides about a request: each handler is a
//! use case of the engine between two translations. It must never put subject data into an answer, a log line or a
//! metric: spans carry the route, not the path, and neither queries, headers nor bodies.

mod acks;
mod admission;
mod auth;
mod backfill;
mod backups;
mod batch;
mod body;
mod bulk;
mod callbacks;
mod calls;
mod claims;
mod console;
mod csv;
mod dead_letters;
mod decisions;
mod deferred;
mod detail;
mod disclosures;
mod draining;
mod events;
mod gatekeeper;
mod health;
mod holds;
mod hosts;
mod layers;
pub mod listener;
mod lists;
mod manual;
pub mod openapi;
mod opendsr;
mod outputs;
mod problem;
mod processors;
mod query;
mod repeats;
mod report;
mod requests;
mod search;
mod sources;
mod stops;
mod suppression;
mod sweeps;
mod tasks;
pub mod tls;
mod unreadable;

use std::{
    borrow::Cow,
    fmt, io,
    net::{SocketAddr, TcpListener},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use axum::Router;
use axum_server::{Handle, tls_rustls::RustlsConfig};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use self::{
    acks::Acks,
    batch::Batcher,
    calls::{Call, Calls},
    console::Browsers,
    gatekeeper::Gatekeeper,
    hosts::Hosts,
    outputs::Outputs,
    requests::Commands,
};
pub use self::{
    admission::{Admission, NotReplaced},
    sources::HttpSource,
};
use crate::{
    config::{Auth, Http, RegistryFile, Tls},
    domain::time::At,
    engine::{Engine, dead_letters::redriving::Republish, effects::Effects},
    telemetry::readiness::Readiness,
    transport::opendsr::{Signer, controller::Controller},
};

/// How long calls that are under way may take at a shutdown: well within the default of `shutdown_timeout`.
const GRACE: Duration = Duration::from_secs(10);

/// What the API works with.
#[derive(Debug, Clone)]
pub struct State {
    engine: Arc<Engine>,
    emissions: mpsc::Sender<Effects>,
    readiness: Readiness,
    auth: Option<Auth>,
    admission: Option<Admission>,
    tasks_prefix: String,
    signer: Option<Arc<Signer>>,
    controller: Option<Arc<Controller>>,
    registry_file: Option<RegistryFile>,
    republish: Option<Arc<dyn Republish>>,
    sources: Vec<Arc<HttpSource>>,
}

impl State {
    /// Puts it together. `emissions`: where that goes which has to be produced; `tasks_prefix`: what a processor's topic starts
    /// with.
    pub fn new(
        engine: Arc<Engine>,
        emissions: mpsc::Sender<Effects>,
        readiness: Readiness,
        auth: Option<Auth>,
        tasks_prefix: &str,
    ) -> Self {
        Self {
            engine,
            emissions,
            readiness,
            auth,
            admission: None,
            tasks_prefix: tasks_prefix.to_owned(),
            signer: None,
            controller: None,
            registry_file: None,
            republish: None,
            sources: Vec::new(),
        }
    }

    /// With what publishes messages again that could not be taken in.
    #[must_use]
    pub fn republishing(mut self, republish: Arc<dyn Republish>) -> Self {
        self.republish = Some(republish);
        self
    }

    /// With upstreams that call.
    #[must_use]
    pub fn called_by(mut self, sources: Vec<Arc<HttpSource>>) -> Self {
        self.sources = sources;
        self
    }

    /// With the registry file of this worker, which people compare with the active revision.
    #[must_use]
    pub fn comparing(mut self, registry_file: RegistryFile) -> Self {
        self.registry_file = Some(registry_file);
        self
    }

    /// With what believes callbacks of processors of OpenDSR.
    #[must_use]
    pub fn hearing(mut self, controller: Arc<Controller>) -> Self {
        self.controller = Some(controller);
        self
    }

    /// With who may call, in place of what `auth` says: it can be replaced while it serves.
    #[must_use]
    pub fn admitting(mut self, admission: Admission) -> Self {
        self.admission = Some(admission);
        self
    }

    /// With what signs its answers as a processor of OpenDSR.
    #[must_use]
    pub fn signing(mut self, signer: Option<Arc<Signer>>) -> Self {
        self.signer = signer;
        self
    }
}

/// A listener that is bound. It serves for as long as `finished` is awaited.
pub struct Serving {
    /// Where it listens.
    pub address: SocketAddr,
    /// Ends when the shutdown has come and every call is answered.
    pub finished: Pin<Box<dyn Future<Output = io::Result<()>> + Send>>,
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// What every handler shares.
struct Api {
    engine: Arc<Engine>,
    outputs: Outputs,
    readiness: Readiness,
    gatekeeper: Gatekeeper,
    /// What is known of the browsers of the console.
    browsers: Browsers,
    tasks_prefix: String,
    /// What signs answers of OpenDSR.
    signer: Option<Arc<Signer>>,
    /// What believes callbacks of OpenDSR.
    controller: Option<Arc<Controller>>,
    /// The registry file of this worker.
    registry_file: Option<RegistryFile>,
    /// What publishes messages again that could not be taken in.
    republish: Option<Arc<dyn Republish>>,
    /// What machines read of the API.
    openapi: Cow<'static, str>,
    /// Where others reach this listener, without a slash at its end.
    public_url: String,
    commands: Batcher<Commands>,
    acks: Batcher<Acks>,
    /// Ends what waits for something to happen.
    shutdown: CancellationToken,
}

/// Binds the address and prepares to serve until the shutdown.
pub async fn serve(config: &Http, state: State, shutdown: CancellationToken) -> io::Result<Serving> {
    let listener = listener::bind(config.listen)?;
    let address = listener.local_addr()?;
    let tls = match &config.tls {
        Some(files) => Some(rustls_config(files, state.engine.clock.now())?),
        None => None,
    };
    let State {
        engine,
        emissions,
        readiness,
        auth,
        admission,
        tasks_prefix,
        signer,
        controller,
        registry_file,
        republish,
        sources,
    } = state;
    let admission = match admission {
        Some(admission) => admission,
        None => Admission::new(auth, engine.clock.clone()).map_err(io::Error::other)?,
    };
    let outputs = Outputs::new(emissions);
    let mut batchers = JoinSet::new();
    let commands = Batcher::start(Commands::new(&engine), &outputs, &mut batchers);
    let acks = Batcher::start(Acks::new(&engine), &outputs, &mut batchers);
    let hosts = admission.is_open().then(|| Hosts::of(config, address));
    // The port may have been any free one.
    let public_url = Http {
        listen: address,
        ..config.clone()
    }
    .url("");
    let gatekeeper = Gatekeeper::new(admission, engine.clock.clone(), Arc::clone(&engine.metrics));
    let browsers = Browsers::new(config.tls.is_some() || public_url.starts_with("https://"));
    let api = Arc::new(Api {
        engine,
        outputs,
        readiness,
        gatekeeper,
        browsers,
        tasks_prefix,
        signer,
        controller,
        registry_file,
        republish,
        openapi: openapi::with(sources::described(&sources)),
        public_url,
        commands,
        acks,
        shutdown: shutdown.clone(),
    });
    let app = layers::around(routes(api, &sources), hosts);
    Ok(Serving {
        address,
        finished: Box::pin(run(listener, tls, app, batchers, shutdown)),
    })
}

fn rustls_config(files: &Tls, now: At) -> io::Result<RustlsConfig> {
    // Whoever was first has installed the same one: there is no other provider in this build.
    let installed = rustls::crypto::ring::default_provider().install_default();
    tracing::debug!(first = installed.is_ok(), "the crypto provider is installed");
    let config = tls::server_config(files, now).map_err(io::Error::other)?;
    Ok(RustlsConfig::from_config(Arc::new(config)))
}

async fn run(
    listener: TcpListener,
    tls: Option<RustlsConfig>,
    app: Router,
    mut batchers: JoinSet<()>,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let handle = Handle::new();
    let server = listener::serve(listener, tls, app, handle.clone(), listener::HEADER_PATIENCE);
    let ending = async {
        shutdown.cancelled().await;
        handle.graceful_shutdown(Some(GRACE));
        // The server's own end is what counts.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        served = server => served?,
        () = ending => {}
        // They live as long as there are handlers; without them nothing could be taken in any more.
        _ = batchers.join_next() => return Err(io::Error::other("a batcher has ended")),
    }
    // With the last call its end of the queue is gone, so they finish what they hold and end.
    while batchers.join_next().await.is_some() {}
    Ok(())
}

fn routes(api: Arc<Api>, sources: &[Arc<HttpSource>]) -> Router {
    calls()
        .into_router()
        .merge(console::routes(&api))
        .merge(sources::routes(sources))
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .with_state(api)
}

/// The calls of the API, a line a module. Each module describes its own, beside its handlers.
fn calls() -> Calls {
    Calls::new()
        .merge(requests::calls())
        .merge(lists::calls())
        .merge(search::calls())
        .merge(detail::calls())
        .merge(events::calls())
        .merge(decisions::calls())
        .merge(bulk::calls())
        .merge(disclosures::calls())
        .merge(suppression::calls())
        .merge(acks::calls())
        .merge(callbacks::calls())
        .merge(claims::calls())
        .merge(tasks::calls())
        .merge(processors::calls())
        .merge(stops::calls())
        .merge(backfill::calls())
        .merge(manual::calls())
        .merge(holds::calls())
        .merge(backups::calls())
        .merge(deferred::calls())
        .merge(report::calls())
        .merge(sweeps::calls())
        .merge(dead_letters::calls())
        .merge(health::calls())
        .merge(openapi::calls())
        .merge(opendsr::calls())
}

/// What the calls say of themselves.
fn described() -> Vec<Call> {
    calls().into_described()
}
