//! Many people in one call, and what it came to for each of them. Where one of them may be at fault for all, it is halved.

use std::{sync::Arc, time::Duration};

use tokio::{sync::oneshot, task::JoinSet};

use super::{
    batches::{Told, Waiting},
    endpoint::Endpoint,
};
use crate::{
    clock::Stopwatch,
    connector::{
        Kept, Target,
        batch::{Answered, split},
        language::Batch,
        request::Filling,
        rules::Answer,
    },
    transport::sender::{Failed, Reply},
};

/// So many calls are made to find who is at fault in one batch. Twice the logarithm of the largest batch finds one.
const MOST_CALLS: usize = 64;

impl Endpoint {
    /// Makes a call for somebody, together with others.
    pub(super) async fn call_together(
        self: &Arc<Self>,
        step: usize,
        target: &Target,
        limits: Batch,
        within: Duration,
    ) -> Told {
        let (told, answer) = oneshot::channel();
        let key = (step, target.kind.clone());
        let waiting = Waiting {
            id: target.value.clone(),
            told,
        };
        let started = Stopwatch::start();
        if let Some(is_full) = self.batches.add(&key, limits.count as usize, waiting) {
            let linger = limits.linger.0.min(within);
            let endpoint = Arc::clone(self);
            // By a task of its own: whoever came first may leave, and the others wait for the call all the same.
            tokio::spawn(async move {
                tokio::select! {
                    () = is_full.notified() => {}
                    // No due time of the domain: others share the call.
                    () = tokio::time::sleep(linger) => {}
                }
                let people = endpoint.batches.take(&key);
                endpoint.call_for(&key, people, limits, (started, within)).await;
            });
        }
        answer.await.unwrap_or_else(|_| {
            Err(Reply::Failed(Failed::new(
                "whoever made the call for its batch ended in its middle",
            )))
        })
    }

    async fn call_for(
        self: &Arc<Self>,
        key: &(usize, String),
        people: Vec<Waiting>,
        limits: Batch,
        time: (Stopwatch, Duration),
    ) {
        let ids: Vec<&str> = people.iter().map(|waiting| waiting.id.expose()).collect();
        let sizes: Vec<usize> = split(&ids, limits).into_iter().map(|range| range.len()).collect();
        let mut people = people.into_iter();
        let mut calls = JoinSet::new();
        for size in sizes {
            let some: Vec<Waiting> = people.by_ref().take(size).collect();
            let (endpoint, key) = (Arc::clone(self), key.clone());
            calls.spawn(async move { endpoint.call_halving(&key, some, time).await });
        }
        while let Some(done) = calls.join_next().await {
            if let Err(error) = done {
                // Its people hear that nobody knows what became of them.
                tracing::error!(%error, connector = self.connector.id, "the call for a batch panicked");
            }
        }
    }

    /// Makes a call; where one of its people may be at fault for all, it is halved.
    async fn call_halving(&self, key: &(usize, String), people: Vec<Waiting>, time: (Stopwatch, Duration)) {
        let mut calls = vec![people];
        let mut made = 0;
        while let Some(mut people) = calls.pop() {
            let left = time.1.saturating_sub(time.0.elapsed());
            if made >= MOST_CALLS || left.is_zero() {
                let why =
                    "refused together with others, and there was no time left to find out whose fault it is";
                tell_all(people, &Err(Reply::Failed(Failed::new(why).not_sent())));
                continue;
            }
            made += 1;
            match self.call_once(key, &people, left).await {
                Ok((Answered::Halve, _)) => {
                    let second = people.split_off(people.len() / 2);
                    calls.extend([second, people]);
                }
                Ok((Answered::Each(judged), wait)) => {
                    for (waiting, judged) in people.into_iter().zip(judged) {
                        tell(waiting, Ok((judged, wait)));
                    }
                }
                Err(reply) => tell_all(people, &Err(reply)),
            }
        }
    }

    async fn call_once(
        &self,
        (step, kind): &(usize, String),
        people: &[Waiting],
        within: Duration,
    ) -> Result<(Answered, Option<Duration>), Reply> {
        let step = &self.connector.steps[*step];
        let ids: Vec<&str> = people.iter().map(|waiting| waiting.id.expose()).collect();
        let (today, kept) = (self.today(), Kept::default());
        let filling = Filling {
            values: &self.values,
            kind,
            ids: &ids,
            kept: &kept,
            today: &today,
            key: "",
        };
        let heard = self.call(step, filling, within).await?;
        let answer = Answer {
            status: heard.status,
            body: &heard.body,
            text: heard.text.as_deref(),
            canonical: None,
        };
        Ok((step.judge_batch(answer, &ids), heard.retry_after))
    }
}

fn tell_all(people: Vec<Waiting>, what: &Told) {
    for waiting in people {
        tell(waiting, what.clone());
    }
}

fn tell(waiting: Waiting, what: Told) {
    // Whoever does not wait any more has been answered by the end of its time.
    drop(waiting.told.send(what));
}
