//! In which zone the days and months of a tenant are counted.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use crate::domain::ids::Tenant;

/// The controller's zone, and those of tenants that have their own.
#[derive(Debug, Clone, Copy)]
pub struct Zones<'a> {
    controller: &'a TimeZone,
    own: Option<&'a BTreeMap<Tenant, TimeZone>>,
}

impl<'a> Zones<'a> {
    /// One for everybody.
    pub const fn only(controller: &'a TimeZone) -> Self {
        Self {
            controller,
            own: None,
        }
    }

    /// Some tenants have their own.
    pub const fn with(controller: &'a TimeZone, own: &'a BTreeMap<Tenant, TimeZone>) -> Self {
        Self {
            controller,
            own: Some(own),
        }
    }

    /// The controller's: for what concerns no tenant, and how long things are kept.
    pub const fn controller(&self) -> &'a TimeZone {
        self.controller
    }

    /// A tenant's.
    pub fn of(&self, tenant: &Tenant) -> &'a TimeZone {
        self.own
            .and_then(|own| own.get(tenant))
            .unwrap_or(self.controller)
    }
}
