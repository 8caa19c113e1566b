//! `lacuna sunset`: two people, a file of subjects, and every command exactly once whatever happens in between.

mod lines;

use std::{path::Path, time::Duration};

use lacuna::clock::Stopwatch;
use serde_json::Value;

use super::{
    services::{new_schema, read_topic},
    worker::{signal, until},
    workspace::{Done, PATIENCE, REGISTRY, Workspace, real_config},
};

/// A workspace with keys and topics, and the name of its commands topic.
async fn workspace(more: &str) -> (Workspace, String) {
    let (prefix, config) = real_config("");
    let workspace = Workspace::with(&format!("{config}\n{more}"));
    workspace.run(&["keys", "init"]).await.expect(0);
    workspace.run(&["topics", "create"]).await.expect(0);
    (workspace, format!("{prefix}.commands"))
}

fn subjects(count: usize) -> String {
    // Nobody has the number 0.
    let rows = (0..count).map(|n| format!("{},canary-{n}@example.org\n", n + 1));
    std::iter::once("customer_id,email\n".to_owned())
        .chain(rows)
        .collect()
}

async fn published(topic: &str, at_least: usize) -> Vec<Value> {
    let topic = topic.to_owned();
    tokio::task::spawn_blocking(move || read_topic(&topic, at_least))
        .await
        .unwrap()
        .into_iter()
        .map(|found| serde_json::from_str(&found.payload).unwrap())
        .collect()
}

