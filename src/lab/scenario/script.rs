//! Reads scenarios: the one language in which demonstrations, policies and timelines are written.
//!
//! A file is meant to be read by people first:
//!
//! ```text
//! title    a messenger
//! promise  Everything goes within 30 days.
//! starts   2026-03-02T09:00:00Z
//! person   ann  email=ann@example.org  user_id=u-1
//!
//! day 0: Ann deletes her account.
//!   > erase ann reason=account_closed
//!   = ann: in_progress, deadline 2026-04-01
//!   = crm: asked to erase, by email
//! ```
//!
//! A line that begins with a time and a colon is a step; `>` is what happens, in the words of the contract's messages, and
//! `=` what has to be seen then. A line that begins with `#` is a comment, and so is what follows a `#` that stands alone.
//!
//! Systems are called as their transports say, and answer over loopback: `> answers crm 429 retry_after=60` says what a webhook or a vendor
//! answers from now on, `> answers crm as NAME OF EXAMPLE` that a vendor answers what that example in the file of its connector
//! says, and `= crm called: find, erase` which steps of the connector were called. An agent answers by itself; `= database: users 2,
//! messages none` counts the rows of its tables. `> event SOURCE ann as=NAME HEADER=VALUE {…}` is what an upstream says in its own
//! words; `{id}`, `{now}`, `{email}` and so on are filled in.
//!
//! Where there is little to tell, a step is one line, with claims separated by semicolons. A file may hold several
//! scenarios, each of which begins with `==` and its name; what stands before the first belongs to all of them. A
//! scenario without a configuration of its own says with `processor`, `zone`, `keep_ids` and `verification` what it needs:
//!
//! ```text
//! starts  2026-11-21T12:00:00Z
//! anybody email=person-{n}@example.org
//!
//! == a horizon runs from the confirmation
//! processor hosting
//! processor nightly of=hosting keep=10d
//! d0: > erase 1 = sent hosting; nightly: blocked dependency
//! d1: > ack hosting erased = nightly: parked backup_rotation until d11+5m
//! ```

use std::{collections::BTreeMap, time::Duration};

use super::{
    Stuck,
    words::{self, Attributes},
};
use crate::domain::{calendar::Period, time::At};

/// A scenario: what is done, and what has to be seen.
#[derive(Debug, Clone, Default)]
pub struct Script {
    /// Its name, where a file holds several.
    pub name: String,
    /// What it is about.
    pub title: String,
    /// A policy's promise, in our words.
    pub promise: String,
    /// When it begins.
    pub starts: At,
    /// Where days are the controller's.
    pub zone: Option<String>,
    /// For how long identifiers are kept after the end.
    pub keep_ids: Option<Duration>,
    /// Whether nothing is sent before the subject's identity is verified.
    pub verification: bool,
    /// Who occurs in it.
    pub people: Vec<Person>,
    /// The registry, where it has no file: ids with their rules.
    pub processors: Vec<(String, Attributes)>,
    /// What happens.
    pub steps: Vec<Step>,
}

/// Somebody, many of a kind, or anybody.
#[derive(Debug, Clone)]
pub struct Person {
    /// What the script calls them; empty: anybody who has no line.
    pub name: String,
    /// How many there are, where they are many.
    pub count: Option<u32>,
    /// Their identifiers, by type. In those of many, `{n}` stands for the number.
    pub identities: Attributes,
}

/// Something that happens at one time, and what has to be seen then.
#[derive(Debug, Clone)]
pub struct Step {
    /// When.
    pub at: At,
    /// For people.
    pub headline: String,
    /// What happens, one after the other.
    pub events: Vec<Line>,
    /// What has to be seen.
    pub claims: Vec<Line>,
}

/// A line of the file, or a part of one.
#[derive(Debug, Clone)]
pub struct Line {
    /// Its number.
    pub number: usize,
    /// Its text, without what marks it.
    pub text: String,
}

impl Line {
    /// What is wrong with it.
    pub(super) fn wrong(&self, what: impl Into<String>) -> Stuck {
        Stuck::Script {
            line: self.number,
            what: what.into(),
        }
    }
}

impl Script {
    /// Reads a file that holds one.
    pub fn read(text: &str) -> Result<Self, Stuck> {
        let mut all = Self::read_all(text)?;
        match (all.pop(), all.pop()) {
            (Some(one), None) => Ok(one),
            _ => Err(Stuck::Script {
                line: 1,
                what: "expected one scenario".to_owned(),
            }),
        }
    }

