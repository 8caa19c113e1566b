//! Tasks that people do: claimed by one at a time, over whatever comes between.

use std::{sync::atomic::Ordering, time::Duration};

use lacuna::{
    domain::ids::{ProcessorId, TaskId},
    engine::{
        Engine,
        manual::{Confirmed, ManualAction, ManualError, ManualState},
        stop::{LaneAction, LaneChange},
    },
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    control::{control, tell},
    world::{Sent, World, answer, cancel, erase, id},
};
use crate::store::fixture::Fixture;

on_both_stores!(
    a_task_waits_for_a_person_who_confirms_it,
    of_two_who_claim_at_once_one_has_it,
    two_people_confirm_what_two_have_to,
    a_task_that_is_handed_over_is_open_again,
    a_refusal_abandons_the_task,
    a_task_past_its_due_date_needs_attention,
    what_is_held_or_stopped_cannot_be_claimed,
    what_is_not_done_in_part_is_open_again,
    a_claim_that_is_over_says_nothing_of_the_next_one,
    what_nobody_has_claimed_can_be_withdrawn,
);

const DAY: Duration = Duration::from_secs(24 * 3600);

const REGISTRY: &str = r#"
[[processor]]
id = "crm"
kind = "crm"
transport = { type = "kafka" }
actions = ["erase"]
identities = ["email"]
after = ["desk"]
[[processor]]
id = "desk"
kind = "support"
transport = { type = "manual", assignee = "back-office", instructions = "Delete the ticket.", due = "3d" }
actions = ["erase"]
identities = ["email"]
[[processor]]
id = "vault"
kind = "other"
transport = { type = "manual", assignee = "lawyers", confirm_by_two = true }
actions = ["erase"]
identities = ["customer_id"]
"#;

async fn world(fixture: Fixture) -> World {
    World::with_registry(fixture, REGISTRY).await
}

async fn task_of(world: &World, n: u128, processor: &str) -> TaskId {
    let request = world.request(n).await;
    let place = request
        .tasks
        .iter()
        .position(|task| task.processor.as_str() == processor);
    request.task_id(u16::try_from(place.unwrap()).unwrap())
}

async fn act(
    engine: &Engine,
    task: TaskId,
    actor: &str,
    action: ManualAction<'_>,
) -> Result<(Confirmed, Sent), ManualError> {
    let (done, effects) = engine.manual().carry_out(task, actor, &action, None).await?;
    Ok((done, Sent::of(&effects)))
}

async fn state(engine: &Engine, task: TaskId) -> ManualState {
    engine.manual().find(task).await.unwrap().state
}

fn body(outcome: &str) -> Vec<u8> {
    json!({ "outcome": outcome, "evidence": { "method": "delete", "records": 1, "reference": "T-1" } })
        .to_string()
        .into_bytes()
}

fn why_of<'a>(status: &'a Value, processor: &str) -> (&'a Value, &'a Value) {
    let waiting = status["waiting_for"].as_array().unwrap();
    let of_it = waiting.iter().find(|one| one["processor"] == processor);
    let of_it = of_it.unwrap_or_else(|| panic!("{processor} is not waited for: {waiting:?}"));
    (&of_it["why"], &of_it["until"])
}

