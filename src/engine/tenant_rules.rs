//! Rules of one tenant's own: another law, another zone, other gates.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use super::Engine;
use crate::domain::{
    calendar::Zones,
    ids::Tenant,
    request::{gates::Approval, open::Rules},
};

/// The rules of a tenant that has its own.
#[derive(Debug, Clone)]
pub struct TenantRules {
    /// What its requests are opened and decided under.
    pub rules: Rules,
    /// When a second person has to approve one; `None`: as everybody's.
    pub approval: Option<Approval>,
}

/// Those zones that differ from tenant to tenant.
pub(super) fn zones(tenants: &BTreeMap<Tenant, TenantRules>) -> BTreeMap<Tenant, TimeZone> {
    let zone = |(tenant, own): (&Tenant, &TenantRules)| (tenant.clone(), own.rules.calendar.zone.clone());
    tenants.iter().map(zone).collect()
}

impl Engine {
    /// What requests of this tenant are opened and decided under.
    pub(super) fn rules_of(&self, tenant: &Tenant) -> &Rules {
        let policy = self.policy();
        policy
            .tenant_rules
            .get(tenant)
            .map_or(&policy.rules, |own| &own.rules)
    }

    /// The zones of all tenants.
    pub(super) fn zones(&self) -> Zones<'_> {
        let policy = self.policy();
        Zones::with(&policy.rules.calendar.zone, &policy.tenant_zones)
    }
}
