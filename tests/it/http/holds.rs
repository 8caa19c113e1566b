//! Legal holds over HTTP: placed, listed, released.

use std::collections::BTreeSet;

use lacuna::{
    domain::{
        fact::Fact,
        hold::Hold,
        ids::{HoldId, RequestId, Tenant},
        time::At,
        words::HoldBasis,
    },
    store::{Gate, NewFact, Transactions as _},
};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::fixture::{Api, ack, keepers};

/// Places a hold under a name of its own.
async fn place(api: &Api, with: Value) -> Value {
    api.post("dpo", "/v1/holds", &hold(with)).await.ok(201)
}

fn hold(with: Value) -> Value {
    let mut hold = json!({ "command_id": Uuid::now_v7(), "basis": "dispute" });
    for (name, value) in with.as_object().unwrap() {
        hold[name] = value.clone();
    }
    hold
}

fn subject() -> Value {
    json!({ "identities": [{ "type": "email", "value": "Ann@Example.org" }] })
}

async fn release(api: &Api, path: &str) -> super::fixture::Reply {
    api.call(Method::DELETE, Some("dpo"), &format!("/v1/holds/{path}"), None)
        .await
}

#[tokio::test]
async fn a_hold_keeps_back_what_was_not_sent_and_says_what_was() {
    let api = keepers().await;
    let id = api.submit(json!({})).await;
    let task = api.task_message(id, "crm").await;
    let placed = place(&api, json!({ "subject": subject(), "note": "case 7" })).await;
    let hold_id = placed["hold_id"].as_str().unwrap().to_owned();
    assert_eq!(
        placed,
        json!({
            "hold_id": hold_id, "tenant": "default", "basis": "dispute", "placed_at": "2026-11-21T12:00:00Z",
            "placed_by": "dpo", "by_subject": true, "request_id": null, "processor": null, "categories": [],
            "active": true, "requests_found": 1, "truncated": false,
            "already_dispatched": [{ "request_id": id, "task_id": task["task_id"], "processor": "crm",
                                     "state": "dispatched" }],
        })
    );
    // What was sent is answered all the same; what comes after it is held.
    api.post("crm", "/v1/acks", &ack(&task, json!({}))).await.ok(200);
    let path = format!("/v1/requests/{id}");
    let detail = api.get("dpo", &path).await.ok(200);
    assert_eq!(
        detail["holds"],
        json!([{ "hold_id": hold_id, "basis": "dispute" }])
    );
    let stats = &detail["task_list"][1];
    assert_eq!(
        (&stats["state"], &stats["why"], &stats["part"]),
        (&json!("held"), &json!("hold"), &json!(["messages"]))
    );
    assert!(detail["why_not_done"].to_string().contains(&hold_id), "{detail}");
    // What is done by now had been sent all the same.
    let sent = api.get("dpo", &format!("/v1/holds/{hold_id}")).await.ok(200);
    assert_eq!(sent["already_dispatched"][0]["state"], "done");

    let released = json!({ "hold_id": hold_id, "released": true });
    assert_eq!(release(&api, &hold_id).await.ok(200), released);
    release(&api, &hold_id).await.is(409, "wrong_state");
    api.sweep().await;
    api.task_message(id, "stats").await;
    let detail = api.get("dpo", &path).await.ok(200);
    assert_eq!(
        (&detail["holds"], &detail["task_list"][1]["state"]),
        (&json!([]), &json!("dispatched"))
    );
    let now = api.get("dpo", &format!("/v1/holds/{hold_id}")).await.ok(200);
    assert_eq!(now["active"], false);
}

#[tokio::test]
async fn a_hold_on_a_misspelt_type_is_refused_and_names_the_near_one() {
    let api = keepers().await;
    let subject = json!({ "identities": [{ "type": "mail", "value": "Ann@Example.org" }] });
    let reply = api
        .post("dpo", "/v1/holds", &hold(json!({ "subject": subject })))
        .await;
    reply.is(400, "schema");
    assert_eq!(reply.fields(), ["subject.identities[0].type"]);
    assert!(reply.text.contains("did you mean email?"), "{}", reply.text);
}

