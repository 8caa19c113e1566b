//! The five promises: every scenario is played against the real engine over SQLite, through the files that
//! `lacuna init` hands to newcomers.

mod broker;

use broker::Broker;
use clap::ValueEnum;
use lacuna::{
    lab::scenario::{report, script::Script},
    policies::{AgentFiles, Policy, Profile},
    terminal::Failure,
};

use crate::{store::fixture::on_postgres, support::repository};

/// Makes the test of a scenario.
macro_rules! scenarios {
    ($($name:ident),+ $(,)?) => {
        const PLAYED: &[&str] = &[$(stringify!($name)),+];
        $(#[tokio::test]
        async fn $name() {
            play(stringify!($name)).await;
        })+
    };
}

scenarios!(jojocell, whatsify, emojoi, helpdesk, dijo);

/// The files as they stand there now: to change a scenario, nothing has to be compiled.
fn profile(name: &str) -> Profile {
    let found = Policy::from_str(name, false).unwrap().profile();
    let read = |file: &str| -> &'static str {
        let path = repository("tests/scenarios").join(name).join(file);
        std::fs::read_to_string(path).unwrap().leak()
    };
    Profile {
        config: read("lacuna.toml"),
        registry: read("processors.toml"),
        script: read("scenario.txt"),
        agent: found.agent.map(|_| AgentFiles {
            config: read("agent.toml"),
            database: read("database.sql"),
        }),
        ..*found
    }
}

fn note(told: &mut String, line: &str) -> Result<(), Failure> {
    *told += &format!("{line}\n");
    Ok(())
}

async fn play(name: &str) {
    let mut told = String::new();
    let tally = report::play(&profile(name), &mut |line| note(&mut told, line)).await;
    let tally = tally.unwrap_or_else(|stuck| panic!("{told}\n{stuck}"));
    assert!(tally.claims > 20, "{told}");
    assert_eq!(tally.faults, 0, "{told}");
    assert!(!told.contains("@example.org"), "an identifier is shown: {told}");
}

/// Five years on a clock that is turned by hand; all else is real.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dijo_on_kafka_and_postgres() {
    on_postgres(async |fixture| {
        let profile = profile("dijo");
        let script = Script::read(profile.script).unwrap();
        let zone = profile.zone().unwrap();
        let mut broker = Broker::start(&profile, script.starts, &fixture.place.url()).await;
        let mut told = String::new();
        let tally = report::perform(&script, &mut broker, &zone, &mut |line| note(&mut told, line)).await;
        let tally = tally.unwrap_or_else(|stuck| panic!("{told}\n{stuck}"));
        assert_eq!(tally.faults, 0, "{told}");
        broker.end().await;
    })
    .await;
}

#[test]
fn every_folder_is_a_scenario_that_is_played() {
    let mut folders: Vec<String> = std::fs::read_dir(repository("tests/scenarios"))
        .unwrap()
        .map(|folder| folder.unwrap().file_name().into_string().unwrap())
        .collect();
    folders.sort();
    let mut profiles: Vec<&str> = Policy::value_variants()
        .iter()
        .map(|policy| policy.profile().name)
        .collect();
    profiles.sort_unstable();
    let mut played = PLAYED.to_vec();
    played.sort_unstable();
    assert_eq!(
        (&folders[..], &profiles),
        (
            &played.iter().map(ToString::to_string).collect::<Vec<_>>()[..],
            &played
        )
    );
}

#[tokio::test]
async fn what_was_not_seen_is_said() {
    // The same scenario under another promise: 10 days.
    let promised = Policy::Jojocell.profile();
    let profile = Profile {
        config: promised.config.replace("days:30", "days:10").leak(),
        ..*promised
    };
    let mut told = String::new();
    let tally = report::play(&profile, &mut |line| note(&mut told, line))
        .await
        .unwrap();
    assert!(
        tally.faults > 0 && told.contains("✗ ann: in_progress, deadline 2026-04-01"),
        "{told}"
    );
    assert!(told.contains("but it is 2026-03-12"), "{told}");
}
