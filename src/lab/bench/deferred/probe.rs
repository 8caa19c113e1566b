//! Unrelated requests, one after the other, through the broker: from the command's publishing to the completion. What
//! delays acks of others delays them.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rand::SeedableRng as _;
use tokio::task::JoinHandle;

use super::{
    site::Site,
    workload::{Kind, command},
};
use crate::{
    clock::{Clock, Stopwatch},
    domain::{ids::RequestId, words::Status},
    kafka::publish::{Outgoing, Publisher},
    lab::{
        bench::BenchError,
        sim::{Histogram, id_at, random::Random},
    },
    store::Store,
};

/// Often enough to see what is slow, seldom enough to cost nothing.
const PAUSE: Duration = Duration::from_millis(50);

/// How often it is asked whether a request is completed.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What runs beside.
pub(super) struct Probe {
    stop: Arc<AtomicBool>,
    running: JoinHandle<Result<Histogram, BenchError>>,
}

/// Starts it.
pub(super) async fn probe_for(site: &Site) -> Result<Probe, BenchError> {
    let topic = site.config.kafka.topics.commands.clone();
    let publisher = Publisher::connect(&site.cluster, BTreeSet::from([topic.clone()])).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let (store, clock, stopped) = (Arc::clone(&site.store), site.clock.clone(), Arc::clone(&stop));
    let running = tokio::spawn(async move {
        let (mut times, mut random) = (Histogram::default(), Random::seed_from_u64(rand::random()));
        while !stopped.load(Ordering::Relaxed) {
            let id = RequestId(id_at(Clock::System.now(), &mut random));
            let payload = command(Kind::Live, id, clock.now()).to_string();
            let watch = Stopwatch::start();
            let message = Outgoing {
                topic: &topic,
                key: Some(id.to_string()),
                headers: Vec::new(),
                payload: payload.as_bytes(),
            };
            publisher.send(&message).await?.confirmed().await?;
            while !is_completed(store.as_ref(), id).await? {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            times.record(watch.elapsed());
            tokio::time::sleep(PAUSE).await;
        }
        Ok(times)
    });
    Ok(Probe { stop, running })
}

async fn is_completed(store: &dyn Store, id: RequestId) -> Result<bool, BenchError> {
    let found = store.requests(&[id]).await?;
    Ok(found
        .iter()
        .any(|stored| stored.request.life.status == Status::Completed))
}

impl Probe {
    /// Ends it, once the request that is on its way is completed.
    pub(super) async fn end(self) -> Result<Histogram, BenchError> {
        /// What is not completed in this time never will be.
        const PATIENCE: Duration = Duration::from_secs(60);
        self.stop.store(true, Ordering::Relaxed);
        match tokio::time::timeout(PATIENCE, self.running).await {
            Ok(joined) => joined.map_err(|_| BenchError::Panicked)?,
            Err(_) => Err(BenchError::Unfinished(
                "an unrelated request",
                "it took more than a minute".to_owned(),
            )),
        }
    }
}
