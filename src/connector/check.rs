//! What is wrong with a connector that can be read: each mistake with its place, before anything is ever called.
use serde_json::Value;

use super::language::{Auth, Connector, Does, Step};
use super::rules::{Means, Rule};
use super::template::{Hole, Template};
use crate::domain::{similar_names::similar as near, words::ProcessorKind};

/// A mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// The step, by its place.
    pub step: Option<usize>,
    /// Its rule, by its place.
    pub rule: Option<usize>,
    /// The key.
    pub key: String,
    /// What is wrong.
    pub why: String,
}

/// Finds every mistake.
pub fn check(connector: &Connector) -> Vec<Flaw> {
    let mut checking = Checking {
        connector,
        flaws: Vec::new(),
        step: None,
        rule: None,
    };
    checking.head();
    checking.auth();
    for (place, step) in connector.steps.iter().enumerate() {
        checking.step = Some(place);
        checking.step(place, step);
    }
    checking.flaws
}

struct Checking<'a> {
    connector: &'a Connector,
    flaws: Vec<Flaw>,
    step: Option<usize>,
    rule: Option<usize>,
}

/// What the placeholders of a place may be.
#[derive(Clone, Copy)]
struct Allowed<'a> {
    step: Option<(usize, &'a Step)>,
    secrets: bool,
}

impl<'a> Checking<'a> {
    fn flaw(&mut self, key: &str, why: impl Into<String>) {
        self.flaws.push(Flaw {
            step: self.step,
            rule: self.rule,
            key: key.to_owned(),
            why: why.into(),
        });
    }

    fn head(&mut self) {
        let connector = self.connector;
        let is_id = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if connector.id.is_empty() || !connector.id.bytes().all(is_id) {
            self.flaw("id", "expected small letters, digits and -");
        }
        if ProcessorKind::parse(&connector.kind).is_none() {
            let words: Vec<&str> = ProcessorKind::ALL.iter().map(|kind| kind.as_str()).collect();
            self.flaw("kind", format!("expected one of: {}", words.join(", ")));
        }
        if connector.shape.is_empty() || !connector.shape.chars().all(|c| ('A'..='H').contains(&c)) {
            self.flaw("shape", "expected letters from A to H");
        }
        if connector.documentation.is_empty() {
            self.flaw(
                "documentation",
                "expected the address of what it was written from",
            );
        }
        if connector.identities.is_empty() {
            self.flaw("identities", "expected at least one");
        }
        let no_step = Allowed {
            step: None,
            secrets: true,
        };
        self.template(
            "base",
            &connector.base,
            Allowed {
                secrets: false,
                ..no_step
            },
        );
        for template in connector.headers.values() {
            self.template("headers", template, no_step);
        }
        for (name, setting) in &connector.settings {
            let is_one = |value: &String| setting.one_of.is_empty() || setting.one_of.contains(value);
            if !setting.default.as_ref().is_none_or(is_one) {
                self.flaw("settings", format!("{name}: the default is none of one_of"));
            }
            if RESERVED.contains(&name.as_str()) {
                self.flaw("settings", format!("{name}: a transport has a key of this name"));
            }
        }
        for (kind, takes) in &connector.identities {
            if let Some(salt) = &takes.salt
                && !connector.settings.contains_key(salt)
            {
                self.flaw(
                    "identities",
                    format!("{}: there is no setting {salt:?}", kind.as_str()),
                );
            }
        }
        self.ends();
    }

    /// Whether every way ends in something that can be believed.
    fn ends(&mut self) {
        let connector = self.connector;
        let lasts = connector.steps.iter().filter(|step| step.last);
        if lasts.clone().count() == 0 {
            self.flaw("step", "no step is last, so that nothing could ever be settled");
        }
        let accepts = lasts
            .flat_map(|step| &step.rules)
            .any(|rule| rule.means == Means::Accepted);
        if accepts && !connector.can_poll() && connector.completes_by.is_none() {
            self.flaw(
                "completes_by",
                "a last step is only accepted, no step polls, and no term is given: nothing would ever be done",
            );
        }
        if connector.can_poll() && connector.poll.is_none() {
            self.flaw("poll", "missing: a step polls, and nothing says how often");
        }
        if connector.completes_by.as_ref().is_some_and(|term| term.probe) && !connector.can_probe() {
            self.flaw("completes_by", "probe: no step probes");
        }
    }

    fn auth(&mut self) {
        let templates: Vec<&Template> = match &self.connector.auth {
            Auth::None => Vec::new(),
            Auth::Basic { username, password } => vec![username, password],
            Auth::Bearer { token } => vec![token],
            Auth::Header { headers } => headers.values().collect(),
            Auth::ClientCredentials {
                token_url,
                client_id,
                client_secret,
                scope,
            } => [
                Some(token_url),
                Some(client_id),
                Some(client_secret),
                scope.as_ref(),
            ]
            .into_iter()
            .flatten()
            .collect(),
            Auth::RefreshToken {
                token_url,
                client_id,
                client_secret,
                refresh_token,
            } => vec![token_url, client_id, client_secret, refresh_token],
        };
        for template in templates {
            let allowed = Allowed {
                step: None,
                secrets: true,
            };
            self.template("auth", template, allowed);
        }
    }

