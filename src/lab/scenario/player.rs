//! Plays a script: lets its times come, sends its messages, and checks what is seen.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use serde_json::Value;

use super::{
    Stuck,
    checks::{Checked, Checks},
    environment::{Environment, Output},
    messages::Writer,
    naming::{Which, id_of},
    observed::Observed,
    outgoing::{Call, Outgoing},
    script::{Line, Script, Step},
    upstream::Emitted,
};
use crate::clock::Stopwatch;

/// A script while it is played.
#[derive(Debug)]
pub struct Player<'a, E> {
    environment: &'a mut E,
    zone: TimeZone,
    writer: Writer<'a>,
    /// Every task that was sent, oldest first.
    tasks: Vec<Value>,
    /// Of each request the status of the highest revision.
    statuses: BTreeMap<String, Value>,
    observed: Observed,
}

impl<'a, E: Environment> Player<'a, E> {
    /// Sets it up. `zone`: where days are the controller's.
    pub fn new(script: &'a Script, environment: &'a mut E, zone: TimeZone) -> Self {
        Self {
            environment,
            zone,
            writer: Writer::new(script),
            tasks: Vec::new(),
            statuses: BTreeMap::new(),
            observed: Observed::default(),
        }
    }

    /// Plays a step, and says of each of its claims whether it is so.
    pub async fn play(&mut self, step: &Step) -> Result<Vec<Checked>, Stuck> {
        self.observed = Observed::default();
        self.environment.pass_until(step.at).await?;
        self.hear().await?;
        for line in &step.events {
            self.carry_out(line).await?;
            self.hear().await?;
        }
        let watch = Stopwatch::start();
        loop {
            let checked = self.check(step).await?;
            let is_so = checked.iter().all(|checked| checked.fault.is_none());
            if is_so || watch.elapsed() >= self.environment.patience() {
                return Ok(checked);
            }
            self.hear().await?;
        }
    }

    async fn check(&mut self, step: &Step) -> Result<Vec<Checked>, Stuck> {
        if step.claims.iter().any(|claim| claim.text.starts_with("metric ")) {
            self.environment.measure().await?;
        }
        if step
            .claims
            .iter()
            .any(|claim| claim.text.starts_with("database: "))
        {
            self.observed.rows = self.environment.rows().await?;
        }
        let mut checks = Checks {
            caller: self.environment.caller(),
            start: self.writer.start(),
            zone: &self.zone,
            exact: self.writer.is_exact(),
            opened: self.writer.opened(),
            observed: &self.observed,
            statuses: &self.statuses,
            views: BTreeMap::new(),
            named_tasks: BTreeSet::new(),
            named_calls: BTreeSet::new(),
            named_letters: BTreeSet::new(),
            named_verdicts: BTreeSet::new(),
        };
        checks.all(&step.claims).await
    }

    async fn carry_out(&mut self, line: &Line) -> Result<(), Stuck> {
        match self.writer.write(line, &self.tasks, self.environment.now())? {
            Outgoing::Topic(topic, messages) => {
                let bytes = messages.iter().map(|message| message.to_string().into_bytes());
                let verdicts = self.environment.send(topic, bytes.collect()).await?;
                self.observed.verdicts.extend(verdicts);
                Ok(())
            }
            Outgoing::Answer { system, answers } => self.environment.answer(&system, answers),
            Outgoing::Event(event) => {
                match self.environment.emit(event).await? {
                    Emitted::Answered(answer) => self.observed.answer = Some(answer),
                    Emitted::Read(verdicts) => self.observed.verdicts.extend(verdicts),
                }
                Ok(())
            }
            Outgoing::Registry(text) => self.environment.apply(&text).await,
            Outgoing::Call(call) => self.call(line, &call).await,
            Outgoing::Decision { task, what } => self.decide(line, &task, &what).await,
            Outgoing::Person {
                task,
                bearer,
                what,
                body,
            } => {
                let path = format!("/v1/manual/{}/{what}", self.id_of_task(line, &task).await?);
                let method = "POST".to_owned();
                self.call(
                    line,
                    &Call {
                        bearer,
                        method,
                        path,
                        body,
                    },
                )
                .await
            }
        }
    }

    async fn call(&mut self, line: &Line, call: &Call) -> Result<(), Stuck> {
        let caller = self.environment.caller();
        if call.bearer != "-" && !caller.knows(&call.bearer) {
            return Err(line.wrong(format!("nobody has a token of the name {}", call.bearer)));
        }
        let answered = caller.call(&call.bearer, &call.method, &call.path, &call.body);
        self.observed.answer = Some(answered.await?);
        Ok(())
    }

    /// An operator decides about a task. Where that is refused, it is a verdict that a claim has to name.
    async fn decide(&mut self, line: &Line, task: &str, what: &str) -> Result<(), Stuck> {
        let id = self.id_of_task(line, task).await?;
        let caller = self.environment.caller();
        let reason = r#"{"reason":"an operator knows better"}"#;
        let answer = caller
            .call("-", "POST", &format!("/v1/tasks/{id}/{what}"), reason)
            .await?;
        if answer.status != 200 {
            self.observed.verdicts.push(format!("refused {}", answer.text));
        }
        Ok(())
    }

    /// The id of a task, as the API shows it: it may not have been sent to anybody.
    async fn id_of_task(&self, line: &Line, task: &str) -> Result<String, Stuck> {
        let which = Which::read(task);
        let last = self.writer.opened().last().map(String::as_str);
        let request = which.request.or(last).unwrap_or_default();
        let caller = self.environment.caller();
        let view = caller
            .read(&format!("/v1/requests/{}", id_of(request)))
            .await?
            .json;
        let id = which.shown_in(&view).and_then(|task| task["task_id"].as_str());
        let id = id.ok_or_else(|| line.wrong(format!("there is no task {task}")))?;
        Ok(id.to_owned())
    }

    async fn hear(&mut self) -> Result<(), Stuck> {
        for output in self.environment.settle().await? {
            match output {
                Output::Task(task) => {
                    self.tasks.push(task.clone());
                    self.observed.tasks.push(task);
                }
                Output::Called { system, step } => {
                    let steps = self.observed.calls.entry(system).or_default();
                    if !steps.contains(&step) {
                        steps.push(step);
                    }
                }
                Output::Answered(task) => self.writer.is_answered(&task),
                Output::DeadLetter(reason) => self.observed.letters.push(reason),
                Output::Status(status) => {
                    let id = status["request_id"].as_str().unwrap_or_default().to_owned();
                    let known = self.statuses.entry(id).or_default();
                    if known["revision"].as_u64() <= status["revision"].as_u64() {
                        known.clone_from(&status);
                    }
                    self.observed.statuses.push(status);
                }
            }
        }
        Ok(())
    }
}
