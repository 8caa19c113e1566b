//! What `[policy]` says about refusals, and about commands that come before their request.

use super::{bad_config::check, *};

#[test]
fn whom_a_person_can_complain_to() {
    let text = "[policy]\ncomplaint_body = 'The authority'\ncomplaint_bodies = { ccpa = 'The attorney', 'days:30' = 'The court', gdpr = '' }";
    let read = config(text).unwrap().policy.complaint_bodies;
    assert_eq!(read.otherwise.as_deref(), Some("The authority"));
    let of = |regime| read.by_regime.get(regime).map(String::as_str);
    assert_eq!(
        (of("ccpa"), of("days:30"), of("gdpr")),
        (Some("The attorney"), Some("The court"), None),
        "nothing is no text"
    );
    assert_eq!(
        config("[policy]\ncomplaint_body = ''").unwrap().policy,
        Config::default().policy
    );
}

#[test]
fn which_values_are_nobodys() {
    let read = config("[policy]\nplaceholder_identities = ['test@example.org', 'Guest']").unwrap();
    let is_nobody = |kind: &str, value: &str| {
        let kind = crate::domain::ids::IdentityType::new(kind).unwrap();
        let identity = crate::domain::identity::Identity::taken(kind, value).unwrap();
        read.policy.placeholders.check(&identity).is_err()
    };
    assert!(is_nobody("email", "TEST@example.org") && is_nobody("customer_id", "guest"));
    assert!(!is_nobody("email", "ann@example.org") && !is_nobody("customer_id", "guest-1"));
    let many: Vec<String> = (0..1001).map(|n| format!("'{n}'")).collect();
    check(&[
        (
            "[policy]\nplaceholder_identities = ['a', 'a']",
            "2: policy.placeholder_identities[1]: listed twice",
        ),
        (
            "[policy]\nplaceholder_identities = [' ']",
            "2: policy.placeholder_identities[0]: expected a text that is not empty",
        ),
        (
            &format!("[policy]\nplaceholder_identities = [{}]", many.join(",")),
            "2: policy.placeholder_identities: expected at most 1000 of them",
        ),
    ]);
}

#[test]
fn what_is_no_such_text() {
    let long = format!("[policy]\ncomplaint_body = '{}'", "a".repeat(501));
    check(&[
        (
            "[policy]\ncomplaint_body = \"a\\nb\"",
            "2: policy.complaint_body: expected a text without control characters",
        ),
        (&long, "2: policy.complaint_body: expected at most 500 characters"),
        (
            "[policy]\ncomplaint_bodies = { gpdr = 'a' }",
            "2: policy.complaint_bodies.gpdr: expected one of: ccpa, drop, gdpr, indiana, kentucky, lgpd, rhode_island, uk_gdpr, or days:N, working_days:N (N from 1 to 3650) or months:N (N from 1 to 120)",
        ),
        (
            "[policy]\ncomplaint_bodies = 'a'",
            "2: policy.complaint_bodies: expected a table, found text",
        ),
    ]);
}

#[test]
fn how_long_a_command_waits_for_its_request() {
    let wait = |text: &str| config(text).unwrap().policy.early_commands.wait.as_secs();
    assert_eq!(wait(""), 15);
    assert_eq!(wait("[policy]\nearly_commands = '0s'"), 0);
    assert_eq!(wait("[policy]\nearly_commands = '1h'"), 3600);
    check(&[
        (
            "[policy]\nearly_commands = '61m'",
            "2: policy.early_commands: expected at most 1h",
        ),
        (
            "[policy]\nearly_commands = '1mo'",
            "2: policy.early_commands: expected a duration without months and years, whose length depends on the calendar",
        ),
    ]);
}
