//! Ten user journeys through the console, each as somebody takes it who wants to know or to do one thing.

use reqwest::Method;
use serde_json::json;

use super::{
    chromium::{Chromium, Driver, Look},
    site::{AUDITOR, COMPLIANCE, OPERATOR, SECOND, SUBMITTER, Site},
};

/// A site, and a browser in which somebody has signed in.
async fn signed_in(name: &str) -> (Site, Driver, Chromium) {
    let (site, driver) = (Site::start().await, Driver::start());
    let browser = driver.browser(&site.base(), Look::Light).await;
    browser.sign_in(name).await;
    (site, driver, browser)
}

#[tokio::test(flavor = "multi_thread")]
async fn compliance_finds_out_and_decides() {
    let (site, driver, browser) = signed_in(COMPLIANCE).await;
    is_anns_request_done(&site, &browser).await;
    why_is_fays_request_not_done(&site, &browser).await;
    an_identity_is_verified(&site, &browser).await;
    a_request_is_withdrawn_before_it_is_sent(&site, &browser).await;
    a_hold_is_placed_and_released(&site, &browser).await;
    nobody_approves_what_a_stale_page_shows(&site, &browser).await;
    a_second_person_approves(&site, &driver).await;
    browser.client.close().await.unwrap();
}

/// 1: by the person's address, which is in no URL.
async fn is_anns_request_done(site: &Site, browser: &Chromium) {
    browser.search("ann@example.org").await;
    browser
        .says("Erased everywhere but nightly-backup; that copy rotates on")
        .await;
    assert_eq!(browser.path().await, site.page_of("ann"));
    // Everybody is asked, answers and proves it, and the strip says so of each.
    assert_eq!(browser.count(".strip > li").await, 3);
    assert!(!browser.text().await.contains("ann@example.org"));
    // By the ticket it is the same page, and by an id another one.
    browser.open("/help").await;
    browser.search("T-1041").await;
    browser.says("Erased everywhere but nightly-backup").await;
    browser.search(&site.requests["bob"].to_string()).await;
    browser.says("Erased everywhere on").await;
}

/// 2
async fn why_is_fays_request_not_done(site: &Site, browser: &Chromium) {
    browser.open("/").await;
    browser.says("1 task given up").await;
    browser.open(&site.page_of("fay")).await;
    browser.says("Erased everywhere but ads; all its attempts have failed, and an operator has to retry or waive it").await;
    // Compliance decides about requests; what a task needs is an operator's affair, so there is no button for it.
    assert_eq!(browser.count("form[data-action=retry]").await, 0);
}

/// 3
async fn an_identity_is_verified(site: &Site, browser: &Chromium) {
    browser.open(&site.page_of("vic")).await;
    browser
        .says("the person's identity has to be verified first")
        .await;
    browser
        .choose("form[data-action=verify-identity] select", "passed")
        .await;
    browser
        .write("form[data-action=verify-identity] input[name=method]", "passport")
        .await;
    browser.act("verify-identity", "").await;
    browser.says("Written down").await;
    site.until("vic", "verified", |request| {
        request["status"] != "awaiting_verification"
    })
    .await;
}

/// 4
async fn a_request_is_withdrawn_before_it_is_sent(site: &Site, browser: &Chromium) {
    browser.open(&site.page_of("ron")).await;
    browser.says("Nothing is sent before 1 Jan 2030").await;
    browser.says("The request is then cancelled.").await;
    browser.act("cancel", "asked twice").await;
    browser.says("Withdrawn. Nothing was sent").await;
    let request = site.request("ron").await;
    assert_eq!(request["status"], "cancelled");
    assert_eq!(request["decisions"][0]["reason"], "asked twice");
    assert_eq!(browser.count("form[data-action]").await, 0);
}

/// 5
async fn a_hold_is_placed_and_released(site: &Site, browser: &Chromium) {
    browser.open(&site.page_of("ann")).await;
    browser.choose("form[data-action=hold] select", "regulator").await;
    browser.act("hold", "letter of the authority").await;
    browser
        .says("Nothing that the hold covers is sent until it is released")
        .await;
    assert_eq!(site.request("ann").await["holds"][0]["basis"], "regulator");
    browser.act("release", "letter withdrawn").await;
    browser.says("Released.").await;
    assert_eq!(site.request("ann").await["holds"], json!([]));
}

/// 6: a page that is old says so, and nothing is done.
async fn nobody_approves_what_a_stale_page_shows(site: &Site, browser: &Chromium) {
    browser.open(&site.page_of("ned")).await;
    browser.find("form[data-action=approve]").await;
    let path = format!("/v1/requests/{}/refuse", site.requests["ned"]);
    let refusal = json!({ "basis": "excessive" });
    let (status, answer) = site.call(Method::POST, SECOND, &path, Some(&refusal)).await;
    assert_eq!(status, 200, "{answer}");
    browser.act("approve", "").await;
    browser.says("Nothing was done").await;
    browser.says("Refused on").await;
}

