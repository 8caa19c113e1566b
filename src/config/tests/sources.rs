//! `[[source]]`: what a source can be, and the exact words of every mistake.

use super::{bad_config::check, *};
use crate::{
    config::{Inlet, Scheme},
    domain::{source::Format, words::CommandKind},
};

/// CONTRACT.md's example.
const SAMPLE: &str = r#"
[[source]]
name = "accounts"
topic = "shop.accounts"
format = "json"
when = { "/type" = "account.deleted" }
command = { type = "erase", reason = "account_closed", tenant = "acme" }
map = { command_id = "/id", requested_at = "/time", "identity.customer_id" = "/data/customerId", "identity.email" = "/data/email", "anchor.account_closed_at" = "/time" }
"#;

/// The sample with one of its lines replaced.
fn with(key: &str, line: &str) -> String {
    let lines = SAMPLE.lines().map(|old| {
        let is_it = old.starts_with(&format!("{key} ="));
        if is_it { line } else { old }
    });
    lines.collect::<Vec<&str>>().join("\n")
}

fn over_http(signature: &str) -> String {
    let http = format!("http = {{ path = \"/v1/sources/accounts\", signature = {{ {signature} }} }}");
    with("topic", &http)
}

#[test]
fn contract_example_is_read() {
    let config = config(SAMPLE).unwrap();
    let [source] = config.sources.as_slice() else {
        panic!("{:?}", config.sources);
    };
    assert_eq!(
        (source.name(), source.topic()),
        ("accounts", Some("shop.accounts"))
    );
    let definition = &source.definition;
    assert_eq!(
        (definition.format, definition.template.kind),
        (Format::Json, CommandKind::Erase)
    );
    let map: Vec<String> = definition
        .map
        .iter()
        .map(|mapping| format!("{}={}", mapping.target, mapping.place))
        .collect();
    assert_eq!(
        map,
        [
            "command_id=/id",
            "requested_at=/time",
            "identity.customer_id=/data/customerId",
            "identity.email=/data/email",
            "anchor.account_closed_at=/time"
        ]
    );
}

#[test]
fn tables_in_map_say_the_same_as_dotted_names() {
    let table = with(
        "map",
        "map = { command_id = \"/id\", identity = { email = \"/e\" }, scope = { purposes = \"/p\" } }",
    );
    let map = config(&table).unwrap().sources[0].definition.map.clone();
    let targets: Vec<String> = map.iter().map(|mapping| mapping.target.to_string()).collect();
    assert_eq!(targets, ["command_id", "identity.email", "scope.purposes"]);
}

#[test]
fn every_scheme_is_read_with_its_secrets() {
    let cases = [
        (
            "scheme = 'standard-webhooks', secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'",
            Scheme::StandardWebhooks,
            1,
        ),
        (
            "scheme = 'standard-webhooks', secret = 'whpk_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc='",
            Scheme::StandardWebhooks,
            1,
        ),
        (
            "scheme = 'hmac-sha256-hex', header = 'X-Signature', secret = ['env:SHORT', 'another-one']",
            Scheme::HmacSha256Hex,
            2,
        ),
        (
            "scheme = 'hmac-sha256-base64', header = 'X-Shopify-Hmac-Sha256', secret = 'env:CRM_TOKEN'",
            Scheme::HmacSha256Base64,
            1,
        ),
        (
            "scheme = 'hmac-sha1-hex', header = 'X-Signature', secret = 'env:CRM_TOKEN'",
            Scheme::HmacSha1Hex,
            1,
        ),
        (
            "scheme = 'token', header = 'Authorization', prefix = 'Bearer ', secret = 'env:CRM_TOKEN'",
            Scheme::Token,
            1,
        ),
    ];
    for (signature, scheme, secrets) in cases {
        let config = config(&over_http(signature)).unwrap();
        let Inlet::Http(http) = &config.sources[0].inlet else {
            panic!("{signature}");
        };
        assert_eq!(
            (http.signature.scheme, http.signature.secrets.len()),
            (scheme, secrets)
        );
        assert_eq!(http.path, "/v1/sources/accounts");
    }
}

