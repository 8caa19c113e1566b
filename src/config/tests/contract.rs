//! The samples of CONTRACT.md, and random mixtures of their lines.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{
    config::{Auth, Rights, Role, SessionTimes, Token, TokenDigest, registry_file},
    domain::{
        calendar::Period,
        ids::{AnchorName, Label, ProcessorId},
        registry::{BackupSet, Breaker, ConfirmBy, MissingIdentity, Rate, Retention, Retry, Transport},
        words::{Action, ProcessorKind},
    },
};

/// CONTRACT.md's `lacuna.toml`, with a certificate's paths left out.
const SAMPLE: &str = r#"
tenant_default = "default"
region = "eu"
[kafka]
bootstrap_servers = "localhost:9092"
group_id = "lacuna"
properties = {}
topics = { commands = "lacuna.commands", control = "lacuna.control", acks = "lacuna.acks", backups = "lacuna.backups", status = "lacuna.status",
           dead_letters = "lacuna.dead-letters", tasks_prefix = "lacuna.tasks." }
[store]
url = "sqlite:lacuna.db"
[http]
listen = "127.0.0.1:8080"
[auth]
tokens = [{ name = "crm", role = "processor", processor = "crm", token = "env:CRM_TOKEN" }]
oidc = { issuer = "…", audience = "…", role_claim = "…" }
[vault]
epoch = "7d"
own_backups_keep = "14d"
lookups_keep = "365d"
records_keep = "3y"
keyring = "file:lacuna.keys"
keep_after_completion = "0d"
[dispatch]
lease = "30s"
max_in_flight = 5000
clock_skew = "5m"
[policy]
regime = "gdpr"
time_zone = "Europe/Berlin"
holidays = ["2026-12-25"]
require_identity_verification = false
approval = "never"
grace = "0d"
at_risk = 0.2
duplicates = { merge_open = true, merge_window = "24h", repeat_limit = { count = 3, per = "365d", then = "approval" } }
[webhook]
allow_private = true
[registry]
path = "processors.toml"
"#;

/// CONTRACT.md's `processors.toml`, and the two processors that it names and does not show.
const REGISTRY: &str = r#"
[[processor]]
id = "crm"
name = "CRM vendor"
kind = "crm"
transport = { type = "kafka" }
actions = ["erase", "anonymize"]
identities = ["email", "customer_id"]
provides = []
honours_cutoff = false
idempotent = true
anonymize_fallback = "refuse"
accept_anonymized = false
require_evidence = []
purposes = ["marketing"]
after = ["billing"]
ack_timeout = "24h"
retry = { initial = "5s", multiplier = 2.0, max = "1h", jitter = 0.2, attempts = 10 }
rate = "50/s"
concurrency = 8
breaker = { failure_ratio = 0.7, window = "5m", min_requests = 10, probe_after = "1m" }
verify = { after = "7d" }
[[processor.retention]]
categories = ["invoices"]
basis = "tax_law"
keep = "5y"
then = "erase"
from = "account_closed_at"
[[processor]]
id = "nightly-backup"
kind = "backup"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["customer_id"]
backup = { sources = ["hosting"], set = "nightly", keep = "35d", confirm_by = "event", overdue_after = "48h" }
"#;

const OTHERS: &str = r#"
[[processor]]
id = "billing"
kind = "payments"
transport = { type = "kafka", topic = "billing" }
actions = ["erase"]
identities = ["customer_id"]
[[processor]]
id = "hosting"
kind = "hosting"
transport = { type = "kafka" }
actions = ["anonymize"]
identities = ["customer_id"]
missing_identity = "exempt"
retry = { attempts = 3 }
"#;

#[test]
fn the_contracts_sample_is_read() {
    let expected = [
        "lacuna.toml:16: auth.oidc.issuer: expected the issuer as the identity provider writes it, such as https://id.example.org",
    ];
    assert_eq!(lines(config(SAMPLE)), expected, "an ellipsis is no issuer");

    let read = config(&SAMPLE.replace("issuer = \"…\"", "issuer = \"https://id.example.org\"")).unwrap();
    let default = Config::default();
    let mut expected = Config {
        region: read.region.clone(),
        auth: read.auth.clone(),
        ..default
    };
    expected.policy.calendar.holidays = ["2026-12-25".parse().unwrap()].into();
    assert_eq!(read, expected);
    assert_eq!(read.region.unwrap().as_str(), "eu");
    let token = Token {
        name: "crm".into(),
        role: Role::Processor(ProcessorId::new("crm").unwrap()),
        tenant: None,
        rights: Rights::default(),
        not_after: None,
        digest: TokenDigest::of("from-the-environment"),
    };
    let expected = Auth {
        tokens: vec![token],
        oidc: read.auth.as_ref().unwrap().oidc.clone(),
        session: SessionTimes::default(),
    };
    let oidc = expected.oidc.as_ref().unwrap();
    assert_eq!((&*oidc.issuer, &*oidc.audience), ("https://id.example.org", "…"));
    assert_eq!((oidc.role_claim.as_str(), oidc.name_claim.as_str()), ("…", "sub"));
    assert_eq!(read.auth, Some(expected));
}

