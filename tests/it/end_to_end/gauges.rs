//! Gauges of the store: each as old as it says, none in another's way.

use std::{
    io::Write,
    process::{Child, Command, Stdio},
    time::Duration,
};

use lacuna::clock::Stopwatch;
use serde_json::json;
use uuid::Uuid;

use super::kafka::Publisher;
use crate::support::{Deployment, StoreKind, service, wait_for};

const PATIENCE: Duration = Duration::from_secs(60);

const REGISTRY: &str = "[[processor]]\nid = \"crm\"\nkind = \"crm\"\ntransport = { type = \"kafka\" }\n\
                        actions = [\"erase\"]\nidentities = [\"email\"]\n";

/// Somebody who locks a table until he is dropped: a query of it takes as long as that.
struct Lock(Child);

impl Lock {
    fn on(table: &str) -> Self {
        let mut psql = Command::new("psql")
            .args(["-qX", &service("LACUNA_TEST_POSTGRES")])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let lock = format!("begin; lock table {table} in access exclusive mode;\n");
        psql.stdin.as_mut().unwrap().write_all(lock.as_bytes()).unwrap();
        Self(psql)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Both fail where it has ended already.
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}

fn age(deployment: &Deployment, gauge: &str) -> Option<f64> {
    deployment.metric(&format!("lacuna_gauges_age_seconds{{gauge=\"{gauge}\"}}"))
}

#[test]
fn hanging_gauge_grows_old_others_stay_fresh() {
    let deployment = Deployment::new(StoreKind::Postgres, REGISTRY);
    let worker = deployment.serve();
    for reason in ["schema", "internal"] {
        deployment.gauge_shows(&format!("lacuna_dead_letters_open{{reason=\"{reason}\"}}"), 0.0);
    }
    let lock = Lock::on(&format!("{}.dead_letter", deployment.prefix));
    wait_for("the dead letters' gauges grow old", PATIENCE, || {
        (age(&deployment, "dead_letters")? >= 4.0).then_some(())
    });
    let (publisher, id) = (Publisher::new(), Uuid::now_v7());
    let command = json!({ "command_id": id, "type": "erase", "tenant": "acme",
                          "subject": { "identities": [{ "type": "email", "value": "canary@example.org" }] } });
    publisher.publish(
        &deployment.topic("commands"),
        Some(&id.to_string()),
        command.to_string().as_bytes(),
    );
    publisher.flush();
    deployment.gauge_shows("lacuna_requests{status=\"in_progress\"}", 1.0);
    assert!(age(&deployment, "dead_letters").unwrap() >= 4.0);
    for gauge in ["counters", "ledger", "oldest_open", "deferred_overdue", "sweeps"] {
        wait_for(&format!("{gauge} is fresh"), PATIENCE, || {
            (age(&deployment, gauge)? <= 2.0).then_some(())
        });
    }
    let text = wait_for("whoever asks waits for no query", PATIENCE, || {
        let asked = Stopwatch::start();
        let (_, text) = deployment.get("/metrics")?;
        (asked.elapsed() < Duration::from_secs(1)).then_some(text)
    });
    assert!(
        text.contains("lacuna_dead_letters_open{reason=\"schema\"} 0"),
        "what was true last is still there: {text}"
    );
    drop(lock);
    wait_for("they are read again", PATIENCE, || {
        (age(&deployment, "dead_letters")? <= 2.0).then_some(())
    });
    worker.stop();
}
