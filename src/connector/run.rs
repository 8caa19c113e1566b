//! The state machine of a person's task at a vendor: which call comes next, and what all answers come to.
//!
//! It makes no call and reads no clock. Whatever goes wrong at one identifier of a person ends the run, so that a person is
//! erased only where every last step has said so of every identifier.

use std::collections::VecDeque;

use super::{
    kept::Kept,
    language::{Connector, Does, Step},
    person::{Person, Target},
    rules::{Judged, Means},
    tally::{Settled, Tally},
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
    /// Whether a step before the last one has found something of the person.
    was_there: bool,
    lookups: u32,
    unknown: u32,
    hops: u8,
    trouble: Option<Settled>,
    reference: Option<String>,
    /// When a job began; kept once every call of the attempt was made, so that nobody's part is taken for begun.
    sent: Option<At>,
}

impl Run {
    /// Begins. `kept`: what earlier attempts and generations have left, already of this generation.
    pub fn new(ask: Ask, person: Person, kept: Kept) -> Self {
        Self {
            ask,
            person,
            kept,
            is_dirty: false,
            at: None,
            waiting: VecDeque::new(),
            tally: Tally::default(),
            was_there: false,
            lookups: 0,
            unknown: 0,
            hops: 0,
            trouble: None,
            reference: None,
            sent: None,
        }
    }

    /// What is kept.
    pub const fn kept(&self) -> &Kept {
        &self.kept
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
                if let Some(sent) = self.sent.take() {
                    self.kept.sent.get_or_insert(sent);
                    self.is_dirty = true;
                }
                let settled = self.settled();
                return self.end(settled);
            };
            self.at = Some(step);
            let targets = self.person.targets(&connector.steps[step], &self.kept);
            self.waiting = targets.into_iter().map(|target| Call { step, target }).collect();
        }
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
                self.kept.get(name).is_empty() && probes.any(|(_, probe)| probe.takes.contains(name))
            }),
            _ => false,
        };
        (first..connector.steps.len()).find(|place| is_asked(&connector.steps[*place]))
    }

    fn settled(&self) -> Settled {
        let known_before = self.kept.erased;
        let mut tally = self.tally.clone();
        if tally.erased == 0 && tally.not_found > 0 && known_before > 0 {
            // An earlier attempt has erased what this one does not find.
            tally.erased = known_before;
        }
        if let Some(settled) = tally.settled(self.was_there) {
            return settled;
        }
        if self.lookups > 0 && self.lookups == self.unknown {
            return match self.ask {
                Ask::Probe => Settled::Absent,
                _ if known_before > 0 => Settled::Erased {
                    records: known_before,
                },
                _ => Settled::NotFound,
            };
        }
        Settled::Failed("none of the person's identifiers led to a call that could settle it".to_owned())
    }

    /// Takes what a call was answered.
    pub fn heard(&mut self, connector: &Connector, call: &Call, judged: Judged, now: At) {
        let step = &connector.steps[call.step];
        if matches!(
            judged.means,
            Means::Next | Means::Erased | Means::Accepted | Means::Present
        ) {
            self.keep(step, judged.kept);
        }
        if let Some(reference) = judged.reference {
            self.reference = Some(reference);
        }
        let says = judged.says;
        match judged.means {
            Means::Next => self.passed(step, says),
            Means::Gone => {}
            Means::NotFound if step.does == Does::Lookup => {
                self.lookups += 1;
                self.unknown += 1;
            }
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

    fn keep(&mut self, step: &Step, kept: Vec<(String, Vec<String>)>) {
        let is_of_job = step.does == Does::Submit;
        for (name, values) in kept {
            self.is_dirty |= self.kept.add(&name, values, is_of_job);
        }
    }

    /// A job begins. Whoever asks about it later has no identifiers but those that are kept.
    fn submitted(&mut self, connector: &Connector, now: At) {
        for (_, poll) in connector.steps_that(Does::Poll) {
            self.sent.get_or_insert(now);
            for name in &poll.takes {
                let given = self.person.named(name);
                let given: Vec<String> = given.map(|target| target.value.expose().to_owned()).collect();
                self.is_dirty |= self.kept.add(name, given, true);
            }
        }
    }

    fn passed(&mut self, step: &Step, says: String) {
        match step.does {
            Does::Lookup => {
                self.lookups += 1;
                let found = step.keep.keys().all(|name| !self.kept.get(name).is_empty());
                if !found {
                    self.stop(Settled::Failed(format!(
                        "{says}, and the id is not where it should be"
                    )));
                }
            }
            // A list that somebody is put on says nothing of what there is.
            Does::Suppress => {}
            Does::Run => self.tally.pending += 1,
            Does::Delete | Does::Submit | Does::Poll | Does::Probe => self.was_there = true,
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
            }),
            None => self.stop(Settled::Failed(says)),
        }
    }
}
