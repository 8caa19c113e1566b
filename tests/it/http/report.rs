//! The report of a period: of a few requests that are counted by hand, over HTTP and as a page.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::fixture::{Api, ack, api, keepers};

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn answer(api: &Api, id: Uuid, processor: &str, with: Value) {
    let task = api.task_message(id, processor).await;
    api.post(processor, "/v1/acks", &ack(&task, with)).await.ok(200);
}

/// The report of November, unless the query has another end. The clock stands still, so that what was received just now was
/// received at the very end of a report until now.
async fn report(api: &Api, query: &str) -> Value {
    let end = if query.contains("to=") {
        ""
    } else {
        "&to=2026-12-01"
    };
    let reply = api
        .get("dpo", &format!("/v1/report?from=2026-11-01{end}{query}"))
        .await;
    assert_eq!(reply.headers["cache-control"], "no-store");
    reply.ok(200)
}

/// One that is done, one that is done with an exception, one that is refused, one that is withdrawn, one that is open.
async fn some(api: &Api) {
    let done = api.submit(json!({ "tenant": "acme" })).await;
    api.clock.advance(Duration::from_secs(3600));
    answer(
        api,
        done,
        "crm",
        json!({ "evidence": { "method": "delete", "records": 12 } }),
    )
    .await;
    api.clock.advance(Duration::from_secs(3600));
    answer(api, done, "stats", json!({ "outcome": "not_found" })).await;
    let email = json!({ "identities": [{ "type": "email", "value": "bob@example.org" }] });
    let partly = api.submit(json!({ "subject": email, "regime": "ccpa" })).await;
    answer(api, partly, "crm", json!({})).await;
    let later = json!({ "not_before": "2026-12-20T00:00:00Z" });
    let refused = api.submit(later.clone()).await;
    let basis = json!({ "basis": "legal_claims" });
    api.post("dpo", &format!("/v1/requests/{refused}/refuse"), &basis)
        .await
        .ok(200);
    let withdrawn = api.submit(later).await;
    api.post("dpo", &format!("/v1/requests/{withdrawn}/cancel"), &json!({}))
        .await
        .ok(200);
    let open = api.submit(json!({})).await;
    answer(api, open, "crm", json!({ "outcome": "failed" })).await;
    let extension = json!({ "reason": "complexity" });
    api.post("dpo", &format!("/v1/requests/{open}/extend"), &extension)
        .await
        .ok(200);
}

