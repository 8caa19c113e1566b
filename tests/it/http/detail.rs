//! The detail view.

use serde_json::{Value, json};
use uuid::Uuid;

use super::fixture::{ack, api};

#[tokio::test]
async fn the_detail_shows_tasks_evidence_gates_and_deadlines() {
    let api = api().await;
    let id = api
        .submit(json!({ "requested_at": "2026-11-20T09:00:00Z" }))
        .await;
    let path = format!("/v1/requests/{id}");
    let task = api.task_message(id, "crm").await;
    let brought = json!({
        "evidence": { "method": "delete", "records": 12, "reference": "job-77", "by_category": { "messages": 12 } },
        "at": "2026-11-21T11:00:00Z", "message": "done",
    });
    api.post("crm", "/v1/acks", &ack(&task, brought)).await.ok(200);
    let detail = api.get("dpo", &path).await.ok(200);
    assert_eq!(
        (&detail["reason"], &detail["requested_at"]),
        (&json!("account_closed"), &json!("2026-11-20T09:00:00Z"))
    );
    // A month later in Berlin is a Sunday, so the rolled one is the day after.
    assert_eq!(detail["deadline"], "2026-12-20T22:59:59Z");
    assert_eq!(detail["deadline_rolled"], "2026-12-21T22:59:59Z");
    assert_eq!(
        detail["deadlines"],
        json!({
            "acknowledge_by": null, "respond_by": detail["deadline"], "rolled": detail["deadline_rolled"],
            "first_period_ends": detail["deadline"], "extension_possible_until": detail["deadline"], "extended": false,
            "paused_days": 0,
        })
    );
    assert_eq!(detail["gates"], json!([]));
    let [crm, stats] = detail["task_list"].as_array().unwrap().as_slice() else {
        panic!("{detail}")
    };
    let evidence = json!({ "method": "delete", "records": 12, "reference": "job-77", "by_category": { "messages": 12 },
                           "at": "2026-11-21T11:00:00Z", "message": "done" });
    assert_eq!(
        *crm,
        json!({
            "task_id": task["task_id"], "processor": "crm", "action": "erase", "part": [], "sources": [],
            "state": "done",
            "generation": 1, "attempt": 1, "why": null, "until": null, "outcome": "erased", "evidence": evidence,
        })
    );
    assert_eq!(
        (&stats["state"], &stats["why"]),
        (&json!("dispatched"), &json!("ack"))
    );
    assert_eq!(
        (&stats["evidence"], &stats["outcome"]),
        (&Value::Null, &Value::Null)
    );
    let [sentence] = detail["why_not_done"].as_array().unwrap().as_slice() else {
        panic!("{detail}")
    };
    assert!(
        sentence
            .as_str()
            .unwrap()
            .starts_with("stats was asked at 2026-11-21T12:00:00Z"),
        "{sentence}"
    );
}

#[tokio::test]
async fn a_gate_is_shown_until_it_is_open() {
    let api = api().await;
    let id = api.submit(json!({ "not_before": "2026-11-22T12:00:00Z" })).await;
    let path = format!("/v1/requests/{id}");
    let gate = |open: bool| json!([{ "gate": "not_before", "open": open, "until": "2026-11-22T12:00:00Z" }]);
    let detail = api.get("dpo", &path).await.ok(200);
    assert_eq!(
        (&detail["status"], &detail["gates"]),
        (&json!("scheduled"), &gate(false))
    );
    assert_eq!(detail["task_list"][0]["why"], "not_before");
    assert_eq!(detail["why_not_done"].as_array().unwrap().len(), 1, "{detail}");
    api.clock.advance(std::time::Duration::from_secs(24 * 3600));
    api.wake().await;
    let detail = api.get("dpo", &path).await.ok(200);
    assert_eq!(
        (&detail["status"], &detail["gates"]),
        (&json!("in_progress"), &gate(true))
    );
}

