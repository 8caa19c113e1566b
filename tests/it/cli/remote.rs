//! The command line over the API: with a URL and a token in place of configuration, database and keys.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    embedded::{serving, serving_tls, token},
    worker::until,
    workspace::{Done, Workspace},
};

const REGISTRY: &str = r#"
[[processor]]
id = "crm"
kind = "crm"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
[[processor]]
id = "archive"
kind = "other"
transport = { type = "manual", assignee = "back-office" }
actions = ["erase"]
identities = ["email"]
"#;

/// Whoever has nothing but a URL and the token of a role.
struct Bearer {
    /// Empty: there is no configuration in it.
    folder: Workspace,
    url: String,
    token: String,
}

impl Bearer {
    fn of(role: &str, url: &str) -> Self {
        Self {
            folder: Workspace::empty(),
            url: url.to_owned(),
            token: token(role),
        }
    }

    async fn run(&self, arguments: &[&str]) -> Done {
        self.run_with(arguments, b"").await
    }

    async fn run_with(&self, arguments: &[&str], input: &[u8]) -> Done {
        let remote = ["--url", &self.url, "--token", &self.token];
        self.folder
            .run_with(&[&remote[..], arguments].concat(), input)
            .await
    }

    async fn json(&self, arguments: &[&str]) -> Value {
        let done = self.run(&[arguments, &["--json"]].concat()).await.expect(0);
        serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {done:?}"))
    }
}

/// Sends an erasure of this person.
async fn submit(base: &str, email: &str) -> String {
    let id = Uuid::now_v7().to_string();
    let identities = json!([{ "type": "email", "value": email }]);
    let command = json!({ "command_id": id, "type": "erase", "subject": { "identities": identities } });
    let call = reqwest::Client::new().post(format!("{base}/v1/requests"));
    let answer = call
        .bearer_auth(token("submitter"))
        .body(command.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status().as_u16(), 202);
    id
}

#[tokio::test]
async fn compliance_decides_without_the_database() {
    let policy = "[policy]\nrequire_identity_verification = true\napproval = \"always\"\n";
    let (_workspace, worker, base) = serving(REGISTRY, policy).await;
    let compliance = Bearer::of("compliance", &base);
    let id = submit(&base, "canary@example.org").await;
    let shown = compliance.run(&["status", &id]).await.expect(0);
    assert!(
        shown.stdout.contains("status     awaiting_verification"),
        "{shown:?}"
    );
    // An approval before the verification is recorded, and the gates open in their order.
    let approved = compliance
        .run(&["approve", &id, "--reason", "seen"])
        .await
        .expect(0);
    assert!(approved.stdout.contains("awaiting_verification"), "{approved:?}");
    let verify = [
        "verify-identity",
        &id,
        "--method",
        "postident",
        "--result",
        "passed",
    ];
    let verified = compliance.run(&verify).await.expect(0);
    assert!(
        verified.stdout.starts_with(&format!("request {id}: in_progress")),
        "{verified:?}"
    );
    let extended = compliance.json(&["extend", &id, "--reason", "complexity"]).await;
    assert_eq!(extended["notice"], "extended");
    let late = compliance.run(&["cancel", &id]).await.expect(1);
    assert!(late.stderr.contains("error: "), "{late:?}");
    let explained = compliance.run(&["explain", &id]).await.expect(0);
    assert!(
        explained.stdout.contains("compliance: approve") && explained.stdout.contains("seen"),
        "{explained:?}"
    );
    let found = compliance
        .run_with(&["search", "email", "--json"], b"canary@example.org\n")
        .await
        .expect(0);
    let found: Value = serde_json::from_str(&found.stdout).unwrap();
    assert_eq!(found["request_id"], json!(id));
    compliance
        .run(&["search", "email", "nobody@example.org"])
        .await
        .expect(1);
    let other = submit(&base, "bob@example.org").await;
    compliance
        .run(&["refuse", &other, "--basis", "excessive"])
        .await
        .expect(0);
    let refused = compliance.json(&["requests", "--status", "refused"]).await;
    assert_eq!(
        (&refused["request_id"], &refused["refused_on"]),
        (&json!(other), &json!("excessive"))
    );
    for said in [&explained, &approved, &shown] {
        assert!(
            !said.stderr.contains("canary") && !said.stdout.contains("canary"),
            "{said:?}"
        );
    }
    drop(worker);
}

