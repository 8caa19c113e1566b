//! Mistakes of templates: placeholders that do not exist, or that must not stand where they do.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Checking;
use crate::{
    connector::{
        language::{Does, Step},
        template::{Hole, Part, Template},
    },
    domain::similar_names::similar as near,
};

/// What the placeholders of a place may be.
#[derive(Clone, Copy)]
pub(super) struct Allowed<'a> {
    pub(super) step: Option<(usize, &'a Step)>,
    pub(super) secrets: bool,
}

impl<'a> Checking<'a> {
    pub(super) fn json(&mut self, value: &Value, allowed: Allowed<'a>) {
        match value {
            Value::String(text) => self.json_text("json", text, allowed),
            Value::Array(list) => list.iter().for_each(|value| self.json(value, allowed)),
            Value::Object(map) => {
                for (key, value) in map {
                    self.json_text("json", key, allowed);
                    self.json(value, allowed);
                }
            }
            _ => {}
        }
    }

    pub(super) fn json_text(&mut self, key: &str, text: &str, allowed: Allowed<'a>) {
        match Template::try_from(text.to_owned()) {
            Ok(template) => self.template(key, &template, allowed),
            Err(why) => self.flaw(key, why),
        }
    }

    pub(super) fn template(&mut self, key: &str, template: &Template, allowed: Allowed<'a>) {
        for hole in template.holes() {
            if let Some(why) = self.wrong(hole, allowed) {
                self.flaw(key, why);
            }
        }
    }

    pub(super) fn headers(&mut self, headers: &BTreeMap<String, Template>, allowed: Allowed<'a>) {
        self.header_names("headers", headers.keys());
        for template in headers.values() {
            self.template("headers", template, allowed);
        }
    }

    pub(super) fn header_names<'n>(&mut self, key: &str, names: impl Iterator<Item = &'n String>) {
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        for name in names {
            if name.is_empty() || !name.bytes().all(is_token) {
                self.flaw(key, format!("{name:?} is no name of a header"));
            }
        }
    }

    /// A path is sent as it stands, but for its placeholders.
    pub(super) fn path(&mut self, path: &Template, allowed: Allowed<'a>) {
        let texts = path.0.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text),
            Part::Hole(..) => None,
        });
        let begins = match path.0.first() {
            None => true,
            Some(Part::Text(text)) => text.starts_with('/'),
            Some(Part::Hole(..)) => false,
        };
        let is_sendable = |b: u8| (b'!'..=b'~').contains(&b) && !b"\"<>\\^`{|}#".contains(&b);
        if !begins {
            self.flaw("path", "expected one that begins with /");
        } else if !texts.flat_map(|text| text.bytes()).all(is_sendable) {
            self.flaw("path", "it has a character that no path has: write it with %");
        }
        self.template("path", path, allowed);
    }

    fn wrong(&self, hole: &Hole, allowed: Allowed<'a>) -> Option<String> {
        if let Hole::Setting(name) = hole {
            return self.wrong_setting(name, allowed);
        }
        let Some((place, step)) = allowed.step else {
            return Some("expected no placeholders but {settings.NAME} here".to_owned());
        };
        match hole {
            Hole::Kept(name) if !self.is_kept(name, place, step) => {
                Some(format!("{{kept.{name}}}: no earlier step keeps {name:?}"))
            }
            Hole::Id if step.takes.is_empty() => Some("{id}: the step takes nothing".to_owned()),
            Hole::Id if step.batch.is_some() => Some("{id}: expected {ids} in a batch".to_owned()),
            Hole::Kind if step.takes.is_empty() => Some("{kind}: the step takes nothing".to_owned()),
            Hole::Ids if step.batch.is_none() => Some("{ids}: the step has no batch".to_owned()),
            Hole::Key if step.batch.is_some() => {
                Some("{key}: a batch has people of several tasks, and no key of its own".to_owned())
            }
            _ => None,
        }
    }

    fn wrong_setting(&self, name: &str, allowed: Allowed<'_>) -> Option<String> {
        let Some(setting) = self.connector.settings.get(name) else {
            let known = self.connector.settings.keys().map(String::as_str);
            let near = near(name, known);
            let meant = if near.is_empty() {
                String::new()
            } else {
                format!("; did you mean {{settings.{}}}?", near.join(", "))
            };
            return Some(format!("{{settings.{name}}}: there is no such setting{meant}"));
        };
        (setting.secret && !allowed.secrets).then(|| {
            format!(
                "{{settings.{name}}}: a secret must not be part of an address, which is logged on its way"
            )
        })
    }

    /// Whether something is kept when a step runs: polls, probes and what they have done come after everything else.
    pub(super) fn is_kept(&self, name: &str, place: usize, step: &Step) -> bool {
        let comes_later = matches!(step.does, Does::Poll | Does::Probe | Does::Run);
        let before = self.connector.steps.iter().enumerate();
        before
            .filter(|(other, _)| comes_later || *other < place)
            .any(|(_, other)| other.keep.contains_key(name))
    }
}