#[tokio::test]
async fn the_same_hold_again_gets_the_same_answer() {
    let api = keepers().await;
    let body = json!({ "basis": "regulator", "processor": "crm", "tenant": "acme" }).to_string();
    let post = async |key: &str, body: &str| {
        let call = api
            .client
            .post(format!("{}/v1/holds", api.base))
            .bearer_auth("dpo")
            .header("idempotency-key", key)
            .body(body.to_owned());
        api.send(call).await
    };
    let first = post("case-7", &body).await;
    let location = first.headers["location"].to_str().unwrap().to_owned();
    let first = first.ok(201);
    assert_eq!(
        location,
        format!("/v1/holds/{}?tenant=acme", first["hold_id"].as_str().unwrap())
    );
    assert_eq!(post("\"case-7\"", &body).await.ok(201), first);
    assert_eq!(api.get("dpo", &location).await.ok(200), first);
    post("case-7", &body.replace("regulator", "dispute"))
        .await
        .is(409, "conflicting_duplicate");
    // Another command may not place a hold of the same name.
    let twin = hold(json!({ "hold_id": first["hold_id"], "processor": "crm", "tenant": "acme" }));
    api.post("dpo", "/v1/holds", &twin)
        .await
        .is(409, "conflicting_duplicate");
    let unnamed = api
        .post(
            "dpo",
            "/v1/holds",
            &json!({ "basis": "dispute", "processor": "crm" }),
        )
        .await;
    // What names nothing by which it could be repeated gets an id of its own.
    let unnamed = unnamed.ok(201);
    assert!(unnamed["hold_id"].is_string(), "{unnamed}");
    post("\"case-8", &body).await.is(400, "schema");
}

#[tokio::test]
async fn a_release_is_of_one_hold_of_one_tenant() {
    let api = keepers().await;
    let of = async |tenant: &str| {
        let placed = place(&api, json!({ "processor": "crm", "tenant": tenant })).await;
        placed["hold_id"].as_str().unwrap().to_owned()
    };
    let (acme, other) = (of("acme").await, of("acme").await);
    // Without a tenant the one is meant that has an active hold of this name.
    let lone = of("acme").await;
    release(&api, &lone).await.ok(200);
    release(&api, &Uuid::now_v7().to_string())
        .await
        .is(404, "not_found");
    release(&api, "x").await.is(404, "not_found");
    release(&api, &format!("{acme}?tenants=acme"))
        .await
        .is(400, "schema");
    let keyed = async |hold: &str, body: &str| {
        let call = api
            .client
            .delete(format!("{}/v1/holds/{hold}?tenant=acme", api.base))
            .bearer_auth("dpo")
            .header("idempotency-key", "release-7")
            .body(body.to_owned());
        api.send(call).await
    };
    let wrong = keyed(&acme, &json!({ "hold_id": other }).to_string()).await;
    wrong.is(400, "schema");
    assert_eq!(wrong.fields(), ["hold_id"]);
    let note = json!({ "note": "settled" }).to_string();
    let released = json!({ "hold_id": acme, "released": true });
    assert_eq!(keyed(&acme, &note).await.ok(200), released);
    assert_eq!(keyed(&acme, &note).await.ok(200), released, "a repeat");
    // The key is spent on the first one, whatever the body says.
    keyed(&other, &note).await.is(409, "conflicting_duplicate");
    release(&api, &format!("{other}?tenant=acme")).await.ok(200);
}

#[tokio::test]
async fn holds_are_listed_by_time_and_paged_to_their_end() {
    let api = keepers().await;
    let mut all = Vec::new();
    for n in 0..5 {
        let tenant = if n % 2 == 0 { "acme" } else { "other" };
        // The same name in two tenants is two holds.
        let name = Uuid::from_u128(7 + n / 2);
        let placed = place(
            &api,
            json!({ "hold_id": name, "tenant": tenant, "categories": ["messages"], "processor": "stats" }),
        )
        .await;
        all.push((placed["tenant"].clone(), placed["hold_id"].clone()));
    }
    let walk = async |query: &str| {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = api
                .get("dpo", &format!("/v1/holds?limit=2{query}{cursor}"))
                .await
                .ok(200);
            let items = page["items"].as_array().unwrap();
            assert!(items.len() <= 2, "{page}");
            found.extend(
                items
                    .iter()
                    .map(|hold| (hold["tenant"].clone(), hold["hold_id"].clone())),
            );
            let Some(next) = page["next_cursor"].as_str() else {
                return found;
            };
            cursor = format!("&cursor={next}");
        }
    };
    assert_eq!(walk("").await, all);
    all.retain(|(tenant, _)| tenant == "acme");
    assert_eq!(walk("&tenant=acme").await, all);
    let first = all[0].1.as_str().unwrap();
    release(&api, &format!("{first}?tenant=acme")).await.ok(200);
    assert_eq!(walk("&tenant=acme").await, all[1..]);
    for query in ["tenant=a%20b", "limit=501", "cursor=aA", "basis=dispute"] {
        let reply = api.get("dpo", &format!("/v1/holds?{query}")).await;
        // A cursor of this list may be of any length, and one that is too short begins at its place.
        if query != "cursor=aA" {
            reply.is(400, "schema");
        }
    }
}

