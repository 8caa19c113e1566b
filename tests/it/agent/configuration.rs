//! `agent.toml`: what is wrong is said with its line.

use std::path::Path;

use lacuna::config::{Agent, AgentPlace, AgentSource};

const START: &str =
    "processor = 'shop-db'\n[source]\nhttp = { url = 'http://127.0.0.1:1', token = 'env:TOKEN' }\n";

fn read(text: &str) -> Result<Agent, String> {
    let environment = |name: &str| (name == "TOKEN").then(|| "hidden".into());
    Agent::read_text("agent.toml", Path::new("/srv"), text, &environment)
        .map_err(|problems| problems.to_string())
}

#[test]
fn example_of_the_contract_is_read() {
    let text = format!(
        r#"{START}
[sql]
url = "postgres://localhost/shop"
chunk = 1000
hmac = {{ key = "0123456789abcdef0123456789abcdef" }}
[[sql.table]]
name = "orders"
match = {{ customer_id = "customer_id" }}
category = "orders"
action = {{ anonymize = {{ email = "null", name = {{ replace = "removed" }}, phone = "hmac", born = {{ generalize = "year" }}, zip = {{ generalize = "prefix:3" }} }} }}
[[sql.table]]
name = "order_items"
through = {{ parent = "orders", column = "order_id", parent_column = "id" }}
action = "delete"
"#
    );
    let agent = read(&text).unwrap();
    assert_eq!(agent.batch, 500);
    let AgentPlace::Sql(sql) = &agent.place else {
        panic!("{agent:?}")
    };
    assert_eq!((sql.chunk, sql.tables.len()), (1000, 2));
    assert!(!format!("{agent:?}").contains("hidden"), "no secret is shown");
    let kafka = "processor = 'a'\n[source]\nkafka = { bootstrap_servers = 'k:9092' }\n[command]\nrun = ['./erase']\ntimeout = '10m'\n";
    let agent = read(kafka).unwrap();
    let AgentSource::Kafka(source) = &agent.source else {
        panic!("{agent:?}")
    };
    assert_eq!(
        (source.topic.as_str(), source.group_id.as_str(), agent.batch),
        ("lacuna.tasks.a", "lacuna-agent-a", 1)
    );
}

#[test]
fn mistakes_are_named_with_their_lines() {
    let sql = |tables: &str| format!("{START}[sql]\nurl = 'sqlite:x'\n{tables}");
    let table = "[[sql.table]]\nname = 't'\n";
    for (text, says) in [
        (String::new(), "processor: missing"),
        (
            START.to_owned(),
            "expected one of [sql], [objects], [kafka_topics] and [command]",
        ),
        (
            format!("{START}[objects]\nurl = 'gs://b'\nprefixes = ['u/{{customer_id}}/']\n"),
            "objects.url: not built yet",
        ),
        (
            format!("{START}[objects]\nurl = 's3://b'\nprefixes = ['u/{{customer_id}}/']\n"),
            "objects.access_key: missing",
        ),
        (
            format!("{START}[objects]\nurl = 'file:///x'\nprefixes = ['u/{{customer_id}}']\n"),
            "begins with users/42",
        ),
        (
            format!("{START}[objects]\nurl = 'file:///x'\nprefixes = ['u/']\n"),
            "at least one place",
        ),
        (
            format!("{START}[objects]\nurl = 'file:///x'\nprefixes = ['../{{customer_id}}/']\n"),
            "without . and ..",
        ),
        (format!("{START}[mongodb]\n"), "mongodb: unknown key"),
        (
            format!("{START}[command]\nrun = []\n"),
            "command.run: expected the program",
        ),
        (
            format!("{START}[command]\nrun = ['a']\n[sql]\n"),
            "expected one of",
        ),
        (
            START.replace("env:TOKEN", "env:NONE") + "[command]\nrun = ['a']\n",
            "NONE is not set",
        ),
        (
            START.replace("http://127.0.0.1:1", "ftp://x") + "[command]\nrun = ['a']\n",
            "source.http.url: expected the address",
        ),
        (
            format!("{START}[sql]\nurl = 'oracle://x'\n{table}"),
            "sql.url: expected postgres",
        ),
        (sql(""), "sql.table: missing"),
        (
            sql(&format!("{table}action = 'delete'\n")),
            "match: expected match or through",
        ),
        (
            sql(&format!("{table}match = {{ a = 'A' }}\naction = 'delete'\n")),
            "an identity type must match",
        ),
        (
            sql(&format!("{table}match = {{ a = 'a' }}\naction = 'burn'\n")),
            "expected one of: delete",
        ),
        (
            sql(&format!(
                "{table}match = {{ a = 'a' }}\naction = {{ anonymize = {{ b = 'hmac' }} }}\n"
            )),
            "hmac needs a key",
        ),
        (
            sql(&format!(
                "{table}match = {{ a = 'a' }}\naction = {{ anonymize = {{ b = {{ generalize = 'prefix:0' }} }} }}\n"
            )),
            "prefix:N",
        ),
        (
            sql(&format!(
                "{table}through = {{ parent = 'u', column = 'a', parent_column = 'b' }}\naction = 'delete'\n"
            )),
            "there is no [[sql.table]] named u",
        ),
        (
            sql(&format!(
                "{table}through = {{ parent = 't', column = 'a', parent_column = 'b' }}\naction = 'delete'\n"
            )),
            "leads back",
        ),
        (
            sql(&format!(
                "hmac = {{ key = 'short' }}\n{table}match = {{ a = 'a' }}\naction = 'delete'\n"
            )),
            "32 bytes",
        ),
        (
            format!(
                "{START}[kafka_topics]\nbootstrap_servers = 'k'\ncompacted = [{{ topic = 't', key = 'all' }}]\n"
            ),
            "at least one place",
        ),
        (
            format!("{START}[kafka_topics]\nbootstrap_servers = 'k'\n"),
            "expected at least one topic",
        ),
    ] {
        let problems = read(&text).expect_err(&text);
        assert!(problems.contains(says), "{text}\n{says}\n{problems}");
        assert!(!problems.contains("hidden"));
    }
}
