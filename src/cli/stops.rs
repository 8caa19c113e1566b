//! What `lacuna processors pause|resume` and `lacuna brake` share: they stop lanes and have them go on. Directly in the store they
//! work when no worker answers.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    Exit, Failure,
    fields::{is, items, text, value},
    knowledge::Knowledge,
    lanes,
    output::Out,
    remote::{Client, Target, path, refuse_actor},
    session::{self, block_on, deciding},
    tasks,
};
use crate::{
    clock::Clock,
    config::Config,
    domain::{ids::ProcessorId, stops::Stops},
    engine::{
        OperateError,
        circuits::open_circuit_of,
        stop::{LaneAction, LaneChange, change_lane as change_in_store, out_now, reason_of},
    },
    store::{Store, StoredFact},
    vault::Vault,
    view::stop::{StopView, in_force},
};

/// How it is shown.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Shown {
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// What is done to a lane, or to all of them.
pub(super) struct Wanted {
    /// The processor; `None`: all.
    pub(super) lane: Option<ProcessorId>,
    pub(super) action: LaneAction,
    pub(super) actor: Option<String>,
    pub(super) reason: Option<String>,
}

/// Stops a lane or resumes it, and shows how the lane stands then.
pub(super) fn change_lane(target: &Target, wanted: Wanted, shown: Shown) -> Result<Exit, Failure> {
    let view = match target {
        Target::Direct(config) => {
            let actor = deciding(wanted.actor)?;
            let change = LaneChange {
                lane: wanted.lane.as_ref(),
                action: wanted.action,
                actor: &actor,
                reason: wanted.reason.as_deref(),
                once: None,
            };
            block_on(async {
                DirectAccess::open(config)
                    .await?
                    .change_lane(config, &change)
                    .await
            })?
        }
        Target::Remote(worker) => {
            refuse_actor(wanted.actor.as_deref())?;
            ask(worker, &wanted)?
        }
    };
    show(&view, shown)
}

/// Shows the brake.
pub(super) fn show_brake(target: &Target, shown: Shown) -> Result<Exit, Failure> {
    let view = match target {
        Target::Direct(config) => block_on(async { DirectAccess::open(config).await?.brake(config).await })?,
        Target::Remote(worker) => worker.get(&path(&["brake"]), &[])?,
    };
    show(&view, shown)
}

fn ask(worker: &Client, wanted: &Wanted) -> Result<Value, Failure> {
    let body = match &wanted.reason {
        Some(reason) => json!({ "reason": reason }),
        None => json!({}),
    };
    match (&wanted.lane, wanted.action) {
        (Some(id), LaneAction::Stop) => worker.post(&path(&["processors", id.as_str(), "pause"]), &body),
        (Some(id), LaneAction::Resume) => worker.post(&path(&["processors", id.as_str(), "resume"]), &body),
        (None, LaneAction::Stop) => worker.post(&path(&["brake"]), &body),
        (None, LaneAction::Resume) => worker.delete(&path(&["brake"]), &[], &body),
    }
}

/// The store, and what opens and seals reasons.
struct DirectAccess {
    store: Arc<dyn Store>,
    vault: Vault,
}

impl DirectAccess {
    async fn open(config: &Config) -> Result<Self, Failure> {
        let vault = session::vault(config)?;
        let store = session::open_store(config).await?;
        session::check_keyring(config, &vault, store.as_ref()).await?;
        Ok(Self { store, vault })
    }

    async fn change_lane(&self, config: &Config, change: &LaneChange<'_>) -> Result<Value, Failure> {
        let done = change_in_store(self.store.as_ref(), &(), &self.vault, &Clock::System, change).await;
        let stored = match done {
            Err(OperateError::Engine(error)) => return Err(error.into()),
            Err(error) => {
                return Err(Failure::NotSo(format!(
                    "{error}: `lacuna registry show` prints those that are registered"
                )));
            }
            Ok(stored) => stored,
        };
        self.view(config, change.lane, stored.as_ref()).await
    }

    async fn brake(&self, config: &Config) -> Result<Value, Failure> {
        let stops = self.stops(config).await?;
        let stored = match stops.brake() {
            Some(stopped) => {
                let mut tx = self.store.begin("stop").await?;
                let stored = tx.fact_at(stopped.version).await?;
                tx.commit().await?;
                stored
            }
            None => None,
        };
        self.view(config, None, stored.as_ref()).await
    }

    async fn stops(&self, config: &Config) -> Result<Stops, Failure> {
        let knowledge = Knowledge::read(self.store.as_ref(), config, Clock::System.now()).await?;
        Ok(knowledge.facts.stops().clone())
    }

    async fn view(
        &self,
        config: &Config,
        lane: Option<&ProcessorId>,
        stored: Option<&StoredFact>,
    ) -> Result<Value, Failure> {
        let stops = self.stops(config).await?;
        let out = match in_force(lane, &stops) {
            Some(_) => out_now(self.store.as_ref(), lane).await?,
            None => (Vec::new(), false),
        };
        let reason = stored.and_then(|stored| reason_of(&self.vault, stored));
        let circuit = match lane {
            Some(lane) => open_circuit_of(self.store.as_ref(), lane).await?,
            None => None,
        };
        value(&StopView::of(
            lane,
            stored,
            &stops,
            reason,
            circuit.as_ref(),
            Some(out),
        ))
    }
}

fn show(view: &Value, shown: Shown) -> Result<Exit, Failure> {
    let mut out = Out::stdout();
    if shown.json {
        out.json(view)?;
    } else {
        print(&mut out, view)?;
    }
    out.end()?;
    Ok(Exit::Ok)
}

fn print(out: &mut Out, view: &Value) -> Result<(), Failure> {
    let rows = [
        ("processor", text(view, "processor")),
        ("lane", text(view, "lane")),
        ("", lanes::reason(&view["lane_reason"]).unwrap_or_default()),
        ("since", text(view, "since")),
        ("by", text(view, "by")),
        ("reason", text(view, "reason")),
    ];
    for (name, said) in rows.iter().filter(|(_, said)| !said.is_empty()) {
        out.line(format_args!("{name:<10} {said}"))?;
    }
    let sent = &view["already_dispatched"];
    if sent.is_null() {
        return Ok(());
    }
    out.line(format_args!(
        "sent       {} tasks were out already, and are answered all the same",
        text(sent, "count")
    ))?;
    let tasks = items(sent, "items");
    if tasks.is_empty() {
        return Ok(());
    }
    out.line("")?;
    out.table(&tasks::sent(tasks))?;
    if is(sent, "truncated") {
        out.line("and more")?;
    }
    Ok(())
}
