//! Why a worker is not ready, part by part.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Serialize;

use crate::{clock::Stopwatch, domain::time::At};

/// What kind of thing is wrong with a part. Each comes and goes by itself: that a part has done some work does not say that it
/// has its partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Its work fails.
    Work,
    /// It has no assignment in its consumer group.
    Group,
}

/// Why the worker is not ready, if it is not, and how its periodic tasks stand.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    problems: BTreeMap<(&'static str, Cause), String>,
    tasks: BTreeMap<&'static str, TaskStatus>,
}

/// How a periodic task stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TaskStatus {
    /// When it did its work the last time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_success: Option<At>,
    /// Why it has failed since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing: Option<String>,
}

impl Readiness {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A periodic task has done its work. Whether it had failed before.
    pub fn task_succeeded(&self, task: &'static str, now: At) -> bool {
        let mut state = self.lock();
        let status = state.tasks.entry(task).or_default();
        status.last_success = Some(now);
        status.failing.take().is_some()
    }

    /// A periodic task has failed. Whether that is news.
    pub fn task_failed(&self, task: &'static str, why: &str) -> bool {
        let mut state = self.lock();
        let failing = &mut state.tasks.entry(task).or_default().failing;
        let is_new = failing.as_deref() != Some(why);
        *failing = Some(why.to_owned());
        is_new
    }

    /// How the periodic tasks stand.
    pub fn tasks(&self) -> BTreeMap<&'static str, TaskStatus> {
        self.lock().tasks.clone()
    }

    /// Its work fails.
    pub fn not_ready(&self, part: &'static str, why: impl Into<String>) {
        self.because(part, Cause::Work, why);
    }

    /// Its work goes on again.
    pub fn ready(&self, part: &'static str) {
        self.no_longer(part, Cause::Work);
    }

    /// Something is wrong.
    pub fn because(&self, part: &'static str, cause: Cause, why: impl Into<String>) {
        self.lock().problems.insert((part, cause), why.into());
    }

    /// It is right again.
    pub fn no_longer(&self, part: &'static str, cause: Cause) {
        self.lock().problems.remove(&(part, cause));
    }

    /// Everything that is wrong, once a part.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems: Vec<(&'static str, String)> = Vec::new();
        for ((part, _), why) in &self.lock().problems {
            match problems.last_mut() {
                Some((last, all)) if last == part => {
                    all.push_str("; ");
                    all.push_str(why);
                }
                _ => problems.push((*part, why.clone())),
            }
        }
        problems
    }
}

/// Beyond this, a failure that was not repeated says nothing any more.
const LATELY: Duration = Duration::from_secs(8);

/// What use cases cannot do just now through no fault of what they were given, by use case.
#[derive(Debug, Default)]
pub struct Troubles(Mutex<BTreeMap<&'static str, Trouble>>);

#[derive(Debug)]
struct Trouble {
    why: String,
    since: Stopwatch,
    /// Whether somebody tries again until it is over; otherwise it fades.
    waits: bool,
}

impl Troubles {
    /// It has failed, and perhaps nobody tries again.
    pub fn failed(&self, name: &'static str, why: String) {
        self.note(name, why, false);
    }

    /// Somebody waits until it goes on.
    pub fn waits(&self, name: &'static str, why: String) {
        self.note(name, why, true);
    }

    /// It goes on.
    pub fn over(&self, name: &'static str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// Everything that cannot be done.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let troubles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        troubles
            .iter()
            .filter(|(_, trouble)| trouble.waits || trouble.since.elapsed() < LATELY)
            .map(|(name, trouble)| (*name, trouble.why.clone()))
            .collect()
    }

    fn note(&self, name: &'static str, why: String, waits: bool) {
        let mut troubles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = waits || troubles.get(name).is_some_and(|known| known.waits);
        let since = Stopwatch::start();
        troubles.insert(name, Trouble { why, since, waits });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_for_two_reasons_is_right_when_both_are_over() {
        let readiness = Readiness::default();
        readiness.not_ready("intake", "fenced");
        readiness.because("intake", Cause::Group, "no partitions");
        assert_eq!(
            readiness.problems(),
            [("intake", "fenced; no partitions".to_owned())]
        );
        readiness.ready("intake");
        assert_eq!(readiness.problems(), [("intake", "no partitions".to_owned())]);
        readiness.no_longer("intake", Cause::Group);
        assert_eq!(readiness.problems(), []);
    }
}
