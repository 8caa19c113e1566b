//! Mistakes of what answers mean.

use super::Checking;
use crate::connector::{
    language::{Answers, Does, Step},
    rules::{Means, Rule, Want},
};

impl Checking<'_> {
    pub(super) fn rules(&mut self, step: &Step) {
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
        for (pointer, want) in &rule.when {
            if want.is_mistaken() {
                self.flaw(
                    "when",
                    format!(
                        "{:?}: expected a value, a list of values, or {{ exists = true }}, {{ empty = true }} or {{ contains = \
                         \"text\" }}",
                        pointer.to_string()
                    ),
                );
            }
        }
        // What a rule with `each` says of a person is asked only where a rule without it has taken the whole answer.
        if !rule.each && !matches!(rule.means, Means::Merged) {
            self.status(rule);
            self.proof(step, rule);
        }
        if rule.means == Means::Do {
            let mut runs = self.connector.steps_that(Does::Run);
            let is_there = runs.any(|(_, run)| Some(&run.id) == rule.step.as_ref());
            if !is_there {
                self.flaw("step", "expected the id of a step with does = \"run\"");
            }
        }
    }

    /// Whether a rule takes an answer for something about the person that says nothing of anybody.
    fn status(&mut self, rule: &Rule) {
        if rule.means.is_trouble() && rule.means != Means::Failed {
            return;
        }
        let means = rule.means.as_str();
        match rule.status.not_about_anybody() {
            None => self.flaw(
                "status",
                format!("missing: {means} would hold for 401, 429 and 503 too, which say nothing of the person"),
            ),
            Some(statuses) if !statuses.is_empty() => self.flaw(
                "status",
                format!(
                    "{} says nothing of the person: expected unauthorised, rate_limited or retry, not {means}",
                    statuses[0]
                ),
            ),
            Some(_) => {
                let is_success = !rule.means.is_refusal()
                    && !matches!(rule.means, Means::NotFound | Means::Gone | Means::Absent | Means::Retained);
                if rule.when.is_empty() && rule.status.has_forbidden() {
                    self.flaw(
                        "status",
                        format!("403 alone says that we are not let in: expected when beside {means}"),
                    );
                } else if rule.when.is_empty() && is_success && rule.status.has_failure() {
                    self.flaw(
                        "status",
                        format!("a refusal is not {means}: expected when, which tells it from other refusals"),
                    );
                }
            }
        }
    }

    /// Whether a success could be taken for a proof by what is not in it.
    fn proof(&mut self, step: &Step, rule: &Rule) {
        if !rule.status.has_success_with_body() {
            return;
        }
        let says_gone = matches!(rule.means, Means::NotFound | Means::Gone | Means::Absent);
        let shows = rule.when.values().any(Want::needs_something);
        // In a list that is there, nobody is somebody who is not in it.
        let is_selected = step.select.is_some() && !rule.when.is_empty();
        if says_gone && !shows && !is_selected {
            self.flaw(
                "means",
                "a success says that nobody is there only by what stands in it: expected when, such as { \"/people\" = { empty = \
                 true } }; an error in it, or a page, would pass for it otherwise",
            );
        }
        if rule.means == Means::Erased && !rule.when.is_empty() && !shows && !is_selected {
            self.flaw(
                "when",
                "that something is missing in an answer is no proof of an erasure",
            );
        }
        if step.answers == Answers::Text && !rule.means.is_refusal() && !rule.means.is_trouble() && !shows {
            self.flaw(
                "when",
                "missing: any text would pass for it, a page of a proxy too",
            );
        }
    }
}
