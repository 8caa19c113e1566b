//! Topics, migrations, the registry and submitting, against a real Kafka and a real PostgreSQL.

use std::{str::FromStr as _, time::Duration};

use lacuna::clock::Stopwatch;
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    message::Headers as _,
};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, postgres::PgConnectOptions};
use uuid::Uuid;

use super::workspace::{Done, Workspace, real_config, service};

/// A record as it lies in a topic.
#[derive(Debug)]
pub struct Found {
    pub key: Option<String>,
    pub headers: Vec<(String, String)>,
    pub payload: String,
}

/// A consumer that begins at the start of every partition of a topic.
pub fn from_its_start(topic: &str) -> BaseConsumer {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", service("LACUNA_TEST_KAFKA"))
        .set("group.id", "cli-reader")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    let metadata = consumer
        .fetch_metadata(Some(topic), Duration::from_secs(10))
        .unwrap();
    let mut partitions = TopicPartitionList::new();
    for partition in metadata.topics()[0].partitions() {
        partitions
            .add_partition_offset(topic, partition.id(), Offset::Beginning)
            .unwrap();
    }
    consumer.assign(&partitions).unwrap();
    consumer
}

/// Reads a topic from its start until it has this many records, and looks a moment for more.
pub fn read_topic(topic: &str, count: usize) -> Vec<Found> {
    let consumer = from_its_start(topic);
    let (mut found, watch) = (Vec::new(), Stopwatch::start());
    loop {
        let is_complete = found.len() >= count;
        let wait = Duration::from_millis(if is_complete { 500 } else { 1000 });
        match consumer.poll(wait) {
            Some(record) => {
                let record = record.unwrap();
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                let headers = record.headers().into_iter().flat_map(|headers| headers.iter());
                found.push(Found {
                    key: record.key().map(text),
                    headers: headers
                        .map(|h| (h.key.to_owned(), text(h.value.unwrap())))
                        .collect(),
                    payload: text(record.payload().unwrap()),
                });
            }
            None if is_complete => return found,
            None => assert!(
                watch.elapsed() < Duration::from_secs(20),
                "{topic} has {found:?} only"
            ),
        }
    }
}

/// A schema of its own in PostgreSQL, as a line of `[store]`.
pub async fn new_schema() -> String {
    let base = service("LACUNA_TEST_POSTGRES");
    let schema = format!("cli_{}", Uuid::now_v7().simple());
    let mut connection = PgConnectOptions::from_str(&base)
        .unwrap()
        .connect()
        .await
        .unwrap();
    sqlx::query(AssertSqlSafe(format!("create schema {schema}")))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    format!("url = \"{base}?options=-csearch_path%3D{schema}\"")
}

#[tokio::test]
async fn topics_are_created_once_and_listed() {
    let (prefix, config) = real_config("");
    let workspace = Workspace::with(&config);
    let Done { stdout, .. } = workspace.run(&["topics", "list"]).await.expect(0);
    assert_eq!(stdout.matches(" no\n").count(), 8, "{stdout}");
    let Done { stderr, .. } = workspace.run(&["check", "--connect"]).await.expect(2);
    assert!(
        stderr.contains(&format!("{prefix}.tasks.crm")) && stderr.contains("lacuna topics create"),
        "{stderr}"
    );
    let Done { stdout, .. } = workspace.run(&["topics", "create"]).await.expect(0);
    assert_eq!(stdout.matches("created  ").count(), 8, "{stdout}");
    let acl = format!("'User:<crm>' --topic '{prefix}.tasks.crm' --consumer");
    assert!(
        stdout.contains("kafka-acls.sh") && stdout.contains(&acl),
        "{stdout}"
    );
    let Done { stdout, .. } = workspace
        .run(&["topics", "create", "--replication", "1"])
        .await
        .expect(0);
    assert_eq!(stdout.matches("existed  ").count(), 8, "{stdout}");
    let Done { stdout, .. } = workspace.run(&["topics", "list"]).await.expect(0);
    assert_eq!(stdout.matches(" yes\n").count(), 8, "{stdout}");
    assert!(
        stdout
            .lines()
            .any(|line| line.contains(".commands") && line.contains(" 6 ")),
        "{stdout}"
    );
    workspace.run(&["check", "--connect"]).await.expect(0);
}

