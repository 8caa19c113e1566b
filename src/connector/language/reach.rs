//! What follows from a connector as a whole: what it can do, and what its calls have in them.

use serde_json::Value;

use super::{Batch, Certainty, Connector, Does, Fact, Step};
use crate::{
    connector::template::{Hole, Template},
    domain::ids::IdentityType,
};

impl Connector {
    /// The steps that do this, with their places.
    pub fn steps_that(&self, does: Does) -> impl Iterator<Item = (usize, &Step)> {
        self.steps
            .iter()
            .enumerate()
            .filter(move |(_, step)| step.does == does)
    }

    /// Whether it can be asked whether a person is still there.
    pub fn can_probe(&self) -> bool {
        self.steps_that(Does::Probe).next().is_some()
    }

    /// Whether something has to survive between its calls.
    pub fn keeps(&self) -> bool {
        self.steps.iter().any(|step| !step.keep.is_empty()) || self.can_poll()
    }

    /// Whether it can be asked how a job stands.
    pub fn can_poll(&self) -> bool {
        self.steps_that(Does::Poll).next().is_some()
    }

    /// The most people of one of its calls; `None`: one.
    pub fn batch(&self) -> Option<Batch> {
        let batches = self.steps.iter().filter_map(|step| step.batch);
        batches.max_by_key(|batch| batch.count)
    }

    /// Whether a placeholder stands for a secret.
    pub fn is_secret(&self, hole: &Hole) -> bool {
        match hole {
            Hole::Setting(name) => self.settings.get(name).is_some_and(|setting| setting.secret),
            _ => false,
        }
    }

    /// What is known from memory only.
    pub fn unverified(&self) -> impl Iterator<Item = &Fact> {
        self.facts.iter().filter(|fact| fact.certainty == Certainty::M)
    }

    /// Whether somebody is erased by this identifier, and no probe asks by it nor by what a look-up has found by it: that
    /// the probes find nobody proves nothing of it then.
    pub fn is_left_out_by_probes(&self, kind: &IdentityType) -> bool {
        let takes = |step: &Step, name: &str| step.takes.iter().any(|taken| taken == name);
        let leads_to = |name: &str, does: &[Does]| {
            let mut known = vec![name];
            // What one look-up has found another one may take.
            for _ in 0..self.steps.len() {
                let lookups = self.steps_that(Does::Lookup);
                let taken = lookups.filter(|(_, lookup)| known.iter().any(|name| takes(lookup, name)));
                let kept: Vec<&str> = taken
                    .flat_map(|(_, lookup)| lookup.keep.keys().map(String::as_str))
                    .collect();
                known.extend(kept);
                known.sort_unstable();
                known.dedup();
            }
            self.steps
                .iter()
                .any(|step| does.contains(&step.does) && known.iter().any(|name| takes(step, name)))
        };
        let name = kind.as_str();
        leads_to(name, &[Does::Delete, Does::Submit]) && !leads_to(name, &[Does::Probe])
    }

    /// The identifiers that its probes leave out; none where it has no probes.
    pub fn left_out_by_probes(&self) -> Vec<&IdentityType> {
        let kinds = self.identities.keys();
        kinds
            .filter(|kind| self.can_probe() && self.is_left_out_by_probes(kind))
            .collect()
    }
}

impl Step {
    /// The names of what its templates take out of what was kept.
    pub fn kept_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        self.each_hole(&mut |hole| {
            if let Hole::Kept(name) = hole
                && !names.contains(name)
            {
                names.push(name.clone());
            }
        });
        names
    }

    /// Whether it has this placeholder in it.
    pub fn uses(&self, wanted: &Hole) -> bool {
        let mut found = false;
        self.each_hole(&mut |hole| found |= hole == wanted);
        found
    }

    fn each_hole(&self, see: &mut impl FnMut(&Hole)) {
        let tables = [Some(&self.query), Some(&self.headers), self.form.as_ref()];
        let within = tables.into_iter().flatten();
        let names = within.clone().flat_map(|table| table.keys());
        let templates = within.flat_map(|table| table.values());
        for template in [&self.path].into_iter().chain(&self.base).chain(templates) {
            template.holes().for_each(&mut *see);
        }
        for name in names {
            holes_of_text(name, see);
        }
        if let Some(json) = &self.json {
            holes_of_json(json, see);
        }
    }
}

/// What is no template was reported when the connector was read.
fn holes_of_text(text: &str, see: &mut impl FnMut(&Hole)) {
    if let Ok(template) = Template::try_from(text.to_owned()) {
        template.holes().for_each(see);
    }
}

fn holes_of_json(value: &Value, see: &mut impl FnMut(&Hole)) {
    match value {
        Value::String(text) => holes_of_text(text, see),
        Value::Array(list) => list.iter().for_each(|value| holes_of_json(value, see)),
        Value::Object(map) => {
            for (key, value) in map {
                holes_of_text(key, see);
                holes_of_json(value, see);
            }
        }
        _ => {}
    }
}
