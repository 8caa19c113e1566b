//! What has to be so after a step.

use lacuna::{
    domain::{
        entry::{Entry, Leaf},
        request::Request,
        task::{Share, Task, TaskEvent, TaskState},
        words::Status,
    },
    engine::status::status_message,
};
use serde_json::{Value, json};

use super::{script::Step, stage::Stage};
use crate::schedules::world::id;

impl Stage<'_> {
    /// Compares what is with what the step says. What it does not say must not have happened: nothing that it does not
    /// name was sent, and nothing was refused or contradicted.
    pub async fn judge(&self, step: &Step) -> Vec<String> {
        let mut faults = Vec::new();
        let mut unsaid = vec!["sent", "verdict"];
        for claim in &step.expected {
            let (n, claim) = match claim.split_once(": ") {
                Some((n, rest)) => (n.parse().unwrap(), rest),
                None => (1, claim.as_str()),
            };
            let words: Vec<&str> = claim.split_whitespace().collect();
            let of = |what: &str| if what == "sent" { "sent" } else { "verdict" };
            if matches!(
                words[0],
                "sent" | "refused" | "contradiction" | "repeated" | "duplicate"
            ) {
                unsaid.retain(|what| *what != of(words[0]));
            }
            if let Err(fault) = self.check(n, &words).await {
                faults.push(format!("{claim}: {fault}"));
            }
        }
        if unsaid.contains(&"sent") && !self.sent.tasks.is_empty() {
            faults.push(format!("nothing sent: {}", self.said_sent()));
        }
        if unsaid.contains(&"verdict") && !matches!(self.verdict.as_str(), "" | "taken" | "counted") {
            faults.push(format!("taken: {}", self.verdict));
        }
        faults.extend(self.always().await);
        faults
    }

    async fn check(&self, n: u128, words: &[&str]) -> Result<(), String> {
        match words {
            ["sent", wanted @ ..] => same(&self.said_sent(), &wanted.join(" ")),
            ["refused" | "contradiction" | "repeated" | "duplicate", ..] => {
                same(&self.verdict, &words.join(" "))
            }
            ["names", processor, kinds] => self.check_names(processor, kinds),
            ["deferred_overdue", processor, count] => {
                let bounds = self.engine().gauges().overdue_bounds(self.now()).unwrap();
                let counts = self.world.fixture.store.deferred_before(&bounds).await.unwrap();
                let found = counts.iter().find(|(id, _)| id.as_str() == *processor);
                same(&found.map_or(0, |(_, count)| *count).to_string(), count)
            }
            ["told", notice] => same(self.told(), notice),
            ["none"] => same(
                if self.world.stored(n).await.is_none() {
                    "none"
                } else {
                    "one"
                },
                "none",
            ),
            ["readable" | "capsule" | "gone"] => same(self.secrecy(n).await, words[0]),
            ["entry", ..] => self.check_entry(n, &words[1..]).await,
            _ => self.check_request(&self.world.request(n).await, words),
        }
    }

    fn check_request(&self, request: &Request, words: &[&str]) -> Result<(), String> {
        let life = &request.life;
        match words {
            ["status", status] => same(life.status.as_str(), status),
            ["attention"] => same(
                if life.needs_attention { "attention" } else { "calm" },
                "attention",
            ),
            ["calm"] => same(if life.needs_attention { "attention" } else { "calm" }, "calm"),
            ["overdue", is] => same(if life.overdue { "yes" } else { "no" }, is),
            ["at_risk", is] => same(if life.at_risk { "yes" } else { "no" }, is),
            ["due", at] => same(&life.clock.due.to_string(), &self.timeline.time(at).to_string()),
            ["notice", notice] => same(life.notice.map_or("none", |notice| notice.as_str()), notice),
            ["clean", "no"] => same(&format!("{:?}", life.live_clean_at), "None"),
            ["clean", at] => same(
                &format!("{:?}", life.live_clean_at),
                &format!("{:?}", Some(self.timeline.time(at))),
            ),
            ["tasks", count] => same(&request.tasks.len().to_string(), count),
            [which, wanted @ ..] => self.check_task(request, which, wanted),
            [] => Ok(()),
        }
    }

    /// `crm`, `billing[invoices]`, `nightly.1` (the second one of its processor).
    fn check_task(&self, request: &Request, which: &str, wanted: &[&str]) -> Result<(), String> {
        let (which, nth) = which.split_once('.').unwrap_or((which, "0"));
        let (processor, category) = which.split_once('[').unwrap_or((which, ""));
        let category = category.trim_end_matches(']');
        let mut found = request.tasks.iter().filter(|task| {
            task.processor.as_str() == processor
                && (category.is_empty() || task.categories.iter().any(|one| one.as_str() == category))
        });
        let task = found
            .nth(nth.parse().unwrap())
            .ok_or_else(|| format!("there is no such task among {:#?}", request.tasks))?;
        let is = self.said(request, task);
        // What is not asked about may be anything, but the state always is.
        let asked = |word: &str| match word.strip_prefix("until ") {
            Some(at) => format!("until {}", self.timeline.time(at)),
            None => word.to_owned(),
        };
        let wanted = wanted.join(" ").replace("until ", "until\u{1}");
        let mut wanted = wanted.split(' ').map(|word| asked(&word.replace('\u{1}', " ")));
        let right = wanted.next().as_ref() == is.first() && wanted.all(|word| is.contains(&word));
        if right {
            Ok(())
        } else {
            Err(format!("it is {:?}", is.join(" ")))
        }
    }

    /// The state of a task in words, as a status would say it.
    fn said(&self, request: &Request, task: &Task) -> Vec<String> {
        let mut words = vec![task.state.name().as_str().to_owned()];
        let (why, until) = match &task.state {
            TaskState::Done { proof, .. } => (format!("{proof:?}").to_lowercase(), None),
            TaskState::Exempt { basis } => (basis.as_str().to_owned(), None),
            TaskState::Abandoned { cause } => (cause.as_str().to_owned(), None),
            _ => match request.why_not_done(task) {
                Some((why, until)) => (why.as_str().to_owned(), until),
                None => return words,
            },
        };
        words.push(why);
        if let Some(until) = until {
            words.push(format!("until {until}"));
        }
        words.push(format!("gen{}", task.generation));
        words
    }

    /// What upstream was told last in this step: the notice of a status, `none` where it had none, `nothing` where no
    /// status was produced.
    fn told(&self) -> &str {
        match self.sent.statuses.last() {
            Some(status) => status["notice"].as_str().unwrap_or("none"),
            None => "nothing",
        }
    }

    fn said_sent(&self) -> String {
        let mut all: Vec<String> = self.sent.tasks.iter().map(said_task).collect();
        all.sort_unstable();
        all.join(" ")
    }

    fn check_names(&self, processor: &str, kinds: &str) -> Result<(), String> {
        let task = self.sent.tasks.iter().find(|task| task["processor"] == processor);
        let task = task.ok_or("it was not asked")?;
        let named: Vec<&str> = task["identities"]
            .as_array()
            .unwrap()
            .iter()
            .map(|identity| identity["type"].as_str().unwrap())
            .collect();
        same(&named.join(","), kinds)
    }

    /// Who can still read the identifiers: anybody, only a restore replay, or nobody.
    async fn secrecy(&self, n: u128) -> &'static str {
        let store = &self.world.fixture.store;
        let stored = store.requests(&[id(n)]).await.unwrap().pop().unwrap();
        let request = &stored.request;
        if let Some(key) = &stored.wrapped_key {
            let body = store.bodies(&[id(n)]).await.unwrap().pop().unwrap();
            let opened = self
                .world
                .vault
                .open_subject(&request.head.tenant, request.id, key, &body.sealed);
            return if opened.is_ok() { "readable" } else { "unreadable" };
        }
        let Some(capsule) = store.capsules(&[id(n)]).await.unwrap().pop() else {
            return "gone";
        };
        let opened = self.world.vault.open_capsule(
            &capsule.epoch,
            &capsule.wrapped_key,
            &request.head.tenant,
            request.id,
            &capsule.sealed,
        );
        if opened.is_ok() {
            "capsule"
        } else {
            "a broken capsule"
        }
    }

    async fn entries(&self, n: u128) -> Vec<Entry> {
        let leaves = self.world.fixture.store.leaves(id(n)).await.unwrap();
        leaves
            .iter()
            .flat_map(|stored| Leaf::from_bytes(&stored.leaf).unwrap().entries)
            .collect()
    }

    async fn check_entry(&self, n: u128, words: &[&str]) -> Result<(), String> {
        let entries = self.entries(n).await;
        let time = |text: &str| self.timeline.time(text);
        let found = match words {
            ["moved", from, to] => entries.iter().any(|entry| {
                matches!(entry, Entry::Task { event: TaskEvent::Moved { from: a, to: b }, .. }
                    if *a == time(from) && *b == time(to))
            }),
            ["deadline", from, to] => entries.iter().any(|entry| {
                matches!(entry, Entry::DeadlineMoved { from: a, to: b, .. } if *a == time(from) && *b == time(to))
            }),
            ["kept", "requested_at"] => entries
                .iter()
                .any(|entry| matches!(entry, Entry::Kept { anchor: None, .. })),
            ["kept", name] => entries.iter().any(
                |entry| matches!(entry, Entry::Kept { anchor: Some(anchor), .. } if anchor.as_str() == *name),
            ),
            ["restored", count] => {
                let restores = entries
                    .iter()
                    .filter(|entry| matches!(entry, Entry::Restored { .. }));
                restores.count().to_string() == *count
            }
            ["shredded"] => entries.contains(&Entry::Shredded),
            other => panic!("no such entry: {other:?}"),
        };
        if found {
            Ok(())
        } else {
            Err(format!("not among {entries:#?}"))
        }
    }

    /// What has to be so after every step of every timeline.
    async fn always(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let stored = self.world.fixture.store.page(None, 100).await.unwrap();
        for request in stored.iter().map(|stored| &stored.request) {
            let done = |task: &Task| matches!(task.state, TaskState::Done { .. });
            if request.life.status == Status::Completed && !request.tasks.iter().all(done) {
                faults.push("invariant 2: completed, and not every task is done".to_owned());
            }
            let message = serde_json::to_value(status_message(request, &Default::default())).unwrap();
            let open = request
                .tasks
                .iter()
                .filter(|task| !task.state.is_closed())
                .count();
            let listed = message["waiting_for"].as_array().unwrap();
            let listed = listed.iter().filter(|one| !one["processor"].is_null()).count();
            if !request.life.status.is_final() && open != listed {
                faults.push(format!("waiting_for lists {listed} of {open} tasks"));
            }
            for task in &request.tasks {
                let Share::Wave { sources, .. } = &task.share else {
                    continue;
                };
                let unconfirmed = |source: &u16| !request.task(*source).state.is_closed();
                if done(task) && sources.iter().any(unconfirmed) {
                    faults.push("invariant 4: a wave is done, and its sources are not".to_owned());
                }
            }
        }
        let nameless = |task: &&Value| task["identities"] == json!([]);
        if let Some(task) = self.sent.tasks.iter().find(nameless) {
            faults.push(format!("a task that names nobody: {task}"));
        }
        faults
    }
}

