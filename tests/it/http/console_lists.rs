//! The lists of the console: each shows what its API list has, every filter stands in the address, and what somebody keeps stays.

use serde_json::json;

use super::{
    browser::Browser,
    fixture::{Api, ack, api, keepers, registered},
};

async fn signed_in(api: &Api, token: &str) -> Browser {
    let browser = Browser::new(&api.base);
    browser.sign_in(token).await.leads_to();
    browser
}

const PAGES: [&str; 12] = [
    "/requests",
    "/approvals",
    "/deferred",
    "/processors",
    "/holds",
    "/dead-letters",
    "/manual",
    "/backups",
    "/sweeps",
    "/registry",
    "/audit",
    "/bulk",
];

#[tokio::test]
async fn every_list_is_shown_when_it_is_empty() {
    let api = api().await;
    let browser = signed_in(&api, "audit").await;
    for path in PAGES {
        let page = browser.get(path).await.says(200, "<h1>");
        assert!(
            !page.text.contains("style=\"") && !page.text.contains("<script>"),
            "{path}"
        );
    }
    browser
        .get("/requests")
        .await
        .says(200, "There are no requests yet");
    browser.get("/deferred").await.says(200, "Nothing is deferred");
    browser.get("/holds").await.says(200, "Nothing is on hold");
    browser
        .get("/dead-letters")
        .await
        .says(200, "No dead letter is open");
    browser
        .get("/manual")
        .await
        .says(200, "Nothing waits for a person");
    // A submitter has no lists.
    let shop = signed_in(&api, "shop").await;
    for path in PAGES {
        shop.get(path).await.says(403, "");
    }
}

#[tokio::test]
async fn a_filter_stands_in_the_address_and_in_its_csv() {
    let api = api().await;
    let acme = api.submit(json!({ "tenant": "acme" })).await.to_string();
    let other = api.submit(json!({ "tenant": "other" })).await.to_string();
    let browser = signed_in(&api, "dpo").await;
    let page = browser
        .get("/requests?tenant=acme&status=&overdue=")
        .await
        .says(200, &acme);
    assert!(
        !page.text.contains(&other) && page.text.contains("value=\"acme\""),
        "{}",
        page.text
    );
    let csv = browser
        .get("/requests?tenant=acme&format=csv")
        .await
        .says(200, &acme);
    assert!(!csv.text.contains(&other) && csv.text.starts_with("request_id,tenant,status,"));
    assert_eq!(csv.headers["content-type"], "text/csv; charset=utf-8");
    browser
        .get("/requests?tenant=nobody")
        .await
        .says(200, "No request meets this filter");
    browser
        .get("/requests?colour=red")
        .await
        .says(400, "not a parameter");
    // One page after the other.
    let first = browser
        .get("/requests?limit=1&sort=-id")
        .await
        .says(200, "Next page");
    let next = first
        .text
        .split("rel=\"next\"")
        .next()
        .unwrap()
        .rsplit("href=\"")
        .next()
        .unwrap();
    let next = next.split('"').next().unwrap().replace("&amp;", "&");
    let second = browser.get(&next).await.says(200, "First page");
    assert!(second.text.contains(&acme) != first.text.contains(&acme));
    // A day is one of the policy's zone.
    let due = api.get("dpo", &format!("/v1/requests/{acme}")).await.ok(200)["deadline"].clone();
    let day = &due.as_str().unwrap()[..10];
    browser
        .get(&format!(
            "/requests?overdue=false&status=in_progress&due_after={day}&due_before={day}&sort=deadline"
        ))
        .await
        .says(200, &acme);
}

#[tokio::test]
async fn a_view_is_kept_for_its_owner() {
    let api = api().await;
    let browser = signed_in(&api, "dpo").await;
    let page = browser.get("/requests?overdue=true&tenant=acme").await;
    let fields = [
        ("page", "/requests"),
        ("query", "overdue=true&tenant=acme"),
        ("name", "Acme, late"),
    ];
    let kept = browser.send(&page, "/views", &fields).await;
    assert_eq!(kept.leads_to(), "/requests?overdue=true&tenant=acme");
    let page = browser.get("/requests").await.says(200, "Acme, late");
    assert!(
        page.text
            .contains("href=\"/requests?overdue=true&amp;tenant=acme\""),
        "{}",
        page.text
    );
    let other = signed_in(&api, "ops").await;
    assert!(!other.get("/requests").await.text.contains("Acme, late"));
    browser
        .send(
            &page,
            "/views/forget",
            &[("page", "/requests"), ("name", "Acme, late")],
        )
        .await
        .leads_to();
    assert!(!browser.get("/requests").await.text.contains("Acme, late"));
    let elsewhere = [("page", "//evil.example"), ("query", ""), ("name", "x")];
    browser
        .send(&page, "/views", &elsewhere)
        .await
        .says(400, "lists of the console");
}