#[tokio::test]
async fn more_replicas_than_brokers_are_a_mistake_and_no_outage() {
    let (_, config) = real_config("");
    let workspace = Workspace::with(&config);
    let Done { stderr, .. } = workspace
        .run(&["topics", "create", "--replication", "3"])
        .await
        .expect(2);
    assert!(stderr.contains("replication factor"), "{stderr}");
}

#[tokio::test]
async fn postgres_is_migrated_and_holds_the_registry() {
    let (_, config) = real_config(&new_schema().await);
    let workspace = Workspace::with(&config);
    let id = Uuid::now_v7().to_string();
    let Done { stderr, .. } = workspace.run(&["status", &id]).await.expect(2);
    assert!(stderr.contains("lacuna migrate"), "{stderr}");
    let Done { stdout, .. } = workspace.run(&["migrate"]).await.expect(0);
    assert!(
        stdout.contains("is up to date now") && !stdout.contains("options"),
        "{stdout}"
    );
    let Done { stdout, .. } = workspace.run(&["migrate"]).await.expect(0);
    assert!(stdout.contains("was up to date already"), "{stdout}");
    workspace.run(&["status", &id]).await.expect(1);
    workspace.run(&["registry", "show"]).await.expect(1);
    // The topics are not there yet, and a processor without its topic is refused.
    let Done { stderr, .. } = workspace.run(&["registry", "apply"]).await.expect(2);
    assert!(
        stderr.contains("billing") && stderr.contains("crm") && stderr.contains("lacuna topics create"),
        "{stderr}"
    );
    workspace.run(&["registry", "show"]).await.expect(1);
    workspace.run(&["registry", "apply", "--offline"]).await.expect(0);
    workspace.run(&["registry", "diff"]).await.expect(0);
    let Done { stdout, .. } = workspace.run(&["registry", "show"]).await.expect(0);
    assert!(
        stdout.contains("Revision 1") && stdout.contains("id = \"billing\""),
        "{stdout}"
    );
    // No topics, and no keyring, which a PostgreSQL store does not get by itself.
    let Done { stderr, .. } = workspace.run(&["check", "--connect"]).await.expect(2);
    assert!(
        stderr.contains("lacuna keys init") && stderr.contains("lacuna topics create"),
        "{stderr}"
    );
}

#[tokio::test]
async fn lossy_server_is_named_by_its_setting() {
    let store = new_schema().await;
    let (_, config) = real_config(&store);
    let workspace = Workspace::with(&config);
    workspace.run(&["migrate"]).await.expect(0);
    workspace.run(&["keys", "init"]).await.expect(0);
    workspace.run(&["topics", "create"]).await.expect(0);
    let said = |done: Done| {
        done.stdout
            .lines()
            .any(|line| line.starts_with("warning   synchronous_commit"))
    };
    assert!(!said(workspace.run(&["check", "--connect"]).await.expect(0)));
    let (_, careless) = real_config(&store.replace("options=", "options=-csynchronous_commit%3Doff%20"));
    workspace.write("lacuna.toml", &careless);
    workspace.run(&["topics", "create"]).await.expect(0);
    assert!(said(workspace.run(&["check", "--connect"]).await.expect(0)));
    let worker = workspace.command(&["serve"]).spawn().unwrap();
    // It is up once it has made its registry the active one.
    super::worker::until(&workspace, &["registry", "show"], |done| done.code == 0).await;
    super::worker::signal(&worker, "-TERM").await;
    let output = worker.wait_with_output().await.unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains("synchronous_commit is off"), "{log}");
}

