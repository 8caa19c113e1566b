//! Whether everything came to the end that the scenario says: asked of the store, the ledger and the simulated world,
//! never of what was printed.

use super::{
    people::{DORA, PEOPLE, Person},
    render::{day, learn_plan},
    simulation::Simulation,
};
use crate::{
    domain::{
        entry::{Entry, Leaf},
        registry::Retention,
        task::{TaskEvent, TaskState},
        time::At,
        words::Status,
    },
    engine::EngineError,
    lab::demo::DemoError,
    store::DeferredFilter,
    terminal::{Failure, output::say, table::Table},
};

/// What was to be, and whether it was.
#[derive(Debug, Default)]
pub(super) struct Checks(Vec<(String, bool)>);

impl Checks {
    /// Notes one thing.
    pub(super) fn note(&mut self, what: &str, held: bool) {
        self.0.push((what.to_owned(), held));
    }

    /// Notes how everything stands in the end.
    pub(super) async fn of_the_end(&mut self, simulation: &Simulation) -> Result<(), DemoError> {
        let requests = simulation.requests().await?;
        let proved = |state: &TaskState| matches!(state, TaskState::Done { .. });
        self.note(
            "every request is completed: each task of its plan was proved",
            requests.len() == PEOPLE.len()
                && requests.iter().all(|stored| {
                    stored.request.life.status == Status::Completed
                        && stored.request.tasks.iter().all(|task| proved(&task.state))
                }),
        );
        self.note(
            "upstream has heard so of each",
            PEOPLE.iter().all(|person| {
                simulation
                    .statuses
                    .get(&person.request())
                    .is_some_and(|(_, status)| status == "completed")
            }),
        );
        let store = simulation.engine.store().as_ref();
        let ids: Vec<_> = PEOPLE.iter().map(|person| person.request()).collect();
        self.note(
            "nobody's identifiers can be read any more: every key is destroyed, and every capsule's too",
            requests
                .iter()
                .all(|stored| stored.wrapped_key.is_none() && !stored.request.bookkeeping.readable)
                && store.capsules(&ids).await?.is_empty()
                && store.capsule_epochs().await?.is_empty(),
        );
        self.note(
            "no system and no copy holds anything of anybody",
            simulation.systems.is_empty(),
        );
        self.note(
            "no copy was ever called grown old while it still held something",
            simulation.false_proofs == 0,
        );
        let filter = DeferredFilter {
            limit: 1,
            ..DeferredFilter::default()
        };
        let counters = store.counters().await?;
        self.note(
            "nothing is deferred, waits to be produced, or was dead-lettered",
            store.deferred(&filter).await?.is_empty()
                && counters.iter().all(|(key, n)| key.kind != "deferred" || *n == 0)
                && store.outbox(At::from_millis(i64::MAX), 1).await?.is_empty()
                && store.open_dead_letters().await?.is_empty(),
        );
        let mut kept = true;
        for person in PEOPLE {
            kept &= history_is_lawful(simulation, person).await?;
        }
        self.note(
            "the ledger has no erasure before a retention or a hold had ended",
            kept,
        );
        Ok(())
    }

    /// Prints it. Whether all of it held.
    pub(super) fn print(&self) -> Result<bool, Failure> {
        say("\nWhat was to be, by the store, the ledger and the simulated world:")?;
        for (what, held) in &self.0 {
            say(format_args!("  {}  {what}", if *held { "yes" } else { "NO " }))?;
        }
        Ok(self.0.iter().all(|(_, held)| *held))
    }
}

/// Goes through a request's ledger: what was kept was not sent before its date, and what was held not before its
/// release.
async fn history_is_lawful(simulation: &Simulation, person: Person) -> Result<bool, DemoError> {
    let (mut plan, mut kept, mut held, mut holds) = (Vec::new(), None, None, 0);
    for stored in simulation.engine.store().leaves(person.request()).await? {
        let leaf = Leaf::from_bytes(&stored.leaf).map_err(EngineError::from)?;
        for entry in &leaf.entries {
            learn_plan(&mut plan, entry);
            match entry {
                Entry::Kept { ordinal, until, .. } => kept = Some((*ordinal, *until)),
                Entry::Task { ordinal, event, .. } => match event {
                    TaskEvent::Held { .. } => (held, holds) = (Some(*ordinal), holds + 1),
                    TaskEvent::Released { .. } => held = None,
                    TaskEvent::Dispatched { at, .. } => {
                        let too_early = kept.is_some_and(|(kept, until)| kept == *ordinal && *at < until);
                        if too_early || held == Some(*ordinal) {
                            return Ok(false);
                        }
                    }
                    _ => {}
                },
                _ => {}
            }
        }
    }
    let rule_kept_it = kept.is_some_and(|(ordinal, until)| {
        plan.get(usize::from(ordinal))
            .is_some_and(|name| name == "payments")
            && five_years_after(simulation, person) == Some(until)
    });
    let pays = simulation
        .request(person)
        .await?
        .request
        .processors()
        .any(|id| id.as_str() == "payments");
    Ok(pays == rule_kept_it && (person == DORA) == (holds == 1))
}

/// When the registry's rule lets go of a person's invoices.
fn five_years_after(simulation: &Simulation, person: Person) -> Option<At> {
    let active = simulation.engine.active().ok()?;
    let rules = active.registry.processors.iter().flat_map(|p| &p.retention);
    let rule: &Retention = rules.into_iter().next()?;
    let closed = At::parse(person.account_closed_at).ok()?;
    simulation
        .engine
        .with_context(|context| rule.keep.add_to(closed, context.zones.controller()))
        .ok()
}

/// A line a request.
pub(super) async fn print_table(simulation: &Simulation) -> Result<(), DemoError> {
    let mut table = Table::headed([
        "who",
        "asked",
        "completed",
        "status",
        "tasks",
        "done again",
        "identifiers",
    ])
    .right(4..6);
    for person in PEOPLE {
        let stored = simulation.request(person).await?;
        let request = &stored.request;
        let again = request.tasks.iter().filter(|task| task.generation > 1).count();
        let is_forgotten = stored.wrapped_key.is_none();
        table.row([
            person.name.to_owned(),
            day(request.head.received_at),
            request.life.completed_at.map_or_else(String::new, day),
            request.life.status.as_str().to_owned(),
            request.tasks.len().to_string(),
            again.to_string(),
            if is_forgotten { "forgotten" } else { "readable" }.to_owned(),
        ]);
    }
    say("")?;
    Ok(table.lines().try_for_each(say)?)
}
