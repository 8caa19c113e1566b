//! `[policy.tenant.NAME]`: what a tenant has of everybody's rules, what of its own, and every mistake.

use super::{config, lines};
use crate::{
    config::{Approval, OverLimit},
    domain::{calendar::Period, ids::Tenant},
};

fn tenant(name: &str) -> Tenant {
    Tenant::new(name).unwrap()
}

#[test]
fn tenant_has_everybodys_rules_but_for_its_own() {
    let read = config(
        "[policy]\nregime = 'uk_gdpr'\ntime_zone = 'Europe/London'\nholidays = ['2026-12-25']\ngrace = '1d'\nat_risk = 0.5\n\
         require_identity_verification = true\napproval = 'always'\nduplicates = 'refuse'\n\
         [policy.tenant.plain]\n\
         [policy.tenant.\"own\"]\nregime = 'days:30'\ntime_zone = 'Asia/Tokyo'\nholidays = []\ngrace = '2d'\nat_risk = 0.1\n\
         require_identity_verification = false\napproval = { above_per_hour = 7 }\nduplicates = { merge_open = false }\n",
    )
    .unwrap_or_else(|problems| panic!("{problems}"));
    let (policy, plain) = (&read.policy, &read.policy.tenants[&tenant("plain")]);
    assert_eq!(
        (&plain.regime, &plain.calendar),
        (&policy.regime, &policy.calendar)
    );
    assert_eq!((plain.grace, plain.at_risk), (Period::days(1), 0.5));
    assert_eq!(
        (plain.require_identity_verification, plain.approval),
        (true, None)
    );
    assert_eq!(plain.duplicates.repeat_limit.then, OverLimit::Refuse);
    let own = &policy.tenants[&tenant("own")];
    assert_eq!(own.regime.to_string(), "days:30");
    assert_eq!(own.calendar.zone.iana_name(), Some("Asia/Tokyo"));
    assert!(own.calendar.holidays.is_empty());
    assert_eq!((own.grace, own.at_risk), (Period::days(2), 0.1));
    assert_eq!(
        (own.require_identity_verification, own.approval),
        (false, Some(Approval::AbovePerHour(7)))
    );
    assert!(!own.duplicates.merge_open);
    assert_eq!(policy.calendar_of(Some(&tenant("own"))), &own.calendar);
    assert_eq!(policy.calendar_of(Some(&tenant("nobody"))), &policy.calendar);
}

#[test]
fn every_mistake_in_a_tenants_table_is_named() {
    for (text, expected) in [
        (
            "[policy.tenant.acme]\nregieme = 'gdpr'",
            "2: policy.tenant.acme.regieme: unknown key",
        ),
        (
            "[policy.tenant.acme]\ngrace = '400d'",
            "2: policy.tenant.acme.grace: expected less than the period",
        ),
        (
            "[policy.tenant.acme]\ntime_zone = 'Mars'",
            "2: policy.tenant.acme.time_zone: expected the name of a time zone",
        ),
        (
            "[policy.tenant.acme]\nregime = 'gpdr'",
            "2: policy.tenant.acme.regime: expected one of: ccpa",
        ),
        (
            "[policy.tenant.acme]\napproval = 'sometimes'",
            "2: policy.tenant.acme.approval: ",
        ),
        (
            "[policy.tenant.acme]\nearly_commands = '1s'",
            "2: policy.tenant.acme.early_commands: unknown key",
        ),
        ("[policy.tenant.'a b']\nregime = 'gdpr'", "1: policy.tenant."),
        (
            "[policy]\ntenant = 'acme'",
            "2: policy.tenant: expected a table, found text",
        ),
        (
            "[policy]\ngrace = '4d'\n[policy.tenant.acme]\nregime = 'days:3'",
            "3: policy.tenant.acme.grace: everybody's applies, and cannot: expected less",
        ),
        (
            "tenants = ['default']\n[policy.tenant.acme]\nregime = 'gdpr'",
            "2: policy.tenant.acme: expected one of tenants",
        ),
    ] {
        let found = lines(config(text));
        let expected = format!("lacuna.toml:{expected}");
        assert!(
            found.len() == 1 && found[0].starts_with(&expected),
            "{text}\n{found:?}"
        );
    }
}