#[test]
fn mistake_in_a_place_names_source_and_key() {
    let expected_pointer = "expected a JSON pointer, which begins with /, such as /data/customerId, or header: and a header's \
                            name, or key: for the record's key";
    check(&[
        (
            &with("when", "when = { type = \"account.deleted\" }"),
            &format!("6: source \"accounts\": when.type: {expected_pointer}"),
        ),
        (
            &with("map", "map = { \"identity.email\" = \"$.email\" }"),
            &format!("8: source \"accounts\": map.\"identity.email\": {expected_pointer}"),
        ),
        (
            &with("map", "map = { \"identity.email\" = \"/a~b\" }"),
            "8: source \"accounts\": map.\"identity.email\": expected a JSON pointer, in which ~ is written ~0 and / is written ~1",
        ),
        (
            &with("map", "map = { command_id = \"/id\" }"),
            "8: source \"accounts\": map: no identity is mapped, so nobody would know whose data it is: expected one such as \
             \"identity.customer_id\" = \"/data/customerId\"",
        ),
        (
            &with("map", "map = { \"identity.email\" = \"/e\", kind = \"/k\" }"),
            "8: source \"accounts\": map.kind: unknown field of a command; expected command_id, request_id, tenant, reason, region, \
             regime, requested_at, not_before, at, identity.TYPE, anchor.NAME, scope.purposes, scope.categories, scope.processors \
             or metadata.NAME",
        ),
        (
            &with("when", "when = { \"/type\" = [] }"),
            "6: source \"accounts\": when.\"/type\": expected at least one value",
        ),
    ]);
}

#[test]
fn place_that_is_anothers_is_refused() {
    let twice = format!("{SAMPLE}{SAMPLE}");
    check(&[
        (
            &twice,
            "11: source \"accounts\": name: another source has this name",
        ),
        (
            &with("topic", "topic = \"lacuna.commands\""),
            "4: source \"accounts\": topic: it is Lacuna's own topic kafka.topics.commands: a source has one of its upstream's",
        ),
        (
            &with("topic", "topic = \"lacuna.tasks.crm\""),
            "4: source \"accounts\": topic: it begins with kafka.topics.tasks_prefix: it could be a processor's topic",
        ),
        (
            &with("topic", ""),
            "2: source \"accounts\": topic: missing: where its events come from, a topic or http = { path, signature }",
        ),
        (
            &with("topic", "topic = \"shop\"\nhttp = { path = \"/hooks/a\" }"),
            "5: source \"accounts\": http: a source has either topic or http",
        ),
    ]);
    let http = over_http("scheme = 'token', header = 'A', secret = 'env:CRM_TOKEN'");
    check(&[(
        &format!(
            "{http}{}",
            http.replace("name = \"accounts\"", "name = \"others\"")
        ),
        "11: source \"others\": http: source \"accounts\" has this path",
    )]);
}

#[test]
fn mistake_in_a_signature_names_its_key() {
    check(&[
        (
            &with("topic", "http = { path = \"/hooks/a\" }"),
            "4: source \"accounts\": http.signature: missing: without one, whoever reaches the listener could order erasures",
        ),
        (
            &over_http("scheme = 'hmac-sha256-hex', header = 'A', secret = 'env:NOT_THERE'"),
            "4: source \"accounts\": http.signature.secret: the environment variable NOT_THERE is not set",
        ),
        (
            &over_http("scheme = 'hmac-sha256-hex', header = 'A'"),
            "4: source \"accounts\": http.signature.secret: missing",
        ),
        (
            &over_http("scheme = 'hmac-sha256-hex', secret = 'env:CRM_TOKEN'"),
            "4: source \"accounts\": http.signature.header: missing: the header that the signature is in",
        ),
        (
            &over_http("scheme = 'hmac-sha256-hex', header = 'A', secret = 'short'"),
            "4: source \"accounts\": http.signature.secret: expected at least 8 characters: a shorter secret is guessed",
        ),
    ]);
    let path = "expected a path such as /v1/sources/accounts: below /v1/sources/, /sources/, /webhooks/ or /hooks/, of letters, \
                digits and - . _ ~";
    for wrong in [
        "/v1/requests",
        "/hooks/",
        "/hooks/../metrics",
        "/hooks/{id}",
        "hooks/a",
    ] {
        let http = format!(
            "http = {{ path = \"{wrong}\", signature = {{ scheme = 'token', header = 'A', secret = 'env:CRM_TOKEN' }} }}"
        );
        check(&[(
            &with("topic", &http),
            &format!("4: source \"accounts\": http.path: {path}"),
        )]);
    }
}

