//! What has to be seen: the claims of a step, compared with what anybody outside can see: the messages that processors
//! and upstream were sent, and what the API answers to compliance.

mod shown;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use self::shown::{
    flag_of, list_of, listed, nothing, plain, said, said_all, said_asked, said_state, same, unknown,
};
use super::{
    Stuck,
    call::{Answer, Caller},
    naming::{Which, id_of, is_task},
    script::Line,
    words,
};
use crate::domain::{time::At, words::Status};

/// A claim, and what was found instead where it is not so.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What had to be seen.
    pub text: String,
    /// What was seen instead.
    pub fault: Option<String>,
}

/// Whether a claim is so; else what is.
type Found = Result<(), String>;

/// Compares.
pub(super) struct Judge<'j> {
    pub caller: &'j Caller,
    pub start: At,
    pub zone: &'j TimeZone,
    /// The requests that were opened, oldest first.
    pub opened: &'j [String],
    /// What processors were sent in this step.
    pub news: &'j [Value],
    /// What could not be taken in in this step.
    pub letters: &'j [String],
    /// What the last call of this step was answered.
    pub answer: Option<&'j Answer>,
    /// The statuses of the highest revisions that upstream was sent.
    pub statuses: &'j BTreeMap<String, Value>,
    /// Which of the news a claim has named.
    pub named_news: BTreeSet<usize>,
    /// How many of the dead letters a claim has named.
    pub named_letters: BTreeSet<usize>,
}

impl<'j> Judge<'j> {
    /// Judges all claims of a step. What they do not name must not have happened.
    pub(super) async fn all(&mut self, claims: &[Line]) -> Result<Vec<Seen>, Stuck> {
        let mut seen = Vec::with_capacity(claims.len());
        for line in claims {
            seen.push(Seen {
                text: line.text.clone(),
                fault: self.claim(line).await?.err(),
            });
        }
        for (text, faults) in [
            ("nobody else is asked", self.unnamed_news()),
            ("nothing else is refused", self.unnamed_letters()),
            ("upstream was told the same", self.untold().await?),
        ] {
            if !faults.is_empty() {
                seen.push(Seen {
                    text: text.to_owned(),
                    fault: Some(faults.join(", ")),
                });
            }
        }
        Ok(seen)
    }

    async fn claim(&mut self, line: &Line) -> Result<Found, Stuck> {
        if line.text == "nobody is asked" {
            return Ok(nothing(self.news.is_empty(), || said_all(self.news.iter())));
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
            ["metric", series] => self.of_metric(series, &phrases.concat()).await,
            [count, group] => self.of_group(line, count, group, &phrases).await,
            [request] if self.opened.iter().any(|name| name == request) => {
                self.of_request(line, request, &phrases).await
            }
            [task] => self.of_task(line, task, &phrases).await,
            _ => Err(line.wrong("expected a request, a processor, answer, dead letter or metric")),
        }
    }

    fn of_answer(&self, phrase: &[&str]) -> Found {
        let answer = self.answer.ok_or("nobody called")?;
        let is = || format!("it is {} {}", answer.status, answer.text);
        let so = match phrase {
            [status] => answer.status.to_string() == *status,
            ["items", count] => answer.json["items"].as_array().map(Vec::len) == count.parse().ok(),
            ["lists", request] => answer.text.contains(&id_of(request).to_string()),
            [status, code] if answer.status.to_string() == *status => answer.json["code"] == *code,
            [field, value] => plain(&answer.json[*field]) == *value,
            _ => false,
        };
        nothing(so, is)
    }

    fn of_letter(&mut self, phrase: &[&str]) -> Found {
        let place = (0..self.letters.len())
            .find(|place| !self.named_letters.contains(place) && self.letters[*place] == phrase.join(" "));
        self.named_letters.extend(place);
        nothing(place.is_some(), || {
            format!("dead letters: {}", self.letters.join(", "))
        })
    }

    async fn of_metric(&self, series: &str, wanted: &[&str]) -> Result<Found, Stuck> {
        let answer = self.caller.read("/metrics").await?;
        let found = answer
            .text
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        Ok(nothing(found == Some(wanted.join(" ").as_str()), || {
            format!("it is {}", found.unwrap_or("not there"))
        }))
    }

