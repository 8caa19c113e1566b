//! The programs and files that the pages show, run as they stand there.

use std::{process::Command, time::Duration};

use serde_json::json;
use uuid::Uuid;

use super::kafka::{Publisher, Statuses};
use crate::support::{Deployment, Program, StoreKind, free_port, repository, service, wait_for};

/// A block of this language in a page, counted from 0.
pub fn block(page: &str, language: &str, n: usize) -> String {
    let text = std::fs::read_to_string(repository(page)).unwrap();
    let start = format!("```{language}\n");
    let (from, _) = text
        .match_indices(&start)
        .nth(n)
        .unwrap_or_else(|| panic!("{page} has no {language} block {n}"));
    let from = from + start.len();
    let length = text[from..].find("\n```").unwrap();
    text[from..from + length].to_owned()
}

const BACKUPS: &str = "docs/guide/backups.md";

#[test]
fn readme_processor_erases_what_it_is_asked() {
    let deployment = Deployment::new(StoreKind::Sqlite, &block("README.md", "toml", 0));
    // Names of topics and brokers are the deployment's own; nothing else of the block is touched.
    let processor = block("README.md", "python", 0)
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

const WEBHOOK: &str = "docs/guide/webhook.md";

#[test]
fn webhook_page_erases_somebody_as_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let (receiver, listener) = (free_port(), free_port());
    // Ports are the test's own; nothing else of the blocks is touched.
    let own = |text: String| {
        text.replace("9000", &receiver.to_string())
            .replace("8080", &listener.to_string())
    };
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), own(text)).unwrap();
    write("receiver.py", block(WEBHOOK, "python", 0));
    write("processors.toml", block(WEBHOOK, "toml", 0));
    let config = block(WEBHOOK, "toml", 1);
    write(
        "lacuna.toml",
        format!("{config}\n[http]\nlisten = \"127.0.0.1:8080\"\n"),
    );
    let path = |program: &str| {
        std::path::Path::new(program)
            .parent()
            .unwrap()
            .display()
            .to_string()
    };
    let paths = format!(
        "{}:{}:{}",
        path(env!("CARGO_BIN_EXE_lacuna")),
        path(&service("LACUNA_TEST_PYTHON")),
        std::env::var("PATH").unwrap()
    );
    let command = |program: &str| {
        let mut command = Command::new(program);
        command.current_dir(folder.path()).env("PATH", &paths);
        command
    };
    let run = |n: usize| {
        // What is installed for the tests is not installed again, and what stays up is started below.
        let script = own(block(WEBHOOK, "sh", n)).replace("python3 -m pip install", "true");
        let output = command("sh").args(["-ec", &script]).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "{script}\n{}\n{}",
            text(&output.stdout),
            text(&output.stderr)
        );
        text(&output.stdout)
    };
    run(0);
    assert_eq!(block(WEBHOOK, "sh", 1), "python3 receiver.py &");
    let _receiver = Program::start(command(&service("LACUNA_TEST_PYTHON")).arg("receiver.py"));
    let listens = |port: u16| {
        wait_for("somebody listens", Duration::from_secs(60), || {
            std::net::TcpStream::connect(("127.0.0.1", port)).ok()
        });
    };
    listens(receiver);
    let tried = run(2);
    assert!(tried.contains("It is an ack with the outcome absent."), "{tried}");
    assert_eq!(block(WEBHOOK, "sh", 3), "lacuna serve &");
    let _worker = Program::start(command(env!("CARGO_BIN_EXE_lacuna")).arg("serve"));
    listens(listener);
    run(4);
    let status = own(block(WEBHOOK, "sh", 4)).lines().last().unwrap().to_owned();
    wait_for("the person is erased", Duration::from_secs(60), || {
        let shown = command("sh").args(["-ec", &status]).output().unwrap();
        String::from_utf8_lossy(&shown.stdout)
            .contains("completed")
            .then_some(())
    });
}

#[test]
fn backups_page_events_and_holds_are_taken() {
    let deployment = Deployment::new(StoreKind::Sqlite, &block(BACKUPS, "toml", 0));
    deployment.write("tell.py", &block(BACKUPS, "python", 0));
    deployment.write("holds.sh", &block(BACKUPS, "sh", 1));
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
fn compliance_page_regime_can_be_configured() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("regimes.toml"),
        block("docs/guide/compliance.md", "toml", 0),
    )
    .unwrap();
    let text = "[policy]\nregimes = \"regimes.toml\"\nregime = \"acme_promise\"\n";
    let config = lacuna::config::Config::read_text("lacuna.toml", folder.path(), text, &|_| None)
        .unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.policy.regime.to_string(), "acme_promise");
}