#[tokio::test]
async fn legal_clock_shows_every_date_and_notice() {
    let api = api().await;
    let id = api
        .submit(json!({ "regime": "ccpa", "not_before": "2027-02-01T00:00:00Z" }))
        .await;
    let path = format!("/v1/requests/{id}");
    let detail = api.get("dpo", &path).await.ok(200);
    // Ten working days, forty-five days: 2027-01-05 is a Tuesday.
    let due = "2027-01-05T22:59:59Z";
    assert_eq!(
        detail["deadlines"],
        json!({
            "acknowledge_by": "2026-12-04T22:59:59Z", "respond_by": due, "rolled": due, "first_period_ends": due,
            "extension_possible_until": due, "extended": false, "paused_days": 0,
        })
    );
    assert_eq!(
        (&detail["notice"], &detail["at_risk"]),
        (&json!("acknowledgement_due"), &json!(true))
    );
    let too_late =
        "Its legal deadline, 2027-01-05T22:59:59Z, is before 2027-02-01T00:00:00Z and cannot be kept.";
    assert_eq!(detail["why_not_done"][1], too_late);
    let extended = api
        .post(
            "dpo",
            &format!("{path}/extend"),
            &json!({ "reason": "complexity" }),
        )
        .await
        .ok(200);
    assert_eq!(extended["notice"], "extended");
    let detail = api.get("dpo", &path).await.ok(200);
    assert_eq!(
        detail["deadlines"],
        json!({
            "acknowledge_by": "2026-12-04T22:59:59Z", "respond_by": "2027-02-19T22:59:59Z",
            "rolled": "2027-02-19T22:59:59Z", "first_period_ends": due, "extension_possible_until": null,
            "extended": true, "paused_days": 0,
        })
    );
    assert_eq!(detail["why_not_done"].as_array().unwrap().len(), 1, "{detail}");
}

#[tokio::test]
async fn exempt_and_unanswerable_tasks_say_why() {
    let api = api().await;
    let subject = json!({ "identities": [{ "type": "phone", "value": "+49 30 901820" }] });
    let id = api.submit(json!({ "subject": subject })).await;
    let detail = api.get("ops", &format!("/v1/requests/{id}")).await.ok(200);
    let why: Vec<_> = detail["task_list"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| &task["why"])
        .collect();
    assert_eq!(why, ["identity", "no_identity"]);
    assert_eq!(detail["needs_attention"], true);
    assert_eq!(
        detail["to_do"],
        json!([
            "crm cannot be asked: the subject has no identifier of a type that it knows. Supply one (supply_identities), or \
             waive the task."
        ])
    );
}

#[tokio::test]
async fn what_needs_attention_says_what_somebody_has_to_do() {
    let api = api().await;
    let id = api.submit(json!({})).await;
    let task = api.task_message(id, "crm").await;
    let promise = json!({ "outcome": "accepted", "expected_by": "2026-11-22T12:00:00Z" });
    api.post("crm", "/v1/acks", &ack(&task, promise)).await.ok(200);
    let path = format!("/v1/requests/{id}");
    let detail = api.get("dpo", &path).await.ok(200);
    assert_eq!(
        (&detail["needs_attention"], &detail["to_do"]),
        (&json!(false), &json!([]))
    );
    api.clock.advance(std::time::Duration::from_secs(24 * 3600));
    api.wake().await;
    let detail = api.get("dpo", &path).await.ok(200);
    let said = "crm has promised to be done by 2026-11-22T12:00:00Z and has not proved it: an operator has to find out \
                why, and to retry or waive it.";
    assert_eq!(
        (&detail["needs_attention"], &detail["to_do"]),
        (&json!(true), &json!([said]))
    );
    assert_eq!(detail["why_not_done"][0], said);
}