    /// `2000 leavers: awaiting_approval`, `2000 leavers: crm asked to erase`.
    async fn of_group(
        &mut self,
        line: &Line,
        count: &str,
        group: &str,
        phrases: &[Vec<&str>],
    ) -> Result<Found, Stuck> {
        let wanted: usize = count
            .parse()
            .map_err(|_| line.wrong("expected how many, and of which people"))?;
        let members: BTreeSet<String> = self
            .opened
            .iter()
            .filter(|name| name.rsplit_once('-').is_some_and(|(of, _)| of == group))
            .map(|name| id_of(name).to_string())
            .collect();
        for phrase in phrases {
            let found = match phrase.as_slice() {
                [status] => self.in_status(status, &members).await?,
                [processor, "asked", "to", action] => {
                    let asked = |task: &Value| {
                        task["request_id"].as_str().is_some_and(|id| members.contains(id))
                            && task["processor"] == *processor
                            && task["action"] == *action
                    };
                    self.name_news(asked).len()
                }
                _ => return Err(line.wrong("expected a status, or a processor asked to do something")),
            };
            if found != wanted {
                return Ok(Err(format!("there are {found}")));
            }
        }
        Ok(Ok(()))
    }

    async fn in_status(&self, status: &str, members: &BTreeSet<String>) -> Result<usize, Stuck> {
        let mut found = 0;
        let mut path = format!("/v1/requests?status={status}&limit=500");
        loop {
            let page = self.caller.read(&path).await?.json;
            let items = page["items"].as_array().map(Vec::as_slice).unwrap_or_default();
            let is_member =
                |item: &&Value| item["request_id"].as_str().is_some_and(|id| members.contains(id));
            found += items.iter().filter(is_member).count();
            let Some(cursor) = page["next_cursor"].as_str() else {
                return Ok(found);
            };
            path = format!("/v1/requests?status={status}&limit=500&cursor={cursor}");
        }
    }

    async fn of_request(&self, line: &Line, request: &str, phrases: &[Vec<&str>]) -> Result<Found, Stuck> {
        let path = format!("/v1/requests/{}", id_of(request));
        let answer = self.caller.read(&path).await?;
        let view = &answer.json;
        for phrase in phrases {
            let found = match phrase.as_slice() {
                ["none"] => nothing(answer.status == 404, || "there is one".to_owned()),
                ["ledger", "has", entry] => {
                    let events = self.caller.read(&format!("{path}/events?limit=500")).await?;
                    let named = format!("\"type\":\"{entry}\"");
                    nothing(events.text.contains(&named), || "it does not".to_owned())
                }
                _ => self
                    .request_is(view, phrase)
                    .ok_or_else(|| line.wrong(unknown(phrase)))?,
            };
            if found.is_err() {
                return Ok(found);
            }
        }
        Ok(Ok(()))
    }

    /// `None`: that is no phrase about a request.
    fn request_is(&self, view: &Value, phrase: &[&str]) -> Option<Found> {
        Some(match phrase {
            [word] if Status::parse(word).is_some() => same(&plain(&view["status"]), word),
            ["deadline", day] => self.same_time(&view["deadline"], day),
            ["rolled", day] => self.same_time(&view["deadline_rolled"], day),
            ["not", flag] => flag_of(view, flag).map(|is| nothing(!is, || format!("it is {flag}")))?,
            ["waits", "for", rest @ ..] => {
                let entries = view["waiting_for"]
                    .as_array()
                    .map(Vec::as_slice)
                    .unwrap_or_default();
                let gates = entries.iter().filter(|entry| entry["processor"].is_null());
                self.any_waits(gates, rest)
            }
            ["refused", "on", basis] => same(&plain(&view["refused_on"]), basis),
            ["refusal", "of", processor, "on", basis] => {
                let share = json!({ "processor": processor, "basis": basis });
                let shares = view["refusal"]["processors"].as_array();
                nothing(shares.is_some_and(|shares| shares.contains(&share)), || {
                    format!("it is {}", view["refusal"])
                })
            }
            ["merged", "into", name] => {
                let into = plain(&view["merged_into"]);
                nothing(into == id_of(name).to_string(), || format!("it is {into}"))
            }
            [flag] => flag_of(view, flag).map(|is| nothing(is, || format!("it is not {flag}")))?,
            ["tasks", count] => same(&plain(&view["tasks"]["total"]), count),
            [field, member, value @ ..] if view[*field].is_object() => {
                same(&plain(&view[*field][*member]), &value.join(" "))
            }
            [field, value @ ..] if view.get(field).is_some() => same(&plain(&view[*field]), &value.join(" ")),
            _ => return None,
        })
    }

