//! Plays a timeline: every event through the real engine, and after each one everything that follows by itself.

use std::{sync::Arc, time::Duration};

use lacuna::{
    domain::time::At,
    engine::{
        Engine,
        effects::Emission,
        facts::FactOutcome,
        intake::Verdict,
        operations::TaskDecision,
        prepare::{Arrival, PreparedBackup, PreparedCommand},
        settlement::AckVerdict,
    },
    store::Origin,
    wire::{Refusal, command::Door, envelope::Envelope},
};
use serde_json::{Value, json};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    messages::tenant,
    script::{Attributes, Step, Timeline, attributes, registry},
};
use crate::{
    schedules::world::{Sent, World, ack_from},
    store::fixture::Fixture,
};

/// How a timeline is run. What has to be so is the same in every way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// One worker from beginning to end.
    Plain,
    /// Another worker for every event and for everything that follows from it.
    Restarted,
    /// Every message twice. The second one has to change nothing.
    Doubled,
    /// Both at once.
    RestartedAndDoubled,
}

/// A timeline while it is run.
pub struct Stage<'a> {
    pub world: World,
    pub timeline: &'a Timeline,
    way: Way,
    engine: Arc<Engine>,
    processors: Vec<(String, Attributes)>,
    /// Every task that was sent, oldest first.
    pub tasks: Vec<Value>,
    /// What the last step has produced.
    pub sent: Sent,
    /// What became of the last step's message, in a word or two.
    pub verdict: String,
    events: u128,
}

impl<'a> Stage<'a> {
    pub async fn set(fixture: Fixture, timeline: &'a Timeline, way: Way) -> Self {
        let mut world = World::with_registry(fixture, &registry(&timeline.processors)).await;
        let zone = jiff::tz::TimeZone::get(&timeline.zone).unwrap();
        world.settings.rules.calendar.zone = zone;
        world.settings.rules.require_verification = timeline.verification;
        if let Some(period) = &timeline.keep_ids {
            let days: u64 = period.trim_end_matches('d').parse().unwrap();
            world.settings.keep_after_completion = Duration::from_secs(days * 24 * 3600);
        }
        let engine = world.worker().await;
        Self {
            engine,
            world,
            timeline,
            way,
            processors: timeline.processors.clone(),
            tasks: Vec::new(),
            sent: Sent::default(),
            verdict: String::new(),
            events: 0,
        }
    }

    /// Lets the step's time come, and then its event.
    pub async fn play(&mut self, step: &Step) {
        self.sent = Sent::default();
        self.verdict = String::new();
        self.world.clock.advance(step.at.since(self.world.clock.now()));
        self.change_worker().await;
        self.settle_down().await;
        self.events += 1;
        self.change_worker().await;
        self.happen(step).await;
        self.change_worker().await;
        self.settle_down().await;
    }

    async fn change_worker(&mut self) {
        if matches!(self.way, Way::Restarted | Way::RestartedAndDoubled) {
            self.engine = self.world.worker().await;
        }
    }

    /// Everything that follows by itself: sweeps and wake-ups until nothing is left, and the forgetting.
    async fn settle_down(&mut self) {
        let now = self.world.clock.now();
        self.world.read_acks().await;
        for turn in 0.. {
            assert!(turn < 50, "it never comes to rest");
            let swept = self.engine.fact_sweeps().sweep().await.unwrap();
            let woken = self.engine.agenda().wake_due(now).await.unwrap();
            self.keep(&swept.emission);
            self.keep(&woken.emission);
            if !swept.busy && woken.count == 0 {
                break;
            }
        }
        self.engine.retention().forget_old_capsules(now).await.unwrap();
    }

    fn keep(&mut self, emission: &Emission) {
        let mut sent = Sent::of(emission);
        self.tasks.extend(sent.tasks.iter().cloned());
        self.sent.tasks.append(&mut sent.tasks);
        self.sent.statuses.append(&mut sent.statuses);
        self.sent.letters.append(&mut sent.letters);
    }

    async fn happen(&mut self, step: &Step) {
        let words: Vec<&str> = step.event.iter().map(String::as_str).collect();
        let rules = attributes(words.get(2..).unwrap_or_default());
        match words.as_slice() {
            ["tick"] => {}
            ["erase" | "anonymize", n, ..] => {
                let command = self.opening(words[0], n.parse().unwrap(), &rules);
                self.command(&command, Door::Commands).await;
            }
            ["cancel", n, ..] => {
                let command = json!({ "command_id": self.event_id(), "type": "cancel", "tenant": tenant(&rules),
                    "request_id": Uuid::from_u128(n.parse().unwrap()) });
                self.command(&command, Door::Commands).await;
            }
            ["extend", n] => {
                let command = self.decision("extend", n, &json!({ "reason": "complexity" }));
                self.command(&command, Door::Control).await;
            }
            ["verify", n, result] => {
                let passport = json!({ "method": "passport", "result": result });
                let command = self.decision("verify_identity", n, &passport);
                self.command(&command, Door::Control).await;
            }
            ["hold" | "release", name, ..] => {
                let command = self.hold(words[0], name, &rules);
                self.command(&command, Door::Control).await;
            }
            ["ack", task, outcome, ..] => {
                let ack = self.ack(task, outcome, &attributes(&words[3..]));
                self.settle(&ack).await;
            }
            ["taken" | "rotated" | "restored", set, at, ..] => {
                let event = self.backup(words[0], set, at, &attributes(&words[3..]));
                self.tell(&event).await;
            }
            ["registry", processor, ..] => self.register(processor, rules).await,
            ["unregister", processor] => {
                self.processors.retain(|(id, _)| id != processor);
                self.world.apply(&registry(&self.processors)).await;
            }
            ["retry" | "waive", task] => self.decide(words[0], task).await,
            other => panic!("no such event: {other:?}"),
        }
    }

