//! What is deferred, told by the commands: from the first message to what would end the waiting.

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::process::Child;
use uuid::Uuid;

use crate::support::free_port;

use super::{
    services::read_topic,
    worker::{first_answer, signal, until},
    workspace::{Done, Workspace, real_config},
};

const REGISTRY: &str = r#"
[[processor]]
id = "crm"
kind = "crm"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
[[processor]]
id = "billing"
kind = "payments"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
categories = ["messages", "invoices"]
after = ["crm"]
[[processor.retention]]
categories = ["invoices"]
basis = "tax_law"
keep = "5y"
then = "erase"
[[processor]]
id = "nightly-backup"
kind = "backup"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
backup = { sources = ["crm"], set = "nightly", keep = "35d", confirm_by = "event" }
"#;

/// A worker's API without `[auth]`.
pub(super) struct Api(pub(super) String);

impl Api {
    pub(super) async fn call(&self, method: Method, path: &str, body: &Value) -> Value {
        let call = Client::new()
            .request(method, format!("{}{path}", self.0))
            .body(body.to_string());
        let answer = call.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Answers the first task of a processor.
    async fn answer(&self, topic: String) {
        let records = tokio::task::spawn_blocking(move || read_topic(&topic, 1))
            .await
            .unwrap();
        let task: Value = serde_json::from_str(&records[0].payload).unwrap();
        let mut ack = json!({ "token": task["ack"]["token"], "outcome": "erased" });
        for name in ["request_id", "task_id", "generation", "attempt", "processor"] {
            ack[name] = task[name].clone();
        }
        self.call(Method::POST, "/v1/acks", &ack).await;
    }
}

async fn says(workspace: &Workspace, arguments: &[&str], texts: &[&str]) {
    until(workspace, arguments, |done| {
        done.code == 0 && texts.iter().all(|text| done.stdout.contains(text))
    })
    .await;
}

/// A worker with this registry and more configuration, its API, and the prefix of its topics.
pub(super) async fn serving(registry: &str, more: &str) -> (Workspace, Child, Api, String) {
    let port = free_port();
    let (prefix, config) = real_config("");
    let config = config.replace("127.0.0.1:0", &format!("127.0.0.1:{port}"));
    let workspace = Workspace::with(&format!("{config}\n{more}"));
    workspace.write("processors.toml", registry);
    workspace.run(&["topics", "create"]).await.expect(0);
    let worker = workspace.command(&["serve"]).spawn().unwrap();
    first_answer(port).await;
    let api = Api(format!("http://127.0.0.1:{port}"));
    // It answers before it is ready, and for a moment not at all: then the real listener takes the address.
    while !reqwest::get(format!("{}/readyz", api.0))
        .await
        .is_ok_and(|answer| answer.status().is_success())
    {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    (workspace, worker, api, prefix)
}

#[tokio::test]
async fn what_a_closed_gate_forbids_is_told_with_what_opens_it() {
    let policy = "[policy]\nrequire_identity_verification = true\napproval = \"always\"\n";
    let (workspace, worker, api, _) = serving(REGISTRY, policy).await;
    let id = Uuid::now_v7().to_string();
    let command = json!({ "command_id": id, "type": "erase", "not_before": "2999-01-01T00:00:00Z",
                          "subject": { "identities": [{ "type": "email", "value": "canary@example.org" }] },
                          "exclude": [{ "processor": "bilingo", "basis": "independent_authorization" }] });
    api.call(Method::POST, "/v1/requests", &command).await;
    let verify = format!(
        "before anything is sent: the subject's identity has to be verified, POST /v1/requests/{id}/verify-identity"
    );
    let approve =
        format!("before anything is sent: a second person has to approve it, POST /v1/requests/{id}/approve");
    let gated = [
        "warning: exclude: no processor bilingo is registered",
        verify.as_str(),
        approve.as_str(),
        "2999-01-01T00:00:00Z  crm: is asked (attempt 1), if people have opened its gates by then",
        "The shortest way to the end, if people open its gates now, every processor",
        "the gate of approval is open",
        "crm: proved: erased",
    ];
    says(&workspace, &["explain", &id], &gated).await;
    let Done { stdout, .. } = workspace.run(&["explain", &id, "--json"]).await.expect(0);
    let explained: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(explained["before_anything_is_sent"].as_array().unwrap().len(), 2);
    let sends: Vec<&Value> = explained["ahead"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|ahead| ahead["processor"] != Value::Null)
        .collect();
    assert!(!sends.is_empty() && sends.iter().all(|ahead| ahead["if_gates_are_open"] == true));

    let passed = json!({ "method": "passport", "result": "passed" });
    api.call(
        Method::POST,
        &format!("/v1/requests/{id}/verify-identity"),
        &passed,
    )
    .await;
    let Done { stdout, .. } = workspace.run(&["explain", &id]).await.expect(0);
    assert!(!stdout.contains(&verify) && stdout.contains(&approve), "{stdout}");
    signal(&worker, "-TERM").await;
    assert!(worker.wait_with_output().await.unwrap().status.success());
}

#[tokio::test]
async fn all_of_a_request_is_told() {
    let (workspace, worker, api, prefix) = serving(REGISTRY, "").await;
    let id = Uuid::now_v7().to_string();
    let subject = json!({ "identities": [{ "type": "email", "value": "canary@example.org" }] });
    let command = json!({ "command_id": id, "type": "erase", "subject": subject,
                          "requested_at": "2026-10-01T00:00:00Z" });
    api.call(Method::POST, "/v1/requests", &command).await;
    let hold =
        json!({ "command_id": Uuid::now_v7(), "basis": "dispute", "subject": subject, "note": "case 4711" });
    let placed = api.call(Method::POST, "/v1/holds", &hold).await;
    let hold_id = placed["hold_id"].as_str().unwrap();
    api.answer(format!("{prefix}.tasks.crm")).await;

    let texts = [
        "crm: proved: erased",
        "billing (invoices): has to keep a share until 2031-10-01T00:00:00Z (tax_law",
        &format!("billing (messages): held ({hold_id})"),
        "nightly-backup: its copies have grown old; a rotation has to prove it",
        "nightly-backup: a backup.rotated event with oldest_retained_at of",
        &format!("billing (messages): release hold {hold_id} (dispute)"),
        "nothing: the law keeps it until 2031-10-01T00:00:00Z (tax_law); and then release hold",
        "it does not end by itself: somebody has to act on billing (messages), billing (invoices)",
        "readable, for as long as somebody has to be asked",
    ];
    says(&workspace, &["explain", &id], &texts).await;
    says(
        &workspace,
        &["holds", "list"],
        &[hold_id, "dispute", "a subject", "anonymous"],
    )
    .await;
    let reasons = [
        "hold",
        "retention",
        "backup_rotation",
        "invoices",
        "of crm",
        "somebody acts",
    ];
    says(&workspace, &["deferred", "list"], &reasons).await;
    says(&workspace, &["sweeps", "list"], &["hold", "FINISHED AT"]).await;
    as_json(&workspace, &id, hold_id).await;

    api.call(Method::DELETE, &format!("/v1/holds/{hold_id}"), &json!({}))
        .await;
    let texts = [
        "held no more",
        "so it is completed at 2031-10-01T00:00:00Z at the earliest",
    ];
    says(&workspace, &["explain", &id], &texts).await;
    let Done { stdout, .. } = workspace.run(&["holds", "list", "--json"]).await.expect(0);
    assert_eq!(stdout, "");
    signal(&worker, "-TERM").await;
    let output = worker.wait_with_output().await.unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && !stderr.contains("canary"), "{stderr}");
}

async fn as_json(workspace: &Workspace, id: &str, hold_id: &str) {
    let json = async |arguments: &[&str]| -> Vec<Value> {
        let Done { stdout, .. } = workspace.run(arguments).await.expect(0);
        assert!(!stdout.contains("canary"), "{stdout}");
        stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let explained = &json(&["explain", id, "--json"]).await[0];
    assert_eq!(explained["decisions"][0]["reason"], "case 4711");
    assert_eq!(explained["request"]["request_id"], id);
    assert_eq!(explained["identifiers"]["now"], "readable");
    assert_eq!(explained["shortest_way"]["closes_at"], Value::Null);
    assert_eq!(explained["to_finish_sooner"].as_array().unwrap().len(), 3);
    let ahead = explained["ahead"].as_array().unwrap();
    assert!(
        ahead.is_sorted_by_key(|ahead| ahead["at"].as_str().unwrap().to_owned()),
        "{ahead:?}"
    );
    let deferred = json(&["deferred", "list", "--json", "--reason", "retention"]).await;
    assert_eq!(
        (deferred.len(), &deferred[0]["until"], &deferred[0]["part"]),
        (1, &json!("2031-10-01T00:00:00Z"), &json!(["invoices"]))
    );
    let Done { stdout, stderr, .. } = workspace
        .run(&["deferred", "list", "--limit", "1"])
        .await
        .expect(0);
    assert_eq!(stdout.lines().count(), 2, "{stdout}");
    assert!(stderr.contains("there are more"), "{stderr}");
    let none = [
        "deferred",
        "list",
        "--json",
        "--due-before",
        "2026-01-01T00:00:00Z",
    ];
    assert!(json(&none).await.is_empty());
    let holds = json(&["holds", "list", "--json", "--tenant", "default"]).await;
    assert_eq!((holds.len(), &holds[0]["hold_id"]), (1, &json!(hold_id)));
    assert!(
        json(&["holds", "list", "--json", "--tenant", "acme"])
            .await
            .is_empty()
    );
    let sweeps = json(&["sweeps", "list", "--json"]).await;
    assert_eq!((sweeps.len(), &sweeps[0]["fact"]), (1, &json!("hold")));
}
