//! The brake on a sudden volume: how many more requests may go ahead this hour without a second person.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{
    domain::{backup::earlier, ids::Tenant, request::gates::Approval, time::At},
    engine::{Engine, EngineError},
    store::Transaction,
};

const HOUR: Duration = Duration::from_secs(3600);

/// How many more requests may go ahead without an approval.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// Of all tenants together.
    common: u64,
    /// Of those that have a rule of their own, which counts only theirs.
    own: BTreeMap<Tenant, u64>,
}

impl Room {
    /// Counts what came this hour, where a rule asks for it. `tenants`: those of the requests that a batch opens.
    pub(super) async fn read(
        engine: &Engine,
        tenants: &BTreeSet<&Tenant>,
        tx: &mut dyn Transaction,
        now: At,
    ) -> Result<Self, EngineError> {
        let policy = engine.policy();
        let mut room = Self::default();
        for tenant in tenants {
            if let Some(approval) = policy.tenant_rules.get(*tenant).and_then(|own| own.approval) {
                let left = left(tx, approval, Some(tenant), now).await?;
                room.own.insert((*tenant).clone(), left);
            }
        }
        if room.own.len() < tenants.len() {
            room.common = left(tx, policy.approval, None, now).await?;
        }
        Ok(room)
    }

    /// Whether there is none left for this tenant.
    pub(super) fn is_out(&self, tenant: &Tenant) -> bool {
        *self.own.get(tenant).unwrap_or(&self.common) == 0
    }

    /// One more goes ahead. The volume of everybody has it in any case.
    pub(super) fn take(&mut self, tenant: &Tenant) {
        self.common = self.common.saturating_sub(1);
        if let Some(own) = self.own.get_mut(tenant) {
            *own = own.saturating_sub(1);
        }
    }
}

/// How many more requests a rule lets go ahead this hour: of one tenant, or of all.
async fn left(
    tx: &mut dyn Transaction,
    approval: Approval,
    tenant: Option<&Tenant>,
    now: At,
) -> Result<u64, EngineError> {
    let most = match approval {
        Approval::Never => return Ok(u64::MAX),
        Approval::Always => return Ok(0),
        Approval::AbovePerHour(most) => most,
    };
    let lately = tx.received_since(earlier(now, HOUR), tenant, most).await?;
    let room = u64::from(most).saturating_sub(lately);
    if room == 0 {
        tracing::warn!(
            most,
            "more requests an hour than the policy allows: new ones wait for an approval"
        );
    }
    Ok(room)
}
