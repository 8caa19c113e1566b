//! Lists of requests: every page of every filter, and the search.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use uuid::Uuid;

use super::fixture::{Api, ack, api, start};

/// Walks over all pages; gives the ids, and how many pages there were.
async fn walk(api: &Api, query: &str, limit: usize) -> (Vec<String>, usize) {
    let (mut ids, mut pages, mut cursor) = (Vec::new(), 0, String::new());
    loop {
        let page = api
            .get("dpo", &format!("/v1/requests?limit={limit}&{query}{cursor}"))
            .await
            .ok(200);
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= limit, "{page}");
        ids.extend(
            items
                .iter()
                .map(|item| item["request_id"].as_str().unwrap().to_owned()),
        );
        pages += 1;
        let Some(next) = page["next_cursor"].as_str() else {
            return (ids, pages);
        };
        cursor = format!("&cursor={next}");
    }
}

fn set(ids: impl IntoIterator<Item = Uuid>) -> BTreeSet<String> {
    ids.into_iter().map(|id| id.to_string()).collect()
}

#[tokio::test]
async fn every_filter_is_paged_to_its_end() {
    let api = api().await;
    let (mut acme, mut other, mut scheduled, mut blocked) = (vec![], vec![], vec![], vec![]);
    for _ in 0..7 {
        acme.push(api.submit(json!({ "tenant": "acme" })).await);
        other.push(
            api.submit(json!({ "tenant": "other", "scope": { "processors": ["stats"] } }))
                .await,
        );
        scheduled.push(
            api.submit(json!({ "not_before": "2027-06-01T00:00:00Z", "regime": "days:3650" }))
                .await,
        );
        let subject = json!({ "identities": [{ "type": "phone", "value": "+49 30 901820" }] });
        blocked.push(
            api.submit(json!({ "subject": subject, "scope": { "processors": ["crm"] } }))
                .await,
        );
    }
    // Those of `other` are completed, and whatever is left is late in the end.
    for id in &other {
        let task = api.task_message(*id, "stats").await;
        api.post("stats", "/v1/acks", &ack(&task, json!({})))
            .await
            .ok(200);
    }
    let middle = "2026-11-21T12:30:00Z";
    api.clock.advance(std::time::Duration::from_secs(3600));
    let late = api
        .submit(json!({ "tenant": "late", "regime": "days:3650" }))
        .await;
    api.clock.advance(std::time::Duration::from_secs(40 * 86_400));
    api.wake().await;

    let all = || {
        set(acme
            .iter()
            .chain(&other)
            .chain(&scheduled)
            .chain(&blocked)
            .copied()
            .chain([late]))
    };
    let overdue = || set(acme.iter().chain(&blocked).copied());
    let without =
        |of: BTreeSet<String>, out: BTreeSet<String>| of.difference(&out).cloned().collect::<BTreeSet<_>>();
    let cases = [
        (String::new(), all()),
        ("tenant=acme".to_owned(), set(acme.iter().copied())),
        ("tenant=nobody".to_owned(), set([])),
        ("status=completed".to_owned(), set(other.iter().copied())),
        ("status=scheduled".to_owned(), set(scheduled.iter().copied())),
        (
            "status=scheduled,completed".to_owned(),
            set(scheduled.iter().chain(&other).copied()),
        ),
        (
            "status=in_progress".to_owned(),
            set(acme.iter().chain(&blocked).copied().chain([late])),
        ),
        (
            "processor=crm".to_owned(),
            without(all(), set(other.iter().copied())),
        ),
        (
            "processor=stats".to_owned(),
            without(all(), set(blocked.iter().copied())),
        ),
        ("overdue=true".to_owned(), overdue()),
        ("overdue=false".to_owned(), without(all(), overdue())),
        ("at_risk=true".to_owned(), set([])),
        ("needs_attention=true".to_owned(), set(blocked.iter().copied())),
        (
            "needs_attention=true&overdue=true".to_owned(),
            set(blocked.iter().copied()),
        ),
        (
            "needs_attention=false&status=in_progress".to_owned(),
            set(acme.iter().copied().chain([late])),
        ),
        (format!("received_after={middle}"), set([late])),
        (format!("received_before={middle}"), without(all(), set([late]))),
        (
            format!("received_before={middle}&tenant=acme&processor=crm"),
            set(acme.iter().copied()),
        ),
    ];
    for (query, expected) in cases {
        let (ids, pages) = walk(&api, &query, 2).await;
        assert_eq!(ids.iter().cloned().collect::<BTreeSet<_>>(), expected, "{query}");
        assert_eq!(ids.len(), expected.len(), "{query}: nothing comes twice");
        assert!(ids.is_sorted() && pages >= expected.len().div_ceil(2), "{query}");
        let (at_once, pages) = walk(&api, &query, 500).await;
        assert_eq!((at_once, pages), (ids, 1), "{query}");
    }
}

