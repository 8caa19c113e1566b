//! A listener over an engine of its own, and a client that checks of every answer what holds for all of them.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use lacuna::{
    app,
    clock::{Clock, ManualClock},
    config::{Config, registry_file},
    domain::time::At,
    engine::{
        Engine,
        dead_letters::redriving::{NotPublished, Original, Republish},
        effects::Effects,
    },
    http,
    store::{Exclusive, Store, StoreOptions, sqlite::SqliteStore},
    telemetry::{freshness::GaugeGroup, metrics::Metrics, readiness::Readiness},
    transport::opendsr::Signer,
};
use reqwest::{Client, Method, StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(20);

/// The bearers: a name, which is also the token, and the role.
pub const BEARERS: [(&str, &str); 10] = [
    ("shop", "submitter"),
    ("app", "submitter"),
    ("crm", "processor"),
    ("ads", "processor"),
    ("dpo", "compliance"),
    ("ops", "operator"),
    ("audit", "auditor"),
    ("stats", "processor"),
    ("nightly", "processor"),
    // The same person as `shop`, as people read it.
    ("SHOP", "compliance"),
];

/// The same, limited to the tenant acme.
const ACME_BEARERS: [(&str, &str); 3] = [
    ("acme-shop", "submitter"),
    ("acme-dpo", "compliance"),
    ("acme-audit", "auditor"),
];

const REGISTRY: &str = r#"
[[processor]]
id = "crm"
name = "CRM vendor"
kind = "crm"
transport = { type = "kafka" }
actions = ["erase", "anonymize"]
identities = ["email", "customer_id"]
retry = { initial = "5s", jitter = 0.0, attempts = 2 }
[[processor]]
id = "stats"
kind = "analytics"
transport = { type = "kafka", topic = "stats-tasks" }
actions = ["erase"]
identities = ["customer_id"]
missing_identity = "exempt"
[[processor]]
id = "ads"
kind = "advertising"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
regions = ["us"]
"#;

/// A listener over an engine of its own.
pub struct Api {
    pub base: String,
    pub address: std::net::SocketAddr,
    pub client: Client,
    pub engine: Arc<Engine>,
    pub store: SqliteStore,
    pub clock: ManualClock,
    pub readiness: Readiness,
    pub shutdown: CancellationToken,
    pub finished: Option<JoinHandle<std::io::Result<()>>>,
    /// Everything that was answered, for the test that looks for subject data.
    pub answers: Mutex<String>,
    /// What was redriven.
    pub redriven: Arc<Topics>,
    emitted: Arc<Mutex<Vec<Value>>>,
    _folder: tempfile::TempDir,
}

/// A message that was redriven: its topic, its headers, its bytes.
pub type Taken = (String, Vec<(String, String)>, String);

/// The topics of a broker that is not there: what is redriven to them can be seen.
#[derive(Debug, Default)]
pub struct Topics {
    /// What was redriven to them.
    pub taken: Mutex<Vec<Taken>>,
    /// Why nothing is taken just now, and whether that is because there is no such topic.
    pub refusing: Mutex<Option<(&'static str, bool)>>,
}

#[async_trait::async_trait]
impl Republish for Topics {
    async fn publish_again(&self, message: &Original) -> Result<String, NotPublished> {
        if let Some((why, missing_topic)) = *self.refusing.lock().unwrap() {
            let why = Box::new(std::io::Error::other(why));
            return Err(if missing_topic {
                NotPublished::MissingTopic(why)
            } else {
                NotPublished::Unconfirmed(why)
            });
        }
        let mut taken = self.taken.lock().unwrap();
        let text = String::from_utf8(message.payload.as_ref().unwrap().to_vec()).unwrap();
        let topic = message.origin.topic.to_string();
        taken.push((topic.clone(), message.headers.clone(), text));
        Ok(format!("{topic}/0/{}", taken.len() + 99))
    }
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
    pub json: Value,
}

impl Reply {
    /// The answer, which has to be a success of this status.
    pub fn ok(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self.json
    }

    /// Checks that it is a problem of this status and code.
    pub fn is(&self, status: u16, code: &str) {
        assert_eq!(
            (self.status.as_u16(), self.json["code"].as_str()),
            (status, Some(code)),
            "{}",
            self.text
        );
    }

    /// The fields at fault.
    pub fn fields(&self) -> Vec<&str> {
        let errors = self.json["errors"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        errors
            .iter()
            .map(|error| error["field"].as_str().unwrap())
            .collect()
    }
}

/// Two live systems, one of which has to keep invoices, and a backup set of both.
const KEEPERS: &str = r#"
[[processor]]
id = "crm"
kind = "crm"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
[[processor]]
id = "stats"
kind = "payments"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["customer_id"]
categories = ["messages", "invoices"]
after = ["crm"]
verify = { after = "7d" }
[[processor.retention]]
categories = ["invoices"]
basis = "tax_law"
keep = "5y"
then = "erase"
from = "account_closed_at"
[[processor]]
id = "nightly"
kind = "backup"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["customer_id"]
backup = { sources = ["crm"], set = "main", keep = "35d", confirm_by = "event" }
"#;

/// With `[auth]`, and a clock that stands still at noon.
pub async fn api() -> Api {
    start("", true).await
}

/// The same, with a registry that keeps: backups, retention, second looks.
pub async fn keepers() -> Api {
    start_with("", true, KEEPERS).await
}

/// The same, with a registry of one's own.
pub async fn registered(registry: &str) -> Api {
    start_with("", true, registry).await
}

/// `http`: more of the section `[http]`.
pub async fn start(http: &str, auth: bool) -> Api {
    start_with(http, auth, REGISTRY).await
}

/// One that signs its answers of OpenDSR.
pub async fn signing(signer: Arc<Signer>) -> Api {
    start_signing("", true, REGISTRY, Some(signer)).await
}

async fn start_with(http: &str, auth: bool, registry: &str) -> Api {
    start_signing(http, auth, registry, None).await
}

async fn start_signing(http: &str, auth: bool, registry: &str, signer: Option<Arc<Signer>>) -> Api {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), http, auth);
    let clock = ManualClock::starting_at(At::parse("2026-11-21T12:00:00Z").unwrap());
    let options = StoreOptions::new(Clock::Manual(clock.clone()), Exclusive::No);
    let store = SqliteStore::open(&folder.path().join("lacuna.db"), &options)
        .await
        .unwrap();
    store.migrate().await.unwrap();
    let metrics = Arc::new(Metrics::new().unwrap());
    let (shared, cluster) = (Arc::new(store.clone()), Arc::from("test"));
    let engine = app::open_engine(&config, Clock::Manual(clock.clone()), metrics, shared, cluster)
        .await
        .unwrap();
    let engine = Arc::new(engine);
    engine
        .apply_registry(&registry_file::read_text("processors.toml", registry).unwrap())
        .await
        .unwrap();
    let (sender, receiver) = mpsc::channel(64);
    let emitted = Arc::new(Mutex::new(Vec::new()));
    tokio::spawn(catch(receiver, Arc::clone(&emitted)));
    let (readiness, shutdown) = (Readiness::default(), CancellationToken::new());
    let redriven = Arc::<Topics>::default();
    let state = http::State::new(
        Arc::clone(&engine),
        sender,
        readiness.clone(),
        config.auth.clone(),
        &config.kafka.topics.tasks_prefix,
    )
    .signing(signer.clone())
    .republishing(Arc::clone(&redriven) as _);
    if signer.is_some() {
        engine.tell_controllers();
    }
    let serving = http::serve(&config.http, state, shutdown.clone()).await.unwrap();
    Api {
        base: format!("http://{}", serving.address),
        address: serving.address,
        client: Client::new(),
        engine,
        store,
        clock,
        readiness,
        shutdown,
        finished: Some(tokio::spawn(serving.finished)),
        answers: Mutex::default(),
        redriven,
        emitted,
        _folder: folder,
    }
}

fn config(folder: &Path, http: &str, auth: bool) -> Config {
    let token = |(name, role): (&str, &str)| {
        let processor = if role == "processor" {
            format!("processor = \"{name}\", ")
        } else {
            String::new()
        };
        let token = digest_of(name);
        format!("{{ name = \"{name}\", role = \"{role}\", {processor}token = \"{token}\" }}")
    };
    let limited = |(name, role): (&str, &str)| {
        let token = digest_of(name);
        format!("{{ name = \"{name}\", role = \"{role}\", tenant = \"acme\", token = \"{token}\" }}")
    };
    let mut tokens: Vec<String> = BEARERS.into_iter().map(token).collect();
    tokens.extend(ACME_BEARERS.into_iter().map(limited));
    let auth = if auth {
        format!("[auth]\ntokens = [{}]\n", tokens.join(", "))
    } else {
        String::new()
    };
    // Most tests ask for one and the same person, each time for something else.
    let duplicates = "[policy]\nduplicates = { merge_open = false, repeat_limit = { count = 1000 } }\n";
    let http = if http.contains("[policy]\n") {
        http.replace("[policy]\n", duplicates)
    } else {
        format!("{http}\n{duplicates}")
    };
    let text = format!("region = \"eu\"\n[http]\nlisten = \"127.0.0.1:0\"\n{http}\n{auth}\n");
    Config::read_text("lacuna.toml", folder, &text, &|_| None).unwrap_or_else(|problems| panic!("{problems}"))
}

/// Names are short, and so are only tokens that nobody has written down.
pub fn digest_of(token: &str) -> String {
    use sha2::Digest as _;
    format!("sha256:{}", hex::encode(sha2::Sha256::digest(token.as_bytes())))
}

/// What processors are sent.
fn tasks_of(emission: &Effects) -> Vec<Value> {
    let message = |task: &lacuna::engine::effects::TaskDispatch| {
        serde_json::to_value(task.message("lacuna.acks", Some("http://127.0.0.1/v1/acks"))).unwrap()
    };
    emission.tasks().map(message).collect()
}

async fn catch(mut receiver: mpsc::Receiver<Effects>, emitted: Arc<Mutex<Vec<Value>>>) {
    while let Some(emission) = receiver.recv().await {
        assert!(emission.outboxed, "what no Kafka input caused has an outbox row");
        emitted.lock().unwrap().extend(tasks_of(&emission));
    }
}

impl Api {
    /// Makes a call. Of every answer that is no success it checks that it is a problem of RFC 9457.
    pub async fn call(&self, method: Method, token: Option<&str>, path: &str, body: Option<&str>) -> Reply {
        if path == "/metrics" {
            self.read_gauges().await;
        }
        let mut call = self
            .client
            .request(method, format!("{}{path}", self.base))
            .timeout(LIMIT);
        if let Some(token) = token {
            call = call.bearer_auth(token);
        }
        if let Some(body) = body {
            call = call
                .header("content-type", "application/json")
                .body(body.to_owned());
        }
        self.send(call).await
    }

    /// What a worker does in the background. Where the store is away the gauges stay as they are.
    async fn read_gauges(&self) {
        for group in GaugeGroup::ALL {
            let _as_they_are = self.engine.gauges().read_gauges(group).await;
        }
    }

    /// Sends a call and checks its answer.
    pub async fn send(&self, call: reqwest::RequestBuilder) -> Reply {
        let response = call.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.unwrap();
        self.answers.lock().unwrap().push_str(&text);
        let json: Value = serde_json::from_str(&text).unwrap_or_default();
        if !status.is_success() {
            assert_eq!(
                headers["content-type"], "application/problem+json",
                "{status} {text}"
            );
            assert_eq!(json["status"], status.as_u16(), "{text}");
            for member in ["type", "title", "detail"] {
                assert!(
                    json[member].as_str().is_some_and(|text| !text.is_empty()),
                    "{member}: {text}"
                );
            }
            assert_eq!(
                json["type"],
                format!("urn:lacuna:problem:{}", json["code"].as_str().unwrap())
            );
        }
        Reply {
            status,
            headers,
            text,
            json,
        }
    }

    pub async fn get(&self, token: &str, path: &str) -> Reply {
        self.call(Method::GET, Some(token), path, None).await
    }

    pub async fn post(&self, token: &str, path: &str, body: &Value) -> Reply {
        self.call(Method::POST, Some(token), path, Some(&body.to_string()))
            .await
    }

    /// Submits an erasure and gives its id. What `with` has is added to the command.
    pub async fn submit(&self, with: Value) -> Uuid {
        let command = command(with);
        let status = self.post("shop", "/v1/requests", &command).await.ok(202);
        status["request_id"].as_str().unwrap().parse().unwrap()
    }

    /// The last task message that was sent to this processor for this request.
    pub async fn task_message(&self, request: Uuid, processor: &str) -> Value {
        self.task_message_where(request, processor, |_| true).await
    }

    /// The last one of which something is so.
    pub async fn task_message_where(
        &self,
        request: Uuid,
        processor: &str,
        so: impl Fn(&Value) -> bool,
    ) -> Value {
        let look = || {
            let emitted = self.emitted.lock().unwrap();
            let of_it = |message: &&Value| {
                message["request_id"] == json!(request) && message["processor"] == processor && so(message)
            };
            emitted.iter().rev().find(of_it).cloned()
        };
        // Outputs are handed over after the answer.
        let waiting = async {
            loop {
                match look() {
                    Some(found) => return found,
                    None => tokio::time::sleep(Duration::from_millis(2)).await,
                }
            }
        };
        tokio::time::timeout(LIMIT, waiting)
            .await
            .unwrap_or_else(|_| panic!("no task for {processor}"))
    }

    /// Wakes whatever is due, as the agenda would.
    pub async fn wake(&self) {
        let woken = self.engine.agenda().wake_due(self.clock.now()).await.unwrap();
        self.emitted.lock().unwrap().extend(tasks_of(&woken.emission));
    }

    /// Sweeps until nothing is left to sweep.
    pub async fn sweep(&self) {
        loop {
            let swept = self.engine.fact_sweeps().sweep().await.unwrap();
            self.emitted.lock().unwrap().extend(tasks_of(&swept.emission));
            if !swept.busy {
                return;
            }
        }
    }

    /// Ends it, which has to succeed.
    pub async fn end(mut self) {
        self.shutdown.cancel();
        let finished = self.finished.take().unwrap();
        tokio::time::timeout(LIMIT, finished)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }
}

/// An erasure with ids of its own.
pub fn command(with: Value) -> Value {
    let mut command = json!({
        "command_id": Uuid::now_v7(), "type": "erase", "reason": "account_closed",
        "subject": { "identities": [{ "type": "email", "value": "ann@example.org" },
                                    { "type": "customer_id", "value": "4711" }] },
        "scope": { "processors": ["crm", "stats"] },
    });
    for (name, value) in with.as_object().unwrap() {
        command[name] = value.clone();
    }
    command
}

/// A good answer to a task.
pub fn ack(task: &Value, with: Value) -> Value {
    let mut ack = json!({
        "request_id": task["request_id"], "task_id": task["task_id"], "generation": task["generation"],
        "attempt": task["attempt"], "processor": task["processor"], "token": task["ack"]["token"],
        "outcome": "erased",
    });
    for (name, value) in with.as_object().unwrap() {
        ack[name] = value.clone();
    }
    ack
}
