//! The commands of the runbooks, run as they stand there.

use std::{path::Path, process::Command, time::Duration};

use super::{commands, markdown};
use crate::support::{Deployment, StoreKind, service, wait_for};

const REGISTRY: &str = r#"
[[processor]]
id = "crm"
kind = "crm"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]

[[processor]]
id = "nightly-backup"
kind = "backup"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
backup = { sources = ["crm"], set = "nightly", keep = "35d" }
"#;

/// What each command may end with: done, or the thing asked about is not so. Never a mistake in the command itself.
const ENDS: &[i32] = &[0, 1];

#[test]
fn commands_of_runbooks_run_as_they_stand() {
    let deployment = Deployment::new(StoreKind::Postgres, REGISTRY);
    deployment.write("sent.txt", "0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4d\n");
    let worker = deployment.serve();
    let url = format!("http://127.0.0.1:{}", deployment.http);
    wait_for("the worker is ready", Duration::from_secs(60), || {
        let ready = Command::new("curl")
            .args(["-sf", &format!("{url}/readyz")])
            .output();
        ready.unwrap().status.success().then_some(())
    });
    let programs = Path::new(env!("CARGO_BIN_EXE_lacuna")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut wrong = Vec::new();
    let mut count = 0;
    for page in markdown::all()
        .iter()
        .filter(|page| page.path.starts_with("docs/runbooks/"))
    {
        for (number, line) in commands::shell_lines(page) {
            // Topics are the deployment's own; nothing else is touched.
            let line = line.replace("lacuna.commands", &deployment.topic("commands"));
            let output = Command::new("sh")
                .args(["-c", &line])
                .current_dir(deployment.folder.path())
                .envs([
                    ("PATH", path.as_str()),
                    ("LACUNA_URL", &url),
                    ("LACUNA_TOKEN", "none"),
                    ("TASK_ID", "0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4d"),
                    ("STORE_URL", &service("LACUNA_TEST_POSTGRES")),
                ])
                .output()
                .unwrap();
            count += 1;
            if !output.status.code().is_some_and(|code| ENDS.contains(&code)) {
                wrong.push(page.at(number, &format!("{line}: {output:?}")));
            }
        }
    }
    worker.stop();
    assert!(count > 30, "only {count} commands were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
