//! Dead letters: listed by age and reason, and closed with a reason.

use std::sync::Arc;

use lacuna::{
    engine::prepare::Arrival,
    store::Origin,
    wire::{Channel, Envelope},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::fixture::{Api, api, command};

/// Takes in what comes from a topic and cannot be taken.
pub async fn refuse(api: &Api, offset: i64, text: &str) {
    let engine = &api.engine;
    let content = engine.intake().prepare_command(
        text.as_bytes(),
        &Envelope::bare(&engine.tenant_default),
        Channel::Commands,
    );
    assert!(content.is_err());
    let origin = Origin {
        cluster: Arc::from("test"),
        topic: Arc::from("lacuna.commands"),
        partition: 0,
        offset,
        incarnation: 0,
    };
    let arrival = Arrival {
        origin: Some(origin),
        content,
        raw: text.as_bytes().to_vec().into(),
        headers: lacuna::wire::KeptHeaders::default(),
        reading: None,
    };
    engine.intake().take_in(&[arrival]).await.unwrap();
}

#[tokio::test]
async fn dead_letters_are_listed_and_closed() {
    let api = api().await;
    for offset in 0..5 {
        refuse(&api, offset, "{").await;
        api.clock.advance(std::time::Duration::from_secs(10));
    }
    refuse(&api, 5, &command(json!({ "tenant": "a b" })).to_string()).await;
    let (mut offsets, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = api
            .get("ops", &format!("/v1/dead-letters?limit=2{cursor}"))
            .await
            .ok(200);
        offsets.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|letter| letter["offset"].as_i64().unwrap()),
        );
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(offsets, [0, 1, 2, 3, 4, 5], "the oldest first");
    let page = api.get("ops", "/v1/dead-letters?reason=schema").await.ok(200);
    let [letter] = page["items"].as_array().unwrap().as_slice() else {
        panic!("{page}")
    };
    let mut shown = letter.clone();
    shown.as_object_mut().unwrap().remove("id");
    assert_eq!(
        shown,
        json!({
            "reason": "schema", "type": "erase", "detail": "tenant: a tenant must match [A-Za-z0-9._-]{1,64}", "topic": "lacuna.commands",
            "partition": 0, "offset": 5, "at": "2026-11-21T12:00:50Z", "age_seconds": 0, "state": "open",
        })
    );
    let metrics = api.call(reqwest::Method::GET, None, "/metrics", None).await.text;
    for line in [
        "lacuna_dead_letters_open{reason=\"not_json\"} 5",
        "lacuna_dead_letters_open{reason=\"schema\"} 1",
        "lacuna_dead_letters_open{reason=\"internal\"} 0",
        "lacuna_dead_letter_oldest_open_seconds 50",
        "lacuna_dead_lettered_erasures_open 1",
        "lacuna_dead_lettered_erasure_oldest_open_seconds 0",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }

    let erasures = api.get("ops", "/v1/dead-letters?erasures=true").await.ok(200);
    assert_eq!(erasures["items"], page["items"]);
    let all = api.get("ops", "/v1/dead-letters?erasures=false").await.ok(200);
    assert_eq!(all["items"].as_array().unwrap().len(), 6);
    api.get("ops", "/v1/dead-letters?erasures=yes")
        .await
        .is(400, "schema");

    let close = format!("/v1/dead-letters/{}/close", letter["id"].as_str().unwrap());
    api.post("ops", &close, &json!({})).await.is(400, "schema");
    let closed = api
        .post("ops", &close, &json!({ "reason": "sent again by hand" }))
        .await
        .ok(200);
    assert_eq!(closed["state"], "closed");
    api.post("ops", &close, &json!({ "reason": "again" }))
        .await
        .is(409, "closed");
    let nothing = format!("/v1/dead-letters/{}/close", Uuid::now_v7());
    api.post("ops", &nothing, &json!({ "reason": "x" }))
        .await
        .is(404, "not_found");
    let page = api.get("ops", "/v1/dead-letters?reason=schema").await.ok(200);
    assert_eq!((&page["items"], &page["next_cursor"]), (&json!([]), &Value::Null));
}

