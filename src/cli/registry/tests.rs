//! A registry as text: what is shown can be activated again, and each difference is named.

use crate::{
    config::registry_file::read_text,
    domain::registry::Registry,
    view::registry::{changes, whole},
};

const FILE: &str = r#"
    [[processor]]
    id = "billing"
    kind = "payments"
    transport = { type = "kafka", topic = "billing.tasks" }
    actions = ["erase"]
    identities = ["customer_id"]
    [[processor]]
    id = "crm"
    name = 'CRM "vendor"'
    kind = "crm"
    transport = { type = "kafka" }
    actions = ["erase", "anonymize"]
    identities = ["email", "customer_id"]
    missing_identity = "exempt"
    honours_cutoff = true
    anonymize_fallback = "erase"
    accept_anonymized = true
    accept_pseudonymised = true
    require_evidence = ["method", "digest"]
    require_method = ["purge", "crypto_erase"]
    purposes = ["marketing"]
    categories = ["contacts"]
    regions = ["eu"]
    after = ["billing"]
    ack_timeout = "90s"
    retry = { initial = "2m", multiplier = 3.5, max = "7h", jitter = 0.25, attempts = 3 }
    concurrency = 2
    verify = { after = "7d" }
    sweep = { after = "90m" }
    retention = [{ categories = ["contacts"], basis = "tax_law", keep = "1y6mo", then = "anonymize", from = "paid_at" }]
    [[processor]]
    id = "nightly"
    kind = "backup"
    transport = { type = "kafka" }
    actions = ["erase"]
    identities = ["customer_id"]
    backup = { sources = ["crm", "billing"], set = "n", keep = "5w", confirm_by = "ack", overdue_after = "1h", erase_by = "key" }
"#;

#[test]
fn what_is_shown_can_be_activated_again() {
    let registry = read_text("a", FILE).unwrap();
    let shown = whole(&registry);
    assert_eq!(read_text("b", &shown).unwrap(), registry, "{shown}");
    assert!(changes(&registry, &registry).is_empty());
}

#[test]
fn each_changed_key_is_a_change() {
    let before = read_text("a", FILE).unwrap();
    let after = read_text(
        "b",
        &FILE
            .replace("\"90s\"", "\"2d\"")
            .replace("sweep = { after = \"90m\" }", "")
            .replace("\"1y6mo\", then = \"anonymize\", from = \"paid_at\"", "\"2y\"")
            .replace(", erase_by = \"key\"", "")
            .replace("'CRM \"vendor\"'", "\"New\""),
    )
    .unwrap();
    assert_eq!(
        changes(&before, &after),
        [
            "  processor \"crm\"",
            "-   name = 'CRM \"vendor\"'",
            "+   name = \"New\"",
            "-   ack_timeout = \"90s\"",
            "+   ack_timeout = \"2d\"",
            r#"-   retention = [{ categories = ["contacts"], basis = "tax_law", keep = "1y6mo", then = "anonymize", from = "paid_at" }]"#,
            r#"+   retention = [{ categories = ["contacts"], basis = "tax_law", keep = "2y", then = "erase" }]"#,
            "-   sweep = { after = \"1h30m\" }",
            "  processor \"nightly\"",
            r#"-   backup = { sources = ["crm", "billing"], set = "n", keep = "35d", confirm_by = "ack", overdue_after = "1h", erase_by = "key" }"#,
            r#"+   backup = { sources = ["crm", "billing"], set = "n", keep = "35d", confirm_by = "ack", overdue_after = "1h" }"#,
        ]
    );
}

#[test]
fn processors_come_go_and_change_places() {
    let both = read_text("a", FILE).unwrap();
    let one = Registry {
        processors: both.processors[..1].to_vec(),
    };
    assert_eq!(
        changes(&both, &one),
        ["- processor \"crm\"", "- processor \"nightly\""]
    );
    let added = changes(&one, &both);
    assert_eq!(added[0], "+ processor \"crm\"");
    assert!(
        added.iter().any(|line| line == "+   after = [\"billing\"]"),
        "{added:?}"
    );
    let turned = Registry {
        processors: both.processors.iter().rev().cloned().collect(),
    };
    assert_eq!(changes(&both, &turned).len(), 1);
}
