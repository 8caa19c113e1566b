//! Mistakes of a step.

use super::{Allowed, Checking};
use crate::connector::language::{Does, Step};

impl<'a> Checking<'a> {
    pub(super) fn step(&mut self, place: usize, step: &'a Step) {
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
        let no_secrets = Allowed {
            secrets: false,
            ..own
        };
        self.path(&step.path, no_secrets);
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
        self.headers(&step.headers, own);
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
        self.lists(step);
        self.rules(step);
    }

    /// The lists in which people are looked for.
    fn lists(&mut self, step: &Step) {
        const ONE: &str =
            "in: expected the place of one list, without *: of several, an empty one would be overlooked";
        if step.select.as_ref().is_some_and(|select| select.list.has_star()) {
            self.flaw("select", ONE);
        }
        if step.each.as_ref().is_some_and(|each| each.list.has_star()) {
            self.flaw("each", ONE);
        }
        if step.select.is_some() && step.batch.is_some() {
            self.flaw(
                "select",
                "a call for many has no one whose elements could be selected: expected each",
            );
        }
        if step.select.is_some() && step.takes.is_empty() {
            self.flaw(
                "select",
                "the step takes nothing by which elements could be selected",
            );
        }
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
}