    async fn register(&mut self, processor: &str, rules: Attributes) {
        match self.processors.iter_mut().find(|(id, _)| id == processor) {
            Some((_, known)) => known.extend(rules),
            None => self.processors.push((processor.to_owned(), rules)),
        }
        for _ in 0..self.times() {
            self.world.apply(&registry(&self.processors)).await;
        }
    }

    async fn decide(&mut self, what: &str, task: &str) {
        let (n, processor) = task.split_once('/').unwrap_or(("1", task));
        let request = self.world.request(n.parse().unwrap()).await;
        let ordinal = (0..)
            .zip(&request.tasks)
            .find(|(_, task)| task.processor.as_str() == processor);
        let task = request.task_id(ordinal.unwrap().0);
        let decision = if what == "retry" {
            TaskDecision::Retry
        } else {
            TaskDecision::Waive
        };
        match self
            .engine
            .operations()
            .decide_task(task, decision, "ops", None)
            .await
        {
            Ok((_, emission)) => self.keep(&emission),
            Err(error) => self.verdict = format!("refused {error}"),
        }
    }

    async fn command(&mut self, command: &Value, door: Door) {
        for nth in 0..self.times() {
            let arrival = self.command_arrival(command, door);
            let taken = self.engine.intake().take_in(&[arrival]).await.unwrap();
            let verdict = match &taken.verdicts[0] {
                Verdict::Taken(_) => "taken".to_owned(),
                Verdict::Duplicate(_) => "duplicate".to_owned(),
                Verdict::Waiting(_) => "waiting".to_owned(),
                Verdict::Refused(refusal) => refused(refusal),
            };
            self.conclude(nth, verdict, &taken.emission);
        }
    }

    async fn settle(&mut self, ack: &Value) {
        for nth in 0..self.times() {
            let arrival = ack_from(&self.engine, Some(self.world.origin("acks")), ack);
            let settled = self.engine.settlement().settle(&[arrival]).await.unwrap();
            let verdict = match &settled.verdicts[0] {
                AckVerdict::Counted { .. } => "counted".to_owned(),
                AckVerdict::Repeated => "repeated".to_owned(),
                AckVerdict::Refused(refusal) => refused(refusal),
            };
            self.conclude(nth, verdict, &settled.emission);
        }
    }

    async fn tell(&mut self, event: &Value) {
        for nth in 0..self.times() {
            let arrival = self.backup_arrival(event);
            let (told, emission) = self
                .engine
                .backup_events()
                .record_backups(&[arrival])
                .await
                .unwrap();
            let verdict = match &told[0] {
                FactOutcome::Taken { contradiction: None } => "taken".to_owned(),
                FactOutcome::Taken {
                    contradiction: Some(contradiction),
                } => format!("contradiction {contradiction:?}").to_lowercase(),
                FactOutcome::Duplicate => "duplicate".to_owned(),
                FactOutcome::Refused(refusal) => refused(refusal),
            };
            self.conclude(nth, verdict, &emission);
        }
    }

    /// What the first copy of a message came to counts; a second one must come to nothing.
    fn conclude(&mut self, nth: u32, verdict: String, emission: &Emission) {
        if nth == 0 {
            self.verdict = verdict;
            self.keep(emission);
            return;
        }
        let again = Sent::of(emission);
        assert!(
            again.tasks.is_empty() && again.statuses.is_empty(),
            "the second copy changed something: {again:#?}"
        );
        let known = matches!(verdict.as_str(), "duplicate" | "repeated");
        // An answer that began a new generation is one to an old generation when it comes again.
        let outdated = verdict == "refused stale_ack";
        let same = verdict.starts_with("refused") && verdict == self.verdict;
        assert!(
            known || outdated && self.begins_generation() || same,
            "the second copy: {verdict}"
        );
    }

    fn begins_generation(&self) -> bool {
        self.verdict == "counted" && self.sent.tasks.iter().any(|task| task["generation"] != json!(1))
    }

    fn times(&self) -> u32 {
        if matches!(self.way, Way::Doubled | Way::RestartedAndDoubled) {
            2
        } else {
            1
        }
    }

    pub fn event_id(&self) -> Uuid {
        Uuid::from_u128(0xe0e0_0000 + self.events)
    }

    fn command_arrival(&self, command: &Value, door: Door) -> Arrival<PreparedCommand> {
        let text = command.to_string();
        let envelope = Envelope::bare(&self.engine.tenant_default);
        self.arrival(
            "commands",
            &text,
            self.engine
                .intake()
                .prepare_command(text.as_bytes(), &envelope, door),
        )
    }

    fn backup_arrival(&self, event: &Value) -> Arrival<PreparedBackup> {
        let text = event.to_string();
        let envelope = Envelope::bare(&self.engine.tenant_default);
        self.arrival(
            "backups",
            &text,
            // An operator tells it: a set's own system may only name its sources.
            self.engine
                .backup_events()
                .prepare_backup(text.as_bytes(), &envelope)
                .map(|prepared| PreparedBackup {
                    by_operator: true,
                    ..prepared
                }),
        )
    }

    fn arrival<T>(&self, topic: &str, text: &str, content: Result<T, Refusal>) -> Arrival<T> {
        let origin: Origin = self.world.origin(topic);
        Arrival {
            origin: Some(origin),
            content,
            raw: Zeroizing::new(text.as_bytes().to_vec()),
            headers: lacuna::wire::KeptHeaders::default(),
            reading: None,
        }
    }

    pub fn now(&self) -> At {
        self.world.clock.now()
    }

    pub const fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }
}

fn refused(refusal: &Refusal) -> String {
    format!("refused {}", refusal.reason.as_str())
}
