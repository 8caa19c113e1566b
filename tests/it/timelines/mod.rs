//! Timelines: what is deferred, told day by day, over both stores. `cases/*.txt` holds them, in the language of scenarios
//! (`src/lab/scenario/script.rs`); they are played by hand, and `inside` looks at what nobody outside can see.
//!
//! Over SQLite every timeline is run three times: with one worker, with another worker for every step, and with every
//! message twice; over PostgreSQL once, with both.

mod crashes;
mod inside;
mod lives;
mod model;
mod ops;
mod pace;
mod random;
mod recount;

use std::sync::Arc;

use jiff::tz::TimeZone;
use lacuna::{
    config::Config,
    domain::calendar::Period,
    engine::Settings,
    lab::scenario::{
        environment::Environment as _,
        in_process::{Disturbances, InProcess},
        player::Player,
        registry,
        script::Script,
    },
};

use crate::{
    schedules::world::{World, settings},
    store::fixture::{Fixture, on_postgres, on_sqlite},
    support::repository,
};

/// Makes the tests of the files of timelines: one a file, store and disturbances.
macro_rules! timelines {
    ($($file:ident),+ $(,)?) => {
        const FILES: &[&str] = &[$(stringify!($file)),+];
        $(mod $file {
            use super::{run_file, disturbances};

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                for disturbances in [disturbances(false, false), disturbances(true, false), disturbances(false, true)] {
                    run_file(stringify!($file), disturbances, false).await;
                }
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                // What a schema costs counts: once, in the disturbances that is the hardest.
                run_file(stringify!($file), disturbances(true, true), true).await;
            }
        })+
    };
}

timelines!(
    horizons, rotations, proofs, keys, rules, retention, holds, restores, capsules, looks, downtime, notices
);

/// Weeks may pass without a worker.
fn disturbances(restarted: bool, doubled: bool) -> Disturbances {
    Disturbances {
        restarted,
        doubled,
        leaps: true,
    }
}

fn scripts_of(file: &str) -> Vec<Script> {
    let path = repository("tests/it/timelines/cases").join(format!("{file}.txt"));
    Script::read_all(&std::fs::read_to_string(path).unwrap())
        .unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Runs the timelines of a file, and says of every one that fails which of its steps did.
async fn run_file(file: &str, disturbances: Disturbances, postgres: bool) {
    let only = std::env::var("TIMELINE").unwrap_or_default();
    let mut failed = Vec::new();
    for script in scripts_of(file) {
        if !script.name.contains(&only) {
            continue;
        }
        let name = script.name.clone();
        let (tell, told) = tokio::sync::oneshot::channel();
        let case =
            async move |fixture: Fixture| tell.send(run(fixture, &script, disturbances).await).unwrap();
        if postgres {
            on_postgres(case).await;
        } else {
            on_sqlite(case).await;
        }
        if let Err(fault) = told.await.unwrap() {
            failed.push(format!("== {name} ({disturbances:?})\n{fault}"));
        }
    }
    assert!(
        failed.is_empty(),
        "{} failed:\n{}",
        failed.len(),
        failed.join("\n\n")
    );
}

async fn run(fixture: Fixture, script: &Script, disturbances: Disturbances) -> Result<(), String> {
    let zone = TimeZone::get(script.zone.as_deref().unwrap_or("UTC")).unwrap();
    let registry = registry(&script.processors);
    let world = World::with_settings(fixture, &registry, settings_of(script, &zone)).await;
    world.clock.advance(script.starts.since(world.now()));
    let config = Config::default();
    let mut in_process = InProcess::over(Arc::clone(&world.harness), disturbances, &config, &[])
        .await
        .unwrap();
    let caller = in_process.caller().clone();
    let mut player = Player::new(script, &mut in_process, zone);
    for step in &script.steps {
        let checked = player.play(step).await.map_err(|stuck| stuck.to_string())?;
        let found = checked.into_iter().filter_map(|checked| {
            let fault = checked.fault?;
            Some(format!("{}: {fault}", checked.text))
        });
        let faults: Vec<String> = found.chain(inside::faults(&world, &caller).await).collect();
        if !faults.is_empty() {
            let at = step.events.iter().chain(&step.claims).next();
            let line = at.map_or(0, |line| line.number);
            return Err(format!(
                "   line {line}, {}\n     {}",
                step.at,
                faults.join("\n     ")
            ));
        }
    }
    world.check().await;
    Ok(())
}

/// Nothing that is closed goes before the end: what has to hold is asked of all.
fn settings_of(script: &Script, zone: &TimeZone) -> Settings {
    let mut settings = settings();
    settings.rules.calendar.zone = zone.clone();
    settings.rules.require_verification = script.verification;
    if let Some(period) = script.keep_ids {
        settings.keep_after_completion = period;
    }
    settings.keeps.lookups = Period::years(100);
    settings.keeps.records = Period::years(100);
    settings
}

#[test]
fn every_file_of_timelines_is_run() {
    let mut found: Vec<String> = std::fs::read_dir(repository("tests/it/timelines/cases"))
        .unwrap()
        .map(|file| {
            file.unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    found.sort();
    let mut run: Vec<&str> = FILES.to_vec();
    run.sort_unstable();
    assert_eq!(found, run);
    let count: usize = FILES.iter().map(|file| scripts_of(file).len()).sum();
    assert!(count >= 45, "{count} timelines");
}
