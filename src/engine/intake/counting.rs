//! How commands are counted: by type and by what became of them, whichever channel they came through.

use super::Verdict;
use crate::{
    domain::ids::Tenant,
    engine::{
        Engine,
        prepare::{Arrival, PreparedCommand},
        use_cases::Intake,
    },
};

/// What became of a command that was carried out.
pub(in crate::engine) const ACCEPTED: &str = "accepted";

impl Intake<'_> {
    pub(super) fn count_commands(&self, arrivals: &[Arrival<PreparedCommand>], verdicts: &[Verdict]) {
        for (arrival, verdict) in arrivals.iter().zip(verdicts) {
            let command = arrival.content.as_ref().ok().map(|p| &p.command);
            let kind = command.map_or("unreadable", |command| command.type_name());
            let result = match verdict {
                Verdict::Taken(_) => ACCEPTED,
                Verdict::Duplicate(_) => "duplicate",
                Verdict::Waiting(_) => "early",
                Verdict::Rejected(refusal) => refusal.reason.as_str(),
            };
            self.shared
                .count_command(kind, command.map(|command| command.tenant()), result);
            if let (Verdict::Rejected(refusal), Some(_)) = (verdict, &arrival.origin) {
                self.shared.metrics.dead_letter(refusal.reason);
            }
        }
    }
}

impl Engine {
    /// Counts one command, for its tenant too where the configuration lists it: others could be anything that somebody
    /// writes.
    pub(in crate::engine) fn count_command(&self, kind: &str, tenant: Option<&Tenant>, result: &str) {
        self.metrics.command(kind, result);
        if let Some(tenant) = tenant.filter(|tenant| self.tenants.contains(tenant)) {
            self.metrics.command_of_tenant(tenant.as_str(), kind, result);
        }
    }
}
