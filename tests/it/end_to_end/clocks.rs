//! The database's clock and the worker's disagree by forty days: the real binary decides nothing, says that the clock is why it
//! is not ready, and goes on by itself when they agree.
//!
//! What the store asks for the time is a function of PostgreSQL; one of the same name in the deployment's own schema, which is
//! looked at first, puts it wrong while the worker runs.

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

fn publish(deployment: &Deployment, ids: &mut BTreeSet<Uuid>, count: usize) {
    let publisher = Publisher::new();
    for _ in 0..count {
        let id = Uuid::now_v7();
        let command = json!({ "command_id": id, "type": "erase", "tenant": "acme",
            "subject": { "identities": [{ "type": "email", "value": format!("{id}@example.org") }] } });
        publisher.publish(
            &deployment.topic("commands"),
            Some(&id.to_string()),
            command.to_string().as_bytes(),
        );
        ids.insert(id);
    }
    publisher.flush();
}

fn all_are_taken_in(statuses: &mut Statuses, ids: &BTreeSet<Uuid>) {
    wait_for("all are taken in", PATIENCE, || {
        statuses.read();
        ids.iter().all(|id| statuses.last.contains_key(id)).then_some(())
    });
}

/// How often the intake has said that it waits.
fn waits(deployment: &Deployment) -> usize {
    let log = std::fs::read_to_string(deployment.path("serve.log")).unwrap();
    log.lines()
        .filter(|line| line.contains("nothing is decided meanwhile") && line.contains("intake"))
        .count()
}

/// A database whose clock can be put wrong.
fn deployment() -> Deployment {
    let deployment = Deployment::new(StoreKind::Postgres, REGISTRY);
    let schema = &deployment.prefix;
    deployment.execute(&format!(
        "create table {schema}.wrong (clock_by interval not null); insert into {schema}.wrong values ('0'); \
         create function {schema}.clock_timestamp() returns timestamptz language sql volatile as \
         'select pg_catalog.clock_timestamp() + (select clock_by from {schema}.wrong)'"
    ));
    let config = std::fs::read_to_string(deployment.path("lacuna.toml")).unwrap();
    let path = format!("search_path%3D{schema}");
    assert!(config.contains(&path));
    deployment.write(
        "lacuna.toml",
        &config.replace(&path, &format!("{path}%2Cpg_catalog")),
    );
    deployment
}

#[test]
fn a_clock_forty_days_off_decides_nothing_until_it_is_right() {
    let deployment = deployment();
    let worker = deployment.serve();
    let mut statuses = Statuses::new(&deployment.topic("status"));
    let mut ids = BTreeSet::new();
    publish(&deployment, &mut ids, 2);
    all_are_taken_in(&mut statuses, &ids);
    for (off, side) in [("40 days", "behind"), ("-40 days", "ahead of")] {
        let stored = deployment.number("select count(*) from request");
        deployment.execute(&format!("update wrong set clock_by = '{off}'"));
        wait_for("not ready, because of the clock", PATIENCE, || {
            let (status, said) = deployment.get("/readyz")?;
            (status == 503 && said.contains("the clock is not trusted") && said.contains(side)).then_some(())
        });
        let before = waits(&deployment);
        publish(&deployment, &mut ids, 5);
        wait_for("the intake has tried and waits", PATIENCE, || {
            (waits(&deployment) >= before + 3).then_some(())
        });
        assert_eq!(deployment.number("select count(*) from request"), stored, "{off}");
        assert_eq!(deployment.number("select count(*) from dead_letter"), 0, "{off}");
        deployment.execute("update wrong set clock_by = '0'");
        deployment.wait_until_ready(deployment.http);
        all_are_taken_in(&mut statuses, &ids);
    }
    assert_eq!(deployment.number("select count(*) from dead_letter"), 0);
    worker.stop();
}
