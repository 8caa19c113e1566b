//! Pages that are made from the code. A test finds them changed where the code has changed: `LACUNA_BLESS=1 cargo test
//! --test it pages` writes them.

use std::{collections::BTreeSet, fmt::Write, fs};

use clap::{Command, CommandFactory};
use lacuna::{
    config::Config,
    program::Program,
    telemetry::{agent_metrics::AGENT_METRICS, metrics::METRICS},
    wire::schemas,
};
use serde_json::Value;

use crate::support::repository;

/// How wide the help of the command line is.
const WIDTH: usize = 100;

/// Compares a page with what the code says, or writes it.
fn check(page: &str, text: &str) {
    let path = repository(&format!("docs/reference/{page}"));
    if std::env::var_os("LACUNA_BLESS").is_some() {
        fs::write(&path, text).unwrap();
    }
    let on_disk = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        on_disk == text,
        "docs/reference/{page} has drifted: LACUNA_BLESS=1 cargo test --test it pages writes it"
    );
}

fn head(title: &str, source: &str) -> String {
    format!(
        "# {title}\n\nThis page is made from {source} by a test (`tests/it/pages/generated.rs`). Do not edit it.\n\n"
    )
}

#[test]
fn configuration_page_is_the_default_configuration() {
    let mut page = head("Configuration", "`src/config/default.toml`");
    page += "`lacuna check --print-default` prints the same. An unknown key is an error that names it. `lacuna check` finds every \
             mistake at once. The processors have [a file of their own](registry.md).\n\n";
    let _ = writeln!(page, "```toml\n{}\n```", Config::print_default().trim_end());
    check("configuration.md", &page);
}

#[test]
fn metrics_page_has_every_metric() {
    let mut page = head(
        "Metrics",
        "`src/telemetry/metrics.rs` and `src/telemetry/agent_metrics.rs`",
    );
    page += "`GET /metrics` answers in the text format of Prometheus; those of an agent are on a listener of its own ([agent.toml](agent.md)). Labels never hold a subject, a request or free text. [Runbooks](../runbooks/README.md) \
             say which to alert on.\n\nOver workers: `max` where every worker reads the same from the store, `sum` where each has counted its own; a dash where each says something \
             of itself.\n\n| name | kind | labels | over workers | what it says |\n|---|---|---|---|---|\n";
    let mut metrics = [METRICS, AGENT_METRICS].concat();
    metrics.sort_by_key(|metric| metric.name);
    for metric in metrics {
        let kind = match metric.kind {
            "counters" => "counter",
            "histograms" => "histogram",
            _ => "gauge",
        };
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let over = match kind {
            _ if metric.is_global() => "max",
            "gauge" => "–",
            _ => "sum",
        };
        let _ = writeln!(
            page,
            "| `{}` | {kind} | {} | {over} | {} |",
            metric.name,
            labels.join(", "),
            metric.help
        );
    }
    check("metrics.md", &page);
}

#[test]
fn command_line_page_is_the_help() {
    let mut page = head("Command line", "the program's own help");
    page += "Every subcommand also takes the global options `--log-format` and `--log-filter`, and those that ask or decide take `--url`, `--token` \
             and `--ca`: [through the API](../guide/compliance.md#through-the-api).\n";
    let mut root = Program::command().term_width(WIDTH);
    for global in ["log_format", "log_filter", "url", "token", "ca"] {
        root = root.mut_arg(global, |argument| argument.hide(true));
    }
    root.build();
    let mut whole = Program::command().term_width(WIDTH);
    section(&mut page, "lacuna", &whole.render_long_help().to_string());
    subcommands(&mut page, "lacuna", &root);
    check("command-line.md", &page);
}

fn subcommands(page: &mut String, name: &str, command: &Command) {
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        let name = format!("{name} {}", sub.get_name());
        if sub.has_subcommands() {
            subcommands(page, &name, sub);
        } else {
            let mut sub = sub.clone().term_width(WIDTH);
            section(page, &name, &sub.render_long_help().to_string());
        }
    }
}

fn section(page: &mut String, name: &str, help: &str) {
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    let _ = writeln!(
        page,
        "\n## {name}\n\n```text\n{}\n```",
        lines.join("\n").trim_end()
    );
}

#[test]
fn messages_page_has_every_field() {
    let mut page = head("Messages", "the JSON Schemas in `schemas/`");
    page += "Messages are JSON. Times are RFC 3339, ids are UUIDs, unknown fields are ignored. `schemas/examples/` has an example of each. A field \
             that is not needed may be left out or null.\n";
    for (file, text) in schemas::all() {
        let schema: Value = serde_json::from_str(&text).unwrap();
        let title = schema["title"].as_str().unwrap();
        let _ = writeln!(page, "\n## {title}\n\n{}\n", description(&schema));
        let _ = writeln!(page, "Schema: `schemas/{file}`.\n");
        let first = &schema["allOf"][0]["$ref"];
        let shape = if first.is_string() {
            target(&schema, first)
        } else {
            &schema
        };
        table(&mut page, &schema, shape);
        for (types, shape) in variants(&schema) {
            let _ = writeln!(
                page,
                "\n### {title}: {}\n\n{}\n",
                types.join(", "),
                description(shape)
            );
            table(&mut page, &schema, shape);
        }
    }
    check("messages.md", &page);
}

