//! A schema registry that comes and goes in the middle of a topic. It is an imitation, which answers as Confluent's does: the
//! real one is in `tests/it/end_to_end/schema_registry.rs`.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
};

use lacuna::{
    domain::words::DeadLetterReason,
    engine::{Engine, prepare::PreparedCommand},
    kafka::{
        batch_processor::{Reading, Work as _},
        sources::Sources,
    },
};
use serde_json::json;

use super::{record, stage};
use crate::{forwarder::Forwarder, schedules::world::World, store::fixture::Fixture};

on_both_stores!(
    registry_away_in_the_middle_holds_its_event_and_counts_nothing,
    registry_that_answers_says_nothing_of_another_one,
    schema_that_is_too_large_is_a_dead_letter_and_holds_nothing,
    event_of_two_formats_goes_to_the_source_that_reads_it,
);

const AVRO: &str = r#"{"type":"record","name":"Gone","fields":[{"name":"customer_id","type":"long"}]}"#;

/// The id of a schema that no answer has room for.
const LARGE: u32 = 9;

/// Answers one call with its schema, or that there is none.
fn answer(mut connection: TcpStream) {
    let mut asked = Vec::new();
    let mut byte = [0];
    while !asked.ends_with(b"\r\n\r\n") {
        match connection.read(&mut byte) {
            Ok(1) => asked.push(byte[0]),
            _ => return,
        }
    }
    let asked = String::from_utf8(asked).unwrap();
    let path = asked.split(' ').nth(1).unwrap();
    let (status, body) = match path {
        "/schemas/ids/1" | "/schemas/ids/2" => ("200 OK", json!({ "schema": AVRO })),
        "/schemas/ids/9" => ("200 OK", json!({ "schema": "x".repeat(5 << 20) })),
        _ => (
            "404 Not Found",
            json!({ "error_code": 40403, "message": "Schema not found" }),
        ),
    };
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    // Whoever has read enough hangs up.
    let _sent = connection
        .write_all(head.as_bytes())
        .and_then(|()| connection.write_all(body.as_bytes()));
}

/// A registry, and the way to it.
struct Registry {
    way: Forwarder,
    port: u16,
}

impl Registry {
    fn goes(&self) {
        self.way.lead_nowhere();
    }

    fn is_back(&self) {
        self.way.lead_to(self.port);
    }
}

fn registry() -> Registry {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            std::thread::spawn(move || answer(connection));
        }
    });
    let way = Forwarder::to(port);
    Registry { way, port }
}

fn source(name: &str, registry: &Registry, keys: &str) -> String {
    format!(
        "[[source]]\nname = \"{name}\"\ntopic = \"shop.accounts\"\nformat = \"registry-avro\"\n\
         schema_registry = \"http://127.0.0.1:{}\"\n{keys}command = {{ type = \"erase\", tenant = \"acme\" }}\n\
         map = {{ \"identity.customer_id\" = \"/customer_id\" }}\n",
        registry.way.port()
    )
}

fn framed(id: u32) -> Vec<u8> {
    [&[0], id.to_be_bytes().as_slice(), &[0x54]].concat()
}

fn read(engine: &Engine, stage: &Sources, offset: i64, value: &[u8]) -> Reading<PreparedCommand> {
    // Calls are made on the polling thread, which is none of the runtime's.
    tokio::task::block_in_place(|| stage.read(&record(offset, value), 0, &engine.tenant_default))
}

fn waits(engine: &Engine) -> Vec<String> {
    let problems = engine.troubles.problems();
    problems.into_iter().map(|(name, _)| name.to_owned()).collect()
}

fn counted(engine: &Engine, source: &str, result: &str) -> bool {
    let series = format!("lacuna_source_events_total{{result=\"{result}\",source=\"{source}\"}} 1\n");
    engine.metrics.text().unwrap().contains(&series)
}

async fn registry_away_in_the_middle_holds_its_event_and_counts_nothing(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let registry = registry();
    let stage = stage(&engine, &source("shop", &registry, ""));
    let first = read(&engine, &stage, 0, &framed(1));
    assert!(matches!(first, Reading::Message(Ok(_))), "{first:?}");
    registry.goes();
    // What is known is read on; the first event with a new schema waits, however often it is tried.
    assert!(matches!(
        read(&engine, &stage, 1, &framed(1)),
        Reading::Message(Ok(_))
    ));
    for _ in 0..3 {
        assert!(matches!(read(&engine, &stage, 2, &framed(2)), Reading::NotNow));
        assert_eq!(waits(&engine), ["schema registry of shop.accounts"]);
    }
    assert!(
        !engine
            .metrics
            .text()
            .unwrap()
            .contains("result=\"dead_lettered\"")
    );
    registry.is_back();
    let back = read(&engine, &stage, 2, &framed(2));
    assert!(matches!(back, Reading::Message(Ok(_))), "{back:?}");
    assert_eq!(waits(&engine), Vec::<String>::new());
}

async fn registry_that_answers_says_nothing_of_another_one(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let (here, away) = (registry(), registry());
    away.goes();
    let sources = [
        source("first", &here, "when = { \"/customer_id\" = 7 }\n"),
        source("second", &away, ""),
    ];
    let stage = stage(&engine, &sources.concat());
    for _ in 0..3 {
        assert!(matches!(read(&engine, &stage, 0, &framed(1)), Reading::NotNow));
        assert_eq!(
            waits(&engine),
            ["schema registry of shop.accounts"],
            "it does not flap"
        );
    }
    away.is_back();
    let read = read(&engine, &stage, 0, &framed(1));
    assert!(matches!(read, Reading::Message(Ok(_))), "{read:?}");
    assert!(waits(&engine).is_empty());
    assert!(
        counted(&engine, "first", "skipped"),
        "once, however often it was tried"
    );
}

async fn schema_that_is_too_large_is_a_dead_letter_and_holds_nothing(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let registry = registry();
    let stage = stage(&engine, &source("shop", &registry, ""));
    let Reading::Message(Err(refused)) = read(&engine, &stage, 0, &framed(LARGE)) else {
        panic!("it is no dead letter");
    };
    assert_eq!(refused.reason, DeadLetterReason::Unmapped);
    assert_eq!(
        refused.detail,
        "the schema with the id 9, or one that it refers to, is larger than 4 MiB"
    );
    assert!(refused.asks.is_some(), "an erasure is owed to somebody");
    assert!(counted(&engine, "shop", "dead_lettered"));
    assert!(matches!(
        read(&engine, &stage, 1, &framed(1)),
        Reading::Message(Ok(_))
    ));
}

async fn event_of_two_formats_goes_to_the_source_that_reads_it(fixture: Fixture) {
    let world = World::new(fixture).await;
    let engine = world.worker().await;
    let registry = registry();
    let before = "[[source]]\nname = \"before\"\ntopic = \"shop.accounts\"\nformat = \"json\"\n\
                  command = { type = \"erase\", tenant = \"acme\" }\nmap = { \"identity.customer_id\" = \"/id\" }\n";
    // An upstream that has gone over from JSON to Avro in the middle of its topic.
    for sources in [
        [before.to_owned(), source("since", &registry, "")],
        [source("since", &registry, ""), before.to_owned()],
    ] {
        let stage = stage(&engine, &sources.concat());
        for value in [framed(1), b"{\"id\":\"c-1\"}".to_vec()] {
            let read = read(&engine, &stage, 0, &value);
            assert!(matches!(read, Reading::Message(Ok(_))), "{read:?}");
        }
        let broken = read(&engine, &stage, 1, b"{");
        assert!(matches!(broken, Reading::Message(Err(_))), "{broken:?}");
    }
}
