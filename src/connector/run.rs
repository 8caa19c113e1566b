//! The state machine of a person's task at a vendor: which call comes next, and what all answers come to.
//!
//! It makes no call and reads no clock. Whatever goes wrong at one identifier of a person ends the run, so that a person is
//! erased only where every last step has said so of every identifier.

mod ending;

use std::{
    borrow::Cow,
    collections::{BTreeSet, VecDeque},
};

use super::{
    kept::Kept,
    language::{Connector, Does, Step},
    person::{Person, Target},
    rules::{Judged, Means},
    tally::{Settled, Tally},
    template::Hole,
};
use crate::domain::{identity::SubjectData, time::At};

/// What a vendor is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// To erase.
    Erase,
    /// Whether the person is still there.
    Probe,
    /// How the job stands.
    Poll,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// This call.
    Call(Call),
    /// What is kept has to be stored before anything else is done.
    Keep,
    /// Nothing: this is what it came to.
    Done(Settled),
}

/// A call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The place of its step.
    pub step: usize,
    /// What it is called with.
    pub target: Target,
    /// Which of several jobs it is about: a name that earlier steps keep, and one of its values.
    pub about: Vec<(String, SubjectData)>,
}

/// How often an answer may send us on to another id.
const MOST_HOPS: u8 = 3;

/// A person's task at a vendor.
#[derive(Debug, Clone)]
pub struct Run {
    ask: Ask,
    person: Person,
    kept: Kept,
    is_dirty: bool,
    /// The step that runs, and what it has not been called with yet.
    at: Option<usize>,
    waiting: VecDeque<Call>,
    tally: Tally,
    /// What a step before the last one has just found.
    there: Vec<SubjectData>,
    lookups: u32,
    unknown: u32,
    hops: u8,
    trouble: Option<Settled>,
    reference: Option<String>,
    /// The names of what was kept before it began.
    known: BTreeSet<String>,
}

impl Run {
    /// Begins. `kept`: what earlier attempts and generations have left, already of this generation.
    pub fn new(ask: Ask, person: Person, kept: Kept) -> Self {
        let names = kept.ids.keys().chain(kept.job.keys());
        Self {
            ask,
            person,
            known: names.filter(|name| !kept.get(name).is_empty()).cloned().collect(),
            kept,
            is_dirty: false,
            at: None,
            waiting: VecDeque::new(),
            tally: Tally::default(),
            there: Vec::new(),
            lookups: 0,
            unknown: 0,
            hops: 0,
            trouble: None,
            reference: None,
        }
    }

    /// What is kept.
    pub const fn kept(&self) -> &Kept {
        &self.kept
    }