fn label(name: &str) -> Label {
    Label::new(name).unwrap()
}

#[test]
fn the_contracts_registry_is_read() {
    let text = format!("{REGISTRY}{OTHERS}");
    let registry = registry_file::read_text("processors.toml", &text).unwrap();
    let ids: Vec<&str> = registry.processors.iter().map(|p| p.id.as_str()).collect();
    assert_eq!(ids, ["crm", "nightly-backup", "billing", "hosting"]);
    let crm = &registry.processors[0];
    assert_eq!((crm.name.as_str(), crm.kind), ("CRM vendor", ProcessorKind::Crm));
    assert_eq!(crm.actions, [Action::Erase, Action::Anonymize]);
    assert_eq!(crm.after, [ProcessorId::new("billing").unwrap()]);
    assert_eq!((crm.retry, crm.concurrency), (Retry::default(), 8));
    let rate = Rate {
        tasks: 50,
        per: Duration::from_secs(1),
    };
    assert_eq!((crm.rate, crm.breaker), (Some(rate), Breaker::default()));
    assert_eq!(crm.ack_timeout, Duration::from_secs(86_400));
    assert_eq!((crm.verify_after, crm.sweep_after), (Some(Period::days(7)), None));
    let rule = Retention {
        categories: vec![label("invoices")],
        basis: label("tax_law"),
        keep: Period::years(5),
        then: Action::Erase,
        from: Some(AnchorName::new("account_closed_at").unwrap()),
    };
    assert_eq!((&crm.retention, &crm.backup), (&vec![rule], &None));
    let nightly = &registry.processors[1];
    assert_eq!(nightly.name, "nightly-backup");
    let set = BackupSet {
        sources: vec![ProcessorId::new("hosting").unwrap()],
        set: label("nightly"),
        keep: Period::days(35),
        confirm_by: ConfirmBy::Event,
        overdue_after: Period::days(2),
        erase_by_key: false,
    };
    assert_eq!((&nightly.backup, &nightly.retention), (&Some(set), &Vec::new()));
    assert_eq!(
        registry.processors[2].transport,
        Transport::Kafka {
            topic: Some("billing".into())
        }
    );
    let hosting = &registry.processors[3];
    assert_eq!(hosting.missing_identity, MissingIdentity::Exempt);
    assert_eq!(
        hosting.retry,
        Retry {
            attempts: 3,
            ..Retry::default()
        }
    );
    assert_eq!(Config::default().check_registry(&registry), Ok(()));
    assert_eq!(
        Config::default().kafka.topics.tasks_of(crm).as_deref(),
        Some("lacuna.tasks.crm")
    );
}

/// Pieces of both grammars, so that random texts get past the parser.
fn pieces() -> impl Strategy<Value = String> {
    let words = Config::print_default()
        .lines()
        .chain(SAMPLE.lines())
        .chain(REGISTRY.lines())
        .chain(OTHERS.lines());
    let mut all: Vec<String> = words.map(str::to_owned).collect();
    for value in [
        "0",
        "-1",
        "nan",
        "1e400",
        "''",
        "[]",
        "{}",
        "[[1]]",
        "true",
        "2026-12-25",
        "'é\u{1}'",
        "99999999999",
    ] {
        for key in [
            "id",
            "after",
            "rate",
            "backup",
            "retry",
            "transport",
            "properties",
            "tokens",
            "tls",
            "approval",
        ] {
            all.push(format!("{key} = {value}"));
        }
    }
    prop::collection::vec(prop::sample::select(all), 0..12).prop_map(|lines| lines.join("\n"))
}

#[test]
fn no_depth_and_no_length_is_a_panic() {
    const MANY: usize = 100_000;
    let texts = [
        format!("a = {}", "[".repeat(MANY)),
        format!("a = {}", "{a=".repeat(MANY)),
        format!("{}a = 1", "a.".repeat(MANY)),
        format!("[{}a]", "a.".repeat(MANY)),
        format!("[kafka.properties]\n{}a = 1", "a.".repeat(70)),
        format!("[kafka]\nproperties = {}1{}", "{a=".repeat(70), "}".repeat(70)),
        format!("{} = 1", "k".repeat(MANY * 5)),
        (0..MANY).map(|n| format!("k{n}=1\n")).collect(),
    ];
    for text in texts {
        drop(lines(config(&text)));
        drop(lines(registry_file::read_text("processors.toml", &text)));
    }
}

proptest! {
    #[test]
    fn no_text_is_a_panic(text in "\\PC{0,200}") {
        drop(lines(config(&text)));
        drop(lines(registry_file::read_text("processors.toml", &text)));
    }

    #[test]
    fn no_mixture_of_lines_is_a_panic(text in pieces()) {
        for line in lines(config(&text)).into_iter().chain(lines(registry_file::read_text("p", &text))) {
            prop_assert!(!line.contains('\n'), "{}", line);
        }
    }
}
