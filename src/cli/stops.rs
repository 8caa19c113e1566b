//! What `lacuna processors pause|resume` and `lacuna brake` share: they stop lanes and have them go on, directly in the store, so
//! that they work when no worker answers.

use std::sync::Arc;

use super::{
    Exit, Failure,
    knowledge::Knowledge,
    output::{Out, Table},
    session,
};
use crate::{
    clock::Clock,
    config::Config,
    domain::{ids::ProcessorId, stops::Stops},
    engine::{
        OperateError,
        stop::{Lever, out_now, pull as pull_lever, reason_of},
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

/// The store, and what opens and seals reasons.
pub(super) struct Panel {
    store: Arc<dyn Store>,
    vault: Vault,
}

impl Panel {
    pub(super) async fn open(config: &Config) -> Result<Self, Failure> {
        let vault = session::vault(config)?;
        let store = session::open_store(config).await?;
        session::check_keyring(config, &vault, store.as_ref()).await?;
        Ok(Self { store, vault })
    }

    /// Moves a lever, and shows how the lane stands then.
    pub(super) async fn pull(
        &self,
        config: &Config,
        lever: &Lever<'_>,
        shown: Shown,
    ) -> Result<Exit, Failure> {
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
        self.show(config, lever.lane, stored.as_ref(), shown).await
    }

    /// Shows the brake.
    pub(super) async fn show_brake(&self, config: &Config, shown: Shown) -> Result<Exit, Failure> {
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
        self.show(config, None, stored.as_ref(), shown).await
    }

    async fn stops(&self, config: &Config) -> Result<Stops, Failure> {
        let knowledge = Knowledge::read(self.store.as_ref(), config, Clock::System.now()).await?;
        Ok(knowledge.facts.stops().clone())
    }

    async fn show(
        &self,
        config: &Config,
        lane: Option<&ProcessorId>,
        stored: Option<&StoredFact>,
        shown: Shown,
    ) -> Result<Exit, Failure> {
        let stops = self.stops(config).await?;
        let out = match in_force(lane, &stops) {
            Some(_) => out_now(self.store.as_ref(), lane).await?,
            None => (Vec::new(), false),
        };
        let reason = stored.and_then(|stored| reason_of(&self.vault, stored));
        let view = StopView::of(lane, stored, &stops, reason, Some(out));
        let mut out = Out::stdout();
        if shown.json {
            out.json(&view)?;
        } else {
            print(&mut out, &view)?;
        }
        out.end()?;
        Ok(Exit::Ok)
    }
}

fn print(out: &mut Out, view: &StopView<'_>) -> Result<(), Failure> {
    if let Some(processor) = view.processor {
        out.line(format_args!("processor  {processor}"))?;
    }
    out.line(format_args!("lane       {}", view.lane))?;
    if let Some(since) = view.since {
        out.line(format_args!("since      {since}"))?;
    }
    if let Some(by) = &view.by {
        out.line(format_args!("by         {by}"))?;
    }
    if let Some(reason) = &view.reason {
        out.line(format_args!("reason     {reason}"))?;
    }
    let Some(sent) = &view.already_dispatched else {
        return Ok(());
    };
    out.line(format_args!(
        "sent       {} tasks were out already, and are answered all the same",
        sent.count
    ))?;
    if sent.items.is_empty() {
        return Ok(());
    }
    out.line("")?;
    let mut table = Table::new(&["request", "task", "processor", "state"]);
    for task in &sent.items {
        table.row([
            task.request_id.to_string(),
            task.task_id.to_string(),
            task.processor.to_string(),
            task.state.to_string(),
        ]);
    }
    out.table(&table)?;
    if sent.truncated {
        out.line("and more")?;
    }
    Ok(())
}