#[tokio::test]
async fn whoever_waits_for_a_person_stays_in_the_lists_of_open_work() {
    let api = api().await;
    let subject = json!({ "identities": [{ "type": "phone", "value": "+49 30 901820" }] });
    let id = api
        .submit(json!({ "subject": subject, "scope": { "processors": ["crm"] } }))
        .await;
    for _ in 0..3 {
        api.clock.advance(std::time::Duration::from_secs(40 * 86_400));
        api.wake().await;
        assert_eq!(
            walk(&api, "overdue=true&needs_attention=true", 50).await.0,
            [id.to_string()]
        );
    }
}

#[tokio::test]
async fn a_bad_query_names_what_is_wrong_with_it() {
    let api = api().await;
    let cases = [
        ("overdue=yes", vec!["overdue"]),
        ("Overdue=true", vec!["?"]),
        ("over_due=true", vec!["over_due"]),
        ("overdue=true&overdue=true", vec!["overdue"]),
        ("status=done", vec!["status"]),
        ("status=", vec!["status"]),
        ("status=completed,", vec!["status"]),
        ("tenant=a%20b&limit=0", vec!["tenant", "limit"]),
        ("processor=CRM", vec!["processor"]),
        ("limit=501", vec!["limit"]),
        ("limit=-1", vec!["limit"]),
        ("received_after=yesterday", vec!["received_after"]),
        ("cursor=x", vec!["cursor"]),
        ("ann%40example.org=1", vec!["?"]),
    ];
    for (query, fields) in cases {
        let reply = api.get("dpo", &format!("/v1/requests?{query}")).await;
        reply.is(400, "schema");
        assert_eq!(reply.fields(), fields, "{}", reply.text);
    }
    for path in [
        "/v1/tasks?state=lost",
        "/v1/dead-letters?reason=lost",
        "/v1/tasks?cursor=cg",
        "/v1/tasks?x=1",
    ] {
        api.get("ops", path).await.is(400, "schema");
    }
}

