//! The chart, rendered by Helm's own engine and held against Kubernetes' schemas; Strimzi's examples against what the program does.

use std::{
    collections::BTreeSet,
    io::Write as _,
    process::{Command, Stdio},
};

use lacuna::{app::topics::needed, config::Config};
use serde_json::{Value, json};

use crate::support::{Deployment, StoreKind, repository, service};

/// What the script beside the services answers.
fn script(arguments: &[&str], stdin: &Value) -> Value {
    let mut child = Command::new(service("LACUNA_TEST_CHART_PYTHON"))
        .arg(repository("tests/support/kubernetes.py"))
        .args(arguments)
        .current_dir(repository("."))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(stdin.to_string().as_bytes()).unwrap();
    drop(pipe);
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn chart(values: &Value) -> Value {
    script(&["chart", "packaging/helm/lacuna"], values)
}

fn yaml(path: &str) -> Vec<Value> {
    script(&["yaml", path], &Value::Null).as_array().unwrap().clone()
}

/// Everything that the chart has, switched on.
fn all_of_it() -> Value {
    json!({
        "env": { "LACUNA_REGION": "eu" },
        "tls": { "existingSecret": "lacuna-tls" },
        "serviceMonitor": { "enabled": true, "labels": { "release": "prometheus" } },
        "networkPolicy": { "enabled": true, "from": [{ "podSelector": {} }] },
        "setup": { "replication": 3 },
        "extraVolumes": [{ "name": "ca", "secret": { "secretName": "kafka-ca" } }],
        "extraVolumeMounts": [{ "name": "ca", "mountPath": "/run/lacuna/ca", "readOnly": true }],
    })
}

fn of_kind<'a>(documents: &'a Value, kind: &str) -> Vec<&'a Value> {
    let all = documents["documents"].as_array().unwrap().iter();
    all.filter(|document| document["kind"] == kind).collect()
}

#[test]
fn chart_renders_what_kubernetes_accepts() {
    let without_jobs = json!({ "setup": { "migrate": false, "topics": false } });
    for values in [json!({}), all_of_it(), without_jobs] {
        let rendered = chart(&values);
        assert_eq!(rendered["invalid"], json!([]), "{values}");
        assert_eq!(rendered["lint"], json!([]), "{values}");
        assert_eq!(of_kind(&rendered, "Deployment").len(), 1);
        assert_eq!(of_kind(&rendered, "PodDisruptionBudget").len(), 1);
    }
    assert_eq!(of_kind(&chart(&json!({})), "Job").len(), 1);
    assert_eq!(
        of_kind(
            &chart(&json!({ "setup": { "migrate": false, "topics": false } })),
            "Job"
        )
        .len(),
        0
    );
}

#[test]
fn chart_refuses_a_value_that_it_does_not_know() {
    for values in [
        json!({ "keyrings": {} }),
        json!({ "service": { "port": "http" } }),
    ] {
        assert!(chart(&values)["refused"].is_string(), "{values}");
    }
}

#[test]
fn every_container_of_the_chart_is_locked_down() {
    let rendered = chart(&all_of_it());
    let mut count = 0;
    for owner in [of_kind(&rendered, "Deployment"), of_kind(&rendered, "Job")].concat() {
        let pod = &owner["spec"]["template"]["spec"];
        assert_eq!(pod["automountServiceAccountToken"], false);
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        for kind in ["initContainers", "containers"] {
            for container in pod[kind].as_array().unwrap() {
                let security = &container["securityContext"];
                assert_eq!(security["readOnlyRootFilesystem"], true, "{container}");
                assert_eq!(security["allowPrivilegeEscalation"], false, "{container}");
                assert_eq!(security["capabilities"]["drop"], json!(["ALL"]), "{container}");
                assert!(
                    container["resources"]["limits"]["memory"].is_string(),
                    "{container}"
                );
                count += 1;
            }
        }
    }
    // The worker and its keyring; the keyring, the tables and the topics.
    assert_eq!(count, 5);
}

