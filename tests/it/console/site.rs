//! A deployment with something to see: requests in every state, a lane that fails, a task by hand, a hold, a dead letter.

use std::{collections::BTreeMap, time::Duration};

use reqwest::{Client, Method};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    end_to_end::kafka::Publisher,
    support::{Deployment, StoreKind, Worker, get, wait_for},
    transport::peer::{Call, Manner, Peer, json as answer_json},
};

const PATIENCE: Duration = Duration::from_secs(90);

/// What somebody of this name signs in with.
pub fn token_of(name: &str) -> String {
    format!("{name}-0123456789abcdef")
}

/// Who signs in.
pub const SUBMITTER: &str = "shop";
pub const COMPLIANCE: &str = "dora";
pub const SECOND: &str = "carl";
pub const OPERATOR: &str = "olga";
pub const AUDITOR: &str = "rita";

const AUTH: &str = r#"
[auth]
tokens = [
  { name = "shop", role = "submitter", token = "shop-0123456789abcdef" },
  { name = "dora", role = "compliance", token = "dora-0123456789abcdef", rights = ["identifiers"] },
  { name = "carl", role = "compliance", token = "carl-0123456789abcdef" },
  { name = "olga", role = "operator", token = "olga-0123456789abcdef", rights = ["identifiers"] },
  { name = "rita", role = "auditor", token = "rita-0123456789abcdef" },
]
[policy]
require_identity_verification = true
approval = { above_per_hour = 8 }
"#;

/// Running, with a request of each kind.
pub struct Site {
    deployment: Option<Deployment>,
    port: u16,
    /// The request of each person.
    pub requests: BTreeMap<&'static str, Uuid>,
    client: Client,
    _peer: Peer,
    worker: Option<Worker>,
}

impl Drop for Site {
    fn drop(&mut self) {
        let (worker, deployment) = (self.worker.take(), self.deployment.take());
        // What a deployment does at its end blocks, and this may be within a runtime.
        let ended = std::thread::spawn(move || {
            if let Some(worker) = worker {
                worker.kill();
            }
            drop(deployment);
        });
        // A test that has failed already says so by itself.
        ended.join().unwrap_or_default();
    }
}

fn registry(url: &str) -> String {
    let webhook = |id: &str, kind: &str, rest: &str| {
        format!(
            "[[processor]]\nid = \"{id}\"\nname = \"{id} system\"\nkind = \"{kind}\"\nactions = [\"erase\"]\n\
             identities = [\"email\"]\ntransport = {{ type = \"webhook\", url = \"{url}/{id}\", secret = \
             \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\", timeout = \"5s\" }}\nretry = {{ initial = \"1s\", multiplier = 1.0, \
             jitter = 0.0, attempts = 2 }}\n{rest}\n"
        )
    };
    let parts = [
        webhook("crm", "crm", ""),
        webhook("hosting", "hosting", ""),
        webhook("ads", "advertising", "breaker = { failure_ratio = 1.0, min_requests = 1000 }"),
        webhook(
            "billing",
            "payments",
            "categories = [\"invoices\", \"cards\"]\n[[processor.retention]]\ncategories = [\"invoices\"]\nbasis = \"tax_law\"\nkeep = \
             \"5y\"\nthen = \"erase\"\nfrom = \"account_closed_at\"",
        ),
        "[[processor]]\nid = \"support\"\nkind = \"support\"\nactions = [\"erase\"]\nidentities = [\"email\"]\ntransport = { type = \
         \"manual\", assignee = \"olga\", instructions = \"Delete the tickets in the help desk.\", due = \"14d\" }\n"
            .to_owned(),
        "[[processor]]\nid = \"nightly-backup\"\nkind = \"backup\"\nactions = [\"erase\"]\nidentities = [\"email\"]\ntransport = { type = \
         \"kafka\" }\nbackup = { sources = [\"hosting\"], set = \"nightly\", keep = \"35d\", confirm_by = \"event\" }\n"
            .to_owned(),
    ];
    parts.concat()
}

/// What each system answers: advertising cannot do it.
fn answer(call: &Call) -> Manner {
    if call.line.contains("/ads") {
        return answer_json(500, "{}");
    }
    answer_json(
        200,
        r#"{"outcome":"erased","evidence":{"method":"delete","records":12,"reference":"job-77"}}"#,
    )
}

impl Site {
    /// Starts it and waits until each request stands where it should.
    pub async fn start() -> Self {
        let peer = Peer::start(answer).await;
        let url = peer.url();
        // The deployment's commands block.
        let deployment = tokio::task::spawn_blocking(move || {
            let deployment = Deployment::new(StoreKind::Sqlite, &registry(&url));
            let config = std::fs::read_to_string(deployment.path("lacuna.toml")).unwrap();
            deployment.write("lacuna.toml", &format!("{config}{AUTH}"));
            let worker = deployment.serve();
            (deployment, worker)
        });
        let (deployment, worker) = deployment.await.unwrap();
        let mut site = Self {
            port: deployment.http,
            deployment: Some(deployment),
            requests: BTreeMap::new(),
            client: Client::new(),
            _peer: peer,
            worker: Some(worker),
        };
        site.seed().await;
        site
    }

    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The page of somebody's request.
    pub fn page_of(&self, person: &str) -> String {
        format!("/requests/{}", self.requests[person])
    }

