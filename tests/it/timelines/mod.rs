//! Timelines: what is deferred, told day by day, over both stores. `cases/*.txt` holds them, `script` reads them, `stage`
//! plays them through the real engine and `judge` compares.
//!
//! Over SQLite every timeline is run three times: with one worker, with another worker for every step, and with every
//! message twice; over PostgreSQL once, with both.

mod crashes;
mod judge;
mod lives;
mod messages;
mod model;
mod ops;
mod pace;
mod random;
mod script;
mod stage;

use stage::{Stage, Way};

use crate::{
    store::fixture::{Fixture, on_postgres, on_sqlite},
    support::repository,
};

/// Makes the tests of the files of timelines: one a file, store and way.
macro_rules! timelines {
    ($($file:ident),+ $(,)?) => {
        const FILES: &[&str] = &[$(stringify!($file)),+];
        $(mod $file {
            use super::{Way, run_file};

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                for way in [Way::Plain, Way::Restarted, Way::Doubled] {
                    run_file(stringify!($file), way, false).await;
                }
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                // What a schema costs counts: once, in the way that is the hardest.
                run_file(stringify!($file), Way::RestartedAndDoubled, true).await;
            }
        })+
    };
}

timelines!(
    horizons, rotations, proofs, keys, rules, retention, holds, restores, capsules, looks, downtime, notices
);

/// Runs the timelines of a file, and says of every one that fails which of its steps did.
async fn run_file(file: &str, way: Way, postgres: bool) {
    let path = repository("tests/it/timelines/cases").join(format!("{file}.txt"));
    let timelines = script::read(&std::fs::read_to_string(path).unwrap());
    let only = std::env::var("TIMELINE").unwrap_or_default();
    let mut failed = Vec::new();
    for timeline in timelines
        .into_iter()
        .filter(|timeline| timeline.name.contains(&only))
    {
        let name = timeline.name.clone();
        let (tell, told) = tokio::sync::oneshot::channel();
        let case = async move |fixture: Fixture| tell.send(run(fixture, &timeline, way).await).unwrap();
        if postgres {
            on_postgres(case).await;
        } else {
            on_sqlite(case).await;
        }
        if let Err(fault) = told.await.unwrap() {
            failed.push(format!("== {name} ({way:?})\n{fault}"));
        }
    }
    assert!(
        failed.is_empty(),
        "{} failed:\n{}",
        failed.len(),
        failed.join("\n\n")
    );
}

async fn run(fixture: Fixture, timeline: &script::Timeline, way: Way) -> Result<(), String> {
    let mut stage = Stage::set(fixture, timeline, way).await;
    for step in &timeline.steps {
        stage.play(step).await;
        let faults = stage.judge(step).await;
        if !faults.is_empty() {
            return Err(format!("   {}\n     {}", step.text, faults.join("\n     ")));
        }
    }
    stage.world.check().await;
    Ok(())
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
    let count: usize = FILES
        .iter()
        .map(|file| {
            let path = repository("tests/it/timelines/cases").join(format!("{file}.txt"));
            script::read(&std::fs::read_to_string(path).unwrap()).len()
        })
        .sum();
    assert!(count >= 45, "{count} timelines");
}
