//! What an answer to a step means for a person.

use serde_json::Value;

use super::{
    language::{Does, Step},
    pointer::Pointer,
    rules::{Answer, Judged, Means, Rule, Want},
};

impl Step {
    /// What an answer to it means. `about`: the id that it was called with.
    pub fn judge(&self, answer: Answer<'_>, about: &str) -> Judged {
        let Some(select) = &self.select else {
            return self.judge_value(answer, false);
        };
        if !(200..=299).contains(&answer.status) {
            return self.judge_value(answer, false);
        }
        let elements = select
            .list
            .find(answer.body)
            .into_iter()
            .flat_map(|list| match list {
                Value::Array(elements) => elements.iter().collect(),
                other => vec![other],
            });
        let is_about = |element: &&Value| select.has.texts(element).iter().any(|id| id == about);
        let of_person: Vec<&Value> = elements.filter(is_about).collect();
        let judge = |body| self.judge_value(Answer { body, ..answer }, false);
        let mut judged = of_person.into_iter().map(judge);
        let Some(first) = judged.next() else {
            return judge(&Value::Null);
        };
        // Where one of them goes on, it is not over.
        judged.fold(first, |mut sofar, one| match (sofar.means, one.means) {
            (Means::Erased, _) => one,
            (means, other) => {
                if means == other {
                    sofar.kept.extend(one.kept);
                }
                sofar
            }
        })
    }

    /// What the element of a person in the answer to a batch means.
    pub fn judge_each(&self, status: u16, element: &Value) -> Judged {
        let answer = Answer {
            status,
            body: element,
            canonical: None,
        };
        self.judge_value(answer, true)
    }

    fn judge_value(&self, answer: Answer<'_>, each: bool) -> Judged {
        let fits = |rule: &&Rule| {
            let holds = |(pointer, want): (&Pointer, &Want)| want.holds(&pointer.find(answer.body));
            rule.each == each && rule.status.has(answer.status) && rule.when.iter().all(holds)
        };
        let says = format!("{}: answered {}", self.id, answer.status);
        let Some(rule) = self.rules.iter().find(fits) else {
            let means = match unknown(answer.status) {
                // That it cannot be asked says nothing of the job.
                Means::Failed if self.does == Does::Poll => Means::Retry,
                means => means,
            };
            return Judged::plain(means, format!("{says}, for which the connector has no rule"));
        };
        let keep = |(name, pointer): (&String, &Pointer)| (name.clone(), pointer.texts(answer.body));
        Judged {
            says: rule
                .says
                .as_ref()
                .map_or_else(|| says.clone(), |told| format!("{says}: {told}")),
            basis: rule.basis.clone(),
            step: rule.step.clone(),
            kept: self.keep.iter().map(keep).collect(),
            reference: self.reference.as_ref().and_then(|at| at.texts(answer.body).pop()),
            canonical: answer.canonical.map(str::to_owned),
            ..Judged::plain(rule.means, "")
        }
    }
}

/// What holds for every vendor, where its connector says nothing else.
const fn unknown(status: u16) -> Means {
    match status {
        401 | 403 => Means::Unauthorised,
        429 => Means::RateLimited,
        408 | 500..=599 => Means::Retry,
        _ => Means::Failed,
    }
}
