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

#[tokio::test]
async fn a_worker_redrives_and_closes_for_who_asks() {
    let (workspace, worker, api, prefix) = serving(REGISTRY, "").await;
    let commands = format!("{prefix}.commands");
    let cluster = Cluster {
        servers: service("LACUNA_TEST_KAFKA"),
        properties: BTreeMap::new(),
        embedded: false,
    };
    let publisher = Publisher::connect(&cluster, BTreeSet::from([commands.clone()]))
        .await
        .unwrap();
    let message = Outgoing {
        topic: &commands,
        key: None,
        headers: Vec::new(),
        payload: b"{\"canary\"",
    };
    publisher.send(&message).await.unwrap().confirmed().await.unwrap();
    // Nobody needs the configuration or the keyring for it.
    let door = ["--url", &api.0];
    let list = [&["dead-letters", "list", "--json"], &door[..]].concat();
    let open = |done: &Done| -> Option<Value> {
        let letters: Vec<Value> = done
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        (letters.len() == 1).then(|| letters[0].clone())
    };
    let first = open(&until(&workspace, &list, |done| open(done).is_some()).await).unwrap();
    let first = first["id"].as_str().unwrap().to_owned();
    let redrive = [
        &[
            "dead-letters",
            "redrive",
            &first,
            "--note",
            "the producer is mended",
        ],
        &door[..],
    ]
    .concat();
    let Done { stdout, .. } = workspace.run(&redrive).await.expect(0);
    assert!(
        stdout.starts_with(&format!("redriven {first} {commands}/")),
        "{stdout}"
    );
    let Done { stderr, .. } = workspace.run(&redrive).await.expect(1);
    assert!(stderr.contains("is redriven already"), "{stderr}");
    // Still no JSON, so it comes back, and all of a reason can be meant.
    let again = |done: &Done| open(done).is_some_and(|letter| letter["id"] != first.as_str());
    until(&workspace, &list, again).await;
    let by_reason = [&["dead-letters", "redrive", "--reason", "not_json"], &door[..]].concat();
    let Done { stdout: second, .. } = workspace.run(&by_reason).await.expect(0);
    assert_eq!(second.lines().count(), 1, "{second}");
    let third = open(
        &until(&workspace, &list, |done| {
            open(done).is_some_and(|letter| !second.contains(letter["id"].as_str().unwrap()))
        })
        .await,
    )
    .unwrap();
    let third = third["id"].as_str().unwrap();
    let close = [
        &["dead-letters", "close", third, "--reason", "sent correctly"],
        &door[..],
    ]
    .concat();
    workspace.run(&close).await.expect(0);
    let Done { stdout, .. } = workspace.run(&list).await.expect(0);
    assert_eq!(stdout, "");
    let named = [&["dead-letters", "redrive", third, "--actor", "eve"], &door[..]].concat();
    workspace.run(&named).await.expect(2);
    signal(&worker, "-TERM").await;
    let output = worker.wait_with_output().await.unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && !stderr.contains("canary"), "{stderr}");
}
