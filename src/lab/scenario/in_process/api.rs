//! The API of a worker that is played: what its calls decide is gathered, and produced when it is asked for.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Stuck;
use crate::{
    app::sources::over_http,
    config::Config,
    engine::{Engine, effects::Effects},
    http,
    telemetry::readiness::Readiness,
};

pub(super) async fn listen(
    config: &Config,
    engine: &Arc<Engine>,
    emissions: mpsc::Sender<Effects>,
    shutdown: &CancellationToken,
) -> Result<std::net::SocketAddr, Stuck> {
    let (engine, auth) = (Arc::clone(engine), config.auth.clone());
    let prefix = &config.kafka.topics.tasks_prefix;
    let state =
        http::State::new(engine, emissions, Readiness::default(), auth, prefix).called_by(over_http(config)?);
    let mut listening = config.http.clone();
    // Any free port: whoever watches may run a worker beside it.
    listening.listen.set_port(0);
    let serving = http::serve(&listening, state, shutdown.clone()).await?;
    tokio::spawn(serving.finished);
    Ok(serving.address)
}

pub(super) async fn gather(mut queue: mpsc::Receiver<Effects>, emitted: Arc<Mutex<Vec<Effects>>>) {
    while let Some(emission) = queue.recv().await {
        emitted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(emission);
    }
}