async fn a_task_waits_for_a_person_who_confirms_it(fixture: Fixture) {
    let world = world(fixture).await;
    let engine = world.worker().await;
    let (_, sent) = world.take_in(&engine, &erase(1)).await;
    assert!(sent.tasks.is_empty(), "nobody is sent anything");
    let due = json!(world.clock.now().plus(3 * DAY));
    assert_eq!(why_of(sent.status(), "desk"), (&json!("manual"), &due));

    let desk = task_of(&world, 1, "desk").await;
    let (listed, more) = engine.manual().list(None, 10).await.unwrap();
    assert_eq!((listed.len(), more), (2, None));
    assert!(matches!(
        act(&engine, desk, "ann", ManualAction::Confirm(&body("erased"))).await,
        Err(ManualError::NotClaimed)
    ));
    act(&engine, desk, "ann", ManualAction::Claim).await.unwrap();
    let found = engine.manual().find(desk).await.unwrap();
    assert_eq!(
        (found.state, json!(found.due), found.is_claimed_by("ann")),
        (ManualState::Claimed, due.clone(), true)
    );
    assert_eq!(found.instructions.as_deref(), Some("Delete the ticket."));
    // That she looked is a leaf of its own.
    world.accepted.fetch_add(1, Ordering::Relaxed);
    let named = engine.manual().identities(&[&found], "ann").await.unwrap();
    assert_eq!(
        (named[0].len(), named[0][0].kind.as_str()),
        (1, "email"),
        "what it is asked by"
    );
    let status = serde_json::to_value(engine.status_of(&world.request(1).await)).unwrap();
    assert_eq!(why_of(&status, "desk"), (&json!("manual"), &due));
    // What is not one of a person's answers is refused, and changes nothing.
    for (bad, field) in [
        (json!({}), "outcome"),
        (json!({ "outcome": "accepted" }), "outcome"),
        (json!([]), "object"),
    ] {
        let bytes = bad.to_string().into_bytes();
        let refused = act(&engine, desk, "ann", ManualAction::Confirm(&bytes))
            .await
            .unwrap_err();
        assert!(
            matches!(&refused, ManualError::Unreadable(why) if why.detail.contains(field)),
            "{refused}"
        );
    }
    let (done, sent) = act(&engine, desk, "ann", ManualAction::Confirm(&body("erased")))
        .await
        .unwrap();
    assert!(!done.awaits_second);
    assert_eq!(sent.asked(), ["crm"], "what comes after it goes at once");
    let task = &world.request(1).await.tasks[usize::from(done.ordinal)];
    assert_eq!(task.outcome(), Some("erased"));
    assert!(matches!(
        act(&engine, desk, "ann", ManualAction::Confirm(&body("erased"))).await,
        Err(ManualError::NotClaimed)
    ));
    world.check().await;
}

async fn of_two_who_claim_at_once_one_has_it(fixture: Fixture) {
    let world = world(fixture).await;
    let (one, other) = (world.worker().await, world.worker().await);
    world.take_in(&one, &erase(1)).await;
    let desk = task_of(&world, 1, "desk").await;
    let (ann, bob) = tokio::join!(
        act(&one, desk, "ann", ManualAction::Claim),
        act(&other, desk, "bob", ManualAction::Claim)
    );
    assert!(ann.is_ok() != bob.is_ok(), "{:?} {:?}", ann.is_ok(), bob.is_ok());
    let (winner, loser) = if ann.is_ok() {
        ("ann", "bob")
    } else {
        ("bob", "ann")
    };
    assert!(matches!(
        act(&one, desk, loser, ManualAction::Claim).await,
        Err(ManualError::Claimed)
    ));
    act(&other, desk, winner, ManualAction::Claim).await.unwrap();
    assert_eq!(
        world.request(1).await.tasks[1].attempt,
        1,
        "claimed twice, it counts once"
    );
    for action in [ManualAction::Confirm(&body("erased")), ManualAction::Refuse("no")] {
        assert!(matches!(
            act(&one, desk, loser, action).await,
            Err(ManualError::Claimed)
        ));
    }
    world.check().await;
}

async fn two_people_confirm_what_two_have_to(fixture: Fixture) {
    let world = world(fixture).await;
    let engine = world.worker().await;
    world.take_in(&engine, &erase(1)).await;
    let vault = task_of(&world, 1, "vault").await;
    act(&engine, vault, "ann", ManualAction::Claim).await.unwrap();
    let (first, _) = act(&engine, vault, "ann", ManualAction::Confirm(&body("erased")))
        .await
        .unwrap();
    assert!(first.awaits_second);
    assert_eq!(state(&engine, vault).await, ManualState::AwaitingSecond);
    assert!(matches!(
        act(&engine, vault, "ann", ManualAction::Confirm(&body("erased"))).await,
        Err(ManualError::SamePerson)
    ));
    assert!(matches!(
        act(&engine, vault, "bob", ManualAction::Confirm(&body("not_found"))).await,
        Err(ManualError::Differs)
    ));
    assert_eq!(world.request(1).await.counts().done, 0);
    // The second one vouches for the proof of the first.
    let bare = json!({ "outcome": "erased" }).to_string();
    let next = world.worker().await;
    let (second, _) = act(&next, vault, "bob", ManualAction::Confirm(bare.as_bytes()))
        .await
        .unwrap();
    assert!(!second.awaits_second);
    assert_eq!(world.request(1).await.counts().done, 1);
    world.check().await;
}

