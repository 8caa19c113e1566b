//! The work itself: lanes, requests, dead letters, the registry.

use std::{sync::Arc, time::Duration};

use super::Findings;
use crate::{
    cli::knowledge::Knowledge,
    clock::Clock,
    config::Config,
    domain::{
        ids::ProcessorId,
        registry::{Processor, Registry},
        time::At,
        words::{CommandKind, TaskStateName},
    },
    engine::lane_states::LaneStates,
    store::Store,
    terminal::Failure,
};

/// Twice as long as a processor is given to answer is too long.
const PATIENCE: u32 = 2;

/// Looks at what there is to do, and what keeps it from being done.
pub(super) async fn look(
    config: &Config,
    file: &Registry,
    store: &dyn Store,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let now = store.now().await?;
    let knowledge = Knowledge::read(store, config, Clock::System.now()).await?;
    let active = knowledge.registry();
    if active.processors.is_empty() {
        findings.warn(
            "registry",
            "no registry is active in the store yet",
            "`lacuna registry apply`, or the first `lacuna serve`",
        );
    } else if active == file {
        findings.fine("registry", "the file is what is active");
    } else {
        findings.warn(
            "registry",
            format!("{} is not what is active", config.registry.path.display()),
            "`lacuna registry diff` shows the difference, `lacuna registry apply` activates the file",
        );
    }
    let lanes: Vec<ProcessorId> = active.processors.iter().map(|one| one.id.clone()).collect();
    let facts = Arc::new(knowledge.facts.clone());
    let lane_states = LaneStates::read(store, None, facts, &lanes, now).await?;
    requests(&lane_states, findings);
    for processor in &active.processors {
        lane(processor, &lane_states, now, findings);
    }
    letters(store, findings).await?;
    sweeps(store, now, findings).await
}

fn requests(lane_states: &LaneStates, findings: &mut Findings) {
    let count = |kind: &str| {
        let rows = lane_states.counters.iter().filter(|(key, _)| key.kind == kind);
        rows.map(|(_, n)| *n).sum::<i64>()
    };
    let (overdue, at_risk) = (count("overdue"), count("at_risk"));
    if overdue > 0 {
        findings.wrong(
            "requests",
            format!("{overdue} are overdue"),
            "`lacuna requests --overdue`; docs/runbooks/overdue.md",
        );
    }
    if at_risk > 0 {
        findings.warn(
            "requests",
            format!("{at_risk} have little of their period left"),
            "`lacuna requests --at-risk`",
        );
    }
    if count("needs_attention") > 0 {
        findings.warn(
            "requests",
            format!(
                "{} need attention: they do not go on by themselves",
                count("needs_attention")
            ),
            "`lacuna requests --needs-attention`",
        );
    }
    if overdue == 0 && at_risk == 0 {
        findings.fine("requests", "none is overdue or at risk");
    }
}

fn lane(processor: &Processor, lane_states: &LaneStates, now: At, findings: &mut Findings) {
    let id = &processor.id;
    let before = findings.counts();
    if let Some((stopped, _)) = lane_states.stopped(id) {
        findings.warn(
            "lanes",
            format!(
                "{id} is stopped, since {} by {}",
                stopped.since, stopped.stop.actor
            ),
            "docs/runbooks/lane-stopped.md",
        );
    }
    if let Some(circuit) = lane_states.circuit(id) {
        findings.wrong(
            "lanes",
            format!("the circuit of {id} is open: {}", circuit.why),
            "docs/runbooks/circuit-open.md",
        );
    }
    let abandoned = lane_states.tasks(id, TaskStateName::Abandoned);
    if abandoned > 0 {
        findings.wrong(
            "lanes",
            format!("{abandoned} tasks of {id} were given up"),
            "retry or waive them: docs/runbooks/needs-attention.md",
        );
    }
    let undeliverable: i64 = lane_states
        .counters
        .iter()
        .filter(|(key, _)| key.kind == "undeliverable" && key.a == id.as_str())
        .map(|(_, n)| *n)
        .sum();
    if undeliverable > 0 {
        findings.wrong(
            "lanes",
            format!("{undeliverable} tasks of {id} are not taken by their topic"),
            "docs/runbooks/undeliverable.md",
        );
    }
    let silent = lane_states.oldest_unanswered(id).map(|since| now.since(since));
    if let Some(silent) = silent.filter(|silent| *silent > processor.ack_timeout * PATIENCE) {
        findings.warn(
            "lanes",
            format!("{id} has not answered a task for {} h", silent.as_secs() / 3600),
            "docs/runbooks/unusual-answers.md",
        );
    }
    if findings.counts().0 == before.0 && findings.counts().1 == before.1 {
        findings.fine("lanes", format!("{id} is open"));
    }
}

async fn letters(store: &dyn Store, findings: &mut Findings) -> Result<(), Failure> {
    let open = store.open_dead_letters().await?;
    let (mut erasures, mut others) = (0, 0);
    for alike in open {
        if alike.kind.is_some_and(CommandKind::opens) {
            erasures += alike.count;
        } else {
            others += alike.count;
        }
    }
    if erasures > 0 {
        findings.wrong(
            "dead letters",
            format!("{erasures} erase or anonymize commands could not be taken in"),
            "`lacuna dead-letters list --erasures`; docs/runbooks/dead-letters.md",
        );
    }
    if others > 0 {
        findings.warn(
            "dead letters",
            format!("{others} other messages could not be taken in"),
            "`lacuna dead-letters list`",
        );
    }
    if erasures + others == 0 {
        findings.fine("dead letters", "none is open");
    }
    Ok(())
}

/// A sweep that has not moved for so long is stuck.
const STUCK: Duration = Duration::from_secs(600);

async fn sweeps(store: &dyn Store, now: At, findings: &mut Findings) -> Result<(), Failure> {
    for sweep in store.sweeps(true, 100).await? {
        if now.since(sweep.updated_at) > STUCK {
            findings.warn(
                "sweeps",
                format!(
                    "the sweep of a {} has not moved for {} min",
                    sweep.kind.as_str(),
                    now.since(sweep.updated_at).as_secs() / 60
                ),
                "`lacuna sweeps list --unfinished`; docs/runbooks/sweep-behind.md",
            );
        }
    }
    Ok(())
}
