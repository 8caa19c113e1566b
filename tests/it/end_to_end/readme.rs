//! The README's processor, run as it stands there.

use std::{process::Command, time::Duration};

use serde_json::json;
use uuid::Uuid;

use super::kafka::{Publisher, Statuses};
use crate::support::{Deployment, Program, StoreKind, repository, service, wait_for};

/// The first block of this language in the README.
fn block(language: &str) -> String {
    let readme = std::fs::read_to_string(repository("README.md")).unwrap();
    let start = format!("```{language}\n");
    let from = readme
        .find(&start)
        .unwrap_or_else(|| panic!("README.md has no {language} block"))
        + start.len();
    let length = readme[from..].find("\n```").unwrap();
    readme[from..from + length].to_owned()
}

#[test]
fn the_readmes_processor_and_registry_erase_as_they_say() {
    let deployment = Deployment::new(StoreKind::Sqlite, &block("toml"));
    // Names of topics and brokers are the deployment's own; nothing else of the block is touched.
    let processor = block("python")
        .replace("localhost:9092", &service("LACUNA_TEST_KAFKA"))
        .replace("lacuna.tasks.", &format!("{}.tasks.", deployment.prefix));
    assert!(processor.lines().count() <= 20, "the README promises 20 lines");
    deployment.write("processor.py", &processor);
    let _processor =
        Program::start(Command::new(service("LACUNA_TEST_PYTHON")).arg(deployment.path("processor.py")));
    let worker = deployment.serve();
    let id = Uuid::now_v7();
    let command = json!({ "command_id": id, "type": "erase", "reason": "account_closed",
        "subject": { "identities": [{ "type": "email", "value": "ann@example.org" }] } });
    let publisher = Publisher::new();
    publisher.publish(
        &deployment.topic("commands"),
        None,
        command.to_string().as_bytes(),
    );
    publisher.flush();
    let mut statuses = Statuses::new(&deployment.topic("status"));
    wait_for("the request is complete", Duration::from_secs(60), || {
        statuses.read();
        (statuses.completed() == 1).then_some(())
    });
    worker.stop();
}