/// The open letters, by how they are told from each other.
async fn offsets(api: &Api, query: &str) -> Vec<i64> {
    let page = api.get("ops", &format!("/v1/dead-letters?{query}")).await.ok(200);
    let items = page["items"].as_array().unwrap();
    items
        .iter()
        .map(|letter| letter["offset"].as_i64().unwrap())
        .collect()
}

#[tokio::test]
async fn letters_are_listed_by_age() {
    let api = api().await;
    for offset in 0..4 {
        refuse(&api, offset, "{").await;
        api.clock.advance(std::time::Duration::from_secs(3600));
    }
    assert_eq!(offsets(&api, "older_than=3h").await, [0, 1]);
    assert_eq!(offsets(&api, "older_than=5h").await, [0_i64; 0]);
    assert_eq!(offsets(&api, "older_than=0s&reason=not_json").await, [0, 1, 2, 3]);
    assert_eq!(offsets(&api, "older_than=2h&reason=schema").await, [0_i64; 0]);
    let page = api
        .get("ops", "/v1/dead-letters?older_than=2h&limit=2")
        .await
        .ok(200);
    let next = page["next_cursor"].as_str().unwrap();
    assert_eq!(
        offsets(&api, &format!("older_than=2h&limit=2&cursor={next}")).await,
        [2]
    );
    let bad = api.get("ops", "/v1/dead-letters?older_than=yesterday").await;
    bad.is(400, "schema");
    assert_eq!(bad.fields(), ["older_than"]);
}

#[tokio::test]
async fn a_letter_is_redriven_once_and_only_when_confirmed() {
    let api = api().await;
    let text = command(json!({ "tenant": "a b" })).to_string();
    refuse(&api, 0, &text).await;
    api.clock.advance(std::time::Duration::from_secs(1));
    refuse(&api, 1, "{").await;
    let page = api.get("ops", "/v1/dead-letters").await.ok(200);
    let id = page["items"][0]["id"].as_str().unwrap().to_owned();
    let redrive = format!("/v1/dead-letters/{id}/redrive");
    for bearer in ["audit", "dpo", "crm"] {
        api.post(bearer, &redrive, &json!({})).await.is(403, "forbidden");
    }
    // What nobody has confirmed stays open.
    *api.redriven.refusing.lock().unwrap() = Some(("the broker is away", false));
    api.post("ops", &redrive, &json!({})).await.is(503, "unavailable");
    *api.redriven.refusing.lock().unwrap() = Some(("these topics do not exist: old", true));
    let missing = api.post("ops", &redrive, &json!({})).await;
    missing.is(409, "no_topic");
    assert!(
        missing.text.contains("these topics do not exist"),
        "{}",
        missing.text
    );
    assert_eq!(offsets(&api, "").await, [0, 1]);
    *api.redriven.refusing.lock().unwrap() = None;

    let done = api
        .post("ops", &redrive, &json!({ "reason": "the registry is mended" }))
        .await
        .ok(200);
    assert_eq!(
        (&done["state"], &done["redriven_to"]),
        (&json!("redriven"), &json!("lacuna.commands/0/100"))
    );
    let taken = std::mem::take(&mut *api.redriven.taken.lock().unwrap());
    assert_eq!(taken, [("lacuna.commands".to_owned(), Vec::new(), text)]);
    assert_eq!(offsets(&api, "").await, [1]);
    api.post("ops", &redrive, &json!({})).await.is(409, "closed");
    assert!(api.redriven.taken.lock().unwrap().is_empty(), "it went once");
    let nothing = format!("/v1/dead-letters/{}/redrive", Uuid::now_v7());
    api.post("ops", &nothing, &json!({})).await.is(404, "not_found");
}
