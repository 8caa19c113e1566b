//! Why a worker is not ready, part by part.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::clock::Stopwatch;

/// Why the worker is not ready, if it is not.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Mutex<BTreeMap<&'static str, String>>>);

impl Readiness {
    /// Something is wrong.
    pub fn not_ready(&self, part: &'static str, why: impl Into<String>) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(part, why.into());
    }

    /// It is right again.
    pub fn ready(&self, part: &'static str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(part);
    }

    /// Everything that is wrong.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let problems = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        problems.iter().map(|(part, why)| (*part, why.clone())).collect()
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
