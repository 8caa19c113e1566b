//! The real engine, vault, ledger, API and store, on a clock that is turned by hand. Only the broker is left out: messages
//! go within one process, the same bytes as through Kafka.

mod api;
mod calls;
mod verdicts;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::{
    api::{gather, listen},
    calls::Calls,
    verdicts::{of_ack, of_backup, of_command},
};
use super::{
    Stuck,
    agents::Agent,
    call::Caller,
    environment::{Environment, Output, Topic},
    system_answer::Answers,
    systems::Systems,
    upstream::{Emitted, UpstreamEvent},
};
use crate::{
    clock::Stopwatch,
    config::{Config, Inlet, registry_file},
    domain::time::At,
    engine::{Engine, effects::Effects},
    lab::harness::{Harness, Sent},
    policies::Profile,
    telemetry::freshness::GaugeGroup,
    terminal::folder::Folder,
    wire::command::Channel,
};

/// As many messages as a worker takes in together.
const BATCH: usize = 500;

/// How long what an HTTP call has decided may take to come out.
const PATIENCE: Duration = Duration::from_secs(10);

/// How messages come and workers go. What has to be seen is the same in every disturbances.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Disturbances {
    /// Another worker takes over before every event, and another one before what follows.
    pub restarted: bool,
    /// Every message comes twice. The second one has to change nothing.
    pub doubled: bool,
    /// Time passes in leaps, as if nobody had been at work meanwhile: late, never early.
    pub leaps: bool,
}

/// Carries messages within one process.
#[derive(Debug)]
pub struct InProcess {
    harness: Arc<Harness>,
    disturbances: Disturbances,
    worker: Arc<Engine>,
    /// The engine of the API: a process of its own, as it were, which no worker's end concerns.
    api: Arc<Engine>,
    caller: Caller,
    /// What calls systems, where there is a registry that has some called.
    calls: Option<Calls>,
    agent: Option<Agent>,
    /// What it is set up with.
    config: Config,
    outputs: Vec<Output>,
    /// What HTTP calls have decided.
    emitted: Arc<Mutex<Vec<Effects>>>,
    shutdown: CancellationToken,
    /// Where its files are, where they are its own.
    folder: Option<Folder>,
}

impl Drop for InProcess {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl InProcess {
    /// Sets up what a profile's files say, in a folder of its own.
    pub async fn open(profile: &Profile, start: At) -> Result<Self, Stuck> {
        let folder = Folder::create("scenario")?;
        let (config, secrets) = profile.config(folder.path())?;
        let harness = Harness::open(&config, start).await?;
        let systems = Systems::start(profile, harness.clock.clone()).await?;
        harness
            .apply(&registry_file::read_text("processors.toml", &systems.registry)?)
            .await?;
        let clock = harness.clock.clone();
        let mut this = Self::over(Arc::new(harness), Disturbances::default(), &config, &secrets).await?;
        this.calls = Some(Calls::new(&config, &clock, systems, Arc::clone(&this.api)));
        this.agent = Agent::open(profile, folder.path(), &this.caller.url(), &clock).await?;
        this.folder = Some(folder);
        Ok(this)
    }

    /// Over a harness whose registry is applied. `secrets`: what the tokens of the configuration were read from.
    pub async fn over(
        harness: Arc<Harness>,
        disturbances: Disturbances,
        config: &Config,
        secrets: &[String],
    ) -> Result<Self, Stuck> {
        let worker = harness.worker().await?;
        let (emissions, queue) = mpsc::channel(64);
        let emitted = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(gather(queue, Arc::clone(&emitted)));
        let shutdown = CancellationToken::new();
        let address = listen(config, &worker, emissions, &shutdown).await?;
        Ok(Self {
            harness,
            disturbances,
            api: Arc::clone(&worker),
            worker,
            caller: Caller::new(address, config, secrets),
            calls: None,
            agent: None,
            config: config.clone(),
            outputs: Vec::new(),
            emitted,
            shutdown,
            folder: None,
        })
    }

    /// Another worker, where they come and go.
    async fn change_worker(&mut self) -> Result<(), Stuck> {
        if self.disturbances.restarted {
            self.worker = self.harness.worker().await?;
        }
        Ok(())
    }

