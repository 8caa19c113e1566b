//! How every schedule begins: the registry, the settings, the time.

use std::{sync::Arc, time::Duration};

use lacuna::{
    domain::{ids::Tenant, time::At},
    engine::Settings,
};

use super::messages::ACKS;

/// Three processors: `crm` and `stats` go at once, `mail` comes after `crm`. Two attempts each.
pub const REGISTRY: &str = r#"
[[processor]]
id = "crm"
kind = "crm"
transport = { type = "kafka" }
actions = ["erase", "anonymize"]
identities = ["email", "customer_id"]
ack_timeout = "1h"
retry = { initial = "10s", jitter = 0.0, attempts = 2 }
[[processor]]
id = "stats"
kind = "analytics"
transport = { type = "kafka", topic = "stats-tasks" }
actions = ["erase"]
identities = ["customer_id"]
ack_timeout = "1h"
retry = { initial = "10s", jitter = 0.0, attempts = 2 }
[[processor]]
id = "mail"
kind = "messaging"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
after = ["crm"]
ack_timeout = "1h"
retry = { initial = "10s", jitter = 0.0, attempts = 2 }
"#;

/// How far clocks may be apart.
pub const SKEW: Duration = Duration::from_secs(300);

/// When every schedule begins.
pub fn start() -> At {
    At::parse("2026-11-21T12:00:00Z").unwrap()
}

pub fn settings() -> Settings {
    let zone = jiff::tz::TimeZone::UTC;
    Settings {
        ack_topic: Arc::from(ACKS),
        has_suppression_topic: false,
        region: None,
        tenant_default: Tenant::new("default").unwrap(),
        tenants: Vec::new(),
        placeholders: lacuna::domain::identity::Placeholders::default(),
        rules: lacuna::domain::request::open::Rules {
            regime: lacuna::config::Config::default().policy.regime,
            regimes: lacuna::config::Config::default().policy.regimes,
            calendar: lacuna::domain::calendar::Calendar {
                zone,
                holidays: std::collections::BTreeSet::new(),
            },
            at_risk: 0.2,
            require_verification: false,
            grace: lacuna::domain::calendar::Period::ZERO,
            inactivity_notice: lacuna::domain::calendar::Period::days(2),
            duplicates: lacuna::domain::request::duplicates::Duplicates::default(),
        },
        approval: lacuna::domain::request::gates::Approval::Never,
        tenant_rules: std::collections::BTreeMap::new(),
        early: lacuna::domain::early::EarlyCommands {
            wait: Duration::ZERO,
            most: 3,
        },
        complaint_bodies: lacuna::domain::request::refusal::ComplaintBodies::default(),
        keep_after_completion: Duration::ZERO,
        keeps: lacuna::domain::request::expiry::Keeps {
            lookups: lacuna::domain::calendar::Period::days(365),
            records: lacuna::domain::calendar::Period::years(3),
        },
        dead_letters: lacuna::engine::dead_letters::DeadLetterLimits::default(),
        clock_skew: SKEW,
        max_in_flight: 5000,
        backup_tokens: false,
        lease: Duration::from_secs(30),
        cluster: Arc::from("test"),
    }
}
