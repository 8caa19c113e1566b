//! Whether everybody can use the pages: axe-core finds no fault by WCAG 2.2 AA in light and in dark, a telephone of 360 pixels
//! needs no scrolling sideways, and nothing that the content security policy forbids was tried.

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    chromium::{Chromium, Driver, Look},
    site::{COMPLIANCE, OPERATOR, SECOND, Site},
};
use crate::support::service;

/// What axe looks for. Best practices that are no part of WCAG are not among it.
const RULES: &str = r#"["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]"#;

/// Those that are the same whatever is in them.
const PLACES: [&str; 19] = [
    "/",
    "/help",
    "/brake",
    "/processors/crm",
    "/processors/nightly-backup",
    "/holds/new",
    "/requests",
    "/approvals",
    "/deferred",
    "/processors",
    "/manual",
    "/holds",
    "/dead-letters",
    "/backups",
    "/sweeps",
    "/registry",
    "/audit",
    "/bulk",
    "/report",
];

async fn pages(site: &Site) -> Vec<String> {
    let mut pages = PLACES.map(str::to_owned).to_vec();
    pages.extend(site.requests.keys().map(|person| site.page_of(person)));
    let task = site.first("/v1/manual", "task_id").await;
    let letter = site.first("/v1/dead-letters", "id").await;
    let hold = site.first("/v1/holds", "hold_id").await;
    let job = site.first("/v1/bulk", "bulk_id").await;
    pages.extend([
        format!("/manual/{task}"),
        format!("/dead-letters/{letter}"),
        format!("/holds/{hold}"),
        format!("/bulk/{job}"),
        // There is none of this: the page says what to do.
        "/requests/00000000-0000-0000-0000-000000000000".to_owned(),
    ]);
    pages
}

/// Looks at the page that is open.
async fn check(browser: &Chromium, axe: &str, page: &str, look: Look) {
    browser.client.execute(axe, Vec::new()).await.unwrap();
    let script = format!(
        "const done = arguments[arguments.length - 1];
         axe.run(document, {{ runOnly: {{ type: 'tag', values: {RULES} }} }}).then(
           (found) => done(found.violations.map((v) => `${{v.id}}: ${{v.help}}: ` + v.nodes.map((n) => n.html).join(' | '))),
           (error) => done([String(error)]));"
    );
    let found = browser.run(&script).await;
    assert_eq!(found, Value::Array(Vec::new()), "{page} in {look:?}");
    let script = "const done = arguments[arguments.length - 1];
        new ReportingObserver(() => {}, { types: ['csp-violation'], buffered: true }).observe();
        const seen = new ReportingObserver((reports) => done(reports.map((r) => r.body.blockedURL)),
          { types: ['csp-violation'], buffered: true });
        seen.observe();
        setTimeout(() => done(seen.takeRecords().map((r) => r.body.blockedURL)), 50);";
    let refused = browser.run(script).await;
    assert_eq!(
        refused,
        Value::Array(Vec::new()),
        "{page}: the policy refused something"
    );
    let script = "const done = arguments[arguments.length - 1];
        done([document.documentElement.scrollWidth, document.documentElement.clientWidth]);";
    let widths = browser.run(script).await;
    assert!(
        widths[0].as_i64() <= widths[1].as_i64(),
        "{page} in {look:?} scrolls sideways: {widths}"
    );
}

/// Pages that only a form leads to: what a change of many would do, identifiers, and the original of a dead letter.
async fn check_forms(site: &Site, browser: &Chromium, axe: &str, look: Look) {
    browser.open("/requests").await;
    browser.click("input[name=ids]").await;
    browser
        .click("form[action='/bulk/preview'] button[type=submit]")
        .await;
    browser.says("what it would do").await;
    check(browser, axe, "the preview of a change of many", look).await;
    browser.open(&site.page_of("ron")).await;
    browser.act("identifiers", "").await;
    browser.says("ron@example.org").await;
    check(browser, axe, "a request with its identifiers", look).await;
    let letter = site.first("/v1/dead-letters", "id").await;
    browser.open(&format!("/dead-letters/{letter}")).await;
    browser.act("original", "").await;
    browser.says("\"identities\":[]").await;
    check(browser, axe, "the original of a dead letter", look).await;
}

/// Has a change of many ordered, so that its page is there.
async fn order_a_change(site: &Site) {
    let order = json!({ "action": "hold", "ids": [site.requests["ron"]], "basis": "dispute", "reason": "court case 8" });
    let (status, job) = site
        .call(Method::POST, COMPLIANCE, "/v1/bulk", Some(&order))
        .await;
    assert_eq!(status, 202, "{job}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_have_no_fault_that_axe_finds() {
    let (site, driver) = (Site::start().await, Driver::start());
    order_a_change(&site).await;
    let axe = std::fs::read_to_string(service("LACUNA_TEST_AXE")).unwrap();
    for look in [Look::Light, Look::Dark, Look::Narrow] {
        let browser = driver.browser(&site.base(), look).await;
        browser.open("/login").await;
        check(&browser, &axe, "/login", look).await;
        // Each role has forms that the other one has not.
        for token in [OPERATOR, COMPLIANCE] {
            browser.sign_in(token).await;
            for page in pages(&site).await {
                browser.open(&page).await;
                check(&browser, &axe, &page, look).await;
            }
            check_forms(&site, &browser, &axe, look).await;
            browser.open("/").await;
            browser.click("form[action='/logout'] button").await;
            browser.find("input[name=token]").await;
        }
        browser.sign_in(SECOND).await;
        browser.search("nobody@example.org").await;
        browser.says("Nothing was found").await;
        check(&browser, &axe, "the search", look).await;
        browser.client.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_would_be_found() {
    let (site, driver) = (Site::start().await, Driver::start());
    let axe = std::fs::read_to_string(service("LACUNA_TEST_AXE")).unwrap();
    let browser = driver.browser(&site.base(), Look::Light).await;
    browser.open("/login").await;
    let spoil = "document.querySelector('label').remove(); document.documentElement.removeAttribute('lang');";
    browser.client.execute(spoil, Vec::new()).await.unwrap();
    browser.client.execute(&axe, Vec::new()).await.unwrap();
    let script = "const done = arguments[arguments.length - 1];
        axe.run(document, { runOnly: { type: 'tag', values: ['wcag2a'] } }).then((found) => done(found.violations.map((v) => v.id)));";
    let found = browser.run(script).await;
    assert!(
        found.as_array().unwrap().contains(&Value::from("html-has-lang")),
        "{found}"
    );
    browser.client.close().await.unwrap();
}
