//! Working a job off: a worker takes it on for a while, makes some of its changes one after the other, and writes what came of them.

use async_trait::async_trait;
use serde_json::json;
use uuid::Uuid;

use super::{Said, ordering::said_of};
use crate::{
    domain::{
        command::Decision,
        ids::{CommandId, RequestId},
        request::Request,
        task_ids::task_id,
        time::At,
        words::BulkAction,
    },
    engine::{
        EngineError, OperateError,
        effects::Effects,
        intake::Verdict,
        operations::{By, Once, TaskDecision},
        prepare::Arrival,
        unit_of_work::{Decision as Outcome, StoreWork, run_on_store},
        use_cases::Bulk,
    },
    store::{BulkItem, BulkJob, BulkOutcome, BulkState, StoreError, Transaction},
    wire::{Envelope, parse_hold},
};

/// How many changes are made in a turn: what came of them is written together, and a worker that dies leaves so many at the most to
/// be asked about again.
const BATCH: u32 = 50;

/// Names the keys of changes. Chosen once, by chance; never to change.
const CHANGES: Uuid = Uuid::from_u128(0x3b0e_51c4_92f7_4d1a_8e66_a7d5_08f1_4c93);

/// A job that this worker has taken on, with its next changes.
#[derive(Debug)]
pub struct Claimed {
    job: BulkJob,
    owner: Uuid,
    said: Said,
    items: Vec<BulkItem>,
    made: Vec<BulkItem>,
}

/// Why a change was not made.
enum Unmade {
    /// Something failed.
    Failed(EngineError),
    /// It may not be, for people.
    Because(String),
}

impl From<OperateError> for Unmade {
    fn from(error: OperateError) -> Self {
        match error {
            OperateError::Engine(error) => Self::Failed(error),
            other => Self::Because(other.to_string()),
        }
    }
}

impl From<EngineError> for Unmade {
    fn from(error: EngineError) -> Self {
        Self::Failed(error)
    }
}

/// What came of a change.
#[derive(Debug)]
pub struct Worked {
    /// What has to be produced.
    pub emission: Effects,
    /// Whether there are more changes of this turn.
    pub more: bool,
}

