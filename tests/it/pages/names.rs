//! Names of metrics, configuration keys, topics and topic properties in pages.

use lacuna::{
    config::Config,
    telemetry::{agent_metrics::AGENT_METRICS, metrics::METRICS},
    wire::schemas,
};

use super::markdown::{Page, source_files};

/// What a histogram adds to its name.
const SERIES: &[&str] = &["_bucket", "_sum", "_count"];

/// The sections of `lacuna.toml`.
const SECTIONS: &[&str] = &[
    "kafka",
    "store",
    "http",
    "auth",
    "vault",
    "dispatch",
    "policy",
    "webhook",
    "opendsr",
    "registry",
    "telemetry",
];

/// What of `lacuna.…` is a file and no topic.
const FILES: &[&str] = &["lacuna.toml", "lacuna.db", "lacuna.keys"];

/// Endings by which a property of a Kafka topic is known.
const PROPERTY_ENDINGS: &[&str] = &[".ms", ".bytes", ".replicas", ".policy"];

/// Properties of topics and groups that pages tell operators to look at. Lacuna neither sets nor reads them.
const OPERATORS_PROPERTIES: &[&str] = &["retention.ms", "retention.bytes", "min.insync.replicas"];

/// Metrics that there are not, and labels that a metric does not have.
pub fn unknown_metrics(page: &Page) -> Vec<String> {
    let headers = headers_of_dead_letters();
    let mut wrong = Vec::new();
    for line in page.lines() {
        for (at, _) in line.text.match_indices("lacuna_") {
            let rest = &line.text[at..];
            let length = rest
                .find(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'))
                .unwrap_or(rest.len());
            let (name, after) = rest.split_at(length);
            if headers.iter().any(|header| header == name) {
                continue;
            }
            let base = SERIES.iter().find_map(|ending| name.strip_suffix(ending));
            let metric = METRICS
                .iter()
                .chain(AGENT_METRICS)
                .find(|metric| metric.name == name || Some(metric.name) == base);
            let Some(metric) = metric else {
                wrong.push(page.at(line.number, &format!("there is no metric {name}")));
                continue;
            };
            for label in labels(after) {
                if !metric.labels.contains(&label) {
                    wrong.push(page.at(line.number, &format!("{name} has no label {label}")));
                }
            }
        }
    }
    wrong
}

/// The labels in braces right after a metric's name: `{a,b}`, `{a="x"}`.
fn labels(after: &str) -> Vec<&str> {
    let Some(inside) = after.strip_prefix('{').and_then(|rest| rest.split('}').next()) else {
        return Vec::new();
    };
    inside
        .split(',')
        .filter_map(|pair| pair.split(['=', '!']).next())
        .map(|label| label.trim().trim_matches('"'))
        .filter(|label| label.chars().all(|c| c.is_ascii_lowercase() || c == '_') && !label.is_empty())
        .collect()
}

fn headers_of_dead_letters() -> Vec<String> {
    let (_, text) = schemas::all()
        .into_iter()
        .find(|(name, _)| *name == "dead_letter.json")
        .unwrap();
    let schema: serde_json::Value = serde_json::from_str(&text).unwrap();
    schema["properties"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect()
}

/// Parts of a worker in `/readyz` whose names look like keys.
const READINESS_PARTS: [&str; 2] = ["kafka.topics", "kafka.groups"];

/// Keys of `lacuna.toml` that there are not.
pub fn unknown_configuration(page: &Page) -> Vec<String> {
    let known = configuration_keys();
    page.spans()
        .into_iter()
        .filter(|(_, span)| {
            span.split_once('.')
                .is_some_and(|(section, _)| SECTIONS.contains(&section))
        })
        .filter(|(_, span)| {
            span.chars()
                .all(|c| c.is_ascii_lowercase() || c == '_' || c == '.')
        })
        .filter(|(_, span)| !known.iter().any(|key| key == span) && !READINESS_PARTS.contains(span))
        .map(|(number, span)| page.at(number, &format!("there is no setting {span}")))
        .collect()
}

/// Every key of the default configuration, also of those that are commented out.
fn configuration_keys() -> Vec<String> {
    let mut section = String::new();
    let mut keys = Vec::new();
    for line in Config::print_default().lines() {
        let line = line.strip_prefix("# ").unwrap_or(line);
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = format!("{name}.");
        } else if let Some((key, _)) = line.split_once(" = ")
            && key.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        {
            keys.push(format!("{section}{key}"));
        }
    }
    assert!(keys.len() > 30, "these are not all: {keys:?}");
    keys
}

/// Topics that no configuration has by itself, and properties of topics that neither the code nor the list above knows.
pub fn unknown_topics(page: &Page) -> Vec<String> {
    let mut wrong = Vec::new();
    for (number, span) in page.spans() {
        let is_name = span
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '<' | '>'));
        if !is_name {
            continue;
        }
        if span.starts_with("lacuna.") && !FILES.contains(&span) {
            let is_tasks = span.starts_with("lacuna.tasks.");
            if !is_tasks && !Config::print_default().contains(&format!("\"{span}\"")) {
                wrong.push(page.at(number, &format!("there is no topic {span}")));
            }
        } else if PROPERTY_ENDINGS.iter().any(|ending| span.ends_with(ending))
            && !OPERATORS_PROPERTIES.contains(&span)
            && !is_in_the_code(span)
        {
            wrong.push(page.at(number, &format!("no property {span} is known")));
        }
    }
    wrong
}

fn is_in_the_code(text: &str) -> bool {
    source_files()
        .iter()
        .any(|path| std::fs::read_to_string(path).unwrap().contains(text))
}
