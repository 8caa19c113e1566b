//! Plays a script: lets its times come, sends its messages, and judges what is seen.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use serde_json::Value;

use super::{
    Stuck,
    call::Answer,
    judge::{Judge, Seen},
    messages::{Outgoing, Writer},
    post::{Post, Said},
    script::{Line, Script, Step},
};
use crate::clock::Stopwatch;

/// A script while it is played.
#[derive(Debug)]
pub struct Stage<'a, P> {
    post: &'a mut P,
    zone: TimeZone,
    writer: Writer<'a>,
    /// Every task that was sent, oldest first.
    tasks: Vec<Value>,
    /// Of each request the status of the highest revision.
    statuses: BTreeMap<String, Value>,
    /// What has been sent to processors before this step.
    before: usize,
    /// What could not be taken in during this step.
    letters: Vec<String>,
    /// What the last call was answered.
    answer: Option<Answer>,
}

impl<'a, P: Post> Stage<'a, P> {
    /// Sets it up. `zone`: where days are the controller's.
    pub fn set(script: &'a Script, post: &'a mut P, zone: TimeZone) -> Self {
        Self {
            post,
            zone,
            writer: Writer::new(script),
            tasks: Vec::new(),
            statuses: BTreeMap::new(),
            before: 0,
            letters: Vec::new(),
            answer: None,
        }
    }

    /// Plays a step, and says of each of its claims whether it is so.
    pub async fn play(&mut self, step: &Step) -> Result<Vec<Seen>, Stuck> {
        self.before = self.tasks.len();
        self.letters.clear();
        self.answer = None;
        self.post.pass_until(step.at).await?;
        self.hear().await?;
        for line in &step.events {
            self.happen(line).await?;
            self.hear().await?;
        }
        let watch = Stopwatch::start();
        loop {
            let seen = self.judge(step).await?;
            let is_so = seen.iter().all(|seen| seen.fault.is_none());
            if is_so || watch.elapsed() >= self.post.patience() {
                return Ok(seen);
            }
            self.hear().await?;
        }
    }

    async fn judge(&self, step: &Step) -> Result<Vec<Seen>, Stuck> {
        let mut judge = Judge {
            caller: self.post.caller(),
            start: self.writer.start(),
            zone: &self.zone,
            opened: self.writer.opened(),
            news: &self.tasks[self.before..],
            letters: &self.letters,
            answer: self.answer.as_ref(),
            statuses: &self.statuses,
            named_news: BTreeSet::new(),
            named_letters: BTreeSet::new(),
        };
        judge.all(&step.claims).await
    }

    async fn happen(&mut self, line: &Line) -> Result<(), Stuck> {
        match self.writer.write(line, &self.tasks)? {
            Outgoing::Topic(topic, messages) => {
                let bytes = messages.iter().map(|message| message.to_string().into_bytes());
                self.post.send(topic, bytes.collect()).await
            }
            Outgoing::Call(call) => {
                let caller = self.post.caller();
                if call.bearer != "-" && !caller.knows(&call.bearer) {
                    return Err(line.wrong(format!("nobody has a token of the name {}", call.bearer)));
                }
                self.answer = Some(
                    caller
                        .call(&call.bearer, &call.method, &call.path, &call.body)
                        .await?,
                );
                Ok(())
            }
        }
    }

    async fn hear(&mut self) -> Result<(), Stuck> {
        for said in self.post.settle().await? {
            match said {
                Said::Task(task) => self.tasks.push(task),
                Said::DeadLetter(reason) => self.letters.push(reason),
                Said::Status(status) => {
                    let id = status["request_id"].as_str().unwrap_or_default().to_owned();
                    let known = self.statuses.entry(id).or_default();
                    if known["revision"].as_u64() <= status["revision"].as_u64() {
                        *known = status;
                    }
                }
            }
        }
        Ok(())
    }
}
