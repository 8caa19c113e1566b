//! Alert rules and dashboards: what each metric in them is, when each alert fires, and which page it names.

use std::{fs, path::Path, process::Command};

use lacuna::telemetry::{
    agent_metrics::AGENT_METRICS,
    metrics::{Described, METRICS},
};
use serde_json::Value;

use crate::{
    pages::markdown::Page,
    support::{repository, service},
};

pub(super) const RULES: &str = "packaging/prometheus/alerts.yml";
const TESTS: &str = "packaging/prometheus/alerts_test.yml";
const AUTOSCALER: &str = "packaging/keda/scaledobject.yaml";

/// What runbook addresses begin with.
const PAGES: &str = "https://example.org/lacuna/blob/main/";

/// What Prometheus adds to every series.
const OF_THE_SCRAPE: &[&str] = &["job", "instance"];

/// Where an expression stands, and the expression.
pub(super) type Expression = (String, String);

pub(super) fn read(path: &str) -> String {
    fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Runs promtool, and gives what it has printed where it was not content.
fn promtool(arguments: &[&str], folder: &Path) -> Result<(), String> {
    let output = Command::new(service("LACUNA_TEST_PROMTOOL"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&said).into_owned())
    }
}

/// An alert as its rule has it.
struct Alert {
    name: String,
    expression: String,
    page: String,
    has_severity: bool,
}

fn alerts() -> Vec<Alert> {
    let text = read(RULES);
    let rules = text.split("      - alert: ").skip(1);
    let field = |rule: &str, name: &str| {
        let line = rule
            .lines()
            .find_map(|line| line.trim().strip_prefix(name))
            .unwrap_or_default();
        line.trim().trim_matches('\'').replace("''", "'")
    };
    let alerts: Vec<Alert> = rules
        .map(|rule| Alert {
            name: rule.lines().next().unwrap().to_owned(),
            expression: field(rule, "expr:"),
            page: field(rule, "runbook_url:"),
            has_severity: ["{ severity: warning }", "{ severity: critical }"]
                .contains(&field(rule, "labels:").as_str()),
        })
        .collect();
    assert!(alerts.len() > 30, "these are not all");
    alerts
}

pub(super) fn dashboards() -> Vec<(String, Value)> {
    let mut found: Vec<(String, Value)> = fs::read_dir(repository("packaging/grafana"))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let value = serde_json::from_str(&fs::read_to_string(&path).unwrap());
            (name, value.unwrap_or_else(|error| panic!("{path:?}: {error}")))
        })
        .collect();
    found.sort_by(|left, right| left.0.cmp(&right.0));
    assert_eq!(found.len(), 5);
    found
}

/// The expressions of a dashboard, with its variables filled in.
pub(super) fn expressions_of((name, dashboard): &(String, Value)) -> Vec<Expression> {
    let mut found = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().unwrap();
            let filled = expression
                .replace("$__rate_interval", "5m")
                .replace("$processor", ".*");
            found.push((format!("{name}: {}", panel["title"]), filled));
        }
    }
    found
}

/// Everything that Prometheus is asked by what is shipped.
fn expressions() -> Vec<Expression> {
    let mut all: Vec<Expression> = alerts()
        .into_iter()
        .map(|alert| (alert.name, alert.expression))
        .collect();
    all.extend(dashboards().iter().flat_map(expressions_of));
    let autoscaler = read(AUTOSCALER);
    let queries = autoscaler
        .lines()
        .filter_map(|line| line.trim().strip_prefix("query: "));
    all.extend(queries.map(|query| ("autoscaler".to_owned(), query.to_owned())));
    assert!(all.len() > 120, "these are not all");
    all
}

/// A metric as an expression names it, what the program says of it, and the labels that the expression uses.
pub(super) type Used<'a> = (&'a str, &'static Described, Vec<&'a str>);