#[tokio::test]
async fn a_search_finds_a_subject_in_one_tenant_or_in_all_of_them() {
    let api = api().await;
    let subject = |mail: &str| json!({ "identities": [{ "type": "email", "value": mail }] });
    let first = api.submit(json!({ "subject": subject("Bob@Example.org") })).await;
    api.clock.advance(std::time::Duration::from_secs(1));
    let second = api
        .submit(json!({ "subject": subject(" bob@example.org") }))
        .await;
    let elsewhere = api
        .submit(json!({ "subject": subject("bob@example.org"), "tenant": "acme" }))
        .await;
    let search = async |body: Value| api.post("dpo", "/v1/requests/search", &body).await;
    let ids = |found: &Value| -> Vec<String> {
        found["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["request_id"].as_str().unwrap().to_owned())
            .collect()
    };
    let bob = json!({ "type": "email", "value": "BOB@example.org" });
    let found = search(json!({ "identity": bob, "tenant": "default" }))
        .await
        .ok(200);
    assert_eq!(
        ids(&found),
        [second.to_string(), first.to_string()],
        "the newest first"
    );
    assert_eq!(
        (&found["next_cursor"], &found["truncated"]),
        (&Value::Null, &json!(false))
    );
    let found = search(json!({ "identity": bob, "tenant": "acme" })).await.ok(200);
    assert_eq!(ids(&found), [elsewhere.to_string()]);
    // Nobody has to know the tenant.
    let found = search(json!({ "identity": bob })).await.ok(200);
    let mut all = ids(&found);
    assert_eq!(all.pop(), Some(first.to_string()), "the newest first");
    all.sort_unstable();
    let mut expected = [second.to_string(), elsewhere.to_string()];
    expected.sort_unstable();
    assert_eq!(all, expected);
    let found = search(json!({ "identity": { "type": "customer_id", "value": "bob@example.org" } }))
        .await
        .ok(200);
    assert_eq!(found["items"], json!([]));
    for (body, field) in [
        (json!({}), "identity"),
        (json!({ "identity": { "type": "email" } }), "identity.value"),
        (
            json!({ "identity": { "type": "E-Mail", "value": "x" } }),
            "identity.type",
        ),
        (json!({ "identity": bob, "tenant": "a b" }), "tenant"),
        (
            json!({ "identity": { "type": "email", "value": "n/a" } }),
            "identity.value",
        ),
        (
            json!({ "identity": { "type": "email", "value": "a@b@c" } }),
            "identity.value",
        ),
        (
            json!({ "identity": { "type": "mail", "value": "bob@example.org" } }),
            "identity.type",
        ),
    ] {
        let reply = search(body).await;
        reply.is(400, "schema");
        assert_eq!(reply.fields(), [field], "{}", reply.text);
    }
    let reply = search(json!({ "identity": { "type": "mail", "value": "bob@example.org" } })).await;
    assert!(reply.text.contains("did you mean email?"), "{}", reply.text);
    // Where a request knows the type, it is no mistake.
    let subject = json!({ "identities": [{ "type": "mail", "value": "bob" }, { "type": "email", "value": "bob@example.org" }] });
    let taken = api
        .post(
            "shop",
            "/v1/requests",
            &super::fixture::command(json!({ "subject": subject })),
        )
        .await
        .ok(202);
    let warnings = taken["warnings"].to_string();
    assert!(
        warnings.contains("subject.identities[0].type") && warnings.contains("did you mean email?"),
        "{taken}"
    );
    let found = search(json!({ "identity": { "type": "mail", "value": "bob" } }))
        .await
        .ok(200);
    assert_eq!(ids(&found).len(), 1);
}

#[tokio::test]
async fn a_search_for_a_placeholder_of_the_house_is_refused() {
    let api = start("[policy]\nplaceholder_identities = [\"guest\"]\n", true).await;
    let search = json!({ "identity": { "type": "customer_id", "value": "Guest" } });
    let reply = api.post("dpo", "/v1/requests/search", &search).await;
    reply.is(400, "schema");
    assert_eq!(reply.fields(), ["identity.value"]);
    assert!(
        reply.text.contains("policy.placeholder_identities"),
        "{}",
        reply.text
    );
}

#[tokio::test]
async fn the_problem_of_a_query_says_what_was_expected() {
    let api = api().await;
    let reply = api.get("dpo", "/v1/requests?limit=0&colour=red").await;
    reply.is(400, "schema");
    let detail = reply.json["detail"].as_str().unwrap();
    assert!(
        detail.contains("limit: expected a number from 1 to 500")
            && detail.contains("colour: not a parameter of this call, which takes status,"),
        "{detail}"
    );
}

#[tokio::test]
async fn requests_are_listed_by_receipt() {
    let api = api().await;
    // Upstream's ids need not be of the time: the later ones are the lower ones.
    let mut named: Vec<Uuid> = Vec::new();
    for n in (1..=5_u128).rev() {
        let id = Uuid::from_u128(n);
        named.push(api.submit(json!({ "command_id": id, "tenant": "acme" })).await);
        api.clock.advance(std::time::Duration::from_secs(86_400 * 30));
    }
    let names: Vec<String> = named.iter().map(ToString::to_string).collect();
    let newest: Vec<String> = names.iter().rev().cloned().collect();
    // Without a word for it: what is in progress is found so beside what is deferred.
    for (query, expected) in [
        ("status=in_progress", &names[..]),
        ("status=in_progress&sort=-received", &newest[..]),
        ("sort=received", &names[..]),
        ("sort=-received", &newest[..]),
        ("received_after=2026-12-25T00:00:00Z", &names[2..]),
        (
            "received_after=2026-12-25T00:00:00Z&received_before=2027-02-01T00:00:00Z",
            &names[2..3],
        ),
        (
            "sort=-received&received_before=2026-12-25T00:00:00Z&processor=crm",
            &newest[3..],
        ),
        ("status=deferred&sort=received", &[]),
    ] {
        assert_eq!(walk(&api, query, 2).await.0, expected, "{query}");
    }
    let refused = api.get("dpo", "/v1/requests?sort=received&overdue=true").await;
    refused.is(400, "schema");
}

#[tokio::test]
async fn requests_are_listed_by_deadline() {
    let api = api().await;
    let mut ids = Vec::new();
    for days in [40, 10, 30, 20] {
        ids.push(api.submit(json!({ "regime": format!("days:{days}") })).await);
    }
    let names: Vec<String> = ids.iter().map(Uuid::to_string).collect();
    let by_deadline = [&names[1], &names[3], &names[2], &names[0]];
    for limit in [1, 3, 50] {
        let (up, _) = walk(&api, "status=in_progress&sort=deadline", limit).await;
        assert_eq!(up.iter().collect::<Vec<_>>(), by_deadline);
        let (down, _) = walk(&api, "status=in_progress&sort=-deadline", limit).await;
        assert!(down.iter().rev().eq(by_deadline));
        let (latest, _) = walk(&api, "sort=-id", limit).await;
        assert!(latest.is_sorted_by(|a, b| a > b) && latest.len() == 4);
    }
    let between = "due_after=2026-12-05T00:00:00Z&due_before=2026-12-25T00:00:00Z";
    let expected = BTreeSet::from([names[2].clone(), names[3].clone()]);
    for status in [
        "",
        "&status=in_progress",
        "&status=in_progress&sort=id",
        "&sort=-id",
    ] {
        let (found, _) = walk(&api, &format!("{between}{status}"), 1).await;
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected, "{status}");
    }
    // Overdue ones are in the order of their deadlines as well, and an extension moves a request.
    api.clock.advance(std::time::Duration::from_secs(25 * 86_400));
    api.wake().await;
    let (late, _) = walk(&api, "overdue=true&sort=deadline", 1).await;
    assert_eq!(late, [names[1].clone(), names[3].clone()]);
    let reply = api.get("dpo", "/v1/requests?sort=deadline").await;
    reply.is(400, "schema");
    assert_eq!(reply.fields(), ["sort"]);
    let page = api
        .get("dpo", "/v1/requests?overdue=true&sort=deadline&limit=1")
        .await
        .ok(200);
    let cursor = page["next_cursor"].as_str().unwrap();
    let reply = api
        .get("dpo", &format!("/v1/requests?overdue=true&cursor={cursor}"))
        .await;
    assert_eq!(
        reply.fields(),
        ["cursor"],
        "a place in one order says nothing in another"
    );
}

