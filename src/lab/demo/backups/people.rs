//! Who asks to be forgotten, and who holds what of them.

use serde_json::{Value, json};
use uuid::Uuid;

use super::systems::Systems;
use crate::domain::{ids::RequestId, time::At};

/// A person of the story. The names are the story's: messages know them by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Person {
    /// What the story calls them.
    pub name: &'static str,
    number: u16,
    /// The processors that hold something of them.
    processors: &'static [&'static str],
    /// When their account was closed: what tax law keeps is counted from here.
    pub account_closed_at: &'static str,
}

const EVERYWHERE: &[&str] = &["hosting", "crm", "payments"];

/// An ordinary one.
pub(super) const ADA: Person = Person {
    name: "Ada",
    number: 1001,
    processors: EVERYWHERE,
    account_closed_at: "2024-12-10T00:00:00Z",
};
/// One who never paid for anything, so that nothing is kept.
pub(super) const BEN: Person = Person {
    name: "Ben",
    number: 1002,
    processors: &["hosting", "crm"],
    account_closed_at: "2025-12-30T00:00:00Z",
};
/// One who only ever visited.
pub(super) const CLEO: Person = Person {
    name: "Cleo",
    number: 1003,
    processors: &["analytics"],
    account_closed_at: "2026-01-02T00:00:00Z",
};
/// One who goes to court.
pub(super) const DORA: Person = Person {
    name: "Dora",
    number: 1004,
    processors: EVERYWHERE,
    account_closed_at: "2022-06-15T00:00:00Z",
};
/// One who comes a year later.
pub(super) const EMIL: Person = Person {
    name: "Emil",
    number: 1005,
    processors: EVERYWHERE,
    account_closed_at: "2024-10-10T00:00:00Z",
};

/// All of them.
pub(super) const PEOPLE: [Person; 5] = [ADA, BEN, CLEO, DORA, EMIL];

impl Person {
    /// Their number at the shop.
    pub(super) fn customer(self) -> String {
        format!("C-{}", self.number)
    }

    /// Their request.
    pub(super) fn request(self) -> RequestId {
        RequestId(Uuid::from_u128(
            0x0190_0000_0000_7000_8000_0000_0000_0000 + u128::from(self.number),
        ))
    }

    /// What was stored of them over the years.
    pub(super) fn leave_traces(self, systems: &mut Systems) {
        for processor in self.processors {
            systems.store(processor, &self.customer(), "profile");
            if *processor == "payments" {
                systems.store(processor, &self.customer(), "invoices");
            }
        }
    }

    /// The command that opens their request.
    pub(super) fn erase(self, now: At) -> Value {
        json!({
            "command_id": self.request(), "type": "erase", "tenant": "acme", "regime": "gdpr",
            "subject": { "identities": self.identities() },
            "reason": "account_closed", "requested_at": now,
            "scope": { "processors": self.processors },
            "anchors": { "account_closed_at": self.account_closed_at },
            "identity_verified": true,
        })
    }

    /// How they are known.
    pub(super) fn identities(self) -> Value {
        json!([
            { "type": "email", "value": format!("customer-{}@customers.example.org", self.number) },
            { "type": "customer_id", "value": self.customer() },
        ])
    }
}

/// The registry of the story.
pub(super) const REGISTRY: &str = r#"
[[processor]]
id = "hosting"
kind = "hosting"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["customer_id"]

[[processor]]
id = "crm"
kind = "crm"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email", "customer_id"]

[[processor]]
id = "payments"
kind = "payments"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["customer_id"]
categories = ["profile", "invoices"]
retention = [{ categories = ["invoices"], basis = "tax_law", keep = "5y", then = "erase", from = "account_closed_at" }]

[[processor]]
id = "analytics"
kind = "analytics"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["customer_id"]

[[processor]]
id = "nightly-backup"
kind = "backup"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["customer_id"]
backup = { sources = ["hosting", "crm", "payments"], set = "nightly", keep = "35d", confirm_by = "event", overdue_after = "31d" }

[[processor]]
id = "yearly-archive"
kind = "backup"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["customer_id"]
backup = { sources = ["hosting", "crm"], set = "archive", keep = "1y", confirm_by = "schedule" }

[[processor]]
id = "snapshots"
kind = "backup"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["customer_id"]
backup = { sources = ["analytics"], set = "hourly", keep = "7d", confirm_by = "schedule" }
"#;
