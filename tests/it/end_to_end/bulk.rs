//! A change to many requests, ordered on the command line, worked off by a real worker that is killed in the middle.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::kafka::Publisher;
use crate::support::{Deployment, StoreKind, wait_for};

const REQUESTS: usize = 400;
const PATIENCE: Duration = Duration::from_secs(120);

const REGISTRY: &str = r#"
[[processor]]
id = "crm"
kind = "crm"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
"#;

/// What the job says of itself.
fn shown(deployment: &Deployment, job: &str) -> Value {
    let text = deployment.lacuna_ok(&["bulk", "show", job, "--json"]);
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_killed_worker_leaves_its_job_to_the_next_one() {
    let deployment = Deployment::new(StoreKind::Postgres, REGISTRY);
    let worker = deployment.serve();
    let publisher = Publisher::new();
    for n in 0..REQUESTS {
        let id = Uuid::now_v7();
        let command = json!({
            "command_id": id, "type": "erase", "tenant": "acme", "reason": "account_closed",
            "regime": "days:3650", "not_before": "2035-01-01T00:00:00Z",
            "subject": { "identities": [{ "type": "email", "value": format!("canary-{n}@example.org") }] },
        });
        let body = command.to_string();
        publisher.publish(
            &deployment.topic("commands"),
            Some(&id.to_string()),
            body.as_bytes(),
        );
    }
    publisher.flush();
    let scheduled = "lacuna_requests{status=\"scheduled\"}";
    wait_for("all of them are scheduled", PATIENCE, || {
        (deployment.metric(scheduled)? >= REQUESTS as f64).then_some(())
    });
    let expected = REQUESTS.to_string();
    let order = [
        "bulk",
        "start",
        "cancel",
        "--filter",
        "status=scheduled",
        "--actor",
        "dpo",
        "--json",
    ];
    let dry = deployment.lacuna_ok(&[&order[..], &["--dry-run"]].concat());
    let dry: Value = serde_json::from_str(&dry).unwrap();
    assert_eq!(
        (&dry["matched"], &dry["will"]),
        (&json!(REQUESTS), &json!(REQUESTS))
    );
    let ordered = deployment.lacuna_ok(&[&order[..], &["--expected-count", &expected]].concat());
    let ordered: Value = serde_json::from_str(&ordered).unwrap();
    let job = ordered["bulk_id"].as_str().unwrap().to_owned();
    wait_for("some of it is done", PATIENCE, || {
        (shown(&deployment, &job)["done"].as_u64()? > 0).then_some(())
    });
    worker.kill();
    let half = shown(&deployment, &job);
    assert_eq!(half["state"], "running", "{half}");
    let worker = deployment.serve();
    wait_for("all of it is done", PATIENCE, || {
        (shown(&deployment, &job)["state"] == "finished").then_some(())
    });
    let done = shown(&deployment, &job);
    assert_eq!(
        (&done["done"], &done["refused"]),
        (&json!(REQUESTS), &json!(0)),
        "{done}"
    );
    let acts = deployment.number("select count(*) from acted where actor = 'dpo' and kind = 2");
    assert_eq!(acts, i64::try_from(REQUESTS).unwrap(), "each was withdrawn once");
    assert!(deployment.lacuna_ok(&["bulk", "list"]).contains(&job));
    worker.stop();
}
