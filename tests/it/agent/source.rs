//! Tasks over HTTP and over Kafka, with a real worker: answered once, and again after a crash.

use std::{
    process::{Child, Stdio},
    sync::Arc,
    time::Duration,
};

use lacuna::{
    agent::{Answer, sources},
    clock::{Clock, Stopwatch},
    config::{AgentSource, HttpSource},
    domain::ids::ProcessorId,
    telemetry::agent_metrics::AgentMetrics,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::{Deployment, StoreKind, free_port, get, metric, service, wait_for};

const REGISTRY: &str = r#"
[[processor]]
id = "shop-db"
kind = "hosting"
transport = { type = "agent" }
actions = ["erase"]
identities = ["customer_id"]
retry = { initial = "1s", jitter = 0.0 }
"#;

const TABLES: &str = r#"
[[sql.table]]
name = "orders"
match = { customer_id = "customer_id" }
action = "delete"
"#;

struct Agent(Child);

impl Agent {
    fn start(deployment: &Deployment) -> Self {
        let log = std::fs::File::create(deployment.path("agent.log")).unwrap();
        let child = deployment
            .command(&["agent", "--config", "agent.toml", "--log-format", "json"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        Self(child.unwrap())
    }

    fn signal(&self, name: &str) {
        let id = self.0.id().to_string();
        let sent = std::process::Command::new("kill")
            .args([format!("-{name}"), id])
            .status();
        assert!(sent.unwrap().success());
    }

    fn wait(mut self) -> i32 {
        wait_for("the agent ends", Duration::from_secs(30), || {
            self.0.try_wait().unwrap()
        })
        .code()
        .unwrap_or(-1)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.0.kill().unwrap_or_default();
        self.0.wait().unwrap();
    }
}

/// A worker, and a database of a shop with so many people.
fn shop(registry: &str, people: u32) -> Deployment {
    let deployment = Deployment::new(StoreKind::Sqlite, registry);
    let rows: Vec<String> = (1..=people).map(|n| format!("({n}, 'c{n}')")).collect();
    let script = format!(
        "create table orders (id integer primary key, customer_id text); create index orders_customer on orders (customer_id); \
         insert into orders values {};",
        rows.join(", ")
    );
    sqlite(&deployment, &script);
    deployment
}

fn sqlite(deployment: &Deployment, script: &str) {
    let url = format!("sqlite:{}?mode=rwc", deployment.path("shop.db").display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(async {
        use sqlx::Connection as _;
        let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
        let script = sqlx::AssertSqlSafe(script.to_owned());
        sqlx::raw_sql(script).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
}

fn orders(deployment: &Deployment) -> i64 {
    let url = format!("sqlite:{}", deployment.path("shop.db").display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(async {
        use sqlx::Connection as _;
        let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
        sqlx::query_scalar("select count(*) from orders")
            .fetch_one(&mut connection)
            .await
            .unwrap()
    })
}

fn over_http(deployment: &Deployment, rest: &str) {
    let text = format!(
        "processor = \"shop-db\"\n[source]\nhttp = {{ url = \"http://127.0.0.1:{}\" }}\n{rest}",
        deployment.http
    );
    deployment.write("agent.toml", &text);
}

fn submit(deployment: &Deployment, customers: std::ops::RangeInclusive<u32>) {
    let commands: Vec<String> = customers
        .map(|n| {
            json!({
                "command_id": uuid::Uuid::now_v7(), "type": "erase", "reason": "account_closed",
                "subject": { "identities": [{ "type": "customer_id", "value": format!("c{n}") }] },
            })
            .to_string()
        })
        .collect();
    deployment.write("commands.jsonl", &commands.join("\n"));
    deployment.lacuna_ok(&["submit", "commands.jsonl"]);
}

fn completed(deployment: &Deployment, count: usize) -> Vec<Value> {
    wait_for("the requests are completed", Duration::from_secs(90), || {
        let (_, text) = deployment.get("/v1/requests?status=completed&limit=500")?;
        let page: Value = serde_json::from_str(&text).ok()?;
        let items = page["items"].as_array()?.clone();
        (items.len() == count).then_some(items)
    })
}

fn sql() -> String {
    format!("[sql]\nurl = \"sqlite:shop.db\"\n{TABLES}")
}

#[test]
fn tasks_over_http_are_erased_and_completed() {
    let deployment = shop(REGISTRY, 60);
    over_http(&deployment, &sql());
    assert!(
        deployment
            .lacuna_ok(&["agent", "--config", "agent.toml", "--check"])
            .contains("can start")
    );
    let _worker = deployment.serve();
    let agent = Agent::start(&deployment);
    submit(&deployment, 1..=50);
    let requests = completed(&deployment, 50);
    assert_eq!(requests[0]["outcomes"]["erased"], 1);
    assert_eq!(orders(&deployment), 10);
    agent.signal("TERM");
    assert_eq!(agent.wait(), 0);
    let log = std::fs::read_to_string(deployment.path("agent.log")).unwrap();
    assert!(
        !log.contains("\"c17\"") && log.contains("tasks are answered"),
        "{log}"
    );
}

#[test]
fn agent_shows_its_own_metrics() {
    let deployment = shop(REGISTRY, 5);
    let port = free_port();
    let empty =
        "[[sql.table]]\nname = \"visits\"\nmatch = { customer_id = \"customer_id\" }\naction = \"delete\"\n";
    sqlite(
        &deployment,
        "create table visits (id integer primary key, customer_id text)",
    );
    let metrics = format!("[metrics]\nlisten = \"127.0.0.1:{port}\"\n");
    over_http(&deployment, &format!("{metrics}{}{empty}", sql()));
    let _worker = deployment.serve();
    let _agent = Agent::start(&deployment);
    submit(&deployment, 1..=3);
    completed(&deployment, 3);
    let shows = |series: &str, value: f64| {
        wait_for(series, Duration::from_secs(30), || {
            (metric(port, series)? >= value).then_some(())
        });
    };
    shows(
        "lacuna_agent_tasks_total{outcome=\"erased\",processor=\"shop-db\"}",
        3.0,
    );
    shows(
        "lacuna_agent_rows_total{processor=\"shop-db\",table=\"orders\"}",
        3.0,
    );
    shows(
        "lacuna_agent_zero_effect_tasks{processor=\"shop-db\",table=\"visits\"}",
        3.0,
    );
    shows("lacuna_agent_batch_seconds_count{processor=\"shop-db\"}", 1.0);
    shows(
        "lacuna_agent_last_claim_timestamp_seconds{processor=\"shop-db\"}",
        1.0,
    );
    assert_eq!(
        metric(
            port,
            "lacuna_agent_zero_effect_tasks{processor=\"shop-db\",table=\"orders\"}"
        ),
        Some(0.0)
    );
    let (_, text) = get(port, "/metrics").unwrap();
    assert!(!text.contains("c1"), "{text}");
    drop(_worker);
    shows(
        "lacuna_agent_retries_total{of=\"claim\",processor=\"shop-db\"}",
        1.0,
    );
}

#[tokio::test]
async fn task_that_cannot_be_read_keeps_no_others() {
    async fn claim() -> String {
        let good = super::message("erase", &[("customer_id", "c1")]);
        format!("{{\"items\":[{{\"task_id\":\"from the future\"}},{good}]}}")
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = axum::Router::new().route("/v1/tasks/claim", axum::routing::post(claim));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let source = AgentSource::Http(HttpSource {
        url,
        token: None,
        ca: None,
    });
    let processor = ProcessorId::new("shop-db").unwrap();
    let metrics = Arc::new(AgentMetrics::new("shop-db").unwrap());
    let mut source = sources::open(&source, &processor, &Clock::System, &metrics).unwrap();
    let tasks = source.take(10, &CancellationToken::new()).await.unwrap();
    assert_eq!(tasks.len(), 1);
}

#[tokio::test]
async fn stopping_agent_does_not_wait_for_a_worker_that_is_away() {
    let source = AgentSource::Http(HttpSource {
        url: format!("http://127.0.0.1:{}", free_port()),
        token: None,
        ca: None,
    });
    let processor = ProcessorId::new("shop-db").unwrap();
    let metrics = Arc::new(AgentMetrics::new("shop-db").unwrap());
    let mut source = sources::open(&source, &processor, &Clock::System, &metrics).unwrap();
    let stop = CancellationToken::new();
    let task = super::task("erase", &[("customer_id", "c1")]);
    let answers = [(&task, Answer::failed("it is away"))];
    let began = Stopwatch::start();
    let (answered, ()) = tokio::join!(source.answer(&answers, &stop), async {
        while metrics
            .text()
            .unwrap()
            .lines()
            .all(|line| !line.starts_with("lacuna_agent_retries_total"))
        {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    });
    answered.unwrap();
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[test]
fn killed_agent_loses_nothing() {
    let deployment = shop(REGISTRY, 40);
    // Between the claim and the answer.
    deployment.write("erase.sh", "touch began\nsleep 60\n");
    over_http(&deployment, "[command]\nrun = [\"sh\", \"erase.sh\"]\n");
    let _worker = deployment.serve();
    let agent = Agent::start(&deployment);
    submit(&deployment, 1..=1);
    wait_for("its program has begun", Duration::from_secs(60), || {
        deployment.path("began").exists().then_some(())
    });
    agent.signal("KILL");
    assert_eq!(agent.wait(), -1);
    over_http(&deployment, &sql());
    let _next = Agent::start(&deployment);
    let requests = completed(&deployment, 1);
    assert_eq!(requests[0]["outcomes"]["erased"], 1);
    assert_eq!(orders(&deployment), 39);
}

#[test]
fn work_that_outlasts_its_lease_is_announced_and_done_once() {
    let deployment = shop(REGISTRY, 1);
    // The lease is nine seconds.
    deployment.write(
        "erase.sh",
        r#"message=$(cat); echo >> runs; sleep 14
field() { printf '%s' "$message" | sed -nE "s/.*\"$1\":\"([^\"]*)\".*/\1/p"; }
printf '{"request_id":"%s","task_id":"%s","generation":1,"attempt":1,"processor":"shop-db","token":"","outcome":"erased"}' "$(field request_id)" "$(field task_id)"
"#,
    );
    over_http(
        &deployment,
        "[command]\nrun = [\"sh\", \"erase.sh\"]\ntimeout = \"1m\"\n",
    );
    let _worker = deployment.serve();
    let _agent = Agent::start(&deployment);
    submit(&deployment, 1..=1);
    completed(&deployment, 1);
    let runs = std::fs::read_to_string(deployment.path("runs")).unwrap();
    assert_eq!(runs.lines().count(), 1, "it was not handed out twice");
}

#[test]
fn tasks_over_kafka_are_erased_and_completed() {
    let registry = REGISTRY.replace("\"agent\"", "\"kafka\"");
    let deployment = shop(&registry, 60);
    let source = format!(
        "processor = \"shop-db\"\n[source]\nkafka = {{ bootstrap_servers = \"{}\", group_id = \"{}\", topic = \"{}\" }}\n{}",
        service("LACUNA_TEST_KAFKA"),
        deployment.topic("agent"),
        deployment.topic("tasks.shop-db"),
        sql()
    );
    deployment.write("agent.toml", &source);
    let _worker = deployment.serve();
    let agent = Agent::start(&deployment);
    submit(&deployment, 1..=25);
    completed(&deployment, 25);
    agent.signal("KILL");
    drop(agent);
    let _next = Agent::start(&deployment);
    submit(&deployment, 26..=50);
    completed(&deployment, 50);
    assert_eq!(orders(&deployment), 10);
}

#[test]
fn wrong_processor_or_place_is_said_and_ends_it() {
    let deployment = shop(&REGISTRY.replace("\"agent\"", "\"kafka\""), 1);
    over_http(&deployment, &sql());
    let _worker = deployment.serve();
    let refused = deployment.lacuna(&["agent", "--config", "agent.toml"]);
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("its transport is kafka, not agent"), "{said}");
    over_http(&deployment, &sql().replace("orders", "order"));
    let refused = deployment.lacuna(&["agent", "--config", "agent.toml", "--check"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stdout).contains("the table order does not exist"));
    over_http(
        &deployment,
        &sql().replace("sqlite:shop.db", "postgres://127.0.0.1:1/nowhere"),
    );
    let away = deployment.lacuna(&["agent", "--config", "agent.toml", "--check"]);
    assert_eq!(away.status.code(), Some(3));
}

#[test]
fn single_run_ends_where_the_worker_is_away() {
    let deployment = shop(REGISTRY, 1);
    over_http(&deployment, &sql());
    let away = deployment.lacuna(&["agent", "--config", "agent.toml", "--once"]);
    assert_eq!(away.status.code(), Some(3));
    let said = String::from_utf8_lossy(&away.stderr).into_owned();
    assert!(said.contains("the worker cannot be reached"), "{said}");
}
