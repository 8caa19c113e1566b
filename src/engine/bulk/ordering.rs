//! Ordering a change to many requests, stopping it, ending it: what people do about jobs. Each is an entry of the ledger.

use async_trait::async_trait;
use uuid::Uuid;

use super::{Forecast, Order, Said};
use crate::{
    domain::{
        entry::{Entry, Leaf},
        ids::{RequestId, Tenant},
        words::{BulkAction, BulkOperation},
    },
    engine::{
        Engine, EngineError,
        unit_of_work::{Decision, StoreWork, run_on_store},
        use_cases::Bulk,
    },
    store::{BulkItem, BulkJob, BulkOutcome, BulkState, Changes, LeafRow, StoreFailure, Transaction},
};

/// Why nothing is ordered.
#[derive(Debug, thiserror::Error)]
pub enum BulkError {
    /// Another number of requests is meant than whoever orders it believes.
    #[error("{found} requests are meant, where {expected} were expected: look at the dry run again")]
    CountDiffers {
        /// As many are meant.
        found: u64,
        /// As many were expected.
        expected: u64,
    },
    /// More than one job takes.
    #[error(
        "more requests are meant than one job takes (100,000), or than one call looks through: narrow the filter, by \
             received_before or due_before for instance, and go on with the rest"
    )]
    TooMany,
    /// Something is missing that this change needs.
    #[error("{0}")]
    Missing(&'static str),
    /// The key of the call was used for something else.
    #[error("this command_id, or Idempotency-Key, was taken with another payload")]
    Conflicting,
    /// There is no such job.
    #[error("there is no such change to many requests")]
    Unknown,
    /// The job is over, or in that state already.
    #[error("it is {0}")]
    WrongState(&'static str),
    /// Something failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl From<crate::store::StoreError> for BulkError {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Engine(error.into())
    }
}

impl Order {
    /// Refuses one that lacks something.
    pub fn check(&self) -> Result<(), BulkError> {
        match self.action {
            BulkAction::Waive if self.reason.is_none() => Err(BulkError::Missing("reason: expected one")),
            BulkAction::Hold if self.basis.is_none() => Err(BulkError::Missing(
                "basis: expected the legal ground of the holds",
            )),
            _ => Ok(()),
        }
    }
}

impl Bulk<'_> {
    /// Orders a change, where as many requests are meant as expected. `key`: what a repeat of the call has too, and a digest of
    /// what it asks.
    pub async fn start(
        self,
        order: &Order,
        actor: &str,
        expected: Option<u64>,
        key: Option<(Uuid, [u8; 16])>,
    ) -> Result<BulkJob, BulkError> {
        order.check()?;
        let engine = self.shared;
        if let Some((id, digest)) = key
            && let Some(known) = engine.store.bulk_job(id).await?
        {
            return same(known, digest);
        }
        let forecast = self.foresee(order, actor).await?;
        if let Some(expected) = expected
            && expected != forecast.matched
        {
            return Err(BulkError::CountDiffers {
                found: forecast.matched,
                expected,
            });
        }
        let now = engine.trusted_now().await?;
        let (id, digest) = key.unwrap_or_else(|| (crate::engine::time_ordered_id(now), [0; 16]));
        let job = self.job_of(order, actor, (id, digest), &forecast, now)?;
        let leaf = self.leaf(&job, actor, BulkOperation::Start, 0)?;
        let add = Add {
            job: &job,
            items: &forecast.items,
            leaf,
        };
        let added = run_on_store(engine.store.as_ref(), &*engine.metrics, "bulk", &add).await?;
        if added {
            return Ok(job);
        }
        // The same call was made twice at once.
        let known = engine.store.bulk_job(id).await?.ok_or(BulkError::Unknown)?;
        same(known, digest)
    }

    fn job_of(
        self,
        order: &Order,
        actor: &str,
        (id, digest): (Uuid, [u8; 16]),
        forecast: &Forecast,
        now: crate::domain::time::At,
    ) -> Result<BulkJob, EngineError> {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let refused = |item: &&BulkItem| item.outcome == BulkOutcome::Refused;
        let waits = |item: &BulkItem| item.outcome == BulkOutcome::Waiting;
        let items = &forecast.items;
        let total = number(items.len());
        let first = items.iter().position(waits).map_or(total, number);
        let said = Said {
            reason: order.reason.clone(),
            basis: order.basis,
        };
        let said = serde_json::to_vec(&said)?;
        Ok(BulkJob {
            id,
            created_at: now,
            updated_at: now,
            state: if first == total {
                BulkState::Finished
            } else {
                BulkState::Running
            },
            action: order.action,
            matched: u32::try_from(forecast.matched).unwrap_or(u32::MAX),
            total,
            next: first,
            done: 0,
            refused: number(items.iter().filter(refused).count()),
            actor: actor.to_owned(),
            tenant: order.chosen.tenant().cloned(),
            chosen: order.chosen.text(),
            digest: digest.to_vec(),
            sealed: self.shared.vault.seal_record(RequestId(id), JOB, &said),
        })
    }

    /// Stops a job for a while, has it go on, or ends it.
    pub async fn set(self, id: Uuid, actor: &str, operation: BulkOperation) -> Result<BulkJob, BulkError> {
        let engine = self.shared;
        let (from, to): (&[BulkState], _) = match operation {
            BulkOperation::Pause => (&[BulkState::Running], BulkState::Paused),
            BulkOperation::Resume | BulkOperation::Start => (&[BulkState::Paused], BulkState::Running),
            BulkOperation::Cancel => (&[BulkState::Running, BulkState::Paused], BulkState::Cancelled),
        };
        let set = Set {
            bulk: self,
            id,
            actor,
            operation,
            from,
            to,
        };
        let moved = run_on_store(engine.store.as_ref(), &*engine.metrics, "bulk", &set).await?;
        match moved {
            Some(job) => Ok(job),
            None => {
                let job = engine.store.bulk_job(id).await?.ok_or(BulkError::Unknown)?;
                // Whoever asks for what is so already is content.
                if job.state == to {
                    return Ok(job);
                }
                Err(BulkError::WrongState(job.state.as_str()))
            }
        }
    }

    /// One of them.
    pub async fn job(self, id: Uuid) -> Result<Option<BulkJob>, EngineError> {
        Ok(self.shared.store.bulk_job(id).await?)
    }

    /// The latest, before one of them.
    pub async fn jobs(
        self,
        tenant: Option<&Tenant>,
        before: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<BulkJob>, EngineError> {
        Ok(self.shared.store.bulk_jobs(tenant, before, limit).await?)
    }

    /// The changes of a job, in order, from a place on.
    pub async fn items(
        self,
        job: Uuid,
        from: u32,
        outcome: Option<BulkOutcome>,
        limit: u32,
    ) -> Result<Vec<BulkItem>, EngineError> {
        Ok(self.shared.store.bulk_items(job, from, outcome, limit).await?)
    }

    /// Why changes could not be made, and how many each.
    pub async fn refusals(self, job: Uuid) -> Result<Vec<(String, u64)>, EngineError> {
        Ok(self.shared.store.bulk_refusals(job).await?)
    }

    /// Why it was ordered.
    pub fn reason_of(self, job: &BulkJob) -> Result<Option<String>, EngineError> {
        Ok(said_of(self.shared, job)?.reason)
    }

    fn leaf(
        self,
        job: &BulkJob,
        actor: &str,
        operation: BulkOperation,
        n: u32,
    ) -> Result<LeafRow, EngineError> {
        let leaf = Leaf {
            request: RequestId(job.id),
            n,
            at: job.updated_at,
            entries: vec![Entry::Bulk {
                actor: actor.to_owned(),
                job: job.id,
                action: job.action,
                operation,
                items: job.total,
            }],
        };
        Ok(LeafRow {
            request_id: leaf.request,
            n,
            leaf: leaf.to_bytes()?,
            sealed: None,
            acted: leaf.acted(),
        })
    }
}

