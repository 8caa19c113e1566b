//! `[policy.tenant.NAME]`: two tenants of one installation live under different laws and behind different gates.

use std::time::Duration;

use serde_json::{Value, json};

use super::fixture::{Api, start};

const POLICY: &str = r#"
[policy]
regime = "gdpr"
approval = { above_per_hour = 3 }
[policy.tenant.acme]
regime = "ccpa"
time_zone = "America/Los_Angeles"
require_identity_verification = true
[policy.tenant.globex]
grace = "1d"
approval = "always"
[policy.tenant.initech]
approval = "never"
at_risk = 1.0
"#;

async fn status(api: &Api, with: Value) -> Value {
    let id = api.submit(with).await;
    api.get("dpo", &format!("/v1/requests/{id}")).await.ok(200)
}

#[tokio::test]
async fn tenants_differ_in_deadlines_and_gates() {
    let api = start(POLICY, true).await;
    let everybodys = status(&api, json!({})).await;
    assert_eq!(
        (
            &everybodys["status"],
            &everybodys["regime"],
            &everybodys["deadline"]
        ),
        (
            &json!("in_progress"),
            &json!("gdpr"),
            &json!("2026-12-21T22:59:59Z")
        )
    );
    let acme = status(&api, json!({ "tenant": "acme" })).await;
    // 45 days, and the end of the day in Los Angeles.
    assert_eq!(
        (&acme["status"], &acme["regime"], &acme["deadline"]),
        (
            &json!("awaiting_verification"),
            &json!("ccpa"),
            &json!("2027-01-06T07:59:59Z")
        )
    );
    let globex = status(&api, json!({ "tenant": "globex" })).await;
    assert_eq!(
        (&globex["status"], &globex["regime"]),
        (&json!("awaiting_approval"), &json!("gdpr"))
    );
    let path = format!("/v1/requests/{}/approve", globex["request_id"].as_str().unwrap());
    let approved = api.post("dpo", &path, &json!({})).await.ok(200);
    // The grace window is the next gate.
    assert_eq!(approved["status"], json!("scheduled"), "{approved}");
    // At risk from the first moment.
    let initech = status(&api, json!({ "tenant": "initech" })).await;
    assert_eq!(
        (&initech["at_risk"], &everybodys["at_risk"]),
        (&json!(true), &json!(false))
    );
}

#[tokio::test]
async fn a_command_that_names_a_regime_still_wins() {
    let api = start(POLICY, true).await;
    let verified = json!({ "tenant": "acme", "regime": "lgpd", "identity_verified": true });
    let acme = status(&api, verified).await;
    assert_eq!(
        (&acme["status"], &acme["regime"], &acme["deadline"]),
        (
            &json!("in_progress"),
            &json!("lgpd"),
            &json!("2026-12-07T07:59:59Z")
        )
    );
}

#[tokio::test]
async fn an_extension_is_counted_in_the_zone_of_its_tenant() {
    let api = start(POLICY, true).await;
    let acme = status(&api, json!({ "tenant": "acme", "identity_verified": true })).await;
    let path = format!("/v1/requests/{}/extend", acme["request_id"].as_str().unwrap());
    let extended = api
        .post("dpo", &path, &json!({ "reason": "complexity" }))
        .await
        .ok(200);
    assert_eq!(extended["deadline"], json!("2027-02-20T07:59:59Z"));
}

#[tokio::test]
async fn volume_of_a_tenant_without_a_brake_is_not_braked() {
    let api = start(POLICY, true).await;
    for n in 0..6 {
        let free = status(&api, json!({ "tenant": "initech" })).await;
        assert_eq!(free["status"], json!("in_progress"), "{n}");
    }
    // They are volume all the same, and everybody else waits.
    let braked = status(&api, json!({})).await;
    assert_eq!(braked["status"], json!("awaiting_approval"));
    api.clock.advance(Duration::from_secs(3601));
    let later = status(&api, json!({})).await;
    assert_eq!(later["status"], json!("in_progress"));
}

#[tokio::test]
async fn month_of_a_report_is_that_of_its_tenant() {
    let api = start(POLICY, true).await;
    let of = async |query: &str| {
        let report = api.get("dpo", &format!("/v1/report{query}")).await.ok(200);
        (report["from"].clone(), report["time_zone"].clone())
    };
    assert_eq!(
        of("").await,
        (json!("2026-09-30T22:00:00Z"), json!("Europe/Berlin"))
    );
    assert_eq!(
        of("?tenant=acme").await,
        (json!("2026-10-01T07:00:00Z"), json!("America/Los_Angeles"))
    );
}
