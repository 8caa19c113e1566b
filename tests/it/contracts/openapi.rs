//! `/openapi.json`: valid, complete, and true of the real binary, as schemathesis of PyPI finds.

use std::{collections::BTreeSet, path::PathBuf};

use lacuna::http::openapi;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::process::Command;
use uuid::Uuid;

use crate::{
    cli::embedded::{ROLES, serving, token},
    support::repository,
};

const REGISTRY: &str = r#"
[[processor]]
id = "crm"
kind = "crm"
transport = { type = "kafka" }
actions = ["erase", "anonymize"]
identities = ["email"]
missing_identity = "exempt"
[[processor]]
id = "archive"
kind = "other"
transport = { type = "manual", assignee = "back-office" }
actions = ["erase", "anonymize"]
identities = ["email"]
missing_identity = "exempt"
[[processor]]
id = "nightly"
kind = "backup"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
missing_identity = "exempt"
backup = { sources = ["crm"], set = "main", keep = "35d", confirm_by = "event" }
"#;

/// A program of the environment that `tests/run` makes.
fn program(name: &str) -> PathBuf {
    let python = std::env::var("LACUNA_TEST_CONTRACTS_PYTHON").expect(
        "LACUNA_TEST_CONTRACTS_PYTHON is not set: run tests/run, which installs what validates contracts",
    );
    PathBuf::from(python).with_file_name(name)
}

async fn call(base: &str, method: Method, role: &str, path: &str, body: &Value) -> Value {
    let call = Client::new().request(method, format!("{base}{path}"));
    let answer = call
        .bearer_auth(token(role))
        .body(body.to_string())
        .send()
        .await
        .unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert!(status.is_success(), "{path}: {text}");
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn the_description_is_served_without_a_token() {
    let (_workspace, worker, base) = serving(REGISTRY, "").await;
    let answer = reqwest::get(format!("{base}/openapi.json")).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/json");
    let served = answer.text().await.unwrap();
    assert_eq!(
        served,
        std::fs::read_to_string(repository("schemas/openapi.json")).unwrap()
    );
    drop(worker);
}

#[test]
fn the_description_is_valid_openapi() {
    let done = std::process::Command::new(program("openapi-spec-validator"))
        .arg(repository("schemas/openapi.json"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(
        done.status.success() && said.contains("OK"),
        "{said}{}",
        String::from_utf8_lossy(&done.stderr)
    );
}

/// A route that was made past the descriptions.
#[test]
fn every_route_of_the_api_is_described() {
    let described: Value = serde_json::from_str(openapi::text()).unwrap();
    let mut undescribed = Vec::new();
    let mut folders = vec![repository("src/http")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                // Its pages are for people.
                folders.extend(Some(path).filter(|path| !path.ends_with("console")));
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            for route in code.split(".route(").skip(1) {
                let named = route
                    .trim_start()
                    .strip_prefix('"')
                    .and_then(|rest| rest.split('"').next());
                if let Some(named) = named.filter(|named| described["paths"][*named].is_null()) {
                    undescribed.push(format!("{named} in {}", path.display()));
                }
            }
        }
    }
    assert!(
        undescribed.is_empty(),
        "these routes have no description: {undescribed:#?}. In place of `.route(…)` and `routes()`, give the module of the handler a \
         function `calls`, as src/http/deferred.rs has one, and add it to `calls` in src/http/mod.rs. CONTRIBUTING.md, \"A call \
         over HTTP\", says the rest"
    );
}

/// A call refuses a parameter that it does not know, and names those that it does.
#[tokio::test]
async fn every_list_takes_the_parameters_described() {
    let (_workspace, worker, base) = serving(REGISTRY, "").await;
    let described: Value =
        serde_json::from_str(&std::fs::read_to_string(repository("schemas/openapi.json")).unwrap()).unwrap();
    let mut looked_at = 0;
    for (path, calls) in described["paths"].as_object().unwrap() {
        let get = &calls["get"];
        let of_query = |parameter: &&Value| parameter["in"] == "query";
        let parameters = get["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(of_query);
        let names: BTreeSet<&str> = parameters
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        if names.is_empty() {
            continue;
        }
        let path = path
            .replace("{id}", &Uuid::nil().to_string())
            .replace("{processor}", "nightly")
            .replace("{set}", "main");
        let roles = get["x-roles"].as_array().unwrap();
        let role = if roles.contains(&json!("compliance")) {
            "compliance"
        } else {
            "operator"
        };
        let call = Client::new().get(format!("{base}{path}?no_such_parameter=1"));
        let answer = call.bearer_auth(token(role)).send().await.unwrap();
        let problem: Value = answer.json().await.unwrap();
        let detail = problem["detail"].as_str().unwrap();
        let (_, taken) = detail
            .split_once("which takes ")
            .unwrap_or_else(|| panic!("{path}: {detail}"));
        assert_eq!(names, taken.split(", ").collect(), "{path}");
        looked_at += 1;
    }
    assert!(looked_at >= 9, "{looked_at}");
    drop(worker);
}

/// What is there when it begins: a request that waits, a hold, a task of each kind.
async fn seed(base: &str) -> Value {
    let id = Uuid::now_v7();
    let identities = json!([{ "type": "email", "value": "ann@example.org" }]);
    let command = json!({ "command_id": id, "type": "erase", "subject": { "identities": identities } });
    call(base, Method::POST, "submitter", "/v1/requests", &command).await;
    let detail = call(
        base,
        Method::GET,
        "compliance",
        &format!("/v1/requests/{id}"),
        &json!({}),
    )
    .await;
    let task = |processor: &str| {
        let tasks = detail["task_list"].as_array().unwrap();
        tasks.iter().find(|task| task["processor"] == processor).unwrap()["task_id"].clone()
    };
    let hold = json!({ "basis": "dispute", "processor": "nightly" });
    let hold = call(base, Method::POST, "compliance", "/v1/holds", &hold).await;
    json!({ "requests": id, "tasks": task("crm"), "manual": task("archive"), "holds": hold["hold_id"], "processors": "crm" })
}

/// Everything that schemathesis knows to look for: no failure of the server, only described answers, whatever is wrong is refused,
/// nothing is open that is described as closed.
#[tokio::test]
async fn schemathesis_finds_nothing_in_the_real_binary() {
    let (workspace, worker, base) = serving(REGISTRY, "").await;
    let tokens: serde_json::Map<_, _> = ROLES
        .iter()
        .map(|role| ((*role).to_owned(), json!(token(role))))
        .collect();
    let folder = workspace.path("reports");
    let run = Command::new(program("schemathesis"))
        .arg("--config-file")
        .arg(repository("tests/support/contracts/schemathesis.toml"))
        .args(["run", &format!("{base}/openapi.json")])
        .args([
            "--checks",
            "all",
            "--max-examples",
            "12",
            "--seed",
            "1",
            "--max-time",
            "50",
            "--workers",
            "1",
        ])
        .args(["--warnings", "off", "--no-color"])
        .current_dir(workspace.path("."))
        .env("PYTHONPATH", repository("tests/support/contracts"))
        .env("SCHEMATHESIS_HOOKS", "roles")
        .env("LACUNA_TOKENS", Value::Object(tokens).to_string())
        .env("LACUNA_SEEN", seed(&base).await.to_string())
        .env("HOME", &folder)
        .output();
    let done = tokio::time::timeout(std::time::Duration::from_secs(300), run)
        .await
        .unwrap()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(
        done.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&done.stderr)
    );
    drop(worker);
}
