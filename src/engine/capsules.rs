//! Capsules: the identifiers that a restore replay would need, and nothing else of a subject, sealed under the key of a
//! week. When every copy from before the end of that week is proved gone, the key is destroyed.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use zeroize::Zeroizing;

use super::{
    Engine, EngineError,
    batch::{Batch, Finished},
    decision_inputs::DecisionInputs,
    facts::{of_nobody, store_fact},
    unit_of_work::{Decision, Load, UnitOfWork, run},
    use_cases::Retention,
};
use crate::{
    domain::{
        backup::end_of,
        body::{Body, Subject},
        fact::{CapsuleEpoch, Fact, Facts},
        ids::{IdentityType, RequestId},
        registry::{BackupSet, ConfirmBy, Registry},
        request::Request,
        task::{Share, Task},
        time::At,
    },
    store::{CapsuleRow, Changes, Gate, Lock, StoredBody, StoredCapsule, Transaction},
};

/// How many forgotten capsules are deleted in one turn: enough to keep up, few enough to pass unnoticed.
const DROP: u32 = 5_000;

impl Engine {
    /// Seals the capsules of requests whose identifiers have just gone, or were confirmed anew.
    pub(super) async fn seal_capsules(
        &self,
        finished: &mut Finished<'_>,
        tx: &mut dyn Transaction,
    ) -> Result<(), EngineError> {
        let wanted: Vec<RequestId> = finished.encapsulated().map(|(request, _)| request.id).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let bodies = tx.bodies(&wanted).await?;
        let older = tx.capsules(&wanted).await?;
        let keys = self.epoch_keys(finished, tx).await?;
        let mut sealed = Vec::with_capacity(wanted.len());
        for (request, wrapped_key) in finished.encapsulated() {
            let Some(epoch) = request.capsule_epoch() else {
                continue;
            };
            match self.capsule_of(request, wrapped_key, &bodies, &older, &epoch, &keys) {
                Ok(capsule) => sealed.push(capsule),
                Err(error) => {
                    // Its neighbours must not suffer, and what a restore would need is asked for loudly then.
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(request = %request.id, error, "no capsule could be sealed: a restore will need attention");
                }
            }
        }
        finished.changes.capsules = sealed;
        Ok(())
    }

    async fn epoch_keys(
        &self,
        finished: &Finished<'_>,
        tx: &mut dyn Transaction,
    ) -> Result<HashMap<CapsuleEpoch, Vec<u8>>, EngineError> {
        let mut epochs: Vec<CapsuleEpoch> = finished
            .encapsulated()
            .filter_map(|(request, _)| request.capsule_epoch())
            .collect();
        epochs.sort_unstable();
        epochs.dedup();
        let fresh: Vec<(CapsuleEpoch, Vec<u8>)> = epochs
            .into_iter()
            .map(|epoch| {
                let key = self.vault.new_capsule_key(&epoch);
                (epoch, key)
            })
            .collect();
        let keys = tx.capsule_keys(&fresh).await?;
        Ok(fresh.into_iter().map(|(epoch, _)| epoch).zip(keys).collect())
    }

    fn capsule_of(
        &self,
        request: &Request,
        wrapped_key: Option<&[u8]>,
        bodies: &[StoredBody],
        older: &[StoredCapsule],
        epoch: &CapsuleEpoch,
        keys: &HashMap<CapsuleEpoch, Vec<u8>>,
    ) -> Result<CapsuleRow, EngineError> {
        let (body, mut subject) = self.open_stored(request, wrapped_key, bodies, older)?;
        let needed = needed_identities(request, &body, &self.active()?.registry);
        subject
            .identities
            .retain(|identity| needed.contains(&identity.kind));
        subject.metadata = None;
        let plain = Zeroizing::new(subject.pack()?);
        let key = keys.get(epoch).ok_or(EngineError::Shredded(request.id))?;
        Ok(CapsuleRow {
            request_id: request.id,
            sealed: self
                .vault
                .seal_capsule(epoch, key, &request.head.tenant, request.id, &plain)?,
            epoch: epoch.clone(),
        })
    }

    /// Opens a capsule.
    pub(super) fn open_capsule(
        &self,
        request: &Request,
        capsule: &StoredCapsule,
    ) -> Result<Subject, EngineError> {
        let plain = self.vault.open_capsule(
            &capsule.epoch,
            &capsule.wrapped_key,
            &request.head.tenant,
            request.id,
            &capsule.sealed,
        )?;
        Ok(Subject::unpack(&plain)?)
    }