    /// Hands messages to the worker, in one batch.
    async fn deliver(&self, topic: Topic, batch: &[Vec<u8>]) -> Result<(Vec<String>, Effects), Stuck> {
        let (harness, worker) = (&self.harness, &self.worker);
        Ok(match topic {
            Topic::Commands | Topic::Control => {
                let channel = if topic == Topic::Control {
                    Channel::Control
                } else {
                    Channel::Commands
                };
                let taken = harness.take_in(worker, channel, batch).await?;
                (taken.verdicts.iter().map(of_command).collect(), taken.emission)
            }
            Topic::Acks => {
                let settled = harness.settle(worker, batch).await?;
                (settled.verdicts.iter().map(of_ack).collect(), settled.emission)
            }
            Topic::Backups | Topic::Operator => {
                let shown = batch
                    .iter()
                    .map(|message| worker.backup_events().shown_by_token(message));
                let shown = shown.collect::<Result<Vec<_>, _>>()?;
                let (told, emission) = harness
                    .tell_backups(worker, &shown, topic == Topic::Operator)
                    .await?;
                (told.iter().map(of_backup).collect(), emission)
            }
        })
    }

    /// The second copy of a message has to come to nothing.
    async fn deliver_again(
        &self,
        topic: Topic,
        message: &[Vec<u8>],
        first: &str,
        sent: &Sent,
    ) -> Result<(), Stuck> {
        let (verdicts, emission) = self.deliver(topic, message).await?;
        let (verdict, again) = (verdicts.concat(), Sent::of(&emission));
        self.harness.produced(&emission).await?;
        let is_known = ["duplicate", "repeated"].contains(&verdict.as_str());
        // An answer that began a new generation is one to an old generation when it comes again.
        let begins_generation =
            first == "counted" && sent.tasks.iter().any(|task| task["generation"] != json!(1));
        let is_outdated = verdict == "refused stale_ack" && begins_generation;
        let is_refused_again = verdict.starts_with("refused") && verdict == first;
        if !again.tasks.is_empty() || !again.statuses.is_empty() {
            Err(Stuck::Fell(format!(
                "the second copy changed something: {again:#?}"
            )))
        } else if is_known || is_outdated || is_refused_again {
            Ok(())
        } else {
            Err(Stuck::Fell(format!("the second copy was {verdict}")))
        }
    }

    /// Notes what was produced, and that it was.
    async fn note(&mut self, emission: &Effects) -> Result<Sent, Stuck> {
        let sent = Sent::of(emission);
        self.outputs
            .extend(sent.statuses.iter().cloned().map(Output::Status));
        self.outputs.extend(sent.tasks.iter().cloned().map(Output::Task));
        let reasons = sent.letters.iter().map(|(reason, _)| reason.clone());
        self.outputs.extend(reasons.map(Output::DeadLetter));
        self.harness.produced(emission).await?;
        Ok(sent)
    }

