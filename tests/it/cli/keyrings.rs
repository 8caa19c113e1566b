//! A store belongs to its keyring: with another one a worker would find nobody and call every ack a forged one.

use super::{
    deferring::serving,
    worker::signal,
    workspace::{Done, REGISTRY},
};

#[tokio::test]
async fn a_lost_keyring_is_not_replaced_by_a_new_one() {
    let (workspace, worker, ..) = serving(REGISTRY, "").await;
    signal(&worker, "-TERM").await;
    assert!(worker.wait_with_output().await.unwrap().status.success());
    let (keyring, backup) = (workspace.path("lacuna.keys"), workspace.path("backup.keys"));
    std::fs::rename(&keyring, &backup).unwrap();
    let Done { stderr, .. } = workspace.run(&["serve"]).await.expect(2);
    assert!(stderr.contains("lacuna.keys") && !keyring.exists(), "{stderr}");
    workspace.run(&["keys", "init"]).await.expect(0);
    workspace.write("users.csv", "email\nann@example.org\n");
    let prepare = ["sunset", "users.csv", "--actor", "ann"];
    for arguments in [&["serve"][..], &["check", "--connect"], &prepare] {
        let Done { stderr, .. } = workspace.run(arguments).await.expect(2);
        assert!(
            stderr.contains("lacuna.keys: not the one that this store is sealed under"),
            "{stderr}"
        );
    }
    assert!(!workspace.path("users.csv.plan").exists());
    std::fs::rename(&backup, &keyring).unwrap();
    workspace.run(&["check", "--connect"]).await.expect(0);
    workspace.run(&prepare).await.expect(0);
}