#[tokio::test]
async fn what_failed_is_listed_until_it_succeeds() {
    let api = api().await;
    let id = api.submit(json!({})).await;
    let fine = api.submit(json!({})).await;
    let failing = async || walk(&api, "failing=true", 50).await.0;
    assert!(failing().await.is_empty());
    let task = api.task_message(id, "crm").await;
    let failed = ack(&task, json!({ "outcome": "failed" }));
    api.post("crm", "/v1/acks", &failed).await.ok(200);
    assert_eq!(failing().await, [id.to_string()]);
    assert_eq!(walk(&api, "failing=false", 50).await.0, [fine.to_string()]);
    // It is sent again, and has not succeeded since.
    api.clock.advance(std::time::Duration::from_secs(60));
    api.wake().await;
    assert_eq!(failing().await, [id.to_string()]);
    let again = api
        .task_message_where(id, "crm", |task| task["attempt"] == 2)
        .await;
    api.post("crm", "/v1/acks", &ack(&again, json!({}))).await.ok(200);
    assert!(failing().await.is_empty());
}

#[tokio::test]
async fn a_list_as_csv_is_what_its_filter_finds() {
    let api = api().await;
    let mut acme = BTreeSet::new();
    for _ in 0..3 {
        acme.insert(api.submit(json!({ "tenant": "acme" })).await.to_string());
        api.submit(json!({ "tenant": "other" })).await;
    }
    let reply = api.get("dpo", "/v1/requests?tenant=acme&format=csv").await;
    assert_eq!(reply.headers["content-type"], "text/csv; charset=utf-8");
    let mut reader = csv::Reader::from_reader(reply.text.as_bytes());
    assert_eq!(reader.headers().unwrap().get(7), Some("days_left"));
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let ids: BTreeSet<String> = rows.iter().map(|row| row[0].to_owned()).collect();
    assert_eq!(ids, acme);
    assert!(
        rows.iter()
            .all(|row| &row[1] == "acme" && &row[2] == "in_progress")
    );
    let accepting = api
        .client
        .get(format!("{}/v1/requests?tenant=acme", api.base))
        .bearer_auth("dpo")
        .header("accept", "text/csv");
    assert_eq!(api.send(accepting).await.text, reply.text);
    for (path, head) in [
        (
            "/v1/tasks?processor=crm",
            "request_id,task_id,tenant,processor,state,",
        ),
        (
            "/v1/deferred?reason=hold",
            "request_id,task_id,tenant,processor,part,",
        ),
        ("/v1/holds?tenant=acme", "hold_id,tenant,basis,"),
        ("/v1/dead-letters?erasures=true", "id,reason,type,detail,"),
    ] {
        let reply = api.get("ops", &format!("{path}&format=csv")).await;
        assert!(
            reply.status.is_success() && reply.text.starts_with(head),
            "{path}: {}",
            reply.text
        );
    }
    let tasks = api.get("ops", "/v1/tasks?processor=crm&format=csv").await.text;
    assert_eq!(tasks.lines().count(), 7);
    api.get("ops", "/v1/tasks?format=xml").await.is(400, "schema");
}