    /// Notes what HTTP calls have decided: the outbox says whether there is more to come.
    async fn note_calls(&mut self) -> Result<(), Stuck> {
        let watch = Stopwatch::start();
        loop {
            let emitted = std::mem::take(&mut *self.emitted.lock().unwrap_or_else(PoisonError::into_inner));
            for emission in emitted {
                self.note(&emission).await?;
            }
            let outbox = self.harness.store.outbox(At::from_millis(i64::MAX), 1).await?;
            if outbox.is_empty() {
                return Ok(());
            }
            if watch.elapsed() > PATIENCE {
                return Err(Stuck::Fell(
                    "what a call has decided was never produced".to_owned(),
                ));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Lets the agent take what there is for it. Whether there was anything.
    async fn let_agent_work(&mut self) -> Result<bool, Stuck> {
        let Some(agent) = &self.agent else {
            return Ok(false);
        };
        if agent
            .next_due(&self.worker)
            .await?
            .is_none_or(|due| due > self.now())
        {
            return Ok(false);
        }
        agent.turn().await?;
        self.outputs.extend(agent.heard());
        self.note_calls().await?;
        Ok(true)
    }

    /// Calls the systems that have to be called now. Whether anything came of it.
    async fn call_systems(&mut self) -> Result<bool, Stuck> {
        let Some(calls) = &self.calls else {
            return Ok(false);
        };
        let made = calls.make(&self.worker).await?;
        self.outputs.extend(made.outputs);
        self.note(&made.effects).await?;
        Ok(made.count > 0 || !made.effects.is_empty())
    }

    /// Systems that are called say things in their own ways. The rest is for the topic of acks.
    async fn said_otherwise(&self, messages: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, Stuck> {
        let Some(calls) = &self.calls else {
            return Ok(messages);
        };
        let mut rest = Vec::with_capacity(messages.len());
        for message in messages {
            let ack = serde_json::from_slice(&message)?;
            if !calls.systems.say(&ack, &self.caller).await? {
                rest.push(message);
            }
        }
        Ok(rest)
    }

    /// The next time at which a system has to be called, and no later than this.
    async fn next_call(&self, at: At) -> Result<At, Stuck> {
        let call = match &self.calls {
            Some(calls) => calls.next_due(&self.worker).await?,
            None => None,
        };
        let task = match &self.agent {
            Some(agent) => agent
                .next_due(&self.worker)
                .await?
                .filter(|due| *due > self.now()),
            None => None,
        };
        Ok(call.into_iter().chain(task).fold(at, At::min))
    }

    /// Everything that follows by itself at this time.
    async fn follow(&mut self) -> Result<(), Stuck> {
        loop {
            self.note_calls().await?;
            let followed = self.harness.follow(&self.worker).await?;
            self.note(&followed).await?;
            if !self.call_systems().await? && !self.let_agent_work().await? {
                break;
            }
        }
        let expired = self.harness.expire(&self.worker).await?;
        self.note(&expired).await?;
        Ok(())
    }
}

impl Environment for InProcess {
    fn now(&self) -> At {
        self.harness.now()
    }

    fn caller(&self) -> &Caller {
        &self.caller
    }

    async fn pass_until(&mut self, at: At) -> Result<(), Stuck> {
        if self.disturbances.leaps {
            self.harness.clock.advance(at.since(self.now()));
            return self.change_worker().await;
        }
        while self.harness.advance_to(self.next_call(at).await?).await? < at {
            self.follow().await?;
        }
        self.follow().await
    }

    async fn send(&mut self, topic: Topic, mut messages: Vec<Vec<u8>>) -> Result<Vec<String>, Stuck> {
        self.change_worker().await?;
        if topic == Topic::Acks {
            messages = self.said_otherwise(messages).await?;
        }
        let mut all = Vec::with_capacity(messages.len());
        for batch in messages.chunks(if self.disturbances.doubled { 1 } else { BATCH }) {
            let (verdicts, emission) = self.deliver(topic, batch).await?;
            let sent = self.note(&emission).await?;
            if self.disturbances.doubled {
                self.deliver_again(topic, batch, &verdicts.concat(), &sent)
                    .await?;
            }
            all.extend(verdicts);
        }
        self.change_worker().await?;
        Ok(all)
    }

    fn answer(&mut self, system: &str, answers: Answers) -> Result<(), Stuck> {
        let calls = self.calls.as_ref();
        let calls = calls.ok_or_else(|| Stuck::Fell("no registry has systems called".to_owned()))?;
        calls.systems.answer(system, answers)
    }

    async fn emit(&mut self, event: UpstreamEvent) -> Result<Emitted, Stuck> {
        match event.inlet(&self.config)? {
            Inlet::Http(inlet) => Ok(Emitted::Answered(event.call(inlet, &self.caller).await?)),
            Inlet::Topic(topic) => {
                let taken = event
                    .read(topic, &self.config, (&self.harness, &self.worker))
                    .await?;
                self.note(&taken.emission).await?;
                Ok(Emitted::Read(taken.verdicts.iter().map(of_command).collect()))
            }
        }
    }

    async fn rows(&mut self) -> Result<BTreeMap<String, i64>, Stuck> {
        match &self.agent {
            Some(agent) => agent.rows().await,
            None => Ok(BTreeMap::new()),
        }
    }

    async fn apply(&mut self, registry: &str) -> Result<(), Stuck> {
        let registry = registry_file::read_text("processors.toml", registry)?;
        for _ in 0..=u8::from(self.disturbances.doubled) {
            self.harness.apply(&registry).await?;
        }
        self.worker.load_registry().await?;
        self.api.load_registry().await?;
        Ok(())
    }

    async fn settle(&mut self) -> Result<Vec<Output>, Stuck> {
        self.follow().await?;
        Ok(std::mem::take(&mut self.outputs))
    }

    async fn measure(&mut self) -> Result<(), Stuck> {
        for group in GaugeGroup::ALL {
            self.api.gauges().read_gauges(group).await?;
        }
        Ok(())
    }
}
