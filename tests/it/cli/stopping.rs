//! Lanes that are stopped from the command line, beside a worker that runs.

use std::time::Duration;

use lacuna::{domain::ids::ProcessorId, engine::circuits::OpenCircuit};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    deferring::{Api, serving},
    services::read_topic,
    worker::{signal, until},
    workspace::{Done, REGISTRY, Workspace},
};
use crate::store::fixture::options;

async fn open(api: &Api) -> String {
    let id = Uuid::now_v7().to_string();
    // Somebody else each time: the same person's would be merged.
    let identities = json!([{ "type": "email", "value": format!("canary-{id}@example.org") },
                            { "type": "customer_id", "value": format!("c-{id}") }]);
    let command = json!({ "command_id": id, "type": "erase", "subject": { "identities": identities } });
    api.call(Method::POST, "/v1/requests", &command).await;
    id
}

async fn json_of(workspace: &Workspace, arguments: &[&str]) -> Value {
    let Done { stdout, .. } = workspace.run(arguments).await.expect(0);
    serde_json::from_str(&stdout).unwrap()
}

/// The requests whose tasks a topic has, once it has so many.
async fn asked_for(topic: &str, count: usize) -> Vec<String> {
    let topic = topic.to_owned();
    let records = tokio::task::spawn_blocking(move || read_topic(&topic, count))
        .await
        .unwrap();
    let request = |payload: &str| -> Value { serde_json::from_str(payload).unwrap() };
    records
        .iter()
        .map(|record| {
            request(&record.payload)["request_id"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect()
}

#[tokio::test]
async fn a_lane_is_paused_and_resumed_beside_a_running_worker() {
    let (workspace, worker, api, prefix) = serving(REGISTRY, "").await;
    let first = open(&api).await;
    let crm = format!("{prefix}.tasks.crm");
    assert_eq!(asked_for(&crm, 1).await, std::slice::from_ref(&first));
    let pause = [
        "processors",
        "pause",
        "crm",
        "--actor",
        "j.doe",
        "--reason",
        "it moves",
        "--json",
    ];
    let paused = json_of(&workspace, &pause).await;
    assert_eq!(
        (&paused["lane"], &paused["by"], &paused["reason"]),
        (&json!("paused"), &json!("j.doe"), &json!("it moves"))
    );
    assert_eq!(
        (
            &paused["already_dispatched"]["count"],
            &paused["already_dispatched"]["items"][0]["request_id"]
        ),
        (&json!(1), &json!(first))
    );
    let second = open(&api).await;
    let explained = until(&workspace, &["explain", &second], |done| done.code == 0).await;
    assert!(
        explained
            .stdout
            .contains("its lane to be resumed: POST /v1/processors/crm/resume"),
        "{explained:?}"
    );
    let status = json_of(&workspace, &["status", &second, "--json"]).await;
    let waits = status["waiting_for"].as_array().unwrap();
    assert!(
        waits
            .iter()
            .any(|one| one["processor"] == "crm" && one["why"] == "paused"),
        "{waits:?}"
    );
    let Done { stdout, .. } = workspace
        .run(&["processors", "resume", "crm", "--actor", "j.doe"])
        .await
        .expect(0);
    assert!(stdout.contains("lane       open"), "{stdout}");
    // What waited is sent by itself, and only once.
    assert_eq!(asked_for(&crm, 2).await, [first, second]);
    signal(&worker, "-TERM").await;
    let output = worker.wait_with_output().await.unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && !stderr.contains("canary"), "{stderr}");
}

#[tokio::test]
async fn the_brake_works_where_no_worker_runs() {
    let workspace = Workspace::with("kafka.bootstrap_servers = \"127.0.0.1:1\"\n");
    workspace.run(&["migrate"]).await.expect(0);
    workspace.run(&["keys", "init"]).await.expect(0);
    workspace.run(&["registry", "apply", "--offline"]).await.expect(0);
    let on = ["brake", "on", "--actor", "j.doe", "--reason", "wrong list"];
    let Done { stdout, .. } = workspace.run(&on).await.expect(0);
    for said in [
        "lane       braked",
        "by         j.doe",
        "reason     wrong list",
        "sent       0 tasks",
    ] {
        assert!(stdout.contains(said), "{stdout}");
    }
    let shown = json_of(&workspace, &["brake", "show", "--json"]).await;
    assert_eq!((&shown["active"], &shown["by"]), (&json!(true), &json!("j.doe")));
    // Somebody else who puts it on is told who did.
    let again = ["brake", "on", "--actor", "a.roe", "--reason", "me too", "--json"];
    assert_eq!(json_of(&workspace, &again).await["by"], "j.doe");
    workspace
        .run(&["brake", "off", "--actor", "j.doe"])
        .await
        .expect(0);
    let Done { stdout, .. } = workspace.run(&["brake", "show"]).await.expect(0);
    assert_eq!(stdout.trim(), "lane       open");

    let nobody = [
        "processors",
        "pause",
        "nobody",
        "--actor",
        "j.doe",
        "--reason",
        "x",
    ];
    let Done { stderr, .. } = workspace.run(&nobody).await.expect(1);
    assert!(stderr.contains("there is no such processor"), "{stderr}");
    workspace
        .run(&["processors", "pause", "crm", "--reason", "x"])
        .await
        .expect(2);
}

/// Has the circuit of a lane be open, as a worker that ran it would.
async fn open_circuit(workspace: &Workspace, lane: &str, why: &str) {
    let url = format!("sqlite:{}", workspace.path("lacuna.db").display());
    let store = lacuna::store::open::open(&url, &options()).await.unwrap();
    let (worker, lane) = (Uuid::now_v7(), ProcessorId::new(lane).unwrap());
    let since = store.now().await.unwrap();
    let until = since.plus(Duration::from_secs(60));
    let lanes = std::slice::from_ref(&lane);
    store.take_lanes(worker, lanes, since, until).await.unwrap();
    let circuit = OpenCircuit {
        since,
        until,
        why: why.to_owned(),
        unauthorised: false,
    };
    let circuit = serde_json::to_string(&circuit).unwrap();
    assert!(store.set_circuit(worker, &lane, Some(&circuit)).await.unwrap());
}

#[tokio::test]
async fn resumed_lane_whose_circuit_is_open_says_so() {
    let workspace = Workspace::with("kafka.bootstrap_servers = \"127.0.0.1:1\"\n");
    for first in [
        &["migrate"][..],
        &["keys", "init"],
        &["registry", "apply", "--offline"],
    ] {
        workspace.run(first).await.expect(0);
    }
    open_circuit(&workspace, "crm", "7 of 10 calls failed").await;
    let pause = [
        "processors",
        "pause",
        "crm",
        "--actor",
        "j.doe",
        "--reason",
        "moves",
    ];
    let Done { stdout, .. } = workspace.run(&pause).await.expect(0);
    assert!(stdout.contains("lane       paused\nsince"), "{stdout}");
    let resume = ["processors", "resume", "crm", "--actor", "j.doe"];
    let Done { stdout, .. } = workspace.run(&resume).await.expect(0);
    assert!(
        stdout.contains("lane       circuit_open\n") && stdout.contains(": 7 of 10 calls failed\n"),
        "{stdout}"
    );
    let shown = json_of(
        &workspace,
        &["processors", "resume", "crm", "--actor", "j.doe", "--json"],
    )
    .await;
    assert_eq!(
        (&shown["lane"], &shown["lane_reason"]["why"], &shown["reason"]),
        (
            &json!("circuit_open"),
            &json!("7 of 10 calls failed"),
            &json!(null)
        )
    );
}
