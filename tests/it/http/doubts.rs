//! What a command names and nobody knows is said, and loses nothing.

use lacuna::{
    domain::ids::Tenant,
    engine::prepare::Arrival,
    wire::{Channel, Envelope, KeptHeaders},
};
use serde_json::json;
use zeroize::Zeroizing;

use super::fixture::{api, command};

#[tokio::test]
async fn a_processor_that_nobody_knows_is_said_and_loses_no_request() {
    let api = api().await;
    let warned = command(json!({
        "exclude": [{ "processor": "stats", "basis": "independent_authorization" },
                    { "processor": "statz", "basis": "independent_authorization" }],
        "scope": { "processors": ["crm", "stats", "crmm"] },
    }));
    let warnings = json!([
        "exclude: no processor statz is registered, so nothing was kept from being erased by it",
        "scope.processors: no processor crmm is registered, so nobody was asked for it"
    ]);
    let status = api.post("shop", "/v1/requests", &warned).await.ok(202);
    assert_eq!(
        (&status["status"], &status["warnings"]),
        (&json!("in_progress"), &warnings)
    );
    let repeated = api.post("shop", "/v1/requests", &warned).await.ok(202);
    assert_eq!(repeated["warnings"], warnings);
    let id = status["request_id"].as_str().unwrap();
    let detail = api.get("dpo", &format!("/v1/requests/{id}")).await.ok(200);
    assert_eq!(detail["warnings"], warnings);
    let fine = command(json!({ "scope": { "processors": ["crm"] } }));
    let status = api.post("shop", "/v1/requests", &fine).await.ok(202);
    assert_eq!(status.get("warnings"), None);
    let other = api.submit(json!({})).await;
    let detail = api.get("dpo", &format!("/v1/requests/{other}")).await.ok(200);
    assert_eq!(detail["warnings"], json!([]));
}

#[tokio::test]
async fn unknown_type_is_warned_of_through_every_door() {
    let api = api().await;
    let mail = json!({ "identities": [{ "type": "customer_id", "value": "4711" },
                                      { "type": "mail", "value": "ann@example.org" }] });
    let command = command(json!({ "subject": mail, "tenant": "default" }));
    let tenant = Tenant::new("default").unwrap();
    let prepared = api
        .engine
        .intake()
        .prepare_command(
            command.to_string().as_bytes(),
            &Envelope::bare(&tenant),
            Channel::Commands,
        )
        .unwrap();
    let arrival = Arrival {
        origin: None,
        content: Ok(prepared),
        raw: Zeroizing::default(),
        headers: KeptHeaders::default(),
        reading: None,
    };
    api.engine.intake().take_in(&[arrival]).await.unwrap();
    let path = format!("/v1/requests/{}", command["command_id"].as_str().unwrap());
    let detail = api.get("dpo", &path).await.ok(200);
    let [warning] = detail["warnings"].as_array().unwrap().as_slice() else {
        panic!("{detail}")
    };
    let warning = warning.as_str().unwrap();
    assert!(
        warning.starts_with("subject.identities[1].type: no processor knows this type")
            && warning.ends_with("did you mean email?"),
        "{warning}"
    );
}
