//! Five years on the harness: systems that hold data and answer at once, copies that are taken every month, and people who
//! ask. Every message is the contract's, and every decision is the engine's.

use std::{collections::BTreeMap, sync::Arc};

use jiff::tz::TimeZone;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    people::Person,
    render::Renderer,
    systems::{SETS, Systems},
};
use crate::{
    config::{Config, registry_file},
    domain::{ids::RequestId, request::Request, time::At},
    engine::{
        Engine,
        effects::{Effect, Effects, StatusUpdate},
        facts::FactOutcome,
        intake::Verdict,
        settlement::AckVerdict,
    },
    lab::{demo::DemoError, harness::Harness},
    store::StoredRequest,
    wire::command::Channel,
};

/// Reading times of the script.
pub(super) fn at(text: &str) -> Result<At, DemoError> {
    At::parse(text).map_err(|error| DemoError::Stuck(format!("{text}: {error}")))
}

/// An id of no meaning.
pub(super) fn new_id() -> Uuid {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid()
}

/// A worker, and the world around it.
pub(super) struct Simulation {
    pub engine: Arc<Engine>,
    pub systems: Systems,
    pub renderer: Renderer,
    /// Proofs by age that the ledger claims although copies are left.
    pub false_proofs: u32,
    /// The statuses that upstream has seen last, with their revisions.
    pub statuses: BTreeMap<RequestId, (u64, String)>,
    harness: Harness,
    /// When copies are taken next.
    backup_day: At,
}

impl Simulation {
    /// Sets it up.
    pub(super) async fn open(config: &Config, start: At) -> Result<Self, DemoError> {
        let harness = Harness::open(config, start).await?;
        let registry = registry_file::read(&config.registry.path).map_err(DemoError::Config)?;
        harness.apply(&registry).await?;
        Ok(Self {
            engine: harness.worker().await?,
            systems: Systems::default(),
            renderer: Renderer::default(),
            false_proofs: 0,
            statuses: BTreeMap::new(),
            harness,
            backup_day: start,
        })
    }

    /// Now, in the simulation.
    pub(super) fn now(&self) -> At {
        self.harness.now()
    }

    /// A command is sent. What it says of itself is up to the script.
    pub(super) async fn command(&mut self, headline: &str, command: &Value) -> Result<(), DemoError> {
        let channel = match command["actor"] {
            Value::Null => Channel::Commands,
            _ => Channel::Control,
        };
        let message = [command.to_string().into_bytes()];
        let taken = self.harness.take_in(&self.engine, channel, &message).await?;
        match taken.verdicts.as_slice() {
            [Verdict::Taken(_)] => {}
            other => return Err(DemoError::Stuck(format!("{headline}: {other:?}"))),
        }
        self.renderer.headline(self.now(), headline, true)?;
        self.deliver(taken.emission).await?;
        self.follow().await
    }

    /// A backup system tells something. `always`: also where it changes nothing.
    pub(super) async fn backup_event(
        &mut self,
        headline: &str,
        mut event: Value,
        always: bool,
    ) -> Result<(), DemoError> {
        event["event_id"] = json!(new_id());
        let message = [event.to_string().into_bytes()];
        let (told, emission) = self.harness.tell_backups(&self.engine, &message, false).await?;
        match told.as_slice() {
            [FactOutcome::Taken { contradiction: None }] => {}
            other => return Err(DemoError::Stuck(format!("{headline}: {other:?}"))),
        }
        self.renderer.headline(self.now(), headline, always)?;
        self.deliver(emission).await?;
        self.follow().await
    }

    /// Lets time pass, from one thing that is due to the next.
    pub(super) async fn until(&mut self, end: At) -> Result<(), DemoError> {
        loop {
            let next = self.harness.advance_to(self.backup_day.min(end)).await?;
            if next == self.backup_day {
                self.back_up().await?;
            }
            self.renderer
                .headline(self.now(), "time has passed: what is due is looked at", false)?;
            self.follow().await?;
            if next == end {
                return Ok(());
            }
        }
    }

