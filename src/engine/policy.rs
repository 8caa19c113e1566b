//! What `[policy]` says, as decisions read it. It can be replaced while the worker runs.

use std::{
    collections::BTreeMap,
    sync::{PoisonError, RwLock},
};

use jiff::tz::TimeZone;

use super::{
    Engine, Settings,
    tenant_rules::{TenantRules, zones},
};
use crate::domain::{
    early::EarlyCommands,
    identity::Placeholders,
    ids::Tenant,
    request::{gates::Approval, open::Rules, refusal::ComplaintBodies},
};

/// The controller's policy.
#[derive(Debug)]
pub(super) struct Policy {
    /// The controller's rules.
    pub(super) rules: Rules,
    /// When a second person has to approve a request.
    pub(super) approval: Approval,
    /// The rules of tenants that have their own.
    pub(super) tenant_rules: BTreeMap<Tenant, TenantRules>,
    /// The zones of those.
    pub(super) tenant_zones: BTreeMap<Tenant, TimeZone>,
    /// Whom a person can complain to about a refusal.
    pub(super) complaint_bodies: ComplaintBodies,
    /// Values that are nobody's identifiers.
    pub(super) placeholders: Placeholders,
    /// How long commands wait that come before their request.
    pub(super) early: EarlyCommands,
}

impl Policy {
    /// Of what the engine is set to.
    pub(super) fn of(settings: Settings) -> Self {
        Self {
            tenant_zones: zones(&settings.tenant_rules),
            rules: settings.rules,
            approval: settings.approval,
            tenant_rules: settings.tenant_rules,
            complaint_bodies: settings.complaint_bodies,
            placeholders: settings.placeholders,
            early: settings.early,
        }
    }
}

/// The policy that is in force.
///
/// It is lent to decisions and to what is shown of them without a count of who has it, so one that was replaced stays where it is
/// until the process ends: some kilobytes for each change that somebody makes.
#[derive(Debug)]
pub(super) struct CurrentPolicy(RwLock<&'static Policy>);

impl CurrentPolicy {
    pub(super) fn new(policy: Policy) -> Self {
        Self(RwLock::new(Box::leak(Box::new(policy))))
    }
}

impl Engine {
    /// The policy that is in force now.
    pub(super) fn policy(&self) -> &'static Policy {
        *self.policy.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another policy is in force from now on: what is decided next is decided by it. Requests keep the deadlines and gates that they
    /// were opened with.
    pub fn set_policy(&self, settings: Settings) {
        let policy = Box::leak(Box::new(Policy::of(settings)));
        *self.policy.0.write().unwrap_or_else(PoisonError::into_inner) = policy;
    }
}
