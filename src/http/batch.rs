//! Calls that come in together share a transaction: what gathers while one is under way goes into the next.
//!
//! There is no waiting for company: a call that comes alone is taken in at once, and under load the length of a
//! transaction makes the batches.

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use super::{outputs::Outputs, problem::Problem};
use crate::engine::{EngineError, effects::Effects};

/// The most calls that share a transaction: its time must stay well below what a caller waits for.
const MAX_BATCH: usize = 256;

/// How many calls may wait: a few batches. Further ones wait outside of it.
const QUEUE: usize = 4 * MAX_BATCH;

/// What becomes of items that share a transaction.
pub(super) trait Work: Send + Sync + 'static {
    /// What is taken in.
    type Item: Send + Sync + 'static;
    /// What is said to it.
    type Outcome: Send + 'static;

    /// Takes them in, in one transaction: an answer for each, in their order, and what has to be produced.
    fn take(
        &self,
        items: &[Self::Item],
    ) -> impl Future<Output = Result<(Vec<Self::Outcome>, Effects), EngineError>> + Send;
}

type Waiting<W> = (
    <W as Work>::Item,
    oneshot::Sender<Result<<W as Work>::Outcome, Problem>>,
);

/// Where calls queue.
pub(super) struct Batcher<W: Work>(mpsc::Sender<Waiting<W>>);

impl<W: Work> Batcher<W> {
    /// Starts the task that takes batches in. It ends when the batcher is dropped.
    pub(super) fn start(work: W, outputs: &Outputs, tasks: &mut JoinSet<()>) -> Self {
        let (sender, queue) = mpsc::channel(QUEUE);
        tasks.spawn(run(work, queue, outputs.clone()));
        Self(sender)
    }

    /// Takes one item in.
    pub(super) async fn take(&self, item: W::Item) -> Result<W::Outcome, Problem> {
        let (answer, answered) = oneshot::channel();
        if self.0.send((item, answer)).await.is_err() {
            return Err(Problem::unavailable("the server is shutting down"));
        }
        answered.await.unwrap_or_else(|_| Err(Problem::internal()))
    }
}

async fn run<W: Work>(work: W, mut queue: mpsc::Receiver<Waiting<W>>, outputs: Outputs) {
    let mut waiting = Vec::with_capacity(MAX_BATCH);
    while queue.recv_many(&mut waiting, MAX_BATCH).await > 0 {
        let (items, callers): (Vec<_>, Vec<_>) = waiting.drain(..).unzip();
        let (answers, emission) = take_all(&work, &items).await;
        for (caller, answer) in callers.into_iter().zip(answers) {
            // Whoever has hung up meanwhile does not want to know.
            drop(caller.send(answer));
        }
        // The next batch waits for it: that is how callers feel a broker that is slow.
        outputs.hand_over(emission).await;
    }
}

/// Takes them in together, and where that fails for good, one by one: whoever is at fault must not harm the others.
async fn take_all<W: Work>(work: &W, items: &[W::Item]) -> (Vec<Result<W::Outcome, Problem>>, Effects) {
    match work.take(items).await {
        Ok((answers, emission)) => (answers.into_iter().map(Ok).collect(), emission),
        Err(error) if error.is_outage() || items.len() == 1 => {
            let problem = Problem::from(error);
            (
                items.iter().map(|_| Err(problem.clone())).collect(),
                Effects::default(),
            )
        }
        Err(error) => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                calls = items.len(),
                "a batch failed: one by one"
            );
            let mut answers = Vec::with_capacity(items.len());
            let mut emission = Effects::default();
            for item in items {
                match work.take(std::slice::from_ref(item)).await {
                    Ok((answered, emitted)) => {
                        answers.extend(answered.into_iter().map(Ok));
                        emission.append(emitted);
                    }
                    Err(error) => answers.push(Err(error.into())),
                }
            }
            (answers, emission)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use axum::response::IntoResponse;

    use super::*;
    use crate::store::StoreError;

    /// What PostgreSQL says of a value that it cannot keep. Its message may repeat the value.
    #[derive(Debug, thiserror::Error)]
    #[error("value \"canary\" is out of range")]
    struct OutOfRange;

    impl sqlx::error::DatabaseError for OutOfRange {
        fn message(&self) -> &str {
            "value \"canary\" is out of range"
        }

        fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
            self
        }

        fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
            self
        }

        fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
            self
        }

        fn kind(&self) -> sqlx::error::ErrorKind {
            sqlx::error::ErrorKind::Other
        }
    }

    /// Remembers its batches. 13 is at fault for good, as 22 is with its data; 7 finds the store away.
    #[derive(Default)]
    struct Numbers(Mutex<Vec<Vec<u32>>>);

    impl Work for Numbers {
        type Item = u32;
        type Outcome = u32;

        async fn take(&self, items: &[u32]) -> Result<(Vec<u32>, Effects), EngineError> {
            self.0.lock().unwrap().push(items.to_vec());
            if items.contains(&7) {
                return Err(StoreError::Unreachable(sqlx::Error::PoolTimedOut).into());
            }
            if items.contains(&22) {
                return Err(StoreError::Refused(sqlx::Error::Database(Box::new(OutOfRange))).into());
            }
            if items.contains(&13) {
                return Err(EngineError::Panicked);
            }
            Ok((items.iter().map(|n| n * 2).collect(), Effects::default()))
        }
    }

    async fn answers(items: &[u32]) -> (Vec<Result<u32, u16>>, usize) {
        let work = Numbers::default();
        let (answers, _) = take_all(&work, items).await;
        let status = |problem: Problem| problem.into_response().status().as_u16();
        let batches = work.0.lock().unwrap().len();
        (
            answers.into_iter().map(|answer| answer.map_err(status)).collect(),
            batches,
        )
    }

    #[tokio::test]
    async fn whoever_is_at_fault_does_not_harm_the_others() {
        assert_eq!(answers(&[1, 2, 3]).await, (vec![Ok(2), Ok(4), Ok(6)], 1));
        assert_eq!(answers(&[1, 13, 3]).await, (vec![Ok(2), Err(500), Ok(6)], 4));
        assert_eq!(answers(&[13]).await, (vec![Err(500)], 1));
    }

    #[tokio::test]
    async fn what_the_database_cannot_keep_is_its_callers_fault() {
        assert_eq!(answers(&[1, 22, 3]).await, (vec![Ok(2), Err(422), Ok(6)], 4));
        let (mut answers, _) = take_all(&Numbers::default(), &[22]).await;
        let problem = serde_json::to_string(&answers.remove(0).unwrap_err()).unwrap();
        assert!(
            problem.contains("not_storable") && !problem.contains("canary"),
            "{problem}"
        );
    }

    #[tokio::test]
    async fn an_outage_is_everybodys() {
        assert_eq!(answers(&[1, 7]).await, (vec![Err(503), Err(503)], 1));
    }

    #[tokio::test]
    async fn what_gathers_goes_together() {
        let (sender, mut emissions) = mpsc::channel(1);
        let mut tasks = JoinSet::new();
        let batcher = Batcher::start(Numbers::default(), &Outputs::new(sender), &mut tasks);
        let (one, two) = tokio::join!(batcher.take(1), batcher.take(2));
        assert_eq!((one.ok(), two.ok()), (Some(2), Some(4)));
        drop(batcher);
        tasks.join_next().await.unwrap().unwrap();
        assert!(
            emissions.recv().await.is_none(),
            "what is empty is not handed over"
        );
    }
}