#[test]
fn worker_of_the_chart_is_probed_and_watched() {
    let rendered = chart(&all_of_it());
    let worker = &of_kind(&rendered, "Deployment")[0]["spec"]["template"]["spec"]["containers"][0];
    for (probe, path) in [
        ("livenessProbe", "/healthz"),
        ("readinessProbe", "/readyz"),
        ("startupProbe", "/healthz"),
    ] {
        assert_eq!(worker[probe]["httpGet"]["path"], path);
        assert_eq!(worker[probe]["httpGet"]["scheme"], "HTTPS");
    }
    assert_eq!(worker["env"], json!([{ "name": "LACUNA_REGION", "value": "eu" }]));
    let monitor = &of_kind(&rendered, "ServiceMonitor")[0]["spec"];
    assert_eq!(monitor["endpoints"][0]["path"], "/metrics");
    let labels = &of_kind(&rendered, "Service")[0]["metadata"]["labels"];
    for (label, value) in monitor["selector"]["matchLabels"].as_object().unwrap() {
        assert_eq!(&labels[label], value, "the monitor finds no service");
    }
    let args: Vec<&Value> = of_kind(&rendered, "Job")[0]["spec"]["template"]["spec"]["containers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|container| &container["args"])
        .collect();
    assert_eq!(args, [&json!(["topics", "create", "--replication", "3"])]);
}

#[test]
fn configuration_of_the_chart_is_valid() {
    let rendered = chart(&json!({}));
    let folder = tempfile::tempdir().unwrap();
    let map = of_kind(&rendered, "ConfigMap")
        .into_iter()
        .find(|map| map["metadata"]["name"] == "demo-lacuna")
        .unwrap();
    for (name, text) in map["data"].as_object().unwrap() {
        std::fs::write(folder.path().join(name), text.as_str().unwrap()).unwrap();
    }
    let output = Command::new(env!("CARGO_BIN_EXE_lacuna"))
        .arg("check")
        .current_dir(folder.path())
        .env("STORE_URL", "postgres://lacuna@db/lacuna")
        .env("OPERATOR_TOKEN", "an-operator-token")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A right: whose it is, on what, and what.
type Right = (String, String, String, String);

/// The rights that printed commands for Kafka's own tool grant, with the names of a deployment without a prefix.
fn printed_rights(text: &str, prefix: &str) -> BTreeSet<Right> {
    let mut rights = BTreeSet::new();
    let quoted = |line: &str, option: &str| {
        let (_, rest) = line.split_once(option)?;
        let name = rest.trim_start().strip_prefix('\'')?.split('\'').next()?;
        Some(name.to_owned())
    };
    // A placeholder such as <group of crm> or <upstream services>.
    let plain = |name: &str| {
        let name = name.trim_matches(['<', '>']);
        let name = name.strip_prefix("group of ").unwrap_or(name);
        name.replace(prefix, "lacuna").replace(' ', "-")
    };
    for line in text.lines().filter(|line| line.starts_with("kafka-acls.sh")) {
        let user = plain(
            quoted(line, "--allow-principal")
                .unwrap()
                .trim_start_matches("User:"),
        );
        let topic = plain(&quoted(line, "--topic").unwrap());
        let mut add = |kind: &str, name: &str, operation: &str| {
            rights.insert((
                user.clone(),
                kind.to_owned(),
                name.to_owned(),
                operation.to_owned(),
            ));
        };
        // What Kafka's tool makes of the two words.
        if line.contains("--producer") {
            for operation in ["Write", "Describe", "Create"] {
                add("topic", &topic, operation);
            }
        } else {
            for operation in ["Read", "Describe"] {
                add("topic", &topic, operation);
            }
            add("group", &plain(&quoted(line, "--group").unwrap()), "Read");
        }
    }
    rights
}

#[test]
fn users_of_strimzi_have_the_rights_that_are_printed() {
    let registry = std::fs::read_to_string(repository("docker/processors.toml")).unwrap();
    let deployment = Deployment::new(StoreKind::Sqlite, &registry);
    let printed = printed_rights(&deployment.lacuna_ok(&["topics", "create"]), &deployment.prefix);
    let mut granted = BTreeSet::new();
    for user in yaml("packaging/strimzi/users.yaml") {
        let name = user["metadata"]["name"].as_str().unwrap();
        for acl in user["spec"]["authorization"]["acls"].as_array().unwrap() {
            let resource = &acl["resource"];
            for operation in acl["operations"].as_array().unwrap() {
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                granted.insert((
                    name.to_owned(),
                    text(&resource["type"]),
                    text(&resource["name"]),
                    text(operation),
                ));
            }
        }
    }
    assert!(printed.len() > 30, "{printed:?}");
    assert_eq!(granted, printed);
}

#[test]
fn topics_of_strimzi_are_those_that_are_created() {
    let registry = repository("docker/processors.toml");
    let registry = lacuna::config::RegistryFile::at(registry);
    let registry = lacuna::config::registry_file::read(&registry).unwrap();
    let wanted: BTreeSet<(String, i64, bool)> = needed(&Config::default().kafka.topics, &registry)
        .into_iter()
        .map(|topic| (topic.name, i64::from(topic.partitions), topic.compacted))
        .collect();
    let found: BTreeSet<(String, i64, bool)> = yaml("packaging/strimzi/topics.yaml")
        .iter()
        .map(|topic| {
            let config = &topic["spec"]["config"];
            (
                topic["metadata"]["name"].as_str().unwrap().to_owned(),
                topic["spec"]["partitions"].as_i64().unwrap(),
                config["cleanup.policy"] == "compact",
            )
        })
        .collect();
    assert_eq!(found, wanted);
}

#[test]
fn autoscaler_scales_the_deployment_of_the_chart() {
    let object = &yaml("packaging/keda/scaledobject.yaml")[0];
    assert_eq!(object["kind"], "ScaledObject");
    assert_eq!(object["spec"]["scaleTargetRef"]["name"], "lacuna");
    // The chart's own name, where the release is called lacuna.
    let partitions = needed(
        &Config::default().kafka.topics,
        &lacuna::domain::registry::Registry { processors: vec![] },
    )[0]
    .partitions;
    assert_eq!(object["spec"]["maxReplicaCount"], partitions);
    for trigger in object["spec"]["triggers"].as_array().unwrap() {
        assert_eq!(trigger["type"], "prometheus");
        assert!(trigger["metadata"]["threshold"].is_string());
    }
}
