//! One processor's topic takes nothing, or too little, or the broker throttles: whatever can go on goes on, through the
//! real binary on a real broker (invariant 11).

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use lacuna::{
    clock::Stopwatch,
    kafka::{
        admin::{Admin, Topic},
        client::Cluster,
    },
};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::kafka::{Publisher, Reader, Statuses, read_all};
use crate::support::{Deployment, StoreKind, service, wait_for};

fn registry(processors: &[&str]) -> String {
    let of = |id: &&str| {
        format!(
            "[[processor]]\nid = \"{id}\"\nkind = \"other\"\ntransport = {{ type = \"kafka\" }}\nactions = [\"erase\"]\n\
             identities = [\"email\"]\nack_timeout = \"1h\"\nretry = {{ initial = \"1s\", max = \"5s\" }}\n"
        )
    };
    processors.iter().map(of).collect()
}

fn command(addresses: &[String]) -> (Uuid, Value) {
    let id = Uuid::now_v7();
    let identities: Vec<Value> = addresses
        .iter()
        .map(|address| json!({ "type": "email", "value": address }))
        .collect();
    let command = json!({ "command_id": id, "type": "erase", "reason": "account_closed", "subject": { "identities": identities } });
    (id, command)
}

fn small(n: usize) -> (Uuid, Value) {
    command(&[format!("canary-{n}@example.org")])
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

fn admin() -> AdminClient<DefaultClientContext> {
    ClientConfig::new()
        .set("bootstrap.servers", service("LACUNA_TEST_KAFKA"))
        .create()
        .unwrap()
}

fn delete_topic(name: &str) {
    let cluster = Cluster {
        servers: service("LACUNA_TEST_KAFKA"),
        properties: std::collections::BTreeMap::new(),
        embedded: false,
    };
    let lister = Admin::new(&cluster).unwrap();
    block_on(lister.delete(&[name.to_owned()])).unwrap();
    wait_for("the topic is gone", Duration::from_secs(20), || {
        (!lister.list().unwrap().contains_key(name)).then_some(())
    });
}

/// With `limit`, one that takes no larger message.
fn create_topic(name: &str, limit: Option<u32>) {
    let limit = limit.unwrap_or(2_097_152).to_string();
    let new = NewTopic::new(name, 1, TopicReplication::Fixed(1)).set("max.message.bytes", &limit);
    let made = block_on(admin().create_topics([&new], &AdminOptions::new())).unwrap();
    made.into_iter().next().unwrap().unwrap();
    let topic = Topic {
        name: name.to_owned(),
        purpose: "tasks",
        writers: "lacuna",
        readers: "the processor",
        partitions: 1,
        compacted: false,
        large: false,
    };
    let cluster = Cluster {
        servers: service("LACUNA_TEST_KAFKA"),
        properties: std::collections::BTreeMap::new(),
        embedded: false,
    };
    Admin::new(&cluster).unwrap().await_leaders(&[topic]).unwrap();
}

fn raise_limit(name: &str, limit: u32) {
    let limit = limit.to_string();
    let alter = AlterConfig::new(ResourceSpecifier::Topic(name)).set("max.message.bytes", &limit);
    let done = block_on(admin().alter_configs([&alter], &AdminOptions::new())).unwrap();
    done.into_iter().next().unwrap().unwrap();
}

fn publish(deployment: &Deployment, publisher: &Publisher, (id, command): (Uuid, Value)) -> Uuid {
    publisher.publish(
        &deployment.topic("commands"),
        Some(&id.to_string()),
        command.to_string().as_bytes(),
    );
    publisher.flush();
    id
}

fn post(deployment: &Deployment, path: &str, body: &Value) -> u16 {
    let url = format!("http://127.0.0.1:{}{path}", deployment.http);
    block_on(async {
        let client = reqwest::Client::new();
        let sent = client
            .post(url)
            .header("content-type", "application/json")
            .body(body.to_string());
        sent.send().await.unwrap().status().as_u16()
    })
}

fn asked(reader: &Reader, seen: &mut BTreeSet<Uuid>) -> usize {
    for record in reader.read() {
        let task: Value = serde_json::from_slice(&record.value).unwrap();
        seen.insert(task["request_id"].as_str().unwrap().parse().unwrap());
    }
    seen.len()
}

fn lane(deployment: &Deployment, processor: &str) -> Value {
    let (_, body) = deployment.get("/v1/processors").unwrap();
    let list: Value = serde_json::from_str(&body).unwrap();
    let items = list["items"].as_array().unwrap();
    items.iter().find(|item| item["id"] == processor).unwrap().clone()
}

fn log_lines(deployment: &Deployment, with: &str) -> usize {
    let log = std::fs::read_to_string(deployment.path("serve.log")).unwrap();
    assert!(!log.contains("canary-"), "the log holds identifiers");
    log.lines().filter(|line| line.contains(with)).count()
}

#[test]
fn missing_task_topic_delays_no_other_lane_on_postgres() {
    missing_topic(StoreKind::Postgres);
}

#[test]
fn missing_task_topic_delays_no_other_lane_on_sqlite() {
    missing_topic(StoreKind::Sqlite);
}

fn missing_topic(store: StoreKind) {
    let deployment = Deployment::new(store, &registry(&["crm", "ads", "mail"]));
    let worker = deployment.serve();
    let publisher = Publisher::new();
    let gone = deployment.topic("tasks.crm");
    let ads = Reader::new(&deployment.topic("tasks.ads"));
    let (mut ids, mut seen) = (BTreeSet::new(), BTreeSet::new());
    // Its producer knows the topic before it goes.
    ids.insert(publish(&deployment, &publisher, small(0)));
    wait_for("the first task", Duration::from_secs(30), || {
        (asked(&ads, &mut seen) == 1).then_some(())
    });
    delete_topic(&gone);
    for n in 1..=40 {
        ids.insert(publish(&deployment, &publisher, small(n)));
        if n % 13 == 0 {
            let (id, command) = small(1000 + n);
            assert_eq!(post(&deployment, "/v1/requests", &command), 202);
            ids.insert(id);
        }
        std::thread::park_timeout(Duration::from_millis(250));
    }
    let mut statuses = Statuses::new(&deployment.topic("status"));
    wait_for(
        "all are taken in, and the others asked",
        Duration::from_secs(20),
        || {
            statuses.read();
            (statuses.last.len() == 44 && asked(&ads, &mut seen) == 44).then_some(())
        },
    );
    assert_eq!(seen, ids);
    wait_for("the lane shows", Duration::from_secs(20), || {
        statuses.read();
        let waits = statuses.last.values().filter(|status| {
            let waiting = status["waiting_for"].as_array().unwrap();
            waiting.iter().any(|one| {
                one["processor"] == "crm" && one["why"] == "undeliverable" && one["state"] == "ready"
            })
        });
        (waits.count() == 43).then_some(())
    });
    let shut = lane(&deployment, "crm");
    assert_eq!(
        (&shut["lane"], &shut["undeliverable"]),
        (&json!("undeliverable"), &json!(43))
    );
    assert_eq!(lane(&deployment, "ads")["lane"], "open");
    wait_for("the gauge says so", Duration::from_secs(20), || {
        let waiting = deployment.metric("lacuna_undeliverable_tasks{processor=\"crm\"}");
        (waiting == Some(43.0)).then_some(())
    });
    assert_eq!(
        deployment.get("/readyz").unwrap().0,
        200,
        "every other lane goes on"
    );
    assert_eq!(
        log_lines(&deployment, "takes nothing"),
        1,
        "once an outage, and not once a task"
    );
    one_after_the_other(&deployment, &publisher, &ads, &mut seen);

    // A worker that starts meanwhile starts, and knows it from the start.
    worker.stop();
    let worker = deployment.serve();
    one_after_the_other(&deployment, &publisher, &ads, &mut seen);
    assert_eq!(log_lines(&deployment, "takes nothing"), 2);
    create_topic(&gone, None);
    let back = Stopwatch::start();
    let (crm, mut told) = (Reader::new(&gone), BTreeSet::new());
    wait_for(
        "what has waited goes out by itself",
        Duration::from_secs(60),
        || (asked(&crm, &mut told) == 43 + 22).then_some(()),
    );
    eprintln!("all tasks out {:?} after the topic was back", back.elapsed());
    wait_for("the lane is open", Duration::from_secs(20), || {
        (lane(&deployment, "crm")["lane"] == "open").then_some(())
    });
    wait_for("the gauge says so", Duration::from_secs(20), || {
        let waiting = deployment.metric("lacuna_undeliverable_tasks{processor=\"crm\"}");
        (waiting == Some(0.0)).then_some(())
    });
    worker.stop();
}

/// Eleven commands, each after the task of the one before: ten of them on an average within a second.
fn one_after_the_other(
    deployment: &Deployment,
    publisher: &Publisher,
    ads: &Reader,
    seen: &mut BTreeSet<Uuid>,
) {
    let mut one = |_| {
        let before = seen.len();
        publish(deployment, publisher, small(10_000 + before));
        wait_for("the task of another lane", Duration::from_secs(30), || {
            (asked(ads, seen) > before).then_some(())
        });
    };
    // A worker that has just started is given its partitions first.
    one(0);
    let watch = Stopwatch::start();
    (1..=10).for_each(one);
    eprintln!("ten commands took {:?}", watch.elapsed());
    assert!(watch.elapsed() < Duration::from_secs(12), "{:?}", watch.elapsed());
}

#[test]
fn too_large_task_needs_attention_others_go_out() {
    let deployment = Deployment::new(StoreKind::Sqlite, &registry(&["crm", "ads"]));
    let topic = deployment.topic("tasks.crm");
    delete_topic(&topic);
    create_topic(&topic, Some(3_000));
    let worker = deployment.serve();
    let publisher = Publisher::new();
    // Random, so that no compression makes them small.
    let addresses: Vec<String> = (0..60)
        .map(|_| {
            let random = hex::encode(rand::random::<[u8; 32]>()) + &hex::encode(rand::random::<[u8; 32]>());
            format!("canary-{random}@example.org")
        })
        .collect();
    let large = publish(&deployment, &publisher, command(&addresses));
    let mut ids: BTreeSet<Uuid> = (0..40)
        .map(|n| publish(&deployment, &publisher, small(n)))
        .collect();
    let (crm, mut told) = (Reader::new(&topic), BTreeSet::new());
    wait_for("the others go out", Duration::from_secs(30), || {
        (asked(&crm, &mut told) == 40).then_some(())
    });
    assert_eq!(told, ids);
    let detail = wait_for("it needs attention", Duration::from_secs(20), || {
        let (_, body) = deployment.get(&format!("/v1/requests/{large}"))?;
        let detail: Value = serde_json::from_str(&body).unwrap();
        (detail["needs_attention"] == true).then_some(detail)
    });
    let task = &detail["task_list"][0];
    assert_eq!(
        (&task["state"], &task["why"]),
        (&json!("ready"), &json!("undeliverable"))
    );
    let to_do = detail["why_not_done"].to_string() + &detail["to_do"].to_string();
    assert!(
        to_do.contains("3000") && to_do.contains("max.message.bytes"),
        "{to_do}"
    );
    assert_eq!(lane(&deployment, "crm")["lane"], "open", "it shuts no lane");
    assert_eq!(log_lines(&deployment, "dead letters go without"), 0);
    assert_eq!(deployment.get("/readyz").unwrap().0, 200);
    raise_limit(&topic, 1_000_000);
    ids.insert(large);
    wait_for("it goes out when there is room", Duration::from_secs(90), || {
        (asked(&crm, &mut told) == 41).then_some(())
    });
    let (_, body) = deployment.get(&format!("/v1/requests/{large}")).unwrap();
    let detail: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(detail["needs_attention"], false, "{detail}");
    worker.stop();
}

/// Sets how many bytes a second a client may produce, as `kafka-configs --entity-type clients` does; `None`: as many as it
/// likes. AlterClientQuotas, version 0.
fn set_quota(client_id: &str, bytes: Option<f64>) {
    fn text(out: &mut Vec<u8>, text: &str) {
        out.extend(i16::try_from(text.len()).unwrap().to_be_bytes());
        out.extend(text.as_bytes());
    }
    let mut request = Vec::new();
    request.extend(49_i16.to_be_bytes());
    request.extend(0_i16.to_be_bytes());
    request.extend(7_i32.to_be_bytes());
    text(&mut request, "tests");
    request.extend(1_i32.to_be_bytes());
    request.extend(1_i32.to_be_bytes());
    text(&mut request, "client-id");
    text(&mut request, client_id);
    request.extend(1_i32.to_be_bytes());
    text(&mut request, "producer_byte_rate");
    request.extend(bytes.unwrap_or(0.0).to_be_bytes());
    request.push(u8::from(bytes.is_none()));
    request.push(0);
    let mut broker = TcpStream::connect(service("LACUNA_TEST_KAFKA")).unwrap();
    broker
        .write_all(&i32::try_from(request.len()).unwrap().to_be_bytes())
        .unwrap();
    broker.write_all(&request).unwrap();
    let mut length = [0; 4];
    broker.read_exact(&mut length).unwrap();
    let mut answer = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
    broker.read_exact(&mut answer).unwrap();
    // Correlation id, throttle time, number of entries, then the error code of the first.
    assert_eq!(answer[12..14], [0, 0], "{answer:?}");
}

#[test]
fn throttled_producer_retries_failures_and_all_arrives() {
    const REQUESTS: usize = 200;
    let processors = ["a", "b", "c", "d", "e", "f"];
    let deployment = Deployment::new(StoreKind::Sqlite, &registry(&processors));
    let client_id = deployment.prefix.clone();
    let config = std::fs::read_to_string(deployment.path("lacuna.toml")).unwrap();
    let named = format!("properties = {{ \"client.id\" = \"{client_id}\" }}\ntopics = ");
    deployment.write("lacuna.toml", &config.replacen("topics = ", &named, 1));
    set_quota(&client_id, Some(1500.0));
    let worker = deployment.serve();
    let publisher = Publisher::new();
    for n in 0..REQUESTS {
        let (id, command) = small(n);
        publisher.publish(
            &deployment.topic("commands"),
            Some(&id.to_string()),
            command.to_string().as_bytes(),
        );
    }
    publisher.flush();
    let watch = Stopwatch::start();
    let readers: Vec<Reader> = processors
        .iter()
        .map(|id| Reader::new(&deployment.topic(&format!("tasks.{id}"))))
        .collect();
    let mut seen: Vec<BTreeSet<Uuid>> = vec![BTreeSet::new(); processors.len()];
    wait_for("every task is there", Duration::from_secs(300), || {
        let known: usize = readers
            .iter()
            .zip(&mut seen)
            .map(|(reader, seen)| asked(reader, seen))
            .sum();
        eprintln!("{:?}: {known} of {} tasks", watch.elapsed(), REQUESTS * 6);
        (known == REQUESTS * 6).then_some(())
    });
    let messages: usize = processors
        .iter()
        .map(|id| read_all(&deployment.topic(&format!("tasks.{id}"))).len())
        .sum();
    eprintln!(
        "{messages} messages for {} tasks after {:?}",
        REQUESTS * 6,
        watch.elapsed()
    );
    assert!(messages < REQUESTS * 6 * 3 / 2, "{messages}");
    set_quota(&client_id, None);
    worker.kill();
}

#[test]
fn impossible_registry_is_refused_by_sighup_and_apply() {
    let deployment = Deployment::new(StoreKind::Sqlite, &registry(&["crm"]));
    let worker = deployment.serve();
    let hang_up = || worker.signal("-HUP");
    let revision = || -> Value {
        let (_, body) = deployment.get("/v1/processors").unwrap();
        serde_json::from_str::<Value>(&body).unwrap()["revision"].clone()
    };
    let on_status = registry(&["crm"]).replace(
        "transport = { type = \"kafka\" }",
        &format!(
            "transport = {{ type = \"kafka\", topic = \"{}\" }}",
            deployment.topic("status")
        ),
    );
    let twice = format!(
        "{}{}",
        registry(&["crm"]),
        registry(&["ads"]).replace(
            "transport = { type = \"kafka\" }",
            &format!(
                "transport = {{ type = \"kafka\", topic = \"{}\" }}",
                deployment.topic("tasks.crm")
            ),
        )
    );
    let absent = registry(&["crm", "ads"]);
    for (n, (file, says)) in [
        (&on_status, "the same topic as kafka.topics.status"),
        (&twice, "the same topic as that of processor"),
        (&absent, "these topics do not exist"),
    ]
    .into_iter()
    .enumerate()
    {
        deployment.write("processors.toml", file);
        hang_up();
        wait_for("it is refused loudly", Duration::from_secs(20), || {
            (log_lines(&deployment, "the active revision stays") == n + 1).then_some(())
        });
        assert_eq!(log_lines(&deployment, says), 1);
        assert_eq!(revision(), 1);
        assert_eq!(deployment.metric("lacuna_registry_mismatch"), Some(1.0));
        let output = deployment.lacuna(&["registry", "apply"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(
            String::from_utf8_lossy(&output.stderr).contains(says),
            "{output:?}"
        );
        assert_eq!(revision(), 1);
    }
    deployment.lacuna_ok(&["topics", "create"]);
    hang_up();
    wait_for("it is active", Duration::from_secs(20), || {
        (revision() == 2).then_some(())
    });
    deployment.write("processors.toml", &registry(&["crm", "ads", "mail"]));
    deployment.lacuna_ok(&["registry", "apply", "--create-topics"]);
    wait_for("the worker has it", Duration::from_secs(20), || {
        (revision() == 3).then_some(())
    });
    publish(&deployment, &Publisher::new(), small(1));
    let mail = Reader::new(&deployment.topic("tasks.mail"));
    let mut told = BTreeSet::new();
    wait_for("its topic takes its task", Duration::from_secs(20), || {
        (asked(&mail, &mut told) == 1).then_some(())
    });
    worker.stop();
}
