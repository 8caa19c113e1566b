//! Somebody adds a constraint to a table of the store that valid requests break: the real binary dead-letters none of them, says
//! which constraint it is, and takes them in once it is gone.

use std::{collections::BTreeSet, time::Duration};

use serde_json::json;
use uuid::Uuid;

use super::kafka::{Publisher, Statuses};
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

fn publish(deployment: &Deployment, count: usize) -> BTreeSet<Uuid> {
    let publisher = Publisher::new();
    let ids: BTreeSet<Uuid> = (0..count).map(|_| Uuid::now_v7()).collect();
    for id in &ids {
        let command = json!({ "command_id": id, "type": "erase", "tenant": "acme",
            "subject": { "identities": [{ "type": "email", "value": format!("{id}@example.org") }] } });
        publisher.publish(
            &deployment.topic("commands"),
            Some(&id.to_string()),
            command.to_string().as_bytes(),
        );
    }
    publisher.flush();
    ids
}

#[test]
fn a_constraint_that_valid_requests_break_is_waited_for() {
    let deployment = Deployment::new(StoreKind::Postgres, REGISTRY);
    let worker = deployment.serve();
    let mut statuses = Statuses::new(&deployment.topic("status"));
    // All at once, and one alone, with no neighbour to compare it with.
    for count in [12, 1] {
        // What is tried beside them is of the default tenant, and goes through.
        deployment
            .execute("alter table request add constraint only_others check (tenant <> 'acme') not valid");
        let ids = publish(&deployment, count);
        wait_for("not ready, because of the constraint", PATIENCE, || {
            let (status, said) = deployment.get("/readyz")?;
            (status == 503 && said.contains("only_others")).then_some(())
        });
        assert_eq!(deployment.number("select count(*) from dead_letter"), 0);
        deployment.execute("alter table request drop constraint only_others");
        wait_for("all are taken in", PATIENCE, || {
            statuses.read();
            ids.iter().all(|id| statuses.last.contains_key(id)).then_some(())
        });
        deployment.wait_until_ready(deployment.http);
    }
    assert_eq!(deployment.number("select count(*) from dead_letter"), 0);
    worker.stop();
}