/// The shapes of a schema that go by `type`.
fn variants(schema: &Value) -> Vec<(Vec<&str>, &Value)> {
    let cases = schema["allOf"].as_array().into_iter().flatten();
    cases
        .filter(|case| case["then"]["$ref"].is_string())
        .map(|case| {
            let kind = &case["if"]["properties"]["type"];
            let types = match &kind["enum"] {
                Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
                _ => kind["const"].as_str().into_iter().collect(),
            };
            (types, target(schema, &case["then"]["$ref"]))
        })
        .collect()
}

fn table(page: &mut String, schema: &Value, shape: &Value) {
    let mut rows = Vec::new();
    fields(schema, shape, "", &mut rows);
    if rows.is_empty() {
        page.push_str("It has no other fields.\n");
        return;
    }
    page.push_str("| field | type | needed | what |\n|---|---|---|---|\n");
    for row in rows {
        let _ = writeln!(page, "| {row} |");
    }
}

fn fields(schema: &Value, shape: &Value, prefix: &str, rows: &mut Vec<String>) {
    let needed: BTreeSet<&str> = shape["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let properties = shape["properties"].as_object().into_iter().flatten();
    let mut properties: Vec<(&String, &Value)> = properties.collect();
    properties.sort_by_key(|(name, _)| (!needed.contains(name.as_str()), *name));
    for (name, property) in properties {
        let (kind, inner) = kind_of(schema, property);
        let needs = if needed.contains(name.as_str()) { "yes" } else { "" };
        let what = description(property).replace('\n', " ").replace('|', "\\|");
        rows.push(format!("`{prefix}{name}` | {kind} | {needs} | {what}"));
        if let Some(inner) = inner.filter(|_| prefix.matches('.').count() < 2) {
            let list = if kind.starts_with("list") { "[]" } else { "" };
            fields(schema, inner, &format!("{prefix}{name}{list}."), rows);
        }
    }
}

/// What a value is, in words, and its shape where that has fields.
fn kind_of<'a>(schema: &'a Value, property: &'a Value) -> (String, Option<&'a Value>) {
    if property["$ref"].is_string() {
        return kind_of(schema, target(schema, &property["$ref"]));
    }
    for choice in ["anyOf", "oneOf"] {
        if let Some(choices) = property[choice].as_array() {
            let words: Vec<String> = choices
                .iter()
                .filter_map(|choice| Some(format!("`{}`", choice["const"].as_str()?)))
                .collect();
            if !words.is_empty() {
                return (words.join(" "), None);
            }
            let real = choices.iter().find(|choice| choice["type"] != "null");
            if let Some(real) = real {
                return kind_of(schema, real);
            }
        }
    }
    if let Some(words) = property["enum"].as_array() {
        let words = words
            .iter()
            .filter_map(Value::as_str)
            .map(|word| format!("`{word}`"));
        return (words.collect::<Vec<_>>().join(" "), None);
    }
    if let Some(word) = property["const"].as_str() {
        return (format!("`{word}`"), None);
    }
    if property["properties"].is_object() {
        return ("object".to_owned(), Some(property));
    }
    let kind = match &property["type"] {
        Value::Array(kinds) => kinds
            .iter()
            .filter_map(Value::as_str)
            .find(|kind| *kind != "null"),
        kind => kind.as_str(),
    };
    match (kind, property["format"].as_str()) {
        (Some("array"), _) => {
            let (inner, shape) = kind_of(schema, &property["items"]);
            (format!("list of {inner}"), shape)
        }
        (Some("string"), Some("date-time")) => ("time".to_owned(), None),
        (Some("string"), Some("uuid")) => ("id".to_owned(), None),
        (Some("string"), _) => ("text".to_owned(), None),
        (Some("object"), _) => ("map".to_owned(), None),
        (kind, _) => (kind.unwrap_or("any").to_owned(), None),
    }
}

fn target<'a>(schema: &'a Value, reference: &Value) -> &'a Value {
    let path = reference.as_str().and_then(|path| path.strip_prefix('#'));
    path.and_then(|path| schema.pointer(path))
        .unwrap_or_else(|| panic!("{reference}"))
}

fn description(shape: &Value) -> &str {
    shape["description"].as_str().unwrap_or_default()
}