    /// The month's copies are taken, old ones are deleted, and the one set that reports it does.
    async fn back_up(&mut self) -> Result<(), DemoError> {
        let now = self.now();
        let reported = SETS[0].set;
        for (set, oldest) in self.systems.back_up(now) {
            if set.set != reported {
                continue;
            }
            let event = json!({
                "type": "backup.rotated", "processor": set.processor, "set": set.set,
                "oldest_retained_at": oldest, "at": now,
            });
            let oldest = oldest.to_string();
            let day = oldest.split('T').next().unwrap_or_default();
            let headline = format!(
                "{} reports a rotation: its oldest copy is of {day}",
                set.processor
            );
            self.backup_event(&headline, event, false).await?;
        }
        let next = now.timestamp().to_zoned(TimeZone::UTC);
        let next = next.checked_add(jiff::ToSpan::months(1));
        self.backup_day = next
            .map_err(|error| DemoError::Stuck(error.to_string()))?
            .timestamp()
            .into();
        Ok(())
    }

    /// Everything that follows by itself, until nothing does, and what the ledger says of it.
    async fn follow(&mut self) -> Result<(), DemoError> {
        loop {
            let followed = self.harness.follow(&self.engine).await?;
            if followed.is_empty() {
                break;
            }
            self.deliver(followed).await?;
        }
        let proved = self.renderer.render(self.engine.store().as_ref()).await?;
        for (person, processor) in proved {
            let set = SETS.iter().find(|set| set.processor == processor);
            let left = set.map_or(0, |set| self.systems.left_in_copies(set.set, &person.customer()));
            self.false_proofs += u32::from(left > 0);
        }
        Ok(())
    }

    /// Brings messages to whom they are for, until nobody has anything to say.
    async fn deliver(&mut self, emission: Effects) -> Result<(), DemoError> {
        let mut waiting = vec![emission];
        while let Some(emission) = waiting.pop() {
            let mut acks = Vec::new();
            for effect in &emission.effects {
                match effect {
                    Effect::Task(task) => {
                        let message = serde_json::to_vec(&task.message("acks", None))?;
                        acks.push(self.systems.work_off(&message, self.now())?);
                    }
                    Effect::Status(status) => self.see_status(status),
                    // It has no suppression topic, and is over before anything is purged.
                    Effect::Suppression(_) | Effect::Tombstone(_) => {}
                    Effect::DeadLetter(_) => {
                        return Err(DemoError::Stuck("a message was dead-lettered".to_owned()));
                    }
                }
            }
            self.harness.produced(&emission).await?;
            if !acks.is_empty() {
                waiting.push(self.answer(&acks).await?);
            }
        }
        Ok(())
    }

    fn see_status(&mut self, status: &StatusUpdate) {
        let seen = self.statuses.entry(status.id).or_default();
        if seen.0 <= u64::from(status.revision) {
            *seen = (u64::from(status.revision), status.message.status.to_string());
        }
    }

    async fn answer(&self, acks: &[Vec<u8>]) -> Result<Effects, DemoError> {
        let settled = self.harness.settle(&self.engine, acks).await?;
        let counted = |verdict: &AckVerdict| matches!(verdict, AckVerdict::Counted { .. });
        if settled.verdicts.iter().all(counted) {
            Ok(settled.emission)
        } else {
            Err(DemoError::Stuck(format!("an ack: {:?}", settled.verdicts)))
        }
    }

    /// Every request.
    pub(super) async fn requests(&self) -> Result<Vec<StoredRequest>, DemoError> {
        Ok(self.engine.store().page(None, 500).await?)
    }

    /// A person's request.
    pub(super) async fn request(&self, person: Person) -> Result<StoredRequest, DemoError> {
        let found = self.engine.store().requests(&[person.request()]).await?.pop();
        found.ok_or_else(|| DemoError::Stuck(format!("there is no request of {}", person.name)))
    }
}

/// The place of a processor's task in a plan: the n-th one, as a share that is split has several.
pub(super) fn place(request: &Request, processor: &str, n: usize) -> Result<u16, DemoError> {
    let mut places = request
        .ordinals()
        .filter(|ordinal| request.task(*ordinal).processor.as_str() == processor);
    places
        .nth(n)
        .ok_or_else(|| DemoError::Stuck(format!("no task of {processor} in the plan")))
}
