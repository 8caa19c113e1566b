//! Reports and California's deletion lists, through the real binary.

use serde_json::Value;

use super::{
    deferring::serving,
    services::read_topic,
    worker::{signal, until},
    workspace::Workspace,
};

/// Of the published examples of the mechanism.
const ANNA: &str = "KA18MT/ph6IHYjzT9zwETySDQyvSh87YuoSBpOQtkhE=";
const PHONE: &str = "vGM7y5n+hBXRSEAklhHDPCbysyNgYTmXdMcagGUOY8E=";

const LIST: &str = "20261101_12345_Email.csv";

const REGISTRY: &str = r#"
[[processor]]
id = "ads"
kind = "advertising"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["drop_email"]
"#;

async fn migrated() -> Workspace {
    let workspace = Workspace::with("[policy]\ntime_zone = \"Europe/Berlin\"\n");
    workspace.run(&["migrate"]).await.expect(0);
    workspace
}

#[tokio::test]
async fn report_of_an_empty_store_has_every_format() {
    let workspace = migrated().await;
    let period = ["--from", "2026-11-01", "--to", "2026-12-01"];
    let report = async |more: &[&str]| {
        workspace
            .run(&[&["report"][..], &period, more].concat())
            .await
            .expect(0)
            .stdout
    };
    let json: Value = serde_json::from_str(&report(&["--format", "json"]).await).unwrap();
    assert_eq!(
        (&json["received"], &json["from"]),
        (&0.into(), &"2026-10-31T23:00:00Z".into())
    );
    assert!(
        report(&[])
            .await
            .starts_with("Erasure report, 2026-11-01 to 2026-11-30\n")
    );
    assert!(
        report(&["--format", "csv"])
            .await
            .contains("\nrequests,,received,0\n")
    );
    assert!(report(&["--format", "html"]).await.starts_with("<!DOCTYPE html>"));
    let wrong = workspace.run(&["report", "--from", "2026-13-01"]).await.expect(2);
    assert!(
        wrong.stderr.contains("--from: expected a day such as 2026-11-01"),
        "{}",
        wrong.stderr
    );
    workspace.run(&["report", "--to", "2026-12-01"]).await.expect(2);
}

#[tokio::test]
async fn hashes_come_from_stdin_alone() {
    let workspace = migrated().await;
    let hashed = workspace
        .run_with(
            &["drop", "hash", "--kind", "email"],
            b" Anna.Smith@Domain.com\n\n",
        )
        .await
        .expect(0);
    assert_eq!(hashed.stdout, format!("{ANNA}\n"));
    let hashed = workspace
        .run_with(&["drop", "hash", "--kind", "phone"], b"+1 415 555 9317\n")
        .await
        .expect(0);
    assert_eq!(hashed.stdout, format!("{PHONE}\n"));
    workspace
        .run(&["drop", "hash", "--kind", "ctvid"])
        .await
        .expect(2);
}

#[tokio::test]
async fn next_list_is_due_45_days_after_the_last_one() {
    let workspace = migrated().await;
    let none = workspace.run(&["drop", "status"]).await.expect(1);
    assert!(
        none.stdout.contains("no list was taken in yet"),
        "{}",
        none.stdout
    );
    workspace
        .run(&["drop", "fetched", "--broker", "12345"])
        .await
        .expect(0);
    let status = workspace.run(&["drop", "status"]).await.expect(0);
    assert!(
        status.stdout.contains("12345") && status.stdout.contains("44d"),
        "{}",
        status.stdout
    );
}

#[tokio::test]
async fn wrong_list_publishes_nothing_and_is_named() {
    let workspace = migrated().await;
    for (name, text, fault) in [
        ("list.csv", "ID,Hash\n", "list.csv: expected a name such as"),
        (
            "20261101_1_Removed.csv",
            "ID\n1\n",
            "20261101_1_Removed.csv: a Removed list names people",
        ),
        (
            "20261101_1_Email.csv",
            "ID,Hash\n1,ann@example.org\n",
            "20261101_1_Email.csv: line 2: expected an id and a hash",
        ),
    ] {
        workspace.write(name, text);
        for action in ["import", "export"] {
            let wrong = workspace.run(&["drop", action, name]).await.expect(2);
            assert!(wrong.stderr.contains(fault), "{}", wrong.stderr);
            assert!(!wrong.stderr.contains("ann@example.org"));
        }
    }
}

#[tokio::test]
async fn list_is_taken_in_once_carried_out_and_answered() {
    let (workspace, worker, api, prefix) = serving(REGISTRY, "").await;
    workspace.write(LIST, &format!("ID,Hash\n1,{ANNA}\n2,{PHONE}\n"));
    let early = workspace.run(&["drop", "export", LIST]).await.expect(1);
    assert_eq!(early.stdout, "Id,Status\n");
    assert!(early.stderr.contains("2 are not known here"), "{}", early.stderr);
    for _ in 0..2 {
        let taken = workspace.run(&["drop", "import", LIST]).await.expect(0);
        assert!(
            taken.stdout.starts_with("2 commands published"),
            "{}",
            taken.stdout
        );
    }
    until(&workspace, &["requests", "--json"], |done| {
        done.stdout.lines().count() == 2
    })
    .await;
    let open = workspace.run(&["drop", "export", LIST]).await.expect(1);
    assert!(open.stderr.contains("2 have no answer yet"), "{}", open.stderr);
    let topic = format!("{prefix}.tasks.ads");
    let tasks = tokio::task::spawn_blocking(move || read_topic(&topic, 2))
        .await
        .unwrap();
    for (record, outcome) in tasks.iter().zip(["erased", "not_found"]) {
        let task: Value = serde_json::from_str(&record.payload).unwrap();
        assert_eq!(task["identities"][0]["type"], "drop_email");
        let mut ack = serde_json::json!({ "token": task["ack"]["token"], "outcome": outcome });
        for name in ["request_id", "task_id", "generation", "attempt", "processor"] {
            ack[name] = task[name].clone();
        }
        api.call(reqwest::Method::POST, "/v1/acks", &ack).await;
    }
    let done = workspace.run(&["drop", "export", LIST]).await.expect(0);
    let mut answers: Vec<&str> = done.stdout.lines().skip(1).map(|line| &line[2..]).collect();
    answers.sort_unstable();
    assert_eq!(answers, ["3", "5"], "{}", done.stdout);
    // The second import was of the same list: nothing is new, and nothing was refused.
    let all = workspace.run(&["requests", "--json"]).await.expect(0);
    assert_eq!(all.stdout.lines().count(), 2);
    let letters = workspace.run(&["dead-letters", "list", "--json"]).await.expect(0);
    assert_eq!(letters.stdout, "");
    let status = workspace.run(&["drop", "status"]).await.expect(0);
    assert!(status.stdout.contains("12345"), "{}", status.stdout);
    signal(&worker, "-TERM").await;
    assert!(worker.wait_with_output().await.unwrap().status.success());
}
