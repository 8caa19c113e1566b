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
