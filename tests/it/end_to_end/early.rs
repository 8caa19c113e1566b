//! Commands that come before their request, the whole way through the real binary, which is killed while they wait.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::kafka::{Publisher, Statuses, read_all};
use crate::support::{Deployment, StoreKind, wait_for};

const PATIENCE: Duration = Duration::from_secs(60);

const REGISTRY: &str = r#"
[[processor]]
id = "crm"
kind = "crm"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
"#;

#[test]
fn early_command_survives_worker_kill_on_postgres() {
    run(StoreKind::Postgres);
}

#[test]
fn early_command_survives_worker_kill_on_sqlite() {
    run(StoreKind::Sqlite);
}

fn run(store: StoreKind) {
    let deployment = Deployment::new(store, REGISTRY);
    let publisher = Publisher::new();
    let send = |topic: &str, command: &Value| {
        publisher.publish(&deployment.topic(topic), None, command.to_string().as_bytes());
        publisher.flush();
    };
    let [withdrawn, approved, never] = [(); 3].map(|()| Uuid::now_v7());
    let cancel = |id: Uuid| json!({ "command_id": Uuid::now_v7(), "type": "cancel", "request_id": id });
    let worker = deployment.serve();
    send("commands", &cancel(withdrawn));
    send(
        "control",
        &json!({ "command_id": Uuid::now_v7(), "type": "approve", "request_id": approved, "actor": "dpo" }),
    );
    send("commands", &cancel(never));
    wait_for("they wait", PATIENCE, || {
        let early = |kind: &str| {
            deployment.metric(&format!(
                "lacuna_commands_total{{result=\"early\",type=\"{kind}\"}}"
            ))
        };
        (early("cancel") == Some(2.0) && early("approve") == Some(1.0)).then_some(())
    });
    worker.kill();
    let worker = deployment.serve();
    for id in [withdrawn, approved] {
        send("commands", &erase(id));
    }
    let mut statuses = Statuses::new(&deployment.topic("status"));
    wait_for("both are opened", PATIENCE, || {
        statuses.read();
        (statuses.last.len() == 2).then_some(())
    });
    assert_eq!(statuses.last[&withdrawn]["status"], "cancelled");
    assert_eq!(
        statuses.last[&approved]["status"], "in_progress",
        "it needed no approval"
    );
    wait_for("what was in vain is dead-lettered", PATIENCE, || {
        let letters = deployment.lacuna_ok(&["dead-letters", "list", "--json"]);
        (letters.lines().count() == 2).then_some(())
    });
    let mut said: Vec<String> = Vec::new();
    wait_for("it is said on the topic", PATIENCE, || {
        let letters = read_all(&deployment.topic("dead-letters"));
        said = letters
            .iter()
            .map(|letter| letter.headers["lacuna_reason"].clone())
            .collect();
        said.sort_unstable();
        (said.len() >= 2).then_some(())
    });
    assert_eq!(said, ["unknown_request", "wrong_state"]);
    let asked = read_all(&deployment.topic("tasks.crm"));
    let asked: Vec<Value> = asked
        .iter()
        .map(|task| serde_json::from_slice(&task.value).unwrap())
        .collect();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0]["request_id"], json!(approved));
    worker.stop();
}

fn erase(id: Uuid) -> Value {
    json!({
        "command_id": id, "type": "erase", "reason": "account_closed",
        "subject": { "identities": [{ "type": "email", "value": format!("canary-1-{id}@example.org") }] },
    })
}
