//! The commands of the runbooks, run as they stand there.

use std::{
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use serde_json::json;

use super::{commands, markdown};
use crate::support::{Deployment, Worker, service, unique, wait_for};

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

/// A deployment whose database is nobody else's, because pages copy the whole of it.
struct Site {
    database: String,
    url: String,
    deployment: Deployment,
}

impl Site {
    fn new() -> Self {
        let (server, database) = (service("LACUNA_TEST_POSTGRES"), unique("d"));
        psql(&server, &format!("create database {database}"));
        let (address, _) = server.rsplit_once('/').unwrap();
        let url = format!("{address}/{database}");
        let deployment = Deployment::at(&url, REGISTRY);
        Self {
            database,
            url,
            deployment,
        }
    }

    /// An agent of a table beside it, and a task for it.
    fn add_agent(&self) {
        let table =
            "create table customers (id bigint primary key, email text); create index on customers (email)";
        psql(&self.url, table);
        let agent = format!(
            "processor = 'crm'\n[source]\nhttp = {{ url = 'http://127.0.0.1:{}' }}\n[sql]\nurl = '{}'\n[[sql.table]]\n\
             name = 'customers'\nmatch = {{ email = 'email' }}\naction = 'delete'\n",
            self.deployment.http, self.url
        );
        self.deployment.write("agent.toml", &agent);
        let id = "0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4d";
        let task = json!({
            "task_id": id, "request_id": id, "processor": "crm", "generation": 1, "attempt": 1, "action": "erase",
            "tenant": "default", "identities": [{ "type": "email", "value": "a@example.org" }],
            "scope": { "purposes": [], "categories": [] }, "reason": "account_closed", "data_before": "2026-11-21T10:00:00Z",
            "respond_by": "2026-11-21T10:00:30Z", "deadline": "2026-12-21T10:00:00Z",
            "ack": { "topic": "lacuna.acks", "url": null, "token": "none" },
        });
        self.deployment.write("task.json", &task.to_string());
    }

    /// Runs a line of a page, in the deployment's folder.
    fn run(&self, line: &str) -> Output {
        let programs = Path::new(env!("CARGO_BIN_EXE_lacuna")).parent().unwrap();
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
        // Topics are the deployment's own; nothing else is touched.
        let line = line.replace("lacuna.commands", &self.deployment.topic("commands"));
        let url = format!("http://127.0.0.1:{}", self.deployment.http);
        Command::new("sh")
            .args(["-c", &line])
            .current_dir(self.deployment.folder.path())
            .envs([
                ("PATH", path.as_str()),
                ("LACUNA_URL", &url),
                ("LACUNA_TOKEN", "none"),
                ("TASK_ID", "0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4d"),
                ("STORE_URL", &self.url),
            ])
            .output()
            .unwrap()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let drop = format!("drop database if exists {} with (force)", self.database);
        psql(&service("LACUNA_TEST_POSTGRES"), &drop);
    }
}

fn psql(url: &str, statement: &str) {
    let output = Command::new("psql")
        .args(["-qXAtc", statement, url])
        .output()
        .unwrap();
    assert!(output.status.success(), "{statement}: {output:?}");
}

#[test]
fn commands_of_runbooks_run_as_they_stand() {
    let site = Site::new();
    let deployment = &site.deployment;
    deployment.write("sent.txt", "0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4d\n");
    site.add_agent();
    let worker = deployment.serve();
    let mut wrong = Vec::new();
    let mut count = 0;
    for page in markdown::all()
        .iter()
        .filter(|page| page.path.starts_with("docs/runbooks/"))
    {
        for (number, line) in commands::shell_lines(page) {
            let output = site.run(&line);
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

/// The lines of the fenced blocks of a page that are in this language.
fn lines_in(page: &str, language: &str) -> Vec<String> {
    let page = markdown::Page::read(page);
    let lines = page.lines();
    let fenced = lines.iter().filter(|line| line.fence == Some(language));
    let found: Vec<String> = fenced.map(|line| line.text.to_owned()).collect();
    assert!(!found.is_empty(), "{}: nothing is in {language}", page.path);
    found
}

fn submit(deployment: &Deployment, id: &str) {
    let command = format!(
        r#"{{"command_id":"{id}","type":"erase","reason":"subject_request","subject":{{"identities":[{{"type":"email","value":"a{id}@example.org"}}]}}}}"#
    );
    deployment.write("command.json", &command);
    deployment.lacuna_ok(&["submit", "command.json"]);
    wait_for("it is taken in", Duration::from_secs(60), || {
        deployment.lacuna(&["status", id]).status.success().then_some(())
    });
}

#[test]
fn backup_page_brings_back_what_was_lost() {
    const PAGE: &str = "docs/runbooks/backup.md";
    let (before, after) = (
        "0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4d",
        "0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4e",
    );
    let site = Site::new();
    let deployment = &site.deployment;
    let worker = deployment.serve();
    submit(deployment, before);
    // What the page runs beside a worker.
    for line in lines_in(PAGE, "sh") {
        let output = site.run(&line);
        assert!(output.status.success(), "{line}: {output:?}");
    }
    submit(deployment, after);
    worker.stop();
    // The disk is gone, and with it the keyring.
    psql(&site.url, "drop schema public cascade; create schema public");
    std::fs::remove_file(deployment.path("lacuna.keys")).unwrap();
    for line in lines_in(PAGE, "shell") {
        let output = site.run(&line);
        // The doctor says that no worker is there, and that this server does not flush.
        let is_fine = output.status.success() || line == "lacuna doctor";
        assert!(is_fine, "{line}: {output:?}");
    }
    deployment.lacuna_ok(&["status", before]);
    assert!(
        !deployment.lacuna(&["status", after]).status.success(),
        "it came after the backup"
    );
    let worker: Worker = deployment.serve();
    wait_for(
        "what came after it is read again",
        Duration::from_secs(60),
        || {
            deployment
                .lacuna(&["status", after])
                .status
                .success()
                .then_some(())
        },
    );
    worker.stop();
}
