//! A command that has its id in the headers only, dead-lettered and sent again.

use std::collections::{BTreeMap, BTreeSet};

use lacuna::kafka::{
    client::Cluster,
    publish::{Outgoing, Publisher},
};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    deferring::serving,
    worker::{signal, until},
    workspace::{Done, REGISTRY, service},
};

#[tokio::test]
async fn redriven_command_keeps_id_from_headers() {
    let policy = "[policy]\napproval = \"always\"\nearly_commands = \"0s\"\n";
    let (workspace, worker, api, prefix) = serving(REGISTRY, policy).await;
    let id = Uuid::now_v7().to_string();
    let control = format!("{prefix}.control");
    let cluster = Cluster {
        servers: service("LACUNA_TEST_KAFKA"),
        properties: BTreeMap::new(),
        embedded: false,
    };
    let publisher = Publisher::connect(&cluster, BTreeSet::from([control.clone()]))
        .await
        .unwrap();
    let approve = json!({ "type": "approve", "request_id": id, "actor": "dpo" }).to_string();
    let message = Outgoing {
        topic: &control,
        key: Some(id.clone()),
        headers: vec![
            ("ce_id", "event-1"),
            ("ce_source", "/canary"),
            ("ce_specversion", "1.0"),
        ],
        payload: approve.as_bytes(),
    };
    publisher.send(&message).await.unwrap().confirmed().await.unwrap();
    let listed = |done: &Done| done.stdout.lines().count() == 1;
    let Done { stdout, .. } = until(&workspace, &["dead-letters", "list", "--json"], listed).await;
    let letter: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(letter["reason"], "unknown_request");

    let command = json!({ "command_id": id, "type": "erase",
                          "subject": { "identities": [{ "type": "email", "value": "canary@example.org" }] } });
    let status = api.call(Method::POST, "/v1/requests", &command).await;
    assert_eq!(status["status"], "awaiting_approval");
    workspace
        .run(&["dead-letters", "redrive", letter["id"].as_str().unwrap()])
        .await
        .expect(0);
    until(&workspace, &["status", &id, "--json"], |done| {
        done.stdout.contains("\"in_progress\"")
    })
    .await;
    // It is the same command, not another one that says the same.
    publisher.send(&message).await.unwrap().confirmed().await.unwrap();
    let metrics = format!("{}/metrics", api.0);
    let counted = "lacuna_commands_total{result=\"duplicate\",type=\"approve\"} 1";
    let watch = lacuna::clock::Stopwatch::start();
    while !reqwest::get(&metrics)
        .await
        .unwrap()
        .text()
        .await
        .unwrap()
        .contains(counted)
    {
        assert!(watch.elapsed().as_secs() < 60, "it was never counted");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let Done { stdout, .. } = workspace.run(&["dead-letters", "list", "--json"]).await.expect(0);
    assert_eq!(stdout, "");
    signal(&worker, "-TERM").await;
    let output = worker.wait_with_output().await.unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && !stderr.contains("canary"), "{stderr}");
}
