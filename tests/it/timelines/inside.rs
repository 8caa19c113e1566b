//! What has to be so after every step of every timeline, and nobody outside can see.

use lacuna::{
    domain::{
        request::Request,
        task::{Share, Task, TaskState},
        words::Status,
    },
    engine::status::status_message,
    lab::scenario::call::Caller,
    store::StoredRequest,
};

use crate::schedules::world::World;

pub async fn faults(world: &World, caller: &Caller) -> Vec<String> {
    let mut faults = Vec::new();
    for stored in world.store.page(None, 100).await.unwrap() {
        let request = &stored.request;
        let done = |task: &Task| matches!(task.state, TaskState::Done { .. });
        if request.life.status == Status::Completed && !request.tasks.iter().all(done) {
            faults.push("invariant 2: completed, and not every task is done".to_owned());
        }
        faults.extend(unlisted(request));
        for task in &request.tasks {
            let Share::Wave { sources, .. } = &task.share else {
                continue;
            };
            let unconfirmed = |source: &u16| !request.task(*source).state.is_closed();
            if done(task) && sources.iter().any(unconfirmed) {
                faults.push("invariant 4: a wave is done, and its sources are not".to_owned());
            }
        }
        faults.extend(secrecy(world, caller, &stored).await);
    }
    faults
}

/// A status lists each task that is open, and no other.
fn unlisted(request: &Request) -> Option<String> {
    let message = serde_json::to_value(status_message(
        request,
        &Default::default(),
        &(&lacuna::domain::stops::Stops::default()).into(),
    ))
    .unwrap();
    let open = request.tasks.iter().filter(|task| !task.state.is_closed());
    let listed = message["waiting_for"].as_array().unwrap().iter();
    let (open, listed) = (
        open.count(),
        listed.filter(|one| !one["processor"].is_null()).count(),
    );
    (!request.life.status.is_final() && open != listed)
        .then(|| format!("waiting_for lists {listed} of {open} tasks"))
}

/// Who can still read the identifiers: anybody, only a restore replay, or nobody. What the API says of it has to be what
/// the keys open.
async fn secrecy(world: &World, caller: &Caller, stored: &StoredRequest) -> Option<String> {
    let request = &stored.request;
    let view = caller
        .read(&format!("/v1/requests/{}", request.id))
        .await
        .unwrap()
        .json;
    let said = view["identifiers"].as_str().unwrap_or("nothing");
    let found = who_can_read(world, stored).await;
    (said != found).then(|| format!("identifiers: the API says {said}, and they are {found}"))
}

async fn who_can_read(world: &World, stored: &StoredRequest) -> &'static str {
    let (store, request) = (&world.store, &stored.request);
    let tenant = &request.head.tenant;
    if let Some(key) = &stored.wrapped_key {
        let body = store.bodies(&[request.id]).await.unwrap().pop().unwrap();
        let opened = world.vault.open_subject(tenant, request.id, key, &body.sealed);
        return if opened.is_ok() { "readable" } else { "unreadable" };
    }
    let Some(capsule) = store.capsules(&[request.id]).await.unwrap().pop() else {
        return "forgotten";
    };
    let (epoch, key) = (&capsule.epoch, &capsule.wrapped_key);
    let opened = world
        .vault
        .open_capsule(epoch, key, tenant, request.id, &capsule.sealed);
    if opened.is_ok() {
        "capsule"
    } else {
        "a broken capsule"
    }
}
