//! The rules and the dashboards in a real Prometheus, which scrapes a real worker: alerts fire, and no panel is empty where the
//! worker has what it shows.

use std::{process::Command, time::Duration};

use lacuna::{clock::Clock, domain::time::At};
use serde_json::{Value, json};
use uuid::Uuid;

use super::prometheus::{RULES, dashboards, expressions_of, metrics_in, read};
use crate::{
    end_to_end::kafka::Publisher,
    support::{Deployment, Program, StoreKind, free_port, get, service, wait_for},
    transport::peer::{Peer, json as answer},
};

const LIMIT: Duration = Duration::from_secs(90);

/// What fires here, each for a reason of its own.
const FIRING: [&str; 5] = [
    "LacunaBrake",
    "LacunaCircuitOpen",
    "LacunaDeadlineNear",
    "LacunaErasureRefused",
    "LacunaOverdue",
];

/// A Prometheus that scrapes one worker every second.
struct Prometheus {
    port: u16,
    _folder: tempfile::TempDir,
    _program: Program,
}

impl Prometheus {
    fn start(worker: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The shipped rules, but for how long something has to last.
        let rules: Vec<String> = read(RULES)
            .lines()
            .filter(|line| !line.trim_start().starts_with("for: "))
            .map(|line| format!("{line}\n"))
            .collect();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("alerts.yml"), rules.concat()).unwrap();
        let config = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [alerts.yml]\nscrape_configs:\n\
             - job_name: lacuna\n  static_configs: [{{ targets: ['127.0.0.1:{worker}'] }}]\n"
        );
        std::fs::write(path("prometheus.yml"), config).unwrap();
        let port = free_port();
        let mut command = Command::new(service("LACUNA_TEST_PROMETHEUS"));
        command
            .arg(format!("--config.file={}", path("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", path("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--log.level=error");
        let program = Program::start(&mut command);
        wait_for("Prometheus is ready", LIMIT, || {
            get(port, "/-/ready").filter(|(status, _)| *status == 200)
        });
        Self {
            port,
            _folder: folder,
            _program: program,
        }
    }

    fn ask(&self, path: &str) -> Value {
        let (status, text) = get(self.port, path).expect("Prometheus answers");
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// The names of the alerts that fire.
    fn firing(&self) -> Vec<String> {
        let said = self.ask("/api/v1/alerts");
        let alerts = said["data"]["alerts"].as_array().unwrap().iter();
        let firing = alerts.filter(|alert| alert["state"] == "firing");
        firing
            .map(|alert| alert["labels"]["alertname"].as_str().unwrap().to_owned())
            .collect()
    }

    /// How many series an expression has.
    fn evaluate(&self, expression: &str) -> usize {
        let url = reqwest::Url::parse_with_params("http://prometheus/api/v1/query", [("query", expression)]);
        let said = self.ask(&url.unwrap().as_str()["http://prometheus".len()..]);
        assert_eq!(said["status"], "success", "{expression}: {said}");
        said["data"]["result"].as_array().unwrap().len()
    }
}

const REGISTRY: &str = r#"
[[processor]]
id = "good"
kind = "crm"
transport = { type = "webhook", url = "http://PEER/good", secret = "file:secret" }
actions = ["erase"]
identities = ["email"]
[[processor]]
id = "rude"
kind = "analytics"
transport = { type = "webhook", url = "http://PEER/rude", secret = "file:secret" }
actions = ["erase"]
identities = ["email"]
[[processor]]
id = "people"
kind = "support"
transport = { type = "manual", assignee = "team" }
actions = ["erase"]
identities = ["email"]
"#;

/// One that is done, one that is near its deadline, one that is late, and one that was refused. The one who is late and the one who
/// is near wait for a system that does not let us in.
fn commands() -> Vec<String> {
    let now = Clock::System.now();
    let command = |processor: &str, days: i64, n: u32| {
        let asked = At::from_millis(now.millis() - days * 86_400_000);
        json!({ "command_id": Uuid::now_v7(), "type": "erase", "reason": "subject_request", "regime": "days:10",
            "requested_at": asked, "scope": { "processors": [processor] },
            "subject": { "identities": [{ "type": "email", "value": format!("p{n}@example.org") }] } })
        .to_string()
    };
    vec![
        command("good", 0, 1),
        command("rude", 9, 2),
        command("rude", 20, 3),
        command("people", 0, 4),
        r#"{"type":"erase","reason":"subject_request"}"#.to_owned(),
    ]
}

#[test]
fn alerts_fire_and_panels_show_in_a_live_prometheus() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let peer = runtime.block_on(Peer::start(|call| {
        if call.line.contains("/good") {
            answer(
                200,
                r#"{"outcome":"erased","evidence":{"method":"delete","records":1}}"#,
            )
        } else {
            answer(401, "{}")
        }
    }));
    let registry = REGISTRY.replace("PEER", &peer.address.to_string());
    let deployment = Deployment::new(StoreKind::Sqlite, &registry);
    deployment.write("secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let _worker = deployment.serve();
    let prometheus = Prometheus::start(deployment.http);
    assert_eq!(
        prometheus.firing(),
        Vec::<String>::new(),
        "nothing has happened yet"
    );
    let publisher = Publisher::new();
    for command in commands() {
        publisher.publish(&deployment.topic("commands"), None, command.as_bytes());
    }
    publisher.flush();
    let fire = |wanted: &[&str]| {
        wait_for(&format!("{wanted:?} fire"), LIMIT, || {
            let firing = prometheus.firing();
            let fires = |name: &&str| firing.iter().any(|one| one == name);
            wanted.iter().all(fires).then_some(())
        });
    };
    fire(&FIRING[1..]);
    // Nothing would be sent after it.
    deployment.lacuna_ok(&[
        "brake",
        "on",
        "--actor",
        "j.doe",
        "--reason",
        "the wrong list was submitted",
    ]);
    fire(&FIRING);
    let firing = prometheus.firing();
    for quiet in [
        "LacunaNoWorker",
        "LacunaStoreUnreachable",
        "LacunaKafkaUnreachable",
        "LacunaClock",
    ] {
        assert!(!firing.contains(&quiet.to_owned()), "{quiet} fires: {firing:?}");
    }
    every_panel_shows(&deployment, &prometheus);
    drop(runtime);
}

/// Whatever the worker tells is seen in the panels that ask for it.
fn every_panel_shows(deployment: &Deployment, prometheus: &Prometheus) {
    let (_, told) = deployment.get("/metrics").unwrap();
    let is_told = |name: &str| {
        let series = told.lines().filter(|line| !line.starts_with('#'));
        let mut series = series.filter_map(|line| line.strip_prefix(name));
        series.any(|rest| rest.starts_with(['{', ' ', '_']))
    };
    let (mut shown, mut empty) = (0, Vec::new());
    for (place, expression) in dashboards().iter().flat_map(expressions_of) {
        let metrics = metrics_in(&expression).unwrap();
        let has_data = metrics.iter().all(|(_, metric, _)| is_told(metric.name));
        let is_empty = prometheus.evaluate(&expression) == 0;
        shown += usize::from(!is_empty);
        if has_data && is_empty {
            empty.push(format!("{place}: {expression}"));
        }
    }
    assert!(empty.is_empty(), "{}", empty.join("\n"));
    assert!(shown > 50, "{shown} panels show something");
}
