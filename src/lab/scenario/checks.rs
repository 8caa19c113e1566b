//! What has to be seen: the claims of a step, compared with what anybody outside can see: the messages that processors
//! and upstream were sent, and what the API answers to compliance.

mod request;
mod shown;
mod task;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use self::shown::{ensure, plain, said_all, said_exactly, said_state, same};
use super::{
    Stuck,
    call::Caller,
    naming::{id_of, items},
    observed::Observed,
    script::Line,
    words,
};
use crate::domain::time::At;

/// A claim, and what was found instead where it is not so.
#[derive(Debug, Clone)]
pub struct Checked {
    /// What had to be seen.
    pub text: String,
    /// What was seen instead.
    pub fault: Option<String>,
}

/// Whether a claim is so; else what is.
type Found = Result<(), String>;

/// Compares.
pub(super) struct Checks<'c> {
    pub caller: &'c Caller,
    pub start: At,
    pub zone: &'c TimeZone,
    /// Whether it has to be said, too, what was a repeat or contradicted what was known.
    pub exact: bool,
    /// The requests that were opened, oldest first.
    pub opened: &'c [String],
    /// What was seen in this step.
    pub observed: &'c Observed,
    /// The statuses of the highest revisions that upstream was sent.
    pub statuses: &'c BTreeMap<String, Value>,
    /// What the API shows of requests, by their names, as far as it was asked.
    pub views: BTreeMap<String, Value>,
    /// Which of the tasks, letters and verdicts a claim has named.
    pub named_tasks: BTreeSet<usize>,
    pub named_calls: BTreeSet<String>,
    pub named_letters: BTreeSet<usize>,
    pub named_verdicts: BTreeSet<usize>,
}

impl<'c> Checks<'c> {
    /// Checks all claims of a step. What they do not name must not have happened.
    pub(super) async fn all(&mut self, claims: &[Line]) -> Result<Vec<Checked>, Stuck> {
        let mut checked = Vec::with_capacity(claims.len());
        for line in claims {
            checked.push(Checked {
                text: line.text.clone(),
                fault: self.claim(line).await?.err(),
            });
        }
        for (text, faults) in [
            ("nobody else is asked", self.unnamed_tasks()),
            ("no other vendor is called", self.unnamed_calls()),
            ("nothing else is refused", self.unnamed_letters()),
            ("everything was taken in", self.unnamed_verdicts()),
            ("every task names somebody", self.nameless_tasks()),
            ("upstream was told the same", self.untold().await?),
        ] {
            if !faults.is_empty() {
                checked.push(Checked {
                    text: text.to_owned(),
                    fault: Some(faults.join(", ")),
                });
            }
        }
        Ok(checked)
    }

    async fn claim(&mut self, line: &Line) -> Result<Found, Stuck> {
        let words: Vec<&str> = line.text.split_whitespace().collect();
        match words.as_slice() {
            ["nobody", "is", "asked"] => {
                let Observed { tasks, calls, .. } = self.observed;
                let called = || calls.keys().cloned().collect::<Vec<_>>().join(", ");
                return Ok(ensure(tasks.is_empty(), || said_all(tasks.iter()))
                    .and_then(|()| ensure(calls.is_empty(), called)));
            }
            ["sent", wanted @ ..] => return Ok(self.of_sent(wanted)),
            ["told", notice] => return Ok(self.of_notice(notice)),
            _ => {}
        }
        let (subject, phrases) = line.text.split_once(": ").ok_or_else(|| {
            line.wrong("expected whom or what it is about, a colon, and what has to be seen")
        })?;
        let phrases: Vec<Vec<&str>> = phrases
            .split(", ")
            .map(|phrase| phrase.split_whitespace().collect())
            .collect();
        let words: Vec<&str> = subject.split_whitespace().collect();
        match words.as_slice() {
            ["answer"] => Ok(phrases.iter().try_for_each(|phrase| self.of_answer(phrase))),
            ["dead", "letter"] => Ok(phrases.iter().try_for_each(|phrase| self.of_letter(phrase))),
            ["message"] => Ok(phrases.iter().try_for_each(|phrase| self.of_verdict(phrase))),
            ["database"] => Ok(phrases.iter().try_for_each(|phrase| self.of_database(phrase))),
            [system, "called"] => Ok(self.of_calls(system, &phrases)),
            ["metric", series] => self.of_metric(series, &phrases.concat()).await,
            [count, group] => self.of_group(line, count, group, &phrases).await,
            [request] if self.opened.iter().any(|name| name == request) => {
                self.of_request(line, request, &phrases).await
            }
            [task] => self.of_task(line, task, &phrases).await,
            _ => Err(line
                .wrong("expected a request, a processor, answer, database, dead letter, message or metric")),
        }
    }

