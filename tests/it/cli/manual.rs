//! A person in five minutes: the page of the guide, through the real binary.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    deferring::serving,
    worker::{signal, until},
    workspace::Done,
};

const REGISTRY: &str = r#"
[[processor]]
id = "archive"
kind = "other"
transport = { type = "manual", assignee = "back-office", instructions = "Shred the paper file.", due = "14d" }
actions = ["erase"]
identities = ["email"]
"#;

#[tokio::test]
async fn a_person_does_a_task_from_the_command_line() {
    let (workspace, worker, api, _) = serving(REGISTRY, "").await;
    let id = Uuid::now_v7().to_string();
    let identities = json!([{ "type": "email", "value": "canary@example.org" }]);
    let command = json!({ "command_id": id, "type": "erase", "subject": { "identities": identities } });
    api.call(Method::POST, "/v1/requests", &command).await;
    let listed = until(&workspace, &["manual", "list", "--json"], |done| {
        !done.stdout.is_empty()
    })
    .await;
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    assert_eq!(
        (&listed["request_id"], &listed["state"]),
        (&json!(id), &json!("open"))
    );
    let task = listed["task_id"].as_str().unwrap();
    let Done { stdout, .. } = workspace
        .run(&["manual", "claim", task, "--actor", "j.doe"])
        .await
        .expect(0);
    for said in [
        "state        claimed",
        "do           Shred the paper file.",
        "email        canary@example.org",
    ] {
        assert!(stdout.contains(said), "{stdout}");
    }
    let other = workspace
        .run(&["manual", "claim", task, "--actor", "a.roe"])
        .await
        .expect(1);
    assert!(
        other.stderr.contains("somebody else has claimed the task"),
        "{other:?}"
    );
    let Done { stdout, .. } = workspace
        .run(&["manual", "show", task, "--actor", "a.roe"])
        .await
        .expect(0);
    assert!(!stdout.contains("canary"), "{stdout}");
    let confirm = [
        "manual",
        "confirm",
        task,
        "--actor",
        "j.doe",
        "--outcome",
        "erased",
        "--method",
        "shredded",
        "--records",
        "1",
        "--reference",
        "box 12",
    ];
    workspace.run(&confirm).await.expect(0);
    let status = until(&workspace, &["status", &id, "--json"], |done| {
        done.stdout.contains("completed")
    })
    .await;
    assert_eq!(status.code, 0);
    let explained = workspace.run(&["explain", &id]).await.expect(0);
    assert!(
        explained.stdout.contains("archive: proved: erased"),
        "{explained:?}"
    );
    assert!(explained.stdout.contains("j.doe: confirm"), "{explained:?}");
    signal(&worker, "-TERM").await;
    let output = worker.wait_with_output().await.unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && !stderr.contains("canary"), "{stderr}");
}