/// `crm`, `2/crm`, `billing[invoices]`, `crm#2` where it is not the first generation, `crm.2` where it is not the first
/// attempt, `crm=verify` where it does not erase.
fn said_task(task: &Value) -> String {
    let mut said = String::new();
    let request = task["request_id"]
        .as_str()
        .unwrap()
        .trim_start_matches(['0', '-']);
    if request != "1" {
        said += &format!("{request}/");
    }
    said += task["processor"].as_str().unwrap();
    let categories = task["scope"]["categories"].as_array().unwrap();
    if !categories.is_empty() {
        let names: Vec<&str> = categories.iter().map(|one| one.as_str().unwrap()).collect();
        said += &format!("[{}]", names.join(","));
    }
    if task["generation"] != json!(1) {
        said += &format!("#{}", task["generation"]);
    }
    if task["attempt"] != json!(1) {
        said += &format!(".{}", task["attempt"]);
    }
    if task["action"] != json!("erase") {
        said += &format!("={}", task["action"].as_str().unwrap());
    }
    if let Some(method) = task["method"].as_str() {
        said += &format!("!{method}");
    }
    said
}

fn same(is: &str, wanted: &str) -> Result<(), String> {
    if is == wanted {
        Ok(())
    } else {
        Err(format!("it is {is:?}"))
    }
}
