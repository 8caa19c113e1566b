//! HTTP.
use std::{net::SocketAddr, sync::Arc, pin::Pin};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use crate::{config::{Auth, Http}, engine::{Engine, outputs::Emission}, telemetry::readiness::Readiness};
#[derive(Debug, Clone)]
pub struct State { pub engine: Arc<Engine>, pub emissions: mpsc::Sender<Emission>, pub readiness: Readiness, pub auth: Option<Auth> }
impl State { pub fn new(engine: Arc<Engine>, emissions: mpsc::Sender<Emission>, readiness: Readiness, auth: Option<Auth>) -> Self { Self { engine, emissions, readiness, auth } } }
pub struct Serving { pub address: SocketAddr, pub finished: Pin<Box<dyn Future<Output = Result<(), std::io::Error>> + Send>> }
pub async fn serve(config: &Http, state: State, shutdown: CancellationToken) -> Result<Serving, std::io::Error> {
    Ok(Serving { address: config.listen, finished: Box::pin(async move { shutdown.cancelled().await; drop(state); Ok(()) }) })
}
