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

/// Those of all tenants that have some.
#[derive(Debug)]
pub(super) struct OfTenants {
    rules: BTreeMap<Tenant, TenantRules>,
    zones: BTreeMap<Tenant, TimeZone>,
}

impl OfTenants {
    pub(super) fn new(rules: BTreeMap<Tenant, TenantRules>) -> Self {
        let zone = |(tenant, own): (&Tenant, &TenantRules)| (tenant.clone(), own.rules.calendar.zone.clone());
        Self {
            zones: rules.iter().map(zone).collect(),
            rules,
        }
    }

    /// A tenant's own.
    pub(super) fn get(&self, tenant: &Tenant) -> Option<&TenantRules> {
        self.rules.get(tenant)
    }
}

impl Engine {
    /// What requests of this tenant are opened and decided under.
    pub(super) fn rules_of(&self, tenant: &Tenant) -> &Rules {
        self.tenants_rules
            .get(tenant)
            .map_or(&self.rules, |own| &own.rules)
    }

    /// The zones of all tenants.
    pub(super) const fn zones(&self) -> Zones<'_> {
        Zones::with(&self.rules.calendar.zone, &self.tenants_rules.zones)
    }
}