    /// Reads a file that may hold several.
    pub fn read_all(text: &str) -> Result<Vec<Self>, Stuck> {
        let (mut common, mut all) = (Self::default(), Vec::new());
        for (number, raw) in (1..).zip(text.lines()) {
            let text = raw.split(" # ").next().unwrap_or_default().trim();
            let line = Line {
                number,
                text: text.to_owned(),
            };
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            if let Some(name) = text.strip_prefix("==") {
                let name = name.trim().to_owned();
                all.push(Self {
                    name,
                    ..common.clone()
                });
                continue;
            }
            let script = all.last_mut().unwrap_or(&mut common);
            if raw.starts_with(' ') {
                script.take_into_step(line)?;
            } else {
                script.take(&line)?;
            }
        }
        if all.is_empty() {
            all.push(common);
        }
        Ok(all)
    }

    fn take(&mut self, line: &Line) -> Result<(), Stuck> {
        let (first, rest) = line.text.split_once(' ').unwrap_or((&line.text, ""));
        let rest = rest.trim();
        let wrong = |what: &'static str| line.wrong(what);
        match first {
            "title" => rest.clone_into(&mut self.title),
            "promise" => append(&mut self.promise, rest),
            "starts" => self.starts = words::time(rest, self.starts).map_err(|what| line.wrong(what))?,
            "zone" => self.zone = Some(rest.to_owned()),
            "keep_ids" => {
                let period = Period::parse(rest).ok().and_then(|period| period.exact());
                self.keep_ids = Some(period.ok_or_else(|| wrong("expected a period, such as 20d"))?);
            }
            "verification" => self.verification = true,
            "person" | "people" | "anybody" => self.people.push(person(first, rest).map_err(wrong)?),
            "processor" => {
                let mut words = rest.split_whitespace();
                let id = words.next().ok_or_else(|| wrong("expected an id"))?;
                self.processors.push((id.to_owned(), words::attributes(words)));
            }
            _ => self.begin_step(line)?,
        }
        Ok(())
    }

    fn begin_step(&mut self, line: &Line) -> Result<(), Stuck> {
        let (time, rest) = line
            .text
            .split_once(": ")
            .ok_or_else(|| line.wrong("expected a step: a time, a colon and what happens"))?;
        let at = words::time(time, self.starts).map_err(|what| line.wrong(what))?;
        if self.steps.last().is_some_and(|last| last.at > at) {
            return Err(line.wrong("this step is earlier than the one before it"));
        }
        let mut step = Step {
            at,
            headline: String::new(),
            events: Vec::new(),
            claims: Vec::new(),
        };
        step.take_all(line.number, rest);
        self.steps.push(step);
        Ok(())
    }

    fn take_into_step(&mut self, line: Line) -> Result<(), Stuck> {
        let Some(step) = self.steps.last_mut() else {
            return Err(line.wrong("expected a step before it"));
        };
        if let Some(text) = line.text.strip_prefix("> ") {
            step.events.push(line.part(text));
        } else if let Some(text) = line.text.strip_prefix("= ") {
            step.claims.push(line.part(text));
        } else if step.events.is_empty() && step.claims.is_empty() {
            append(&mut step.headline, &line.text);
        } else {
            return Err(line.wrong("expected > (what happens) or = (what has to be seen)"));
        }
        Ok(())
    }

    /// Somebody of this name.
    pub fn person(&self, name: &str) -> Option<&Person> {
        let named = |name: &str| self.people.iter().find(|person| person.name == name);
        named(name).or_else(|| named(""))
    }
}

impl Line {
    fn part(&self, text: &str) -> Self {
        Self {
            number: self.number,
            text: text.trim().to_owned(),
        }
    }
}

impl Step {
    /// Takes a step that stands on one line.
    fn take_all(&mut self, number: usize, text: &str) {
        let mut mark = "";
        let mut part = Vec::new();
        for word in text.split_whitespace().chain([""]) {
            if !["", ">", "="].contains(&word) {
                part.push(word);
                continue;
            }
            let said = part.join(" ");
            let line = |text: &str| Line {
                number,
                text: text.trim().to_owned(),
            };
            match mark {
                ">" => self.events.push(line(&said)),
                "=" => self.claims.extend(said.split(';').map(line)),
                _ => self.headline = said,
            }
            (mark, part) = (word, Vec::new());
        }
    }
}

