//! Who is let in: tokens of OAuth 2.0 are fetched once, renewed once, and their loss stops the lane.

use serde_json::json;

use super::{
    imitation::said,
    site::{Site, task, why, word},
};

fn found() -> serde_json::Value {
    json!({"done": true, "records": []})
}

#[tokio::test]
async fn a_token_is_fetched_once_for_many_calls() {
    let site = Site::new("salesforce", vec![said(200, found()), said(200, found())]).await;
    for _ in 0..2 {
        let reply = site.send(&task(&[("email", "ann@example.org")])).await;
        assert_eq!(word(&reply), "not_found");
    }
    assert_eq!(site.vendor.grants().len(), 1);
    let grant = &site.vendor.grants()[0];
    assert!(grant.contains("grant_type=client_credentials"), "{grant}");
    assert_eq!(site.vendor.seen()[0].header("authorization"), "Bearer granted");
}

#[tokio::test]
async fn a_token_that_is_refused_is_renewed_once() {
    let site = Site::new("salesforce", vec![said(401, json!({})), said(200, found())]).await;
    let reply = site.send(&task(&[("email", "ann@example.org")])).await;
    assert_eq!(word(&reply), "not_found");
    assert_eq!(site.vendor.grants().len(), 2);

    let site = Site::new("salesforce", vec![said(401, json!({})), said(401, json!({}))]).await;
    let reply = site.send(&task(&[("email", "ann@example.org")])).await;
    assert_eq!(
        word(&reply),
        "unauthorised",
        "nobody's task fails, and the lane stops"
    );
    assert_eq!(site.vendor.grants().len(), 2);
}

#[tokio::test]
async fn a_refresh_token_that_is_not_valid_stops_the_lane() {
    let site = Site::new("google-analytics", vec![]).await;
    *site.vendor.granting.lock().unwrap() = said(400, json!({"error": "invalid_grant"}));
    let reply = site.send(&task(&[("user_id", "7")])).await;
    assert_eq!(word(&reply), "unauthorised");
    assert!(site.vendor.seen().is_empty());
    let why = why(reply);
    assert!(why.contains("authorisation server answered 400"), "{why}");
    assert!(site.vendor.grants()[0].contains("grant_type=refresh_token"));
}

#[tokio::test]
async fn an_authorisation_server_that_is_away_fails_only_a_try() {
    let site = Site::new("salesforce", vec![]).await;
    *site.vendor.granting.lock().unwrap() = said(503, json!({}));
    let reply = site.send(&task(&[("email", "ann@example.org")])).await;
    assert_eq!(word(&reply), "failed");
}