async fn a_task_that_is_handed_over_is_open_again(fixture: Fixture) {
    let world = world(fixture).await;
    let engine = world.worker().await;
    world.take_in(&engine, &erase(1)).await;
    let desk = task_of(&world, 1, "desk").await;
    act(&engine, desk, "ann", ManualAction::Claim).await.unwrap();
    act(&engine, desk, "ann", ManualAction::HandOver("night shift"))
        .await
        .unwrap();
    let found = engine.manual().find(desk).await.unwrap();
    assert_eq!(
        (found.state, found.assignee.as_str()),
        (ManualState::Open, "night shift")
    );
    assert!(!found.is_claimed_by("ann"));
    world.check().await;
    act(&engine, desk, "bob", ManualAction::Claim).await.unwrap();
    let found = engine.manual().find(desk).await.unwrap();
    assert_eq!(found.assignee, "night shift", "it stays theirs");
    // What nobody has claimed can be handed over, too.
    let vault = task_of(&world, 1, "vault").await;
    act(&engine, vault, "ann", ManualAction::HandOver("outside counsel"))
        .await
        .unwrap();
    assert_eq!(
        engine.manual().find(vault).await.unwrap().assignee,
        "outside counsel"
    );
    world.check().await;
}

async fn a_refusal_abandons_the_task(fixture: Fixture) {
    let world = world(fixture).await;
    let engine = world.worker().await;
    world.take_in(&engine, &erase(1)).await;
    let desk = task_of(&world, 1, "desk").await;
    let (_, sent) = act(&engine, desk, "ann", ManualAction::Refuse("not our system"))
        .await
        .unwrap();
    assert_eq!(
        (&sent.status()["needs_attention"], why_of(sent.status(), "desk").0),
        (&json!(true), &json!("abandoned"))
    );
    let request = world.request(1).await;
    let view = lacuna::view::task::TaskView::of(&request, 1);
    assert_eq!((view.state.as_str(), view.why), ("abandoned", Some("rejected")));
    assert!(engine.manual().find(desk).await.is_err(), "it waits for nobody");
    world.check().await;
    // An operator has it done again: it is open for everybody.
    engine
        .operations()
        .decide_task(desk, lacuna::engine::operations::TaskDecision::Retry, "ops", None)
        .await
        .unwrap();
    assert_eq!(state(&engine, desk).await, ManualState::Open);
    act(&engine, desk, "bob", ManualAction::Claim).await.unwrap();
    act(&engine, desk, "bob", ManualAction::Confirm(&body("not_found")))
        .await
        .unwrap();
    world.check().await;
}

async fn a_task_past_its_due_date_needs_attention(fixture: Fixture) {
    let world = world(fixture).await;
    let engine = world.worker().await;
    world.take_in(&engine, &erase(1)).await;
    world.take_in(&engine, &erase(2)).await;
    let vault = |n| task_of(&world, n, "vault");
    for n in [1, 2] {
        // Its own term is the processor's `ack_timeout`, a day.
        let task = vault(n).await;
        act(&engine, task, "ann", ManualAction::Claim).await.unwrap();
        act(&engine, task, "ann", ManualAction::Confirm(&body("erased")))
            .await
            .unwrap();
        act(&engine, task, "bob", ManualAction::Confirm(&body("erased")))
            .await
            .unwrap();
    }
    act(
        &engine,
        task_of(&world, 2, "desk").await,
        "ann",
        ManualAction::Claim,
    )
    .await
    .unwrap();
    world.pass(&engine, 2 * DAY).await;
    for n in [1, 2] {
        assert!(!world.request(n).await.life.needs_attention);
    }
    world.pass(&engine, DAY + Duration::from_secs(1)).await;
    for n in [1, 2] {
        assert!(world.request(n).await.life.needs_attention, "request {n}");
    }
    // Done late, it is done.
    let late = task_of(&world, 2, "desk").await;
    act(&engine, late, "ann", ManualAction::Confirm(&body("erased")))
        .await
        .unwrap();
    assert!(!world.request(2).await.life.needs_attention);
    world.check().await;
}

