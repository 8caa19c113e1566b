//! The store refuses for some seconds whatever is asked of it: nothing is dead-lettered, the worker says that it is not ready
//! and why, and all goes on by itself.

use std::{collections::BTreeSet, process::Command, time::Duration};

use serde_json::{Value, json};
use uuid::Uuid;

use super::kafka::{Publisher, Statuses};
use crate::support::{Deployment, StoreKind, service, wait_for};

const PATIENCE: Duration = Duration::from_secs(60);

const REGISTRY: &str = r#"
[[processor]]
id = "crm"
kind = "crm"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
"#;

fn psql(statement: &str) {
    let output = Command::new("psql")
        .args(["-qXc", statement, &service("LACUNA_TEST_POSTGRES")])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{statement}: {said}");
}

/// A role of the worker's own, which may not do everything.
struct Role(String);

impl Role {
    fn in_schema(schema: &str) -> Self {
        let role = format!("{schema}_worker");
        psql(&format!("create role {role} login password 'worker'"));
        psql(&format!("grant usage on schema {schema} to {role}"));
        psql(&format!("grant all on all tables in schema {schema} to {role}"));
        Self(role)
    }

    /// The configuration, with this role in the store's address.
    fn enter(&self, deployment: &Deployment) {
        let config = std::fs::read_to_string(deployment.path("lacuna.toml")).unwrap();
        let (before, rest) = config.split_once("postgres://").unwrap();
        let (_, after) = rest.split_once('@').unwrap();
        deployment.write(
            "lacuna.toml",
            &format!("{before}postgres://{}:worker@{after}", self.0),
        );
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        psql(&format!("drop owned by {0}; drop role {0}", self.0));
    }
}

fn publish(deployment: &Deployment, count: usize) -> BTreeSet<Uuid> {
    let publisher = Publisher::new();
    let topic = deployment.topic("commands");
    let ids: BTreeSet<Uuid> = (0..count).map(|_| Uuid::now_v7()).collect();
    for id in &ids {
        publisher.publish(&topic, Some(&id.to_string()), command(*id).to_string().as_bytes());
    }
    publisher.flush();
    ids
}

fn command(id: Uuid) -> Value {
    json!({ "command_id": id, "type": "erase", "tenant": "acme",
            "subject": { "identities": [{ "type": "email", "value": format!("{id}@example.org") }] } })
}

/// Not ready, and it says this.
fn is_not_ready(deployment: &Deployment, why: &str) {
    wait_for(why, PATIENCE, || {
        let (status, said) = deployment.get("/readyz")?;
        (status == 503 && said.contains(why)).then_some(())
    });
}

fn all_are_taken_in(deployment: &Deployment, statuses: &mut Statuses, ids: &BTreeSet<Uuid>) {
    wait_for("all are taken in", PATIENCE, || {
        statuses.read();
        ids.iter().all(|id| statuses.last.contains_key(id)).then_some(())
    });
    wait_for("ready again", PATIENCE, || {
        deployment.get("/readyz").filter(|(status, _)| *status == 200)
    });
    assert_eq!(
        deployment.lacuna_ok(&["dead-letters", "list", "--json"]).trim(),
        ""
    );
}

fn post(deployment: &Deployment, command: &Value) -> (u16, bool) {
    let url = format!("http://127.0.0.1:{}/v1/requests", deployment.http);
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(async {
            let answer = reqwest::Client::new()
                .post(url)
                .json(command)
                .send()
                .await
                .unwrap();
            (
                answer.status().as_u16(),
                answer.headers().contains_key("retry-after"),
            )
        })
}

#[test]
fn denied_table_and_full_disk_dead_letter_nothing() {
    let deployment = Deployment::new(StoreKind::Postgres, REGISTRY);
    let schema = &deployment.prefix;
    let role = Role::in_schema(schema);
    role.enter(&deployment);
    let worker = deployment.serve();
    let mut statuses = Statuses::new(&deployment.topic("status"));
    let mut ids = publish(&deployment, 5);
    all_are_taken_in(&deployment, &mut statuses, &ids);

    psql(&format!("revoke insert on {schema}.request from {}", role.0));
    ids.extend(publish(&deployment, 40));
    is_not_ready(&deployment, "permission denied for table request");
    let over_http = Uuid::now_v7();
    assert_eq!(post(&deployment, &command(over_http)), (503, true));
    psql(&format!("grant insert on {schema}.request to {}", role.0));
    all_are_taken_in(&deployment, &mut statuses, &ids);
    assert_eq!(post(&deployment, &command(over_http)).0, 202);

    psql(&format!(
        "create function {schema}.full_disk() returns trigger language plpgsql as \
         $$ begin raise exception 'No space left on device' using errcode = 'disk_full'; end $$; \
         create trigger full_disk before insert on {schema}.request for each row execute function {schema}.full_disk()"
    ));
    ids.extend(publish(&deployment, 40));
    is_not_ready(&deployment, "No space left on device");
    psql(&format!("drop trigger full_disk on {schema}.request"));
    all_are_taken_in(&deployment, &mut statuses, &ids);
    worker.stop();
}
