//! A vendor through the real binary: its ids are kept before anything is deleted, its job is asked about after a restart, and
//! nothing of either is readable in the store.

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use uuid::Uuid;

use super::kafka::Publisher;
use crate::{
    support::{Deployment, StoreKind, wait_for},
    transport::peer::{Peer, json as answer},
};

const LIMIT: Duration = Duration::from_secs(60);
/// The vendor's id of the person.
const CUSTOMER: &str = "cus_canary";

struct Vendor {
    peer: Peer,
    is_over: Arc<AtomicBool>,
    runtime: tokio::runtime::Runtime,
}

/// Stripe: a customer is found, deleted, and redacted by a job that has to be run.
fn stripe() -> Vendor {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (is_over, was_run) = (Arc::new(AtomicBool::new(false)), AtomicBool::new(false));
    let over = Arc::clone(&is_over);
    let peer = runtime.block_on(Peer::start(move |call| {
        let (method, path) = call.line.split_once(' ').unwrap();
        let body = match method {
            "GET" if path.starts_with("/v1/customers?") => {
                json!({"data": [{"id": CUSTOMER}], "has_more": false})
            }
            "DELETE" => json!({"id": CUSTOMER, "deleted": true}),
            "POST" if path.contains("/run") => {
                was_run.store(true, Ordering::SeqCst);
                json!({"id": "prj_1", "status": "redacting"})
            }
            "POST" => json!({"id": "prj_1", "status": "validating"}),
            _ if !was_run.load(Ordering::SeqCst) => json!({"id": "prj_1", "status": "ready"}),
            _ if over.load(Ordering::SeqCst) => json!({"id": "prj_1", "status": "succeeded"}),
            _ => json!({"id": "prj_1", "status": "redacting"}),
        };
        answer(200, &body.to_string())
    }));
    Vendor {
        peer,
        is_over,
        runtime,
    }
}

fn status_of(deployment: &Deployment, id: Uuid) -> Value {
    let (_, text) = deployment.get(&format!("/v1/requests/{id}")).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

fn wait_for_state(deployment: &Deployment, id: Uuid, state: &str) -> Value {
    wait_for(&format!("the task is {state}"), LIMIT, || {
        let status = status_of(deployment, id);
        (status["task_list"][0]["state"] == state).then_some(status)
    })
}

fn submit(deployment: &Deployment) -> Uuid {
    let id = Uuid::now_v7();
    let command = json!({ "command_id": id, "type": "erase", "reason": "account_closed",
        "subject": { "identities": [{ "type": "email", "value": "canary@example.org" }] } });
    let publisher = Publisher::new();
    publisher.publish(
        &deployment.topic("commands"),
        None,
        command.to_string().as_bytes(),
    );
    publisher.flush();
    id
}

#[test]
fn a_vendors_job_is_done_when_it_has_succeeded_on_postgres() {
    a_job_is_done(StoreKind::Postgres);
}

#[test]
fn a_vendors_job_is_done_when_it_has_succeeded_on_sqlite() {
    a_job_is_done(StoreKind::Sqlite);
}

fn a_job_is_done(store: StoreKind) {
    let vendor = stripe();
    let registry = format!(
        "[[processor]]\nid = \"payments\"\nkind = \"payments\"\nactions = [\"erase\"]\nidentities = [\"email\"]\n\
         transport = {{ type = \"vendor\", connector = \"stripe\", api_key = \"env:STRIPE_KEY\", url = \"http://{}\", poll = \"1s\" }}\n",
        vendor.peer.address
    );
    // The command line checks that the secret is there.
    let deployment = Deployment::new(store, &registry.replace("env:STRIPE_KEY", "file:stripe.key"));
    deployment.write("stripe.key", "sk_canary_secret");
    let worker = deployment.serve();
    let id = submit(&deployment);
    let status = wait_for_state(&deployment, id, "accepted");
    assert_eq!(
        status["outcomes"]["erased"], 0,
        "a job that was taken is no erasure: {status}"
    );
    assert_eq!(deployment.number("select count(*) from note"), 1);
    wait_for("the job was run", LIMIT, || {
        let calls = vendor.peer.calls();
        calls.iter().any(|call| call.line.contains("/run")).then_some(())
    });
    // What it remembers outlives the worker.
    drop(worker);
    let worker = deployment.serve();
    vendor.is_over.store(true, Ordering::SeqCst);
    let status = wait_for_state(&deployment, id, "done");
    assert_eq!(status["status"], "completed", "{status}");
    assert_eq!(status["outcomes"]["erased"], 1, "{status}");
    assert_eq!(status["task_list"][0]["evidence"]["method"], "delete", "{status}");
    let calls = vendor.peer.calls();
    let jobs = calls
        .iter()
        .filter(|call| call.line.starts_with("POST /v1/privacy/redaction_jobs HTTP"))
        .count();
    assert_eq!(jobs, 1, "the job was submitted once");
    assert_eq!(
        calls[0].headers["authorization"],
        "Basic c2tfY2FuYXJ5X3NlY3JldDo="
    );
    worker.stop();
    let log = std::fs::read_to_string(deployment.path("serve.log")).unwrap();
    for secret in ["canary@example.org", CUSTOMER, "sk_canary_secret"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
    if matches!(store, StoreKind::Sqlite) {
        let bytes = std::fs::read(deployment.path("lacuna.db")).unwrap();
        let held = |what: &str| bytes.windows(what.len()).any(|window| window == what.as_bytes());
        assert!(!held(CUSTOMER), "the vendor's id lies open in the store");
    }
    drop(vendor.runtime);
}

#[test]
fn a_vendor_that_does_not_let_us_in_fails_nobody() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let peer = runtime.block_on(Peer::start(|_| answer(403, "{}")));
    let registry = format!(
        "[[processor]]\nid = \"mail\"\nkind = \"messaging\"\nactions = [\"erase\"]\nidentities = [\"email\"]\n\
         transport = {{ type = \"vendor\", connector = \"sendgrid\", api_key = \"file:key\", url = \"http://{}\" }}\n",
        peer.address
    );
    let deployment = Deployment::new(StoreKind::Sqlite, &registry);
    deployment.write("key", "SG.secret");
    let _worker = deployment.serve();
    let id = submit(&deployment);
    wait_for("the lane has stopped", LIMIT, || {
        let (_, text) = deployment.get("/v1/processors/mail")?;
        text.contains("circuit_open").then_some(())
    });
    let status = status_of(&deployment, id);
    assert_eq!(status["tasks"]["abandoned"], 0, "{status}");
    let out = Command::new(env!("CARGO_BIN_EXE_lacuna"))
        .args(["connectors", "test", "mail", "--dry-run"])
        .current_dir(deployment.folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(text.contains("POST http://") && text.contains("EMAIL"), "{text}");
    assert!(!text.contains("SG.secret"), "{text}");
}