    async fn of_task(&mut self, line: &Line, task: &str, phrases: &[Vec<&str>]) -> Result<Found, Stuck> {
        let which = Which::read(task);
        let last = self.opened.last().map(String::as_str);
        let request = which
            .request
            .or(last)
            .ok_or_else(|| line.wrong("no request was opened"))?;
        let news: Vec<&Value> = {
            let named = match which.category {
                Some(category) => format!("{request}/{}[{category}]", which.processor),
                None => format!("{request}/{}", which.processor),
            };
            let asks = phrases
                .iter()
                .any(|phrase| matches!(phrase.as_slice(), ["asked", ..]));
            if asks {
                self.name_news(|task| is_task(task, &named))
            } else {
                Vec::new()
            }
        };
        let view = self
            .caller
            .read(&format!("/v1/requests/{}", id_of(request)))
            .await?
            .json;
        let is_it = |task: &&Value| {
            let part = || task["part"].as_array().map(Vec::as_slice).unwrap_or_default();
            task["processor"] == which.processor
                && which
                    .category
                    .is_none_or(|category| part().iter().any(|one| *one == json!(category)))
        };
        let list = view["task_list"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let shown = list.iter().filter(is_it).nth(which.nth - 1);
        for phrase in phrases {
            let found = self
                .task_is(&news, shown, phrase)
                .ok_or_else(|| line.wrong(unknown(phrase)))?;
            if found.is_err() {
                return Ok(found);
            }
        }
        Ok(Ok(()))
    }

    /// `None`: that is no phrase about a task.
    fn task_is(&self, news: &[&Value], shown: Option<&Value>, phrase: &[&str]) -> Option<Found> {
        let message = news.last().copied();
        let sent = |is: &dyn Fn(&Value) -> String, wanted: &str| {
            message.map_or_else(
                || Err("it was not asked".to_owned()),
                |task| same(&is(task), wanted),
            )
        };
        let is = || shown.map_or_else(|| "not in the plan".to_owned(), said_state);
        let has = |field: &str, wanted: &str| {
            nothing(shown.is_some_and(|task| plain(&task[field]) == wanted), || {
                format!("it is {}", is())
            })
        };
        Some(match phrase {
            ["asked", "to", action] => sent(&said_asked, action),
            ["asked", "to", action, "again"] => sent(&said_asked, &format!("{action} again")),
            ["by", kinds @ ..] => sent(&|task| list_of(&task["identities"], "type"), &listed(kinds)),
            ["about", categories @ ..] => sent(
                &|task| list_of(&task["scope"]["categories"], ""),
                &listed(categories),
            ),
            ["waits", "for", rest @ ..] => self.any_waits(shown.into_iter(), rest),
            ["done", outcome] => has("state", "done").and_then(|()| has("outcome", outcome)),
            ["exempt", basis] => has("state", "exempt").and_then(|()| has("why", basis)),
            ["abandoned", cause] => has("state", "abandoned").and_then(|()| has("why", cause)),
            [state @ ("waived" | "cancelled" | "blocked" | "held" | "accepted")] => has("state", state),
            ["evidence", field, value] => {
                let found = shown.map_or(Value::Null, |task| task["evidence"][*field].clone());
                same(&plain(&found), value)
            }
            _ => return None,
        })
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
        nothing(so, || format!("it is {at}"))
    }

    /// The news that meet a condition; from now on they are named.
    fn name_news(&mut self, is: impl Fn(&Value) -> bool) -> Vec<&'j Value> {
        let all = self.news;
        let found: Vec<usize> = (0..all.len()).filter(|place| is(&all[*place])).collect();
        self.named_news.extend(&found);
        found.into_iter().map(|place| &all[place]).collect()
    }

    fn unnamed_news(&self) -> Vec<String> {
        let left = (0..self.news.len()).filter(|place| !self.named_news.contains(place));
        left.map(|place| said(&self.news[place])).collect()
    }

    fn unnamed_letters(&self) -> Vec<String> {
        let left = (0..self.letters.len()).filter(|place| !self.named_letters.contains(place));
        left.map(|place| self.letters[place].clone()).collect()
    }

    /// The status topic has to say what the API says.
    async fn untold(&self) -> Result<Vec<String>, Stuck> {
        let mut faults = Vec::new();
        // Of many one is like the other.
        for name in self.opened.iter().rev().take(20) {
            let id = id_of(name).to_string();
            let view = self.caller.read(&format!("/v1/requests/{id}")).await?.json;
            let told = self.statuses.get(&id).unwrap_or(&Value::Null);
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