#[tokio::test]
async fn submitted_commands_lie_in_the_topic_with_key_and_headers() {
    let (prefix, config) = real_config("");
    let workspace = Workspace::with(&config);
    workspace.run(&["topics", "create"]).await.expect(0);
    let (named, request) = (Uuid::now_v7(), Uuid::now_v7());
    let subject = r#""subject":{"identities":[{"type":"customer_id","value":"42"}]}"#;
    let input = format!(
        "{{\"type\":\"erase\",\"command_id\":\"{named}\",\"request_id\":\"{request}\",{subject}}}\n\n\
         {{\"type\":\"anonymize\",{subject}}}\n"
    );
    let Done { stdout, .. } = workspace
        .run_with(&["submit", "-"], input.as_bytes())
        .await
        .expect(0);
    let lines: Vec<&str> = stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{stdout}");
    assert!(
        lines[0].starts_with(&format!("{request} {prefix}.commands/")),
        "{stdout}"
    );
    let (_, fresh) = lines[1].split_once("command_id=").unwrap();
    assert!(lines[1].starts_with(fresh), "{stdout}");
    let records = tokio::task::spawn_blocking(move || read_topic(&format!("{prefix}.commands"), 2))
        .await
        .unwrap();
    for (key, id, kind) in [
        (request.to_string(), Some(named), "erase"),
        // Its id is that of the event and its source together.
        (fresh.into(), None, "anonymize"),
    ] {
        let record = records
            .iter()
            .find(|record| record.key.as_deref() == Some(&*key))
            .unwrap();
        assert!(record.payload.contains(kind), "{record:?}");
        for (name, value) in [
            ("ce_source", "/lacuna/submit"),
            ("ce_type", "dev.lacuna.command.v1"),
        ] {
            assert!(
                record.headers.contains(&(name.to_owned(), value.to_owned())),
                "{record:?}"
            );
        }
        let (_, event) = record.headers.iter().find(|(name, _)| name == "ce_id").unwrap();
        let event: Uuid = event.parse().unwrap();
        assert!(id.is_none_or(|id| id == event) && (id.is_some() || event.to_string() != key));
    }
    // One object may go over several lines, and a file does as well.
    workspace.write(
        "one.json",
        &format!("{{\n  \"type\": \"erase\",\n  {subject}\n}}\n"),
    );
    workspace.run(&["submit", "one.json"]).await.expect(0);
}

#[tokio::test]
async fn one_wrong_line_keeps_all_from_being_published() {
    let (prefix, config) = real_config("");
    let workspace = Workspace::with(&config);
    workspace.run(&["topics", "create"]).await.expect(0);
    let valid =
        r#"{"type":"erase","subject":{"identities":[{"type":"email","value":"canary@example.org"}]}}"#;
    let wrong = [
        "{\"type\":\"erase\",\"subject\":{}}",
        "canary",
        "{\"type\":\"hold\",\"request_id\":\"canary\",\"actor\":\"me\"}",
        "{\"type\":\"erase\",\"type\":\"erase\"}",
    ];
    let input = format!("{valid}\n{}\n{valid}\n", wrong.join("\n"));
    let Done { stdout, stderr, .. } = workspace
        .run_with(&["submit", "-"], input.as_bytes())
        .await
        .expect(2);
    assert_eq!(stdout, "");
    for text in [
        "-:2: schema",
        "-:3: not_json",
        "-:4: ",
        "-:5: schema",
        "nothing was published: 4 of 6",
    ] {
        assert!(stderr.contains(text), "{text:?} is missing:\n{stderr}");
    }
    assert!(!stderr.contains("canary"), "{stderr}");
    let records = tokio::task::spawn_blocking(move || read_topic(&format!("{prefix}.commands"), 0))
        .await
        .unwrap();
    assert!(records.is_empty(), "{records:?}");
}

#[tokio::test]
async fn missing_topic_is_named_before_publishing() {
    let (prefix, config) = real_config("");
    let workspace = Workspace::with(&config);
    let command = br#"{"type":"erase","subject":{"identities":[{"type":"customer_id","value":"42"}]}}"#;
    let Done { stderr, .. } = workspace.run_with(&["submit", "-"], command).await.expect(2);
    assert!(
        stderr.contains(&format!("{prefix}.commands")) && stderr.contains("lacuna topics create"),
        "{stderr}"
    );
}