/// Ten thousand holds, of ten of which the time is the same.
async fn place_many(api: &Api) {
    let mut tx = api.store.begin("fact").await.unwrap();
    tx.gate(Gate::Exclusive).await.unwrap();
    for n in 0..10_000_u32 {
        let placed_at = At::from_millis(i64::from(n / 10));
        let hold = Hold {
            hold_id: HoldId(Uuid::now_v7()),
            tenant: Tenant::new("default").unwrap(),
            basis: HoldBasis::Dispute,
            actor: "legal".to_owned(),
            subject: Vec::new(),
            found: Vec::new(),
            request_id: Some(RequestId(Uuid::now_v7())),
            processor: None,
            categories: Vec::new(),
            placed_at,
        };
        let fact = NewFact {
            id: Uuid::now_v7(),
            fact: Fact::Hold(hold),
            digest: [0; 16],
            sealed: None,
            at: placed_at,
            sweeps: false,
        };
        tx.add_fact(&fact).await.unwrap();
    }
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn ten_thousand_holds_are_paged_to_their_end() {
    let api = keepers().await;
    place_many(&api).await;
    for limit in [499, 500] {
        let (mut seen, mut pages, mut cursor) = (BTreeSet::new(), 0, String::new());
        let mut last = At::default();
        loop {
            let page = api
                .get("dpo", &format!("/v1/holds?limit={limit}{cursor}"))
                .await
                .ok(200);
            pages += 1;
            for item in page["items"].as_array().unwrap() {
                let placed_at = item["placed_at"].as_str().unwrap();
                let placed_at = At::parse(placed_at).unwrap();
                assert!(last <= placed_at);
                last = placed_at;
                assert!(seen.insert(item["hold_id"].to_string()), "none comes twice");
            }
            let Some(next) = page["next_cursor"].as_str() else {
                break;
            };
            cursor = format!("&cursor={next}");
        }
        assert_eq!((seen.len(), pages), (10_000, 10_000_usize.div_ceil(limit)));
    }
}

#[tokio::test]
async fn a_wide_hold_lists_what_is_out_and_says_when_there_is_more() {
    let api = keepers().await;
    for _ in 0..501 {
        api.submit(json!({ "scope": { "processors": ["crm"] } })).await;
    }
    api.submit(json!({ "tenant": "other" })).await;
    let placed = place(&api, json!({ "processor": "crm" })).await;
    assert_eq!(placed["already_dispatched"].as_array().unwrap().len(), 500);
    assert_eq!(
        (&placed["truncated"], &placed["requests_found"]),
        (&json!(true), &Value::Null)
    );
    let elsewhere = place(&api, json!({ "categories": ["invoices"], "tenant": "other" })).await;
    // The CRM names no categories, so it may hold any.
    assert_eq!(elsewhere["already_dispatched"].as_array().unwrap().len(), 1);
    let nobody = place(&api, json!({ "processor": "stats" })).await;
    assert_eq!(nobody["already_dispatched"], json!([]));
}

#[tokio::test]
async fn a_hold_that_covers_nothing_says_so() {
    let api = keepers().await;
    let id = api.submit(json!({ "tenant": "acme" })).await;
    for (with, expected) in [
        (json!({ "processor": "cmr" }), vec!["processor"]),
        (json!({ "request_id": id }), vec!["request_id"]),
        (json!({ "request_id": id, "tenant": "acme" }), vec![]),
        (json!({ "subject": subject() }), vec!["subject"]),
        (json!({ "categories": ["invoices"] }), vec![]),
    ] {
        let placed = place(&api, with).await;
        let none = Vec::new();
        let warnings = placed["warnings"].as_array().unwrap_or(&none);
        let fields: Vec<&str> = warnings
            .iter()
            .map(|said| said.as_str().unwrap().split(':').next().unwrap())
            .collect();
        assert_eq!(fields, expected, "{placed}");
    }
}

#[tokio::test]
async fn a_bad_hold_is_named() {
    let api = keepers().await;
    let cases = [
        (json!({}), None),
        (json!({ "basis": "revenge", "processor": "crm" }), Some("basis")),
        (json!({ "processor": "CRM" }), Some("processor")),
        (json!({ "categories": [] }), Some("categories")),
        (
            json!({ "subject": { "identities": [] } }),
            Some("subject.identities"),
        ),
        (json!({ "request_id": "x" }), Some("request_id")),
        (json!({ "processor": "crm", "type": "release" }), Some("type")),
    ];
    for (with, field) in cases {
        let reply = api.post("dpo", "/v1/holds", &hold(with)).await;
        reply.is(400, "schema");
        assert_eq!(reply.fields(), Vec::from_iter(field), "{}", reply.text);
    }
    // A hold is no request: whoever may submit one may not place the other.
    let smuggled = hold(json!({ "type": "hold", "hold_id": Uuid::now_v7(), "processor": "crm" }));
    api.post("shop", "/v1/requests", &smuggled)
        .await
        .is(403, "not_allowed");
}
