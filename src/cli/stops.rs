//! What `lacuna processors pause|resume` and `lacuna brake` share: they stop lanes and have them go on. Directly in the store they
//! work when no worker answers.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    Exit, Failure,
    fields::{is, items, text, value},
    knowledge::Knowledge,
    output::{Out, Table},
    remote::{Client, Way, path, refuse_actor},
    session::{self, block_on, deciding},
};
use crate::{
    clock::Clock,
    config::Config,
    domain::{ids::ProcessorId, stops::Stops},
    engine::{
        OperateError,
        stop::{Lever, Want, out_now, pull as pull_lever, reason_of},
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
pub(super) struct Move {
    /// The processor; `None`: all.
    pub(super) lane: Option<ProcessorId>,
    pub(super) want: Want,
    pub(super) actor: Option<String>,
    pub(super) reason: Option<String>,
}

/// Moves a lever, and shows how the lane stands then.
pub(super) fn pull(way: &Way, wanted: Move, shown: Shown) -> Result<Exit, Failure> {
    let view = match way {
        Way::Direct(config) => {
            let actor = deciding(wanted.actor)?;
            let lever = Lever {
                lane: wanted.lane.as_ref(),
                want: wanted.want,
                actor: &actor,
                reason: wanted.reason.as_deref(),
                once: None,
            };
            block_on(async { Panel::open(config).await?.pull(config, &lever).await })?
        }
        Way::Remote(worker) => {
            refuse_actor(wanted.actor.as_deref())?;
            ask(worker, &wanted)?
        }
    };
    show(&view, shown)
}

/// Shows the brake.
pub(super) fn show_brake(way: &Way, shown: Shown) -> Result<Exit, Failure> {
    let view = match way {
        Way::Direct(config) => block_on(async { Panel::open(config).await?.brake(config).await })?,
        Way::Remote(worker) => worker.get(&path(&["brake"]), &[])?,
    };
    show(&view, shown)
}

fn ask(worker: &Client, wanted: &Move) -> Result<Value, Failure> {
    let body = match &wanted.reason {
        Some(reason) => json!({ "reason": reason }),
        None => json!({}),
    };
    match (&wanted.lane, wanted.want) {
        (Some(id), Want::Stop) => worker.post(&path(&["processors", id.as_str(), "pause"]), &body),
        (Some(id), Want::GoOn) => worker.post(&path(&["processors", id.as_str(), "resume"]), &body),
        (None, Want::Stop) => worker.post(&path(&["brake"]), &body),
        (None, Want::GoOn) => worker.delete(&path(&["brake"]), &[], &body),
    }
}

/// The store, and what opens and seals reasons.
struct Panel {
    store: Arc<dyn Store>,
    vault: Vault,
}

impl Panel {
    async fn open(config: &Config) -> Result<Self, Failure> {
        let vault = session::vault(config)?;
        let store = session::open_store(config).await?;
        session::check_keyring(config, &vault, store.as_ref()).await?;
        Ok(Self { store, vault })
    }

    async fn pull(&self, config: &Config, lever: &Lever<'_>) -> Result<Value, Failure> {
        let done = pull_lever(self.store.as_ref(), &(), &self.vault, &Clock::System, lever).await;
        let stored = match done {
            Err(OperateError::Engine(error)) => return Err(error.into()),
            Err(error) => {
                return Err(Failure::NotSo(format!(
                    "{error}: `lacuna registry show` prints those that are registered"
                )));
            }
            Ok(stored) => stored,
        };
        self.view(config, lever.lane, stored.as_ref()).await
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
        value(&StopView::of(lane, stored, &stops, reason, Some(out)))
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
    for (what, name) in [
        ("processor ", "processor"),
        ("lane      ", "lane"),
        ("since     ", "since"),
        ("by        ", "by"),
        ("reason    ", "reason"),
    ] {
        if !view[name].is_null() {
            out.line(format_args!("{what} {}", text(view, name)))?;
        }
    }
    let sent = &view["already_dispatched"];
    if sent.is_null() {
        return Ok(());
    }
    out.line(format_args!(
        "sent       {} tasks were out already, and are answered all the same",
        text(sent, "count")
    ))?;
    if items(sent, "items").is_empty() {
        return Ok(());
    }
    out.line("")?;
    let mut table = Table::new(&["request", "task", "processor", "state"]);
    for task in items(sent, "items") {
        table.row(["request_id", "task_id", "processor", "state"].map(|name| text(task, name)));
    }
    out.table(&table)?;
    if is(sent, "truncated") {
        out.line("and more")?;
    }
    Ok(())
}
