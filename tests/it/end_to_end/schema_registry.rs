//! Events behind the ids of schemas, with a real schema registry: Apicurio Registry by the interface of Confluent's.

use std::{path::Path, process::Command, time::Duration};

use serde_json::{Value, json};

use super::{kafka::Publisher, sources::Shop};
use crate::{
    forwarder::Forwarder,
    support::{Program, StoreKind, free_port, service, wait_for},
};

const LONG: Duration = Duration::from_secs(120);

/// A registry that runs for one test.
struct SchemaRegistry {
    port: u16,
    _program: Program,
}

fn calls<T>(call: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(call)
}

impl SchemaRegistry {
    fn start() -> Self {
        let port = free_port();
        let folder = service("LACUNA_TEST_SCHEMA_REGISTRY");
        let mut command = Command::new(Path::new(&folder).join("start"));
        command.arg(port.to_string()).stdout(std::process::Stdio::null());
        let registry = Self {
            port,
            _program: Program::start(&mut command),
        };
        wait_for("the schema registry answers", LONG, || {
            calls(async {
                reqwest::get(format!("{}/subjects", registry.url(port)))
                    .await
                    .ok()
            })
            .filter(|answer| answer.status().is_success())
        });
        registry
    }

    /// Where it is, through this port.
    fn url(&self, port: u16) -> String {
        format!("http://127.0.0.1:{port}/apis/ccompat/v7")
    }

    /// Registers a schema; its id.
    fn register(&self, subject: &str, schema: &Value) -> u32 {
        let url = format!("{}/subjects/{subject}/versions", self.url(self.port));
        let answer: Value = calls(async {
            let call = reqwest::Client::new().post(url).json(schema);
            call.send().await.unwrap().json().await.unwrap()
        });
        u32::try_from(answer["id"].as_u64().unwrap_or_else(|| panic!("{answer}"))).unwrap()
    }
}

fn framed(id: u32, event: &[u8]) -> Vec<u8> {
    [&[0], id.to_be_bytes().as_slice(), event].concat()
}

/// A number in Avro's zigzag coding, below 64.
fn small(number: u8) -> u8 {
    number * 2
}

const AVRO: &str = r#"{"type":"record","name":"AccountDeleted","namespace":"shop","fields":[
    {"name":"customer_id","type":"long"},{"name":"email","type":["null","string"],"default":null}]}"#;

fn avro_event(customer: u8, email: &str) -> Vec<u8> {
    let mut event = vec![
        small(customer),
        small(1),
        small(u8::try_from(email.len()).unwrap()),
    ];
    event.extend_from_slice(email.as_bytes());
    event
}

fn keys(url: &str) -> String {
    format!(
        "schema_registry = \"{url}\"\ncommand = {{ type = \"erase\" }}\n\
         map = {{ \"identity.customer_id\" = \"/customer_id\", \"identity.email\" = \"/email\" }}"
    )
}

#[test]
fn events_of_all_three_formats_are_read_by_a_real_registry() {
    let registry = SchemaRegistry::start();
    let avro = registry.register("shop-avro-value", &json!({ "schema": AVRO }));
    let person =
        "syntax = \"proto3\"; package common; message Person { int64 customer_id = 1; string email = 2; }";
    registry.register(
        "common-person",
        &json!({ "schemaType": "PROTOBUF", "schema": person }),
    );
    let proto = "syntax = \"proto3\"; package shop; import \"common/person.proto\"; message Created { string id = 1; } \
                 message Deleted { common.Person person = 1; }";
    let reference = json!([{ "name": "common/person.proto", "subject": "common-person", "version": 1 }]);
    let proto = registry.register(
        "shop-proto-value",
        &json!({ "schemaType": "PROTOBUF", "schema": proto, "references": reference }),
    );
    let plain = r#"{"type":"object","properties":{"customer_id":{"type":"integer"}}}"#;
    let plain = registry.register(
        "shop-json-value",
        &json!({ "schemaType": "JSON", "schema": plain }),
    );

    let url = registry.url(registry.port);
    // The second message of its file, whose person has the number 9.
    let deleted = [2, 2, 0x0a, 0x02, 0x08, 0x09];
    let cases: [(&str, Vec<u8>, u32, &str); 3] = [
        ("registry-avro", avro_event(7, "a@b.cd"), avro, ""),
        ("registry-protobuf", deleted.to_vec(), proto, "/person"),
        ("registry-json", br#"{"customer_id":8}"#.to_vec(), plain, ""),
    ];
    for (format, event, id, below) in cases {
        let keys = keys(&url).replace("\"/customer_id", &format!("\"{below}/customer_id"));
        let shop = Shop::new(StoreKind::Sqlite, 1, format, &keys);
        let worker = shop.deployment.serve();
        let publisher = Publisher::new();
        publisher.publish(&shop.topic, None, &framed(id, &event));
        // An id that nobody has given, and what no client of a registry has written.
        publisher.publish(&shop.topic, None, &framed(99_999, &event));
        publisher.publish(&shop.topic, None, br#"{"customer_id":8}"#);
        publisher.flush();
        shop.wait_for_requests(1);
        shop.wait_for_count("dead_lettered", 2.0);
        let listed = shop.deployment.lacuna_ok(&["dead-letters", "list", "--json"]);
        assert!(
            listed.contains("the schema registry has no schema with the id 99999"),
            "{format}: {listed}"
        );
        let example = shop.deployment.path("event.bin");
        std::fs::write(&example, framed(id, &event)).unwrap();
        let tested = shop
            .deployment
            .lacuna_ok(&["sources", "test", "shop", "event.bin", "--json"]);
        let tested: Value = serde_json::from_str(&tested).unwrap();
        assert_eq!(tested["result"], "taken", "{tested}");
        assert!(
            shop.deployment
                .lacuna_ok(&["check", "--connect"])
                .contains("answers")
        );
        worker.stop();
    }
}

#[test]
fn registry_that_is_away_holds_its_topic_and_loses_nothing() {
    let registry = SchemaRegistry::start();
    let id = registry.register("shop-value", &json!({ "schema": AVRO }));
    let between = Forwarder::to(registry.port);
    between.lead_nowhere();
    let shop = Shop::new(
        StoreKind::Sqlite,
        1,
        "registry-avro",
        &keys(&registry.url(between.port())),
    );
    let worker = shop.deployment.start();
    let publisher = Publisher::new();
    for n in 1..=20 {
        publisher.publish(&shop.topic, None, &framed(id, &avro_event(n, "a@b.cd")));
    }
    publisher.flush();
    let why = wait_for("the worker says that it waits", LONG, || {
        shop.deployment
            .get("/readyz")
            .filter(|(status, why)| *status == 503 && why.contains("schema registry"))
    });
    assert!(why.1.contains(&shop.topic), "{}", why.1);
    // Commands go on meanwhile.
    let command = json!({ "command_id": uuid::Uuid::now_v7(), "type": "erase",
        "subject": { "identities": [{ "type": "email", "value": "ann@example.org" }] } });
    publisher.publish(
        &shop.deployment.topic("commands"),
        None,
        command.to_string().as_bytes(),
    );
    publisher.flush();
    shop.wait_for_requests(1);
    assert_eq!(shop.counted("dead_lettered"), 0.0);
    between.lead_to(registry.port);
    shop.wait_for_requests(21);
    shop.deployment.wait_until_ready(shop.deployment.http);
    worker.stop();
}