/// The metrics in an expression: what stands before each, the metric, and the labels that it is selected by.
pub(super) fn metrics_in(expression: &str) -> Result<Vec<Used<'_>>, String> {
    let mut found = Vec::new();
    for (at, _) in expression.match_indices("lacuna_") {
        let rest = &expression[at..];
        let end = rest
            .find(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'))
            .unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let base = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|ending| name.strip_suffix(ending));
        let metric = METRICS.iter().chain(AGENT_METRICS).find(|metric| {
            let is_histogram = metric.kind == "histograms";
            (metric.name == name && !is_histogram) || (is_histogram && Some(metric.name) == base)
        });
        let Some(metric) = metric else {
            return Err(format!("there is no metric {name}"));
        };
        let selected = after.strip_prefix('{').and_then(|rest| rest.split('}').next());
        let labels = selected
            .unwrap_or_default()
            .split(',')
            .filter(|pair| !pair.is_empty());
        let labels = labels
            .map(|pair| pair.split(['=', '!']).next().unwrap().trim())
            .collect();
        found.push((&expression[..at], metric, labels));
    }
    if found.is_empty() {
        return Err("it asks for nothing of Lacuna".to_owned());
    }
    Ok(found)
}

/// Labels that a metric in the expression does not have.
fn unknown_labels(expression: &str) -> Result<Vec<String>, String> {
    let metrics = metrics_in(expression)?;
    let known = |metric: &Described, label: &str| {
        metric.labels.contains(&label)
            || OF_THE_SCRAPE.contains(&label)
            || (label == "le" && metric.kind == "histograms")
    };
    let mut wrong = Vec::new();
    for (_, metric, labels) in &metrics {
        let unknown = labels.iter().filter(|label| !known(metric, label));
        wrong.extend(unknown.map(|label| format!("{} has no label {label}", metric.name)));
    }
    for word in [" by (", " on ("] {
        for (_, rest) in expression
            .match_indices(word)
            .map(|(at, _)| expression[at..].split_at(word.len()))
        {
            let labels = rest.split(')').next().unwrap().split(',').map(str::trim);
            for label in labels.filter(|label| !label.is_empty()) {
                if !metrics.iter().any(|(_, metric, _)| known(metric, label)) {
                    wrong.push(format!("no metric of it has a label {label}"));
                }
            }
        }
    }
    Ok(wrong)
}

/// Whether the innermost aggregation over what follows is `max`.
fn is_max(before: &str) -> bool {
    let Some(before) = before.strip_suffix('(') else {
        return false;
    };
    let before = before.trim_end();
    before.ends_with("max")
        || before
            .rsplit_once("max by (")
            .is_some_and(|(_, labels)| labels.ends_with(')') && labels.matches(['(', ')']).count() == 1)
}

#[test]
fn alerts_fire_and_stay_quiet_as_their_tests_say() {
    let folder = repository("packaging/prometheus");
    promtool(&["check", "rules", "alerts.yml"], &folder).unwrap();
    promtool(&["test", "rules", "alerts_test.yml"], &folder).unwrap();
    let tests = read(TESTS);
    for Alert {
        name, has_severity, ..
    } in alerts()
    {
        assert!(has_severity, "{name} has no severity");
        let (_, test) = tests
            .split_once(&format!("  - name: {name}\n"))
            .unwrap_or_else(|| panic!("{name} has no test"));
        let test = test.split("\n  - name: ").next().unwrap();
        let asks = format!("alertname=\"{name}\"");
        let quiet = test.matches("exp_samples: []").count();
        let loud = test.matches("- labels: ").count();
        assert_eq!((quiet, loud), (1, 1), "{name} has to be seen quiet and firing");
        assert_eq!(
            test.matches(&asks).count(),
            3,
            "the test of {name} asks for another alert"
        );
    }
}

#[test]
fn alert_that_never_fires_is_found_by_its_test() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("alerts_test.yml"), read(TESTS)).unwrap();
    let broken = read(RULES).replace(
        "max(lacuna_requests_overdue) > 0",
        "max(lacuna_requests_overdue) > 7",
    );
    fs::write(folder.path().join("alerts.yml"), broken).unwrap();
    let said = promtool(&["test", "rules", "alerts_test.yml"], folder.path()).unwrap_err();
    assert!(said.contains("LacunaOverdue"), "{said}");
}

