//! Who sees identifiers: a right of its own, and a ledger entry for each look. Free text is shown without them.

use lacuna::domain::entry::{Entry, Leaf};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    browser::Browser,
    dead_letters::refuse,
    fixture::{Api, ack, command, digest_of, start},
};

/// The usual bearers, and two who may see identifiers.
async fn api() -> Api {
    let token = |name: &str, role: &str, more: &str| {
        format!(
            "{{ name = '{name}', role = '{role}', token = '{}' {more} }}",
            digest_of(name)
        )
    };
    let right = ", rights = ['identifiers']";
    let tokens = [
        token("shop", "submitter", ""),
        token("crm", "processor", ", processor = 'crm'"),
        token("stats", "processor", ", processor = 'stats'"),
        token("dpo", "compliance", ""),
        token("seer", "compliance", right),
        token("ops", "operator", ""),
        token("opener", "operator", right),
        token("audit", "auditor", ""),
        token(
            "acme",
            "compliance",
            ", tenant = 'acme', rights = ['identifiers']",
        ),
    ];
    start(&format!("[auth]\ntokens = [{}]\n", tokens.join(",\n")), false).await
}

/// What the ledger says of a look.
async fn looked(api: &Api, entry: &Value) -> Vec<Entry> {
    let id: Uuid = entry.as_str().unwrap().parse().unwrap();
    let stored = api.engine.leaves(id.into()).await.unwrap();
    assert!(stored.iter().all(|leaf| leaf.sealed.is_none()));
    stored
        .iter()
        .flat_map(|leaf| Leaf::from_bytes(&leaf.leaf).unwrap().entries)
        .collect()
}

#[tokio::test]
async fn identifiers_are_shown_to_who_has_the_right_and_noted() {
    let api = api().await;
    let id = api.submit(json!({})).await;
    let path = format!("/v1/requests/{id}/identifiers");
    for without in ["dpo", "ops", "audit", "shop", "crm"] {
        api.post(without, &path, &json!({})).await.is(403, "forbidden");
    }
    api.post("acme", &path, &json!({})).await.is(404, "not_found");
    for (name, seer) in [("seer", "seer"), ("opener", "opener")] {
        let reply = api.post(name, &path, &json!({})).await;
        assert_eq!(reply.headers["cache-control"], "no-store");
        let shown = reply.ok(200);
        assert_eq!(
            shown["identities"],
            json!([{ "type": "email", "value": "ann@example.org" }, { "type": "customer_id", "value": "4711" }])
        );
        let entries = looked(&api, &shown["ledger_entry"]).await;
        let [Entry::IdentitiesShown { actor, requests }] = entries.as_slice() else {
            panic!("{entries:?}")
        };
        assert_eq!(
            (actor.as_str(), requests.as_slice()),
            (seer, [id.into()].as_slice())
        );
    }
    let unknown = format!("/v1/requests/{}/identifiers", Uuid::now_v7());
    api.post("seer", &unknown, &json!({})).await.is(404, "not_found");
}

#[tokio::test]
async fn forgotten_identifiers_are_shown_to_nobody() {
    let api = api().await;
    let id = api.submit(json!({})).await;
    for processor in ["crm", "stats"] {
        let task = api.task_message(id, processor).await;
        api.post(processor, "/v1/acks", &ack(&task, json!({})))
            .await
            .ok(200);
    }
    let path = format!("/v1/requests/{id}/identifiers");
    api.post("seer", &path, &json!({})).await.is(409, "forgotten");
}

#[tokio::test]
async fn the_original_of_a_dead_letter_is_opened_and_noted() {
    let api = api().await;
    let message = command(json!({ "tenant": "a b" })).to_string();
    refuse(&api, 0, &message).await;
    let page = api.get("ops", "/v1/dead-letters").await.ok(200);
    let id = page["items"][0]["id"].as_str().unwrap();
    let path = format!("/v1/dead-letters/{id}/original");
    for without in ["ops", "dpo", "audit", "acme"] {
        api.post(without, &path, &json!({})).await.is(403, "forbidden");
    }
    let shown = api.post("opener", &path, &json!({})).await.ok(200);
    assert_eq!(
        (&shown["original"], &shown["encoding"]),
        (&json!(message), &json!("utf-8"))
    );
    let entries = looked(&api, &shown["ledger_entry"]).await;
    let [Entry::LetterOpened { actor, letter }] = entries.as_slice() else {
        panic!("{entries:?}")
    };
    assert_eq!((actor.as_str(), letter.to_string().as_str()), ("opener", id));
    let close = format!("/v1/dead-letters/{id}/close");
    api.post("ops", &close, &json!({ "reason": "done" }))
        .await
        .ok(200);
    let reply = api.post("opener", &path, &json!({})).await;
    assert!(
        reply.text.contains("when the letter was closed"),
        "{}",
        reply.text
    );
    reply.is(409, "not_kept");
}

