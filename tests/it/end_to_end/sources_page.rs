//! The guide to sources: its ten minutes as they stand there, and each of its snippets with its example.

use std::{process::Command, time::Duration};

use serde_json::Value;

use super::{
    kafka::{Operator, Publisher},
    pages::block,
};
use crate::support::{Program, free_port, service, unique, wait_for};

const PAGE: &str = "docs/guide/sources.md";

#[test]
fn ten_minutes_of_the_guide_end_with_a_request() {
    let folder = tempfile::tempdir().unwrap();
    let (prefix, port) = (unique("t"), free_port());
    // Names and ports are the test's own; nothing else of the blocks is touched.
    let kafka = service("LACUNA_TEST_KAFKA");
    let own = |text: String| {
        text.replace("localhost:9092", &kafka)
            .replace("shop.accounts", &format!("{prefix}-shop.accounts"))
    };
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    let topics = ["commands", "control", "acks", "backups", "status", "dead_letters"]
        .map(|name| format!("{name} = \"{prefix}.{name}\""))
        .join(", ");
    let config = own(block(PAGE, "toml", 0)).replace(
        "[[source]]",
        &format!(
            "group_id = \"{prefix}\"\ntopics = {{ {topics}, tasks_prefix = \"{prefix}.tasks.\" }}\n\
             [http]\nlisten = \"127.0.0.1:{port}\"\n[[source]]"
        ),
    );
    write("lacuna.toml", config);
    write("processors.toml", block(PAGE, "toml", 1));
    let event = block(PAGE, "json", 0);
    write("event.json", event.clone());
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_lacuna"));
    let paths = format!(
        "{}:{}",
        binary.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let shell = |script: &str| {
        let mut command = Command::new("sh");
        command.args(["-ec", script]).current_dir(folder.path());
        command.env("PATH", &paths).output().unwrap()
    };
    let run = |script: &str| {
        let output = shell(script);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "{script}\n{}\n{}",
            text(&output.stdout),
            text(&output.stderr)
        );
        text(&output.stdout)
    };
    let tried = run(&block(PAGE, "sh", 0));
    let shown = own(block(PAGE, "text", 0));
    assert!(tried.starts_with(&shown), "{tried}\n{shown}");
    let topic = format!("{prefix}-shop.accounts");
    Operator::new().make(&topic, 3);
    let publisher = Publisher::new();
    publisher.publish(&topic, Some("42"), event.as_bytes());
    publisher.flush();
    let script = block(PAGE, "sh", 1);
    let lines: Vec<&str> = script.lines().collect();
    assert_eq!(lines.last(), Some(&"lacuna serve &"));
    for line in &lines[..lines.len() - 1] {
        run(line);
    }
    let mut serve = Command::new(binary);
    let _worker = Program::start(serve.arg("serve").current_dir(folder.path()));
    wait_for("the request is there", Duration::from_secs(90), || {
        // Until the worker has made its store, there is nothing to list.
        let output = shell(&block(PAGE, "sh", 2));
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.success() && shown.contains("0193a9b2-5a3e-7cc1-8d07-3f0f7f7a1c11")).then_some(())
    });
}

/// The configuration of a page's snippet, with its secrets in the environment.
fn sources(folder: &std::path::Path, snippet: &str, arguments: &[&str]) -> (Option<i32>, Value) {
    std::fs::write(folder.join("lacuna.toml"), snippet).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_lacuna"))
        .args(["sources", "test", "--json"])
        .args(arguments)
        .current_dir(folder)
        .envs([
            ("SHOPIFY_SECRET", "the-apps-client-secret"),
            ("SEGMENT_SECRET", "the-shared-secret"),
            ("RUDDERSTACK_SECRET", "the-header-that-we-chose"),
        ])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let shown = serde_json::from_str(&said)
        .unwrap_or_else(|_| panic!("{said}{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), shown)
}

#[test]
fn snippets_of_the_guide_take_their_examples() {
    let folder = tempfile::tempdir().unwrap();
    // The blocks of the page: Shopify, its shops, Segment and RudderStack come with an example each.
    type Case = (&'static str, usize, usize, &'static [&'static str]);
    let cases: [Case; 4] = [
        ("shopify", 6, 1, &["191167", "john@example.org", "555-625-1199"]),
        ("shopify-shops", 7, 2, &["954889"]),
        ("segment", 8, 3, &["u-19"]),
        ("rudderstack", 9, 4, &["u-19", "ann@example.org"]),
    ];
    for (name, toml, json, values) in cases {
        std::fs::write(folder.path().join("event.json"), block(PAGE, "json", json)).unwrap();
        let snippet = block(PAGE, "toml", toml);
        let (code, shown) = sources(folder.path(), &snippet, &[name, "event.json"]);
        assert_eq!(
            (code, &shown["result"]),
            (Some(0), &"taken".into()),
            "{name}: {shown}"
        );
        let identities = shown["command"]["subject"]["identities"].as_array().unwrap();
        let found: Vec<&str> = identities
            .iter()
            .map(|one| one["value"].as_str().unwrap())
            .collect();
        assert_eq!(found, values, "{name}");
        // Whatever else comes to its address is left out.
        std::fs::write(
            folder.path().join("other.json"),
            r#"{"type":"page","userId":"u-19"}"#,
        )
        .unwrap();
        let (code, shown) = sources(folder.path(), &snippet, &[name, "other.json"]);
        assert_eq!(
            (code, &shown["result"]),
            (Some(1), &"skipped".into()),
            "{name}: {shown}"
        );
    }
}

#[test]
fn snippets_of_topics_take_what_their_upstreams_write() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&str, usize, &str, &[&str], &str); 2] = [
        (
            "customers",
            2,
            r#"{"before":{"id":1004,"email":"annek@noanswer.org"},"after":null,"op":"d","source":{"ts_ms":1796119200000}}"#,
            &[],
            "1004",
        ),
        (
            "outbox",
            4,
            r#"{"schema":{"type":"string"},"payload":"{\"type\":\"AccountDeleted\",\"customerId\":\"c-1\"}"}"#,
            &["--header", "id: 0193a9b2-5a3e-7cc1-8d07-3f0f7f7a1c11"],
            "c-1",
        ),
    ];
    for (name, toml, event, headers, value) in cases {
        std::fs::write(folder.path().join("event.json"), event).unwrap();
        let arguments = [&[name, "event.json"], headers].concat();
        let (code, shown) = sources(folder.path(), &block(PAGE, "toml", toml), &arguments);
        assert_eq!(code, Some(0), "{name}: {shown}");
        assert_eq!(
            shown["command"]["subject"]["identities"][0]["value"], value,
            "{name}"
        );
    }
    let (code, shown) = sources(
        folder.path(),
        &block(PAGE, "toml", 3),
        &["profiles-gone", "--tombstone", "--key", "42"],
    );
    assert_eq!(
        (code, &shown["command"]["subject"]["identities"][0]["value"]),
        (Some(0), &"42".into()),
        "{shown}"
    );
    // The registry of the page is not there: that is another answer than that the event is none.
    std::fs::write(folder.path().join("event.bin"), [0, 0, 0, 0, 1, 0]).unwrap();
    let snippet = block(PAGE, "toml", 5).replace("8081", &free_port().to_string());
    std::fs::write(folder.path().join("lacuna.toml"), snippet).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_lacuna"))
        .args(["sources", "test", "profiles", "event.bin"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(
        output.status.code(),
        Some(3),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
