//! `lacuna reconcile`: what upstream believes it has sent, and what became of it.

use std::time::Duration;

use lacuna::clock::Stopwatch;
use rdkafka::{
    ClientConfig,
    producer::{FutureProducer, FutureRecord},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    services::new_schema,
    worker::{signal, until},
    workspace::{Done, PATIENCE, Workspace, real_config, service},
};

/// Publishes what `lacuna submit` would not.
async fn publish(topic: &str, payload: &str) {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", service("LACUNA_TEST_KAFKA"))
        .create()
        .unwrap();
    let record = FutureRecord::<str, str>::to(topic).payload(payload);
    producer.send(record, Duration::from_secs(10)).await.unwrap();
}

fn erase(id: Uuid, value: &str) -> Value {
    json!({
        "type": "erase", "command_id": id, "tenant": "acme",
        "subject": { "identities": [{ "type": "customer_id", "value": value }] },
    })
}

#[tokio::test]
async fn what_never_arrived_was_refused_or_differs_is_found() {
    let (prefix, config) = real_config(&new_schema().await);
    let workspace = Workspace::with(&config);
    for arguments in [&["migrate"][..], &["keys", "init"], &["topics", "create"]] {
        workspace.run(arguments).await.expect(0);
    }
    let topic = format!("{prefix}.commands");
    let worker = workspace
        .command(&["serve", "--roles", "intake,settle,agenda,dispatch"])
        .spawn()
        .unwrap();
    let [arrived, refused, broken, missing] = [(); 4].map(|()| Uuid::now_v7());
    let command = erase(arrived, "canary-1");
    workspace
        .run_with(&["submit", "-"], command.to_string().as_bytes())
        .await
        .expect(0);
    let mut nobody = erase(refused, "canary-2");
    nobody["tenant"] = json!("a canary");
    publish(&topic, &nobody.to_string()).await;
    publish(
        &topic,
        &format!(r#"{{"type":"erase","command_id":"{broken}","subject":"#),
    )
    .await;
    publish(&topic, "canary").await;
    until(&workspace, &["dead-letters", "list", "--json"], |done| {
        done.stdout.lines().count() == 3
    })
    .await;
    until(&workspace, &["status", &arrived.to_string()], |done| {
        done.code == 0
    })
    .await;

    let mut other = command.clone();
    other["subject"]["identities"][0]["value"] = json!("canary-3");
    let lines = [
        arrived.to_string(),
        command.to_string(),
        json!({ "request_id": arrived, "type": "erase", "tenant": "acme" }).to_string(),
        String::new(),
        other.to_string(),
        json!({ "request_id": arrived, "tenant": "other" }).to_string(),
        json!({ "request_id": arrived, "type": "anonymize" }).to_string(),
        json!({ "command_id": missing, "request_id": arrived, "tenant": "acme" }).to_string(),
        refused.to_string(),
        broken.to_string(),
        missing.to_string(),
    ];
    workspace.write("sent", &lines.join("\n"));
    let Done { stdout, stderr, .. } = workspace.run(&["reconcile", "sent", "--json"]).await.expect(1);
    let found: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let [wrong @ .., summary] = found.as_slice() else {
        panic!("{stdout}")
    };
    let told: Vec<(u64, &str, &Value)> = wrong
        .iter()
        .map(|one| {
            (
                one["line"].as_u64().unwrap(),
                one["what"].as_str().unwrap(),
                &one["differs"],
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (5, "different", &json!(["payload"])),
            (6, "different", &json!(["tenant"])),
            (7, "different", &json!(["action"])),
            (8, "different", &json!(["command_id"])),
            (9, "dead_lettered", &Value::Null),
            (10, "dead_lettered", &Value::Null),
            (11, "missing", &Value::Null),
        ]
    );
    assert_eq!(wrong[4]["dead_letter"]["reason"], "schema");
    assert_eq!(wrong[4]["dead_letter"]["type"], "erase");
    assert_eq!(wrong[5]["dead_letter"]["reason"], "not_json");
    assert_eq!(wrong[5]["dead_letter"]["state"], "open");
    assert_eq!(
        *summary,
        json!({
            "what": "summary", "looked_up": 10, "there": { "in_progress": 3 }, "missing": 1, "dead_lettered": 2,
            "different": 4, "unreadable_lines": 0, "nameless_dead_letters": 1,
        })
    );
    let Done { stdout: text, .. } = workspace.run(&["reconcile", "sent"]).await.expect(1);
    let letter = wrong[4]["dead_letter"]["id"].as_str().unwrap();
    for expected in [
        "missing        1",
        "there          3  in_progress 3",
        "different      4",
        letter,
        "next           missing:",
        "note           1 open dead letters",
    ] {
        assert!(text.contains(expected), "{expected:?} is missing:\n{text}");
    }
    assert!(
        !format!("{stdout}{stderr}{text}").contains("canary"),
        "{stdout}{stderr}{text}"
    );
    erasures_are_owed(&workspace).await;
    // All is well with what has arrived.
    workspace
        .run_with(&["reconcile", "-"], command.to_string().as_bytes())
        .await
        .expect(0);
    signal(&worker, "-TERM").await;
    worker.wait_with_output().await.unwrap();
}

async fn erasures_are_owed(workspace: &Workspace) {
    let Done { stdout, .. } = workspace
        .run(&["dead-letters", "list", "--erasures", "--json"])
        .await
        .expect(0);
    assert_eq!(stdout.lines().count(), 2, "{stdout}");
    for line in stdout.lines() {
        let letter: Value = serde_json::from_str(line).unwrap();
        assert_eq!(letter["type"], "erase");
        assert!(letter["age_seconds"].is_u64());
    }
    let Done { stdout, stderr, .. } = workspace.run(&["dead-letters", "list"]).await.expect(0);
    assert!(
        stdout.contains("TYPE") && stdout.contains("  erase  "),
        "{stdout}"
    );
    assert!(
        stderr.contains("legal duties") && stderr.contains("\"open\":2"),
        "{stderr}"
    );
}

#[tokio::test]
async fn a_file_that_is_none_is_named_by_its_lines() {
    let workspace = Workspace::with("");
    let Done { stderr, .. } = workspace.run(&["reconcile", "none"]).await.expect(2);
    assert!(stderr.contains("lacuna keys init"), "{stderr}");
    workspace.run(&["keys", "init"]).await.expect(0);
    workspace.run(&["migrate"]).await.expect(0);
    workspace.run(&["reconcile", "none"]).await.expect(2);
    workspace.run(&["reconcile", "-"]).await.expect(2);
    let id = Uuid::now_v7();
    let input = format!("{id}\ncanary@example.org\n\n{{\"type\":\"erase\"}}\n");
    let Done { stdout, stderr, .. } = workspace
        .run_with(&["reconcile", "-"], input.as_bytes())
        .await
        .expect(2);
    assert!(
        stdout.contains("missing        1") && stdout.contains("unreadable     2"),
        "{stdout}"
    );
    assert!(
        stderr.contains("-:2: expected a request_id") && stderr.contains("-:4: expected"),
        "{stderr}"
    );
    assert!(!stderr.contains("canary"), "{stderr}");
    let wrong = "canary\n".repeat(100_000);
    let Done { stderr, .. } = workspace
        .run_with(&["reconcile", "-"], wrong.as_bytes())
        .await
        .expect(2);
    assert!(
        stderr.contains("is it the right file?") && stderr.lines().count() < 30,
        "{stderr}"
    );
}

#[tokio::test]
async fn a_store_that_is_away_is_no_answer() {
    let workspace = Workspace::with("store.url = \"postgres://lacuna:x@127.0.0.1:1/none\"");
    workspace.run(&["keys", "init", "--new-store"]).await.expect(0);
    let id = Uuid::now_v7().to_string();
    workspace
        .run_with(&["reconcile", "-"], id.as_bytes())
        .await
        .expect(3);
}

#[tokio::test]
async fn a_hundred_thousand_ids_take_little_memory_and_time() {
    let workspace = Workspace::with("");
    workspace.run(&["keys", "init"]).await.expect(0);
    workspace.run(&["migrate"]).await.expect(0);
    let ids: String = (0..100_000_u32)
        .map(|_| format!("{}\n", Uuid::now_v7()))
        .collect();
    workspace.write("ids", &ids);
    let watch = Stopwatch::start();
    let mut command = workspace.command(&["reconcile", "ids", "--json"]);
    let file = std::fs::File::create(workspace.path("found")).unwrap();
    let mut child = command.stdout(file).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id().unwrap());
    let mut highest = 0;
    let ended = loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        highest = highest.max(kib.unwrap_or(0));
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        assert!(watch.elapsed() < PATIENCE, "it takes for ever");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(ended.code(), Some(1));
    let found = std::fs::read_to_string(workspace.path("found")).unwrap();
    assert_eq!(found.lines().count(), 100_001);
    assert!(found.lines().last().unwrap().contains("\"missing\":100000"));
    assert!((1..200 * 1024).contains(&highest), "{highest} KiB");
}
