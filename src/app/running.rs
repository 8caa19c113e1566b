//! A running worker, and the end of it: all of its tasks are joined.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{AppError, Connected};
use crate::{engine::Engine, kafka::producer::Producer};

/// A running worker.
#[derive(Debug)]
pub struct Running {
    /// The use cases.
    pub engine: Arc<Engine>,
    /// Where it serves HTTP, if it does.
    pub http: Option<SocketAddr>,
    /// Where Kafka is.
    pub servers: String,
    /// Ends it.
    pub shutdown: CancellationToken,
    pub(super) tasks: Spawner,
    pub(super) producer: Arc<Producer>,
    pub(super) shutdown_timeout: Duration,
    /// Kept for as long as the worker runs.
    pub(super) _connected: Connected,
}

impl Running {
    /// Waits until somebody asks it to end, then ends it: everything that was begun is finished or given back.
    pub async fn until_shutdown(self) -> Result<(), AppError> {
        self.shutdown.cancelled().await;
        self.end().await
    }

    /// Ends it.
    pub async fn end(self) -> Result<(), AppError> {
        self.shutdown.cancel();
        self.tasks.tracker.close();
        // Flushing has its share of the time, so that the process ends within it.
        let flushing = Duration::from_secs(2).min(self.shutdown_timeout / 4);
        if tokio::time::timeout(self.shutdown_timeout - flushing, self.tasks.tracker.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                "the shutdown takes longer than shutdown_timeout: what is left is given back as it is"
            );
        }
        self.producer.flush(flushing);
        self.tell_traces().await;
        match *self.tasks.failure.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(task) => Err(AppError::Ended(task)),
            None => Ok(()),
        }
    }

    /// Tells what of traces was not told yet. A collector that does not take it keeps nobody waiting.
    async fn tell_traces(&self) {
        if self.engine.traces().is_none() {
            return;
        }
        let engine = Arc::clone(&self.engine);
        let told = tokio::task::spawn_blocking(move || engine.traces().map(|traces| traces.end()));
        match tokio::time::timeout(Duration::from_secs(2), told).await {
            Ok(Ok(Some(Ok(())) | None)) => {}
            Ok(Ok(Some(Err(error)))) => tracing::warn!(%error, "the last traces could not be told"),
            Ok(Err(_)) | Err(_) => tracing::warn!("the last traces could not be told in time"),
        }
    }
}

/// Spawns long-lived tasks. One that ends although nobody asked it to takes the worker down with it: half a worker
/// that looks alive is worse than none.
#[derive(Debug)]
pub(super) struct Spawner {
    tracker: TaskTracker,
    shutdown: CancellationToken,
    failure: Arc<Mutex<Option<&'static str>>>,
}

impl Spawner {
    pub(super) fn new(shutdown: CancellationToken) -> Self {
        Self {
            tracker: TaskTracker::new(),
            shutdown,
            failure: Arc::default(),
        }
    }

    pub(super) fn spawn<E: std::fmt::Display + Send + 'static>(
        &self,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let (shutdown, failure) = (self.shutdown.clone(), Arc::clone(&self.failure));
        let inner = tokio::spawn(task);
        self.tracker.spawn(async move {
            let ended = inner.await;
            if matches!(ended, Ok(Ok(()))) && shutdown.is_cancelled() {
                return;
            }
            match ended {
                Ok(Ok(())) => tracing::error!(task = name, "ended unexpectedly"),
                Ok(Err(error)) => tracing::error!(task = name, %error, "failed"),
                Err(error) => tracing::error!(task = name, %error, "panicked"),
            }
            failure
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert(name);
            shutdown.cancel();
        });
    }
}
