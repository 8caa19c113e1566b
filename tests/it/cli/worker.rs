//! `serve` as a process: its start, its end, and what commands see of its work.

use std::time::Duration;

use lacuna::clock::Stopwatch;
use tokio::process::{Child, Command};
use uuid::Uuid;

use crate::support::free_port;

use super::{
    services::new_schema,
    workspace::{Done, PATIENCE, Workspace, real_config},
};

/// Runs a command again until its output has what is waited for.
pub(super) async fn until(workspace: &Workspace, arguments: &[&str], done: impl Fn(&Done) -> bool) -> Done {
    let watch = Stopwatch::start();
    loop {
        let found = workspace.run(arguments).await;
        if done(&found) {
            return found;
        }
        assert!(
            watch.elapsed() < PATIENCE,
            "{arguments:?} never showed it: {found:?}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

pub(super) async fn signal(child: &Child, name: &str) {
    let pid = child.id().expect("it runs").to_string();
    assert!(
        Command::new("kill")
            .args([name, &pid])
            .status()
            .await
            .unwrap()
            .success()
    );
}

/// The first answer to a health check, as soon as somebody listens.
pub(super) async fn first_answer(port: u16) -> reqwest::Response {
    let watch = Stopwatch::start();
    loop {
        match reqwest::get(format!("http://127.0.0.1:{port}/healthz")).await {
            Ok(answer) => return answer,
            Err(_) => assert!(watch.elapsed() < PATIENCE, "nobody listens"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn waiting_for_kafka_is_live_not_ready_then_gives_up() {
    let port = free_port();
    let workspace = Workspace::with(&format!(
        "kafka.bootstrap_servers = \"127.0.0.1:1\"\nhttp.listen = \"127.0.0.1:{port}\"\n"
    ));
    let watch = Stopwatch::start();
    let child = workspace
        .command(&["serve", "--wait", "12s", "--log-format", "json"])
        .spawn()
        .unwrap();
    let alive = first_answer(port).await;
    assert_eq!(alive.status().as_u16(), 200);
    let ready = reqwest::Client::new()
        .get(format!("http://127.0.0.1:{port}/readyz"))
        .send()
        .await
        .unwrap();
    assert_eq!(ready.status().as_u16(), 503);
    let output = child.wait_with_output().await.unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(
        stderr.contains("cannot start yet, trying again: no Kafka broker answers"),
        "{stderr}"
    );
    assert!(stderr.contains("next:  is the broker up"), "{stderr}");
    assert!(watch.elapsed() < Duration::from_secs(40), "{:?}", watch.elapsed());
}

/// No single try takes longer than the whole wait: of a broker or a database that refuses, and of one that is silent.
#[tokio::test]
async fn it_waits_no_longer_than_it_is_told_to() {
    // It takes connections, and that is all.
    let taker = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let kafka = |address: &str| format!("kafka.bootstrap_servers = \"{address}\"\n");
    let store = |address: &str| {
        let servers = "kafka.bootstrap_servers = \"127.0.0.1:1\"\n";
        format!("store.url = \"postgres://lacuna:none@{address}/lacuna\"\n{servers}")
    };
    let (silent, nobody) = (taker.local_addr().unwrap().to_string(), "127.0.0.1:1");
    for config in [kafka(nobody), kafka(&silent), store(nobody), store(&silent)] {
        let workspace = Workspace::with(&format!("{config}http.listen = \"127.0.0.1:0\"\n"));
        let watch = Stopwatch::start();
        let Done { stderr, .. } = workspace.run(&["serve", "--wait", "2s"]).await.expect(3);
        // A single try of the silent ones would take 10 s and more; the process itself starts slowly on a busy machine.
        assert!(
            watch.elapsed() < Duration::from_secs(9),
            "{config}{:?}",
            watch.elapsed()
        );
        assert!(stderr.contains("next:"), "{config}{stderr}");
    }
}

#[tokio::test]
async fn a_signal_ends_the_waiting() {
    for name in ["-TERM", "-INT"] {
        let port = free_port();
        let workspace = Workspace::with(&format!(
            "kafka.bootstrap_servers = \"127.0.0.1:1\"\nhttp.listen = \"127.0.0.1:{port}\"\n"
        ));
        let child = workspace.command(&["serve"]).spawn().unwrap();
        first_answer(port).await;
        signal(&child, name).await;
        let ended = tokio::time::timeout(Duration::from_secs(15), child.wait_with_output());
        let output = ended.await.unwrap().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
}

#[tokio::test]
async fn a_taken_address_is_a_mistake() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let workspace = Workspace::with(&format!(
        "kafka.bootstrap_servers = \"embedded\"\nhttp.listen = \"{address}\"\n"
    ));
    let Done { stderr, .. } = workspace.run(&["serve"]).await.expect(2);
    assert!(
        stderr.contains(&format!("cannot listen on {address}")) && stderr.contains("next:"),
        "{stderr}"
    );
}

/// One life: a worker takes a command in and refuses a message, and the commands show both.
#[tokio::test]
async fn what_a_worker_did_is_seen_and_dead_letters_are_handled() {
    let (prefix, config) = real_config(&new_schema().await);
    let workspace = Workspace::with(&config);
    for arguments in [&["migrate"][..], &["keys", "init"], &["topics", "create"]] {
        workspace.run(arguments).await.expect(0);
    }
    let worker = workspace
        .command(&["serve", "--roles", "intake,settle,agenda,dispatch"])
        .spawn()
        .unwrap();
    let (id, other) = (Uuid::now_v7().to_string(), Uuid::now_v7().to_string());
    let command = |id: &str, value: &str| {
        format!(
            "{{\"type\":\"erase\",\"command_id\":\"{id}\",\"tenant\":\"acme\",\
             \"subject\":{{\"identities\":[{{\"type\":\"customer_id\",\"value\":\"{value}\"}}]}}}}"
        )
    };
    let input = format!("{}\n{}\n", command(&id, "canary-1"), command(&other, "canary-2"));
    workspace
        .run_with(&["submit", "-"], input.as_bytes())
        .await
        .expect(0);
    let Done { stdout, .. } = until(&workspace, &["status", &id], |done| done.code == 0).await;
    for text in ["in_progress", "billing", "dispatched", "no_identity", "deadline"] {
        assert!(stdout.contains(text), "{text:?} is missing:\n{stdout}");
    }
    let Done { stdout, .. } = workspace
        .run(&["status", &id.to_uppercase(), "--json"])
        .await
        .expect(0);
    let status: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(status["task_list"][0]["why"], "ack");
    assert_eq!(status["tasks"]["total"], 2);
    filters(&workspace, &id).await;
    // The same id with another payload is refused.
    workspace
        .run_with(&["submit", "-"], command(&id, "canary-3").as_bytes())
        .await
        .expect(0);
    dead_letters(&workspace, &prefix).await;
    signal(&worker, "-TERM").await;
    let output = tokio::time::timeout(Duration::from_secs(35), worker.wait_with_output())
        .await
        .unwrap()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(
        stderr
            .lines()
            .all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()),
        "{stderr}"
    );
    assert!(!stderr.contains("canary"), "{stderr}");
}

async fn filters(workspace: &Workspace, id: &str) {
    until(workspace, &["requests", "--json"], |done| {
        done.stdout.lines().count() == 2
    })
    .await;
    let cases: &[(&[&str], usize)] = &[
        (&["--status", "in_progress"], 2),
        (&["--status", "completed"], 0),
        (&["--tenant", "acme", "--processor", "crm"], 2),
        (&["--tenant", "other"], 0),
        (&["--processor", "ads"], 0),
        (&["--overdue"], 0),
        (&["--at-risk"], 0),
        (&["--needs-attention"], 0),
        (&["--limit", "1"], 1),
    ];
    for (filter, count) in cases {
        let arguments = [&["requests", "--json"], *filter].concat();
        let Done { stdout, .. } = workspace.run(&arguments).await.expect(0);
        assert_eq!(stdout.lines().count(), *count, "{filter:?}");
    }
    let Done { stdout, .. } = workspace.run(&["requests"]).await.expect(0);
    assert!(stdout.starts_with("REQUEST") && stdout.contains(id), "{stdout}");
}

async fn dead_letters(workspace: &Workspace, prefix: &str) {
    let listed = |done: &Done| done.stdout.lines().count() == 1;
    let Done { stdout, .. } = until(workspace, &["dead-letters", "list", "--json"], listed).await;
    let letter: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(letter["reason"], "conflicting_duplicate");
    assert_eq!(letter["topic"], format!("{prefix}.commands"));
    let id = letter["id"].as_str().unwrap();
    let Done { stdout, .. } = workspace.run(&["dead-letters", "show", id]).await.expect(0);
    assert!(
        stdout.contains("conflicting_duplicate") && !stdout.contains("canary"),
        "{stdout}"
    );
    let Done { stdout, stderr, .. } = workspace
        .run(&["dead-letters", "show", id, "--reveal"])
        .await
        .expect(0);
    assert!(
        stdout.contains("canary-3") && stderr.contains("personal data"),
        "{stdout}{stderr}"
    );
    let Done { stderr, .. } = workspace.run(&["dead-letters", "show", id]).await.expect(0);
    assert!(stderr.is_empty(), "its face shows nothing personal: {stderr}");
    // Published again, it is refused again, as another letter.
    let Done { stdout, .. } = workspace
        .run(&["dead-letters", "redrive", "--reason", "conflicting_duplicate"])
        .await
        .expect(0);
    assert!(
        stdout.starts_with(&format!("redriven {id} {prefix}.commands/")),
        "{stdout}"
    );
    let Done { stderr, .. } = workspace.run(&["dead-letters", "redrive", id]).await.expect(1);
    assert!(stderr.contains("redriven already"), "{stderr}");
    let Done { stdout, .. } = until(workspace, &["dead-letters", "list", "--json"], listed).await;
    let again: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let again = again["id"].as_str().unwrap();
    assert_ne!(again, id);
    workspace
        .run(&["dead-letters", "close", again, "--reason", "a test"])
        .await
        .expect(0);
    workspace
        .run(&["dead-letters", "close", again, "--reason", "a test"])
        .await
        .expect(1);
    let Done { stdout, .. } = workspace.run(&["dead-letters", "list", "--all"]).await.expect(0);
    assert!(
        stdout.contains(" redriven ") && stdout.contains(" closed "),
        "{stdout}"
    );
}