    fn step(&mut self, place: usize, step: &'a Step) {
        let earlier = &self.connector.steps[..place];
        if earlier.iter().any(|other| other.id == step.id) {
            self.flaw("id", "another step has the same id");
        }
        for name in &step.takes {
            let is_identity = self.connector.identities.keys().any(|kind| kind.as_str() == name);
            if !is_identity && !self.is_kept(name, place, step) {
                self.flaw(
                    "takes",
                    format!("{name:?} is neither an identity of the connector nor kept by an earlier step"),
                );
            }
        }
        if step.does == Does::Lookup && step.keep.is_empty() {
            self.flaw("keep", "missing: a lookup is for what it keeps");
        }
        if step.last && !matches!(step.does, Does::Delete | Does::Submit) {
            self.flaw("last", "expected only of a step that deletes or submits");
        }
        let own = Allowed {
            step: Some((place, step)),
            secrets: true,
        };
        self.template(
            "path",
            &step.path,
            Allowed {
                secrets: false,
                ..own
            },
        );
        if let Some(base) = &step.base {
            let allowed = Allowed {
                step: None,
                secrets: false,
            };
            self.template("base", base, allowed);
        }
        for (name, template) in &step.query {
            self.template("query", template, own);
            // A parameter's name may be the vendor's word for the type.
            self.json_text("query", name, own);
        }
        for template in step.headers.values() {
            self.template("headers", template, own);
        }
        for template in step.form.iter().flat_map(|form| form.values()) {
            self.template("form", template, own);
        }
        if let Some(json) = &step.json {
            self.json(json, own);
        }
        if step.json.is_some() && step.form.is_some() {
            self.flaw("form", "expected json or form, not both");
        }
        self.batch(step);
        self.rules(step);
    }

    fn batch(&mut self, step: &Step) {
        if let Some(batch) = step.batch {
            if step.takes.is_empty() || batch.count == 0 {
                self.flaw(
                    "batch",
                    "expected a step that takes something, and a count of at least 1",
                );
            }
            if !step.keep.is_empty() && step.each.is_none() && step.does == Does::Lookup {
                self.flaw("batch", "a lookup of many needs each, to tell whose id is whose");
            }
        }
        if step
            .each
            .as_ref()
            .is_some_and(|each| !each.missing.settles_nothing())
        {
            self.flaw("each", "missing: expected failed, retry, rejected or not_found");
        }
        if step.each.is_some() && step.batch.is_none() {
            self.flaw("each", "expected batch beside it");
        }
    }

    fn rules(&mut self, step: &Step) {
        if step.rules.is_empty() {
            self.flaw("rule", "expected at least one: what no rule knows has failed");
        }
        for (place, rule) in step.rules.iter().enumerate() {
            self.rule = Some(place);
            self.rule(step, rule);
        }
        self.rule = None;
    }

    fn rule(&mut self, step: &Step, rule: &Rule) {
        let settles = step.last || step.does == Does::Poll;
        let wrong = match rule.means {
            Means::Erased if !settles => Some(
                "a step that is not last cannot say that somebody is erased: a soft delete is no erasure",
            ),
            Means::NotFound if !settles && step.does != Does::Lookup => {
                Some("expected gone: only a lookup, a last step or a poll says that somebody is unknown")
            }
            Means::Accepted if !step.last => Some("expected of a last step only"),
            Means::Next if step.last => {
                Some("a last step settles: expected erased, not_found, accepted, retained or a failure")
            }
            Means::Pending | Means::Do if step.does != Does::Poll => Some("expected of a poll only"),
            Means::Present | Means::Absent if step.does != Does::Probe => Some("expected of a probe only"),
            Means::Retained if rule.basis.is_none() => Some("expected a basis beside it"),
            Means::Each if step.each.is_none() => Some("expected each = { in = … } in its step"),
            _ if rule.each && step.each.is_none() => Some("each: expected each = { in = … } in its step"),
            _ => None,
        };
        if let Some(why) = wrong {
            self.flaw("means", why);
        }
        if rule.means == Means::Do {
            let mut runs = self.connector.steps_that(Does::Run);
            let is_there = runs.any(|(_, run)| Some(&run.id) == rule.step.as_ref());
            if !is_there {
                self.flaw("step", "expected the id of a step with does = \"run\"");
            }
        }
    }

    fn json(&mut self, value: &Value, allowed: Allowed<'a>) {
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

    fn json_text(&mut self, key: &str, text: &str, allowed: Allowed<'a>) {
        match Template::try_from(text.to_owned()) {
            Ok(template) => self.template(key, &template, allowed),
            Err(why) => self.flaw(key, why),
        }
    }

    fn template(&mut self, key: &str, template: &Template, allowed: Allowed<'a>) {
        for hole in template.holes() {
            if let Some(why) = self.wrong(hole, allowed) {
                self.flaw(key, why);
            }
        }
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
    fn is_kept(&self, name: &str, place: usize, step: &Step) -> bool {
        let comes_later = matches!(step.does, Does::Poll | Does::Probe | Does::Run);
        let before = self.connector.steps.iter().enumerate();
        before
            .filter(|(other, _)| comes_later || *other < place)
            .any(|(_, other)| other.keep.contains_key(name))
    }
}

/// The keys that every transport `vendor` has.
pub const RESERVED: &[&str] = &[
    "type",
    "connector",
    "url",
    "timeout",
    "poll",
    "headers",
    "ca",
    "client_cert",
    "client_key",
    "proxy",
];