#[tokio::test]
async fn holds_and_lanes_are_moved_through_the_door() {
    let (_workspace, worker, base) = serving(REGISTRY, "").await;
    let (compliance, operator) = (Bearer::of("compliance", &base), Bearer::of("operator", &base));
    let id = submit(&base, "ann@example.org").await;
    let hold = ["hold", "--basis", "dispute", "--subject", "email=-", "--json"];
    let placed = compliance.run_with(&hold, b"ann@example.org").await.expect(0);
    let placed: Value = serde_json::from_str(&placed.stdout).unwrap();
    assert_eq!(
        (&placed["requests_found"], &placed["by_subject"]),
        (&json!(1), &json!(true))
    );
    let hold = placed["hold_id"].as_str().unwrap();
    let listed = compliance.run(&["holds", "list"]).await.expect(0);
    assert!(
        listed.stdout.contains(hold) && listed.stdout.contains("a subject"),
        "{listed:?}"
    );
    compliance
        .run(&["release", hold, "--note", "it is over"])
        .await
        .expect(0);
    compliance
        .run(&["release", &Uuid::now_v7().to_string()])
        .await
        .expect(1);
    let paused = operator
        .run(&["processors", "pause", "crm", "--reason", "it moves"])
        .await
        .expect(0);
    assert!(
        paused.stdout.contains("lane       paused") && paused.stdout.contains("by         operator"),
        "{paused:?}"
    );
    let lanes = operator.run(&["processors", "list"]).await.expect(0);
    assert!(lanes.stdout.contains("paused"), "{lanes:?}");
    operator.run(&["processors", "resume", "crm"]).await.expect(0);
    operator
        .run(&["brake", "on", "--reason", "wrong list"])
        .await
        .expect(0);
    assert_eq!(operator.json(&["brake", "show"]).await["active"], json!(true));
    operator.run(&["brake", "off"]).await.expect(0);
    let task = operator.json(&["tasks", "list", "--processor", "crm"]).await;
    assert_eq!(task["request_id"], json!(id));
    let waive = [
        "waive",
        task["task_id"].as_str().unwrap(),
        "--reason",
        "it was shut down",
        "--json",
    ];
    let waived = operator.run(&waive).await.expect(0);
    let waived: Value = serde_json::from_str(&waived.stdout).unwrap();
    assert_eq!(
        (&waived["state"], &waived["request"]["request_id"]),
        (&json!("waived"), &json!(id))
    );
    for list in [["deferred", "list"], ["sweeps", "list"], ["dead-letters", "list"]] {
        operator.run(&list).await.expect(0);
    }
    drop(worker);
}