async fn what_is_held_or_stopped_cannot_be_claimed(fixture: Fixture) {
    let world = world(fixture).await;
    let engine = world.worker().await;
    world.take_in(&engine, &erase(1)).await;
    let (desk, vault) = (
        task_of(&world, 1, "desk").await,
        task_of(&world, 1, "vault").await,
    );
    let lane = ProcessorId::new("desk").unwrap();
    let change = |action| LaneChange {
        lane: Some(&lane),
        action,
        actor: "ops",
        reason: None,
        once: None,
    };
    engine.change_lane(&change(LaneAction::Stop)).await.unwrap();
    let refused = act(&engine, desk, "ann", ManualAction::Claim).await.unwrap_err();
    assert!(refused.to_string().contains("stopped"), "{refused}");
    engine.change_lane(&change(LaneAction::Resume)).await.unwrap();
    act(&engine, desk, "ann", ManualAction::Claim).await.unwrap();
    let hold = control(
        1,
        json!({ "type": "hold", "hold_id": Uuid::from_u128(7), "basis": "dispute", "processor": "vault" }),
    );
    tell(&world, &engine, &hold).await;
    let refused = act(&engine, vault, "ann", ManualAction::Claim).await.unwrap_err();
    assert!(refused.to_string().contains("hold"), "{refused}");
    world.check().await;
}

async fn what_is_not_done_in_part_is_open_again(fixture: Fixture) {
    let world = world(fixture).await;
    let engine = world.worker().await;
    world.take_in(&engine, &erase(1)).await;
    let desk = task_of(&world, 1, "desk").await;
    act(&engine, desk, "ann", ManualAction::Claim).await.unwrap();
    act(&engine, desk, "ann", ManualAction::Confirm(&body("partial")))
        .await
        .unwrap();
    assert_eq!(state(&engine, desk).await, ManualState::Open);
    world.pass(&engine, Duration::from_secs(3600)).await;
    act(&engine, desk, "bob", ManualAction::Claim).await.unwrap();
    let (_, sent) = act(&engine, desk, "bob", ManualAction::Confirm(&body("erased")))
        .await
        .unwrap();
    assert_eq!(sent.asked(), ["crm"]);
    world.settle(&engine, &answer(sent.task("crm"), "erased")).await;
    world.check().await;
}

async fn a_claim_that_is_over_says_nothing_of_the_next_one(fixture: Fixture) {
    let world = world(fixture).await;
    let engine = world.worker().await;
    world.take_in(&engine, &erase(1)).await;
    let desk = task_of(&world, 1, "desk").await;
    act(&engine, desk, "ann", ManualAction::Claim).await.unwrap();
    // An operator does without what was promised and is late.
    world.pass(&engine, 4 * DAY).await;
    engine
        .operations()
        .decide_task(desk, lacuna::engine::operations::TaskDecision::Retry, "ops", None)
        .await
        .unwrap();
    let found = engine.manual().find(desk).await.unwrap();
    assert_eq!((found.state, found.claim), (ManualState::Open, None));
    assert!(matches!(
        act(&engine, desk, "ann", ManualAction::Confirm(&body("erased"))).await,
        Err(ManualError::NotClaimed)
    ));
    act(&engine, desk, "bob", ManualAction::Claim).await.unwrap();
    world.check().await;
}

async fn what_nobody_has_claimed_can_be_withdrawn(fixture: Fixture) {
    let world = world(fixture).await;
    let engine = world.worker().await;
    for n in [1, 2] {
        world.take_in(&engine, &erase(n)).await;
    }
    act(
        &engine,
        task_of(&world, 2, "desk").await,
        "ann",
        ManualAction::Claim,
    )
    .await
    .unwrap();
    let (_, sent) = world.take_in(&engine, &cancel(1)).await;
    assert_eq!(sent.status()["status"], "cancelled");
    // Whoever has claimed it may have erased it already.
    let (_, sent) = world.take_in(&engine, &cancel(2)).await;
    assert_eq!(sent.reasons(), ["too_late"]);
    let (listed, _) = engine.manual().list(None, 10).await.unwrap();
    assert!(listed.iter().all(|task| task.request.id == id(2)));
    world.check().await;
}