    /// Every task that was sent in this step, exactly: `crm`, `2/crm`, `billing[invoices]`, `crm@2`, `crm.2`,
    /// `crm=verify`, `nightly!crypto_erase`. Without a request it is one of the first that was opened.
    fn of_sent(&mut self, wanted: &[&str]) -> Found {
        self.named_tasks.extend(0..self.observed.tasks.len());
        let first = self.opened.first().map_or("", String::as_str);
        let mut wanted: Vec<String> = wanted
            .iter()
            .map(|task| match task.contains('/') {
                true => (*task).to_owned(),
                false => format!("{first}/{task}"),
            })
            .collect();
        let request_of = |task: &Value| {
            let is_it = |name: &&String| task["request_id"] == json!(id_of(name));
            self.opened.iter().find(is_it).map_or("?", String::as_str)
        };
        let said = |task| format!("{}/{}", request_of(task), said_exactly(task));
        let mut sent: Vec<String> = self.observed.tasks.iter().map(said).collect();
        wanted.sort_unstable();
        sent.sort_unstable();
        same(&sent.join(" "), &wanted.join(" "))
    }

    /// The notice of the last status of this step: `none` where it had none, `nothing` where there was no status.
    fn of_notice(&self, wanted: &str) -> Found {
        let last = self.observed.statuses.last();
        let told = last.map_or("nothing", |status| status["notice"].as_str().unwrap_or("none"));
        same(told, wanted)
    }

    fn of_answer(&self, phrase: &[&str]) -> Found {
        let answer = self.observed.answer.as_ref().ok_or("nobody called")?;
        let is = || format!("it is {} {}", answer.status, answer.text);
        let so = match phrase {
            [status] => answer.status.to_string() == *status,
            ["items", count] => answer.json["items"].as_array().map(Vec::len) == count.parse().ok(),
            ["lists", request] => answer.text.contains(&id_of(request).to_string()),
            [status, code] if answer.status.to_string() == *status => answer.json["code"] == *code,
            [field, value] => plain(&answer.json[*field]) == *value,
            _ => false,
        };
        ensure(so, is)
    }

    fn of_letter(&mut self, phrase: &[&str]) -> Found {
        name_one(&self.observed.letters, &mut self.named_letters, &phrase.join(" "))
    }

    /// `crm called: find, erase`: the steps of a vendor's connector, in the order of the calls, each of them once.
    fn of_calls(&mut self, system: &str, phrases: &[Vec<&str>]) -> Found {
        self.named_calls.insert(system.to_owned());
        let wanted: Vec<&str> = phrases.iter().flatten().copied().collect();
        let called = self.observed.calls.get(system);
        let steps = called.map_or("nobody has called it".to_owned(), |steps| steps.join(", "));
        same(&steps, &wanted.join(", "))
    }

    /// `database: profiles 1, sessions none`
    fn of_database(&self, phrase: &[&str]) -> Found {
        let [table, wanted] = phrase else {
            return Err("expected a table and how many rows it has".to_owned());
        };
        let rows = &self.observed.rows;
        let found = rows.get(*table).ok_or_else(|| format!("there are {rows:?}"))?;
        let found = if *found == 0 {
            "none".to_owned()
        } else {
            found.to_string()
        };
        same(&found, wanted)
    }

    fn of_verdict(&mut self, phrase: &[&str]) -> Found {
        name_one(
            &self.observed.verdicts,
            &mut self.named_verdicts,
            &phrase.join(" "),
        )
    }

    /// A series with labels that nothing has is not there; that is none.
    async fn of_metric(&self, series: &str, wanted: &[&str]) -> Result<Found, Stuck> {
        let answer = self.caller.read("/metrics").await?;
        let mut lines = answer.text.lines();
        let found = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        let found = found.unwrap_or(if series.ends_with('}') { "0" } else { "not there" });
        Ok(same(found, &wanted.join(" ")))
    }

    /// What the API shows of a request.
    async fn view(&mut self, request: &str) -> Result<Value, Stuck> {
        if let Some(view) = self.views.get(request) {
            return Ok(view.clone());
        }
        let path = format!("/v1/requests/{}", id_of(request));
        let answer = self.caller.read(&path).await?;
        let view = if answer.status == 404 {
            Value::Null
        } else {
            answer.json
        };
        self.views.insert(request.to_owned(), view.clone());
        Ok(view)
    }