/// The place of what lies sealed of a job among what is sealed under its id.
const JOB: u32 = 0;

/// What lies sealed beside a job.
pub(super) fn said_of(engine: &Engine, job: &BulkJob) -> Result<Said, EngineError> {
    let opened = engine.vault.open_record(RequestId(job.id), JOB, &job.sealed)?;
    Ok(serde_json::from_slice(&opened)?)
}

/// A job that is known already, where it is what is asked for.
fn same(known: BulkJob, digest: [u8; 16]) -> Result<BulkJob, BulkError> {
    if known.digest == digest {
        Ok(known)
    } else {
        Err(BulkError::Conflicting)
    }
}

/// Writes a job; answers whether it is new.
struct Add<'e> {
    job: &'e BulkJob,
    items: &'e [BulkItem],
    leaf: LeafRow,
}

#[async_trait]
impl StoreWork for Add<'_> {
    type Output = bool;

    async fn work(&self, tx: &mut dyn Transaction) -> Result<Decision<bool>, EngineError> {
        if !tx.add_bulk_job(self.job, self.items).await? {
            return Ok(Decision::Nothing(false));
        }
        tx.write(&Changes {
            leaves: vec![self.leaf.clone()],
            at: self.job.created_at,
            ..Changes::default()
        })
        .await?;
        Ok(Decision::Write(true))
    }
}

/// Moves a job to another state; answers how it is then.
struct Set<'e> {
    bulk: Bulk<'e>,
    id: Uuid,
    actor: &'e str,
    operation: BulkOperation,
    from: &'static [BulkState],
    to: BulkState,
}

#[async_trait]
impl StoreWork for Set<'_> {
    type Output = Option<BulkJob>;

    async fn work(&self, tx: &mut dyn Transaction) -> Result<Decision<Option<BulkJob>>, EngineError> {
        let now = self.bulk.shared.clock.now();
        let Some(job) = tx.set_bulk_state(self.id, self.from, self.to, now).await? else {
            return Ok(Decision::Nothing(None));
        };
        let counts = tx.leaf_counts(&[RequestId(self.id)]).await?;
        let n = counts.first().map_or(0, |(_, n)| *n);
        tx.write(&Changes {
            leaves: vec![self.bulk.leaf(&job, self.actor, self.operation, n)?],
            at: now,
            ..Changes::default()
        })
        .await?;
        Ok(Decision::Write(Some(job)))
    }
}

impl StoreFailure for BulkError {
    fn store_error(&self) -> Option<&crate::store::StoreError> {
        match self {
            Self::Engine(error) => error.store_error(),
            _ => None,
        }
    }
}
