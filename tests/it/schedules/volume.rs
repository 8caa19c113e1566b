//! The brake on a sudden volume counts exactly, however many workers take requests in at once.

use std::sync::Arc;

use lacuna::{
    domain::{request::gates::Approval, words::Status},
    engine::Engine,
};

use super::world::{COMMANDS, World, command_from, erase, origin_at};
use crate::store::fixture::Fixture;

on_both_stores!(hourly_limit_holds_over_several_workers);

async fn hourly_limit_holds_over_several_workers(fixture: Fixture) {
    const MOST: u32 = 25;
    let mut world = World::new(fixture).await;
    world.settings.approval = Approval::AbovePerHour(MOST);
    let mut workers: Vec<Arc<Engine>> = Vec::new();
    for _ in 0..4 {
        workers.push(world.worker().await);
    }
    let batches = (0..).zip(&workers).map(|(w, engine)| {
        let engine = Arc::clone(engine);
        let commands: Vec<Vec<_>> = (0..10_u128)
            .map(|batch| {
                (1..=3_u128)
                    .map(|n| {
                        let id = (w + 1) * 1_000 + batch * 10 + n;
                        let offset = i64::try_from(batch * 3 + n).unwrap();
                        let origin = origin_at(COMMANDS, i32::try_from(w).unwrap(), offset);
                        command_from(&engine, Some(origin), &erase(id).to_string())
                    })
                    .collect()
            })
            .collect();
        tokio::spawn(async move {
            for batch in commands {
                engine.intake().take_in(&batch).await.unwrap();
            }
        })
    });
    for worker in batches.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
    let stored = world.fixture.store.page(None, 1_000).await.unwrap();
    let through = stored
        .iter()
        .filter(|stored| stored.request.life.status == Status::InProgress);
    assert_eq!((stored.len(), through.count()), (120, MOST as usize));
    world.check().await;
}