#[test]
fn every_alert_names_a_page_that_exists() {
    let list = read("docs/runbooks/README.md");
    for Alert { name, page, .. } in alerts() {
        let path = page
            .strip_prefix(PAGES)
            .unwrap_or_else(|| panic!("{name}: {page}"));
        let (path, heading) = path.split_once('#').unwrap_or((path, ""));
        let page = Page::read(path);
        let anchors = page.anchors();
        let is_there = heading.is_empty() || anchors.iter().any(|anchor| anchor == heading);
        assert!(is_there, "{name}: {path} has no heading #{heading}: {anchors:?}");
        assert!(
            list.contains(&format!("`{name}`")),
            "docs/runbooks/README.md does not list {name}"
        );
    }
}

#[test]
fn rules_and_dashboards_ask_for_what_there_is() {
    let wrong: Vec<String> = expressions()
        .iter()
        .flat_map(|(place, expression)| {
            let found = unknown_labels(expression).unwrap_or_else(|what| vec![what]);
            found
                .into_iter()
                .map(move |what| format!("{place}: {what}: {expression}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(unknown_labels("max(lacuna_no_such_metric)").is_err());
    assert_eq!(
        unknown_labels("max by (procesor) (lacuna_circuit_open)")
            .unwrap()
            .len(),
        1
    );
    assert_eq!(unknown_labels("lacuna_tasks{stat=\"done\"}").unwrap().len(), 1);
}

#[test]
fn gauges_of_the_store_are_never_added_up() {
    let wrong: Vec<String> = expressions()
        .iter()
        .flat_map(|(place, expression)| {
            let metrics = metrics_in(expression).unwrap();
            let summed = metrics
                .into_iter()
                .filter(|(before, metric, _)| metric.is_global() && !is_max(before));
            summed.map(move |(_, metric, _)| format!("{place}: {} without max: {expression}", metric.name))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(is_max("sum(max by (reason) (") && is_max("max(") && !is_max("sum by (a) (") && !is_max("sum("));
}

#[test]
fn every_expression_is_one_for_prometheus() {
    let folder = tempfile::tempdir().unwrap();
    let rules: Vec<String> = expressions()
        .iter()
        .enumerate()
        .map(|(n, (_, expression))| {
            format!(
                "      - record: expression:{n}\n        expr: '{}'\n",
                expression.replace('\'', "''")
            )
        })
        .collect();
    let text = format!("groups:\n  - name: all\n    rules:\n{}", rules.concat());
    fs::write(folder.path().join("all.yml"), text).unwrap();
    promtool(&["check", "rules", "all.yml"], folder.path()).unwrap();
}

#[test]
fn dashboards_take_their_data_source_as_a_variable() {
    for (name, dashboard) in dashboards() {
        assert_eq!(dashboard["uid"], name.trim_end_matches(".json"));
        assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 39, "{name}");
        let variables = dashboard["templating"]["list"].as_array().unwrap();
        assert!(
            variables
                .iter()
                .any(|one| one["name"] == "datasource" && one["type"] == "datasource"),
            "{name}"
        );
        let mut ids = Vec::new();
        for panel in dashboard["panels"].as_array().unwrap() {
            let title = panel["title"].as_str().unwrap();
            ids.push(panel["id"].as_u64().unwrap());
            if panel["type"] == "row" {
                continue;
            }
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{name}: {title}");
            for target in panel["targets"].as_array().unwrap() {
                assert_eq!(target["datasource"]["uid"], "${datasource}", "{name}: {title}");
            }
            let place = &panel["gridPos"];
            let (x, w) = (place["x"].as_u64().unwrap(), place["w"].as_u64().unwrap());
            assert!(x + w <= 24, "{name}: {title} is wider than the page");
        }
        let count = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), count, "{name}: a panel's id twice");
    }
}