#[tokio::test]
async fn what_people_did_is_listed_by_who_and_when() {
    let api = api().await;
    let id = api
        .submit(json!({ "not_before": "2027-06-01T00:00:00Z", "regime": "days:3650" }))
        .await;
    api.post(
        "dpo",
        &format!("/v1/requests/{id}/cancel"),
        &json!({ "reason": "asked again" }),
    )
    .await
    .ok(200);
    let search = json!({ "identity": { "type": "email", "value": "ann@example.org" } });
    api.post("dpo", "/v1/requests/search", &search).await.ok(200);
    api.post(
        "ops",
        "/v1/processors/crm/pause",
        &json!({ "reason": "maintenance" }),
    )
    .await
    .ok(200);
    let browser = signed_in(&api, "audit").await;
    let page = browser
        .get("/audit")
        .await
        .says(200, "dpo has searched for a person");
    assert!(
        page.text.contains("ops paused crm") && page.text.contains("withdrawn"),
        "{}",
        page.text
    );
    assert!(!page.text.contains("ann@example.org"));
    let page = browser.get("/audit?by=ops").await.says(200, "ops paused crm");
    assert!(!page.text.contains("has searched"), "{}", page.text);
    let page = browser.get("/audit?kind=look").await.says(200, "has searched");
    assert!(!page.text.contains("paused crm"), "{}", page.text);
    browser
        .get("/audit?at_before=2020-01-01")
        .await
        .says(200, "Nobody has done anything");
    let csv = browser.get("/audit?kind=decision&format=csv").await;
    assert!(
        csv.text.starts_with("at,by,kind,what,ledger_entry\n") && csv.text.lines().count() == 2,
        "{}",
        csv.text
    );
}

#[tokio::test]
async fn what_wakes_in_which_month_is_counted() {
    let api = keepers().await;
    let command = json!({
        "scope": { "processors": ["crm", "stats", "nightly"] }, "anchors": { "account_closed_at": "2026-11-20T00:00:00Z" },
    });
    let id = api.submit(command).await;
    let crm = api.task_message(id, "crm").await;
    api.post("crm", "/v1/acks", &ack(&crm, json!({}))).await.ok(200);
    let browser = signed_in(&api, "dpo").await;
    let page = browser
        .get("/deferred")
        .await
        .says(200, "<strong>1</strong>Dec 2026");
    assert!(
        page.text.contains("backup rotation") && page.text.contains("retention"),
        "{}",
        page.text
    );
    let page = browser
        .get("/deferred?reason=retention")
        .await
        .says(200, "20 Nov 2031");
    assert!(
        !page.text.contains("<td data-label=\"Why\">backup rotation"),
        "{}",
        page.text
    );
    browser.get("/backups").await.says(200, "main");
    let csv = api.get("dpo", "/v1/deferred?reason=retention&format=csv").await;
    assert!(
        csv.text.lines().count() == 2 && csv.text.contains(&id.to_string()),
        "{}",
        csv.text
    );
}

#[tokio::test]
async fn ones_own_tasks_come_first() {
    let api = registered(
        r#"
[[processor]]
id = "fax"
kind = "other"
transport = { type = "manual", assignee = "dpo" }
actions = ["erase"]
identities = ["email"]
[[processor]]
id = "paper"
kind = "other"
transport = { type = "manual", assignee = "archive" }
actions = ["erase"]
identities = ["email"]
"#,
    )
    .await;
    api.submit(json!({ "scope": { "processors": ["fax", "paper"] } }))
        .await;
    let browser = signed_in(&api, "dpo").await;
    let page = browser.get("/manual").await.says(200, "<h2>Mine</h2>");
    let (mine, others) = page.text.split_once("<h2>Others</h2>").unwrap();
    assert!(
        mine.contains(">fax<") && !mine.contains(">paper<") && others.contains(">paper<"),
        "{}",
        page.text
    );
    let page = browser.get("/manual?assignee=archive").await.says(200, "paper");
    assert!(!page.text.contains(">fax<"));
    browser.get("/processors").await.says(200, "fax");
    browser.get("/registry").await.says(200, "[[processor]]");
}