impl Person {
    /// Their names: one, or those of all of them.
    pub fn names(&self, called: &str) -> Vec<String> {
        match self.count {
            None => vec![called.to_owned()],
            Some(count) => (1..=count).map(|n| format!("{}-{n}", self.name)).collect(),
        }
    }

    /// The identifiers of the one of this name.
    pub fn identities_of(&self, name: &str) -> BTreeMap<String, String> {
        let number = name.rsplit('-').next().unwrap_or_default();
        self.identities
            .iter()
            .map(|(kind, value)| (kind.clone(), value.replace("{n}", number)))
            .collect()
    }
}

fn person(word: &str, text: &str) -> Result<Person, &'static str> {
    let mut words = text.split_whitespace();
    let mut name = String::new();
    if word != "anybody" {
        words.next().ok_or("expected a name")?.clone_into(&mut name);
    }
    let count = match word {
        "people" => {
            let count = words.next().and_then(|count| count.parse().ok());
            Some(count.ok_or("expected how many they are")?)
        }
        _ => None,
    };
    let identities = words::attributes(words);
    if identities.is_empty() {
        return Err("expected identifiers, such as email=ann@example.org");
    }
    Ok(Person {
        name,
        count,
        identities,
    })
}

fn append(text: &mut String, more: &str) {
    if !text.is_empty() {
        text.push(' ');
    }
    text.push_str(more);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_read() {
        let script = Script::read(
            "# a comment\ntitle    a messenger\npromise  All goes\npromise  in time.\nstarts   2026-03-02T09:00:00Z\n\
             person   ann  email=ann@example.org\npeople   crowd 3  user_id=c-{n}\n\n\
             day 0: Ann deletes\n  her account.\n  > erase ann\n  = ann: in_progress\n\nday 1 + 2h: Nothing.\n",
        )
        .unwrap();
        assert_eq!(
            (script.title.as_str(), script.promise.as_str()),
            ("a messenger", "All goes in time.")
        );
        let crowd = script.person("crowd").unwrap();
        assert_eq!(crowd.names("crowd"), ["crowd-1", "crowd-2", "crowd-3"]);
        assert_eq!(crowd.identities_of("crowd-2")["user_id"], "c-2");
        let [first, second] = script.steps.as_slice() else {
            panic!("{script:?}")
        };
        assert_eq!(first.headline, "Ann deletes her account.");
        assert_eq!(
            (first.events[0].text.as_str(), first.claims[0].number),
            ("erase ann", 12)
        );
        assert_eq!(second.at.to_string(), "2026-03-03T11:00:00Z");
    }

    #[test]
    fn several_scripts_share_what_stands_before_them() {
        let all = Script::read_all(
            "starts 2026-03-02T09:00:00Z\nanybody email=person-{n}@example.org\n\n== one\nprocessor crm after=mail\n\
             d0: > erase 1 = sent crm; 1: in_progress  # at once\nd1: = nobody is asked\n== two\nd2: Nothing.\n",
        )
        .unwrap();
        let [one, two] = all.as_slice() else {
            panic!("{all:?}")
        };
        assert_eq!((one.name.as_str(), two.name.as_str()), ("one", "two"));
        assert_eq!(one.starts, two.starts);
        assert_eq!(one.processors[0].1["after"], "mail");
        let texts = |lines: &[Line]| lines.iter().map(|line| line.text.clone()).collect::<Vec<_>>();
        assert_eq!(texts(&one.steps[0].events), ["erase 1"]);
        assert_eq!(texts(&one.steps[0].claims), ["sent crm", "1: in_progress"]);
        assert_eq!(texts(&one.steps[1].claims), ["nobody is asked"]);
        assert_eq!(
            two.person("7").unwrap().identities_of("7")["email"],
            "person-7@example.org"
        );
        assert_eq!(two.steps[0].headline, "Nothing.");
    }

    #[test]
    fn a_mistake_is_named_with_its_line() {
        for (text, line) in [
            ("title x\n  = ann: done\n", 2),
            ("nothing like it\n", 1),
            ("person ann\n", 1),
            ("day 2: x\nday 1: y\n", 2),
            ("day 1: x\n  > erase ann\n  what\n", 3),
        ] {
            let Err(Stuck::Script { line: found, .. }) = Script::read(text) else {
                panic!("{text}")
            };
            assert_eq!(found, line, "{text}");
        }
    }
}
