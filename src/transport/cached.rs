//! What is kept ready for each processor between its calls: clients with their connections, keys to sign with.
//!
//! It is made anew when the registry says something else of the processor, and within `LOOK_AGAIN` of a change of what it
//! was made from: a secret, a certificate.

use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::local::{Reader, Unusable};
use crate::{clock::Stopwatch, domain::ids::ProcessorId};

/// How long what was read counts as current: soon enough for whoever replaces a secret, and seldom enough to cost nothing.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Something for each processor, made from its settings `S`.
pub struct Cached<S, T> {
    folder: PathBuf,
    look_again: Duration,
    kept: Mutex<HashMap<ProcessorId, Slot<S, T>>>,
}

/// A lock for each processor: none waits for another's disk.
type Slot<S, T> = Arc<Mutex<Option<Kept<S, T>>>>;

struct Kept<S, T> {
    settings: S,
    made_from: Reader,
    looked: Stopwatch,
    made: Arc<T>,
}

impl<S: PartialEq + Clone, T> Cached<S, T> {
    /// Relative paths of the registry are resolved against `folder`.
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            look_again: LOOK_AGAIN,
            kept: Mutex::default(),
        }
    }

    /// What is kept for a processor of these settings, made by `make` where it is not there or not current.
    pub fn get(
        &self,
        id: &ProcessorId,
        settings: &S,
        make: impl FnOnce(&S, &mut Reader) -> Result<T, Unusable>,
    ) -> Result<Arc<T>, Unusable> {
        let slot = self.slot(id);
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = slot.as_mut()
            && kept.settings == *settings
            && kept.is_current(self.look_again)
        {
            return Ok(Arc::clone(&kept.made));
        }
        // What cannot be used any more is not used any longer: its connections end with their calls.
        *slot = None;
        let mut reader = Reader::new(&self.folder);
        let made = Arc::new(make(settings, &mut reader)?);
        *slot = Some(Kept {
            settings: settings.clone(),
            made_from: reader,
            looked: Stopwatch::start(),
            made: Arc::clone(&made),
        });
        Ok(made)
    }

    fn slot(&self, id: &ProcessorId) -> Slot<S, T> {
        let mut all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = all.get(id) {
            return Arc::clone(slot);
        }
        Arc::clone(all.entry(id.clone()).or_default())
    }
}

impl<S, T> Kept<S, T> {
    fn is_current(&mut self, look_again: Duration) -> bool {
        if self.looked.elapsed() < look_again {
            return true;
        }
        self.looked = Stopwatch::start();
        self.made_from.is_current()
    }
}

impl<S, T> fmt::Debug for Cached<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::registry::SecretRef;

    #[test]
    fn it_is_made_anew_for_new_settings_and_new_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("secret");
        std::fs::write(&secret, "one").unwrap();
        let mut cached = Cached::<u32, String>::new(folder.path());
        let id = ProcessorId::new("crm").unwrap();
        let get = |cached: &Cached<u32, String>, settings: u32| {
            cached.get(&id, &settings, |settings, reader| {
                let secret = reader.secret("secret", &SecretRef("file:secret".into()))?;
                Ok(format!("{settings} {}", secret.expose()))
            })
        };
        let first = get(&cached, 1).unwrap();
        assert!(
            Arc::ptr_eq(&first, &get(&cached, 1).unwrap()),
            "nothing has changed"
        );
        assert_eq!(*get(&cached, 2).unwrap(), "2 one");
        cached.look_again = Duration::ZERO;
        std::fs::write(&secret, "two").unwrap();
        assert_eq!(*get(&cached, 2).unwrap(), "2 two");
        std::fs::remove_file(&secret).unwrap();
        assert!(get(&cached, 2).is_err(), "what is gone is not used any longer");
    }
}
