//! `lacuna demo --scenario backups`: five years of what cannot be erased at once, in seconds.
//!
//! The engine, the vault, the ledger and the SQLite store are the real ones. The clock is turned by hand, the systems
//! that hold data are simulated, and messages go within one process instead of through a broker.

mod checks;
mod people;
mod render;
mod simulation;
mod systems;

use serde_json::{Value, json};
use uuid::Uuid;

use self::{
    checks::Checks,
    people::{ADA, BEN, CLEO, DORA, EMIL, PEOPLE, Person},
    simulation::{Simulation, at, new_id, place},
};
use super::{DemoError, setup};
use crate::{
    clock::Stopwatch,
    domain::{task::TaskState, time::At, words::Status},
    terminal::{Exit, folder::Folder, output::say},
};

/// When the first copies of the story are taken, before anybody asks for anything.
const BEFORE: &str = "2026-01-01T02:00:00Z";

/// Tells the story.
pub(super) async fn demonstrate() -> Result<Exit, DemoError> {
    let watch = Stopwatch::start();
    say(format_args!(
        "Lacuna's demonstration of what cannot be erased at once: backups, retention, a legal hold, restores.\n\n\
         Real: the engine, the vault, the ledger, a SQLite file (gone afterwards), and every message.\n\
         Simulated: the clock, which is turned by hand through five years; the systems and the copies that hold data;\n\
         and the broker, because a clock that is turned cannot wait for one. Copies are taken monthly here.\n"
    ))?;
    let folder = Folder::create("demo")?;
    let config = setup::prepare_with(&folder, people::REGISTRY)?;
    let mut simulation = Simulation::open(&config, at(BEFORE)?).await?;
    let mut checks = Checks::default();
    first_month(&mut simulation, &mut checks).await?;
    years(&mut simulation, &mut checks).await?;
    checks.of_the_end(&simulation).await?;
    checks::print_table(&simulation).await?;
    let held = checks.print()?;
    say(format_args!(
        "\n{} requests, {} entries in the ledger, {:.1} s in all.",
        PEOPLE.len(),
        simulation.engine.store().ledger_size().await?,
        watch.elapsed().as_secs_f64()
    ))?;
    Ok(if held { Exit::Ok } else { Exit::NotSo })
}

/// Four requests, an early rotation, and two backups that are put back.
async fn first_month(simulation: &mut Simulation, checks: &mut Checks) -> Result<(), DemoError> {
    for person in PEOPLE.into_iter().filter(|person| *person != EMIL) {
        person.leave_traces(&mut simulation.systems);
    }
    simulation.until(at("2026-01-05T09:00:00Z")?).await?;
    simulation.systems.overlook("hourly");
    for person in [ADA, BEN, CLEO, DORA] {
        ask(simulation, person).await?;
    }
    let ben = simulation.request(BEN).await?;
    checks.note(
        "live systems erased at once, and what nobody will be asked for any more was sealed into a capsule",
        ben.request.life.live_clean_at == Some(simulation.now())
            && ben.wrapped_key.is_none()
            && ben.request.bookkeeping.capsule.is_some(),
    );

    simulation.until(at("2026-01-14T10:00:00Z")?).await?;
    let cleo = simulation.request(CLEO).await?;
    checks.note(
        "Cleo was completed, and her identifiers forgotten, when her last copy had grown old",
        cleo.request.life.status == Status::Completed && cleo.wrapped_key.is_none(),
    );
    restore(simulation, "snapshots", "hourly", &["analytics"]).await?;
    checks.note(
        "a snapshot brought Cleo's data back although she was forgotten: her capsule was opened, and it is gone again",
        simulation.request(CLEO).await?.request.life.status == Status::Deferred
            && !simulation.systems.holds("analytics", &CLEO.customer(), "profile"),
    );

    simulation.until(at("2026-01-20T10:00:00Z")?).await?;
    let before = horizon(simulation, BEN).await?;
    restore(simulation, "nightly-backup", "nightly", &["hosting", "crm"]).await?;
    checks.note(
        "a nightly backup brought data back to hosting and the CRM: it is gone again, and its copies grow old anew",
        horizon(simulation, BEN).await? > before && !simulation.systems.holds("crm", &BEN.customer(), "profile"),
    );

    let event = json!({
        "type": "backup.rotated", "processor": "nightly-backup", "set": "nightly",
        "oldest_retained_at": "2026-01-01T02:00:00Z",
    });
    simulation.until(at("2026-01-25T02:00:00Z")?).await?;
    let before = simulation.requests().await?;
    let headline = "nightly-backup reports a rotation that comes too early: its oldest copy is of 2026-01-01, which releases nothing";
    simulation.backup_event(headline, event, true).await?;
    let after = simulation.requests().await?;
    checks.note(
        "a rotation that came too early released nothing",
        before.len() == 4
            && before
                .iter()
                .zip(&after)
                .all(|(before, after)| before.request == after.request),
    );
    Ok(())
}

