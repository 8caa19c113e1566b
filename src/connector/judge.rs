//! What an answer to a step means for a person.

use serde_json::Value;

use super::{
    language::{Answers, Does, Select, Step},
    pointer::Pointer,
    rules::{Answer, Judged, Means, Rule, Want},
};

impl Step {
    /// What an answer to it means. `about`: the id that it was called with.
    pub fn judge(&self, answer: Answer<'_>, about: &str) -> Judged {
        let is_success = (200..=299).contains(&answer.status);
        let whole;
        let answer = match (answer.text, self.answers) {
            (Some(text), Answers::Text) => {
                whole = Value::from(text);
                Answer {
                    body: &whole,
                    ..answer
                }
            }
            (Some(_), Answers::Json) if is_success => return self.unreadable(answer.status, UNREADABLE),
            // Proxies have words of their own for 404 and 400: they know nobody.
            (Some(_), Answers::Json) => {
                let judged = self.judge_value(answer, false);
                return if judged.means.is_trouble() {
                    judged
                } else {
                    self.unreadable(answer.status, UNREADABLE)
                };
            }
            _ => answer,
        };
        match &self.select {
            Some(select) if is_success => self.judge_selected(select, answer, about),
            _ => self.judge_value(answer, false),
        }
    }

    /// What the elements of a list that are about the person mean.
    fn judge_selected(&self, select: &Select, answer: Answer<'_>, about: &str) -> Judged {
        let Some(elements) = only_list(&select.list, answer.body) else {
            return self.unreadable(answer.status, NO_LIST);
        };
        if select
            .more
            .as_ref()
            .is_some_and(|more| goes_on(more, answer.body))
        {
            return self.unreadable(answer.status, GOES_ON);
        }
        let is_id = |id: &String| {
            if select.ignore_case {
                id.to_lowercase() == about.to_lowercase()
            } else {
                id == about
            }
        };
        let of_person = elements
            .iter()
            .filter(|element| select.has.texts(element).iter().any(is_id));
        let judged = of_person.map(|body| self.judge_value(Answer { body, ..answer }, false));
        heaviest(judged).unwrap_or_else(|| {
            let nobody = Answer {
                body: &Value::Null,
                ..answer
            };
            self.judge_value(nobody, false)
        })
    }

    /// What the elements of a person in the answer to a batch mean.
    pub(super) fn judge_each<'a>(
        &self,
        status: u16,
        elements: impl Iterator<Item = &'a Value>,
    ) -> Option<Judged> {
        let judged = elements.map(|body| {
            let answer = Answer {
                status,
                body,
                text: None,
                canonical: None,
            };
            self.judge_value(answer, true)
        });
        heaviest(judged)
    }

    /// An answer that cannot be read says nothing, neither of a person nor of a job.
    pub(super) fn unreadable(&self, status: u16, why: &str) -> Judged {
        let means = match self.does {
            Does::Poll => Means::Retry,
            _ => Means::Failed,
        };
        Judged::plain(means, format!("{}: answered {status} {why}", self.id))
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
            return Judged {
                is_refused: means.is_refusal() && (400..=499).contains(&answer.status),
                ..Judged::plain(means, format!("{says}, for which the connector has no rule"))
            };
        };
        let finds = self.does == Does::Lookup && rule.means == Means::Next;
        if finds && !self.keep.values().all(|at| at.leads_everywhere(answer.body)) {
            let why = format!("{says}, and the id is not where it should be");
            return Judged::plain(Means::Failed, why);
        }
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
            is_refused: rule.means.is_refusal(),
            ..Judged::plain(rule.means, "")
        }
    }
}

const UNREADABLE: &str = "with something that is no JSON: a page of a login or of a proxy?";
pub(super) const NO_LIST: &str = "without the list that tells who is there";
const GOES_ON: &str = "with a list that goes on, on another page";

/// The list that stands there; `None`: there is none, which is another thing than an empty one.
pub(super) fn only_list<'a>(at: &Pointer, within: &'a Value) -> Option<&'a [Value]> {
    match at.find(within).as_slice() {
        [Value::Array(elements)] => Some(elements),
        _ => None,
    }
}

/// Whether something stands there that leads to more: neither nothing, nor `false`, nor an empty text.
fn goes_on(more: &Pointer, within: &Value) -> bool {
    let leads = |value: &&Value| !matches!(value, Value::Bool(false)) && value.as_str() != Some("");
    more.find(within).iter().any(leads)
}

/// Of several elements that are about the same person, what is furthest from being over; what is kept is kept of all.
fn heaviest(mut judged: impl Iterator<Item = Judged>) -> Option<Judged> {
    let first = judged.next()?;
    Some(judged.fold(first, |sofar, one| {
        let (mut heavier, lighter) = if one.means.weight() > sofar.means.weight() {
            (one, sofar)
        } else {
            (sofar, one)
        };
        if heavier.means == lighter.means {
            heavier.kept.extend(lighter.kept);
        }
        heavier
    }))
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
