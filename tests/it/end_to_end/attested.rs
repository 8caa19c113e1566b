//! A vendor that accepts and says no more, through the real binary: its published term completes the request, counted apart. And
//! a processor that is registered later is offered what was planned without it.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::kafka::{Publisher, Reader, Statuses, answer};
use crate::support::{Deployment, StoreKind, wait_for};

const CRM: &str = r#"
[[processor]]
id = "crm"
kind = "crm"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
completes_by = { after = "3s", probe = true }
ack_timeout = "2s"
retry = { initial = "1s", max = "1s", jitter = 0.0, attempts = 2 }
"#;

const DESK: &str = r#"
[[processor]]
id = "desk"
kind = "support"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
"#;

fn next_task(reader: &Reader, seen: &mut Vec<Value>) -> Value {
    wait_for("the next task", Duration::from_secs(60), || {
        seen.extend(
            reader
                .read()
                .into_iter()
                .map(|record| serde_json::from_slice::<Value>(&record.value).unwrap()),
        );
        (!seen.is_empty()).then(|| seen.remove(0))
    })
}

#[test]
fn a_published_term_completes_a_request_and_a_newcomer_is_offered_it() {
    let deployment = Deployment::new(StoreKind::Sqlite, CRM);
    let worker = deployment.serve();
    let publisher = Publisher::new();
    let (tasks, mut seen) = (Reader::new(&deployment.topic("tasks.crm")), Vec::new());
    let id = Uuid::now_v7();
    let command = json!({
        "command_id": id, "type": "erase", "reason": "account_closed",
        "subject": { "identities": [{ "type": "email", "value": "canary@example.org" }] }
    });
    let publish = |topic: &str, value: &Value| {
        publisher.publish(
            &deployment.topic(topic),
            Some(&id.to_string()),
            value.to_string().as_bytes(),
        );
        publisher.flush();
    };
    publish("commands", &command);
    let task = next_task(&tasks, &mut seen);
    publish("acks", &answer(&task, "accepted"));
    let mut statuses = Statuses::new(&deployment.topic("status"));
    let mut status = |what: &str, is: &dyn Fn(&Value) -> bool| {
        wait_for(what, Duration::from_secs(60), || {
            statuses.read();
            statuses.last.get(&id).filter(|status| is(status)).cloned()
        })
    };
    status("its term is waited for", &|status| {
        status["waiting_for"][0]["why"] == "attestation"
    });
    let probe = next_task(&tasks, &mut seen);
    assert_eq!(
        (&probe["action"], &probe["generation"]),
        (&json!("verify"), &json!(2))
    );
    publish("acks", &answer(&probe, "accepted"));
    let done = status("the term completes it", &|status| status["status"] == "completed");
    assert_eq!(
        done["outcomes"],
        json!({ "erased": 0, "anonymized": 0, "not_found": 0, "attested": 1, "exempt": 0 })
    );
    wait_for("the metric says so", Duration::from_secs(20), || {
        (deployment.metric("lacuna_attested_total{processor=\"crm\"}") == Some(1.0)).then_some(())
    });
    let shown = deployment.lacuna_ok(&["status", &id.to_string()]);
    assert!(shown.contains("1 attested"), "{shown}");
    let told = deployment.lacuna_ok(&["explain", &id.to_string()]);
    assert!(told.contains("published term, not confirmed"), "{told}");

    // Its identifiers are gone, so a newcomer cannot be offered it, and it is named; an open one is.
    deployment.write("processors.toml", &format!("{CRM}{DESK}"));
    deployment.lacuna_ok(&["registry", "apply", "--create-topics"]);
    let offered = deployment.lacuna(&[
        "registry",
        "backfill",
        "desk",
        "--since",
        "2020-01-01T00:00:00Z",
        "--json",
    ]);
    assert_eq!(offered.status.code(), Some(1));
    let offered: Value = serde_json::from_slice(&offered.stdout).unwrap();
    assert_eq!(
        (&offered["offered"], &offered["unreadable"]),
        (&json!(0), &json!([id]))
    );
    worker.stop();
}