fn progress(path: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

const APPROVE: &[&str] = &[
    "sunset",
    "users.csv",
    "--approve",
    "users.csv.plan",
    "--actor",
    "bob",
];

#[tokio::test]
async fn everybody_goes_once_through_a_sigkill() {
    const COUNT: usize = 5_000;
    let (prefix, config) = real_config(&new_schema().await);
    let workspace = Workspace::with(&config);
    for arguments in [&["migrate"][..], &["keys", "init"], &["topics", "create"]] {
        workspace.run(arguments).await.expect(0);
    }
    workspace.write("users.csv", &subjects(COUNT));
    let Done { stdout, .. } = workspace
        .run(&["sunset", "users.csv", "--tenant", "acme", "--actor", "ann"])
        .await
        .expect(0);
    for text in [
        "5,000; 0 lines",
        "nothing is published yet",
        "users.csv.plan",
        "another person:",
    ] {
        assert!(stdout.contains(text), "{text:?} is missing:\n{stdout}");
    }
    let slowly = [APPROVE, &["--rate", "1000/s"]].concat();
    let mut child = workspace.command(&slowly).spawn().unwrap();
    let (state, watch) = (workspace.path("users.csv.sunset"), Stopwatch::start());
    let confirmed = loop {
        let confirmed = progress(&state).and_then(|progress| progress["confirmed"].as_u64());
        match confirmed {
            Some(confirmed) if confirmed > 0 => break confirmed,
            _ => assert!(watch.elapsed() < PATIENCE, "nothing is ever confirmed"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    signal(&child, "-KILL").await;
    child.wait().await.unwrap();
    assert!(confirmed < COUNT as u64, "it was over before it was killed");
    let Done { stdout, stderr, .. } = workspace.run(APPROVE).await.expect(0);
    assert!(
        stdout.contains("continues   after") && stdout.contains("published   5,000 commands"),
        "{stdout}"
    );
    assert!(
        stdout.contains("WARNING") && stderr.contains("only stated"),
        "{stdout}{stderr}"
    );
    let Done { stdout, .. } = workspace.run(APPROVE).await.expect(0);
    assert!(stdout.contains("nothing was published now"), "{stdout}");

    let commands = published(&format!("{prefix}.commands"), COUNT).await;
    assert!(
        (COUNT..COUNT + 3_000).contains(&commands.len()),
        "{}",
        commands.len()
    );
    let first = &commands[0];
    for (field, value) in [
        ("type", "erase"),
        ("reason", "service_ceased"),
        ("tenant", "acme"),
        ("actor", "ann"),
    ] {
        assert_eq!(first[field], value);
    }
    let worker = workspace
        .command(&["serve", "--roles", "intake,settle,agenda,dispatch"])
        .spawn()
        .unwrap();
    let ids = workspace
        .run(&["sunset", "users.csv", "--ids", "users.csv.plan"])
        .await
        .expect(0)
        .stdout;
    assert_eq!(ids.lines().count(), COUNT);
    workspace.write("ids", &ids);
    let Done { stdout, .. } = until(&workspace, &["reconcile", "ids"], |done| done.code == 0).await;
    assert!(
        stdout.contains("looked up      5000\nthere          5000  in_progress 5000"),
        "{stdout}"
    );
    let Done { stdout, .. } = workspace
        .run(&["requests", "--json", "--limit", "10000"])
        .await
        .expect(0);
    assert_eq!(stdout.lines().count(), COUNT, "nobody twice");
    let Done { stdout, .. } = workspace.run(&["dead-letters", "list", "--json"]).await.expect(0);
    assert_eq!(stdout, "");
    signal(&worker, "-TERM").await;
    worker.wait_with_output().await.unwrap();
}

#[tokio::test]
async fn one_who_stops_it_is_told_how_to_go_on() {
    let (workspace, topic) = workspace("").await;
    workspace.write("users.csv", &subjects(300));
    workspace
        .run(&["sunset", "users.csv", "--actor", "ann"])
        .await
        .expect(0);
    let slowly = [APPROVE, &["--rate", "50/s"]].concat();
    let child = workspace.command(&slowly).spawn().unwrap();
    let (state, watch) = (workspace.path("users.csv.sunset"), Stopwatch::start());
    while progress(&state).is_none_or(|progress| progress["confirmed"] == 0) {
        assert!(watch.elapsed() < PATIENCE, "nothing is ever confirmed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Another one at the same time is refused.
    let Done { stderr, .. } = workspace.run(APPROVE).await.expect(1);
    assert!(stderr.contains("another `lacuna sunset`"), "{stderr}");
    signal(&child, "-INT").await;
    let output = child.wait_with_output().await.unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("the same command continues"), "{stderr}");
    let stopped = progress(&state).unwrap()["confirmed"].as_u64().unwrap();
    assert_eq!(
        published(&topic, 0).await.len() as u64,
        stopped,
        "a clean stop repeats nothing"
    );
    workspace.run(APPROVE).await.expect(0);
    let mut ids: Vec<String> = published(&topic, 300)
        .await
        .iter()
        .map(|command| command["command_id"].to_string())
        .collect();
    assert_eq!(ids.len(), 300);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 300);
}

#[tokio::test]
async fn nothing_goes_out_that_two_people_have_not_seen() {
    let (workspace, topic) = workspace("").await;
    workspace.write("users.csv", &subjects(10));
    let Done { stdout, .. } = workspace
        .run(&["sunset", "users.csv", "--dry-run", "--rate", "1/s"])
        .await
        .expect(0);
    for text in [
        "10 have email",
        "about 10s",
        "nothing was published",
        "service_ceased",
    ] {
        assert!(stdout.contains(text), "{text:?} is missing:\n{stdout}");
    }
    assert!(!workspace.path("users.csv.plan").exists());
    workspace.run(&["sunset", "users.csv"]).await.expect(2);
    workspace
        .run(&["sunset", "users.csv", "--actor", "ann"])
        .await
        .expect(0);
    let Done { stderr, .. } = workspace
        .run(&["sunset", "users.csv", "--actor", "ann"])
        .await
        .expect(2);
    assert!(stderr.contains("there is a plan"), "{stderr}");
    let same = [
        "sunset",
        "users.csv",
        "--approve",
        "users.csv.plan",
        "--actor",
        "Ann",
    ];
    let Done { stderr, .. } = workspace.run(&same).await.expect(1);
    assert!(stderr.contains("another person has to"), "{stderr}");
    workspace.write("users.csv", &subjects(11));
    let Done { stderr, .. } = workspace.run(APPROVE).await.expect(1);
    assert!(stderr.contains("is not the file"), "{stderr}");
    workspace.write("users.csv", &subjects(10));
    let plan = std::fs::read_to_string(workspace.path("users.csv.plan")).unwrap();
    workspace.write("users.csv.plan", &plan.replace("\"ann\"", "\"bert\""));
    let Done { stderr, .. } = workspace.run(APPROVE).await.expect(2);
    assert!(stderr.contains("was changed"), "{stderr}");
    assert!(published(&topic, 0).await.is_empty());
    assert!(!workspace.path("users.csv.sunset").exists());
    // From stdin, with the same bytes, it is the same file.
    workspace.write("users.csv.plan", &plan);
    let arguments = ["sunset", "-", "--approve", "users.csv.plan", "--actor", "bob"];
    workspace
        .run_with(&arguments, subjects(10).as_bytes())
        .await
        .expect(0);
    assert_eq!(published(&topic, 10).await.len(), 10);
}

#[tokio::test]
async fn tokens_show_who_agrees() {
    let auth = "[auth]\ntokens = [{ name = \"ann\", role = \"operator\", token = \"env:ANN\" }, \
                { name = \"bob\", role = \"compliance\", token = \"env:BOB\" }]\n\
                [policy]\napproval = { above_per_hour = 3 }\nrequire_identity_verification = true\n";
    let (prefix, config) = real_config("");
    let workspace = Workspace::with(&format!("{config}\n{auth}"));
    let run = async |arguments: &[&str], code: i32| {
        let mut command = workspace.command(arguments);
        let output = command
            .env("ANN", "token-of-sixteen-a")
            .env("BOB", "token-of-sixteen-b")
            .output()
            .await
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(
            !said.contains("token-of-sixteen-a") && !said.contains("token-of-sixteen-b"),
            "{said}"
        );
        said
    };
    run(&["keys", "init"], 0).await;
    run(&["topics", "create"], 0).await;
    workspace.write("users.csv", &subjects(5));
    run(&["sunset", "users.csv", "--actor", "ann"], 2).await;
    let said = run(&["sunset", "users.csv", "--token", "env:ANN"], 0).await;
    for text in [
        "ann (shown by token)",
        "the volume brake will hold",
        "above_per_hour = 3",
        "--identity-verified",
    ] {
        assert!(said.contains(text), "{text:?} is missing:\n{said}");
    }
    assert!(!said.contains("WARNING"), "{said}");
    let approve = |token| {
        [
            "sunset",
            "users.csv",
            "--approve",
            "users.csv.plan",
            "--token",
            token,
        ]
    };
    let said = run(&approve("env:ANN"), 1).await;
    assert!(said.contains("this takes compliance"), "{said}");
    let said = run(&approve("env:BOB"), 0).await;
    assert!(
        said.contains("approved by bob (shown by token)") && !said.contains("WARNING"),
        "{said}"
    );
    assert_eq!(published(&format!("{prefix}.commands"), 5).await.len(), 5);
}

#[tokio::test]
async fn a_plan_stays_what_it_was_when_the_registry_changes() {
    let (workspace, topic) = workspace("").await;
    let line = |kind: &str, n: u32| {
        format!("{{\"identities\":[{{\"type\":\"{kind}\",\"value\":\"canary-{n}\"}}]}}\n")
    };
    workspace.write(
        "users.jsonl",
        &[
            line("customer_id", 1),
            line("user_id", 2),
            "{\"customer_id\":3}\n".into(),
        ]
        .concat(),
    );
    let Done { stdout, .. } = workspace
        .run(&[
            "sunset",
            "users.jsonl",
            "--actor",
            "ann",
            "--skip-bad",
            "--plan",
            "plan",
        ])
        .await
        .expect(0);
    assert!(
        stdout.contains("2; 1 lines are wrong") && stdout.contains("--approve plan --actor"),
        "{stdout}"
    );
    let changed = REGISTRY.replace("[\"email\"]", "[\"email\", \"user_id\"]");
    workspace.write("processors.toml", &changed);
    let approve = [
        "sunset",
        "users.jsonl",
        "--approve",
        "plan",
        "--actor",
        "bob",
        "--state",
        "state",
    ];
    workspace.run(&approve).await.expect(0);
    let mut values: Vec<String> = published(&topic, 2)
        .await
        .iter()
        .map(|command| command["subject"]["identities"][0]["value"].to_string())
        .collect();
    values.sort();
    assert_eq!(values, ["\"3\"", "\"canary-1\""]);
    // The progress of one run is not that of another.
    workspace
        .run(&["sunset", "users.jsonl", "--actor", "ann", "--plan", "other"])
        .await
        .expect(0);
    let other = [
        "sunset",
        "users.jsonl",
        "--approve",
        "other",
        "--actor",
        "bob",
        "--state",
        "state",
    ];
    let Done { stderr, .. } = workspace.run(&other).await.expect(2);
    assert!(stderr.contains("--state"), "{stderr}");
}

#[tokio::test]
async fn a_broker_that_is_away_loses_nothing() {
    let workspace = Workspace::with("kafka.bootstrap_servers = \"127.0.0.1:1\"");
    workspace.run(&["keys", "init"]).await.expect(0);
    workspace.write("users.csv", &subjects(10));
    workspace
        .run(&["sunset", "users.csv", "--actor", "ann"])
        .await
        .expect(0);
    let Done { stderr, .. } = workspace.run(APPROVE).await.expect(3);
    assert!(stderr.contains("0 of 10 commands are confirmed"), "{stderr}");
    assert!(stderr.contains("the same command continues there"), "{stderr}");
}