    /// Whether every set that covers these capsules is proved past their week.
    fn is_past(&self, epoch: &CapsuleEpoch, facts: &Facts, now: At) -> Result<bool, EngineError> {
        let active = self.active()?;
        // A confirmation counts for copies up to the skew later.
        let until = end_of(epoch.week).plus(self.clock_skew);
        Ok(epoch.sets.iter().all(|id| {
            let copies = facts.copies(id);
            let set = active
                .registry
                .get(id)
                .and_then(|processor| processor.backup.as_ref());
            let rotated = copies
                .and_then(|copies| copies.gone_before())
                .is_some_and(|gone| until <= gone);
            let locked = copies.and_then(|copies| copies.locked_until(until));
            match set {
                Some(BackupSet {
                    confirm_by: ConfirmBy::Event,
                    ..
                }) => rotated,
                // What proves it otherwise is the declared schedule, and never before a lock ends.
                Some(set) => {
                    let horizon = set
                        .keep
                        .add_to(until, &self.policy().rules.calendar.zone)
                        .plus(self.clock_skew);
                    rotated || (horizon <= now && locked.is_none_or(|locked| locked <= now))
                }
                // A set that is registered no more proves nothing by its schedule.
                None => rotated,
            }
        }))
    }
}

impl Retention<'_> {
    /// Destroys the keys of weeks from which no copy is left, and deletes what they sealed.
    pub async fn forget_old_capsules(self, now: At) -> Result<(), EngineError> {
        let epochs = self.shared.store.capsule_epochs().await?;
        if !epochs.is_empty() {
            let facts = self.shared.refresh_facts().await?;
            for epoch in &epochs {
                if self.shared.is_past(epoch, &facts, now)? && self.forget_capsules(epoch).await? {
                    tracing::info!(
                        week = epoch.week,
                        sets = epoch.name(),
                        "the capsules of a week are forgotten"
                    );
                }
            }
        }
        self.shared.store.drop_capsules(DROP).await?;
        Ok(())
    }

    /// Destroys the key of a week's capsules: from then on they hold nothing, in no copy of the store either once its
    /// own backups are gone. `false`: the store does not say any more that no copy is left, and nothing was done.
    async fn forget_capsules(&self, epoch: &CapsuleEpoch) -> Result<bool, EngineError> {
        Ok(run(
            self.shared,
            &Forget {
                engine: self.shared,
                epoch,
            },
        )
        .await?
        .answer)
    }
}

/// Destroys the key of a week's capsules, and answers whether that was done.
struct Forget<'e> {
    engine: &'e Engine,
    epoch: &'e CapsuleEpoch,
}

#[async_trait]
impl UnitOfWork<'static> for Forget<'_> {
    type Loaded = Changes;
    type Output = bool;
    type Error = EngineError;

    fn name(&self) -> &'static str {
        "forget"
    }

    fn gate(&self) -> Gate {
        Gate::Exclusive
    }

    async fn load(
        &self,
        tx: &mut dyn Transaction,
        inputs: &mut DecisionInputs,
        _: Lock,
    ) -> Result<Load<Changes, bool>, EngineError> {
        let now = inputs.now;
        // What was looked at before may have been lost since, and a lock may have come. This cannot be undone.
        if !self.engine.is_past(self.epoch, &inputs.facts, now)? {
            return Ok(Load::Nothing(false));
        }
        let fact = Fact::Forgotten(self.epoch.clone());
        let mut changes = Changes::default();
        if tx.fact(&fact.key()).await?.is_none() {
            store_fact(of_nobody(fact, now), tx, &mut changes).await?;
        }
        // In any case: what is known to be forgotten must not be readable, whoever has sealed something since.
        tx.destroy_capsules(self.epoch).await?;
        Ok(Load::Ready(Vec::new(), changes))
    }

    fn decide(
        &self,
        changes: &mut Changes,
        _: &DecisionInputs,
        batch: &mut Batch<'static>,
    ) -> Result<Decision<bool>, EngineError> {
        batch.changes = std::mem::take(changes);
        Ok(Decision::Write(true))
    }
}

/// The identity types of the processors that a restore can bring data back into, and of the backup systems that are
/// asked once these have confirmed again.
fn needed_identities(request: &Request, body: &Body, registry: &Registry) -> Vec<IdentityType> {
    let restorable = request.restorable();
    let is_asked = |task: &Task| match &task.share {
        Share::Wave { key, .. } => {
            let registered = registry.get(&task.processor);
            let set = registered.and_then(|processor| processor.backup.as_ref());
            *key || set.is_some_and(BackupSet::is_asked)
        }
        _ => restorable.contains(&&task.processor),
    };
    request
        .ordinals()
        .filter(|ordinal| is_asked(request.task(*ordinal)))
        .flat_map(|ordinal| body.identities_of(request, ordinal))
        .cloned()
        .collect()
}

/// How often old capsules are looked for: their weeks end once in a week, so an hour more does not matter.
pub const LOOK_EVERY: Duration = Duration::from_secs(600);
