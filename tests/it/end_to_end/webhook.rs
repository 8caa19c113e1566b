//! Webhooks through the real binary: what an endpoint answers and what becomes of the request, on a real Kafka with
//! PostgreSQL and on the embedded broker with SQLite; and a worker that is killed among a thousand deliveries.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::{
    check_log,
    kafka::{Publisher, Statuses},
};
use crate::{
    support::{Deployment, StoreKind, wait_for},
    transport::peer::{Call, Manner, Peer, json as answer_json, with_headers},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// How often tasks are tried that fail.
const ATTEMPTS: usize = 2;

fn webhook(id: &str, url: &str, rest: &str) -> String {
    format!(
        "[[processor]]\nid = \"{id}\"\nkind = \"crm\"\nactions = [\"erase\"]\nidentities = [\"email\"]\n\
         transport = {{ type = \"webhook\", url = \"{url}\", secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\", timeout = \"5s\" \
         }}\nretry = {{ initial = \"1s\", multiplier = 1.0, jitter = 0.0, attempts = {ATTEMPTS} }}\nack_timeout = \"1h\"\n{rest}\n"
    )
}

/// A runtime for servers beside a test that blocks.
fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

/// Calls by whom they name: the part of the address before the `@`.
fn by_name(calls: &[Call]) -> BTreeMap<String, Vec<Value>> {
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for call in calls {
        found.entry(name_of(call)).or_default().push(call.json());
    }
    found
}

fn name_of(call: &Call) -> String {
    let task = call.json();
    let address = task["identities"][0]["value"].as_str().unwrap();
    let name = address.split('@').next().unwrap();
    name.trim_start_matches("canary-").to_owned()
}

fn command(name: &str, processor: &str) -> (Uuid, Value) {
    let id = Uuid::now_v7();
    let command = json!({
        "command_id": id, "type": "erase", "reason": "account_closed", "scope": { "processors": [processor] },
        "subject": { "identities": [{ "type": "email", "value": format!("canary-{name}@example.org") }] },
    });
    (id, command)
}

fn post(deployment: &Deployment, path: &str, body: &Value) -> (u16, String) {
    let url = format!("http://127.0.0.1:{}{path}", deployment.http);
    runtime().block_on(async {
        let answer = reqwest::Client::new().post(url).json(body).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    })
}

fn detail(deployment: &Deployment, id: Uuid) -> Option<Value> {
    let (status, text) = deployment.get(&format!("/v1/requests/{id}"))?;
    (status == 200).then(|| serde_json::from_str(&text).unwrap())
}

/// How an endpoint answers each of those that it is asked about: by the name, and by how often it was asked before.
fn answer(call: &Call, before: usize) -> Manner {
    let ok = || {
        answer_json(
            200,
            r#"{"outcome":"erased","evidence":{"method":"delete","records":3}}"#,
        )
    };
    let html = b"<html><title>Welcome</title></html>";
    match (name_of(call).as_str(), before) {
        ("settled", _) => ok(),
        ("accepted", _) => with_headers(202, "", b""),
        ("empty", _) => with_headers(200, "", b""),
        // More often than attempts: they do not count.
        ("patient", 0..=2) => with_headers(429, "retry-after: 1\r\n", b""),
        ("down", 0) => with_headers(503, "retry-after: 1\r\n", html),
        ("unknown", _) => answer_json(404, r#"{"outcome":"not_found"}"#),
        ("patient" | "down", _) => ok(),
        ("page", _) => with_headers(200, "content-type: text/html\r\n", html),
        ("missing", _) => with_headers(404, "content-type: text/html\r\n", html),
        ("moved", _) => with_headers(302, "location: http://169.254.169.254/\r\n", b""),
        ("foreign", _) => answer_json(
            200,
            r#"{"outcome":"erased","task_id":"018f0000-0000-7000-8000-000000000001"}"#,
        ),
        ("garbage", _) => Manner::Bytes(b"\x00\xffnothing\r\n\r\n".to_vec()),
        ("hung", _) => Manner::HungUp,
        (other, _) => panic!("nobody asked about {other}"),
    }
}

/// Those that end with a proof, and as what they count; those that wait for one; and those that are given up.
const PROVED: [(&str, &str); 4] = [
    ("settled", "erased"),
    ("patient", "erased"),
    ("down", "erased"),
    ("unknown", "not_found"),
];
const WAITING: [&str; 2] = ["accepted", "empty"];
const GIVEN_UP: [&str; 6] = ["page", "missing", "moved", "foreign", "garbage", "hung"];

#[test]
fn answers_decide_what_becomes_of_requests_on_postgres() {
    what_becomes_of_requests(StoreKind::Postgres, false);
}

#[test]
fn answers_decide_what_becomes_of_requests_embedded() {
    what_becomes_of_requests(StoreKind::Sqlite, true);
}

fn what_becomes_of_requests(store: StoreKind, is_embedded: bool) {
    let runtime = runtime();
    let asked = std::sync::Mutex::new(BTreeMap::<String, usize>::new());
    let peer = runtime.block_on(Peer::start(move |call| {
        let mut asked = asked.lock().unwrap();
        let before = asked.entry(name_of(call)).or_default();
        *before += 1;
        answer(call, *before - 1)
    }));
    // Failures are what is looked at here, so none of them stops the lane.
    let never = "breaker = { failure_ratio = 1.0, min_requests = 1000 }";
    let deployment = Deployment::new(store, &webhook("crm", &peer.url(), never));
    if is_embedded {
        let config = std::fs::read_to_string(deployment.path("lacuna.toml")).unwrap();
        let servers = format!("\"{}\"", crate::support::service("LACUNA_TEST_KAFKA"));
        deployment.write("lacuna.toml", &config.replace(&servers, "\"embedded\""));
    }
    let worker = deployment.serve();
    let names = PROVED
        .iter()
        .map(|(name, _)| *name)
        .chain(WAITING)
        .chain(GIVEN_UP);
    let ids: BTreeMap<&str, Uuid> = names
        .map(|name| (name, submit(&deployment, name, is_embedded)))
        .collect();
    for (name, outcome) in PROVED {
        let request = wait_for(&format!("{name} is completed"), PATIENCE, || {
            detail(&deployment, ids[name]).filter(|request| request["status"] == "completed")
        });
        assert_eq!(request["outcomes"][outcome], 1, "{name}: {request}");
    }
    for name in GIVEN_UP {
        let request = wait_for(&format!("{name} is given up"), PATIENCE, || {
            detail(&deployment, ids[name]).filter(|request| request["tasks"]["abandoned"] == 1)
        });
        assert_eq!(
            (&request["status"], &request["needs_attention"]),
            (&json!("in_progress"), &json!(true)),
            "{name}"
        );
    }
    answered_later(&deployment, &peer, &ids);
    check_calls(&peer);
    worker.stop();
    check_log(&deployment);
}

fn submit(deployment: &Deployment, name: &str, is_embedded: bool) -> Uuid {
    let (id, command) = command(name, "crm");
    if is_embedded {
        let (status, text) = post(deployment, "/v1/requests", &command);
        assert_eq!(status, 202, "{text}");
    } else {
        let publisher = Publisher::new();
        publisher.publish(
            &deployment.topic("commands"),
            Some(&id.to_string()),
            command.to_string().as_bytes(),
        );
        publisher.flush();
    }
    id
}

/// What was only taken is open until its ack comes.
fn answered_later(deployment: &Deployment, peer: &Peer, ids: &BTreeMap<&str, Uuid>) {
    for name in WAITING {
        let request = detail(deployment, ids[name]).unwrap();
        assert_eq!(
            (&request["status"], &request["outcomes"]["erased"]),
            (&json!("in_progress"), &json!(0)),
            "{request}"
        );
        assert_eq!(request["task_list"][0]["state"], "accepted", "{request}");
        let task = by_name(&peer.calls())[name][0].clone();
        let ack = json!({
            "request_id": task["request_id"], "task_id": task["task_id"], "generation": task["generation"],
            "attempt": task["attempt"], "processor": "crm", "token": task["ack"]["token"], "outcome": "erased",
        });
        let (status, text) = post(deployment, "/v1/acks", &ack);
        assert_eq!(status, 200, "{text}");
        wait_for(&format!("{name} is completed"), PATIENCE, || {
            detail(deployment, ids[name]).filter(|request| request["status"] == "completed")
        });
    }
}

/// Each was called as often as its answers ask for, always under the same id.
fn check_calls(peer: &Peer) {
    let calls = peer.calls();
    let counts = by_name(&calls);
    for (name, count) in [
        ("settled", 1),
        ("accepted", 1),
        ("empty", 1),
        ("unknown", 1),
        ("patient", 4),
        ("down", 2),
    ] {
        assert_eq!(counts[name].len(), count, "{name}");
    }
    for name in GIVEN_UP {
        assert_eq!(counts[name].len(), ATTEMPTS, "{name}");
    }
    for name in counts.keys() {
        let ids: BTreeSet<&str> = calls
            .iter()
            .filter(|call| name_of(call) == *name)
            .map(|call| call.headers["webhook-id"].as_str())
            .collect();
        assert_eq!(ids.len(), 1, "{name}");
    }
}

#[test]
fn a_lane_that_is_not_let_in_stops_and_gives_nobody_up() {
    let runtime = runtime();
    let is_open = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let opened = std::sync::Arc::clone(&is_open);
    let peer = runtime.block_on(Peer::start(move |_| {
        if opened.load(std::sync::atomic::Ordering::SeqCst) {
            answer_json(200, r#"{"outcome":"erased"}"#)
        } else {
            with_headers(401, "", b"who are you?")
        }
    }));
    let registry = webhook(
        "crm",
        &peer.url(),
        "concurrency = 1\nbreaker = { probe_after = \"1s\" }",
    );
    let deployment = Deployment::new(StoreKind::Sqlite, &registry);
    let worker = deployment.serve();
    let ids: Vec<Uuid> = (0..20)
        .map(|n| submit(&deployment, &format!("{n}"), false))
        .collect();
    wait_for("the lane has stopped", PATIENCE, || {
        (deployment.metric("lacuna_circuit_open{processor=\"crm\"}") == Some(1.0)).then_some(())
    });
    let probes = peer.calls().len();
    wait_for(
        "it was tried more often than there are attempts",
        PATIENCE,
        || (peer.calls().len() > probes + ATTEMPTS + 1).then_some(()),
    );
    for id in &ids {
        let request = wait_for("it was taken in", PATIENCE, || detail(&deployment, *id));
        assert_eq!(request["tasks"]["abandoned"], 0, "{request}");
    }
    is_open.store(true, std::sync::atomic::Ordering::SeqCst);
    for id in &ids {
        wait_for("it is completed", PATIENCE, || {
            detail(&deployment, *id).filter(|request| request["status"] == "completed")
        });
    }
    worker.stop();
    check_log(&deployment);
}

const MANY: usize = 1000;

#[test]
fn a_worker_killed_among_deliveries_loses_none_on_postgres() {
    killed_among_deliveries(StoreKind::Postgres);
}

#[test]
fn a_worker_killed_among_deliveries_loses_none_on_sqlite() {
    killed_among_deliveries(StoreKind::Sqlite);
}

fn killed_among_deliveries(store: StoreKind) {
    let runtime = runtime();
    let peer = runtime.block_on(Peer::start(|_| answer_json(200, r#"{"outcome":"erased"}"#)));
    let deployment = Deployment::new(
        store,
        &webhook("crm", &peer.url(), "concurrency = 16\nrate = \"200/s\""),
    );
    let worker = deployment.serve();
    let publisher = Publisher::new();
    let ids: BTreeSet<Uuid> = (0..MANY)
        .map(|n| {
            let (id, command) = command(&format!("{n}"), "crm");
            publisher.publish(
                &deployment.topic("commands"),
                Some(&id.to_string()),
                command.to_string().as_bytes(),
            );
            id
        })
        .collect();
    publisher.flush();
    wait_for("a third of them was delivered", PATIENCE, || {
        (peer.calls().len() > MANY / 3).then_some(())
    });
    worker.kill();
    let delivered = peer.calls().len();
    assert!(delivered < MANY, "it was killed in the middle");
    let worker = deployment.serve();
    let mut statuses = Statuses::new(&deployment.topic("status"));
    wait_for("all of them are completed", Duration::from_secs(120), || {
        statuses.read();
        (statuses.completed() == MANY).then_some(())
    });
    let known: BTreeSet<Uuid> = statuses.last.keys().copied().collect();
    assert_eq!(known, ids, "one request a command, and no other");
    for (id, status) in &statuses.last {
        assert_eq!(
            status["tasks"],
            json!({ "total": 1, "done": 1, "parked": 0, "abandoned": 0 }),
            "{id}"
        );
        assert_eq!(status["outcomes"]["erased"], 1, "{id}");
    }
    let calls = by_name(&peer.calls());
    assert_eq!(calls.len(), MANY, "each was delivered");
    let again: Vec<&Vec<Value>> = calls.values().filter(|calls| calls.len() > 1).collect();
    assert!(
        again.len() <= delivered,
        "only what was out when it was killed is delivered again"
    );
    for calls in again {
        let tasks: BTreeSet<&str> = calls
            .iter()
            .map(|task| task["task_id"].as_str().unwrap())
            .collect();
        let generations: BTreeSet<u64> = calls
            .iter()
            .map(|task| task["generation"].as_u64().unwrap())
            .collect();
        assert_eq!(
            (tasks.len(), generations),
            (1, BTreeSet::from([1])),
            "it is the same task"
        );
    }
    worker.stop();
    check_log(&deployment);
}