#[test]
fn debezium_needs_a_condition_and_a_registry_its_address() {
    let debezium =
        with("format", "format = \"debezium\"").replace("when = { \"/type\" = \"account.deleted\" }", "");
    check(&[
        (
            &debezium,
            "2: source \"accounts\": when: missing: without it every row that is inserted would be an erasure; expected a \
             condition such as when = { \"/op\" = \"d\" }",
        ),
        (
            &with("format", "format = \"registry-avro\""),
            "2: source \"accounts\": schema_registry: missing: the address of the registry that has the schemas, such as \
             \"http://localhost:8081\"",
        ),
        (
            &with(
                "format",
                "format = \"json\"\nschema_registry = \"http://localhost:8081\"",
            ),
            "6: source \"accounts\": schema_registry: events of format \"json\" name no schemas: leave it out",
        ),
        (
            &with("command", "command = { type = \"hold\" }"),
            "7: source \"accounts\": command.type: expected one of: erase, anonymize, cancel, reactivated",
        ),
    ]);
    let known = with(
        "format",
        "format = \"registry-avro\"\nschema_registry = \"http://localhost:8081/\"",
    );
    let registry = config(&known).unwrap().sources[0].registry.clone();
    assert_eq!(
        registry.map(|registry| registry.url).as_deref(),
        Some("http://localhost:8081")
    );
}

const HMAC: &str = "scheme = 'hmac-sha256-base64', header = 'X-Hmac', secret = 'env:CRM_TOKEN'";
const STANDARD: &str = "scheme = 'standard-webhooks', secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'";
const TOKEN: &str = "scheme = 'token', header = 'Authorization', secret = 'env:CRM_TOKEN'";

/// A call over HTTP that reads this header for its name.
fn named_by(signature: &str, header: &str) -> String {
    let map = format!("map = {{ command_id = \"header:{header}\", \"identity.email\" = \"/email\" }}");
    over_http(signature).replace(SAMPLE.lines().find(|line| line.starts_with("map")).unwrap(), &map)
}

#[test]
fn header_that_no_signature_covers_is_not_read() {
    let advice = "so whoever has seen one call could send it again with another header; decide by what the body says, such as \
                  { \"/field\" = { present = true } }, and give each kind of event a path";
    check(&[
        (
            &named_by(HMAC, "X-Shopify-Webhook-Id"),
            &format!(
                "8: source \"accounts\": map: header:x-shopify-webhook-id: the signature (hmac-sha256-base64) covers only the body, \
                 {advice}"
            ),
        ),
        (
            &over_http(HMAC).replace("\"/type\" =", "\"header:X-Topic\" ="),
            &format!(
                "6: source \"accounts\": when: header:x-topic: the signature (hmac-sha256-base64) covers only the body, {advice}"
            ),
        ),
        (
            &named_by(STANDARD, "X-Event-Id"),
            &format!(
                "8: source \"accounts\": map: header:x-event-id: the signature (standard-webhooks) covers only webhook-id, \
                 webhook-timestamp and the body, {advice}"
            ),
        ),
    ]);
    for covered in [
        named_by(STANDARD, "Webhook-Id"),
        named_by(TOKEN, "X-Event-Id"),
        SAMPLE.replace("\"/id\"", "\"header:id\""),
    ] {
        config(&covered).unwrap();
    }
}

#[test]
fn condition_may_ask_whether_something_is_there() {
    let read = config(&with(
        "when",
        "when = { \"/a\" = { present = true }, \"/b\" = { present = false }, \"/c\" = [1, true] }",
    ));
    let when = read.unwrap().sources[0].definition.when.clone();
    let shown: Vec<String> = when
        .iter()
        .map(|c| format!("{} = {}", c.place, c.wanted))
        .collect();
    assert_eq!(shown, ["/a = anything", "/b = nothing", "/c = 1 or true"]);
    check(&[(
        &with("when", "when = { \"/a\" = { is = true } }"),
        "6: source \"accounts\": when.\"/a\".is: unknown key; known here: present\n\
             lacuna.toml:6: source \"accounts\": when.\"/a\".present: missing",
    )]);
}

#[test]
fn tombstones_are_read_by_their_keys_alone() {
    let only = |when: &str, map: &str| {
        with("when", &format!("tombstones = \"only\"\n{when}"))
            .replace(SAMPLE.lines().find(|line| line.starts_with("map")).unwrap(), map)
    };
    let right = only("", "map = { \"identity.customer_id\" = \"key:/id\" }");
    assert_eq!(
        config(&right).unwrap().sources[0].definition.tombstones,
        crate::domain::source::Tombstones::Only
    );
    check(&[
        (
            &only("", "map = { \"identity.customer_id\" = \"/id\" }"),
            "9: source \"accounts\": map: /id: a tombstone has no value to look into: expected key:, key:/… or header:…",
        ),
        (
            &over_http(TOKEN).replace("\"/id\"", "\"key:\""),
            "8: source \"accounts\": map: key:: a call has no key: only records of a topic have one",
        ),
        (
            &with("format", "format = \"json\"\ntombstones = \"take\""),
            "6: source \"accounts\": tombstones: expected one of: skip, only",
        ),
    ]);
}
