//! The README's processor, run as it stands there.

use std::{process::Command, time::Duration};

use serde_json::json;
use uuid::Uuid;

use super::kafka::{Publisher, Statuses};
use crate::support::{Deployment, Program, StoreKind, repository, service, wait_for};

/// A block of this language in the README, counted from 0.
fn block(language: &str, n: usize) -> String {
    let readme = std::fs::read_to_string(repository("README.md")).unwrap();
    let start = format!("```{language}\n");
    let (from, _) = readme
        .match_indices(&start)
        .nth(n)
        .unwrap_or_else(|| panic!("README.md has no {language} block {n}"));
    let from = from + start.len();
    let length = readme[from..].find("\n```").unwrap();
    readme[from..from + length].to_owned()
}

#[test]
fn the_readmes_processor_and_registry_erase_as_they_say() {
    let deployment = Deployment::new(StoreKind::Sqlite, &block("toml", 0));
    // Names of topics and brokers are the deployment's own; nothing else of the block is touched.
    let processor = block("python", 0)
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

#[test]
fn the_readmes_backup_set_takes_the_events_and_holds_that_it_names() {
    let deployment = Deployment::new(StoreKind::Sqlite, &block("toml", 2));
    deployment.write("tell.py", &block("python", 1));
    deployment.write("holds.sh", &block("sh", 0));
    let worker = deployment.serve();
    let url = format!("http://127.0.0.1:{}", deployment.http);
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program)
            .args(arguments)
            .envs([
                ("LACUNA_URL", url.as_str()),
                ("LACUNA_TOKEN", ""),
                ("HOLD_ID", ""),
            ])
            .current_dir(deployment.folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let taken = || {
        let set = format!("{url}/v1/backups/nightly-backup/nightly");
        run("curl", &["-sf", &set])
    };
    wait_for("the worker answers", Duration::from_secs(60), || {
        let ready = Command::new("curl")
            .args(["-sf", &format!("{url}/readyz")])
            .output();
        ready.unwrap().status.success().then_some(())
    });
    let python = service("LACUNA_TEST_PYTHON");
    for arguments in [
        &["tell.py", "taken", "2026-01-01T02:00:00Z"][..],
        &["tell.py", "rotated", "2026-01-01T03:00:00Z"],
        &[
            "tell.py",
            "restored",
            "2026-01-01T02:00:00Z",
            "hosting",
            "billing",
        ],
    ] {
        let said = run(&python, arguments);
        assert!(said.contains(r#""result":"taken""#), "{arguments:?}: {said}");
    }
    assert!(
        taken().contains(r#""taken_at":"2026-01-01T02:00:00Z""#),
        "{}",
        taken()
    );
    let said = run("sh", &["holds.sh"]);
    assert!(
        said.contains(r#""basis":"dispute""#) && said.contains(r#""by_subject":true"#),
        "{said}"
    );
    worker.stop();
}

#[test]
fn the_readmes_regime_can_be_configured() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("regimes.toml"), block("toml", 1)).unwrap();
    let text = "[policy]\nregimes = \"regimes.toml\"\nregime = \"acme_promise\"\n";
    let config = lacuna::config::Config::read_text("lacuna.toml", folder.path(), text, &|_| None)
        .unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.policy.regime.to_string(), "acme_promise");
}
