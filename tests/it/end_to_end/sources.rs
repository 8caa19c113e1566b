//! Topics of upstreams, as they are, through the real binary: nothing is lost and nothing is taken twice, whatever is killed.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};
use uuid::Uuid;

use super::kafka::{Operator, Publisher};
use crate::support::{Deployment, StoreKind, get, wait_for};

const LONG: Duration = Duration::from_secs(90);

/// One system of people: a request is opened and waits, and nobody has to answer.
pub(super) const REGISTRY: &str = r#"
[[processor]]
id = "crm"
name = "CRM"
kind = "crm"
transport = { type = "manual", assignee = "support" }
actions = ["erase"]
identities = ["email", "customer_id"]
missing_identity = "exempt"
"#;

/// What the shop's events mean.
const MAP: &str = r#"
when = { "/type" = "account.deleted" }
command = { type = "erase", reason = "account_closed" }
map = { command_id = "/id", requested_at = "/time", "identity.customer_id" = "/data/customerId", "identity.email" = "/data/email" }
"#;

/// A deployment with a source on a topic of its own. `keys`: the rest of the source.
pub(super) struct Shop {
    pub deployment: Deployment,
    pub topic: String,
    config: String,
}

impl Shop {
    pub fn new(store: StoreKind, partitions: i32, format: &str, keys: &str) -> Self {
        let deployment = Deployment::new(store, REGISTRY);
        let topic = format!("{}-shop", deployment.prefix);
        Operator::new().make(&topic, partitions);
        let config = std::fs::read_to_string(deployment.path("lacuna.toml")).unwrap();
        let shop = Self {
            deployment,
            topic,
            config,
        };
        shop.configure(format, keys);
        shop
    }

    pub fn configure(&self, format: &str, keys: &str) {
        let (config, topic) = (&self.config, &self.topic);
        let source =
            format!("[[source]]\nname = \"shop\"\ntopic = \"{topic}\"\nformat = \"{format}\"\n{keys}");
        self.deployment
            .write("lacuna.toml", &format!("{config}\n{source}"));
    }

    /// How many requests there are.
    pub fn requests(&self) -> i64 {
        self.deployment.number("select count(*) from request")
    }

    pub fn wait_for_requests(&self, count: usize) {
        let count = i64::try_from(count).unwrap();
        wait_for(&format!("{count} requests"), LONG, || {
            (self.requests() == count).then_some(())
        });
    }

    /// How many events have become this.
    pub fn counted(&self, result: &str) -> f64 {
        let series = format!("lacuna_source_events_total{{result=\"{result}\",source=\"shop\"}}");
        self.deployment.metric(&series).unwrap_or_default()
    }

    pub fn wait_for_count(&self, result: &str, count: f64) {
        wait_for(&format!("{count} {result}"), LONG, || {
            (self.counted(result) >= count).then_some(())
        });
        assert!(
            (self.counted(result) - count).abs() < 0.5,
            "{result}: {}",
            self.counted(result)
        );
    }

    /// The lag of all partitions.
    fn lag(&self) -> Option<f64> {
        let (_, text) = self.deployment.get("/metrics")?;
        let of_topic = text
            .lines()
            .filter(|line| line.starts_with("lacuna_consumer_lag") && line.contains(&self.topic));
        let lags: Vec<f64> = of_topic
            .filter_map(|line| line.rsplit(' ').next()?.parse().ok())
            .collect();
        (!lags.is_empty()).then(|| lags.iter().sum())
    }