/// Years in which nearly nothing may happen.
async fn years(simulation: &mut Simulation, checks: &mut Checks) -> Result<(), DemoError> {
    let hold = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_00aa);
    simulation.until(at("2026-10-05T09:00:00Z")?).await?;
    let command = json!({
        "command_id": new_id(), "type": "hold", "tenant": "acme", "actor": "legal.department",
        "hold_id": hold, "basis": "legal_claims", "subject": { "identities": DORA.identities() },
        "note": "Dora has gone to court",
    });
    simulation
        .command(
            "the legal department places a hold on all that concerns Dora",
            &command,
        )
        .await?;

    simulation.until(at("2027-03-01T09:00:00Z")?).await?;
    EMIL.leave_traces(&mut simulation.systems);
    ask(simulation, EMIL).await?;

    simulation.until(at("2028-09-20T09:00:00Z")?).await?;
    checks.note(
        "tax law has let go of Dora's invoices in June 2027, and the hold has kept them until now",
        simulation.systems.holds("payments", &DORA.customer(), "invoices") && is_held(simulation).await?,
    );
    let command = json!({
        "command_id": new_id(), "type": "release", "tenant": "acme", "actor": "legal.department",
        "hold_id": hold,
    });
    simulation
        .command("the legal department releases the hold on Dora", &command)
        .await?;
    checks.note(
        "the release alone sent what was held: nobody had to ask again",
        !simulation.systems.holds("payments", &DORA.customer(), "invoices"),
    );

    simulation.until(at("2029-12-09T12:00:00Z")?).await?;
    checks.note(
        "a day before its five years are over, Ada's last invoice is still there",
        simulation.systems.holds("payments", &ADA.customer(), "invoices"),
    );
    simulation.until(at("2029-12-10T12:00:00Z")?).await?;
    checks.note(
        "on the day itself it is erased",
        !simulation.systems.holds("payments", &ADA.customer(), "invoices"),
    );
    simulation.until(at("2031-01-05T09:00:00Z")?).await
}

async fn ask(simulation: &mut Simulation, person: Person) -> Result<(), DemoError> {
    let closed: String = person.account_closed_at.chars().take(10).collect();
    let headline = format!("{} asks to be forgotten (account closed {closed})", person.name);
    let command = person.erase(simulation.now());
    simulation.command(&headline, &command).await
}

async fn restore(
    simulation: &mut Simulation,
    processor: &str,
    set: &str,
    into: &[&str],
) -> Result<(), DemoError> {
    let taken_at = simulation
        .systems
        .put_back(set, into)
        .ok_or_else(|| DemoError::Stuck(format!("no copy of {set}")))?;
    let headline = format!(
        "a backup of {processor}, taken {}, is put back into {}",
        render::day(taken_at),
        into.join(", ")
    );
    let event: Value = json!({
        "type": "backup.restored", "processor": processor, "set": set, "taken_at": taken_at,
        "restored_into": into,
    });
    simulation.backup_event(&headline, event, true).await
}

/// Until when the nightly copies of a person's data live.
async fn horizon(simulation: &Simulation, person: Person) -> Result<Option<At>, DemoError> {
    let request = simulation.request(person).await?.request;
    let ordinal = place(&request, "nightly-backup", 0)?;
    Ok(match request.task(ordinal).state {
        TaskState::Parked { until, .. } => Some(until),
        _ => None,
    })
}

async fn is_held(simulation: &Simulation) -> Result<bool, DemoError> {
    let request = simulation.request(DORA).await?.request;
    let ordinal = place(&request, "payments", 1)?;
    Ok(matches!(request.task(ordinal).state, TaskState::Held { .. }))
}
