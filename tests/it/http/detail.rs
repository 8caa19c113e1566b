//! The detail view and the ledger's entries.

use lacuna::{
    domain::ids::Tenant,
    engine::prepare::Arrival,
    wire::{Channel, Envelope, KeptHeaders},
};
use serde_json::{Value, json};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::fixture::{ack, api, command};

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
async fn the_ledgers_entries_are_readable() {
    let api = api().await;
    let id = api.submit(json!({})).await;
    let task = api.task_message(id, "crm").await;
    let answer = ack(
        &task,
        json!({ "evidence": { "records": 3 }, "message": "a free text" }),
    );
    api.post("crm", "/v1/acks", &answer).await.ok(200);
    let waive = format!(
        "/v1/tasks/{}/waive",
        api.task_message(id, "stats").await["task_id"].as_str().unwrap()
    );
    api.post("ops", &waive, &json!({ "reason": "gone for good" }))
        .await
        .ok(200);
    let path = format!("/v1/requests/{id}/events");
    let page = api.get("audit", &path).await.ok(200);
    assert_eq!(page["next_cursor"], Value::Null);
    let leaves = page["items"].as_array().unwrap();
    let kinds = |leaf: &Value| -> Vec<String> {
        leaf["entries"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["type"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        leaves
            .iter()
            .map(|leaf| leaf["n"].as_u64().unwrap())
            .collect::<Vec<_>>(),
        [0, 1, 2]
    );
    assert_eq!(kinds(&leaves[0]), ["opened", "task", "task"]);
    assert_eq!(leaves[0]["entries"][0]["processors"], json!(["crm", "stats"]));
    assert_eq!(leaves[0]["entries"][0]["commitment"].as_str().unwrap().len(), 64);
    assert_eq!(kinds(&leaves[1]), ["task", "evidence"]);
    let settled = json!({ "type": "settled", "attempt": 1, "proof": "erased", "at": "2026-11-21T12:00:00Z" });
    assert_eq!(leaves[1]["entries"][0]["event"], settled);
    assert_eq!(leaves[1]["entries"][0]["task_id"], task["task_id"]);
    assert_eq!(kinds(&leaves[2]), ["acted_by", "task", "status", "shredded"]);
    assert_eq!(leaves[2]["entries"][0]["actor"], "ops");
    // A processor's words stay sealed; why a person decided is read back.
    assert!(
        !page.to_string().contains("free text") && !leaves[2]["entries"].to_string().contains("for good")
    );
    assert_eq!(
        leaves[2]["notes"],
        json!([{ "by": "ops", "decision": "waive", "task": 1, "reason": "gone for good" }])
    );

    let first = api.get("audit", &format!("{path}?limit=2")).await.ok(200);
    let rest = api
        .get(
            "audit",
            &format!("{path}?cursor={}", first["next_cursor"].as_str().unwrap()),
        )
        .await
        .ok(200);
    assert_eq!(
        (first["items"].as_array().unwrap().len(), &rest["items"]),
        (2, &json!([leaves[2]]))
    );
    api.get("audit", &format!("/v1/requests/{}/events", Uuid::now_v7()))
        .await
        .is(404, "not_found");
}

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
async fn every_decision_is_read_back_with_who_when_and_why() {
    let api = super::fixture::start("[policy]\napproval = \"always\"\n", true).await;
    let id = api.submit(json!({})).await;
    let path = format!("/v1/requests/{id}");
    let hold = json!({ "hold_id": Uuid::from_u128(77), "basis": "dispute", "request_id": id, "note": "a claim",
                       "command_id": Uuid::from_u128(78) });
    api.post("dpo", "/v1/holds", &hold).await.ok(201);
    let approval = json!({ "reason": "seen with legal" });
    api.post("dpo", &format!("{path}/approve"), &approval)
        .await
        .ok(200);
    let extension = json!({ "reason": "complexity" });
    api.post("dpo", &format!("{path}/extend"), &extension)
        .await
        .ok(200);
    let released = format!("/v1/holds/{}", Uuid::from_u128(77));
    api.call(reqwest::Method::DELETE, Some("dpo"), &released, None)
        .await
        .ok(200);
    api.sweep().await;
    let task = api.task_message(id, "crm").await;
    api.post("crm", "/v1/acks", &ack(&task, json!({ "outcome": "rejected" })))
        .await
        .ok(200);
    let of_task = |what: &str| format!("/v1/tasks/{}/{what}", task["task_id"].as_str().unwrap());
    api.post(
        "ops",
        &of_task("retry"),
        &json!({ "reason": "the vendor was asked" }),
    )
    .await
    .ok(200);
    api.post("ops", &of_task("waive"), &json!({ "reason": "contract ended" }))
        .await
        .ok(200);
    let detail = api.get("dpo", &path).await.ok(200);
    let told: Vec<Value> = detail["decisions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|decision| {
            json!([
                decision["by"],
                decision["decision"],
                decision["processor"],
                decision["reason"]
            ])
        })
        .collect();
    let none = Value::Null;
    for expected in [
        json!(["dpo", "hold", none, "a claim"]),
        json!(["dpo", "approve", none, "seen with legal"]),
        json!(["dpo", "extend", none, "complexity"]),
        json!(["dpo", "release", none, none]),
        json!(["ops", "retry", "crm", "the vendor was asked"]),
        json!(["ops", "waive", "crm", "contract ended"]),
    ] {
        assert!(told.contains(&expected), "{expected} is not in {told:?}");
    }
    assert_eq!(told.len(), 6);
    assert_eq!(detail["decisions"][0]["at"], "2026-11-21T12:00:00Z");
    let events = api.get("audit", &format!("{path}/events")).await.ok(200);
    let notes: Vec<&Value> = events["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|leaf| leaf["notes"].as_array())
        .flatten()
        .collect();
    for reason in ["seen with legal", "the vendor was asked", "contract ended"] {
        assert!(
            notes.iter().any(|note| note["reason"] == reason),
            "{reason}: {notes:?}"
        );
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