    fn letters(&self) -> Vec<Value> {
        let listed = self.deployment.lacuna_ok(&["dead-letters", "list", "--json"]);
        listed
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

fn event(n: usize, kind: &str) -> String {
    let id = Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0000 + n as u128);
    json!({ "id": id, "type": kind, "time": "2026-11-21T10:00:00Z",
            "data": { "customerId": n, "email": format!("p{n}@example.org") } })
    .to_string()
}

#[test]
fn events_are_requests_once_through_kills_and_replays() {
    const EVENTS: usize = 900;
    let shop = Shop::new(StoreKind::Postgres, 4, "json", MAP);
    let publisher = Publisher::new();
    let publish = |from: usize, to: usize| {
        for n in from..to {
            // Every third is none of ours.
            let kind = if n % 3 == 0 {
                "account.created"
            } else {
                "account.deleted"
            };
            publisher.publish(&shop.topic, Some(&n.to_string()), event(n, kind).as_bytes());
            if n % 50 == 0 {
                publisher.publish_record(&shop.topic, &[], None);
            }
        }
        publisher.flush();
    };
    let wanted = |to: usize| to - to.div_ceil(3);
    let worker = shop.deployment.serve();
    let (other, _) = shop.deployment.serve_another();
    publish(0, EVENTS / 2);
    wait_for("some are taken in", LONG, || (shop.requests() > 20).then_some(()));
    // In the middle of it, and while more comes.
    worker.kill();
    publish(EVENTS / 2, EVENTS);
    shop.wait_for_requests(wanted(EVENTS));
    other.kill();
    let worker = shop.deployment.serve();
    // The upstream sends everything once more.
    publish(0, EVENTS);
    wait_for("all is read", LONG, || shop.lag().filter(|lag| *lag == 0.0));
    wait_for("the repeats are counted", LONG, || {
        let repeats = shop
            .deployment
            .metric("lacuna_commands_total{result=\"duplicate\",type=\"erase\"}")?;
        (repeats >= wanted(EVENTS) as f64).then_some(())
    });
    assert_eq!(shop.requests(), wanted(EVENTS) as i64);
    assert_eq!(shop.letters().len(), 0);
    let request: Value = serde_json::from_str(
        shop.deployment
            .lacuna_ok(&["requests", "--json"])
            .lines()
            .next()
            .unwrap(),
    )
    .unwrap();
    assert!(request["status"].is_string());
    worker.stop();
}

#[test]
fn unmapped_events_are_redriven_after_the_mapping_is_mended() {
    let wrong = MAP
        .replace("/data/customerId", "/data/customer_id")
        .replace("/data/email", "/email");
    let shop = Shop::new(StoreKind::Sqlite, 1, "json", &wrong);
    let worker = shop.deployment.serve();
    let publisher = Publisher::new();
    for n in 1..4 {
        publisher.publish(&shop.topic, None, event(n, "account.deleted").as_bytes());
    }
    publisher.publish(&shop.topic, None, b"{");
    publisher.publish(&shop.topic, None, event(9, "account.created").as_bytes());
    publisher.flush();
    shop.wait_for_count("dead_lettered", 4.0);
    shop.wait_for_count("skipped", 1.0);
    let letters = wait_for("they are dead letters", LONG, || {
        Some(shop.letters()).filter(|l| l.len() == 4)
    });
    let reasons: BTreeSet<&str> = letters
        .iter()
        .map(|letter| letter["reason"].as_str().unwrap())
        .collect();
    assert_eq!(reasons, BTreeSet::from(["not_json", "unmapped"]));
    let unmapped = letters
        .iter()
        .find(|letter| letter["reason"] == "unmapped")
        .unwrap();
    let shown = shop
        .deployment
        .lacuna_ok(&["dead-letters", "show", unmapped["id"].as_str().unwrap()]);
    assert!(
        shown.contains("no identity of the subject: there is nothing at /data/customer_id, /email"),
        "{shown}"
    );
    // Whoever looks at the gauges sees that erasures are not carried out.
    shop.deployment
        .gauge_shows("lacuna_dead_lettered_erasures_open", 3.0);
    worker.stop();
    shop.configure("json", MAP);
    let worker = shop.deployment.serve();
    assert_eq!(shop.requests(), 0, "what was read before is not read again");
    shop.deployment
        .lacuna_ok(&["dead-letters", "redrive", "--reason", "unmapped"]);
    shop.wait_for_requests(3);
    worker.stop();
}

#[test]
fn headers_that_a_mapping_reads_survive_a_dead_letter() {
    let keys = |pointer: &str| {
        format!(
            "when = {{ \"header:kind\" = \"deleted\" }}\ncommand = {{ type = \"erase\" }}\n\
             map = {{ command_id = \"header:id\", \"identity.customer_id\" = \"{pointer}\" }}"
        )
    };
    let shop = Shop::new(StoreKind::Sqlite, 1, "connect-json", &keys("/wrong"));
    let worker = shop.deployment.serve();
    let id = Uuid::now_v7().to_string();
    let publisher = Publisher::new();
    let headers = [("id", id.as_str()), ("kind", "deleted"), ("other", "x")];
    // As the outbox event router writes it.
    let value = json!({ "schema": { "type": "string" }, "payload": "{\"customerId\": 7}" }).to_string();
    publisher.publish_record(&shop.topic, &headers, Some(value.as_bytes()));
    publisher.flush();
    shop.wait_for_count("dead_lettered", 1.0);
    worker.stop();
    shop.configure("connect-json", &keys("/customerId"));
    let worker = shop.deployment.serve();
    shop.deployment
        .lacuna_ok(&["dead-letters", "redrive", "--reason", "unmapped"]);
    shop.wait_for_requests(1);
    let status = shop.deployment.lacuna_ok(&["status", &id, "--json"]);
    assert!(status.contains(&id), "{status}");
    worker.stop();
}

#[test]
fn debezium_snapshot_becomes_no_erasure_and_is_read_once() {
    const ROWS: usize = 30_000;
    let keys = "when = { \"/before/status\" = \"closed\" }\ncommand = { type = \"erase\" }\n\
                map = { \"identity.customer_id\" = \"/before/id\" }\n";
    let shop = Shop::new(StoreKind::Sqlite, 1, "debezium", keys);
    let row = |n: usize, op: &str| {
        json!({ "before": { "id": n, "status": "closed" }, "after": null, "op": op, "ts_ms": 1_796_119_200_000_u64,
                "source": { "snapshot": op == "r", "table": "customers" } })
        .to_string()
    };
    let publisher = Publisher::new();
    for n in 0..ROWS {
        publisher.publish(&shop.topic, None, row(n, "r").as_bytes());
        if n % 5_000 == 0 {
            publisher.flush();
        }
    }
    publisher.flush();
    let worker = shop.deployment.serve();
    shop.wait_for_count("skipped", ROWS as f64);
    let position = || {
        let topic = &shop.topic;
        shop.deployment.number(&format!(
            "select coalesce(max(next_offset), 0) from position where topic = '{topic}'"
        ))
    };
    wait_for("the position lies behind what was skipped", LONG, || {
        (position() == ROWS as i64).then_some(())
    });
    assert_eq!(shop.requests(), 0);
    worker.stop();
    let worker = shop.deployment.serve();
    publisher.publish(&shop.topic, None, row(7, "d").as_bytes());
    publisher.flush();
    shop.wait_for_requests(1);
    assert!(shop.counted("skipped") < 10.0, "the snapshot is not read again");
    worker.stop();
}

#[test]
fn volume_brake_holds_what_a_deleted_table_would_erase() {
    let keys = "when = { \"/op\" = \"d\" }\ncommand = { type = \"erase\" }\nmap = { \"identity.customer_id\" = \"/before/id\" }\n\
                [policy]\napproval = { above_per_hour = 20 }\n";
    let shop = Shop::new(StoreKind::Sqlite, 1, "debezium", keys);
    let worker = shop.deployment.serve();
    let publisher = Publisher::new();
    for n in 1..=200 {
        let value = json!({ "before": { "id": n }, "after": null, "op": "d", "source": {} }).to_string();
        publisher.publish(&shop.topic, None, value.as_bytes());
    }
    publisher.flush();
    shop.wait_for_requests(200);
    let waiting = || {
        let listed = shop.deployment.lacuna_ok(&[
            "requests",
            "--status",
            "awaiting_approval",
            "--limit",
            "500",
            "--json",
        ]);
        listed.lines().count()
    };
    assert_eq!(waiting(), 180);
    worker.stop();
}

#[test]
fn missing_topic_of_an_upstream_is_named_and_holds_nobody_up() {
    let shop = Shop::new(StoreKind::Sqlite, 1, "json", MAP);
    let config = std::fs::read_to_string(shop.deployment.path("lacuna.toml")).unwrap();
    let missing = format!("{}-not-there", shop.deployment.prefix);
    shop.deployment
        .write("lacuna.toml", &config.replace(&shop.topic, &missing));
    let checked = shop.deployment.lacuna(&["check", "--connect"]);
    assert_eq!(checked.status.code(), Some(2));
    let said = String::from_utf8(checked.stderr).unwrap();
    assert!(said.contains(&format!("{missing} (source \"shop\")")), "{said}");
    let worker = shop.deployment.start();
    // Commands are taken in all the same.
    wait_for("the worker answers", LONG, || {
        get(shop.deployment.http, "/healthz")
    });
    let publisher = Publisher::new();
    let command = json!({ "command_id": Uuid::now_v7(), "type": "erase",
        "subject": { "identities": [{ "type": "email", "value": "ann@example.org" }] } });
    publisher.publish(
        &shop.deployment.topic("commands"),
        None,
        command.to_string().as_bytes(),
    );
    publisher.flush();
    shop.wait_for_requests(1);
    let (status, why) = shop.deployment.get("/readyz").unwrap();
    assert_eq!(status, 503, "{why}");
    assert!(why.contains(&missing), "{why}");
    worker.stop();
}