    /// `backup_rotation until 2026-04-07`.
    fn any_waits<'v>(&self, entries: impl Iterator<Item = &'v Value>, phrase: &[&str]) -> Found {
        let (why, until) = match phrase {
            [why, "until", until] => (*why, Some(*until)),
            [why] => (*why, None),
            _ => ("", None),
        };
        let mut found = Vec::new();
        for entry in entries {
            if entry["why"] == why && until.is_none_or(|until| self.same_time(&entry["until"], until).is_ok())
            {
                return Ok(());
            }
            found.push(said_state(entry));
        }
        Err(format!("it is {}", found.join(", ")))
    }

    /// A day is compared as the controller's, a time as it is.
    fn same_time(&self, found: &Value, wanted: &str) -> Found {
        let Some(at) = found.as_str().and_then(|text| At::parse(text).ok()) else {
            return Err(format!("it is {}", plain(found)));
        };
        let so = match words::time(wanted, self.start) {
            Ok(wanted) => at == wanted,
            Err(_) => words::day(at, self.zone) == wanted,
        };
        ensure(so, || format!("it is {at}"))
    }

    /// The tasks that meet a condition; from now on they are named.
    fn name_tasks(&mut self, is: impl Fn(&Value) -> bool) -> Vec<&'c Value> {
        let all = &self.observed.tasks;
        let found: Vec<usize> = (0..all.len()).filter(|place| is(&all[*place])).collect();
        self.named_tasks.extend(&found);
        found.into_iter().map(|place| &all[place]).collect()
    }

    fn unnamed_tasks(&self) -> Vec<String> {
        let tasks = (0..).zip(&self.observed.tasks);
        let left = tasks.filter(|(place, _)| !self.named_tasks.contains(place));
        left.map(|(_, task)| shown::said(task)).collect()
    }

    fn unnamed_calls(&self) -> Vec<String> {
        let systems = self.observed.calls.keys();
        systems
            .filter(|system| !self.named_calls.contains(*system))
            .cloned()
            .collect()
    }

    fn unnamed_letters(&self) -> Vec<String> {
        let letters = (0..).zip(&self.observed.letters);
        let left = letters.filter(|(place, _)| !self.named_letters.contains(place));
        left.map(|(_, letter)| letter.clone()).collect()
    }

    /// What was refused has a dead letter, which is named apart; everything else that was not simply taken has to be named.
    fn unnamed_verdicts(&self) -> Vec<String> {
        let is_refused = |verdict: &str| verdict.starts_with("refused ") && !self.observed.letters.is_empty();
        let is_plain = |verdict: &str| ["taken", "counted", "waiting"].contains(&verdict);
        let verdicts = (0..).zip(&self.observed.verdicts);
        let left = verdicts.filter(|(place, verdict)| {
            self.exact && !self.named_verdicts.contains(place) && !is_plain(verdict) && !is_refused(verdict)
        });
        left.map(|(_, verdict)| verdict.clone()).collect()
    }

    fn nameless_tasks(&self) -> Vec<String> {
        let tasks = self.observed.tasks.iter();
        let nameless = tasks.filter(|task| items(&task["identities"]).is_empty());
        nameless.map(shown::said).collect()
    }

    /// The status topic has to say what the API says.
    async fn untold(&mut self) -> Result<Vec<String>, Stuck> {
        let mut faults = Vec::new();
        // Of many one is like the other.
        for name in self.opened.iter().rev().take(20) {
            let view = self.view(name).await?;
            let told = self
                .statuses
                .get(&id_of(name).to_string())
                .unwrap_or(&Value::Null);
            // Nobody outside sees what else is in a revision.
            let fields = told.as_object().into_iter().flatten();
            let same = fields
                .filter(|(field, _)| *field != "revision")
                .all(|(field, value)| view[field] == *value)
                && told.is_null() == view["request_id"].is_null();
            if !same {
                faults.push(format!("{name}: upstream was told {told}, and it is {view}"));
            }
        }
        Ok(faults)
    }
}

/// Names one of several that reads so, and was not named before.
fn name_one(all: &[String], named: &mut BTreeSet<usize>, wanted: &str) -> Found {
    let place = (0..all.len()).find(|place| !named.contains(place) && all[*place] == wanted);
    named.extend(place);
    ensure(place.is_some(), || format!("there are: {}", all.join(", ")))
}