#[tokio::test]
async fn every_request_is_counted_where_it_stands() {
    let api = api().await;
    some(&api).await;
    let found = report(&api, "").await;
    let expected = json!({
        "received": 5, "completed": 1, "closed_with_exceptions": 1, "refused": { "legal_claims": 1 }, "cancelled": 1,
        "merged": 0, "open": 1, "overdue": 0, "late": 0, "on_time": 3, "attested": 0,
        "exempt": { "no_identity": 1 }, "deferred": {}, "extensions": { "complexity": 1 }, "repeats": 0,
        "from": "2026-10-31T23:00:00Z", "to": "2026-11-30T23:00:00Z", "time_zone": "Europe/Berlin", "tenant": null,
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(found[field], *value, "{field}: {found}");
    }
    // Of two: the one took two hours, the other nothing.
    let times = json!({ "count": 2, "p50": 0.0, "p90": 7200.0, "p99": 7200.0, "max": 7200.0 });
    assert_eq!(
        (&found["live_clean_seconds"], &found["complete_seconds"]),
        (&times, &times)
    );
    let processor = |id: &str| {
        let all = found["processors"].as_array().unwrap();
        all.iter().find(|row| row["id"] == id).cloned().unwrap()
    };
    let crm = processor("crm");
    assert_eq!(
        (&crm["tasks"], &crm["erased"], &crm["open"]),
        (&json!(5), &json!(2), &json!(1))
    );
    assert_eq!(crm["failures"], json!({ "failed": 1 }));
    assert_eq!(
        (&crm["name"], &crm["kind"]),
        (&json!("CRM vendor"), &json!("crm"))
    );
    assert_eq!(
        (&crm["ack_seconds"]["count"], &crm["ack_seconds"]["max"]),
        (&json!(3), &json!(3600.0))
    );
    let stats = processor("stats");
    assert_eq!((&stats["not_found"], &stats["exempt"]), (&json!(1), &json!(1)));
    assert_eq!(stats["not_found_share"], json!(1.0));
    assert_eq!(found["evidence"]["records"], json!(12));
    let ccpa = &found["regimes"]["ccpa"];
    assert_eq!(
        (&ccpa["complied_in_part"], &ccpa["median_days"]),
        (&json!(1), &json!(0))
    );
    let gdpr = &found["regimes"]["gdpr"];
    assert_eq!(
        (&gdpr["denied"], &gdpr["withdrawn"], &gdpr["open"]),
        (&json!(1), &json!(1), &json!(1))
    );
}

#[tokio::test]
async fn answers_after_the_deadline_are_late_by_so_much() {
    let api = api().await;
    let id = api.submit(json!({ "regime": "days:1" })).await;
    api.clock.advance(5 * DAY);
    api.wake().await;
    let waiting = report(&api, "").await;
    assert_eq!((&waiting["overdue"], &waiting["late"]), (&json!(1), &json!(0)));
    for processor in ["crm", "stats"] {
        answer(&api, id, processor, json!({})).await;
    }
    let found = report(&api, "").await;
    assert_eq!(
        (&found["overdue"], &found["late"], &found["on_time"]),
        (&json!(0), &json!(1), &json!(0))
    );
    // It was due at the end of the 22nd in Berlin, and it is noon of the 26th: 13 hours of the first day, and three days.
    assert_eq!(found["late_seconds"]["max"], json!(306_001.0), "{found}");
}

#[tokio::test]
async fn what_is_deferred_is_told_by_month() {
    let api = keepers().await;
    let id = api
        .submit(json!({ "anchors": { "account_closed_at": "2026-11-20T00:00:00Z" } }))
        .await;
    for processor in ["crm", "stats"] {
        answer(&api, id, processor, json!({})).await;
    }
    let found = report(&api, "").await;
    assert_eq!(
        found["deferred"],
        json!({ "retention": 1, "backup_rotation": 1, "verification": 1 })
    );
    let months: Vec<(&Value, &Value)> = found["deferred_months"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (&row["month"], &row["reason"]))
        .collect();
    assert_eq!(
        months,
        [
            (&json!("2026-11"), &json!("verification")),
            (&json!("2026-12"), &json!("backup_rotation")),
            (&json!("2031-11"), &json!("retention")),
        ]
    );
    let all = found["processors"].as_array().unwrap();
    let nightly = all.iter().find(|row| row["id"] == "nightly").unwrap();
    assert_eq!(
        nightly["keeps"],
        json!([{ "categories": [], "basis": "backup_rotation", "keep": "35d" }])
    );
}

#[tokio::test]
async fn period_tenant_and_regime_limit_what_is_counted() {
    let api = api().await;
    some(&api).await;
    for (query, received) in [
        ("&tenant=acme", 1),
        ("&tenant=default", 4),
        ("&regime=ccpa", 1),
        ("&regime=ccpa&tenant=acme", 0),
        ("&to=2026-11-21", 0),
        ("&to=2026-11-22", 5),
        ("&to=2026-11-21T12:00:00Z", 0),
        ("&to=2026-11-21T12:00:00.001Z", 1),
    ] {
        assert_eq!(report(&api, query).await["received"], json!(received), "{query}");
    }
    // The last whole month has none.
    let month = api.get("dpo", "/v1/report").await.ok(200);
    assert_eq!(
        (&month["from"], &month["to"], &month["received"]),
        (
            &json!("2026-09-30T22:00:00Z"),
            &json!("2026-10-31T23:00:00Z"),
            &json!(0)
        )
    );
    assert_eq!(month["live_clean_seconds"]["p50"], Value::Null);
}

#[tokio::test]
async fn only_compliance_and_who_may_look_get_a_report() {
    let api = api().await;
    some(&api).await;
    let get = async |bearer, query: &str| {
        api.get(bearer, &format!("/v1/report?from=2026-11-01{query}"))
            .await
    };
    for bearer in ["dpo", "ops", "audit"] {
        get(bearer, "").await.ok(200);
    }
    for bearer in ["shop", "crm"] {
        get(bearer, "").await.is(403, "forbidden");
    }
    api.call(Method::GET, None, "/v1/report", None)
        .await
        .is(401, "unauthorized");
    // Whoever is limited to a tenant gets that one's.
    let own = get("acme-dpo", "").await.ok(200);
    assert_eq!((&own["tenant"], &own["received"]), (&json!("acme"), &json!(1)));
    get("acme-dpo", "&tenant=default").await.is(403, "forbidden");
}

#[tokio::test]
async fn wrong_parameter_of_a_report_is_named() {
    let api = api().await;
    for (query, field) in [
        ("from=yesterday", "from"),
        ("to=2026-11-01", "from"),
        ("from=2026-11-01&to=2026-13-01", "to"),
        ("from=2026-11-02&to=2026-11-01", "to"),
        ("tenant=no%20tenant", "tenant"),
        ("regime=days:0", "regime"),
        ("format=pdf", "format"),
        ("since=2026-11-01", "since"),
    ] {
        let reply = api.get("dpo", &format!("/v1/report?{query}")).await;
        reply.is(400, "schema");
        assert_eq!(reply.fields(), [field], "{query}");
    }
}

#[tokio::test]
async fn report_comes_as_a_table_and_as_a_document() {
    let api = api().await;
    some(&api).await;
    let csv = api
        .get("dpo", "/v1/report?from=2026-11-01&to=2026-12-01&format=csv")
        .await;
    assert_eq!(csv.headers["content-type"], "text/csv; charset=utf-8");
    assert!(
        csv.text.starts_with("section,name,measure,value\n"),
        "{}",
        csv.text
    );
    assert!(csv.text.contains("\nrequests,,received,5\n"));
    let page = api
        .get("dpo", "/v1/report?from=2026-11-01&to=2026-12-01&format=html")
        .await;
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"));
    assert!(page.text.contains("<svg role=\"img\""));
    for text in ["ann@example.org", "bob@example.org", "4711"] {
        assert!(!page.text.contains(text) && !csv.text.contains(text), "{text}");
    }
}

#[tokio::test]
async fn page_of_the_report_has_a_form_for_its_period() {
    let api = api().await;
    some(&api).await;
    let page = api
        .get("dpo", "/report?from=2026-11-01&to=2026-12-01&tenant=&regime=")
        .await;
    assert_eq!(page.status, 200, "{}", page.text);
    assert!(page.text.contains("value=\"2026-11-01\""), "{}", page.text);
    assert!(page.text.contains("Erasure report, 2026-11-01 to 2026-11-30"));
    assert!(!page.text.contains("style=") && !page.text.contains("<style"));
    let csv = api
        .get(
            "dpo",
            "/report?from=2026-11-01&to=2026-12-01&tenant=&regime=&format=csv",
        )
        .await;
    assert!(csv.text.contains("\nrequests,,received,5\n"), "{}", csv.text);
}

#[tokio::test]
async fn what_is_forgotten_is_said_to_be_missing() {
    let api = api().await;
    some(&api).await;
    // Three years, and the digests before them.
    api.clock.advance(4 * 366 * DAY);
    for line in [lacuna::store::Line::Lookups, lacuna::store::Line::Records] {
        while api
            .engine
            .retention()
            .expire(line, api.clock.now())
            .await
            .unwrap()
            .busy
        {}
    }
    let found = report(&api, "&to=2026-12-01").await;
    // The open one is still there.
    assert_eq!(
        (&found["received"], &found["open"]),
        (&json!(1), &json!(1)),
        "{found}"
    );
    assert_eq!(
        found["forgotten"],
        json!({ "requests": 4, "statuses":
            { "completed": 1, "closed_with_exceptions": 1, "refused": 1, "cancelled": 1 } })
    );
    assert_eq!(
        report(&api, "&to=2026-12-01&tenant=acme").await["forgotten"]["requests"],
        json!(1)
    );
    assert_eq!(
        report(&api, "&to=2026-12-01&regime=lgpd").await["forgotten"]["requests"],
        json!(0)
    );
}

#[tokio::test]
async fn more_requests_than_are_read_at_once_are_all_counted() {
    let api = api().await;
    // Some at one time, so that a chunk ends among those of one time, and some weeks apart.
    let scope = json!({ "processors": ["crm"] });
    for _ in 0..520 {
        api.submit(json!({ "scope": scope })).await;
    }
    api.clock.advance(9 * DAY);
    for _ in 0..3 {
        api.submit(json!({ "scope": scope })).await;
    }
    assert_eq!(report(&api, "").await["received"], json!(523));
}