#[tokio::test]
async fn the_console_shows_them_by_a_form() {
    let api = api().await;
    let id = api.submit(json!({})).await;
    let path = format!("/requests/{id}/identifiers");
    let browser = Browser::new(&api.base);
    browser.sign_in("seer").await;
    let page = browser.get("/").await;
    browser
        .send(&page, &path, &[])
        .await
        .says(200, "ann@example.org")
        .says(200, "The ledger has this look as");
    // It is no page that an address leads to.
    assert_eq!(browser.get(&path).await.status, 405);
    browser
        .post(&path, &[])
        .await
        .says(403, "not from a page of this session");
    let without = Browser::new(&api.base);
    without.sign_in("dpo").await;
    let page = without.get("/").await;
    let refused = without
        .send(&page, &path, &[])
        .await
        .says(403, "the right identifiers");
    assert!(!refused.text.contains("ann@example.org"));
}

#[tokio::test]
async fn free_text_is_shown_without_the_subjects_identifiers() {
    let api = api().await;
    let id = api.submit(json!({ "scope": { "processors": ["crm"] } })).await;
    let task = api.task_message(id, "crm").await;
    let said = json!({
        "outcome": "failed", "message": "no row of ANN@Example.ORG. in shard 4711 (see legal@example.org)",
        "evidence": { "method": "delete", "reference": "mailto:ann%40example.org" },
    });
    api.post("crm", "/v1/acks", &ack(&task, said)).await.ok(200);
    let path = format!("/v1/requests/{id}");
    let detail = api.get("dpo", &path).await.ok(200);
    let evidence = &detail["task_list"][0]["evidence"];
    assert_eq!(
        (&evidence["message"], &evidence["reference"], &evidence["method"]),
        (
            &json!("no row of [email]. in shard [customer_id] (see legal@example.org)"),
            &json!("mailto:[email]"),
            &json!("delete")
        )
    );
    let waive = format!("/v1/tasks/{}/waive", task["task_id"].as_str().unwrap());
    let reason = json!({ "reason": "Ann <ann@example.org> sues" });
    api.post("ops", &waive, &reason).await.ok(200);
    for shown in [path.clone(), format!("{path}/events")] {
        let text = api.get("dpo", &shown).await.text;
        assert!(text.contains("Ann <[email]> sues"), "{shown}: {text}");
        assert!(
            !text.to_lowercase().contains("ann@example.org"),
            "{shown}: {text}"
        );
    }
}

#[tokio::test]
async fn forgotten_identifiers_are_masked_by_their_looks() {
    let api = api().await;
    let id = api.submit(json!({ "scope": { "processors": ["crm"] } })).await;
    let task = api.task_message(id, "crm").await;
    let said = json!({ "message": "gone: Ann@Example.org, +49 30 901820, 12 rows on 2026-11-21" });
    api.post("crm", "/v1/acks", &ack(&task, said)).await.ok(200);
    let detail = api.get("dpo", &format!("/v1/requests/{id}")).await.ok(200);
    assert_eq!(detail["identifiers"], "forgotten");
    assert_eq!(
        detail["task_list"][0]["evidence"]["message"],
        "gone: [email], [phone], 12 rows on 2026-11-21"
    );
}

#[tokio::test]
async fn without_auth_everybody_sees_them_and_is_noted() {
    let api = start("", false).await;
    let id = api.submit(json!({})).await;
    let path = format!("/v1/requests/{id}/identifiers");
    let shown = api.call(Method::POST, None, &path, None).await.ok(200);
    let entries = looked(&api, &shown["ledger_entry"]).await;
    assert!(
        matches!(entries.as_slice(), [Entry::IdentitiesShown { actor, .. }] if actor == "anonymous"),
        "{entries:?}"
    );
}