/// 7: whoever is signed in has not submitted it.
async fn a_second_person_approves(site: &Site, driver: &Driver) {
    let browser = driver.browser(&site.base(), Look::Light).await;
    browser.sign_in(SECOND).await;
    browser.open(&site.page_of("amy")).await;
    browser.says("a second person has to approve it first").await;
    browser.says("Asks crm.").await;
    browser.act("approve", "checked the volume").await;
    browser.says("Approved.").await;
    site.until("amy", "completed", |request| request["status"] == "completed")
        .await;
    browser.open(&site.page_of("amy")).await;
    browser.says("Erased everywhere on").await;
    browser.says("carl: approve: checked the volume").await;
    browser.client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_keeps_the_work_going() {
    let (site, _driver, browser) = signed_in(OPERATOR).await;
    a_failed_task_is_waived(&site, &browser).await;
    a_lane_is_paused_and_resumed(&site, &browser).await;
    the_brake_is_seen_on_every_page(&browser).await;
    a_task_is_done_by_hand(&site, &browser).await;
    a_dead_letter_is_opened_and_closed(&site, &browser).await;
    keys_lead_through_pages(&browser).await;
    browser.client.close().await.unwrap();
}

/// 8
async fn a_failed_task_is_waived(site: &Site, browser: &Chromium) {
    browser.open(&site.page_of("fay")).await;
    browser.act("retry", "they have mended it").await;
    browser.says("It is asked again").await;
    site.until("fay", "given up again", |request| {
        request["tasks"]["abandoned"] == 1 && request["task_list"][1]["generation"] == 2
    })
    .await;
    browser.open(&site.page_of("fay")).await;
    browser.says("The request is then closed with exceptions.").await;
    browser.act("waive", "the vendor is gone").await;
    browser
        .says("Erased everywhere but ads (an operator has waived it)")
        .await;
    assert_eq!(site.request("fay").await["status"], "closed_with_exceptions");
}

/// 9
async fn a_lane_is_paused_and_resumed(site: &Site, browser: &Chromium) {
    browser.open("/processors/crm").await;
    browser.says("It takes tasks").await;
    browser.act("pause", "they move house").await;
    browser.says("Somebody has paused it").await;
    browser.says("they move house").await;
    let (_, lane) = site.call(Method::GET, AUDITOR, "/v1/processors/crm", None).await;
    assert_eq!(lane["lane"], "paused");
    browser.act("resume", "").await;
    browser.says("Resumed.").await;
}

async fn the_brake_is_seen_on_every_page(browser: &Chromium) {
    browser.open("/brake").await;
    browser.act("brake", "a wrong import").await;
    browser.says("It is on").await;
    browser.open("/help").await;
    browser.says("The brake is on").await;
    browser.open("/brake").await;
    browser.act("unbrake", "").await;
    browser.says("It is off").await;
    browser.open("/help").await;
    assert!(!browser.text().await.contains("The brake is on"));
}

/// 10: claimed, seen for whom, confirmed.
async fn a_task_is_done_by_hand(site: &Site, browser: &Chromium) {
    let task = site.first("/v1/manual", "task_id").await;
    browser.open(&format!("/manual/{task}")).await;
    browser.says("Delete the tickets in the help desk.").await;
    assert!(!browser.text().await.contains("hal@example.org"));
    browser.act("claim", "").await;
    browser.says("hal@example.org").await;
    browser.choose("form[data-action=confirm] select", "erased").await;
    browser
        .write("form[data-action=confirm] input[name=method]", "delete")
        .await;
    browser.act("confirm", "").await;
    browser.says("Confirmed. The request goes on.").await;
    assert_eq!(browser.path().await, site.page_of("hal"));
    assert_eq!(site.request("hal").await["status"], "completed");
}

async fn a_dead_letter_is_opened_and_closed(site: &Site, browser: &Chromium) {
    let letter = site.first("/v1/dead-letters", "id").await;
    browser.open(&format!("/dead-letters/{letter}")).await;
    browser.says("nobody is carrying it out").await;
    browser.act("original", "").await;
    browser.says("\"identities\":[]").await;
    browser.open(&format!("/dead-letters/{letter}")).await;
    browser.act("close", "sent again under a new id").await;
    browser.says("Somebody has closed it.").await;
}

async fn keys_lead_through_pages(browser: &Chromium) {
    browser.open("/help").await;
    browser.press("?").await;
    browser.find("dialog[open]").await;
    browser.click("dialog[open] button[type=submit]").await;
    browser.press("/").await;
    let active = browser.client.active_element().await.unwrap();
    assert_eq!(active.attr("name").await.unwrap().as_deref(), Some("q"));
    browser.open("/requests").await;
    let mut seen = Vec::new();
    for key in ["j", "j", "k"] {
        browser.press(key).await;
        let active = browser.client.active_element().await.unwrap();
        seen.push(active.attr("href").await.unwrap().unwrap_or_default());
    }
    assert!(
        seen[0].starts_with("/requests/") && seen[0] != seen[1] && seen[0] == seen[2],
        "{seen:?}"
    );
    // Whoever types into a field types letters.
    browser.write("#q", "jk?/").await;
    let typed = browser.find("#q").await.prop("value").await.unwrap();
    assert_eq!(typed.as_deref(), Some("jk?/"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_role_may_not_do_is_not_there() {
    let (site, driver, browser) = signed_in(AUDITOR).await;
    for person in ["ann", "amy", "fay", "vic"] {
        browser.open(&site.page_of(person)).await;
        browser.says("What has happened").await;
        assert_eq!(browser.count("form[data-action]").await, 0, "{person}");
    }
    for path in ["/processors/crm", "/brake"] {
        browser.open(path).await;
        assert_eq!(browser.count("form[data-action]").await, 0, "{path}");
    }
    browser.open("/holds/new").await;
    browser.says("Somebody with another role can do it").await;
    // Whoever has gone astray can search from there.
    browser.search(&site.requests["bob"].to_string()).await;
    browser.says("Erased everywhere on").await;
    browser.client.close().await.unwrap();
    // A submitter finds its own requests by their ids, and nobody by a name.
    let browser = driver.browser(&site.base(), Look::Light).await;
    browser.sign_in(SUBMITTER).await;
    browser.search("ann@example.org").await;
    browser.says("Nothing was found").await;
    browser.search(&site.requests["ann"].to_string()).await;
    browser.says("Erased everywhere but nightly-backup").await;
    browser.client.close().await.unwrap();
}
