//! Reads scenarios.
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
//! A line that begins with a time and a colon is a step; under it, `>` is what happens, in the words of the contract's
//! messages, and `=` what has to be seen then. A line that begins with `#` is a comment.

use std::collections::BTreeMap;

use super::{
    Stuck,
    words::{self, Attributes},
};
use crate::domain::time::At;

/// A policy's promise, and what is done and has to be seen.
#[derive(Debug, Clone)]
pub struct Script {
    /// What it is about.
    pub title: String,
    /// The promise, in our words.
    pub promise: String,
    /// When it begins.
    pub starts: At,
    /// Who occurs in it.
    pub people: Vec<Person>,
    /// What happens.
    pub steps: Vec<Step>,
}

/// Somebody, or many of a kind.
#[derive(Debug, Clone)]
pub struct Person {
    /// What the script calls them.
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

/// A line of the file.
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
    /// Reads a file.
    pub fn read(text: &str) -> Result<Self, Stuck> {
        let mut script = Self {
            title: String::new(),
            promise: String::new(),
            starts: At::default(),
            people: Vec::new(),
            steps: Vec::new(),
        };
        for (number, raw) in (1..).zip(text.lines()) {
            let line = Line {
                number,
                text: raw.trim().to_owned(),
            };
            if !line.text.is_empty() && !line.text.starts_with('#') {
                script.take(line, raw.starts_with(' '))?;
            }
        }
        Ok(script)
    }

    fn take(&mut self, line: Line, indented: bool) -> Result<(), Stuck> {
        if indented {
            return self.take_into_step(line);
        }
        let (first, rest) = line.text.split_once(' ').unwrap_or((&line.text, ""));
        let rest = rest.trim();
        match first {
            "title" => rest.clone_into(&mut self.title),
            "promise" => append(&mut self.promise, rest),
            "starts" => self.starts = words::time(rest, self.starts).map_err(|what| line.wrong(what))?,
            "person" | "people" => self
                .people
                .push(person(first, rest).map_err(|what| line.wrong(what))?),
            _ => {
                let (time, headline) = line
                    .text
                    .split_once(": ")
                    .ok_or_else(|| line.wrong("expected a step: a time, a colon and what happens"))?;
                let at = words::time(time, self.starts).map_err(|what| line.wrong(what))?;
                if self.steps.last().is_some_and(|last| last.at > at) {
                    return Err(line.wrong("this step is earlier than the one before it"));
                }
                self.steps.push(Step {
                    at,
                    headline: headline.trim().to_owned(),
                    events: Vec::new(),
                    claims: Vec::new(),
                });
            }
        }
        Ok(())
    }

    fn take_into_step(&mut self, mut line: Line) -> Result<(), Stuck> {
        let Some(step) = self.steps.last_mut() else {
            return Err(line.wrong("expected a step before it"));
        };
        let marked = |mark| {
            line.text
                .strip_prefix(mark)
                .map(|rest: &str| rest.trim().to_owned())
        };
        if let Some(text) = marked("> ") {
            line.text = text;
            step.events.push(line);
        } else if let Some(text) = marked("= ") {
            line.text = text;
            step.claims.push(line);
        } else if step.events.is_empty() && step.claims.is_empty() {
            append(&mut step.headline, &line.text);
        } else {
            return Err(line.wrong("expected > (what happens) or = (what has to be seen)"));
        }
        Ok(())
    }

    /// Somebody of this name.
    pub fn person(&self, name: &str) -> Option<&Person> {
        self.people.iter().find(|person| person.name == name)
    }
}

impl Person {
    /// Their names: one, or those of all of them.
    pub fn names(&self) -> Vec<String> {
        match self.count {
            None => vec![self.name.clone()],
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
    let name = words.next().ok_or("expected a name")?.to_owned();
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
        assert_eq!(
            script.person("crowd").unwrap().names(),
            ["crowd-1", "crowd-2", "crowd-3"]
        );
        assert_eq!(
            script.person("crowd").unwrap().identities_of("crowd-2")["user_id"],
            "c-2"
        );
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
