//! A store belongs to its keyring: with another one a worker would find nobody and call every ack a forged one.

use std::path::Path;

use lacuna::{clock::Clock, vault::Keyring};
use reqwest::Method;
use serde_json::json;
use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};
use tokio::process::Child;
use uuid::Uuid;

use super::{
    deferring::serving,
    worker::signal,
    workspace::{Done, REGISTRY, Workspace},
};

/// Prepares a plan over a file.
const PREPARE: [&str; 4] = ["sunset", "users.csv", "--actor", "ann"];

async fn end(worker: Child) {
    signal(&worker, "-TERM").await;
    assert!(worker.wait_with_output().await.unwrap().status.success());
}

/// Another keyring in place of this one.
fn exchange(keyring: &Path) {
    std::fs::remove_file(keyring).unwrap_or_default();
    Keyring::init(keyring, Clock::System.now()).unwrap();
}

async fn is_refused_as_another_one(workspace: &Workspace) {
    workspace.write("users.csv", "email\nann@example.org\n");
    for arguments in [&["serve"][..], &["check", "--connect"], &PREPARE] {
        let Done { stderr, .. } = workspace.run(arguments).await.expect(2);
        assert!(
            stderr.contains("lacuna.keys: not the one that this store is sealed under"),
            "{stderr}"
        );
    }
}

#[tokio::test]
async fn a_lost_keyring_is_restored_and_never_made_anew() {
    let (workspace, worker, ..) = serving(REGISTRY, "").await;
    end(worker).await;
    let (keyring, backup) = (workspace.path("lacuna.keys"), workspace.path("backup.keys"));
    std::fs::rename(&keyring, &backup).unwrap();
    for arguments in [
        &["serve"][..],
        &["check"],
        &["check", "--connect"],
        &["keys", "init"],
        &["keys", "list"],
        &["reconcile", "none"],
    ] {
        let Done { stderr, .. } = workspace.run(arguments).await.expect(2);
        assert!(
            stderr.contains("lacuna.keys") && stderr.contains("restore it from its backup"),
            "{arguments:?}: {stderr}"
        );
        assert!(
            !stderr.contains("keys init") && !keyring.exists(),
            "{arguments:?}: {stderr}"
        );
    }
    exchange(&keyring);
    is_refused_as_another_one(&workspace).await;
    assert!(!workspace.path("users.csv.plan").exists());
    std::fs::rename(&backup, &keyring).unwrap();
    workspace.run(&["check", "--connect"]).await.expect(0);
    workspace.run(&PREPARE).await.expect(0);
}

/// The store that is away may have one already.
#[tokio::test]
async fn no_keyring_is_made_for_a_store_that_is_away_unless_told() {
    let workspace = Workspace::with("[store]\nurl = \"postgres://lacuna@127.0.0.1:1/lacuna\"\n");
    let keyring = workspace.path("lacuna.keys");
    let Done { stderr, .. } = workspace.run(&["keys", "init"]).await.expect(3);
    assert!(
        stderr.contains("cannot be reached") && stderr.contains("--new-store") && !keyring.exists(),
        "{stderr}"
    );
    workspace.run(&["keys", "init", "--new-store"]).await.expect(0);
    assert!(keyring.exists());
}

/// As it is after an upgrade from a version that did not mark keyrings.
#[tokio::test]
async fn unmarked_store_takes_only_its_own_keyring() {
    let (workspace, worker, api, _) = serving(REGISTRY, "").await;
    let id = Uuid::now_v7();
    let command = json!({ "command_id": id, "type": "erase",
                          "subject": { "identities": [{ "type": "customer_id", "value": "canary-1" }] } });
    api.call(Method::POST, "/v1/requests", &command).await;
    end(worker).await;
    let mut database = SqliteConnectOptions::new()
        .filename(workspace.path("lacuna.db"))
        .connect()
        .await
        .unwrap();
    sqlx::query("delete from keyring")
        .execute(&mut database)
        .await
        .unwrap();
    database.close().await.unwrap();

    let (keyring, backup) = (workspace.path("lacuna.keys"), workspace.path("backup.keys"));
    std::fs::rename(&keyring, &backup).unwrap();
    for arguments in [&["serve"][..], &["keys", "init"]] {
        let Done { stderr, .. } = workspace.run(arguments).await.expect(2);
        assert!(
            stderr.contains("restore it from its backup") && !keyring.exists(),
            "{arguments:?}: {stderr}"
        );
    }
    exchange(&keyring);
    is_refused_as_another_one(&workspace).await;
    std::fs::rename(&backup, &keyring).unwrap();
    let Done { stdout, .. } = workspace.run(&["check", "--connect"]).await.expect(0);
    assert!(stdout.contains("keyring   opened"), "{stdout}");
    let worker = workspace.command(&["serve"]).spawn().unwrap();
    super::worker::until(&workspace, &["status", &id.to_string()], |done| done.code == 0).await;
    end(worker).await;
    exchange(&keyring);
    is_refused_as_another_one(&workspace).await;
}