impl Bulk<'_> {
    /// Takes on the job that has waited the longest; `None`: nothing is to be done. `until`: for how long this worker has it unless
    /// it is heard of again.
    pub async fn claim(self, owner: Uuid, now: At, until: At) -> Result<Option<Claimed>, EngineError> {
        let store = &self.shared.store;
        let Some(job) = store.own_bulk_job(owner, now, until).await? else {
            return Ok(None);
        };
        let items = store
            .bulk_items(job.id, job.next, Some(BulkOutcome::Waiting), BATCH)
            .await?;
        let said = said_of(self.shared, &job)?;
        Ok(Some(Claimed {
            job,
            owner,
            said,
            items,
            made: Vec::new(),
        }))
    }

    /// Makes the next change.
    pub async fn step(self, claimed: &mut Claimed) -> Result<Worked, EngineError> {
        let Some(item) = claimed.items.get(claimed.made.len()).cloned() else {
            return Ok(Worked {
                emission: Effects::default(),
                more: false,
            });
        };
        let (made, emission) = self.make(claimed, item).await?;
        claimed.made.push(made);
        Ok(Worked {
            emission,
            more: claimed.made.len() < claimed.items.len(),
        })
    }

    /// Writes what came of the changes that were made. Where the job is another worker's by now nothing is written: that one is
    /// told by the changes themselves that they are made.
    pub async fn conclude(self, claimed: Claimed) -> Result<(), EngineError> {
        let is_last = claimed.items.len() < BATCH as usize && claimed.made.len() == claimed.items.len();
        let next = match claimed.made.last() {
            _ if is_last => claimed.job.total,
            Some(item) => item.n + 1,
            None => return Ok(()),
        };
        let now = self.shared.clock.now();
        let engine = self.shared;
        let work = Move { claimed, next, now };
        run_on_store(engine.store.as_ref(), &*engine.metrics, "bulk", &work).await
    }

    /// Whether a job still runs: somebody may have stopped it meanwhile.
    pub async fn goes_on(self, claimed: &Claimed) -> Result<bool, EngineError> {
        let job = self.shared.store.bulk_job(claimed.job.id).await?;
        Ok(job.is_some_and(|job| job.state == BulkState::Running))
    }

    /// Leaves to others what this worker has taken on, because it ends.
    pub async fn leave(self, owner: Uuid) -> Result<(), EngineError> {
        Ok(self.shared.store.leave_bulk_jobs(owner).await?)
    }

    /// Deletes jobs that ended before this time.
    pub async fn forget(self, before: At) -> Result<u64, EngineError> {
        Ok(self.shared.store.forget_bulk_jobs(before).await?)
    }

    async fn make(self, claimed: &Claimed, item: BulkItem) -> Result<(BulkItem, Effects), EngineError> {
        match self.change(claimed, &item).await {
            Ok(emission) => Ok((
                BulkItem {
                    outcome: BulkOutcome::Done,
                    why: None,
                    ..item
                },
                emission,
            )),
            Err(Unmade::Failed(error)) if error.is_outage() => Err(error),
            Err(Unmade::Failed(error)) => {
                // It must not keep the others from their turn, and somebody has to look at it.
                tracing::error!(job = %claimed.job.id, request = %item.request_id, %error, "a change of a job failed");
                let why = "it failed; the log of the worker says why".to_owned();
                Ok((refused(item, why), Effects::default()))
            }
            Err(Unmade::Because(why)) => Ok((refused(item, why), Effects::default())),
        }
    }

    async fn change(self, claimed: &Claimed, item: &BulkItem) -> Result<Effects, Unmade> {
        let request = self.shared.request(item.request_id).await?;
        let request = request.ok_or(OperateError::Unknown("request"))?;
        match claimed.job.action {
            BulkAction::Hold => self.hold(claimed, item, &request).await,
            _ => Ok(self.decide(claimed, item, &request).await?),
        }
    }

    /// The same use cases as when somebody decides about one request.
    async fn decide(
        self,
        claimed: &Claimed,
        item: &BulkItem,
        request: &Request,
    ) -> Result<Effects, OperateError> {
        let job = &claimed.job;
        let once = self.once(job, item, request);
        let by = By {
            only_given_up: true,
            ..By::with_key(&job.actor, Some(&once))
        };
        let reason = claimed.said.reason.as_deref();
        let operations = self.shared.operations();
        let task = |ordinal: u16| task_id(request.id, ordinal);
        let (_, emission) = match (job.action, item.ordinal) {
            (BulkAction::Retry, Some(ordinal)) => {
                let retry = TaskDecision::Retry;
                operations.decide_task(task(ordinal), retry, by, reason).await?
            }
            (BulkAction::Waive, Some(ordinal)) => {
                let waive = TaskDecision::Waive;
                operations.decide_task(task(ordinal), waive, by, reason).await?
            }
            (BulkAction::Approve, _) => {
                operations
                    .decide_request(request.id, &Decision::Approve, by, reason)
                    .await?
            }
            (BulkAction::Cancel, _) => operations.cancel_request(request.id, by, reason).await?,
            (BulkAction::Retry | BulkAction::Waive, None) | (BulkAction::Hold, _) => {
                return Err(OperateError::Unknown("task"));
            }
        };
        Ok(emission)
    }

    /// A hold of its own, by the name of the change: placed twice it is the same one.
    async fn hold(self, claimed: &Claimed, item: &BulkItem, request: &Request) -> Result<Effects, Unmade> {
        let id = key_of(claimed.job.id, item);
        let body = json!({
            "command_id": id.0, "hold_id": id.0, "tenant": request.head.tenant, "request_id": request.id,
            "basis": claimed.said.basis, "note": claimed.said.reason,
        });
        let envelope = Envelope::bare(&request.head.tenant);
        let intake = self.shared.intake();
        let prepared = parse_hold(body.to_string().as_bytes(), &envelope, &claimed.job.actor)
            .and_then(|parsed| intake.prepare_parsed(parsed));
        let taken = intake.take_in(&[Arrival::of_call_result(prepared)]).await?;
        match taken.verdicts.into_iter().next() {
            Some(Verdict::Rejected(rejection)) => Err(Unmade::Because(rejection.detail)),
            Some(_) => Ok(taken.emission),
            None => Err(OperateError::Unknown("request to hold").into()),
        }
    }

    /// What tells this change from every other one: it is made once, whoever makes it.
    fn once(self, job: &BulkJob, item: &BulkItem, request: &Request) -> Once {
        let tenant = request.head.tenant.clone();
        let asked = format!("{}:{}", job.id, item.n);
        Once {
            command_id: key_of(job.id, item),
            digest: self.shared.vault.payload_digest(&tenant, asked.as_bytes()),
            tenant,
        }
    }
}

fn key_of(job: Uuid, item: &BulkItem) -> CommandId {
    let mut name = job.as_bytes().to_vec();
    name.extend_from_slice(&item.n.to_be_bytes());
    CommandId(Uuid::new_v5(&CHANGES, &name))
}

fn refused(item: BulkItem, why: String) -> BulkItem {
    BulkItem {
        outcome: BulkOutcome::Refused,
        why: Some(why),
        ..item
    }
}

/// Writes what came of changes.
struct Move {
    claimed: Claimed,
    next: u32,
    now: At,
}

#[async_trait]
impl StoreWork for Move {
    type Output = ();

    async fn work(&self, tx: &mut dyn Transaction) -> Result<Outcome<()>, EngineError> {
        let Claimed { job, owner, made, .. } = &self.claimed;
        match tx.move_bulk_job(job.id, *owner, made, self.next, self.now).await {
            Ok(()) => Ok(Outcome::Write(())),
            Err(StoreError::Conflict) => {
                tracing::info!(job = %job.id, "another worker goes on with the job");
                Ok(Outcome::Nothing(()))
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Claimed {
    /// The job.
    pub const fn job(&self) -> Uuid {
        self.job.id
    }

    /// The request of the change that comes next.
    pub fn next_request(&self) -> Option<RequestId> {
        self.items.get(self.made.len()).map(|item| item.request_id)
    }
}