    /// Calls the API.
    pub async fn call(&self, method: Method, name: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let url = format!("{}{path}", self.base());
        let mut call = self.client.request(method, url).bearer_auth(token_of(name));
        if let Some(body) = body {
            call = call.json(body);
        }
        let answer = call.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// The request of somebody, as the API has it.
    pub async fn request(&self, person: &str) -> Value {
        let path = format!("/v1/requests/{}", self.requests[person]);
        self.call(Method::GET, AUDITOR, &path, None).await.1
    }

    /// Waits until it is so.
    pub async fn until(&self, person: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let start = lacuna::clock::Stopwatch::start();
        loop {
            let request = self.request(person).await;
            if is_so(&request) {
                return request;
            }
            assert!(start.elapsed() < PATIENCE, "{person}: not {what}: {request}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn submit(&mut self, person: &'static str, systems: &[&str], more: Value) {
        let id = Uuid::now_v7();
        let mut command = json!({
            "command_id": id, "type": "erase", "reason": "account_closed", "identity_verified": true,
            "scope": { "processors": systems },
            "subject": { "identities": [{ "type": "email", "value": format!("{person}@example.org") }] },
        });
        for (name, value) in more.as_object().unwrap() {
            command[name] = value.clone();
        }
        let (status, answer) = self
            .call(Method::POST, SUBMITTER, "/v1/requests", Some(&command))
            .await;
        assert_eq!(status, 202, "{answer}");
        self.requests.insert(person, id);
    }

    async fn seed(&mut self) {
        let none = || json!({});
        let ticket = json!({ "metadata": { "ticket": "T-1041", "channel": "chat" } });
        self.submit("ann", &["crm", "hosting", "nightly-backup"], ticket)
            .await;
        self.submit("bob", &["crm"], none()).await;
        self.submit("fay", &["crm", "ads"], none()).await;
        self.submit("hal", &["crm", "support"], none()).await;
        let closed = json!({ "anchors": { "account_closed_at": "2026-01-20T00:00:00Z" } });
        self.submit("kim", &["billing"], closed).await;
        self.submit("vic", &["crm"], json!({ "identity_verified": false }))
            .await;
        self.submit(
            "ron",
            &["crm", "hosting"],
            json!({ "not_before": "2030-01-01T00:00:00Z" }),
        )
        .await;
        self.submit(
            "sam",
            &["crm", "hosting"],
            json!({ "not_before": "2030-01-01T00:00:00Z" }),
        )
        .await;
        // Beyond what the policy allows in an hour, a second person has to look.
        self.submit("amy", &["crm"], none()).await;
        self.submit("ned", &["crm"], none()).await;
        let hold = json!({ "basis": "dispute", "request_id": self.requests["sam"], "note": "court case 7" });
        let (status, answer) = self
            .call(Method::POST, COMPLIANCE, "/v1/holds", Some(&hold))
            .await;
        assert_eq!(status, 201, "{answer}");
        self.dead_letter().await;
        self.until("ann", "deferred", |request| request["status"] == "deferred")
            .await;
        self.until("bob", "completed", |request| request["status"] == "completed")
            .await;
        self.until("fay", "given up", |request| request["tasks"]["abandoned"] == 1)
            .await;
        self.until("kim", "deferred", |request| request["status"] == "deferred")
            .await;
        self.until("amy", "waiting", |request| {
            request["status"] == "awaiting_approval"
        })
        .await;
    }

    async fn dead_letter(&self) {
        let deployment = self.deployment.as_ref().expect("it is there until the end");
        let (topic, port) = (deployment.topic("commands"), self.port);
        let waiting = tokio::task::spawn_blocking(move || {
            let publisher = Publisher::new();
            let command = br#"{"type":"erase","command_id":"7","subject":{"identities":[]}}"#;
            publisher.publish(&topic, None, command);
            publisher.flush();
            // It is counted when it lies there.
            wait_for("the dead letter is there", PATIENCE, || {
                let (_, metrics) = get(port, "/metrics")?;
                metrics
                    .contains("lacuna_dead_letters_total{reason=\"schema\"} 1")
                    .then_some(())
            });
        });
        waiting.await.unwrap();
    }

    /// The id of the first item of a list.
    pub async fn first(&self, path: &str, name: &str) -> String {
        let (_, list) = self.call(Method::GET, OPERATOR, path, None).await;
        let id = list["items"][0][name].as_str();
        id.unwrap_or_else(|| panic!("{path} is empty: {list}")).to_owned()
    }

    /// The id of the first item of a list, once that is another one.
    pub async fn next(&self, path: &str, name: &str, before: &str) -> String {
        let start = lacuna::clock::Stopwatch::start();
        loop {
            let (_, list) = self.call(Method::GET, OPERATOR, path, None).await;
            if let Some(id) = list["items"][0][name].as_str()
                && id != before
            {
                return id.to_owned();
            }
            assert!(start.elapsed() < PATIENCE, "{path}: nothing new came: {list}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