#[tokio::test]
async fn a_person_does_a_task_through_the_door() {
    let (_workspace, worker, base) = serving(REGISTRY, "").await;
    let compliance = Bearer::of("compliance", &base);
    submit(&base, "ann@example.org").await;
    let task = compliance.json(&["manual", "list"]).await["task_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let claimed = compliance.run(&["manual", "claim", &task]).await.expect(0);
    assert!(claimed.stdout.contains("claimed by   compliance"), "{claimed:?}");
    assert!(
        claimed.stdout.contains("email        ann@example.org"),
        "{claimed:?}"
    );
    let other = Bearer::of("operator", &base)
        .run(&["manual", "claim", &task])
        .await
        .expect(1);
    assert!(other.stderr.contains("somebody else has claimed"), "{other:?}");
    let confirm = [
        "manual",
        "confirm",
        &task,
        "--outcome",
        "erased",
        "--method",
        "shredded",
    ];
    let confirmed = compliance.run(&confirm).await.expect(0);
    assert!(
        confirmed.stdout.starts_with("erased of request "),
        "{confirmed:?}"
    );
    drop(worker);
}

#[tokio::test]
async fn both_ways_print_the_same() {
    let (workspace, worker, base) = serving(REGISTRY, "").await;
    let id = submit(&base, "ann@example.org").await;
    until(&workspace, &["status", &id], |done| {
        done.stdout.contains("dispatched")
    })
    .await;
    let auditor = Bearer::of("auditor", &base);
    for command in [
        &["status", &id][..],
        &["requests"],
        &["explain", &id],
        &["tasks", "list"],
        &["manual", "list"],
        &["holds", "list"],
        &["deferred", "list"],
        &["sweeps", "list"],
        &["dead-letters", "list"],
        &["brake", "show"],
    ] {
        // What depends on the moment comes last.
        let constant = |done: Done| done.stdout.split("\nThe shortest way").next().unwrap().to_owned();
        let here = constant(workspace.run(command).await.expect(0));
        let there = constant(auditor.run(command).await.expect(0));
        assert_eq!(here, there, "{command:?}");
    }
    for command in [
        &["requests", "--json"][..],
        &["manual", "list", "--json"],
        &["tasks", "list", "--json"],
    ] {
        let value = |done: Done| -> Vec<Value> {
            done.stdout
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect()
        };
        let here = value(workspace.run(command).await.expect(0));
        assert_eq!(here, value(auditor.run(command).await.expect(0)), "{command:?}");
        assert!(!here.is_empty(), "{command:?}");
    }
    drop(worker);
}

#[tokio::test]
async fn decisions_without_a_worker_are_made_by_who_is_named() {
    let policy = "[policy]\napproval = \"always\"\n";
    let (workspace, worker, base) = serving(REGISTRY, policy).await;
    let id = submit(&base, "ann@example.org").await;
    let own = workspace
        .run(&["approve", &id, "--actor", "submitter"])
        .await
        .expect(1);
    assert!(own.stderr.contains("submit"), "{own:?}");
    workspace
        .run(&["approve", &id, "--actor", "j.doe"])
        .await
        .expect(0);
    until(&workspace, &["status", &id], |done| {
        done.stdout.contains("dispatched")
    })
    .await;
    let tasks = workspace
        .run(&["tasks", "list", "--processor", "archive", "--json"])
        .await
        .expect(0);
    let task: Value = serde_json::from_str(&tasks.stdout).unwrap();
    let task = task["task_id"].as_str().unwrap();
    workspace
        .run(&["waive", task, "--reason", "gone", "--actor", "j.doe"])
        .await
        .expect(0);
    let placed = workspace
        .run(&[
            "hold",
            "--basis",
            "dispute",
            "--request",
            &id,
            "--actor",
            "j.doe",
            "--json",
        ])
        .await
        .expect(0);
    let placed: Value = serde_json::from_str(&placed.stdout).unwrap();
    workspace
        .run(&["release", placed["hold_id"].as_str().unwrap(), "--actor", "j.doe"])
        .await
        .expect(0);
    let found = workspace
        .run_with(
            &["search", "email", "--actor", "j.doe", "--json"],
            b"ann@example.org",
        )
        .await
        .expect(0);
    assert!(found.stdout.contains(&id), "{found:?}");
    let explained = workspace.run(&["explain", &id]).await.expect(0);
    assert!(explained.stdout.contains("j.doe: approve"), "{explained:?}");
    drop(worker);
}

#[tokio::test]
async fn what_is_wrong_with_the_door_is_said() {
    let (workspace, worker, base) = serving(REGISTRY, "").await;
    let id = submit(&base, "ann@example.org").await;
    let auditor = Bearer::of("auditor", &base);
    let cases: [(&[&str], i32, &str); 9] = [
        (&["cancel", &id], 2, "this call takes the role compliance"),
        (
            &["status", "0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4d"],
            1,
            "there is no such request",
        ),
        (
            &["processors", "show", "no-such"],
            1,
            "there is no such processor",
        ),
        (&["approve", &id, "--actor", "j.doe"], 2, "--actor: over the API"),
        (&["requests", "--config", "lacuna.toml"], 2, "--url and --config"),
        (&["migrate"], 2, "it works on the deployment itself"),
        (&["dead-letters", "list", "--all"], 2, "--config lists every one"),
        (&["refuse", &id, "--basis", "mood"], 2, "expected one of"),
        (&["hold", "--basis", "dispute"], 2, "required"),
    ];
    for (command, code, said) in cases {
        let done = auditor.run(command).await.expect(code);
        assert!(done.stderr.contains(said), "{command:?}: {done:?}");
    }
    let remotes: [(&[&str], i32, &str); 8] = [
        (&["--url", &base], 2, "expected a bearer token"),
        (&["--url", &base, "--token", "wrong"], 2, "is not known"),
        (
            &["--url", &base, "--token", "env:NO_SUCH_VARIABLE"],
            2,
            "NO_SUCH_VARIABLE is not set",
        ),
        (&["--url", "http://127.0.0.1:1"], 3, "the connection was refused"),
        (
            &["--url", "https://user:s3cret@127.0.0.1"],
            2,
            "has no place in a URL",
        ),
        (&["--url", "https://127.0.0.1?token=s3cret"], 2, "without a query"),
        (&["--url", &base.replace("http:", "https:")], 3, "speaks no TLS"),
        (
            &["--url", &format!("{base}/elsewhere"), "--token", "x"],
            2,
            "knows no such call",
        ),
    ];
    for (remote, code, said) in remotes {
        let done = auditor
            .folder
            .run(&[remote, &["requests"]].concat())
            .await
            .expect(code);
        assert!(
            done.stderr.contains(said) && !done.stderr.contains("s3cret"),
            "{remote:?}: {done:?}"
        );
    }
    drop((workspace, worker));
}

#[tokio::test]
async fn the_environment_names_the_worker() {
    let (workspace, worker, base) = serving(REGISTRY, "").await;
    let id = submit(&base, "ann@example.org").await;
    let empty = Workspace::empty();
    empty.write("token", &format!("{}\n", token("auditor")));
    let output = empty
        .command(&["status", &id, "--json"])
        .env("LACUNA_URL", &base)
        .env("LACUNA_TOKEN", "file:token")
        .output()
        .await
        .unwrap();
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(status["request_id"], json!(id));
    // What is said on the command line says more: a configuration that is named is used.
    let output = empty
        .command(&["status", &id, "--config", "no-such.toml"])
        .env("LACUNA_URL", &base)
        .output()
        .await
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains("no-such.toml") && output.status.code() == Some(2),
        "{stderr}"
    );
    drop((workspace, worker));
}

#[tokio::test]
async fn a_certificate_of_ones_own_is_trusted_by_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = crate::http::certificate(folder.path());
    let tls = format!(
        "[http.tls]\ncert = \"{}\"\nkey = \"{}\"\n",
        cert.display(),
        key.display()
    );
    let (_workspace, worker, base) = serving_tls(REGISTRY, &tls).await;
    let auditor = Bearer::of("auditor", &base);
    let trusting = [
        "--url",
        &base,
        "--token",
        &auditor.token,
        "--ca",
        cert.to_str().unwrap(),
        "requests",
    ];
    until(&auditor.folder, &trusting, |done| done.code == 0).await;
    let refused = auditor.run(&["requests"]).await.expect(3);
    assert!(refused.stderr.contains("--ca"), "{refused:?}");
    let missing = auditor.run(&["requests", "--ca", "no-such.pem"]).await.expect(2);
    assert!(
        missing.stderr.contains("--ca: ") && missing.stderr.contains("no-such.pem"),
        "{missing:?}"
    );
    drop(worker);
}