#[tokio::test]
async fn a_failed_try_says_why_and_not_for_whom() {
    let api = api().await;
    let id = api.submit(json!({})).await;
    let task = api.task_message(id, "crm").await;
    let email = task["identities"][0]["value"].as_str().unwrap();
    let failed =
        json!({ "outcome": "failed", "message": format!("the connection was refused\nfor {email}.") });
    api.post("crm", "/v1/acks", &ack(&task, failed)).await.ok(200);
    let path = format!("/v1/requests/{id}");
    let detail = api.get("ops", &path).await.ok(200);
    let said = detail["why_not_done"][0].as_str().unwrap();
    let begins = "crm is asked again at 2026-11-21T12:00:05Z, after attempt 1 did not succeed. The last try failed: the \
                  connection was refused for ";
    assert!(said.starts_with(begins) && !said.contains(email), "{said}");
    let explained = api.get("ops", &format!("{path}/explanation")).await.ok(200);
    let need = explained["to_finish_sooner"][0]["says"].as_str().unwrap();
    assert!(
        need.contains(
            "it is asked at 2026-11-21T12:00:05Z by itself; the last try failed: the connection was refused"
        ) && !need.contains(email),
        "{need}"
    );
    // Whoever may not see free text does not see it here either.
    for path in [path.clone(), format!("{path}/explanation")] {
        let shown = api.get("audit", &path).await.ok(200).to_string();
        assert!(!shown.contains("was refused"), "{shown}");
    }
    // Given up, it says so too; and what was proved says nothing of earlier tries.
    api.clock.advance(std::time::Duration::from_secs(6));
    api.wake().await;
    let again = api.task_message(id, "crm").await;
    assert_eq!(again["attempt"], 2);
    let detail = api.get("ops", &path).await.ok(200);
    let said = detail["why_not_done"][0].as_str().unwrap();
    assert!(
        said.contains("Attempt 1 failed: the connection was refused"),
        "{said}"
    );
    let failed = json!({ "outcome": "failed", "message": "HTTP 500" });
    api.post("crm", "/v1/acks", &ack(&again, failed)).await.ok(200);
    let detail = api.get("ops", &path).await.ok(200);
    assert_eq!(
        detail["to_do"],
        json!([
            "crm was given up (attempts_used) after 2 attempts: an operator has to retry or waive it. The last try failed: HTTP \
             500."
        ])
    );
}

#[tokio::test]
async fn a_submitter_sees_only_its_own() {
    let api = api().await;
    let path = format!("/v1/requests/{}", api.submit(json!({})).await);
    api.get("shop", &path).await.ok(200);
    api.get("app", &path).await.is(404, "not_found");
    for nothing in [
        Uuid::now_v7().to_string(),
        "x".to_owned(),
        Uuid::nil().simple().to_string(),
    ] {
        api.get("dpo", &format!("/v1/requests/{nothing}"))
            .await
            .is(404, "not_found");
    }
}

#[tokio::test]
async fn every_task_waived_claims_no_erasure() {
    let api = api().await;
    let id = api.submit(json!({})).await;
    for processor in ["crm", "stats"] {
        let task = api.task_message(id, processor).await;
        let path = format!("/v1/tasks/{}/waive", task["task_id"].as_str().unwrap());
        api.post("ops", &path, &json!({ "reason": "the vendor is gone" }))
            .await
            .ok(200);
    }
    let status = api.get("dpo", &format!("/v1/requests/{id}")).await.ok(200);
    assert_eq!(
        (&status["status"], &status["notice"], &status["live_clean_at"]),
        (
            &json!("closed_with_exceptions"),
            &json!("closed_with_exceptions"),
            &Value::Null
        )
    );
    assert_eq!(
        (&status["outcomes"]["waived"], &status["outcomes"]["erased"]),
        (&json!(2), &json!(0))
    );
    assert_eq!(
        status["not_erased"],
        json!([{ "processor": "crm", "why": "waived" }, { "processor": "stats", "why": "waived" }])
    );
}

#[tokio::test]
async fn overdue_awaiting_approval_needs_attention() {
    let api = super::fixture::start("[policy]\napproval = \"always\"\n", true).await;
    let id = api.submit(json!({})).await;
    let listed = "/v1/requests?needs_attention=true";
    assert_eq!(api.get("dpo", listed).await.ok(200)["items"], json!([]));
    api.clock.advance(std::time::Duration::from_secs(40 * 24 * 3600));
    api.wake().await;
    let found = api.get("dpo", listed).await.ok(200);
    assert_eq!(found["items"][0]["request_id"], json!(id), "{found}");
    let detail = api.get("dpo", &format!("/v1/requests/{id}")).await.ok(200);
    let to_do = detail["to_do"].as_array().unwrap();
    assert!(
        to_do
            .iter()
            .any(|said| said.as_str().unwrap().contains("still waits for a person")),
        "{to_do:?}"
    );
}