    /// What is kept, as a call takes it.
    pub fn kept_for(&self, call: &Call) -> Cow<'_, Kept> {
        if call.about.is_empty() {
            Cow::Borrowed(&self.kept)
        } else {
            Cow::Owned(self.kept.with_only(&call.about))
        }
    }

    /// The key of a call, made of that of the task's generation: the same until the vendor has refused one, because vendors
    /// answer a key that they know as they did before.
    pub fn key(&self, of_generation: &str) -> String {
        match self.kept.refused {
            0 => of_generation.to_owned(),
            refused => format!("{of_generation}-{refused}"),
        }
    }

    /// What the vendor calls what it did.
    pub fn reference(&self) -> Option<&str> {
        self.reference.as_deref()
    }

    /// What comes next.
    pub fn next(&mut self, connector: &Connector) -> Next {
        if self.ask == Ask::Erase && self.at.is_none() && self.has_job(connector) {
            // An attempt before this one was taken on, and its answer was lost: the job is asked about, not begun again.
            return Next::Done(Settled::Accepted);
        }
        loop {
            if let Some(trouble) = &self.trouble {
                let settled = trouble.clone();
                return self.end(settled);
            }
            if let Some(call) = self.waiting.front().cloned() {
                let is_lookup = connector.steps[call.step].does == Does::Lookup;
                if self.is_dirty && !is_lookup {
                    self.is_dirty = false;
                    return Next::Keep;
                }
                self.waiting.pop_front();
                return Next::Call(call);
            }
            let Some(step) = self.step_after(connector, self.at) else {
                let settled = self.settled(connector);
                if settled == Settled::Accepted && self.kept.sent.is_none() && self.kept.begun.is_some() {
                    // Once every call of the attempt was made, so that nobody's part is taken for begun.
                    self.kept.sent = self.kept.begun;
                    self.kept.retained.clone_from(&self.tally.retained);
                    self.is_dirty = true;
                }
                return self.end(settled);
            };
            self.at = Some(step);
            self.call_all(connector, step);
        }
    }

    /// Has a step called with everything that it takes.
    fn call_all(&mut self, connector: &Connector, place: usize) {
        let step = &connector.steps[place];
        for target in self.person.targets(connector, step, &self.kept) {
            if step.does == Does::Submit && self.kept.has_job_of(step.keep.keys(), &target.value) {
                // An earlier attempt has submitted it, and another identifier failed.
                self.tally.accepted += 1;
                continue;
            }
            for about in self.jobs_of(step, &target) {
                self.waiting.push_back(Call {
                    step: place,
                    target: target.clone(),
                    about,
                });
            }
        }
    }

    /// Which jobs a poll has to ask about: a call for each.
    fn jobs_of(&self, step: &Step, target: &Target) -> Vec<Vec<(String, SubjectData)>> {
        let mut jobs = vec![Vec::new()];
        if step.does != Does::Poll {
            return jobs;
        }
        for name in step.kept_names() {
            let is_own = step.takes.contains(&name) && self.kept.get(&name).contains(&target.value);
            let values = if is_own {
                vec![target.value.clone()]
            } else {
                self.kept.of_target(&name, &target.value)
            };
            // What was not kept is missing where the call is written, which says so.
            if values.is_empty() {
                continue;
            }
            jobs = jobs
                .into_iter()
                .flat_map(|job| {
                    values.iter().map({
                        let name = name.clone();
                        move |value| {
                            let mut job = job.clone();
                            job.push((name.clone(), value.clone()));
                            job
                        }
                    })
                })
                .collect();
        }
        jobs
    }

    fn end(&mut self, settled: Settled) -> Next {
        if self.is_dirty {
            self.is_dirty = false;
            return Next::Keep;
        }
        Next::Done(settled)
    }

    fn has_job(&self, connector: &Connector) -> bool {
        connector.can_poll() && self.kept.sent.is_some()
    }

    fn step_after(&self, connector: &Connector, at: Option<usize>) -> Option<usize> {
        let first = at.map_or(0, |at| at + 1);
        let is_asked = |step: &Step| match (self.ask, step.does) {
            (Ask::Erase, Does::Lookup | Does::Suppress | Does::Delete | Does::Submit) => true,
            (Ask::Probe, Does::Probe) | (Ask::Poll, Does::Poll) => true,
            // Whoever probes by an id that is not known looks it up first.
            (Ask::Probe, Does::Lookup) => step.keep.keys().any(|name| {
                let mut probes = connector.steps_that(Does::Probe);
                !self.known.contains(name) && probes.any(|(_, probe)| probe.takes.contains(name))
            }),
            _ => false,
        };
        (first..connector.steps.len()).find(|place| is_asked(&connector.steps[*place]))
    }

    /// Takes what a call was answered.
    pub fn heard(&mut self, connector: &Connector, call: &Call, judged: Judged, now: At) {
        let step = &connector.steps[call.step];
        if matches!(
            judged.means,
            Means::Next | Means::Erased | Means::Accepted | Means::Present
        ) {
            self.keep(step, &call.target.value, judged.kept);
        }
        if let Some(reference) = judged.reference {
            self.reference = Some(reference);
        }
        if judged.is_refused && step.uses(&Hole::Key) {
            self.kept.refused = self.kept.refused.saturating_add(1);
            self.is_dirty = true;
        }
        if judged.means != Means::Merged {
            self.hops = 0;
        }
        let says = judged.says;
        match judged.means {
            Means::Next => self.passed(step, call),
            Means::Gone => {}
            Means::NotFound if step.does == Does::Lookup => {
                self.lookups += 1;
                self.unknown += 1;
            }
            Means::NotFound if self.there.contains(&call.target.value) => self.tally.vanished += 1,
            Means::NotFound => self.tally.not_found += 1,
            Means::Erased => self.tally.erased += 1,
            Means::Accepted => {
                self.tally.accepted += 1;
                self.submitted(connector, now);
            }
            Means::Pending => self.tally.pending += 1,
            Means::Present => self.tally.present = true,
            Means::Absent => self.tally.absent += 1,
            Means::Retained => self.tally.retained = Some(judged.basis.unwrap_or_default()),
            Means::Merged => self.follow(call, judged.canonical, says),
            Means::Do => self.go_to(connector, call, judged.step.as_deref(), says),
            Means::AccountNotFound => {
                let what = "the account, project or list that the settings name is not known there";
                self.stop(Settled::Unauthorised(format!("{says}: {what}")));
            }
            Means::Unauthorised => self.stop(Settled::Unauthorised(says)),
            Means::Retry => self.stop(Settled::Retry(says)),
            Means::RateLimited => self.stop(Settled::RateLimited(says)),
            Means::Rejected => self.stop(Settled::Rejected(says)),
            // `each` is resolved by whoever reads the answer to a batch.
            Means::Failed | Means::Each => self.stop(Settled::Failed(says)),
        }
    }

    /// Ends it: a call could not be made, or what is kept could not be stored.
    pub fn stop(&mut self, with: Settled) {
        let erased = self.tally.erased + self.kept.erased;
        if erased > self.kept.erased {
            // The next attempt will not find it any more.
            self.kept.erased = erased;
            self.is_dirty = true;
        }
        self.waiting.clear();
        self.trouble = Some(with);
    }

    fn keep(&mut self, step: &Step, target: &SubjectData, kept: Vec<(String, Vec<String>)>) {
        for (name, values) in kept {
            if values.is_empty() {
                continue;
            }
            self.is_dirty |= if step.does == Does::Submit {
                self.kept.add_job(&name, target, values)
            } else {
                self.kept.add(&name, values, false)
            };
        }
    }

    /// A job begins. Whoever asks about it later has no identifiers but those that are kept.
    fn submitted(&mut self, connector: &Connector, now: At) {
        for (_, poll) in connector.steps_that(Does::Poll) {
            self.is_dirty |= self.kept.begun.is_none();
            self.kept.begun.get_or_insert(now);
            for name in &poll.takes {
                let given = self.person.named(name);
                let given: Vec<String> = given.map(|target| target.value.expose().to_owned()).collect();
                self.is_dirty |= self.kept.add(name, given, true);
            }
        }
    }

    fn passed(&mut self, step: &Step, call: &Call) {
        match step.does {
            Does::Lookup => self.lookups += 1,
            // A list that somebody is put on says nothing of what there is.
            Does::Suppress => {}
            Does::Run => self.tally.pending += 1,
            Does::Delete | Does::Submit | Does::Poll | Does::Probe => {
                self.there.push(call.target.value.clone());
            }
        }
    }

    fn follow(&mut self, call: &Call, canonical: Option<String>, says: String) {
        self.hops += 1;
        let Some(id) = canonical.filter(|_| self.hops <= MOST_HOPS).map(SubjectData::new) else {
            self.stop(Settled::Failed(format!(
                "{says}: merged, and the answer does not lead to the other id"
            )));
            return;
        };
        self.kept.replace(&call.target.value, &id);
        self.is_dirty = true;
        let target = Target {
            kind: call.target.kind.clone(),
            value: id,
        };
        self.waiting.push_front(Call {
            step: call.step,
            target,
            about: call.about.clone(),
        });
    }

    fn go_to(&mut self, connector: &Connector, call: &Call, to: Option<&str>, says: String) {
        let place = connector
            .steps
            .iter()
            .position(|step| Some(step.id.as_str()) == to);
        match place {
            Some(step) => self.waiting.push_front(Call {
                step,
                target: call.target.clone(),
                about: call.about.clone(),
            }),
            None => self.stop(Settled::Failed(says)),
        }
    }
}
